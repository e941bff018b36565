"""Accounts."""

import hashlib
import hmac
import os


def store(user, password):
    user.check_active()
    user.salt = os.urandom(16)
    user.hash = hmac.new(user.salt, password.encode(), "sha256").hexdigest()
    return user
