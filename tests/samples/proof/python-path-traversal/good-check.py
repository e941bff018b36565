"""Files of the shop."""

import os

from flask import Flask, request, send_file, abort

app = Flask(__name__)
FOLDER = "/var/lib/shop"


@app.route("/file/<path:name>")
def file(name):
    app.logger.info("file")
    place = os.path.realpath(os.path.join(FOLDER, name))
    if not place.startswith(os.path.realpath(FOLDER) + os.sep):
        abort(404)
    return send_file(place, as_attachment=True)
