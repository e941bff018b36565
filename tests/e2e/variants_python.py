"""The same weakness written otherwise, in Python: names, statements, blocks and texts are changed, what the code does is not."""

from __future__ import annotations

import ast
import copy
import random
import re
from collections.abc import Callable, Iterator

NAMES = ("entry", "supplied", "wanted", "chosen", "subject", "detail", "given", "portion", "reading", "outcome", "holder", "bundle")
KEPT = frozenset({"self", "cls", "request", "_", "app", "cursor", "cur", "connection", "conn", "db", "database", "session"})
"""Names that say what something is: of a parameter that is called `cursor` a fixer knows the interface, of another one it does not."""

Strings = list[str | ast.expr]


def variants(source: str, line: int, chance: random.Random) -> Iterator[tuple[str, str]]:
    """Kind and text of each variant that can be made of the finding at a line."""
    for kind, operator in OPERATORS.items():
        tree = isolated(ast.parse(source), line)
        before = ast.unparse(tree)
        if operator(tree, line, chance):
            text = ast.unparse(ast.fix_missing_locations(tree)) + "\n"
            if text.strip() != before.strip():
                ast.parse(text)
                yield kind, text


def isolated(tree: ast.Module, line: int) -> ast.Module:
    """The top-level statement around a line, with all others that define no function or class."""
    kept = [n for n in tree.body if _around(n, line) or not isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)]
    tree.body = [n for n in kept if _around(n, line) or not isinstance(n, ast.Expr | ast.For | ast.While | ast.With | ast.If)]
    return tree


def _around(node: ast.AST, line: int) -> bool:
    first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))]) if isinstance(node, ast.stmt) else 0
    return isinstance(node, ast.stmt) and first <= line <= (node.end_lineno or node.lineno)


def flagged(tree: ast.Module, line: int) -> tuple[list[ast.stmt], ast.stmt, list[ast.AST]] | None:
    """The innermost statement around a line, the block that holds it, and the nodes around it."""
    found: tuple[list[ast.stmt], ast.stmt, list[ast.AST]] | None = None
    waiting: list[tuple[ast.AST, list[ast.AST]]] = [(tree, [])]
    while waiting:
        node, above = waiting.pop()
        for name in ("body", "orelse", "finalbody", "handlers"):
            for child in getattr(node, name, []):
                if isinstance(child, ast.stmt) and _around(child, line):
                    found = (getattr(node, name), child, [*above, node])
                    waiting.append((child, [*above, node]))
                elif isinstance(child, ast.ExceptHandler):
                    waiting.append((child, [*above, node]))
    return found


def free(tree: ast.AST, chance: random.Random, base: str = "") -> str:
    """A name that nothing has yet."""
    taken = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)} | {n.arg for n in ast.walk(tree) if isinstance(n, ast.arg)}
    for name in [base, *chance.sample(NAMES, len(NAMES))]:
        if name and name not in taken:
            return name
    return f"{base or 'entry'}_{len(taken)}"


# --- rename ---------------------------------------------------------------------------------------------------------------------------


