from flask import Flask, abort, jsonify, request
from flask_login import current_user, login_required

from models import Invoice, User, db

app = Flask(__name__)


@app.route("/invoices/<int:number>", methods=["DELETE"])
@login_required
def remove_invoice(number):
    db.session.delete(db.session.get(Invoice, number))
    db.session.commit()
    return "", 204


@app.route("/register", methods=["POST"])
def register():
    db.session.add(User(name=request.form["name"]))
    db.session.commit()
    return "", 201


@app.route("/invoices")
def count():
    return jsonify(Invoice.query.count())


@app.route("/mine", methods=["POST"])
def mine():
    if not current_user.is_authenticated:
        abort(401)
    db.session.commit()
    return "", 201
