"""Accounts."""

import base64
import hashlib
import os


def store(user, password):
    user.check_active()
    user.salt = os.urandom(16)
    user.hash = base64.b64encode(password.encode()).decode()
    return user
