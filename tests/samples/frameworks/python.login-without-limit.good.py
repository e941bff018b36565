from flask import Flask, redirect, request, session
from flask_limiter import Limiter

from models import User

app = Flask(__name__)
limiter = Limiter(lambda: request.remote_addr, app=app)


@app.route("/login", methods=["POST"])
@limiter.limit("5 per minute")
def login():
    user = User.query.filter_by(name=request.form["name"]).first()
    if user and user.check_password(request.form["password"]):
        session["user"] = user.id
        return redirect("/")
    return "wrong", 403
