"""Where the text that a call sends is built: in the call, or in statements before it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tree_sitter import Node

from pipeline.rewriting.javascript import strings
from pipeline.rewriting.javascript.code import Code, ancestors
from pipeline.rewriting.template import Template

_LOG = re.compile(r"(?:^|\.)(?:log|debug|info|warn|error|trace|verbose)$")
_LINES = frozenset({"expression_statement", "lexical_declaration", "variable_declaration"})
_LOOPS = frozenset({"for_statement", "for_in_statement", "while_statement", "do_statement"})


MAX_HOLES = 50
"""More values than that no person puts into one text."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One expression that makes text, or a part of it."""

    value: Node
    template: Template
    line: Node | None
    """None when the text is built in the call itself."""


@dataclass(frozen=True, slots=True)
class Built:
    """The statements that together make the text, in order."""

    statements: tuple[Statement, ...]
    conditional: bool
    """True when a part is added only sometimes (in an `if` or a loop)."""

    def statement_of(self, token: int) -> int:
        """Index of the statement that holds a token of the joined template."""
        for index, statement in enumerate(self.statements):
            token -= len(statement.template.tokens)
            if token < 0:
                return index
        return len(self.statements) - 1


def find_built(code: Code, query: Node, call: Node) -> Built | None:
    """How the text `query` of `call` is made; None when that cannot be told from the function alone."""
    template = strings.read(code, query)
    if template is not None:
        return Built((Statement(query, template, None),), conditional=False) if 0 < len(template.holes) <= MAX_HOLES else None
    return _variable(code, code.text(query), query, call) if query.type == "identifier" else None


def _variable(code: Code, name: str, query: Node, call: Node) -> Built | None:
    block = code.function(call)
    while not code.bindings(name, block) and block != code.root:
        block = code.function(block)
    chain = _chain(code, name, block, call)
    statements: list[Statement] = []
    for value, line in chain:
        template = strings.read(code, value)
        if template is None:
            if value.type == "binary_expression" or value.type in {"string", "template_string"}:
                return None
            template = strings.operand_template(code, value)
        statements.append(Statement(value, template, line))
    if not statements or not statements[0].template.tokens or not any(statement.template.holes for statement in statements):
        return None
    if sum(len(statement.template.holes) for statement in statements) > MAX_HOLES:
        return None
    if not _only_use(code, name, query, block, chain[0][1]):
        return None
    first = chain[0][1]
    conditional = any(line.parent != first.parent for _, line in chain)
    if not conditional and not all(_unchanged(code, statement, block, call) for statement in statements):
        return None
    return Built(tuple(statements), conditional)


def _chain(code: Code, name: str, block: Node, call: Node) -> list[tuple[Node, Node]]:
    """The assignment that reaches the call, and every `+=` between them; empty when another path could reach it."""
    around = {a.id for a in ancestors(call)}
    chain: list[tuple[Node, Node]] = []
    bindings = code.bindings(name, block)
    for binding in bindings:
        if binding.start_byte > call.start_byte:
            break
        parent, line = binding.parent, code.statement(binding)
        kind = parent.type if parent is not None else ""
        value = parent.child_by_field_name("value" if kind == "variable_declarator" else "right") if parent is not None else None
        if line is None or value is None or line.parent is None or line.type not in _LINES:
            chain = []
        elif kind in {"variable_declarator", "assignment_expression"} and line.parent.id in around and _alone(line):
            chain = [(value, line)]
        elif kind == "augmented_assignment_expression" and chain and b"+=" in (parent.text or b"" if parent is not None else b""):
            chain.append((value, line))
        else:
            chain = []
    if not chain:
        return []
    start = chain[0][1].start_byte
    for loop in ancestors(call):
        if loop.type in _LOOPS and loop.start_byte > start and any(loop.start_byte < b.start_byte < loop.end_byte for b in bindings):
            return []
    return chain


def _alone(line: Node) -> bool:
    """True for a declaration of one variable, or an expression statement."""
    return len([child for child in line.named_children if child.type != "comment"]) == 1


def _only_use(code: Code, name: str, query: Node, block: Node, first: Node) -> bool:
    """True when the text is only sent and logged between its assignment and the next one."""
    later = [b.start_byte for b in code.bindings(name, block) if b.start_byte > query.start_byte]
    end = min(later, default=block.end_byte)
    for use in code.uses(name, block):
        if use == query or not first.start_byte < use.start_byte < end:
            continue
        calls = [node for node in ancestors(use) if node.type == "call_expression"]
        if not calls or not _LOG.search(code.callee(calls[0]) or code.method(calls[0])):
            return False
    return True


def _unchanged(code: Code, statement: Statement, block: Node, call: Node) -> bool:
    """True when the values that the text takes in are still the same at the call."""
    since, here = statement.value.end_byte, call.start_byte
    names = {code.text(node) for node in code.all({"identifier"}, statement.value)}
    return len(names) <= 10 * MAX_HOLES and not any(
        since <= binding.start_byte < here for name in names for binding in code.bindings(name, block)
    )
