"""Applications without a debugger, and a debug that is none."""

import os

from flask import Flask

app = Flask(__name__)
app.debug = False
app.config["DEBUG"] = os.environ.get("DEBUG") == "1"


def report(logger, engine):
    logger.debug("started")
    engine.run(debug=False)


if __name__ == "__main__":
    app.run(debug=False)
    app.run(debug=os.environ.get("FLASK_DEBUG") == "1")
