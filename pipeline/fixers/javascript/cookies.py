"""javascript.insecure-cookie: a cookie that stands for a person is kept from scripts and from the open wire."""

from __future__ import annotations

import itertools

from tree_sitter import Node

from pipeline.model.finding import Finding
from pipeline.ports import SourceFiles
from pipeline.rewriting.javascript.code import Code, add_items, arguments, drop_item, key_of
from pipeline.rewriting.source import Change, Edit

_SETTERS = frozenset({"cookie", "setCookie", "set"})
_FLAGS = ("httpOnly", "secure")
_PAGES = (".js", ".ts", ".jsx", ".tsx", ".mjs", ".vue", ".svelte", ".html", ".htm", ".ejs", ".hbs", ".pug")
_MAX_PAGES = 400
"""Files that are looked through for a reader of the cookie."""
_READERS = (b"document.cookie", b"getCookie", b"Cookies.get", b"useCookies", b"cookies.get", b"VueCookies", b"CookieService")

_TITLE = "protect the session cookie"
_SAID = "The browser keeps this cookie from scripts, sends it over HTTPS only, and does not send it with requests that other sites start."
_NOTE = "Browsers take a Secure cookie over plain HTTP from localhost only: a test server under another name needs HTTPS."
_SESSION = "The session's cookie is kept from scripts, and Secure wherever the visitor came over HTTPS."
_PROXY = "Behind a proxy that speaks HTTPS for the application, Express must trust it (`trust proxy`) to see that."


def fix(code: Code, finding: Finding, files: SourceFiles) -> Change | None:
    """Add what is missing of `httpOnly`, `secure` and `sameSite`, or switch on what is off; None when a script reads the cookie."""
    for call in code.near(finding.location, {"call_expression"}, lambda n: code.method(n) in _SETTERS):
        args = arguments(call)
        if len(args) not in (2, 3) or args[0].type != "string" or (len(args) == 3 and args[2].type != "object"):
            continue
        if _read_by_script(code, files, code.text(args[0])[1:-1]):
            return None
        edits = _flags(code, args)
        if edits:
            return Change(tuple(edits), _TITLE, _SAID, (_NOTE,))
    return _session(code, finding)


def _flags(code: Code, args: list[Node]) -> list[Edit]:
    """The options of a call that sets a cookie."""
    quote = code.quote
    same = f"sameSite: {quote}lax{quote}"
    if len(args) == 2:
        end = args[1].end_byte
        return [Edit(end, end, f", {{ httpOnly: true, secure: true, {same} }}")]
    pairs = {key_of(code, child) if child.type == "pair" else code.text(child): child for child in args[2].named_children}
    edits, missing = [], []
    for flag in _FLAGS:
        value = pairs[flag].child_by_field_name("value") if flag in pairs else None
        if flag not in pairs:
            missing.append(f"{flag}: true")
        elif value is not None and code.text(value) == "false":
            edits.append(Edit(value.start_byte, value.end_byte, "true"))
    if (edits or missing) and "sameSite" not in pairs:
        missing.append(same)
    return edits + (add_items(code, args[2], missing) if missing else [])


def _session(code: Code, finding: Finding) -> Change | None:
    """A flag of express-session or cookie-session that is off: the default where it is safe, else what the connection says."""
    for pair in code.near(finding.location, {"pair"}, lambda n: key_of(code, n) in _FLAGS):
        value, holder = pair.child_by_field_name("value"), pair.parent
        if value is None or holder is None or code.text(value) != "false":
            continue
        around = holder.parent
        inner = around is not None and around.type == "pair" and key_of(code, around) == "cookie"
        if inner and key_of(code, pair) == "secure":
            edit = Edit(value.start_byte, value.end_byte, f"{code.quote}auto{code.quote}")
            return Change((edit,), _TITLE, _SESSION, (_PROXY,))
        if inner or key_of(code, pair) == "httpOnly":
            return Change((Edit(value.start_byte, value.end_byte, "true"),), _TITLE, _SESSION)
        items = [child for child in holder.named_children if child.type != "comment"]
        return Change((drop_item(code, items, pair),), _TITLE, _SESSION, (_PROXY,))
    return None


def _read_by_script(code: Code, files: SourceFiles, name: str) -> bool:
    """True when another file names the cookie and reads cookies in the browser: without HttpOnly it may be needed."""
    pages = (path for path in files.paths() if path.endswith(_PAGES) and path != code.source.path)
    for path in itertools.islice(pages, _MAX_PAGES):
        content = files.read(path) or b""
        if name.encode() in content and any(word in content for word in _READERS):
            return True
    return False
