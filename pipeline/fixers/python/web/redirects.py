"""python.open-redirect: visitors are sent to addresses of this site only."""

from __future__ import annotations

import itertools

import libcst as cst

from pipeline.fixers.python.web.built import from_outside
from pipeline.model.finding import Finding
from pipeline.ports import SourceFiles
from pipeline.rewriting.python import imports
from pipeline.rewriting.python.code import Code, argument, string_value
from pipeline.rewriting.python.strings import quote_style
from pipeline.rewriting.source import Change, Edit
from pipeline.rewriting.template import Hole

_REDIRECTS = frozenset({"redirect", "HttpResponseRedirect", "HttpResponsePermanentRedirect", "RedirectResponse", "HTTPFound", "go"})
_LOCAL = r"/(?![/\\])[^\t\r\n\\]*"
"""A path on the same host. Browsers read `//` and `/\\` as the start of another one, and leave out tabs and newlines."""

_OWN_ADDRESS = (b"next=request.url", b"next=request.base_url", b"build_absolute_uri")
"""Whoever writes these hands on whole addresses of the own host, which the check would refuse."""

_MAX_FILES = 200
_TITLE = "send visitors to this site only"
_SAID = "An address that leads to another host is replaced before the redirect."


def fix(code: Code, finding: Finding, files: SourceFiles) -> Change | None:
    """Check the target in the statement before; None when it is used in a way that we do not see through."""
    for call in code.near(finding.location, cst.Call, lambda c: _redirects(code, c)):
        target = argument(call, 0, "url")
        line = code.statement(call)
        if target is None or target.star or line is None or len(line.body) != 1:
            continue
        value = target.value
        if not from_outside(code, Hole(code.inner(value), 0), call):
            continue
        return _checked(code, call, value, line, files)
    return None


def _redirects(code: Code, call: cst.Call) -> bool:
    return code.callee(call).rpartition(".")[2] in _REDIRECTS or code.method(call) == "redirect"


def _checked(code: Code, call: cst.Call, value: cst.BaseExpression, line: cst.SimpleStatementLine, files: SourceFiles) -> Change | None:
    source, block = code.source, code.block(call)
    if not isinstance(block, cst.FunctionDef) or "\n" in code.inner(value):
        return None
    start = source.line_start(code.span(line)[0])
    indent = source.indentation(code.span(line)[0])
    step = "\t" if indent.startswith("\t") else "    "
    edits: list[Edit] = []
    if isinstance(value, cst.Name):
        name, lead = value.value, ""
        given = code.assignment(name, call)
        if given is None:
            return None
    else:
        given = value
        taken = {node.value for node in code.all(cst.Name, block)}
        name = next((n for n in ("target", "target_url", "redirect_target") if n not in taken), "checked_target")
        lead = f"{indent}{name} = {code.inner(value)}\n"
        edits.append(Edit(*code.outer(value), name))
    test = _test(code, block, name, files)
    if test is None:
        return None
    condition, needed, note = test
    text = f"{lead}{indent}if {condition}:\n{indent}{step}{name} = {_fallback(code, given)}\n"
    return Change((Edit(start, start, text), *edits, *needed), _TITLE, _SAID, note)


def _fallback(code: Code, given: cst.BaseExpression) -> str:
    """Where visitors go instead: what the program says itself for a request without an address, or the start page."""
    quote = quote_style(code)
    if isinstance(given, cst.BooleanOperation) and isinstance(given.operator, cst.Or) and "request" not in code.text(given.right):
        return code.text(given.right)
    if isinstance(given, cst.Call) and code.method(given) in {"get", "get_argument"} and len(given.args) == 2:
        default = given.args[1].value
        if string_value(default) is not None or (isinstance(default, cst.Call) and code.method(default) in {"url_for", "reverse"}):
            return code.text(default)
    return f"{quote}/{quote}"


def _test(code: Code, block: cst.FunctionDef, name: str, files: SourceFiles) -> tuple[str, list[Edit], tuple[str, ...]] | None:
    """The condition under which an address is none of this site, what it needs, and what people should know."""
    parameters = {param.name.value for param in block.params.params}
    roots = {full.split(".")[0] for full in code.imports.values()}
    if "django" in roots and "request" in parameters:
        found = imports.refer_from(code, "django.utils.http", "url_has_allowed_host_and_scheme", beside="django")
        if found is None:
            return None
        return f"not {found[0]}({name}, allowed_hosts={{request.get_host()}}, require_https=request.is_secure())", found[1], ()
    if any(any(word in (files.read(path) or b"") for word in _OWN_ADDRESS) for path in _sources(files)):
        return None
    module = imports.ensure(code, "re")
    if module is None:
        return None
    quote = quote_style(code)
    note = "Only paths of this site are followed; a whole address, also of the own host, now leads to the start page."
    return f"not {module[0]}.fullmatch(r{quote}{_LOCAL}{quote}, {name})", module[1], (note,)


def _sources(files: SourceFiles) -> list[str]:
    return list(itertools.islice((path for path in files.paths() if path.endswith((".py", ".html"))), _MAX_FILES))
