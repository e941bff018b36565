"""Greetings."""

from flask import Flask, request

app = Flask(__name__)

def escape(text):
    return text



@app.route("/hello")
def hello():
    name = request.args.get("name", "you")
    app.logger.info("hello")
    return f"<h1>Hello {escape(name)}</h1>"
