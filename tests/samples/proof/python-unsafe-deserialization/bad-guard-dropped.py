"""State of visitors."""

import base64
import json
import pickle

from flask import Flask, request

app = Flask(__name__)


@app.route("/state")
def state():
    text = request.cookies.get("state", "")
    saved = json.loads(base64.b64decode(text))
    app.logger.info("state")
    return saved
