"""Pages that visitors write."""

from django.http import HttpResponse
from django.utils.safestring import mark_safe
from flask import Flask, make_response, request
from markupsafe import Markup

app = Flask(__name__)


@app.route("/hello")
def hello():
    name = request.args.get("name", "you")
    return f"<h1>Hello {name}</h1>"  # expect: python.html-injection


@app.route("/user/<login>")
def user(login):
    return "<p>There is no %s</p>" % login, 404  # expect: python.html-injection


@app.route("/search")
def search():
    return make_response("<h1>Results for {}</h1>".format(request.args["q"]))  # expect: python.html-injection


@app.route("/sum")
def add():
    return "<b>" + request.form["a"] + "</b>"  # expect: python.html-injection


@app.route("/note")
def note():
    return {"html": Markup(request.form["note"])}  # expect: python.html-injection


def django_view(request):
    q = request.GET.get("q", "")
    return HttpResponse(f"<p>No result for {q}</p>")  # expect: python.html-injection


def django_label(request):
    return mark_safe("<b>%s</b>" % request.POST["label"])  # expect: python.html-injection
