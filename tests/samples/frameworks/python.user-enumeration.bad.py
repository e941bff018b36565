from flask import Flask, jsonify, request

from models import User

app = Flask(__name__)


@app.route("/login", methods=["POST"])
def login():
    user = User.query.filter_by(name=request.json["name"]).first()
    if user is None:
        return jsonify(error="User does not exist"), 404  # expect
    if not user.check_password(request.json["password"]):
        return jsonify(error="Wrong password"), 403
    return jsonify(token=user.token())
