"""State of visitors."""

import base64
import json
import pickle

from flask import Flask, request

app = Flask(__name__)


@app.route("/state")
def state():
    text = request.cookies.get("state", "")
    if not text:
        return {}
    path = app.root_path + "/state"
    open(path, "wb").write(base64.b64decode(text))
    saved = pickle.load(open(path, "rb"))
    app.logger.info("state")
    return saved
