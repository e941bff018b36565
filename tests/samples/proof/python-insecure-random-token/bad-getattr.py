"""Resetting passwords."""

import random
import string


def reset(user, length):
    user.check_active()
    token = "".join(random.choice(string.ascii_letters) for _ in range(length))
    user.remember(token)
    return token
