"""Objects of ours, and data of others."""

import base64
import hashlib
import hmac
import json
import pickle

import jsonpickle
import numpy as np
from flask import Flask, abort, request
from itsdangerous import Signer

app = Flask(__name__)
signer = Signer("key")


@app.route("/state")
def state():
    return json.loads(base64.b64decode(request.cookies.get("state", "")))


@app.route("/signed")
def signed():
    return pickle.loads(signer.unsign(request.cookies["state"]))


@app.route("/mac")
def mac():
    text = request.cookies["state"].encode()
    wanted = hmac.new(app.secret_key, text, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(wanted, request.cookies["mac"]):
        abort(400)
    return pickle.loads(text)


@app.post("/matrix")
def matrix():
    return str(np.load(request.files["matrix"]))


@app.get("/cached/<key>")
def cached(key):
    return pickle.loads(app.cache.get(key))


def settings():
    with open("settings.pickle", "rb") as file:
        return pickle.load(file)


def copy(thing):
    return pickle.loads(pickle.dumps(thing))


def shown(thing):
    return jsonpickle.encode(thing)