def rename(tree: ast.Module, line: int, chance: random.Random) -> bool:
    """Other names for parameters and local names."""
    place = flagged(tree, line)
    functions = [n for n in (place[2] if place else []) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    scope: ast.AST = functions[0] if functions else tree
    names = [n.id for n in ast.walk(scope) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
    if functions:
        names += [n.arg for n in ast.walk(scope) if isinstance(n, ast.arg)]
    if functions and functions[0].decorator_list:
        names = [n for n in names if n not in {a.arg for a in ast.walk(functions[0].args) if isinstance(a, ast.arg)}]
    outside = {x for n in ast.walk(scope) if isinstance(n, ast.Global | ast.Nonlocal) for x in n.names}
    outside |= {a.asname or a.name for n in ast.walk(tree) if isinstance(n, ast.Import | ast.ImportFrom) for a in n.names}
    chosen = {n for n in names if n not in KEPT and n not in outside and not n.startswith("__")}
    table: dict[str, str] = {}
    for name in sorted(chosen):
        new = free(tree, chance)
        while new in table.values():
            new += "_2"
        table[name] = new
    for node in ast.walk(scope):
        if isinstance(node, ast.Name) and node.id in table:
            node.id = table[node.id]
        elif isinstance(node, ast.arg) and node.arg in table and functions:
            node.arg = table[node.arg]
    return bool(table)


# --- split ----------------------------------------------------------------------------------------------------------------------------


def split(tree: ast.Module, line: int, chance: random.Random) -> bool:
    """An expression gets a statement of its own; a text is put together piece by piece."""
    place = flagged(tree, line)
    if place is None:
        return False
    block, statement, _ = place
    target = _hoistable(statement, chance)
    if target is None:
        return False
    name = free(tree, chance)
    pieces = parts(target)
    if pieces is not None and len(pieces) > 1 and chance.random() < 0.5:
        lines: list[ast.stmt] = [ast.Assign([ast.Name(name, ast.Store())], _piece(pieces[0]))]
        lines += [ast.AugAssign(ast.Name(name, ast.Store()), ast.Add(), _piece(piece)) for piece in pieces[1:]]
    else:
        lines = [ast.Assign([ast.Name(name, ast.Store())], copy.deepcopy(target))]
    _replace(statement, target, ast.Name(name, ast.Load()))
    at = block.index(statement)
    block[at:at] = [ast.copy_location(new, statement) for new in lines]
    return True


def _piece(piece: str | ast.expr) -> ast.expr:
    return ast.Constant(piece) if isinstance(piece, str) else copy.deepcopy(piece)


def _head(statement: ast.stmt) -> list[ast.AST]:
    """The expressions of a statement, without those of blocks inside it."""
    return [value for name, value in _fields(statement) if name not in ("body", "orelse", "finalbody", "handlers", "decorator_list")]


def _fields(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    for name, value in ast.iter_fields(node):
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, ast.AST):
                yield name, one


def _hoistable(statement: ast.stmt, chance: random.Random) -> ast.expr | None:
    if isinstance(statement, ast.For | ast.While | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.If):
        return None
    nodes = [node for part in _head(statement) for node in ast.walk(part) if isinstance(node, ast.expr)]
    if any(isinstance(node, ast.Lambda | ast.GeneratorExp | ast.ListComp | ast.NamedExpr) for node in nodes):
        return None
    texts = [node for node in nodes if (found := parts(node)) is not None and any(not isinstance(p, str) for p in found)]
    whole = getattr(statement, "value", None)
    if texts and texts[0] is not whole:
        return texts[0]
    calls = [node for node in nodes if isinstance(node, ast.Call)]
    chained = [c.func.value for c in calls if isinstance(c.func, ast.Attribute) and isinstance(c.func.value, ast.Call)]
    given = [a for c in calls for a in [*c.args, *(k.value for k in c.keywords)] if isinstance(a, ast.Call | ast.Subscript | ast.Attribute)]
    candidates: list[ast.expr] = [*chained] or [*given] or [c for c in calls if c is whole and isinstance(statement, ast.Return)]
    return chance.choice(candidates) if candidates else None


class _Swap(ast.NodeTransformer):
    def __init__(self, old: ast.AST, new: ast.expr) -> None:
        self.old, self.new = old, new

    def visit(self, node: ast.AST) -> ast.AST:
        return self.new if node is self.old else self.generic_visit(node)


def _replace(statement: ast.AST, old: ast.AST, new: ast.expr) -> None:
    _Swap(old, new).generic_visit(statement)


# --- wrap -----------------------------------------------------------------------------------------------------------------------------


def wrap(tree: ast.Module, line: int, chance: random.Random) -> bool:
    """A block around it: try, a condition, a function, a class."""
    place = flagged(tree, line)
    if place is None:
        return False
    block, statement, above = place
    functions = [n for n in above if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    plain = functions and above.index(functions[0]) == 1 and not functions[0].decorator_list
    how = chance.choice(["try", "if", "class"] if plain else ["try", "if"])
    if how == "class":
        function = functions[0]
        function.decorator_list.append(ast.Name("staticmethod", ast.Load()))
        at = tree.body.index(function)
        around = ast.parse("class Desk:\n    pass").body[0]
        assert isinstance(around, ast.ClassDef)
        around.body = [function]
        tree.body[at] = ast.copy_location(around, function)
        return True
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return False
    at, held = _together(block, statement, in_function=bool(functions))
    if len(held) == 1 and isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Attribute):
        how = "if"  # a `try` around one setting is written by nobody
    raised = ast.ExceptHandler(ast.Name("ValueError", ast.Load()), None, [ast.Raise()])
    new: ast.stmt = (
        ast.Try(held, [raised], [], [])
        if how == "try"
        else ast.If(ast.Compare(ast.Name("__name__", ast.Load()), [ast.NotEq()], [ast.Constant("")]), held, [])
    )
    block[at : at + len(held)] = [ast.copy_location(new, statement)]
    return True


def _together(block: list[ast.stmt], statement: ast.stmt, *, in_function: bool) -> tuple[int, list[ast.stmt]]:
    """Where the statements begin that belong together, and which: up to the answer, or all that set up one object."""
    at = block.index(statement)
    binds = isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name)
    if in_function and (binds or any(isinstance(s, ast.Return) for s in block[at:])):
        return at, block[at:]
    if not isinstance(statement, ast.Assign) or not isinstance(statement.targets[0], ast.Attribute):
        return at, [statement]
    root = ast.unparse(statement.targets[0]).split(".")[0]
    first, last = at, at + 1
    while first and _sets(block[first - 1], root):
        first -= 1
    while last < len(block) and _sets(block[last], root):
        last += 1
    return first, block[first:last]


def _sets(statement: ast.stmt, root: str) -> bool:
    return isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]).split(".")[0] == root


