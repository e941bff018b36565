"""Paths that the request decides."""

import os

from flask import Flask, request, send_file

app = Flask(__name__)
UPLOADS = "/var/lib/shop/uploads"


@app.route("/report")
def report():
    name = request.args["name"]
    path = os.path.join(UPLOADS, name)
    with open(path) as file:  # expect: python.path-traversal
        return file.read()


@app.route("/file/<path:name>")
def file(name):
    return send_file(os.path.join(UPLOADS, name), as_attachment=True)  # expect: python.path-traversal


@app.route("/upload", methods=["POST"])
def upload():
    sent = request.files["file"]
    sent.save(os.path.join(UPLOADS, sent.filename))  # expect: python.path-traversal
    return "ok"


@app.route("/gone", methods=["POST"])
def gone():
    target = os.path.join(UPLOADS, request.form["name"])
    os.remove(target)  # expect: python.path-traversal
    return "ok"
