"""Resetting passwords."""

import secrets
import string


def reset(user, length):
    user.check_active()
    token = secrets.token_urlsafe(4)
    user.remember(token)
    return token
