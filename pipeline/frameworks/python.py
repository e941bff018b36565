"""One Python module as a web application sees it: its views, and what of them a visitor decides."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

Function = ast.FunctionDef | ast.AsyncFunctionDef

_SERVERS = frozenset(
    [
        "flask",
        "django",
        "fastapi",
        "starlette",
        "aiohttp",
        "connexion",
        "quart",
        "sanic",
        "tornado",
        "bottle",
        "falcon",
        "rest_framework",
        "flask_restful",
        "flask_restx",
        "ninja",
    ]
)
"""Packages whose modules handle requests."""

_VERBS = frozenset({"route", "get", "post", "put", "patch", "delete", "api_route", "view"})
_WRITING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_REQUESTS = frozenset({"request", "req", "flask.request", "self.request", "bottle.request", "quart.request"})
_HELD = frozenset(
    [
        "args",
        "form",
        "values",
        "json",
        "data",
        "get_json",
        "get_data",
        "cookies",
        "headers",
        "files",
        "GET",
        "POST",
        "COOKIES",
        "FILES",
        "query",
        "query_params",
        "path_params",
        "match_info",
        "rel_url",
        "params",
        "post",
        "body",
        "json_body",
        "forms",
        "stream",
        "read",
        "text",
        "view_args",
    ]
)
"""What of a request a visitor writes."""
_DECIDED = frozenset({"int", "float", "bool", "len", "UUID", "isinstance"})
_BODIES = frozenset({"json", "get_json", "json_body", "data", "get_data"})
"""What may hold structures and not only text."""

_ROUNDS = 10
"""How often assignments are followed against their order, as in a loop; hostile text must not cost quadratic time."""

GUARD = re.compile(
    r"auth(?!or)|log_?in|logged|signed_?in|current_?user|permission|token|jwt|session|user_?id|is_?admin|is_?staff|superuser|api_?key|"
    r"credential|signature|hmac|secret|identity|verif|owner|(^|_)acl|role|^g$|forbidden|unauthori|require|restrict|protect|ensure|guard|"
    r"allowed|policy|captcha|certificate|admin_only|admins?_only|principal|claims|security|dependencies|Depends|whoami|tenant|staff",
    re.IGNORECASE,
)
"""Names of what asks who somebody is, or what he may do. Wide on purpose: a view that has one of them is left alone."""


def dotted(node: ast.AST | None) -> str:
    """`a.b.c` of names and attributes; a call or an item in between is left out of it (`a().b` is `a.b`); else `""`."""
    parts: list[str] = []
    while node is not None:
        if isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        elif isinstance(node, ast.Name):
            parts.append(node.id)
            return ".".join(reversed(parts))
        elif isinstance(node, ast.Call):
            node = node.func
        elif isinstance(node, ast.Subscript | ast.Await):
            node = node.value
        else:
            return ""
    return ""


def last(node: ast.AST | None) -> str:
    """The last part of `dotted`; of a method of anything, its name."""
    if isinstance(node, ast.Call):
        node = node.func
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def text(node: ast.AST | None) -> str | None:
    """The value of a string or bytes literal, else None."""
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str):
            return node.value
        if isinstance(node.value, bytes):
            return node.value.decode("utf-8", errors="replace")
    return None


def keyword(call: ast.Call, name: str) -> ast.expr | None:
    """The value of an argument that is given by name."""
    return next((word.value for word in call.keywords if word.arg == name), None)


def is_constant(node: ast.AST | None, value: object) -> bool:
    """True for the literal True, False or None."""
    return isinstance(node, ast.Constant) and node.value is value


def calls(node: ast.AST) -> Iterator[ast.Call]:
    """Every call below a node."""
    return (inner for inner in ast.walk(node) if isinstance(inner, ast.Call))


def assigned(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    """(target, value) of every assignment below a node."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Assign):
            for target in inner.targets:
                yield target, inner.value
        elif isinstance(inner, ast.AnnAssign | ast.NamedExpr) and inner.value is not None:
            yield inner.target, inner.value


def names(node: ast.AST) -> frozenset[str]:
    """Every name that stands below a node: variables, attributes, parameters, keywords, and short literal keys."""
    found: set[str] = set()
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name):
            found.add(inner.id)
        elif isinstance(inner, ast.Attribute):
            if inner.attr != "session" or dotted(inner.value).rpartition(".")[2] != "db":  # that of a database knows nobody
                found.add(inner.attr)
        elif isinstance(inner, ast.arg):
            found.add(inner.arg)
        elif isinstance(inner, ast.keyword):
            found.add(inner.arg or "")
        elif isinstance(inner, ast.Subscript):
            found.add((text(inner.slice) or "")[:40])
        elif isinstance(inner, ast.Call) and inner.args:
            key = text(inner.args[0]) or ""
            found.add(key[:40] if key.replace("-", "_").isidentifier() else "")
    return frozenset(found)


