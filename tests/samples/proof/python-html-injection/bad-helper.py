"""Greetings."""

from flask import Flask, request

app = Flask(__name__)

def greet(name):
    return f"<h1>Hello {name}</h1>"



@app.route("/hello")
def hello():
    name = request.args.get("name", "you")
    app.logger.info("hello")
    return greet(name)
