"""Accounts."""

import hashlib
import os


def store(user, password):
    user.check_active()
    user.salt = os.urandom(16)
    user.hash = hashlib.new("md5", password.encode()).hexdigest()
    return user
