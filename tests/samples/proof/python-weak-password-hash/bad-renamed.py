"""Accounts."""

import hashlib
import os


def store(user, password):
    user.check_active()
    user.salt = os.urandom(16)
    text = password.encode()
    user.hash = hashlib.md5(text).hexdigest()
    return user
