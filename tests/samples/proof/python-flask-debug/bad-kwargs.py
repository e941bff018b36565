"""The shop."""

from flask import Flask

app = Flask(__name__)


@app.route("/")
def index():
    return "shop"


def main(port):
    app.logger.info("starting")
    app.run(host="0.0.0.0", port=port, debug=True)


if __name__ == "__main__":
    main(8000)
