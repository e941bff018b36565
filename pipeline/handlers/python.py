"""The Python function around a finding: its parameters, what of them reaches the flagged call, and how a request gets to it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import libcst as cst

from pipeline.model.finding import Finding
from pipeline.ports import SourceFiles
from pipeline.rewriting.python.code import Code, parse
from pipeline.rewriting.source import open_source

AREAS = frozenset({"args", "form", "values", "json", "headers", "cookies", "files", "GET", "POST", "FILES", "COOKIES", "query_params"})
"""Where frameworks keep what a request brought, by key."""

BODIES = frozenset({"data", "body", "get_data", "stream"})
"""Where they keep the whole body."""

_ADDS = frozenset({"append", "extend", "insert", "add", "update", "write"})
_METHODS = frozenset({"get", "post", "put", "patch", "delete"})
_IDENTIFIERS = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of the function."""

    name: str
    annotation: str
    required: bool
    keyword: bool
    """True when it can only be passed by name."""


@dataclass(frozen=True, slots=True)
class Input:
    """One value of a request that the function reads: `request.args["name"]` is area `args`, key `name`; the key may be empty."""

    area: str
    key: str


@dataclass(frozen=True, slots=True)
class Route:
    """A Flask route."""

    rule: str
    method: str
    app: str
    """Name of what the decorator hangs on, as the module calls it."""
    factory: str
    """Name of the function that makes the application and holds the route; else empty."""
    blueprint: bool


@dataclass(slots=True)
class Handler:
    """A function of the repository that a test can call."""

    code: Code
    call: cst.CSTNode
    """The flagged call, or the statement where no call is meant."""
    function: cst.FunctionDef
    module: str
    """Dotted name under which a test imports it."""
    owner: str
    """The class of a method; else empty."""
    bound: bool
    """True when the method wants an object."""
    parameters: tuple[Parameter, ...]
    flow: frozenset[str]
    """Names of which the value may reach the arguments of the flagged call."""
    inputs: tuple[Input, ...]
    route: Route | None
    texts: str = field(default="")
    """Source of the function."""

    @property
    def name(self) -> str:
        """Its name."""
        return self.function.name.value

    @property
    def tainted(self) -> tuple[Parameter, ...]:
        """The parameters that may reach the flagged call."""
        return tuple(p for p in self.parameters if p.name in self.flow)

    @property
    def coroutine(self) -> bool:
        """True for an `async def`."""
        return self.function.asynchronous is not None

    @property
    def yields(self) -> bool:
        """True for a generator: nothing of it runs before somebody asks for values."""
        return any(self.code.block(node) is self.function for node in self.code.all(cst.Yield, self.function))


def find_handler(finding: Finding, files: SourceFiles) -> Handler | None:
    """The function around a finding, None when a test could not import and call it."""
    path = finding.location.path
    source = open_source(path, files.read(path))
    code = parse(source) if source is not None else None
    if code is None:
        return None
    call: cst.CSTNode | None = flagged_call(code, finding) or next(
        iter(code.near(finding.location, cst.BaseSmallStatement, lambda _: True)),
        None,
    )
    module = module_name(path, files.paths())
    if call is None or not module:
        return None
    functions = [node for node in code.ancestors(call) if isinstance(node, cst.FunctionDef)]
    if not functions:
        return None
    chosen = next((f for f in functions if _decorator(f) is not None), functions[-1])
    outer = functions[functions.index(chosen) + 1 :]
    route = _route(code, chosen, outer)
    if outer and route is None:
        return None
    owner = next((node for node in code.ancestors(chosen) if isinstance(node, cst.ClassDef | cst.FunctionDef)), None)
    klass = owner.name.value if isinstance(owner, cst.ClassDef) else ""
    if isinstance(owner, cst.ClassDef) and not any(owner is node for node in code.module.body):
        return None
    marks = {code.qualified(d.decorator) for d in chosen.decorators}
    if "property" in marks:
        return None
    bound = bool(klass) and not marks & {"staticmethod", "classmethod"}
    parameters = _parameters(code, chosen)
    if klass and "staticmethod" not in marks:
        parameters = parameters[1:]
    flow = _flow(code, call, chosen)
    inputs = tuple(_inputs(code, chosen))
    return Handler(code, call, chosen, module, klass, bound, parameters, flow, inputs, route, code.text(chosen))


def flagged_call(code: Code, finding: Finding) -> cst.Call | None:
    """The call that a finding means: the smallest one around its place, else the first that begins on its lines."""
    start, end = code.source.range_of(finding.location)
    text = code.source.data[start:end]
    start, end = start + len(text) - len(text.lstrip()), end - (len(text) - len(text.rstrip()))
    around = [call for call in code.all(cst.Call) if call.args and code.span(call)[0] <= start and end <= code.span(call)[1]]
    if around:
        return min(around, key=lambda call: code.span(call)[1] - code.span(call)[0])
    inside = code.near(finding.location, cst.Call, lambda call: bool(call.args))
    return max(inside, key=lambda call: code.span(call)[1] - code.span(call)[0], default=None)


