"""What visitors are told: texts of errors, passwords and card numbers."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from pipeline.frameworks.hits import Hit
from pipeline.frameworks.python import Module, View, assigned, calls, dotted, last, text

_BROAD = frozenset({"Exception", "BaseException", "SQLAlchemyError", "DatabaseError", "OperationalError", "ProgrammingError", "Error"})
_RESPONSES = frozenset(
    [
        "jsonify",
        "Response",
        "make_response",
        "render_template",
        "render_template_string",
        "HttpResponse",
        "HttpResponseServerError",
        "JsonResponse",
        "JSONResponse",
        "HTMLResponse",
        "PlainTextResponse",
        "HTTPException",
        "HttpResponseBadRequest",
        "json_response",
        "HTTPInternalServerError",
        "HTTPBadRequest",
        "abort",
        "render",
        "TemplateResponse",
        "dumps",
        "flash",
    ]
)
_TEXT = frozenset({"format_exc", "format_exception", "format_tb", "print_exc_text"})
_NEVER_SENT = re.compile(
    r"(^|_)(password|passwd|password_hash|pwd_hash|pwd|cvv|cvc|ccn|card_number|credit_card(_number)?|ssn)$", re.IGNORECASE
)


def error_disclosure(module: Module) -> Iterator[Hit]:
    """`except Exception as e: return jsonify(str(e))`: the text of whatever went wrong is the answer."""
    for view in module.views:
        for handler in (inner for inner in ast.walk(view.node) if isinstance(inner, ast.ExceptHandler)):
            if not _is_broad(handler):
                continue
            told = _told(handler)
            if told is not None:
                yield Hit("python.error-disclosure", told)


def _is_broad(handler: ast.ExceptHandler) -> bool:
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(kind is None or last(kind) in _BROAD for kind in kinds)


def _told(handler: ast.ExceptHandler) -> ast.AST | None:
    held = {handler.name} if handler.name else set[str]()
    for target, value in assigned(handler):
        if isinstance(target, ast.Name) and _carries(value, held):
            held.add(target.id)
    for inner in ast.walk(handler):
        if isinstance(inner, ast.Return) and inner.value is not None and _carries(inner.value, held):
            return inner
        if (
            isinstance(inner, ast.Raise)
            and isinstance(inner.exc, ast.Call)
            and last(inner.exc) == "HTTPException"
            and _carries(inner.exc, held)
        ):
            return inner
    return None


def _carries(node: ast.AST, held: set[str]) -> bool:
    """True when the text of the error, or its trace, is in it; a test of its kind, or its status, is none of it."""
    waiting = [node]
    while waiting:
        inner = waiting.pop()
        if isinstance(inner, ast.Call):
            name = last(inner)
            if name in _TEXT:
                return True
            if name in ("isinstance", "type", "get_json_error", "error_response", "handle_error", "log"):
                continue
            if name in ("str", "repr", "format") and any(isinstance(a, ast.Name) and a.id in held for a in inner.args):
                return True
            waiting.extend([*inner.args, *(word.value for word in inner.keywords)])
            if isinstance(inner.func, ast.Attribute):
                waiting.append(inner.func.value)
            continue
        if isinstance(inner, ast.Attribute):
            if (
                inner.attr in ("message", "args", "msg", "orig", "__dict__")
                and isinstance(inner.value, ast.Name)
                and inner.value.id in held
            ):
                return True
            continue
        if isinstance(inner, ast.FormattedValue) and isinstance(inner.value, ast.Name) and inner.value.id in held:
            return True
        if isinstance(inner, ast.Name) and inner.id in held and inner is node:
            return True
        if isinstance(inner, ast.BinOp) and isinstance(inner.op, ast.Mod) and any(_named(inner.right, held)):
            return True
        if isinstance(inner, ast.Name) and inner.id in held:
            return True
        waiting.extend(ast.iter_child_nodes(inner))
    return False


def _named(node: ast.AST, held: set[str]) -> Iterator[bool]:
    for inner in ast.walk(node):
        yield isinstance(inner, ast.Name) and inner.id in held


def private_field_in_response(module: Module) -> Iterator[Hit]:
    """A dictionary that a view answers with, and a password, its hash, a card number in it."""
    for view in module.views:
        answered = _answered(view)
        for inner in ast.walk(view.node):
            if isinstance(inner, ast.Dict) and id(inner) in answered:
                for key, value in zip(inner.keys, inner.values, strict=True):
                    if (
                        isinstance(value, ast.Attribute)
                        and _NEVER_SENT.search(value.attr)
                        and text(key) is not None
                        and not _of_request(value)
                    ):
                        yield Hit("python.private-field-in-response", value, detail=f"`{value.attr}`")


def _of_request(node: ast.Attribute) -> bool:
    return dotted(node).split(".")[0] in ("request", "self", "settings", "config", "app", "form", "cls", "args", "os")


def _answered(view: View) -> set[int]:
    """Ids of the dictionaries that end in an answer: written there, or held by a variable that does."""
    ends: list[ast.AST] = []
    for inner in ast.walk(view.node):
        if isinstance(inner, ast.Return) and inner.value is not None:
            ends.append(inner.value)
        elif isinstance(inner, ast.Call) and last(inner) in _RESPONSES - {"render", "render_template", "flash"}:
            ends.extend(inner.args)
    sent = {n.id for end in ends for n in ast.walk(end) if isinstance(n, ast.Name)}
    return _dictionaries(ends) | _dictionaries([v for t, v in assigned(view.node) if isinstance(t, ast.Name) and t.id in sent])


def _dictionaries(nodes: list[ast.AST] | list[ast.expr]) -> set[int]:
    """Ids of those that are not handed to something that is no answer, such as the claims of a token."""
    elsewhere = {
        id(part)
        for node in nodes
        for call in calls(node)
        if last(call) not in _RESPONSES
        for argument in call.args
        if isinstance(argument, ast.Dict | ast.List | ast.Tuple)
        for part in ast.walk(argument)
    }
    return {id(inner) for node in nodes for inner in ast.walk(node) if isinstance(inner, ast.Dict)} - elsewhere
