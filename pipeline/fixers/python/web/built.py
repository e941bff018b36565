"""Texts that a program builds for a page: where they are made, and which of their values come from outside."""

from __future__ import annotations

import re

import libcst as cst

from pipeline.fixers.python.queries import Built, find_built
from pipeline.rewriting.python.code import Code
from pipeline.rewriting.template import Hole

_REQUEST = re.compile(r"\b(?:request|req)\.|\.get_(?:query_|body_)?argument\(")
_HARMLESS = re.compile(r"(?:int|float|len|bool|escape|url_for|html\.escape|str\(escape)\(")
_DEPTH = 5
"""Assignments that are followed back from a name."""


def built(code: Code, node: cst.BaseExpression) -> Built | None:
    """The text that stands at a place, or that the one variable there was given piece by piece; None when it is used elsewhere as well."""
    if isinstance(node, cst.Name) and len(code.bindings(node.value, code.block(node))) != len(_pieces(code, node)):
        return None
    return find_built(code, node, node)


def _pieces(code: Code, node: cst.Name) -> list[cst.CSTNode]:
    """Where the variable is given its text: one assignment, and what is added to it."""
    owners = [code.parent(binding) for binding in code.bindings(node.value, code.block(node))]
    given = [owner for owner in owners if isinstance(owner, cst.AssignTarget | cst.AnnAssign)]
    added = [owner for owner in owners if isinstance(owner, cst.AugAssign)]
    return [*given, *added] if len(given) == 1 else []


def from_outside(code: Code, hole: Hole, at: cst.CSTNode) -> bool:
    """True when a value is what a request holds: read from it here, before, or handed to the function that answers a route."""
    return _outside(code, hole.code, at, _DEPTH)


def _outside(code: Code, text: str, at: cst.CSTNode, depth: int) -> bool:
    if _HARMLESS.match(text):
        return False
    if _REQUEST.search(text):
        return True
    name = re.match(r"[A-Za-z_]\w*", text)
    if name is None or depth == 0:
        return False
    block = code.block(at)
    for binding in code.bindings(name[0], block):
        owner = code.parent(binding)
        if isinstance(owner, cst.Param):
            return isinstance(block, cst.FunctionDef) and bool(block.decorators)
        assign = code.parent(owner) if isinstance(owner, cst.AssignTarget) else None
        if isinstance(assign, cst.Assign) and _outside(code, code.inner(assign.value), at, depth - 1):
            return True
    return False
