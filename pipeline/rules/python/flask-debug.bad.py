"""Debuggers that everybody can reach."""

from flask import Flask
from werkzeug.debug import DebuggedApplication

app = Flask(__name__)
app.debug = True  # expect: python.flask-debug
app.config["DEBUG"] = True  # expect: python.flask-debug
application = DebuggedApplication(app, evalex=True)  # expect: python.flask-debug


def create_app():
    made = Flask(__name__)
    made.config.update(TESTING=False, DEBUG=True)  # expect: python.flask-debug
    return made


if __name__ == "__main__":
    app.run(host="0.0.0.0", debug=True)  # expect: python.flask-debug
    create_app().run(debug=True)  # expect: python.flask-debug
    made_app.run(port=5000, debug=True)  # expect: python.flask-debug
