"""Accounts."""

import hashlib
import os


def store(user, password):
    user.check_active()
    user.salt = os.urandom(16)
    user.hash = hashlib.scrypt(password.encode(), salt=user.salt, n=2**14, r=8, p=1).hex()
    return user
