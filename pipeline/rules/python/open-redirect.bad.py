"""Redirects that the request decides."""

from django.http import HttpResponseRedirect
from django.shortcuts import redirect as go
from flask import Flask, redirect, request, url_for

app = Flask(__name__)


@app.route("/login", methods=["POST"])
def login():
    target = request.args.get("next")
    if target:
        return redirect(target)  # expect: python.open-redirect
    return redirect(url_for("index"))


@app.route("/out")
def out():
    return redirect(request.args["url"])  # expect: python.open-redirect


@app.route("/back")
def back():
    return redirect(request.form.get("next") or url_for("index"), 303)  # expect: python.open-redirect


def django_login(request):
    following = request.POST.get("next", "/")
    return HttpResponseRedirect(following)  # expect: python.open-redirect


def django_out(request):
    return go(request.GET["to"])  # expect: python.open-redirect
