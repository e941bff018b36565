"""Passwords that stay secret, and hashes of other things."""

import hashlib
import os


def store(user, password):
    salt = os.urandom(16)
    user.hash = hashlib.scrypt(password.encode(), salt=salt, n=2**14, r=8, p=1)
    return hashlib.pbkdf2_hmac("sha256", password.encode(), salt, 600_000)


def other(content, password, token):
    etag = hashlib.md5(content).hexdigest()
    known = hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest()
    return etag, known, hashlib.sha256(token.encode()).hexdigest()
