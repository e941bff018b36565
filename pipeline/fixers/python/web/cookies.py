"""python.insecure-cookie: a cookie that stands for a person is kept from scripts and from the open wire."""

from __future__ import annotations

import itertools

import libcst as cst

from pipeline.model.finding import Finding
from pipeline.ports import SourceFiles
from pipeline.rewriting.python.code import Code, add_argument, argument, keyword, string_value
from pipeline.rewriting.python.strings import quote_style
from pipeline.rewriting.source import Change, Edit

_SETTERS = frozenset({"set_cookie", "set_signed_cookie", "set_secure_cookie"})
_SCRIPTS = (".js", ".ts", ".jsx", ".tsx", ".vue", ".html", ".htm", ".jinja", ".j2")
_MAX_SCRIPTS = 200
"""Files of the page that are looked through for a reader of the cookie."""

_SAID = "The browser keeps this cookie from scripts, sends it over HTTPS only, and does not send it with requests that other sites start."
_NOTE = "Browsers take a Secure cookie over plain HTTP from localhost only: a test server under another name needs HTTPS."


def fix(code: Code, finding: Finding, files: SourceFiles) -> Change | None:
    """Add what is missing of `secure`, `httponly` and `samesite`; None when a script of the repository reads the cookie."""
    for call in code.near(finding.location, cst.Call, lambda c: code.method(c) in _SETTERS):
        name = argument(call, 0, "key") or keyword(call, "name")
        text = string_value(name.value) if name is not None else None
        if text is None or any(arg.star for arg in call.args) or argument(call, 6) is not None:
            continue
        if _read_by_script(files, text):
            return None
        edits, missing = [], []
        for flag in ("secure", "httponly"):
            given = keyword(call, flag)
            if given is None:
                missing.append(f"{flag}=True")
            elif code.inner(given.value) == "False":
                edits.append(Edit(*code.span(given.value), "True"))
        if not edits and not missing:
            continue
        if keyword(call, "samesite") is None and code.method(call) != "set_secure_cookie":
            quote = quote_style(code)
            missing.append(f"samesite={quote}Lax{quote}")
        if missing:
            first = add_argument(code, call, missing[0])
            lead = first.text[: first.text.rindex(missing[0])]
            edits.append(Edit(first.start, first.end, "".join(lead + text for text in missing)))
        return Change(tuple(edits), "protect the session cookie", _SAID, (_NOTE,))
    return None


def why_not(code: Code, finding: Finding, files: SourceFiles) -> str:
    """Why the cookie at the finding is left as it is."""
    for call in code.near(finding.location, cst.Call, lambda c: code.method(c) in _SETTERS):
        name = argument(call, 0, "key") or keyword(call, "name")
        text = string_value(name.value) if name is not None else None
        if text is None:
            return "the name of the cookie is not written here, so that nobody can tell whether a script reads it"
        if _read_by_script(files, text):
            return "a script of this repository reads the cookie, which it could not with `HttpOnly`"
        if any(arg.star for arg in call.args):
            return "options that are not written here may hold the flags already"
    return ""


def _read_by_script(files: SourceFiles, name: str) -> bool:
    """True when a page or script names the cookie and reads cookies: without HttpOnly it may be needed."""
    pages = (path for path in files.paths() if path.endswith(_SCRIPTS))
    for path in itertools.islice(pages, _MAX_SCRIPTS):
        content = files.read(path) or b""
        if name.encode() in content and any(word in content for word in (b"document.cookie", b"getCookie", b"Cookies.get")):
            return True
    return False