@dataclass(frozen=True, eq=False)
class View:
    """A function that answers requests."""

    node: Function
    module: Module
    path: str
    """The literal of its route, `""` when it stands elsewhere."""
    methods: frozenset[str]
    """HTTP methods that its decorators name; empty when they name none."""
    typed: bool
    """True when its parameters are made from the request by type (FastAPI)."""
    handed: frozenset[str]
    """Parameters whose values come out of the request as text."""
    owner: ast.ClassDef | None = None
    """The class whose method it is."""

    @property
    def title(self) -> str:
        """Its name, behind that of its class."""
        return f"{self.owner.name}.{self.node.name}" if self.owner is not None else self.node.name

    @cached_property
    def names(self) -> frozenset[str]:
        """Every name in it, its decorators and its parameters."""
        return names(self.node)

    @cached_property
    def guarded(self) -> bool:
        """True when anything in it is named like a question of who asks. What its own route, function and words are called is none."""
        return any(map(GUARD.search, self.names)) or (self.owner is not None and any(map(GUARD.search, _of_class(self.owner))))

    @cached_property
    def writes(self) -> bool:
        """True when it answers to a method that changes something."""
        if self.methods:
            return bool(self.methods & _WRITING)
        for inner in ast.walk(self.node):
            if (
                isinstance(inner, ast.Compare)
                and last(inner.left) == "method"
                and any(text(c) in _WRITING for c in _words(inner.comparators))
            ):
                return True
            if isinstance(inner, ast.Attribute) and inner.attr in ("POST", "post") and dotted(inner.value) in _REQUESTS:
                return True
        return False

    @cached_property
    def values(self) -> dict[str, list[ast.expr]]:
        """What each of its variables is assigned."""
        found: dict[str, list[ast.expr]] = {}
        for target, value in assigned(self.node):
            if isinstance(target, ast.Name):
                found.setdefault(target.id, []).append(value)
        return found

    @cached_property
    def bare(self) -> frozenset[str]:
        """Variables that are the whole of what the request holds, without a check: `data = request.get_json()`."""
        return frozenset(target.id for target, value in assigned(self.node) if isinstance(target, ast.Name) and self.is_request(value))

    @cached_property
    def bodies(self) -> frozenset[str]:
        """Those of `bare` that a visitor gives any structure."""
        return frozenset(t.id for t, value in assigned(self.node) if isinstance(t, ast.Name) and self.is_request(value, _BODIES))

    @cached_property
    def tainted(self) -> frozenset[str]:
        """Variables that hold something a visitor wrote, in any form."""
        known = set(self.handed)
        pairs = list(assigned(self.node))
        for _ in range(_ROUNDS):
            before = len(known)
            for target, value in pairs:
                if self._mentions(value, known):
                    known |= {inner.id for inner in ast.walk(target) if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store)}
            if len(known) == before:
                break
        return frozenset(known)

    def hostile(self, node: ast.AST | None) -> bool:
        """True when a visitor wrote what this expression holds, or part of it."""
        return node is not None and self._mentions(node, self.tainted)

    def is_request(self, node: ast.AST | None, held: frozenset[str] = _HELD) -> bool:
        """True for what the request holds as a whole: `request.form`, `await request.json()`, `request.POST.dict()`."""
        if isinstance(node, ast.Await):
            node = node.value
        if isinstance(node, ast.Call):
            if last(node) in ("dict", "to_dict", "copy") and isinstance(node.func, ast.Attribute) and not node.args:
                return self.is_request(node.func.value, held)
            if last(node) == "loads" and node.args:
                return self.is_request(node.args[0])
            node = node.func
        return isinstance(node, ast.Attribute) and node.attr in held and dotted(node.value) in _REQUESTS

    def _mentions(self, node: ast.AST, known: frozenset[str] | set[str]) -> bool:
        waiting = [node]
        while waiting:
            inner = waiting.pop()
            if isinstance(inner, ast.Name) and inner.id in known:
                return True
            if isinstance(inner, ast.Attribute) and inner.attr in _HELD and dotted(inner.value) in _REQUESTS:
                return True
            if isinstance(inner, ast.Call) and (last(inner) in _DECIDED or GUARD.search(last(inner))):
                continue  # a number; or who somebody is, which was asked there
            waiting.extend(ast.iter_child_nodes(inner))
        return False


def _of_class(owner: ast.ClassDef) -> Iterator[str]:
    """Names in the decorators, bases and settings of a class, and in what every request passes first."""
    for node in (*owner.decorator_list, *owner.bases):
        yield from names(node)
    for statement in owner.body:
        if isinstance(statement, ast.Assign) or (isinstance(statement, Function) and statement.name in ("dispatch", "prepare", "initial")):
            yield from names(statement)


def _words(nodes: Sequence[ast.expr]) -> Iterator[ast.expr]:
    for node in nodes:
        yield from node.elts if isinstance(node, ast.Tuple | ast.List | ast.Set) else (node,)


