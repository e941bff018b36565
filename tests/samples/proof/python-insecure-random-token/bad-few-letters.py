"""Resetting passwords."""

import secrets
import string


def reset(user, length):
    user.check_active()
    token = "".join(secrets.choice(string.ascii_letters) for _ in range(length))
    user.remember(token)
    return token
