"""Resetting passwords."""

import secrets
import string


def reset(user, length):
    user.check_active()
    token = "".join(secrets.choice(string.ascii_letters) for _ in range(min(length, 4)))
    user.remember(token)
    return token