class Module:
    """A parsed file."""

    def __init__(self, path: str, tree: ast.Module) -> None:
        self.path = path
        self.tree = tree

    @cached_property
    def imports(self) -> frozenset[str]:
        """Packages that it imports, by their first name."""
        found: set[str] = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
        return frozenset(found)

    @cached_property
    def imported(self) -> frozenset[str]:
        """Names and modules that its imports name."""
        found: set[str] = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                found |= {alias.name for alias in node.names}
                found |= {node.module} if isinstance(node, ast.ImportFrom) and node.module else set()
        return frozenset(found)

    @cached_property
    def serves(self) -> bool:
        """True when it imports a package that handles requests."""
        return bool(self.imports & _SERVERS)

    @cached_property
    def makes_app(self) -> bool:
        """True when the application itself is made here, so that there is little of it elsewhere."""
        return any(last(call) in ("Flask", "FastAPI", "Quart", "Sanic", "Application", "Starlette") for call in calls(self.tree))

    @cached_property
    def functions(self) -> tuple[tuple[Function, ast.ClassDef | None], ...]:
        """Every function with the class whose method it is."""
        owner: dict[ast.AST, ast.ClassDef] = {}
        found: list[tuple[Function, ast.ClassDef | None]] = []
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ClassDef):
                owner |= dict.fromkeys(node.body, node)
            elif isinstance(node, Function):
                found.append((node, owner.get(node)))
        return tuple(found)

    @cached_property
    def called(self) -> frozenset[str]:
        """Names of the functions that are called in this file."""
        return frozenset(call.func.id for call in calls(self.tree) if isinstance(call.func, ast.Name))

    @cached_property
    def views(self) -> tuple[View, ...]:
        """Every function that answers requests, as far as this file tells."""
        if not self.serves:
            return ()
        found = (self._view(node, owner) for node, owner in self.functions)
        return tuple(view for view in found if view is not None)

    def _view(self, node: Function, owner: ast.ClassDef | None) -> View | None:
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        plain = [argument for argument in arguments if argument.arg not in ("self", "cls", "request", "req", "db", "session")]
        for decorator in node.decorator_list:
            if isinstance(decorator, ast.Call) and isinstance(decorator.func, ast.Attribute) and decorator.func.attr in _VERBS:
                route = text(decorator.args[0]) if decorator.args else text(keyword(decorator, "path") or keyword(decorator, "rule"))
                if route is not None and (route.startswith(("/", "<", "{")) or not route):
                    typed = "fastapi" in self.imports
                    handed = {a.arg for a in plain if _textual(a, route, typed=typed)}
                    return View(node, self, route, _methods(decorator), typed, frozenset(handed), owner)
        first = arguments[0].arg if arguments else ""
        if owner is not None:
            bases = " ".join(dotted(base) for base in owner.bases)
            if node.name in ("get", "post", "put", "patch", "delete") and re.search(r"View|Resource|Handler|Endpoint", bases):
                handed = {a.arg for a in plain if a.annotation is None}
                return View(node, self, "", frozenset({node.name.upper()}), False, frozenset(handed), owner)
            return None
        if node.name in self.called:
            return None  # a part of other views, which ask before
        if first == "request" or (arguments and last(arguments[0].annotation) in ("Request", "HttpRequest")):
            return View(node, self, "", frozenset(), False, frozenset(a.arg for a in plain if a.annotation is None and a.arg != first))
        if "flask" in self.imports and not node.decorator_list and _answers(node):
            return View(node, self, "", frozenset(), False, frozenset(a.arg for a in plain if a.annotation is None))
        return None


def _textual(argument: ast.arg, route: str, *, typed: bool) -> bool:
    if typed:
        return last(argument.annotation) in ("str", "Optional", "") and "Depends" not in ast.dump(argument)
    return not re.search(r"<(?:int|float|uuid):" + re.escape(argument.arg) + ">", route)


def _methods(decorator: ast.Call) -> frozenset[str]:
    verb = last(decorator)
    if verb in ("route", "api_route", "view"):
        named = keyword(decorator, "methods")
        words = {text(word) or "" for word in named.elts} if isinstance(named, ast.List | ast.Tuple | ast.Set) else set()
        return frozenset(word.upper() for word in words) if words else frozenset({"GET"})
    return frozenset({verb.upper()})


def _answers(node: Function) -> bool:
    """True when it gives back what only a view gives back."""
    made = {t.id for t, v in assigned(node) if isinstance(t, ast.Name) and isinstance(v, ast.Call) and last(v) in _ANSWERS}
    for inner in ast.walk(node):
        if isinstance(inner, ast.Return) and inner.value is not None:
            value = inner.value.elts[0] if isinstance(inner.value, ast.Tuple) and inner.value.elts else inner.value
            if (isinstance(value, ast.Call) and last(value) in _ANSWERS) or (isinstance(value, ast.Name) and value.id in made):
                return True
    return False


_ANSWERS = frozenset({"jsonify", "Response", "make_response", "render_template", "redirect", "send_file", "render_template_string"})


def parse(path: str, content: bytes) -> Module | None:
    """The module, or None for what our interpreter does not read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in the scanned file are none of ours
            return Module(path, ast.parse(content))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
