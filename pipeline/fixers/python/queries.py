"""Where the text that a call sends is built: in the call, or in statements before it."""

from __future__ import annotations

import re
from dataclasses import dataclass

import libcst as cst

from pipeline.rewriting.python import strings
from pipeline.rewriting.python.code import Code
from pipeline.rewriting.template import Template

_LOG = re.compile(r"(?:^|\.)(?:print|pprint|debug|info|warning|warn|error|exception|critical|log)$")


FAR = "the text is put together where it cannot be followed"
"""Why nothing is rewritten where `find_built` answers None."""

MAX_HOLES = 50
"""More values than that no person puts into one text."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One expression that makes text, or a part of it."""

    value: cst.BaseExpression
    template: Template
    line: cst.SimpleStatementLine | None
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


def find_built(code: Code, query: cst.BaseExpression, call: cst.BaseExpression) -> Built | None:
    """How the text `query` of `call` (what takes it) is made; None when that cannot be told from the function alone."""
    template = strings.read(code, query)
    if template is not None:
        return Built((Statement(query, template, None),), conditional=False) if 0 < len(template.holes) <= MAX_HOLES else None
    return _variable(code, query, call) if isinstance(query, cst.Name) else None


def _variable(code: Code, name: cst.Name, call: cst.BaseExpression) -> Built | None:
    block = code.block(call)
    here = code.span(call)[0]
    chain = _chain(code, name.value, block, call)
    if not chain:
        return None
    statements: list[Statement] = []
    for value, line in chain:
        template = strings.read(code, value) or strings.operand_template(code, value)
        if template is None:
            return None
        statements.append(Statement(value, template, line))
    if not statements[0].template.tokens:
        return None
    if sum(len(statement.template.holes) for statement in statements) > MAX_HOLES:
        return None
    first = chain[0][1]
    if not any(statement.template.holes for statement in statements) or not _only_use(code, name, block, code.span(first)[0]):
        return None
    conditional = any(code.parent(line) is not code.parent(first) for _, line in chain)
    if not conditional and not all(_unchanged(code, statement, block, here) for statement in statements):
        return None
    return Built(tuple(statements), conditional)


def _chain(code: Code, name: str, block: cst.CSTNode, call: cst.BaseExpression) -> list[tuple[cst.BaseExpression, cst.SimpleStatementLine]]:
    """The assignment that reaches the call, and every `+=` between them; empty when another path could reach it."""
    here = code.span(call)[0]
    around = {id(node) for node in code.ancestors(call)}
    bindings = code.bindings(name, block)
    chain: list[tuple[cst.BaseExpression, cst.SimpleStatementLine]] = []
    first: cst.CSTNode | None = None
    for binding in bindings:
        if code.span(binding)[0] > here:
            break
        parent = code.parent(binding)
        line = code.statement(binding)
        owner = code.parent(parent) if isinstance(parent, cst.AssignTarget) else parent
        body = code.parent(line) if line is not None else None
        single = isinstance(owner, cst.AnnAssign) or (isinstance(owner, cst.Assign) and len(owner.targets) == 1)
        if line is None:
            chain, first = [], None
        elif isinstance(owner, cst.Assign | cst.AnnAssign) and owner.value is not None and single and id(body) in around:
            chain, first = [(owner.value, line)], line
        elif isinstance(owner, cst.AugAssign) and isinstance(owner.operator, cst.AddAssign) and chain:
            chain.append((owner.value, line))
        else:
            chain, first = [], None  # a value that may or may not reach the call
    if first is None:
        return []
    start = code.span(first)[0]
    for loop in code.ancestors(call):
        if isinstance(loop, cst.For | cst.While) and code.span(loop)[0] > start:
            left, right = code.span(loop)
            if any(left < code.span(binding)[0] < right for binding in bindings):
                return []
    return chain


def _only_use(code: Code, name: cst.Name, block: cst.CSTNode, start: int) -> bool:
    """True when the text is only sent and logged between its assignment and the next one."""
    later = [code.span(b)[0] for b in code.bindings(name.value, block) if code.span(b)[0] > code.span(name)[0]]
    end = min(later, default=code.span(block)[1])
    for use in code.uses(name.value, block):
        if use is name or not start < code.span(use)[0] < end:
            continue
        calls = [node for node in code.ancestors(use) if isinstance(node, cst.Call)]
        if not any(_LOG.search(code.callee(node) or code.method(node)) for node in calls):
            return False
    return True


def _unchanged(code: Code, statement: Statement, block: cst.CSTNode, here: int) -> bool:
    """True when the values that the text takes in are still the same at the call."""
    since = code.span(statement.value)[1]
    start, end = code.span(statement.value)
    inside = [name for name in code.all(cst.Name) if start <= code.span(name)[0] < end]
    return len(inside) <= 10 * MAX_HOLES and not any(
        since <= code.span(binding)[0] < here for name in inside for binding in code.bindings(name.value, block)
    )
