from flask import Flask, abort, jsonify, request
from flask_login import login_required

from models import Invoice, User, db

app = Flask(__name__)


@app.route("/invoices/<int:number>", methods=["DELETE"])  # expect-next
def remove_invoice(number):
    db.session.delete(db.session.get(Invoice, number))
    db.session.commit()
    return "", 204


@app.route("/invoices", methods=["POST"])
@login_required
def add_invoice():
    db.session.add(Invoice(total=request.form["total"]))
    db.session.commit()
    return "", 201


@app.route("/everybody")  # expect-next
def everybody():
    return jsonify([person.name for person in User.query.all()])


@app.route("/wipe")  # expect-next
def wipe():
    db.drop_all()
    return "gone"
