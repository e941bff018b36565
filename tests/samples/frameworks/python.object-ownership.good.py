from flask import Flask, abort, jsonify, request
from flask_login import current_user, login_required

from models import Account, User, db

app = Flask(__name__)


@app.route("/accounts/<number>")
@login_required
def account(number):
    record = Account.query.filter_by(number=number, owner=current_user).first_or_404()
    return jsonify({"number": number, "balance": record.balance})


@app.route("/accounts/<number>/again")
@login_required
def account_again(number):
    record = Account.query.get(number)
    if record.owner != current_user.name:
        abort(403)
    return jsonify({"number": number, "balance": record.balance})


@app.route("/profiles/<username>")
def profile(username):
    user = User.query.filter_by(username=username).first_or_404()
    return jsonify({"name": user.name})


@app.route("/notes", methods=["POST"])
@login_required
def add_note():
    db.session.add(Note(text=request.form["text"], user_id=current_user.id))
    db.session.commit()
    return "", 201


@app.route("/notes/<int:number>", methods=["DELETE"])
@login_required
def remove_note(number):
    note = db.session.get(Note, number)
    if note.user_id != current_user.id:
        abort(403)
    db.session.delete(note)
    db.session.commit()
    return "", 204


@app.route("/tags/<int:number>", methods=["DELETE"])
@login_required
def remove_tag(number):
    db.session.delete(db.session.get(Tag, number))
    return "", 204
