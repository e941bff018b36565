"""Templates that visitors write."""

import jinja2
from flask import Flask, render_template_string, request
from jinja2 import Template

app = Flask(__name__)
env = jinja2.Environment(autoescape=True)


@app.route("/hello")
def hello():
    name = request.args.get("name", "you")
    return render_template_string(f"<h1>Hello {name}</h1>")  # expect: python.template-injection


@app.route("/page/<title>")
def page(title):
    template = "<title>%s</title>" % title
    return render_template_string(template)  # expect: python.template-injection


@app.errorhandler(404)
def missing(error):
    text = "<p>There is no {}</p>".format(request.url)
    return render_template_string(text, error=error), 404  # expect: python.template-injection


@app.route("/sum")
def add():
    return render_template_string("<b>" + request.form["a"] + "</b>")  # expect: python.template-injection


@app.route("/card")
def card():
    name = request.args["name"]
    return Template(f"Dear {name}").render(day=1)  # expect: python.template-injection


@app.route("/environment")
def environment():
    return env.from_string(f"Dear {request.args['name']}").render()  # expect: python.template-injection
