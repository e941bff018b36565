"""A test in Python that attacks one function: how it calls it, and how it is written for unittest or pytest."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.handlers.frame import free_path
from pipeline.handlers.python import Handler, Parameter
from pipeline.model.finding import Finding
from pipeline.model.fix import ExploitTest, Frame

WIDTH = 100
"""Longer calls are broken over lines."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must hold. `kind` is `in`, `not in`, `true` or `false`; a loop has `each` and the checks inside it."""

    kind: str
    left: str
    right: str = ""
    says: str = ""
    each: tuple[Check, ...] = ()


@dataclass(slots=True)
class Call:
    """How a test calls the handler. All values are Python source."""

    expression: str
    text: str
    """What gives the answer as a text."""
    arrange: list[str] = field(default_factory=list)
    around: list[str] = field(default_factory=list)
    imports: set[str] = field(default_factory=set)
    quiet: bool = True
    """True when an exception of the handler is let pass: doubles answer with nothing that it can use."""


@dataclass(slots=True)
class Draft:
    """A test before it is written for a framework."""

    subject: str
    """What must not happen, as the end of a name: `input_stays_out_of_the_statement`."""
    weakness: str
    """One word for names of files and classes: `sql`."""
    hostile: str
    """Source of the hostile value, or of a tuple of them when `several`."""
    checks: list[Check]
    says: str
    """The message of the check that fails before the fix: by it the failure is known."""
    several: bool = False
    folder: bool = False
    """True when the test wants a private folder, which `hostile` may use."""
    before: list[str] = field(default_factory=list)
    """Lines before the hostile value is made."""
    tail: list[str] = field(default_factory=list)
    """A function that the checks use."""
    arrange: list[str] = field(default_factory=list)
    around: list[str] = field(default_factory=list)
    imports: set[str] = field(default_factory=set)


def doubled(
    handler: Handler, hostile: str, given: Mapping[str, str] | None = None, attributes: Mapping[str, str] | None = None
) -> Call | None:
    """The call of a handler with hostile input wherever input reaches the flagged call; None when nothing of it can be reached.

    Args:
        hostile: the name of the hostile value in the test.
        given: source of the values of some parameters, by name.
        attributes: of the double that stands for `self`.
    """
    if handler.route is not None:
        return _routed(handler, hostile)
    given = given or {}
    call = Call("", "str(answer)")
    reached = [p for p in handler.tainted if p.name not in given and p.name not in ("request", "req")]
    positional: list[str] = []
    named: list[str] = []
    for parameter in handler.parameters:
        value = given.get(parameter.name) or (hostile if parameter in reached else _harmless(parameter))
        if value and (parameter.keyword or (not parameter.required and named)):
            named.append(f"{parameter.name}={value}")
        elif value and not named and len(positional) == handler.parameters.index(parameter):
            positional.append(value)
        elif value:
            named.append(f"{parameter.name}={value}")
    if handler.bound:
        call.arrange.append("itself = mock.MagicMock()")
        call.arrange += [f"itself.{name} = {value}" for name, value in (attributes or {}).items()]
        positional.insert(0, "itself")
    tainted = {p.name for p in handler.tainted}
    fed = bool(reached) or bool(tainted & set(given)) or hostile in str(attributes or {}) or _feeds(handler, call, hostile)
    if any(p.name in ("request", "req") for p in handler.parameters):
        call.arrange = [*_request("request", handler, hostile), *call.arrange]
        fed = fed or bool(handler.inputs)
    if not fed:
        return None
    name = f"subject.{handler.owner}.{handler.name}" if handler.owner else f"subject.{handler.name}"
    call.expression = f"{name}({', '.join([*positional, *named])})"
    if handler.coroutine and not handler.yields:
        call.expression, call.imports = f"asyncio.run({call.expression})", {"import asyncio"}
    elif handler.yields:
        call.expression = f"list({call.expression})"
    return call


def _harmless(parameter: Parameter) -> str:
    """A value for a parameter that does not matter; empty when it may be left out."""
    if parameter.name in ("request", "req"):
        return "request"
    if not parameter.required:
        return ""
    known = {"int": "1", "float": "1.0", "bool": "True", "str": '"x"', "bytes": 'b"x"', "dict": "{}", "list": "[]"}
    return known.get(parameter.annotation, "mock.MagicMock()")


