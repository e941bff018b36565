"""javascript.insecure-random-token: what must not be guessed comes from a cryptographic generator."""

from __future__ import annotations

import re

from tree_sitter import Node

from pipeline.model.finding import Finding
from pipeline.ports import SourceFiles
from pipeline.rewriting.javascript import imports
from pipeline.rewriting.javascript.code import Code, ancestors, bare
from pipeline.rewriting.source import Change, Edit

_DIGITS = re.compile(
    r"Math\.random\(\)\.toString\(\s*+(?:36|16|32)?\s*+\)(?:\.(?:substring|substr|slice|replace|split|padEnd|padStart)\([^()]*\)|\[\d\])*"
)
_INTEGER = r"[0-9][0-9_]*|1e\d+"


def fix(code: Code, finding: Finding, _files: SourceFiles) -> Change | None:
    """Draw from `crypto` instead of `Math.random`, in the whole value at the finding."""
    calls = code.near(finding.location, {"call_expression"}, lambda c: code.text(c) == "Math.random()")
    edits: list[Edit] = []
    for call in calls[:1] or _behind(code, finding):
        made = _uuid_pattern(code, call) or _integer(code, call) or _text(code, call)
        if not made:
            return None
        edits += [edit for edit in made if edit not in edits]
    if not edits:
        return None
    return Change(
        tuple(edits),
        "draw token from a secure random source",
        "The value comes from the cryptographic generator of the platform, which cannot be predicted from earlier values.",
    )


def _behind(code: Code, finding: Finding) -> list[Node]:
    """The draws in the statements that make the variable at a finding (`return token`)."""
    for name in code.near(finding.location, {"identifier"}, lambda n: not code.binds(n)):
        found: list[Node] = []
        for binding in code.bindings(code.text(name), code.function(name))[:20]:
            line = code.statement(binding)
            found += [c for c in code.all({"call_expression"}, binding.parent) if code.text(c) == "Math.random()"] if line else []
        if found:
            return found
    return []


def _global(code: Code) -> str | None:
    """Web Crypto's global name in a browser; None when the file calls something else so."""
    return None if "crypto" in code.imports or code.bindings("crypto", code.root) else "crypto"


def _uuid(code: Code) -> tuple[str, list[Edit]] | None:
    if imports.browser(code):
        name = _global(code)
        return (f"{name}.randomUUID()", []) if name else None
    found = imports.member(code, "crypto", "randomUUID")
    return (f"{found[0]}()", found[1]) if found else None


def _uuid_pattern(code: Code, call: Node) -> list[Edit]:
    """`"xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx".replace(/[xy]/g, ...)`."""
    for around in ancestors(call):
        receiver = code.receiver(around) if around.type == "call_expression" else None
        if receiver is not None and re.fullmatch(r"""["'`]x{8}-x{4}-4x{3}-yx{3}-x{12}["'`]""", code.text(receiver)):
            found = _uuid(code)
            outside = [n for n in code.all({"call_expression"}, around) if code.text(n).startswith("Date.")]
            return [*found[1], Edit(around.start_byte, around.end_byte, found[0])] if found and not outside else []
    return []


# --- integers -------------------------------------------------------------------------------------------------------------------------


def _integer(code: Code, call: Node) -> list[Edit]:
    """`Math.floor(Math.random() * n)` and its relatives, with a lower bound that stands inside or beside."""
    scaled = next((a for a in ancestors(call) if a.type == "binary_expression" and _operator(a) == "*"), None)
    if scaled is None or call not in scaled.named_children:
        return []
    factor = next(child for child in scaled.named_children if child != call)
    inner, low = _with_sum(code, scaled)
    rounding = _rounding(code, inner)
    if rounding is None:
        return []
    whole, kind = rounding
    if low == "" and kind != "round":
        whole, low = _with_sum(code, whole)
    high = _added(code.text(factor), 1) if kind == "round" else code.text(factor)
    if high is None or "Math.random" in high:
        return []
    drawn = _drawn(code, low, high, nested=whole.parent is not None and whole.parent.type in {"binary_expression", "member_expression"})
    return [*drawn[1], Edit(whole.start_byte, whole.end_byte, drawn[0])] if drawn else []


def _operator(node: Node) -> str:
    operator = node.child_by_field_name("operator")
    return operator.type if operator is not None else ""


def _with_sum(code: Code, node: Node) -> tuple[Node, str]:
    """The sum of a node and a literal lower bound, when it stands in one: (the sum, the bound)."""
    outer = _unwrap(node)
    parent = outer.parent
    if parent is not None and parent.type == "binary_expression" and _operator(parent) == "+":
        other = next((child for child in parent.named_children if child != outer), None)
        if other is not None and other.type == "number":
            return _unwrap(parent), code.text(other)
    return outer, ""


