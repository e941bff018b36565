"""Request data where it decides what runs: code, names of functions, filters of document stores, expressions that take for ever."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator

from pipeline.frameworks.hits import Hit
from pipeline.frameworks.python import Module, View, calls, dotted, is_constant, last, text
from pipeline.frameworks.repetition import blows_up

_FILTERS = frozenset(
    [
        "find",
        "find_one",
        "find_one_and_update",
        "find_one_and_delete",
        "delete_one",
        "delete_many",
        "update_one",
        "update_many",
        "replace_one",
        "count_documents",
    ]
)
_MATCHERS = frozenset({"match", "search", "fullmatch", "findall", "finditer", "sub", "split"})
_STORES = frozenset(["pymongo", "motor", "flask_pymongo", "montydb", "mongoengine", "mongomock", "beanie", "bson"])


def code_injection(module: Module) -> Iterator[Hit]:
    """`eval` and `exec` of what a visitor wrote."""
    for view in module.views:
        for call in calls(view.node):
            if isinstance(call.func, ast.Name) and call.func.id in ("eval", "exec") and call.args and view.hostile(call.args[0]):
                yield Hit("python.code-injection", call)


def name_from_request(module: Module) -> Iterator[Hit]:
    """`globals()[name]`, `importlib.import_module(name)` with a name out of the request."""
    for view in module.views:
        for inner in ast.walk(view.node):
            key: ast.AST | None = None
            if isinstance(inner, ast.Subscript) and _is_names(inner.value):
                key = inner.slice
            elif isinstance(inner, ast.Call) and inner.args:
                func = inner.func
                if (isinstance(func, ast.Attribute) and func.attr == "get" and _is_names(func.value)) or dotted(func) in (
                    "importlib.import_module",
                    "import_module",
                    "__import__",
                ):
                    key = inner.args[0]
            if key is not None and view.hostile(key):
                yield Hit("python.name-from-request", inner)


def _is_names(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("globals", "locals") and not node.args


_ADDRESS_CHECKS = re.compile(
    r"allow|white_?list|block_?list|is_safe|safe_url|valid|private|ip_?address|hostname|netloc|is_global|trusted", re.IGNORECASE
)
_CLIENTS = frozenset({"requests", "httpx", "urllib", "urllib2", "aiohttp", "session", "client", "http", "urllib3", "pool", "s"})
_FETCHES = frozenset({"get", "post", "put", "patch", "delete", "head", "request", "urlopen", "urlretrieve", "stream"})


def server_side_request(module: Module) -> Iterator[Hit]:
    """The request gives the address that the server then asks: where it begins with what a visitor wrote, and nobody looks at it."""
    if not module.imports & {"requests", "httpx", "urllib", "urllib2", "aiohttp", "urllib3"}:
        return
    for view in module.views:
        if any(map(_ADDRESS_CHECKS.search, view.names)):
            continue
        for call in calls(view.node):
            name = dotted(call.func)
            known = name in ("urlopen", "urlretrieve") or name.partition(".")[0] in _CLIENTS
            if known and last(call) in _FETCHES and not name.startswith(("client.", "session.", "s.")) and call.args:
                address = call.args[1] if last(call) in ("request", "stream") and len(call.args) > 1 else call.args[0]
                if _begins_hostile(view, address):
                    yield Hit("python.server-side-request", call)


def _begins_hostile(view: View, node: ast.expr) -> bool:
    """True when the first character of this text is one that a visitor wrote."""
    if isinstance(node, ast.JoinedStr) and node.values:
        first = node.values[0]
        return isinstance(first, ast.FormattedValue) and _begins_hostile(view, first.value)
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, ast.Add) and _begins_hostile(view, node.left)
    if isinstance(node, ast.Name):
        values = view.values.get(node.id, [])
        return view.hostile(node) and (not values or any(_whole(view, value) for value in values))
    return _whole(view, node)


def _whole(view: View, node: ast.expr) -> bool:
    """True for one item of the request as it came."""
    if isinstance(node, ast.Call) and last(node) in ("strip", "str", "unquote") and (node.args or isinstance(node.func, ast.Attribute)):
        inner = node.args[0] if node.args else node.func.value if isinstance(node.func, ast.Attribute) else node
        return inner is not node and _whole(view, inner)
    holder: ast.AST | None = node.value if isinstance(node, ast.Subscript) else None
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get":
        holder = node.func.value
    return holder is not None and (view.is_request(holder) or (isinstance(holder, ast.Name) and holder.id in view.bare))


def nosql_injection(module: Module) -> Iterator[Hit]:
    """A structure out of the body becomes the filter of a document store, here or in a function of this file that hands it on."""
    if not module.imports & _STORES:
        return
    handing = {node.name: {a.arg for a in node.args.args} & set(_filtered(node)) for node, _ in module.functions}
    order = {node.name: [a.arg for a in node.args.args] for node, _ in module.functions}
    for view in module.views:
        for call in calls(view.node):
            wanted: list[ast.expr] = []
            if isinstance(call.func, ast.Attribute) and call.func.attr in _FILTERS:
                wanted = call.args[:1]
            elif isinstance(call.func, ast.Name) and handing.get(call.func.id):
                wanted = [a for name, a in zip(order[call.func.id], call.args, strict=False) if name in handing[call.func.id]]
            if any(_structured(view, node) for node in wanted):
                yield Hit("python.nosql-injection", call)


def _filtered(node: ast.AST) -> Iterator[str]:
    for call in calls(node):
        if isinstance(call.func, ast.Attribute) and call.func.attr in _FILTERS and call.args and isinstance(call.args[0], ast.Name):
            yield call.args[0].id


def _structured(view: View, node: ast.expr) -> bool:
    """The body as a whole; or a filter of ours with an item of it, which may be `{"$ne": ""}`."""
    if (isinstance(node, ast.Name) and node.id in view.bodies) or _is_body(view, node):
        return True
    if isinstance(node, ast.Dict):
        return any(_item(view, value) for value in node.values)
    return False


def _is_body(view: View, node: ast.AST) -> bool:
    return view.is_request(node, frozenset({"json", "get_json", "json_body"}))


def _item(view: View, node: ast.expr) -> bool:
    holder: ast.AST | None = None
    if isinstance(node, ast.Subscript):
        holder = node.value
    elif isinstance(node, ast.Call) and last(node) == "get" and isinstance(node.func, ast.Attribute):
        holder = node.func.value
    return holder is not None and (_is_body(view, holder) or (isinstance(holder, ast.Name) and holder.id in view.bodies))


def regex_blowup(module: Module) -> Iterator[Hit]:
    """An expression with a repetition inside a repetition that fits one text in many ways, on what a visitor sends."""
    for view in module.views:
        for call in calls(view.node):
            if dotted(call.func) in {f"re.{name}" for name in _MATCHERS} and len(call.args) >= 2:
                subject = call.args[2] if last(call) == "sub" and len(call.args) > 2 else call.args[1]
                pattern = text(call.args[0])
                if pattern and view.hostile(subject) and _slow(pattern):
                    yield Hit("python.regex-blowup", call)


@functools.lru_cache(maxsize=256)
def _slow(pattern: str) -> bool:
    return len(pattern) < 2_000 and re.search(r"[+*}]\)?[^()]*\)[+*{]", pattern) is not None and blows_up(pattern)


def debug_mode(module: Module) -> Iterator[Hit]:
    """`FastAPI(debug=True)` and aiohttp's `Application(debug=True)`: traces for visitors. Flask has a rule of its own."""
    makers = {name for name in ("FastAPI", "Starlette") if module.imports & {"fastapi", "starlette"}}
    makers |= {"Application"} if module.imports & {"aiohttp"} else set()
    for call in calls(module.tree):
        if last(call) in makers and any(word.arg == "debug" and is_constant(word.value, True) for word in call.keywords):
            yield Hit("python.debug-mode", next(word.value for word in call.keywords if word.arg == "debug"))
