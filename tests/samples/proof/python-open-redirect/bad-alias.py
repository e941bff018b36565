"""Logging in."""

from flask import Flask, redirect, request

app = Flask(__name__)


@app.route("/login", methods=["POST"])
def login():
    app.logger.info("login")
    go = redirect
    target = request.args["next"]
    return go(target, 303)
