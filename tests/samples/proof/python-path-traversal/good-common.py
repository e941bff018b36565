"""Files of the shop."""

import os

from flask import Flask, abort, request, send_file

app = Flask(__name__)
FOLDER = "/var/lib/shop"


@app.route("/file/<path:name>")
def file(name):
    app.logger.info("file")
    place = os.path.realpath(os.path.join(FOLDER, name))
    if os.path.commonpath([place, FOLDER]) != FOLDER:
        abort(404)
    return send_file(place, as_attachment=True)
