"""python.insecure-random-token: what must not be guessed comes from the operating system's generator."""

from __future__ import annotations

import libcst as cst

from pipeline.model.finding import Finding
from pipeline.ports import SourceFiles
from pipeline.rewriting.python import imports
from pipeline.rewriting.python.code import Code, argument, keyword
from pipeline.rewriting.source import Change, Edit

_FUNCTIONS = frozenset(
    {"choice", "choices", "randint", "randrange", "random", "sample", "shuffle", "uniform", "getrandbits", "randbytes", "triangular"}
)


def fix(code: Code, finding: Finding, _files: SourceFiles) -> Change | None:
    """Draw from `secrets` instead of `random`, in the whole statement at the finding."""
    calls = code.near(finding.location, cst.Call, lambda c: _function(code, c) != "")
    line = code.statement(calls[0]) if calls else None
    together = calls[:1] if line is None else [c for c in code.all(cst.Call, line) if _function(code, c)]
    calls = together = together or _behind(code, finding)
    if not together:
        return None
    outermost = [c for c in together if not any(a in together for a in code.ancestors(c))]
    if len(outermost) != len(together):
        return None
    base = _base(code, calls[0])
    if base is None:
        return None
    name, edits = base
    for call in together:
        replaced = _replace(code, call, name)
        if replaced is None:
            return None
        edits += replaced
    if not name.endswith("SystemRandom()"):
        roots = {_root(call.func) for call in together}
        edits += imports.drop_unused(code, roots, [code.span(call.func) for call in together], edits)
    return Change(
        tuple(edits),
        "draw token from a secure random source",
        "The value comes from the operating system's generator, which cannot be predicted from earlier values; its form stays the same.",
    )


def _behind(code: Code, finding: Finding) -> list[cst.Call]:
    """The draws in the statements that make the variable at a finding (`return token`)."""
    for name in code.near(finding.location, cst.Name, lambda _: True):
        found: list[cst.Call] = []
        for binding in code.bindings(name.value, code.block(name))[:20]:
            line = code.statement(binding)
            found += [call for call in code.all(cst.Call, line) if _function(code, call)] if line is not None else []
        if found:
            return found
    return []


def _function(code: Code, call: cst.Call) -> str:
    module, _, name = code.callee(call).rpartition(".")
    return name if module == "random" and name in _FUNCTIONS and _root(call.func) in code.imports else ""


def _root(node: cst.BaseExpression) -> str:
    while isinstance(node, cst.Attribute):
        node = node.value
    return node.value if isinstance(node, cst.Name) else ""


def _base(code: Code, call: cst.Call) -> tuple[str, list[Edit]] | None:
    """`secrets`, imported; or `random.SystemRandom()` where the file calls something else `secrets`."""
    found = imports.ensure(code, "secrets")
    if found is not None:
        return found
    return (f"{_root(call.func)}.SystemRandom()", []) if isinstance(call.func, cst.Attribute) else None


def _replace(code: Code, call: cst.Call, base: str) -> list[Edit] | None:
    name = _function(code, call)
    args = [arg.value for arg in call.args]
    plain = all(arg.keyword is None and not arg.star for arg in call.args)
    func = code.span(call.func)
    generator = base if base.endswith("SystemRandom()") else f"{base}.SystemRandom()"
    if base.endswith("SystemRandom()"):
        return [Edit(*func, f"{base}.{name}")]
    if name == "choice" and len(args) == 1:
        return [Edit(*func, f"{base}.choice")]
    if name == "getrandbits" and len(args) == 1:
        return [Edit(*func, f"{base}.randbits")]
    if name == "randbytes" and len(args) == 1:
        return [Edit(*func, f"{base}.token_bytes")]
    if name == "choices":
        return _choices(code, call, base) or [Edit(*func, f"{generator}.choices")]
    if name == "randrange" and len(args) == 1 and plain:
        return [Edit(*func, f"{base}.randbelow")]
    if name == "randint" and len(args) == 2 and plain and code.inner(args[0]) == "0" and isinstance(args[1], cst.Integer):
        return [Edit(*code.span(call), f"{base}.randbelow({args[1].evaluated_value + 1})")]
    return [Edit(*func, f"{generator}.{name}")]


def _choices(code: Code, call: cst.Call, base: str) -> list[Edit] | None:
    """`choices(alphabet, k=n)` as one draw for each character."""
    population, count = argument(call, 0, "population"), keyword(call, "k")
    if population is None or count is None or len(call.args) != 2 or any(arg.star for arg in call.args):
        return None
    names = {node.value for node in code.all(cst.Name, call)}
    loop = next((n for n in ("_", "_i") if n not in names), "")
    if not loop:
        return None
    text = f"{base}.choice({code.text(population.value)}) for {loop} in range({code.text(count.value)})"
    arg = code.parent(call)
    outer = code.parent(arg) if isinstance(arg, cst.Arg) else None
    joined = isinstance(outer, cst.Call) and code.method(outer) == "join" and len(outer.args) == 1
    return [Edit(*code.span(call), text if joined else f"[{text}]")]
