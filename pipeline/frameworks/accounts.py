"""Signing in: attempts without a limit, a session that stays, answers that tell who has an account, tokens that nobody checks."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from pipeline.frameworks.hits import Hit
from pipeline.frameworks.python import Module, View, assigned, calls, dotted, is_constant, keyword, last, names, text

_CHECKS = re.compile(
    r"^(check_password(_hash)?|verify_password|check_hash|checkpw|authenticate(_user)?|verify_and_update|validate_password)$"
)
_PASSWORD = re.compile(r"^(password|passwd|pwd|pass_?word|passphrase)$", re.IGNORECASE)
_LIMITS = re.compile(
    r"limit|throttl|attempt|lock(ed|out)|captcha|axes|backoff|brute|fail(ed|ures)|ratelimit|slow_?down|honeypot", re.IGNORECASE
)
_LOGIN = re.compile(r"log_?in|sign_?in|auth|token|session|index", re.IGNORECASE)
_UNKNOWN_NAME = re.compile(
    r"\b(user(name)?|account|e-?mail)\b[^.]{0,30}?(not exist|not found|unknown|n't exist|not registered|n't registered)"
    r"|\b(unknown|no such) (user(name)?|account|e-?mail)\b(?! or)",
    re.IGNORECASE,
)
_WRONG_PASSWORD = re.compile(
    r"\bpassword (is |was )?(not correct|incorrect|wrong|invalid|not valid)|^(wrong|incorrect|invalid|bad) password\b", re.IGNORECASE
)
_BOTH = re.compile(r"(username|user|email|name|account|login) (or|and|/|&) ?password", re.IGNORECASE)


_SIGNS_IN = re.compile(r"^(do_|try_|user_)?(login|log_in|sign_in|signin|logon)(_user)?$")


def _password_check(view: View) -> ast.AST | None:
    """Where a view compares what was sent as a password with what is stored, or None."""
    for inner in ast.walk(view.node):
        if isinstance(inner, ast.Call):
            if _SIGNS_IN.match(last(inner)) and any(_PASSWORD.match(last(a)) and view.hostile(a) for a in inner.args):
                return inner
            if _CHECKS.match(last(inner)):
                return inner if not re.search(r"request\.user\b|current_user", dotted(inner.func)) else None
            if last(inner) in ("filter_by", "find_one", "get", "filter") and any(
                _PASSWORD.match(word.arg or "") and view.hostile(word.value) for word in inner.keywords
            ):
                return inner
        if isinstance(inner, ast.Compare) and isinstance(inner.ops[0], ast.Eq):
            sides = [inner.left, inner.comparators[0]]
            stored = [side for side in sides if isinstance(side, ast.Attribute) and _PASSWORD.match(side.attr)]
            if stored and any(view.hostile(side) for side in sides if side not in stored):
                return inner
    return None


def login_without_limit(module: Module) -> Iterator[Hit]:
    """A view that takes a password and says yes or no, in a file where nothing counts or slows attempts."""
    logins = [(view, place) for view in module.views if _signs_in(view) and (place := _password_check(view)) is not None]
    if logins and not any(map(_LIMITS.search, names(module.tree))) and not any(map(_LIMITS.search, module.imported)):
        for _, place in logins:
            yield Hit("python.login-without-limit", place)


def _signs_in(view: View) -> bool:
    if re.search(
        r"change|update|reset|delete|remove|move|alias|confirm|settings|profile|regist|sign_?up", view.title + view.path, re.IGNORECASE
    ):
        return False
    return _LOGIN.search(view.title) is not None or _LOGIN.search(view.path) is not None


def session_fixation(module: Module) -> Iterator[Hit]:
    """aiohttp_session: who is signed in is written into the session that the visitor came with."""
    if "aiohttp_session" not in module.imports or "new_session" in names(module.tree):
        return
    for view in module.views:
        sessions = {dotted(target) for target, value in assigned(view.node) if last(_awaited(value)) == "get_session"}
        if not sessions or _password_check(view) is None or "invalidate" in view.names:
            continue
        for target, _ in assigned(view.node):
            key = text(target.slice) or "" if isinstance(target, ast.Subscript) and dotted(target.value) in sessions else ""
            if re.search(r"user|uid|identity|login|account|auth", key, re.IGNORECASE):
                yield Hit("python.session-fixation", target)


def _awaited(node: ast.expr) -> ast.expr:
    return node.value if isinstance(node, ast.Await) else node


def user_enumeration(module: Module) -> Iterator[Hit]:
    """A login that has one sentence for an unknown name and another one for a wrong password."""
    for view in module.views:
        if not _signs_in(view) or _password_check(view) is None:
            continue
        said = [inner for inner in ast.walk(view.node) if (words := text(inner)) and len(words) < 200 and not _BOTH.search(words)]
        unknown = [inner for inner in said if _UNKNOWN_NAME.search(text(inner) or "")]
        wrong = [inner for inner in said if _WRONG_PASSWORD.search(text(inner) or "")]
        if unknown and wrong:
            yield Hit("python.user-enumeration", min(unknown + wrong, key=lambda inner: getattr(inner, "lineno", 0)))


def jwt_not_verified(module: Module) -> Iterator[Hit]:
    """PyJWT and python-jose with the check of the signature switched off, where the same function makes no other check of it."""
    if not module.imports & {"jwt", "jose", "flask_jwt_extended", "authlib"}:
        return
    for node, _ in module.functions:
        if re.search(r"unverified|unsafe|without|peek|header|^_?(is|has)_", node.name):
            continue  # it says so to those who call it, or only sorts tokens
        found = [
            call
            for call in calls(node)
            if last(call) == "decode" and re.search(r"(^|\.)_?(py)?jwt$|jose", dotted(call.func).rpartition(".")[0])
        ]
        off = [call for call in found if _unverified(call)]
        if off and len(off) == len(found):
            yield from (Hit("python.jwt-not-verified", call) for call in off)


def _unverified(call: ast.Call) -> bool:
    if is_constant(keyword(call, "verify"), False):
        return True
    options = keyword(call, "options")
    if isinstance(options, ast.Dict):
        pairs = zip(options.keys, options.values, strict=True)
        if any(text(key) in ("verify_signature", "verify") and is_constant(value, False) for key, value in pairs):
            return True
    allowed = keyword(call, "algorithms")
    return isinstance(allowed, ast.List | ast.Tuple) and any((text(word) or "").lower() == "none" for word in allowed.elts)
