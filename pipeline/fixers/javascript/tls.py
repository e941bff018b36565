"""javascript.tls-verification-disabled: certificates are checked again."""

from __future__ import annotations

import re

from tree_sitter import Node

from pipeline.model.finding import Finding
from pipeline.ports import SourceFiles
from pipeline.rewriting.javascript.code import Code, arguments, drop_item, key_of, remove_statement
from pipeline.rewriting.source import Change, Edit

_TITLE = "verify TLS certificates"
_SAID = "The certificate of the other side is checked again, as Node.js does by default."
_NOTE = "A server with a certificate of a private authority now needs that authority: pass it as `ca` instead of switching the check off."
_SWITCHES = frozenset({"rejectUnauthorized", "strictSSL", "requestCert"})
_ENVIRONMENT = "NODE_TLS_REJECT_UNAUTHORIZED"


def fix(code: Code, finding: Finding, _files: SourceFiles) -> Change | None:
    """Switch the check on again where the finding switches it off."""
    edits = _environment(code, finding) or _property(code, finding) or _assignment(code, finding)
    return Change(tuple(edits), _TITLE, _SAID, (_NOTE,)) if edits else None


def _off(code: Code, node: Node | None) -> bool:
    return node is not None and code.text(node) in {"false", "0", "!1"}


def _environment(code: Code, finding: Finding) -> list[Edit]:
    """`process.env.NODE_TLS_REJECT_UNAUTHORIZED = "0"`: the statement goes, with an `if` that held nothing else."""
    for node in code.near(finding.location, {"assignment_expression"}, lambda n: _ENVIRONMENT in code.text(n)):
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        if left is None or right is None or _ENVIRONMENT not in code.text(left) or code.text(right).strip("'\"`") not in {"0", "false"}:
            continue
        statement = node.parent
        if statement is None or statement.type != "expression_statement":
            return []
        return _without(code, statement)
    return []


def _without(code: Code, statement: Node) -> list[Edit]:
    holder = statement.parent
    if holder is None or holder.type == "program":
        return [remove_statement(code, statement)]
    if holder.type == "statement_block" and len(holder.named_children) > 1:
        return [remove_statement(code, statement)]
    around = holder if holder.type == "if_statement" else holder.parent
    if around is None or around.type != "if_statement" or around.child_by_field_name("alternative") is not None:
        return []
    condition = around.child_by_field_name("condition")
    if around.parent is None or around.parent.type == "else_clause" or condition is None or list(code.all({"call_expression"}, condition)):
        return []
    return [remove_statement(code, around)]


def _property(code: Code, finding: Finding) -> list[Edit]:
    for pair in _pairs(code, finding):
        value, holder = pair.child_by_field_name("value"), pair.parent
        if value is None or holder is None:
            continue
        items = [child for child in holder.named_children if child.type != "comment"]
        if _no_check(code, pair, value):
            return [drop_item(code, items, pair)] if len(items) > 1 else []
        if any(item.type == "spread_element" for item in items) or (len(items) == 1 and not _lone_argument(holder)):
            return [Edit(value.start_byte, value.end_byte, "true")]
        if len(items) > 1:
            return [drop_item(code, items, pair)]
        call = holder.parent.parent if holder.parent is not None else None
        args = arguments(call) if call is not None else []
        return [drop_item(code, args, holder)] if holder in args else []
    return []


def _pairs(code: Code, finding: Finding) -> list[Node]:
    """The property at a finding, or the one inside the call or object that a finding covers."""

    def switch(pair: Node) -> bool:
        value = pair.child_by_field_name("value")
        return (key_of(code, pair) in _SWITCHES and _off(code, value)) or _no_check(code, pair, value)

    found = code.near(finding.location, {"pair"}, switch)
    for node in code.near(finding.location, {"object", "call_expression", "new_expression"}, lambda _: True) if not found else ():
        found += [pair for pair in code.all({"pair"}, node) if switch(pair)]
    return found


def _no_check(code: Code, pair: Node, value: Node | None) -> bool:
    """`checkServerIdentity: () => undefined`: the name in the certificate is never compared."""
    if key_of(code, pair) != "checkServerIdentity" or value is None or value.type not in {"arrow_function", "function_expression"}:
        return False
    body = value.child_by_field_name("body")
    return body is not None and re.sub(r"[\s;{}()]|return", "", code.text(body)) in {"", "undefined", "null", "void0"}


def _lone_argument(holder: Node) -> bool:
    """True when the object is the last argument of `new Agent({...})`, which may go as a whole."""
    args = holder.parent
    if args is None or args.type != "arguments" or args.parent is None or args.parent.type != "new_expression":
        return False
    return [child for child in args.named_children if child.type != "comment"] == [holder]


def _assignment(code: Code, finding: Finding) -> list[Edit]:
    """`agent.options.rejectUnauthorized = false`."""
    for node in code.near(finding.location, {"assignment_expression"}, lambda n: _off(code, n.child_by_field_name("right"))):
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        prop = left.child_by_field_name("property") if left is not None else None
        if prop is not None and right is not None and code.text(prop) in _SWITCHES:
            return [Edit(right.start_byte, right.end_byte, "true")]
    return []
