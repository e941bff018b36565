"""Resetting passwords."""

import random
import string


def reset(user, length):
    user.check_active()
    token = "".join(random.choices(string.ascii_letters, k=length))
    user.remember(token)
    return token
