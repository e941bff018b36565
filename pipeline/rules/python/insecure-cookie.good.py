"""Cookies that are kept, and cookies that are nobody's secret."""


def login(answer, settings, options):
    answer.set_cookie("session_id", new_session(), secure=True, httponly=True, samesite="Lax")
    answer.set_cookie("auth_token", new_token(), secure=settings.SECURE, httponly=True)
    answer.set_cookie("session", new_session(), **options)
    answer.set_cookie("sid", new_session(), None, None, "/", None, True, True)
    answer.set_cookie("theme", "dark")
    answer.set_cookie("language", "en", max_age=3600)
    answer.set_cookie("csrf_token", new_token(), secure=True)
    answer.set_cookie("session_id", "")
    answer.delete_cookie("session_id")


def test_login(client):
    client.set_cookie("session", "x")
