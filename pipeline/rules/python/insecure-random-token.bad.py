"""Secrets that can be guessed."""

import random
import string
from random import choice, randint


def reset(user):
    token = "".join(random.choice(string.ascii_letters) for _ in range(32))  # expect: python.insecure-random-token
    user.reset_code = str(random.randint(100000, 999999))  # expect: python.insecure-random-token
    return token


def generate_password(length):
    out = ""
    for _ in range(length):
        out += choice(string.ascii_letters)  # expect: python.insecure-random-token
    return out


def session_id():
    return "%032x" % random.getrandbits(128)  # expect: python.insecure-random-token


def one_time(user):
    user.save(otp=randint(0, 999999))  # expect: python.insecure-random-token
    return {"api_key": random.choices(string.hexdigits, k=40)}  # expect: python.insecure-random-token


class Config:
    SECRET_KEY = "".join(random.sample(string.ascii_letters, 20))  # expect: python.insecure-random-token


def login(user):
    session_token = str(random.random())  # expect: python.insecure-random-token
    admin_token = random.randbytes(16)  # expect: python.insecure-random-token
    return user, session_token, admin_token
