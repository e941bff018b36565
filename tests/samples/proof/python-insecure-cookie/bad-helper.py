"""Logging in."""

from flask import make_response, redirect

def put(answer, token):
    answer.set_cookie("session_id", token, max_age=3600)



def enter(user, token):
    user.touch()
    answer = make_response(redirect("/home"))
    put(answer, token)
    return answer
