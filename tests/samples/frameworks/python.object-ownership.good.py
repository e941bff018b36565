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