def _feeds(handler: Handler, call: Call, hostile: str) -> bool:
    """Hostile input by other ways than parameters: the request of a framework, the command line, a question, the environment."""
    fed = False
    texts = handler.texts
    if handler.inputs and "request" in handler.code.imports and not any(p.name == "request" for p in handler.parameters):
        call.arrange = [*_request("request", handler, hostile), *call.arrange]
        call.around.append('mock.patch.object(subject, "request", request)')
        fed = True
    if "input(" in texts:
        call.around.append(f'mock.patch("builtins.input", return_value={hostile})')
        fed = True
    if "sys.argv" in texts:
        call.around.append(f'mock.patch("sys.argv", ["program", {hostile}, {hostile}])')
        fed = True
    keys = re.findall(r"environ(?:\.get\(|\[)\s*[\"'](\w{1,60})[\"']", texts) + re.findall(r"getenv\(\s*[\"'](\w{1,60})[\"']", texts)
    if keys:
        call.around.append(f'mock.patch.dict("os.environ", {{{", ".join(f"{_quoted(key)}: {hostile}" for key in sorted(set(keys)))}}})')
        fed = True
    return fed


def _request(name: str, handler: Handler, hostile: str) -> list[str]:
    lines = [f"{name} = mock.MagicMock()"]
    areas: dict[str, list[str]] = {}
    for found in handler.inputs:
        areas.setdefault(found.area, []).append(found.key or "name")
    for area, keys in areas.items():
        value = hostile if area == "data" else "{" + ", ".join(f"{_quoted(key)}: {hostile}" for key in keys) + "}"
        lines.append(f"{name}.{area} = {value}")
        if area == "json":
            lines.append(f"{name}.get_json.return_value = {name}.json")
        if area == "data":
            lines += [f"{name}.body = {name}.data", f"{name}.get_data.return_value = {name}.data"]
    return lines


# --- routes ---------------------------------------------------------------------------------------------------------------------------


def _routed(handler: Handler, hostile: str) -> Call | None:
    route = handler.route
    if route is None:
        return None
    call = Call("", "answer.get_data(as_text=True)", quiet=False)
    if route.factory:
        call.arrange.append(f"client = subject.{route.factory}().test_client()")
    elif route.blueprint:
        call.imports.add("import flask")
        call.arrange += ['app = flask.Flask("app")', f"app.register_blueprint(subject.{route.app})", "client = app.test_client()"]
    else:
        call.arrange.append(f"client = subject.{route.app}.test_client()")
    fed = False
    address, formatted = route.rule, False
    for converter, name in re.findall(r"<(?:(\w+)(?:\([^)<>]*\))?:)?(\w+)>", route.rule):
        wanted = name in handler.flow and converter in ("", "path", "string")
        safe = ", safe=''" if converter != "path" else ""
        value = f"{{quote({hostile}{safe})}}" if wanted else "1"
        address = re.sub(rf"<(?:\w+(?:\([^)<>]*\))?:)?{name}>", value.replace("\\", r"\\"), address)
        formatted, fed = formatted or wanted, fed or wanted
    if formatted:
        call.imports.add("from urllib.parse import quote")
    parts = [f'f"{address}"' if formatted else _quoted(address), f"method={_quoted(route.method)}"]
    options: dict[str, dict[str, str]] = {}
    for found in handler.inputs:
        option = {"args": "query_string", "values": "query_string", "form": "data", "json": "json", "headers": "headers"}.get(found.area)
        if found.area == "files":
            call.imports.add("import io")
            options.setdefault("data", {})[found.key or "file"] = f'(io.BytesIO(b"canary"), {hostile})'
        elif found.area == "cookies" and found.key:
            call.arrange.append(f"client.set_cookie({_quoted(found.key)}, {hostile})")
        elif found.area == "data":
            options["data"] = {"": hostile}
        elif option:
            options.setdefault(option, {})[found.key or "name"] = hostile
        fed = True
    if not fed:
        return None
    for option, values in options.items():
        whole = values.get("") or "{" + ", ".join(f"{_quoted(key)}: {value}" for key, value in values.items()) + "}"
        parts.append(f"{option}={whole}")
    call.expression = f"client.open({', '.join(parts)})"
    return call


# --- writing --------------------------------------------------------------------------------------------------------------------------


def _quoted(text: str) -> str:
    """A Python literal in double quotes: JSON's escapes are Python's too."""
    return json.dumps(text, ensure_ascii=False)


