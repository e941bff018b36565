"""Network tools."""

import os

from flask import Flask, request

app = Flask(__name__)


@app.route("/ping")
def ping():
    host = request.args["host"]
    app.logger.info("ping")
    done = os.system(f"ping -c 1 {host}")
    return {"code": done.returncode}