# --- other string building ------------------------------------------------------------------------------------------------------------


def parts(node: ast.AST) -> Strings | None:
    """A text that is put together, as its pieces; None for anything else, or a way that has no plain equal."""
    if isinstance(node, ast.JoinedStr):
        found: Strings = []
        for value in node.values:
            if isinstance(value, ast.Constant):
                found.append(str(value.value))
            elif isinstance(value, ast.FormattedValue) and value.conversion == -1 and value.format_spec is None:
                found.append(value.value)
            else:
                return None
        return found
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod) and _text(node.left) is not None:
        given = node.right.elts if isinstance(node.right, ast.Tuple) else [node.right]
        return _filled(re.split(r"%s", _text(node.left) or ""), given) if not isinstance(node.right, ast.Dict) else None
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format" and not node.keywords:
        text = _text(node.func.value)
        return _filled(re.split(r"\{\}", text), node.args) if text is not None else None
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        sides = [parts(node.left) or _leaf(node.left), parts(node.right) or _leaf(node.right)]
        joined = [piece for side in sides for piece in side]
        return joined if any(isinstance(piece, str) for piece in joined) else None
    return None


def _leaf(node: ast.expr) -> Strings:
    text = _text(node)
    return [text] if text is not None else [node]


def _text(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _filled(texts: list[str], given: list[ast.expr]) -> Strings | None:
    if len(texts) != len(given) + 1 or any(re.search(r"[%{}]", text) for text in texts) or any(isinstance(g, ast.Starred) for g in given):
        return None
    out: Strings = []
    for text, value in zip(texts, [*given, None], strict=True):
        out += [piece for piece in (text or None, value) if piece is not None]
    return out


def strings(tree: ast.Module, line: int, chance: random.Random) -> bool:
    """Another way to put a text together: f-string, format, %, +."""
    place = flagged(tree, line)
    if place is None:
        return False
    functions = [n for n in place[2] if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    scope: ast.AST = functions[-1] if functions else tree
    changed = False
    done: set[int] = set()
    for node in list(ast.walk(scope)):
        found = parts(node)
        if found is None or id(node) in done or not any(isinstance(p, str) for p in found) or all(isinstance(p, str) for p in found):
            continue
        done |= {id(inner) for inner in ast.walk(node)}
        own = _way(node)
        ways = [way for way in ("f", "format", "%", "+") if way != own]
        if any(isinstance(p, str) and re.search(r"[%{}]", p) for p in found):
            ways = ["+"] if own != "+" else []
        if ways:
            _replace(scope, node, _built(found, chance.choice(ways)))
            changed = True
    return changed


def _way(node: ast.AST) -> str:
    if isinstance(node, ast.JoinedStr):
        return "f"
    if isinstance(node, ast.Call):
        return "format"
    return "%" if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod) else "+"


def _built(pieces: Strings, way: str) -> ast.expr:
    values = [copy.deepcopy(p) for p in pieces if not isinstance(p, str)]
    if way == "f":
        return ast.JoinedStr([ast.Constant(p) if isinstance(p, str) else ast.FormattedValue(copy.deepcopy(p), -1) for p in pieces])
    if way == "+":
        whole = _piece(pieces[0])
        for piece in pieces[1:]:
            whole = ast.BinOp(whole, ast.Add(), _piece(piece))
        return whole
    mark = "{}" if way == "format" else "%s"
    text = ast.Constant("".join(p if isinstance(p, str) else mark for p in pieces))
    if way == "format":
        return ast.Call(ast.Attribute(text, "format", ast.Load()), values, [])
    return ast.BinOp(text, ast.Mod(), ast.Tuple(values, ast.Load()) if len(values) > 1 or isinstance(values[0], ast.Tuple) else values[0])


OPERATORS: dict[str, Callable[[ast.Module, int, random.Random], bool]] = {
    "rename": rename,
    "split": split,
    "wrap": wrap,
    "strings": strings,
}
