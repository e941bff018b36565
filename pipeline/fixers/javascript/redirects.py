"""javascript.open-redirect: visitors are sent to paths of this site only."""

from __future__ import annotations

import itertools
import re

from tree_sitter import Node

from pipeline.model.finding import Finding
from pipeline.ports import SourceFiles
from pipeline.rewriting.javascript.code import FUNCTIONS, Code, ancestors, arguments, bare
from pipeline.rewriting.source import Change, Edit

_REDIRECTS = frozenset({"redirect", "location", "setHeader", "set", "header"})
_LOCAL = r"/^\/(?![/\\])[^\t\r\n\\]*$/"
"""A path on the same host. Browsers read `//` and `/\\` as the start of another one, and leave out tabs and newlines."""
_PATH = re.compile(r"""['"`]/(?:[^/\\'"`$][^\\'"`$]*)?['"`]""")
_ELSEWHERE = re.compile(r"(?i)(redirect|callback|return|success|cancel|error)_?ur[il]$|client|webhook")
"""Names of what is a whole address by its protocol, as OAuth's `redirect_uri`."""
_CASTS = frozenset({"as_expression", "non_null_expression", "satisfies_expression"})
"""Other expressions that get a name before they are checked."""
_SHORT = 60
"""Characters of an expression that may stand twice."""
_OWN_ADDRESS = (
    b"encodeURIComponent(window.location.href)",
    b"encodeURIComponent(location.href)",
    b"encodeURIComponent(document.location.href)",
    b"encodeURIComponent(window.location)",
)
"""Whoever writes these hands on whole addresses of the own host, which the check would refuse."""
_PAGES = (".js", ".ts", ".jsx", ".tsx", ".vue", ".html", ".ejs", ".hbs", ".pug")
_MAX_PAGES = 400

_TITLE = "send visitors to this site only"
_SAID = "An address that leads to another host is replaced before the redirect."
_NOTE = "Only paths of this site are followed; a whole address, also of the own host, now leads to the page that is named behind it."


def fix(code: Code, finding: Finding, files: SourceFiles) -> Change | None:
    """Choose between the target and a page of this site; None when whole addresses are meant, or the target is put together."""
    for call in code.near(finding.location, {"call_expression"}, lambda n: code.method(n) in _REDIRECTS and code.receiver(n) is not None):
        args = arguments(call)
        if not args or len(args) > 2:
            continue
        given = args[-1]
        edits = _checked(code, call, given)
        if edits and not _whole_addresses(files):
            return Change(tuple(edits), _TITLE, _SAID, (_NOTE,))
    return None


def _checked(code: Code, call: Node, given: Node) -> list[Edit]:
    """`to` -> `/.../.test(to) ? to : "/"`; what is longer gets a name before."""
    text = code.text(given)
    origins = _origins(code, given) if given.type == "identifier" else [given]
    words = "\n".join([text, *map(code.text, origins)])
    whole = "://" in words or any(_ELSEWHERE.search(word) for word in re.findall(r"\w+", words))
    if whole or not origins or "\n" in text:
        return []
    origin = bare(origins[0]) if len(origins) == 1 else None
    fallback = _fallback(code, origin)
    if _twice(code, given):
        return [Edit(given.start_byte, given.end_byte, _choice(text, fallback))]
    statement = code.statement(call)
    inside = [a for a in ancestors(call) if a.type in FUNCTIONS]
    known = given.type in _CASTS or _begins_here(code, given)
    if statement is None or not inside or statement.start_byte < inside[0].start_byte or not known:
        return []
    name = next((n for n in ("target", "redirectTarget", "checkedTarget") if n not in code.names()), "")
    if not name or not _alone(code, statement):
        return []
    indent = code.source.indentation(statement.start_byte)
    line = f"const {name} = {text}{code.semicolon}\n{indent}"
    return [Edit(statement.start_byte, statement.start_byte, line), Edit(given.start_byte, given.end_byte, _choice(name, fallback))]


def _choice(value: str, fallback: str) -> str:
    return f"{_LOCAL}.test({value}) ? {value} : {fallback}"


def _twice(code: Code, node: Node) -> bool:
    """True for names and their members: reading them twice does and gives the same."""
    while node.type == "member_expression":
        inner = node.child_by_field_name("object")
        if inner is None or len(code.text(node)) > _SHORT:
            return False
        node = inner
    return node.type in ("identifier", "this")


def _alone(code: Code, statement: Node) -> bool:
    """True for a statement that begins its line, in a block."""
    if statement.parent is None or statement.parent.type not in ("statement_block", "program"):
        return False
    lead = code.source.data[code.source.line_start(statement.start_byte) : statement.start_byte]
    return not lead.strip() and statement.type in ("expression_statement", "return_statement")


def _origins(code: Code, node: Node) -> list[Node]:
    """What a name is given, in its function or an outer one; the whole statement where a pattern takes it out of an object."""
    name, block = code.text(node), code.function(node)
    while True:
        bindings = code.bindings(name, block)
        if bindings or block == code.root:
            break
        block = code.function(block)
    found = []
    for binding in bindings:
        around = binding.parent
        value = around.child_by_field_name("value") or around.child_by_field_name("right") if around is not None else None
        pattern = next((a for a in ancestors(binding) if a.type == "object_pattern"), None)
        if pattern is not None:
            value = pattern.parent
        if value is None:
            return []
        found.append(value)
    return found


def _begins_here(code: Code, node: Node) -> bool:
    """True for a choice, and for a text that begins with a slash: another beginning is part of an address."""
    if node.type == "template_string":
        return code.text(node)[1:2] == "/"
    operator, left = node.child_by_field_name("operator"), node.child_by_field_name("left")
    if operator is None or left is None:
        return False
    if operator.type == "+" and left.type == "binary_expression":
        return _begins_here(code, left)
    return operator.type in ("||", "??") or (operator.type == "+" and left.type == "string" and code.text(left)[1:2] == "/")


def _fallback(code: Code, given: Node | None) -> str:
    """Where visitors go instead: what the program says itself for a request without an address, or the start page."""
    start = f"{code.quote}/{code.quote}"
    if given is None or given.type != "binary_expression":
        return start
    operator, right = given.child_by_field_name("operator"), given.child_by_field_name("right")
    if operator is None or right is None or operator.type not in ("||", "??"):
        return start
    return code.text(right) if right.type == "string" and _PATH.fullmatch(code.text(right)) else start


def _whole_addresses(files: SourceFiles) -> bool:
    pages = itertools.islice((path for path in files.paths() if path.endswith(_PAGES)), _MAX_PAGES)
    return any(any(word in (files.read(path) or b"") for word in _OWN_ADDRESS) for path in pages)
