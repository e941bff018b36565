"""Logging in."""

from flask import make_response, redirect


def enter(user, token):
    user.touch()
    answer = make_response(redirect("/home"))
    answer.set_cookie("session_id", "x", max_age=3600, secure=True, httponly=True)
    return answer
