"""What settings leave open: keys in the code, checks of forged requests, frames, cookies, debug pages, escaping of templates."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from pipeline.frameworks.hits import Hit
from pipeline.frameworks.python import Module, assigned, calls, dotted, is_constant, keyword, last, names, text

_KEY = re.compile(r"^(\w+_)?(SECRET_KEY|SECRETKEY|JWT_SECRET|JWT_KEY|SIGNING_KEY|SESSION_SECRET|TOKEN_SECRET|SECRET_KEY_\w+|HMAC_KEY)$")
_OF_DEVELOPERS = re.compile(r"dev|local|test|ci($|[_./])|debug|docker|example|sample|demo", re.IGNORECASE)
_SESSIONS = ("django.contrib.sessions.middleware.SessionMiddleware", "django.contrib.auth.middleware.AuthenticationMiddleware")
_WEB = frozenset(
    {"flask", "aiohttp", "aiohttp_jinja2", "fastapi", "starlette", "sanic", "tornado", "bottle", "quart", "falcon", "cherrypy"}
)


def hard_coded_key(module: Module) -> Iterator[Hit]:
    """A constant that signs sessions or tokens: a setting, an attribute of the application, or the second argument of `jwt.encode`."""
    if _OF_DEVELOPERS.search(PurePosixPath(module.path).name):
        return
    pairs = [*_assigned(module.tree), *_updated(module)]
    read = {name for name, value in pairs if text(value) is None}
    for name, value in pairs:
        if _KEY.match(name.upper()) and name not in read and _is_key(value):
            yield Hit("python.hard-coded-key", value)
    if module.imports & {"jwt", "jose"}:
        for call in calls(module.tree):
            key = call.args[1] if len(call.args) > 1 else keyword(call, "key")
            signs = re.search(r"(^|\.)jwt\.(encode|decode)$", dotted(call.func)) is not None
            if signs and _is_key(key) and not is_constant(keyword(call, "verify"), False):
                yield Hit("python.hard-coded-key", key)
    for call in calls(module.tree):
        given = call.args[0] if call.args else keyword(call, "secret_key")
        if last(call) in ("URLSafeTimedSerializer", "EncryptedCookieStorage", "TimedJSONWebSignatureSerializer") and _is_key(given):
            yield Hit("python.hard-coded-key", given)
        if last(call) in ("SessionMiddleware", "add_middleware") and _is_key(keyword(call, "secret_key")):
            yield Hit("python.hard-coded-key", keyword(call, "secret_key"))


def _assigned(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """(name of the setting, value) at the top of a file or a class, on an application, or in its table of settings."""
    scopes: list[ast.Module | ast.ClassDef] = [tree]
    scopes += [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and not _OF_DEVELOPERS.search(node.name)]
    for scope in scopes:
        for statement in scope.body:
            if isinstance(statement, ast.Assign | ast.AnnAssign):
                for target, value in assigned(statement):
                    if isinstance(target, ast.Name):
                        yield target.id, value
    for target, value in assigned(tree):
        if isinstance(target, ast.Attribute) and target.attr == "secret_key":
            yield "SECRET_KEY", value
        elif isinstance(target, ast.Subscript) and last(target.value) in ("config", "conf", "settings"):
            yield text(target.slice) or "", value


def _updated(module: Module) -> Iterator[tuple[str, ast.expr]]:
    for call in calls(module.tree):
        if last(call) in ("update", "from_mapping") and isinstance(call.func, ast.Attribute) and last(call.func.value) == "config":
            yield from ((word.arg, word.value) for word in call.keywords if word.arg)


def _is_key(node: ast.AST | None) -> bool:
    value = text(node)
    return bool(value) and not re.search(r"^\$|\{\{|^%\(|^<.*>$|BEGIN (RSA )?PUBLIC|^(HS|RS|ES)\d{3}$", value or "")


def _top(module: Module) -> dict[str, ast.expr]:
    """The last value of each name at the top of the file; names that are also assigned in a branch are left out."""
    found: dict[str, ast.expr] = {}
    for statement in module.tree.body:
        for target, value in assigned(statement):
            if isinstance(target, ast.Name):
                if isinstance(statement, ast.Assign | ast.AnnAssign):
                    found[target.id] = value
                else:
                    found.pop(target.id, None)
    return found


def _is_django_settings(module: Module) -> bool:
    top = _top(module)
    return "INSTALLED_APPS" in top or "ROOT_URLCONF" in top or "MIDDLEWARE" in top or "MIDDLEWARE_CLASSES" in top


def django_settings(module: Module) -> Iterator[Hit]:
    """Checks that a Django project leaves out, in the file that says what it is made of."""
    if not _is_django_settings(module):
        return
    top = _top(module)
    middleware = top.get("MIDDLEWARE") or top.get("MIDDLEWARE_CLASSES")
    for_developers = _OF_DEVELOPERS.search(PurePosixPath(module.path).name) is not None
    if isinstance(middleware, ast.List | ast.Tuple):
        parts = [text(part) or "" for part in middleware.elts]
        session = next((part for part, name in zip(middleware.elts, parts, strict=True) if name in _SESSIONS), None)
        if session is not None:
            if not any("csrf" in name.lower() for name in parts):
                yield Hit("python.csrf-disabled", session, detail="`CsrfViewMiddleware` is not in the list")
            if not any(re.search(r"XFrameOptions|csp|contentsecurity|secure", name, re.IGNORECASE) for name in parts):
                yield Hit("python.clickjacking", session)
    if is_constant(top.get("DEBUG"), True) and not for_developers and "ROOT_URLCONF" in top and not _star_import_last(module):
        yield Hit("python.debug-pages", top["DEBUG"])
    if is_constant(top.get("SESSION_COOKIE_HTTPONLY"), False):
        yield Hit("python.session-cookie-readable", top["SESSION_COOKIE_HTTPONLY"])
    if is_constant(top.get("SESSION_COOKIE_SECURE"), False) and not for_developers:
        yield Hit("python.session-cookie-unencrypted", top["SESSION_COOKIE_SECURE"])
    templates = top.get("TEMPLATES")
    for inner in ast.walk(templates) if templates is not None else ():
        if isinstance(inner, ast.Dict):
            for key, value in zip(inner.keys, inner.values, strict=True):
                if text(key) == "autoescape" and is_constant(value, False):
                    yield Hit("python.autoescape-off", value)
    yield from _toolbar(module, top.get("DEBUG_TOOLBAR_CONFIG"))


def _star_import_last(module: Module) -> bool:
    """True when what follows may say otherwise: `from .local_settings import *`."""
    return any(isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names) for node in ast.walk(module.tree))


def _toolbar(module: Module, config: ast.expr | None) -> Iterator[Hit]:
    """A debug toolbar that a visitor switches on, or that is on for everybody."""
    if not isinstance(config, ast.Dict):
        return
    functions = {node.name: node for node, _ in module.functions}
    for key, value in zip(config.keys, config.values, strict=True):
        if text(key) != "SHOW_TOOLBAR_CALLBACK":
            continue
        if isinstance(value, ast.Lambda) and is_constant(value.body, True):
            yield Hit("python.debug-pages", value)
        named = functions.get((text(value) or last(value)).rpartition(".")[2])
        if named is not None and names(named) & {"GET", "POST", "COOKIES"} and not names(named) & {"user", "is_superuser", "INTERNAL_IPS"}:
            yield Hit("python.debug-pages", value)


def csrf_disabled(module: Module) -> Iterator[Hit]:
    """The check of forged requests is switched off: for the application, or for a view that acts by the visitor's session."""
    for target, value in assigned(module.tree):
        name = text(target.slice) if isinstance(target, ast.Subscript) else last(target)
        if name == "WTF_CSRF_ENABLED" and is_constant(value, False) and not _OF_DEVELOPERS.search(_where(module, value)):
            yield Hit("python.csrf-disabled", value)
    for view in module.views:
        for decorator in view.node.decorator_list:
            parameters = [a.arg for a in view.node.args.args if a.arg not in ("self", "request")]
            acts = view.writes or not view.names & {"GET"}
            if "csrf_exempt" in dotted(decorator) and acts and not parameters and not _own_proof(view.names, view.node.name):
                yield Hit("python.csrf-disabled", decorator)
    if "aiohttp" in module.imports:
        for call in calls(module.tree):
            middlewares = keyword(call, "middlewares")
            if last(call) == "Application" and isinstance(middlewares, ast.List | ast.Tuple):
                used = [dotted(part) for part in middlewares.elts]
                keeps = next((part for part, name in zip(middlewares.elts, used, strict=True) if "session" in name.lower()), None)
                if keeps is not None and not any("csrf" in name.lower() for name in used):
                    yield Hit("python.csrf-disabled", keeps, detail="a session, and nothing against forged requests")


