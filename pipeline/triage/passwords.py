"""What a fix of a fast password hash must be: a hash that is made to be slow, as slow as it should be, with a salt of its own. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pipeline.triage.outline import Call, Unit

_SLOW = frozenset(
    ["scrypt", "pbkdf2_hmac", "hashpw", "generate_password_hash", "make_password", "set_password", "hash_secret", "argon2id", "kdf"]
)
"""Functions of hashlib, bcrypt, werkzeug, Django, argon2-cffi and PyNaCl that are slow by themselves."""
_HASHERS = re.compile(r"(^|[.])(PasswordHasher\([^()]*\)|CryptContext\(|argon2|bcrypt|bcrypt_sha256|scrypt|pbkdf2_sha256|pbkdf2_sha512)")
_HASHER_NAMES = re.compile(r"(?i)^(\w*_)?(ph|hasher|context|password_?hasher|password_?hash|crypt_?context)$")
"""What `.hash(...)` of passlib and argon2-cffi is called of."""
_CUT = re.compile(r"\[[^\[\]]*:[^\[\]]*\]")
_FIXED_SALT = re.compile(r"\bb[\"']|[\"']\.encode\(|\bbytes\(|\bsalt ?= ?(\"|'|None|str\()")
_COST = re.compile(r"\b(n|iterations|rounds|memory_cost) ?= ?(\d[\d_]*)(?: ?(\*\*|<<) ?(\d+))?")
_NAMED = re.compile(r"\b(n|iterations) ?= ?([A-Za-z_]\w*)")

LEAST = {"n": 2**13, "iterations": 100_000, "rounds": 10, "memory_cost": 7168}
"""Below it guesses are cheap again: OWASP's sheet on password storage asks for more of each, by two to six times."""


def no_password_hash(flagged: Sequence[Unit], added: Sequence[Unit], units: Sequence[Unit]) -> list[str]:
    """Why the added statements keep passwords no better than the flagged ones did; empty when nothing speaks against them.

    Args:
        units: all statements of the file after the patch, where costs and salts may have their names.
    """
    if not flagged:
        return []
    slow = [(unit, call) for unit in added for call in unit.calls if _is_slow(call)]
    if not slow:
        return ["the password is not kept under a hash that is made to be slow (scrypt, bcrypt, argon2, PBKDF2)"]
    wanted = {name for unit in flagged for name in unit.binds | unit.written}
    made = {name for unit, _ in slow for name in unit.binds | unit.written}
    if wanted and not wanted & made and not any(made & (unit.loads | unit.roots) for unit in added if wanted & (unit.binds | unit.written)):
        return ["a slow hash is made, and something else is kept"]
    reasons: list[str] = []
    for unit, call in slow:
        reasons += _too_cheap(unit, call, units)
        if _CUT.search(unit.text):
            reasons.append(f"line {unit.line} takes a part of it only: what is left is guessed sooner")
        near = [unit, *(other for other in units if other.binds & unit.loads and other.start < unit.start and not other.calls)]
        if call.name in ("scrypt", "pbkdf2_hmac") and any(_FIXED_SALT.search(one.text) for one in near):
            reasons.append(f"the salt of line {unit.line} is the same for everybody: one table of guesses does for all")
    return reasons


def _is_slow(call: Call) -> bool:
    receiver, _, name = call.path.rpartition(".")
    return name in _SLOW or (name == "hash" and bool(_HASHERS.search(receiver) or _HASHER_NAMES.match(receiver.rpartition(".")[2])))


def _too_cheap(unit: Unit, call: Call, units: Sequence[Unit]) -> list[str]:
    said = {name: _value(number, sign, power) for name, number, sign, power in _COST.findall(unit.text)}
    for name, constant in _NAMED.findall(unit.text):
        value = _constant(constant, units)
        if value is not None:
            said[name] = value
    if call.name == "pbkdf2_hmac" and "iterations" not in said:
        rounds = [*call.numbers[:1], *(value for name in sorted(unit.loads) if (value := _constant(name, units)) is not None)]
        said |= {"iterations": min(rounds)} if rounds else {}
    for other in unit.calls:
        if other.name == "gensalt" and other.numbers:
            said["rounds"] = max(other.numbers)
    needed = {"scrypt": "n", "pbkdf2_hmac": "iterations"}.get(call.name)
    if needed is not None and needed not in said:
        return [f"how much work the hash of line {unit.line} takes is not said in this file"]
    return [
        f"line {unit.line} asks for too little work ({name}={value}): guesses stay cheap"
        for name, value in said.items()
        if value < LEAST[name]
    ]


def _constant(name: str, units: Sequence[Unit]) -> int | None:
    """The one whole number that a file calls so."""
    bound = [unit for unit in units if name in unit.binds]
    found = re.fullmatch(r"\w+(?: ?: ?\w+)? ?= ?(\d[\d_]*)(?: ?(\*\*|<<) ?(\d+))?", bound[0].text.strip()) if len(bound) == 1 else None
    return _value(found[1], found[2] or "", found[3] or "") if found else None


def _value(number: str, sign: str, power: str) -> int:
    base, up = int(number.replace("_", "")), min(int(power or 0), 64)
    return base**up if sign == "**" else base << up if sign == "<<" else base
