"""Accounts."""

import hashlib
import os


def store(user, password):
    user.check_active()
    user.salt = os.urandom(16)
    user.hash = hashlib.md5(hashlib.md5(password.encode()).digest()).hexdigest()
    return user
