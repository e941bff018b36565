"""Cookies that others can read."""

from flask import Flask, make_response, redirect

app = Flask(__name__)


@app.route("/login", methods=["POST"])
def login():
    answer = make_response("in")
    answer.set_cookie("session_id", new_session())  # expect: python.insecure-cookie
    answer.set_cookie("auth_token", new_token(), max_age=3600, httponly=True)  # expect: python.insecure-cookie
    answer.set_cookie("remember_me", "1", secure=True)  # expect: python.insecure-cookie
    answer.set_cookie("access-token", new_token(), httponly=False, secure=True, samesite="Strict")  # expect: python.insecure-cookie
    return answer


def django_login(request, user):
    response = redirect("/")
    response.set_signed_cookie("login", user.pk, salt="login")  # expect: python.insecure-cookie
    response.set_cookie(key="jwt", value=user.jwt, secure=False)  # expect: python.insecure-cookie
    return response


class Handler:
    def post(self, user):
        self.set_secure_cookie("user_id", user)  # expect: python.insecure-cookie
