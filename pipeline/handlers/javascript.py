"""The JavaScript function around a finding: how a test gets hold of it, and what of a request or of its parameters it reads."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass

from tree_sitter import Node

from pipeline.model.finding import Finding
from pipeline.ports import SourceFiles
from pipeline.rewriting.javascript.code import FUNCTIONS, Code, ancestors, arguments, parse
from pipeline.rewriting.source import open_source

AREAS = frozenset({"query", "body", "params", "headers", "cookies"})
"""Where Express keeps what a request brought, by key."""

_VERBS = frozenset({"get", "post", "put", "patch", "delete", "all"})
_NAME = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")
_NAMES = frozenset({"identifier", "shorthand_property_identifier"})


@dataclass(frozen=True, slots=True)
class Handler:
    """A function of the repository that a test can call."""

    code: Code
    call: Node
    """The flagged call, or the statement where there is none."""
    function: Node
    name: str
    """What people call it: its name, or `GET /users`."""
    reach: str
    """`route`, `server` (node's http), `export`, `default` or `method`."""
    verb: str
    path: str
    """Of a route."""
    owner: str
    """The class of a method."""
    parameters: tuple[str, ...]
    """Names, empty for one that is a pattern."""
    flow: frozenset[str]
    inputs: tuple[tuple[str, str], ...]
    """Area and key of what it reads of a request."""
    module: bool
    """True for an ECMAScript module."""

    @property
    def tainted(self) -> tuple[str, ...]:
        """The parameters that may reach the flagged call."""
        return tuple(name for name in self.parameters if name in self.flow)

    @property
    def text(self) -> str:
        """Source of the function."""
        return self.code.text(self.function)


def find_handler(finding: Finding, files: SourceFiles) -> Handler | None:
    """The function around a finding; None when a test could not load the file and call it: TypeScript, or nothing that is exported."""
    path = finding.location.path
    if not path.endswith((".js", ".cjs", ".mjs")):
        return None
    source = open_source(path, files.read(path))
    code = parse(source) if source is not None else None
    if code is None:
        return None
    call = flagged_call(code, finding)
    functions = [node for node in ancestors(call) if node.type in FUNCTIONS] if call is not None else []
    if call is None or not functions:
        return None
    for function in functions:
        found = _reached(code, function)
        if found is None:
            continue
        name, reach, verb, where, owner = found
        parameters = tuple(_parameters(code, function))
        inputs = tuple(_inputs(code, function, parameters[0] if parameters and reach in ("route", "server") else "req"))
        flow = _flow(code, call, function)
        return Handler(code, call, function, name, reach, verb, where, owner, parameters, flow, inputs, code.module_style)
    return None


def flagged_call(code: Code, finding: Finding) -> Node | None:
    """The call (or assignment, for a property that is set) that a finding means."""
    start, end = code.source.range_of(finding.location)
    text = code.source.data[start:end]
    start, end = start + len(text) - len(text.lstrip()), end - (len(text) - len(text.rstrip()))
    calls = [node for node in code.all({"call_expression"}) if arguments(node)]
    around = [node for node in calls if node.start_byte <= start and end <= node.end_byte]
    if around:
        smallest = min(around, key=lambda node: node.end_byte - node.start_byte)
        if not _is_route(code, smallest):
            return smallest
    inside = [
        node for node in code.near(finding.location, {"call_expression"}, lambda node: bool(arguments(node))) if not _is_route(code, node)
    ]
    found = max(inside, key=lambda node: node.end_byte - node.start_byte, default=None)
    sets = code.near(finding.location, {"assignment_expression", "augmented_assignment_expression"}, lambda _: True)
    return next((node for node in sets if found is None or node.start_byte <= found.start_byte < node.end_byte), found)


def given_to(node: Node) -> list[Node]:
    """The arguments of a call, or what is assigned."""
    if node.type == "call_expression":
        return arguments(node)
    right = node.child_by_field_name("right")
    return [right] if right is not None else []


def relative_import(test: str, path: str) -> str:
    """How a test file imports another one."""
    found = posixpath.relpath(path, posixpath.dirname(test) or ".")
    return found if found.startswith(".") else f"./{found}"


# --- how it is reached ----------------------------------------------------------------------------------------------------------------


def _is_route(code: Code, call: Node) -> bool:
    args = arguments(call)
    return code.method(call) in _VERBS and len(args) > 1 and args[0].type == "string" and code.text(args[0])[1:2] == "/"


def _reached(code: Code, function: Node) -> tuple[str, str, str, str, str] | None:
    name = _name(code, function)
    for call in code.all({"call_expression"}):
        given = arguments(call)
        if not any(arg == function or (name and arg.type == "identifier" and code.text(arg) == name) for arg in given):
            continue
        if _is_route(code, call):
            verb, path = code.method(call), code.text(given[0])[1:-1]
            return f"{verb.upper()} {path}", "route", verb, path, ""
        if code.method(call) == "createServer":
            return name or "the server", "server", "", "", ""
    if function.type == "method_definition":
        owner = next((node for node in ancestors(function) if node.type in ("class_declaration", "class")), None)
        label = owner.child_by_field_name("name") if owner is not None else None
        if owner is None or label is None or name in ("constructor", "") or not _exported(code, code.text(label)):
            return None
        static = code.text(function).startswith("static ")
        return name, "method", "static" if static else "", "", code.text(label)
    if function.parent is not None and function.parent.type == "assignment_expression":
        left = function.parent.child_by_field_name("left")
        target = code.text(left) if left is not None else ""
        found = re.fullmatch(r"(?:module\.)?exports\.([A-Za-z_$][\w$]*)", target)
        if found:
            return found[1], "export", "", "", ""
        return ("the module", "default", "", "", "") if target == "module.exports" else None
    if not name or code.function(function) != code.root:
        return None
    how = _exported(code, name)
    return (name, how, "", "", "") if how else None


def _name(code: Code, function: Node) -> str:
    label = function.child_by_field_name("name")
    if label is None and function.parent is not None and function.parent.type in ("variable_declarator", "pair"):
        label = function.parent.child_by_field_name("name" if function.parent.type == "variable_declarator" else "key")
    text = code.text(label) if label is not None else ""
    return text if _NAME.fullmatch(text) else ""


def _exported(code: Code, name: str) -> str:
    """`export` when a test can take it by its name, `default` when it is the whole module, else empty."""
    quoted, text = re.escape(name), code.source.text
    if re.search(rf"\bmodule\.exports\s*=\s*{quoted}\s*(?:;|$)", text, re.MULTILINE) or re.search(
        rf"\bexport\s+default\s+(?:async\s+)?(?:function\s+|class\s+)?{quoted}\b", text
    ):
        return "default"
    for node in code.all({"export_statement", "assignment_expression"}):
        if node.type == "export_statement":
            declared = re.match(r"export\s+(?:async\s+)?(?:function\*?|class|const|let|var)\s+([\w$]+)", code.text(node))
            if (declared and declared[1] == name) or re.match(rf"export\s*\{{[^}}]*\b{quoted}\b(?!\s+as\b)[^}}]*\}}", code.text(node)):
                return "export"
            continue
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        target = code.text(left) if left is not None else ""
        if re.fullmatch(rf"(?:module\.)?exports\.{quoted}", target):
            return "export"
        if target == "module.exports" and right is not None and right.type == "object":
            for part in right.named_children:
                key = part.child_by_field_name("key") if part.type == "pair" else part
                if key is not None and code.text(key).partition("(")[0].split(" ")[-1] == name:
                    return "export"
    return ""


# --- what it reads --------------------------------------------------------------------------------------------------------------------


def _parameters(code: Code, function: Node) -> Iterator[str]:
    alone = function.child_by_field_name("parameter")
    listed = function.child_by_field_name("parameters")
    for node in [alone] if alone is not None else listed.named_children if listed is not None else []:
        inner = node.child_by_field_name("left") if node.type == "assignment_pattern" else node
        yield code.text(inner) if inner is not None and inner.type == "identifier" else ""


def _flow(code: Code, call: Node, function: Node) -> frozenset[str]:
    seen: set[str] = set()
    waiting = [code.text(node) for arg in given_to(call) for node in code.all(_NAMES, arg)]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        for around in code.all(
            {"variable_declarator", "augmented_assignment_expression", "assignment_expression", "for_in_statement"}, function
        ):
            left = around.child_by_field_name("name") or around.child_by_field_name("left")
            right = around.child_by_field_name("value") or around.child_by_field_name("right")
            kinds = {"identifier", "shorthand_property_identifier_pattern"}
            if left is not None and right is not None and any(code.text(n) == name for n in [left, *code.all(kinds, left)]):
                waiting += [code.text(node) for node in code.all(_NAMES, right)]
        for filling in code.all({"call_expression"}, function):
            receiver = code.receiver(filling)
            if code.method(filling) in ("push", "append", "set", "unshift") and receiver is not None and code.text(receiver) == name:
                waiting += [code.text(node) for arg in arguments(filling) for node in code.all(_NAMES, arg)]
    return frozenset(seen)


def _inputs(code: Code, function: Node, request: str) -> Iterator[tuple[str, str]]:
    found: dict[tuple[str, str], None] = {}
    names = re.escape(request)
    text = code.text(function)
    areas = "|".join(sorted(AREAS))
    for area, key in re.findall(rf"\b{names}\.({areas})\.([A-Za-z_$][\w$]*)", text):
        found[(area, key)] = None
    for area, key in re.findall(rf"\b{names}\.({areas})\[[\"']([\w$-]{{1,60}})[\"']\]", text):
        found[(area, key)] = None
    for node in code.all({"variable_declarator"}, function):
        left, right = node.child_by_field_name("name"), node.child_by_field_name("value")
        value = code.text(right) if right is not None else ""
        match = re.fullmatch(rf"{names}\.({areas})(?:\s*(?:\|\||\?\?)\s*\{{\}})?", value)
        if left is None or match is None:
            continue
        if left.type == "object_pattern":
            for part in left.named_children:
                key_node = part.child_by_field_name("key") or part.child_by_field_name("left") or part
                found[(match[1], code.text(key_node))] = None
        elif left.type == "identifier":
            for key in re.findall(rf"\b{re.escape(code.text(left))}(?:\.|\[[\"'])([A-Za-z_$][\w$-]*)", text):
                found[(match[1], key)] = None
    for key in re.findall(r"searchParams\.get\(\s*[\"'`]([\w-]{1,60})[\"'`]", text) + re.findall(r"\bquery\.([A-Za-z_$][\w$]*)", text):
        found.setdefault(("query", key), None)
    yield from found
