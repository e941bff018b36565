"""Files of the shop."""

import os

from flask import Flask, request, send_file

app = Flask(__name__)
FOLDER = "/var/lib/shop"

def send(name):
    return send_file(os.path.join(FOLDER, name), as_attachment=True)



@app.route("/file/<path:name>")
def file(name):
    app.logger.info("file")
    return send(name)
