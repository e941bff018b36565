"""Passwords that can be found again."""

import hashlib
from hashlib import md5


def store(user, password, salt):
    user.hash = hashlib.md5(password.encode()).hexdigest()  # expect: python.weak-password-hash
    user.sha = hashlib.sha256((salt + password).encode("utf-8")).hexdigest()  # expect: python.weak-password-hash
    return hashlib.sha1(user.password).hexdigest()  # expect: python.weak-password-hash


def check(user, form):
    given = md5(form.new_password.encode("utf-8")).hexdigest()  # expect: python.weak-password-hash
    return given == user.hash
