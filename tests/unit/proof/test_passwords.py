"""Which hash of a password is a remedy: a slow one, that takes enough work, with a salt that is not the same for everybody."""

from __future__ import annotations

import pytest

from pipeline.model.finding import Confidence, Finding, Location, Rule, Severity
from pipeline.model.fix import FileEdit, Patch
from pipeline.triage.remedy import no_remedies
from pipeline.triage.survival import sides_of

BEFORE = """import hashlib

N = 2**15
ROUNDS = 400_000
FEW = 3


def store(user, password, salt):
    user.hash = hashlib.md5(password.encode()).hexdigest()
    return user
"""


def said(statement: str) -> str:
    """What speaks against the statement in the place of the fast hash."""
    after = BEFORE.replace("user.hash = hashlib.md5(password.encode()).hexdigest()", statement.replace("\n", "\n    "))
    rule = Rule("python.weak-password-hash", "title", "message", Severity.HIGH, Confidence.MEDIUM, 916)
    finding = Finding(rule, Location("a.py", 9, 9), "v1:" + "0" * 32, "semgrep")
    (sides,) = sides_of(Patch((FileEdit("a.py", BEFORE.encode(), after.encode()),)))
    return "; ".join(no_remedies(sides, finding))


@pytest.mark.parametrize(
    "statement",
    [
        "user.hash = hashlib.scrypt(password.encode(), salt=salt, n=2**14, r=8, p=1)",
        "user.hash = hashlib.scrypt(password.encode(), salt=salt, n=1 << 15, r=8, p=1)",
        "user.hash = hashlib.scrypt(password.encode(), salt=salt, n=N, r=8, p=1)",
        'user.hash = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, 600_000)',
        'user.hash = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, 600000, 32)',
        'user.hash = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations=ROUNDS)',
        'user.hash = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, ROUNDS)',
        "user.hash = bcrypt.hashpw(password.encode(), bcrypt.gensalt())",
        "user.hash = bcrypt.hashpw(password.encode(), bcrypt.gensalt(12))",
        "user.hash = PasswordHasher().hash(password)",
        "user.hash = pwd_context.hash(password)",
        "user.hash = generate_password_hash(password)",
        "user.hash = passlib.hash.argon2.hash(password)",
        "made = generate_password_hash(password)\nuser.hash = made",
    ],
)
def test_a_slow_hash_is_a_remedy(statement: str) -> None:
    assert said(statement) == ""


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("user.hash = hashlib.sha512(password.encode()).hexdigest()", "made to be slow"),
        ("user.hash = password", "made to be slow"),
        ("user.hash = passlib.hash.md5_crypt.hash(password)", "made to be slow"),
        ("user.hash = hash(password)", "made to be slow"),
        ("user.old = hashlib.scrypt(password.encode(), salt=salt, n=N, r=8, p=1)\nuser.hash = password", "something else is kept"),
        ("user.hash = hashlib.scrypt(password.encode(), salt=salt, n=2, r=8, p=1)", "too little work (n=2)"),
        ("user.hash = hashlib.scrypt(password.encode(), salt=salt, n=FEW, r=8, p=1)", "too little work (n=3)"),
        ("user.hash = hashlib.scrypt(password.encode(), salt=salt, n=elsewhere, r=8, p=1)", "not said in this file"),
        ('user.hash = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, 1)', "too little work (iterations=1)"),
        ('user.hash = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, 1, 200_000)', "too little work (iterations=1)"),
        ('user.hash = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, FEW, 200_000)', "too little work (iterations=3)"),
        ("user.hash = bcrypt.hashpw(password.encode(), bcrypt.gensalt(4))", "too little work (rounds=4)"),
        ('user.hash = hashlib.scrypt(password.encode(), salt=b"", n=N, r=8, p=1)', "the same for everybody"),
        ('user.hash = hashlib.pbkdf2_hmac("sha256", password.encode(), b"salt", ROUNDS)', "the same for everybody"),
        ("user.hash = hashlib.scrypt(password.encode(), salt=salt, n=N, r=8, p=1)[:4]", "a part of it only"),
    ],
)
def test_what_leaves_guesses_cheap_is_none(statement: str, why: str) -> None:
    assert why in said(statement)
