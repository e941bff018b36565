"""A secret in a Python file becomes a read of the environment, in the way the file already reads its settings."""

from __future__ import annotations

import libcst as cst

from pipeline.fixers.secret.literals import Candidate, Taken, choose, scheme_of, setting_name
from pipeline.model.finding import Finding
from pipeline.rewriting.python import imports
from pipeline.rewriting.python.code import Code, argument, parse, string_value
from pipeline.rewriting.python.strings import quote_style
from pipeline.rewriting.source import Edit, Source

_DATABASE = frozenset({"psycopg2", "psycopg", "pymysql", "MySQLdb", "mysql", "asyncpg", "sqlalchemy", "mariadb", "pymongo", "redis"})


def take(source: Source, finding: Finding) -> Taken | None:
    """The literal at the finding and its reading from the environment; None for comments, docstrings, keys and pieces of text."""
    code = parse(source)
    if code is None:
        return None
    literals = {code.span(n): n for n in code.all(cst.SimpleString) if _is_value(code, n)}
    candidates = [Candidate(start, end, _content(node)) for (start, end), node in literals.items()]
    chosen = choose(source, finding, candidates)
    if chosen is None:
        return None
    node = literals[chosen.start, chosen.end]
    name = setting_name(_names(code, node), finding.secret)
    if not name:
        return None
    if _is_setting_default(code, node):
        return _without_default(code, node, name)
    prefix, secret = scheme_of(chosen.value)
    found = _expression(code, name)
    if found is None:
        return None
    expression, edits = found
    for other in literals.values():
        if _content(other) == chosen.value:
            place = _whole(code, other)
            if place is None:
                return None
            edits.append(Edit(*place, _written(other, expression, prefix)))
    return Taken(tuple(edits), name, secret)


def _content(node: cst.SimpleString) -> str:
    value = node.evaluated_value
    return value if isinstance(value, str) else value.decode("latin-1")


def _is_value(code: Code, node: cst.SimpleString) -> bool:
    """True for a literal that a program uses as a value of its own."""
    parent = code.parent(node)
    if isinstance(parent, cst.Expr | cst.ConcatenatedString | cst.FormattedStringExpression | cst.Annotation):
        return False
    return not (isinstance(parent, cst.DictElement) and parent.key is node) and "\n" not in _content(node)


def _names(code: Code, node: cst.SimpleString) -> list[str]:
    """What the source calls a value, best first."""
    for around in (node, *code.ancestors(node)):
        parent = code.parent(around)
        if isinstance(parent, cst.DictElement) and parent.value is around:
            key = string_value(parent.key) or ""
            owners = [string_value(a.key) for a in code.ancestors(parent) if isinstance(a, cst.DictElement)]
            return [key, *(f"{owner}_{key}" for owner in [*owners, *_target(code, parent)] if owner)]
        if isinstance(parent, cst.Arg):
            return _argument_names(code, parent)
        if isinstance(parent, cst.Param):
            return [parent.name.value]
        if isinstance(parent, cst.Assign | cst.AnnAssign):
            return _target(code, around)
        if isinstance(parent, cst.BaseStatement):
            return []
    return []


def _argument_names(code: Code, arg: cst.Arg) -> list[str]:
    call = code.parent(arg)
    if not isinstance(call, cst.Call):
        return []
    if code.callee(call) in {"os.environ.get", "os.getenv"} and argument(call, 1) is arg:
        return [string_value(call.args[0].value) or ""]
    root = code.callee(call).split(".")[0]
    own = arg.keyword.value if arg.keyword is not None else ""
    if own in {"password", "passwd", "pwd"} and root in _DATABASE:
        return ["DATABASE_PASSWORD"]
    qualified = f"{root}_{own}" if own and root in code.imports.values() else ""
    return [own, qualified, *_target(code, call)]


def _target(code: Code, node: cst.CSTNode) -> list[str]:
    for around in code.ancestors(node):
        if isinstance(around, cst.Assign):
            target = around.targets[0].target
            if isinstance(target, cst.Subscript):
                index = target.slice[0].slice
                return [string_value(index.value) or ""] if isinstance(index, cst.Index) else []
            if isinstance(target, cst.Attribute):
                owner = code.inner(target.value).split(".")[-1]
                return [f"{owner}_{target.attr.value}"] if owner not in {"self", "cls"} else [target.attr.value]
            return [code.inner(target)]
        if isinstance(around, cst.AnnAssign):
            return [code.inner(around.target)]
        if isinstance(around, cst.BaseStatement):
            return []
    return []


def _expression(code: Code, name: str) -> tuple[str, list[Edit]] | None:
    """How this file reads a setting: decouple's or django-environ's function when it uses one, else `os.environ`."""
    quote = quote_style(code)
    for local, dotted in code.imports.items():
        if dotted == "decouple.config":
            return f"{local}({quote}{name}{quote})", []
    for assign in code.all(cst.Assign):
        made = assign.value
        if (
            isinstance(made, cst.Call)
            and code.callee(made) in {"environ.Env", "environs.Env"}
            and isinstance(assign.targets[0].target, cst.Name)
        ):
            return f"{assign.targets[0].target.value}({quote}{name}{quote})", []
    found = imports.refer(code, "os", "environ")
    return (f"{found[0]}[{quote}{name}{quote}]", found[1]) if found else None


def _whole(code: Code, node: cst.SimpleString) -> tuple[int, int] | None:
    """What the reading replaces: the literal, or the whole look-up of which it was the default; None when that makes no sense."""
    arg = code.parent(node)
    call = code.parent(arg) if isinstance(arg, cst.Arg) else None
    if isinstance(call, cst.Call) and isinstance(arg, cst.Arg):
        dotted = code.callee(call)
        if dotted in {"os.environ.get", "os.getenv", "decouple.config"}:
            return code.span(call) if argument(call, 0) is not arg else None
        if dotted == "os.environ.setdefault":
            return None
    target = arg.targets[0].target if isinstance(arg, cst.Assign) else None
    if isinstance(target, cst.Subscript) and code.qualified(target.value) == "os.environ":
        return None
    return code.span(node)


def _written(node: cst.SimpleString, expression: str, prefix: str) -> str:
    text = expression
    if prefix:
        inner = expression.replace('"', "'")
        text = f'f"{prefix}{{{inner}}}"'
    return f"{text}.encode()" if "b" in node.prefix.lower() else text


def _is_setting_default(code: Code, node: cst.SimpleString) -> bool:
    """True for the default of a field of pydantic's settings, which reads the environment by itself."""
    assign = code.parent(node)
    owner = next((a for a in code.ancestors(node) if isinstance(a, cst.ClassDef | cst.FunctionDef)), None)
    if not isinstance(assign, cst.AnnAssign) or not isinstance(owner, cst.ClassDef):
        return False
    return any(code.qualified(base.value).endswith("BaseSettings") for base in owner.bases)


def _without_default(code: Code, node: cst.SimpleString, name: str) -> Taken | None:
    assign = code.parent(node)
    if not isinstance(assign, cst.AnnAssign):
        return None
    edit = Edit(code.span(assign.annotation)[1], code.span(assign)[1], "")
    return Taken((edit,), name, _content(node))
