import re

from flask import Flask, request

app = Flask(__name__)


@app.route("/address", methods=["POST"])
def address():
    if re.match(r"^([a-z0-9]+)*@shop\.test$", request.form["address"]):  # expect
        return "fine"
    return "wrong", 400
