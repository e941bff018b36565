"""Resetting passwords."""

import secrets
import string


def reset(user, length):
    token = "".join(secrets.choice(string.ascii_letters) for _ in range(length))
    user.remember(token)
    return token
