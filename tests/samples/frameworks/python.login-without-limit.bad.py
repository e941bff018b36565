from flask import Flask, redirect, request, session

from models import User

app = Flask(__name__)


@app.route("/login", methods=["POST"])
def login():
    user = User.query.filter_by(name=request.form["name"]).first()
    if user and user.check_password(request.form["password"]):  # expect
        session["user"] = user.id
        return redirect("/")
    return "wrong", 403
