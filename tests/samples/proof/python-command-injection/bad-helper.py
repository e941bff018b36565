"""Network tools."""

import subprocess

from flask import Flask, request

app = Flask(__name__)


def start(command):
    return subprocess.run(command, shell=True, check=False)


@app.route("/ping")
def ping():
    host = request.args["host"]
    app.logger.info("ping")
    done = start(f"ping -c 1 {host}")
    return {"code": done.returncode}
