"""Accounts."""

import hashlib
import os


def store(user, password):
    user.check_active()
    user.salt = os.urandom(16)
    digest = hashlib.sha256()
    digest.update(password.encode())
    user.hash = digest.hexdigest()
    return user
