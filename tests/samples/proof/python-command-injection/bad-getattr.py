"""Network tools."""

import subprocess

from flask import Flask, request

app = Flask(__name__)


@app.route("/ping")
def ping():
    host = request.args["host"]
    app.logger.info("ping")
    done = subprocess.run(f"ping -c 1 {host}", shell=True, check=False)
    return {"code": done.returncode}