def write(draft: Draft, handler: Handler, call: Call, finding: Finding, frame: Frame) -> ExploitTest | None:
    """The test file, None when what came out is no Python or has no free name."""
    stem = re.sub(r"_+", "_", f"{handler.module.rpartition('.')[2]}_{handler.name}").strip("_").lower()
    path = free_path(frame, f"test_{stem}_{draft.weakness}", ".py")
    if path is None or not handler.name.isascii():
        return None
    title = "".join(part.title() for part in f"{stem}_{draft.weakness}".split("_"))
    imports = {f"import {handler.module} as subject", *draft.imports, *call.imports}
    body = _body(draft, call, frame.style)
    text = "\n".join(body)
    if "mock." in text:
        imports.add("from unittest import mock")
    if "contextlib." in text:
        imports.add("import contextlib")
    if "tempfile." in text:
        imports.add("import tempfile")
    if "os." in text or "os.path" in text:
        imports.add("import os")
    if frame.style == "unittest":
        imports.add("import unittest")
        lines = [f"class {title}Test(unittest.TestCase):", f"    def test_{draft.subject}(self):", *_indent(body, 2)]
    else:
        lines = [f"def test_{stem}_{draft.subject}():", *_indent(body, 1)]
    about = f'"""Hostile input to `{handler.name}`: {finding.rule.title[:1].lower()}{finding.rule.title[1:]} (CWE-{finding.rule.cwe})."""'
    whole = "\n".join([about, "", *_sorted(imports, handler), "", "", *([*draft.tail, "", ""] if draft.tail else []), *lines, ""])
    try:
        content = whole.encode()
        ast.parse(content)
    except (SyntaxError, ValueError, RecursionError):
        return None
    return ExploitTest(path, content, f"{handler.name}: {draft.subject.replace('_', ' ')}", draft.says)


def _sorted(imports: set[str], handler: Handler) -> list[str]:
    own = f"import {handler.module} as subject"
    plain = sorted(i for i in imports if i.startswith("import ") and i not in (own, "import flask"))
    return [*plain, *sorted(i for i in imports if i.startswith("from ")), "", *(i for i in ("import flask",) if i in imports), own]


def _indent(lines: Sequence[str], depth: int) -> list[str]:
    return ["    " * depth + line if line else line for line in lines]


def _body(draft: Draft, call: Call, style: str) -> list[str]:
    inner = [*draft.arrange, *call.arrange]
    around = [*draft.around, *call.around, *(["contextlib.suppress(Exception)"] if call.quiet else [])]
    run = [f"answer = {call.expression}"]
    if around:
        head = f"with {', '.join(around)}:"
        if len(head) > WIDTH:
            head = "with (\n" + "".join(f"    {item},\n" for item in around) + "):"
        run = [*head.split("\n"), *_indent(run, 1)]
    used = any("answer" in (check.left + check.right).lower() for check in _flat(draft.checks))
    if call.quiet and used:
        run = ["answer = None", *run]
    elif not used:
        run = [line.replace(f"answer = {call.expression}", call.expression) for line in run]
    checks = [line for check in draft.checks for line in _check(check, style, call)]
    if draft.several:
        core = [*draft.before, f"for hostile in {draft.hostile}:", *_indent([*inner, *run, *checks], 1)]
    else:
        core = [*draft.before, f"hostile = {draft.hostile}", *inner, *run, *checks]
    if draft.folder:
        core = ["with tempfile.TemporaryDirectory() as folder:", *_indent(core, 1)]
    return core


def _flat(checks: Sequence[Check]) -> list[Check]:
    return [one for check in checks for one in (check, *_flat(check.each))]


def _check(check: Check, style: str, call: Call) -> list[str]:
    left, right = check.left.replace("ANSWER", call.text), check.right.replace("ANSWER", call.text)
    if check.kind == "for":
        return [f"for {left} in {right}:", *_indent([line for one in check.each for line in _check(one, style, call)], 1)]
    if check.kind == "do":
        return [left]
    says = f", {_quoted(check.says)}" if check.says else ""
    if style == "unittest":
        method = {"in": "assertIn", "not in": "assertNotIn", "true": "assertTrue", "false": "assertFalse"}[check.kind]
        return [f"self.{method}({left}{', ' + right if right else ''}{says})"]
    condition = {"in": f"{left} in {right}", "not in": f"{left} not in {right}", "true": left, "false": f"not {left}"}[check.kind]
    return [f"assert {condition}{says}"]