def module_name(path: str, paths: Sequence[str]) -> str:
    """The dotted name by which a test in the repository imports a file, `""` when there is none."""
    if not path.endswith(".py"):
        return ""
    parts = path[: -len(".py")].split("/")
    for top in ("src", "lib"):
        if parts[0] == top and len(parts) > 1 and f"{top}/__init__.py" not in paths:
            parts = parts[1:]
            break
    if len(parts) > 1 and parts[-1] == "__init__":
        parts = parts[:-1]
    if not all(_IDENTIFIERS.fullmatch(part) for part in parts) or parts[-1] in ("__main__", "setup", "conftest"):
        return ""
    return ".".join(parts)


# --- signature ------------------------------------------------------------------------------------------------------------------------


def _parameters(code: Code, function: cst.FunctionDef) -> tuple[Parameter, ...]:
    params = function.params
    listed = [(param, False) for param in (*params.posonly_params, *params.params)] + [(param, True) for param in params.kwonly_params]
    return tuple(
        Parameter(param.name.value, code.text(param.annotation.annotation) if param.annotation else "", param.default is None, keyword)
        for param, keyword in listed
    )


def _flow(code: Code, call: cst.CSTNode, function: cst.FunctionDef) -> frozenset[str]:
    """Names that may reach the arguments of a call: through assignments, loops, `with`, and lists that are filled."""
    seen: set[str] = set()
    waiting = [n for arg in call.args for n in _names(code, arg.value)] if isinstance(call, cst.Call) else _names(code, call)
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        for binding in code.bindings(name, function):
            waiting += _origin(code, binding)
        for filling in code.all(cst.Call, function):
            if isinstance(filling.func, cst.Attribute) and filling.func.attr.value in _ADDS and code.inner(filling.func.value) == name:
                waiting += [n for arg in filling.args for n in _names(code, arg.value)]
    return frozenset(seen)


def _names(code: Code, node: cst.CSTNode) -> list[str]:
    found = [n.value for n in code.all(cst.Name, node)]
    return [node.value, *found] if isinstance(node, cst.Name) else found


def _origin(code: Code, binding: cst.CSTNode) -> list[str]:
    for around in code.ancestors(binding):
        value: cst.CSTNode | None = None
        if isinstance(around, cst.Assign | cst.AnnAssign | cst.AugAssign | cst.NamedExpr):
            value = around.value
        elif isinstance(around, cst.For | cst.CompFor):
            value = around.iter
        elif isinstance(around, cst.WithItem):
            value = around.item
        elif isinstance(around, cst.FunctionDef | cst.Lambda | cst.SimpleStatementLine):
            return []
        if value is not None:
            return _names(code, value)
    return []


# --- requests -------------------------------------------------------------------------------------------------------------------------


def _inputs(code: Code, function: cst.FunctionDef) -> Iterator[Input]:
    seen: set[Input] = set()
    for node in (*code.all(cst.Subscript, function), *code.all(cst.Call, function), *code.all(cst.Attribute, function)):
        found = _input(code, node)
        if found is not None and found not in seen:
            seen.add(found)
            yield found


def _input(code: Code, node: cst.CSTNode) -> Input | None:
    if isinstance(node, cst.Subscript):
        area = _area(code, node.value)
        key = node.slice[0].slice if len(node.slice) == 1 else None
        return Input(area, _literal(key.value)) if area and isinstance(key, cst.Index) else None
    if isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute) and node.func.attr.value in ("get", "pop", "getlist"):
        area = _area(code, node.func.value)
        return Input(area, _literal(node.args[0].value)) if area and node.args else None
    if isinstance(node, cst.Attribute) and node.attr.value in BODIES and code.inner(node.value) in ("request", "flask.request"):
        return Input("data", "")
    if isinstance(node, cst.Attribute) and node.attr.value in AREAS and code.inner(node.value) in ("request", "flask.request"):
        parent = code.parent(node)
        loops = isinstance(parent, cst.Attribute) and parent.attr.value in ("items", "values", "to_dict")
        return Input(node.attr.value, "name") if loops else None
    return None


def _area(code: Code, node: cst.BaseExpression) -> str:
    """`args` for `request.args`, and for a name that stands for it."""
    if isinstance(node, cst.Name):
        value = code.assignment(node.value, node)
        return _area(code, value) if value is not None and not isinstance(value, cst.Name) else ""
    if isinstance(node, cst.BooleanOperation):
        return _area(code, node.left)
    if isinstance(node, cst.Call):
        return "json" if isinstance(node.func, cst.Attribute) and node.func.attr.value == "get_json" else ""
    if (
        isinstance(node, cst.Attribute)
        and node.attr.value in AREAS
        and code.inner(node.value) in ("request", "flask.request", "self.request")
    ):
        return node.attr.value
    return ""


def _literal(node: cst.BaseExpression) -> str:
    value = node.evaluated_value if isinstance(node, cst.SimpleString) else ""
    return value if isinstance(value, str) else ""


