"""Logging in."""

from flask import make_response, redirect


def enter(user, token):
    user.touch()
    answer = make_response(redirect("/home"))
    name = "session" + "_id"
    answer.set_cookie(name, token, max_age=3600)
    return answer
