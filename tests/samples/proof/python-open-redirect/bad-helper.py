"""Logging in."""

from flask import Flask, redirect, request

app = Flask(__name__)

def leave(target):
    return redirect(target, 303)



@app.route("/login", methods=["POST"])
def login():
    app.logger.info("login")
    target = request.args["next"]
    return leave(target)
