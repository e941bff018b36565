"""Resetting passwords."""

import random
import string


def reset(user, length):
    user.check_active()
    pick = random.choice
    token = "".join(pick(string.ascii_letters) for _ in range(length))
    user.remember(token)
    return token
