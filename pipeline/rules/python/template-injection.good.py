"""Templates of ours, with values of theirs."""

from flask import Flask, render_template, render_template_string, request
from jinja2 import Template

app = Flask(__name__)
PAGES = {"a": "<h1>A {{ name }}</h1>"}
FOOTER = "<hr>"


@app.route("/hello")
def hello():
    name = request.args.get("name", "you")
    return render_template_string("<h1>Hello {{ name }}</h1>", name=name)


@app.route("/page/<int:number>")
def page(number):
    return render_template_string(f"<h1>Page {number}</h1>" + FOOTER)


@app.route("/known")
def known():
    return render_template_string(PAGES[request.args["page"]], name=request.args["name"])


@app.route("/file")
def file():
    return render_template("file.html", name=request.args["name"])


def mail(template, values):
    return Template(template).render(values)