_PROOF = re.compile(
    r"hmac|signature|sign(ed)?$|secret|token|api_?key|webhook|hook|stripe|bearer|authorization|basic|xmlrpc|graphql|api|saml|oauth|callback|"
    r"notify|ping|cors|metrics|health|sso|acs|oidc|scim|lti",
    re.IGNORECASE,
)


def _own_proof(used: frozenset[str], name: str) -> bool:
    """True for a view that a browser's session does not reach: hooks, interfaces with a key of their own."""
    return any(map(_PROOF.search, used)) or _PROOF.search(name) is not None


def _where(module: Module, node: ast.AST) -> str:
    """Names of the file and of the classes and functions around a place."""
    line = getattr(node, "lineno", 0)
    around = [
        inner.name
        for inner in ast.walk(module.tree)
        if isinstance(inner, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and inner.lineno <= line <= (inner.end_lineno or 0)
    ]
    return " ".join([module.path, *around])


def session_cookie(module: Module) -> Iterator[Hit]:
    """Stores of sessions, and Flask's settings, that let scripts read the cookie or send it without TLS."""
    for call in calls(module.tree):
        if last(call).endswith("Storage") and is_constant(keyword(call, "httponly"), False) and "aiohttp_session" in module.imports:
            yield Hit("python.session-cookie-readable", call)
    for target, value in assigned(module.tree):
        if isinstance(target, ast.Subscript) and last(target.value) == "config" and is_constant(value, False):
            if text(target.slice) == "SESSION_COOKIE_HTTPONLY":
                yield Hit("python.session-cookie-readable", value)
            elif text(target.slice) == "SESSION_COOKIE_SECURE" and not _OF_DEVELOPERS.search(_where(module, value)):
                yield Hit("python.session-cookie-unencrypted", value)


def autoescape_off(module: Module) -> Iterator[Hit]:
    """Jinja without escaping, in a module that answers requests with what it makes."""
    if not module.imports & _WEB:
        return
    for call in calls(module.tree):
        if last(call) in ("setup", "setup_jinja", "Jinja2Templates", "Environment", "setup_jinja2") or "jinja" in dotted(call.func).lower():
            off = keyword(call, "autoescape")
            if is_constant(off, False):
                yield Hit("python.autoescape-off", off)
            elif (
                off is None
                and last(call) == "Environment"
                and call.keywords
                and _is_jinja(module, call)
                and not any(
                    word.arg is None or (word.arg == "extensions" and "autoescape" in ast.dump(word.value)) for word in call.keywords
                )
            ):
                yield Hit("python.autoescape-off", call)
    for target, value in assigned(module.tree):
        if isinstance(target, ast.Attribute) and target.attr == "autoescape" and is_constant(value, False):
            yield Hit("python.autoescape-off", value)


def _is_jinja(module: Module, call: ast.Call) -> bool:
    return "jinja2" in module.imports and dotted(call.func) in ("Environment", "jinja2.Environment")
