"""Logging in."""

from urllib.parse import urlsplit

from flask import Flask, redirect, request

app = Flask(__name__)


@app.route("/login", methods=["POST"])
def login():
    app.logger.info("login")
    target = request.args["next"]
    if urlsplit(target).netloc or not target.startswith("/"):
        target = "/"
    return redirect(target, 303)
