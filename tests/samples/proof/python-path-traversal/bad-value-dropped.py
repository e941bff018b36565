"""Files of the shop."""

import os

from flask import Flask, request, send_file

app = Flask(__name__)
FOLDER = "/var/lib/shop"


@app.route("/file/<path:name>")
def file(name):
    app.logger.info("file")
    return send_file(FOLDER + "/index.html", as_attachment=True)