def _unwrap(node: Node) -> Node:
    """The parentheses around a node, when there are any."""
    while node.parent is not None and node.parent.type == "parenthesized_expression":
        node = node.parent
    return node


def _rounding(code: Code, node: Node) -> tuple[Node, str] | None:
    """What makes an integer of a node: (the whole expression, how)."""
    parent = node.parent
    if parent is None:
        return None
    if parent.type == "arguments" and parent.parent is not None and len(parent.named_children) <= 2:
        name = code.callee(parent.parent)
        if name in {"Math.floor", "Math.trunc", "parseInt"}:
            return parent.parent, "floor"
        return (parent.parent, "round") if name == "Math.round" else None
    if parent.type == "binary_expression" and _operator(parent) == "|" and [code.text(c) for c in parent.named_children][-1] == "0":
        return _unwrap(parent), "floor"
    if parent.type == "unary_expression" and parent.parent is not None and parent.parent.type == "unary_expression":
        return (parent.parent, "floor") if code.text(parent.parent).startswith("~~") else None
    return None


def _added(text: str, number: int) -> str | None:
    """`text + number`, computed when it is a literal."""
    if re.fullmatch(_INTEGER, text):
        return str(int(float(text.replace("_", ""))) + number)
    return f"{text} + {number}" if re.fullmatch(r"[\w.$]+", text) else None


def _drawn(code: Code, low: str, high: str, *, nested: bool) -> tuple[str, list[Edit]] | None:
    """Source of an integer from `low` up to, not including, `low + high`."""
    if imports.browser(code):
        name = _global(code)
        modulus = high if re.fullmatch(r"[\w.$]+", high) else f"({high})"
        base = f"{name}.getRandomValues(new Uint32Array(1))[0] % {modulus}"
        text = f"{low} + ({base})" if low else base
        return (f"({text})" if nested else text, []) if name else None
    if low and not (re.fullmatch(_INTEGER, low) and re.fullmatch(_INTEGER, high)):
        return None
    found = imports.member(code, "crypto", "randomInt")
    if found is None:
        return None
    if low:
        top = _added(high, int(float(low.replace("_", ""))))
        return f"{found[0]}({low}, {top})", found[1]
    return f"{found[0]}({_plain(high)})", found[1]


def _plain(text: str) -> str:
    return text[1:-1] if text.startswith("(") and text.endswith(")") and text.count("(") == 1 else text


# --- text -----------------------------------------------------------------------------------------------------------------------------


def _text(code: Code, call: Node) -> list[Edit]:
    """`Math.random().toString(36).slice(2)`, alone or several of them put together, and a bare number that becomes text."""
    node = _digits(code, call)
    if node is not None:
        node = _sum_of_digits(code, node)
        found = _hex(code)
        return [*found[1], Edit(node.start_byte, node.end_byte, found[0])] if found else []
    outer = _unwrap(call)
    parent = outer.parent
    if parent is None:
        return []
    called = parent.parent
    as_text = parent.type == "template_substitution"
    if parent.type == "binary_expression" and _operator(parent) == "+":
        as_text = any(bare(child).type in {"string", "template_string"} for child in parent.named_children)
    elif called is not None and (code.text(called) == "Math.random().toString()" or code.callee(called) == "String"):
        outer, as_text = called, True
    found = _uuid(code) if as_text else None
    return [*found[1], Edit(outer.start_byte, outer.end_byte, found[0])] if found else []


def _digits(code: Code, call: Node) -> Node | None:
    """The whole `Math.random().toString(36)...` that begins with a call."""
    chain = {"member_expression", "call_expression", "subscript_expression"}
    node, found = call, None
    while node.parent is not None and node.parent.start_byte == call.start_byte and node.parent.type in chain:
        node = node.parent
        if _DIGITS.fullmatch(code.text(node)):
            found = node
    return found


def _sum_of_digits(code: Code, node: Node) -> Node:
    """The largest `+` around a node of which every operand is such digits."""
    while node.parent is not None and node.parent.type == "binary_expression" and _operator(node.parent) == "+":
        others = [child for child in node.parent.named_children if child != node]
        if not all(_DIGITS.fullmatch(code.text(other)) for other in others):
            break
        node = node.parent
    return node


def _hex(code: Code) -> tuple[str, list[Edit]] | None:
    """128 random bits as text."""
    if imports.browser(code):
        return _uuid(code)
    found = imports.member(code, "crypto", "randomBytes")
    return (f"{found[0]}(16).toString({code.quote}hex{code.quote})", found[1]) if found else None
