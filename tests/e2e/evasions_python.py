"""What somebody might do to a known finding that a fixer need not follow, in Python: other names of what is imported or called, and the
dangerous statement in a function of its own. What the code does stays what it was."""

from __future__ import annotations

import ast
import copy
import random
from collections.abc import Callable, Iterator

from tests.e2e.variants_python import flagged, free, isolated


def evasions(source: str, line: int, chance: random.Random) -> Iterator[tuple[str, str]]:
    """Kind and text of each that can be made of the finding at a line."""
    for kind, operator in OPERATORS.items():
        tree = isolated(ast.parse(source), line)
        if operator(tree, line, chance):
            text = ast.unparse(ast.fix_missing_locations(tree)) + "\n"
            ast.parse(text)
            yield kind, text


class _Rename(ast.NodeTransformer):
    def __init__(self, old: str, new: str) -> None:
        self.old, self.new = old, new

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.copy_location(ast.Name(self.new, node.ctx), node) if node.id == self.old else node


def alias(tree: ast.Module, line: int, chance: random.Random) -> bool:
    """`import yaml as chosen`, of what the statement uses."""
    place = flagged(tree, line)
    if place is None:
        return False
    used = {node.id for node in ast.walk(place[1]) if isinstance(node, ast.Name)}
    for statement in tree.body:
        for name in statement.names if isinstance(statement, ast.Import | ast.ImportFrom) else ():
            local = name.asname or name.name
            if local in used and "." not in local and local != "*":
                name.asname = free(tree, chance)
                _Rename(local, name.asname).visit(tree)
                return True
    return False


def call(tree: ast.Module, line: int, chance: random.Random) -> bool:
    """`chosen = subprocess.run` in the line before, and `chosen(...)`."""
    place = flagged(tree, line)
    if place is None:
        return False
    block, statement, _ = place
    if not isinstance(statement, ast.Assign | ast.Return | ast.Expr):
        return False
    imported = {(n.asname or n.name).split(".")[0] for s in tree.body if isinstance(s, ast.Import | ast.ImportFrom) for n in s.names}
    for node in ast.walk(statement):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _root(node.func) in imported - {"request"}:
            name = free(tree, chance)
            block.insert(block.index(statement), ast.copy_location(ast.Assign([ast.Name(name, ast.Store())], node.func), statement))
            node.func = ast.Name(name, ast.Load())
            return True
    return False


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def function(tree: ast.Module, line: int, chance: random.Random) -> bool:
    """The statement in a function of its own above, which is handed what it reads."""
    place = flagged(tree, line)
    if place is None:
        return False
    block, statement, above = place
    around = next((n for n in above if isinstance(n, ast.FunctionDef)), None)
    one = isinstance(statement, ast.Assign) and len(statement.targets) == 1 and isinstance(statement.targets[0], ast.Name)
    if around is None or around not in tree.body or not (one or isinstance(statement, ast.Return | ast.Expr)):
        return False
    if any(isinstance(n, ast.Await | ast.Yield | ast.YieldFrom | ast.NamedExpr) for n in ast.walk(statement)):
        return False
    local = {a.arg for a in [*around.args.posonlyargs, *around.args.args, *around.args.kwonlyargs]}
    local |= {n.id for n in ast.walk(around) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    read = sorted({n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)} & local)
    name = free(tree, chance)
    value = getattr(statement, "value", None)
    if value is None:
        return False
    inner: ast.stmt = ast.Expr(copy.deepcopy(value)) if isinstance(statement, ast.Expr) else ast.Return(copy.deepcopy(value))
    arguments = ast.arguments([], [ast.arg(one) for one in read], None, [], [], None, [])
    made = ast.copy_location(ast.FunctionDef(name, arguments, [inner], [], None), around)
    tree.body.insert(tree.body.index(around), made)
    handed = ast.Call(ast.Name(name, ast.Load()), [ast.Name(one, ast.Load()) for one in read], [])
    block[block.index(statement)] = ast.copy_location(_with(statement, handed), statement)
    return True


def _with(statement: ast.stmt, value: ast.expr) -> ast.stmt:
    if isinstance(statement, ast.Assign):
        return ast.Assign(statement.targets, value)
    return ast.Return(value) if isinstance(statement, ast.Return) else ast.Expr(value)


OPERATORS: dict[str, Callable[[ast.Module, int, random.Random], bool]] = {"alias": alias, "call": call, "function": function}
