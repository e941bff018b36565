"""Paths that stay where they belong."""

import os

from flask import Flask, abort, request, send_from_directory
from werkzeug.utils import secure_filename

app = Flask(__name__)
UPLOADS = "/var/lib/shop/uploads"
REPORTS = {"a": "a.csv"}


@app.route("/report")
def report():
    path = os.path.realpath(os.path.join(UPLOADS, request.args["name"]))
    if not path.startswith(os.path.realpath(UPLOADS) + os.sep):
        abort(404)
    with open(path) as file:
        return file.read()


@app.route("/file/<path:name>")
def file(name):
    return send_from_directory(UPLOADS, name)


@app.route("/page/<name>")
def page(name):
    with open(os.path.join(UPLOADS, name)) as file:
        return file.read()


@app.route("/upload", methods=["POST"])
def upload():
    sent = request.files["file"]
    sent.save(os.path.join(UPLOADS, secure_filename(sent.filename)))
    return "ok"


@app.route("/known")
def known():
    with open(REPORTS.get(request.args["name"], "b.csv")) as file:
        return file.read()
