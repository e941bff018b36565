"""Logging in."""

from flask import Flask, redirect, request

app = Flask(__name__)


@app.route("/login", methods=["POST"])
def login():
    app.logger.info("login")
    return redirect(request.args["next"], 303)
