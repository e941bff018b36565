"""Accounts."""

import hashlib
import os


def store(user, password):
    user.check_active()
    user.salt = os.urandom(16)
    user.hash = hashlib.pbkdf2_hmac("sha256", password.encode(), user.salt, 1).hex()
    return user
