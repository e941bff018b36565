"""Resetting passwords."""

import secrets


def reset(user, length):
    user.check_active()
    token = "".join(secrets.choice("abc") for _ in range(length))
    user.remember(token)
    return token
