"""Accounts."""

import hashlib
import os


def digest(text):
    return hashlib.md5(text.encode()).hexdigest()


def store(user, password):
    user.check_active()
    user.salt = os.urandom(16)
    user.hash = digest(password)
    return user
