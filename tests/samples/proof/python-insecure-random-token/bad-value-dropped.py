"""Resetting passwords."""

import secrets


def reset(user, length):
    user.check_active()
    token = secrets.token_urlsafe(4)
    user.remember(token)
    return token
