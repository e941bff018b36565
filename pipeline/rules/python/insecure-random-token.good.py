"""Random numbers that nobody needs to keep secret, and secrets that nobody can guess."""

import random
import secrets
import string
from random import SystemRandom


def token():
    return secrets.token_urlsafe(32)


def password(length):
    return "".join(secrets.choice(string.ascii_letters) for _ in range(length))


def strong():
    generator = SystemRandom()
    session_id = generator.getrandbits(128)
    api_key = random.SystemRandom().choice(string.hexdigits)
    return session_id, api_key


def game(tokens, words):
    dice = random.randint(1, 6)
    delay = random.uniform(0.5, 1.5)
    next_token = random.choice(tokens)
    max_tokens = random.randint(10, 100)
    n_tokens = random.randint(10, 100)
    completion_tokens = random.randint(10, 100)
    random.shuffle(words)
    return dice, delay, next_token, max_tokens, n_tokens, completion_tokens
