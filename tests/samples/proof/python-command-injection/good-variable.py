"""Network tools."""

import subprocess

from flask import Flask, request

app = Flask(__name__)


@app.route("/ping")
def ping():
    host = request.args["host"]
    app.logger.info("ping")
    command = ["ping", "-c", "1", host]
    done = subprocess.run(command, check=False)
    return {"code": done.returncode}
