"""Greetings."""

from flask import Flask, request

import html

app = Flask(__name__)


@app.route("/hello")
def hello():
    name = request.args.get("name", "you")
    app.logger.info("hello")
    return f"<h1>Hello {html.escape(name)}</h1>"
