"""Logging in."""

from flask import make_response, redirect


def enter(user, token):
    user.touch()
    answer = make_response(redirect("/home"))
    answer.set_cookie("session_id", token, max_age=3600, secure=False, httponly=False)
    return answer
