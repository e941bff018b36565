"""Redirects to addresses of ours."""

import re
from urllib.parse import urlsplit

from django.http import HttpResponseRedirect
from django.utils.http import url_has_allowed_host_and_scheme
from flask import Flask, redirect, request, url_for

app = Flask(__name__)
PAGES = {"a": "/a"}


@app.route("/login")
def login():
    target = request.args.get("next")
    if not re.fullmatch(r"/(?![/\\])[^\t\r\n\\]*", target):
        target = "/"
    return redirect(target)


@app.route("/login")
def login():
    target = request.args.get("next")
    if not target or urlsplit(target).netloc != "":
        target = url_for("index")
    return redirect(target)


@app.route("/twice")
def twice():
    if request.args.get("next") and validators.is_safe_url(request.args.get("next")):
        return redirect(request.args.get("next"))
    return redirect("/")


@app.route("/checked")
def checked():
    target = request.args["next"]
    if urlsplit(target).netloc != request.host:
        return redirect("/")
    return redirect(target)


@app.route("/known")
def known():
    return redirect(PAGES.get(request.args["page"], "/"))


@app.route("/user")
def user():
    return redirect(url_for("profile", name=request.args["name"]))


@app.route("/search")
def search():
    return redirect("/search?q=" + request.args["q"])


def django_login(request):
    following = request.POST.get("next", "/")
    if not url_has_allowed_host_and_scheme(following, allowed_hosts={request.get_host()}):
        following = "/"
    return HttpResponseRedirect(following)
