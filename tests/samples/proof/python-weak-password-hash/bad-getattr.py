"""Accounts."""

import hashlib
import os


def store(user, password):
    user.check_active()
    user.salt = os.urandom(16)
    user.hash = getattr(hashlib, "md5")(password.encode()).hexdigest()
    return user
