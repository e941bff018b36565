from flask import Flask, jsonify, request
from flask_login import login_required

from models import Account, User, db

app = Flask(__name__)


@app.route("/accounts/<number>")
@login_required
def account(number):
    record = Account.query.get(number)  # expect
    return jsonify({"number": number, "balance": record.balance})


@app.route("/users/<username>/password", methods=["PUT"])
@login_required
def new_password(username):
    user = User.query.filter_by(username=username).first()  # expect
    user.password = request.json["password"]
    db.session.commit()
    return "", 204


@app.route("/notes", methods=["POST"])
@login_required
def add_note():
    db.session.add(Note(text=request.form["text"], user_id=current_user.id))
    db.session.commit()
    return "", 201


@app.route("/notes/<int:number>", methods=["DELETE"])
@login_required
def remove_note(number):
    note = db.session.get(Note, number)  # expect
    db.session.delete(note)
    db.session.commit()
    return "", 204
