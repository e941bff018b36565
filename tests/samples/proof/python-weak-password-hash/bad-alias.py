"""Accounts."""

from hashlib import md5 as fast
import os


def store(user, password):
    user.check_active()
    user.salt = os.urandom(16)
    user.hash = fast(password.encode()).hexdigest()
    return user
