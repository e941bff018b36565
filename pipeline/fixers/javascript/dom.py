"""javascript.dom-xss: text is put into the page as text."""

from __future__ import annotations

import re

from tree_sitter import Node

from pipeline.fixers.javascript.elements import jquery_element, nodes_for
from pipeline.model.finding import Finding
from pipeline.ports import SourceFiles
from pipeline.rewriting.javascript import strings
from pipeline.rewriting.javascript.code import FUNCTIONS, Code, arguments, bare
from pipeline.rewriting.source import Change, Edit
from pipeline.rewriting.template import Unit

_TITLE = "insert value as text"
_SAID = "The value is shown as it is: the browser no longer reads it as markup."
_PLACES = {"beforebegin": "before", "afterbegin": "prepend", "beforeend": "append", "afterend": "after"}
_MARKUP_NAME = re.compile(r"(?i)html|markup|template|svg|fragment|snippet|rendered|sanitized|tpl|xml|dom|node|element|page|partial|body")
_TEXT_CALLS = frozenset({"decodeURIComponent", "decodeURI", "unescape", "String", "JSON.stringify", "prompt", "encodeURIComponent"})
_TEXT_METHODS = frozenset(
    {
        "get",
        "getItem",
        "getAttribute",
        "toString",
        "trim",
        "slice",
        "substring",
        "substr",
        "toUpperCase",
        "toLowerCase",
        "join",
        "at",
        "val",
    }
    | {"split", "pop", "shift", "concat", "toFixed", "toLocaleString", "match", "replace", "replaceAll"}
)


def fix(code: Code, finding: Finding, _files: SourceFiles) -> Change | None:
    """Assign or append text where the finding puts a value into HTML; None when the value is meant to be markup."""
    kinds = {"assignment_expression", "augmented_assignment_expression", "call_expression"}
    for node in code.near(finding.location, kinds, lambda n: _is_sink(code, n)):
        edits = _call(code, node) if node.type == "call_expression" else _assignment(code, node)
        if edits:
            return Change(tuple(edits), _TITLE, _SAID)
    return None


def _is_sink(code: Code, node: Node) -> bool:
    if node.type == "call_expression":
        return (
            code.method(node) in {"html", "insertAdjacentHTML", "append", "prepend", "after", "before"} and code.receiver(node) is not None
        )
    left = node.child_by_field_name("left")
    prop = left.child_by_field_name("property") if left is not None and left.type == "member_expression" else None
    return prop is not None and code.text(prop) in {"innerHTML", "outerHTML"}


def _assignment(code: Code, node: Node) -> list[Edit]:
    """`x.innerHTML = value` -> `x.textContent = value`; `+=` keeps what is there and appends text."""
    left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
    prop = left.child_by_field_name("property") if left is not None else None
    owner = left.child_by_field_name("object") if left is not None else None
    if left is None or right is None or prop is None or owner is None:
        return []
    adds = node.type == "augmented_assignment_expression"
    if code.text(prop) == "outerHTML":
        return nodes_for(code, node, owner, right, "replaceWith") if not adds else []
    if not _plain(code, right, 4):
        return nodes_for(code, node, owner, right, "append" if adds else "replaceChildren")
    if not adds:
        return [Edit(prop.start_byte, prop.end_byte, "textContent")]
    if node.parent is None or node.parent.type != "expression_statement" or b"+=" not in code.source.data[left.end_byte : right.start_byte]:
        return []
    return [Edit(prop.start_byte, right.start_byte, "append("), Edit(right.end_byte, right.end_byte, ")")]


def _call(code: Code, node: Node) -> list[Edit]:
    args, method = arguments(node), code.method(node)
    function, receiver = node.child_by_field_name("function"), code.receiver(node)
    prop = function.child_by_field_name("property") if function is not None else None
    if prop is None or receiver is None:
        return []
    if method == "insertAdjacentHTML" and len(args) == 2:
        if _plain(code, args[1], 4):
            return [Edit(prop.start_byte, prop.end_byte, "insertAdjacentText")]
        how = _PLACES.get(code.text(args[0])[1:-1].lower(), "")
        return nodes_for(code, node, receiver, args[1], how) if how else []
    if not _is_jquery(code, receiver) or len(args) != 1:
        return []
    if not _plain(code, args[0], 4):
        element = jquery_element(code, args[0])
        chain = "empty().append" if method == "html" else method
        return [Edit(prop.start_byte, node.end_byte, f"{chain}({element})")] if element else []
    if method == "html":
        return [Edit(prop.start_byte, prop.end_byte, "text")]
    if method in {"append", "prepend", "after", "before"}:
        return [Edit(args[0].start_byte, args[0].start_byte, "document.createTextNode("), Edit(args[0].end_byte, args[0].end_byte, ")")]
    return []


def _is_jquery(code: Code, node: Node) -> bool:
    text = code.text(node)
    if re.match(r"(?:\$|jQuery)\(", text) or re.match(r"\$\w", text):
        return True
    value = code.value_of(text, node) if node.type == "identifier" else None
    return value is not None and re.match(r"(?:\$|jQuery)\(", code.text(value)) is not None


def _plain(code: Code, node: Node, depth: int) -> bool:
    """True for a value that is data: nothing in it was written to be markup."""
    node = bare(node)
    if depth == 0 or node.type in FUNCTIONS or any("<" in code.text(part) for part in code.all({"string", "template_string"}, node)):
        return False
    template = strings.read(code, node)
    if template is not None:
        literal = "".join(part.char for part in template.parts if isinstance(part, Unit))
        if "<" in literal or re.search(r"&\w+;|&#", literal) or not template.holes:
            return False
        inner = [code.root.descendant_for_byte_range(h.start, h.start + len(h.code.encode())) for h in template.holes]
        return all(entry is not None and _plain(code, entry, depth - 1) for entry in inner)
    if node.type == "identifier":
        return _plain_name(code, node, depth)
    if node.type in {"member_expression", "subscript_expression"}:
        last = node.child_by_field_name("property") or node.child_by_field_name("index")
        return last is not None and _MARKUP_NAME.search(code.text(last)) is None
    if node.type == "call_expression":
        return code.callee(node) in _TEXT_CALLS or (code.method(node) in _TEXT_METHODS and code.receiver(node) is not None)
    if node.type in {"binary_expression", "ternary_expression"}:
        sides = [child for child in node.named_children if child != node.child_by_field_name("condition")]
        return all(_harmless_literal(code, side) or _plain(code, side, depth - 1) for side in sides)
    return False


def _harmless_literal(code: Code, node: Node) -> bool:
    return node.type in {"string", "number"} and "<" not in code.text(node)


def _plain_name(code: Code, node: Node, depth: int) -> bool:
    name = code.text(node)
    if _MARKUP_NAME.search(name):
        return False
    value = code.value_of(name, node)
    if value is not None:
        return _plain(code, value, depth - 1)
    block = code.function(node)
    given = [b for b in code.bindings(name, block) if (b.parent is not None and "parameter" in b.parent.type) or b.parent == block]
    loose = name.lower() in {"data", "response", "res", "result", "content", "output", "t", "r", "x"}
    return bool(given) and len(code.bindings(name, block)) == 1 and not loose
