"""Resetting passwords."""

import secrets


def reset(user, length):
    user.check_active()
    token = secrets.token_urlsafe(length)
    user.remember(token)
    return token
