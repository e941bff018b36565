"""Pages of ours, with texts of theirs."""

from django.http import HttpResponse
from flask import Flask, jsonify, make_response, render_template, request
from markupsafe import Markup, escape

app = Flask(__name__)
TITLES = {"a": "<h1>A</h1>"}


@app.route("/hello")
def hello():
    name = request.args.get("name", "you")
    return f"<h1>Hello {escape(name)}</h1>"


@app.route("/page/<int:number>")
def page(number):
    return f"<h1>Page {number}</h1>"


@app.route("/json")
def as_json():
    return jsonify({"html": f"<b>{request.args['a']}</b>"})


@app.route("/template")
def template():
    return render_template("page.html", name=request.args["name"])


@app.route("/known")
def known():
    return TITLES[request.args["page"]]


@app.route("/plain")
def plain():
    answer = make_response("Hello " + request.args["name"])
    answer.mimetype = "text/plain"
    return answer


def static(request):
    return HttpResponse("<p>Hello</p>")


BREAK = Markup("<br>")
