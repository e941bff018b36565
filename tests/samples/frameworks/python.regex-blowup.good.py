import re

from flask import Flask, request

app = Flask(__name__)


@app.route("/address", methods=["POST"])
def address():
    if re.match(r"^[a-z0-9]+(\.[a-z0-9]+)*@shop\.test$", request.form["address"]):
        return "fine"
    return "wrong", 400


def ours(text):
    return re.match(r"^(a+)+$", text)
