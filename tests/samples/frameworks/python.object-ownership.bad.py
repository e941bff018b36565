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
