"""State of visitors."""

import base64
import json
import pickle

from flask import Flask, request

app = Flask(__name__)


def read(data):
    return pickle.loads(data)


@app.route("/state")
def state():
    text = request.cookies.get("state", "")
    if not text:
        return {}
    saved = read(base64.b64decode(text))
    app.logger.info("state")
    return saved
