"""Accounts."""

import hashlib
import os


def store(user, password):
    user.check_active()
    user.salt = os.urandom(16)
    user.hash = hashlib.pbkdf2_hmac("sha256", password.encode(), b"", 600_000).hex()
    return user
