"""Files of the shop."""

import os

from flask import Flask, request, send_file, abort

app = Flask(__name__)
FOLDER = "/var/lib/shop"


@app.route("/file/<path:name>")
def file(name):
    app.logger.info("file")
    path = os.path.join(FOLDER, name)
    if not path.startswith(FOLDER):
        abort(404)
    return send_file(path, as_attachment=True)
