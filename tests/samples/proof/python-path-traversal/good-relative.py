"""Files of the shop."""

from pathlib import Path

from flask import Flask, abort, request, send_file

app = Flask(__name__)
FOLDER = "/var/lib/shop"


@app.route("/file/<path:name>")
def file(name):
    app.logger.info("file")
    path = (Path(FOLDER) / name).resolve()
    if not path.is_relative_to(FOLDER):
        abort(404)
    return send_file(path, as_attachment=True)