def _decorator(function: cst.FunctionDef) -> cst.Call | None:
    """The decorator that makes a function a route of Flask's kind."""
    for mark in function.decorators:
        call = mark.decorator
        if not isinstance(call, cst.Call) or not isinstance(call.func, cst.Attribute) or not isinstance(call.func.value, cst.Name):
            continue
        if call.args and call.func.attr.value in {"route", *_METHODS} and _literal(call.args[0].value).startswith("/"):
            return call
    return None


def _route(code: Code, function: cst.FunctionDef, outer: Sequence[cst.FunctionDef]) -> Route | None:
    call = _decorator(function)
    if call is None or not isinstance(call.func, cst.Attribute) or not isinstance(call.func.value, cst.Name):
        return None
    app = call.func.value.value
    maker = next((node for node in code.all(cst.Call) if _assigned_to(code, node) == app), None)
    callee = code.callee(maker) if maker is not None else ""
    if callee not in ("flask.Flask", "flask.Blueprint"):
        return None
    if len(outer) > 1 or (outer and (outer[0].params.params or callee != "flask.Flask")):
        return None
    listed = next((arg.value for arg in call.args if arg.keyword is not None and arg.keyword.value == "methods"), None)
    methods = [_literal(e.value).upper() for e in listed.elements] if isinstance(listed, cst.List | cst.Tuple) else []
    method = call.func.attr.value.upper() if call.func.attr.value in _METHODS else (methods[0] if methods else "GET")
    areas = {found.area for found in _inputs(code, function)}
    if "POST" in methods and areas & {"form", "json", "files", "data", "values"}:
        method = "POST"
    factory = outer[0].name.value if outer else ""
    return Route(_literal(call.args[0].value), method, app, factory, callee == "flask.Blueprint")


def _assigned_to(code: Code, value: cst.CSTNode) -> str:
    parent = code.parent(value)
    if isinstance(parent, cst.Assign) and len(parent.targets) == 1 and isinstance(parent.targets[0].target, cst.Name):
        return parent.targets[0].target.value
    return ""


# --- where a value comes from ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Root:
    """What a chain such as `get_db().cursor().execute` begins with."""

    kind: str
    """`parameter`, `module` (a name at the top of the file) or `object` (`self`)."""
    name: str


def root_of(handler: Handler, node: cst.BaseExpression) -> Root | None:
    """Follow a chain of attributes and calls, and local names, down to what a test can replace."""
    code = handler.code
    for _ in range(20):
        if isinstance(node, cst.Attribute | cst.Subscript):
            node = node.value
        elif isinstance(node, cst.Await):
            node = node.expression
        elif isinstance(node, cst.Call):
            closing = isinstance(node.func, cst.Name) and node.func.value in ("closing", "iter", "next") and node.args
            node = node.args[0].value if closing else node.func
        elif isinstance(node, cst.Name):
            name = node.value
            if any(p.name == name for p in handler.parameters):
                return Root("parameter", name)
            if handler.bound and name == "self":
                return Root("object", name)
            bindings = code.bindings(name, handler.function)
            if not bindings:
                known = name in code.imports or bool(code.bindings(name, code.module)) or _defined(code, name)
                return Root("module", name) if known else None
            value = _value(code, bindings[-1])
            if value is None:
                return None
            node = value
        else:
            return None
    return None


def _value(code: Code, binding: cst.CSTNode) -> cst.BaseExpression | None:
    for around in code.ancestors(binding):
        if isinstance(around, cst.Assign | cst.AnnAssign | cst.NamedExpr):
            return around.value
        if isinstance(around, cst.WithItem):
            return around.item
        if isinstance(around, cst.For):
            return around.iter
        if isinstance(around, cst.SimpleStatementLine):
            return None
    return None


def _defined(code: Code, name: str) -> bool:
    return any(isinstance(node, cst.FunctionDef | cst.ClassDef) and node.name.value == name for node in code.module.body)


def settings_of(handler: Handler) -> tuple[str, ...]:
    """Names at the top of the file that hold a text or a path and reach the flagged call: folders, mostly."""
    code, found = handler.code, []
    for name in sorted(handler.flow):
        if code.bindings(name, handler.function) or not code.bindings(name, code.module):
            continue
        value = code.assignment(name, code.module.body[0]) if code.module.body else None
        if isinstance(value, cst.SimpleString | cst.ConcatenatedString | cst.Call | cst.BinaryOperation):
            found.append(name)
    return tuple(found)


def own_attributes(handler: Handler) -> list[str]:
    """The attributes of `self` that stand in the arguments of the flagged call, or in the texts that it is given."""
    found = []
    for node in handler.code.all(cst.Attribute, handler.function):
        parent = handler.code.parent(node)
        called = isinstance(parent, cst.Call) and parent.func is node
        chained = isinstance(parent, cst.Attribute)
        if isinstance(node.value, cst.Name) and node.value.value == "self" and not called and not chained:
            found.append(node.attr.value)
    return sorted(set(found))
