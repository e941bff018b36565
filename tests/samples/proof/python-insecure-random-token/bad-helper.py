"""Resetting passwords."""

import random
import string


def pick():
    return random.choice(string.ascii_letters)


def reset(user, length):
    user.check_active()
    token = "".join(pick() for _ in range(length))
    user.remember(token)
    return token
