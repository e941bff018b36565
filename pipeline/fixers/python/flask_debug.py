"""python.flask-debug: no interactive debugger where others can reach it."""

from __future__ import annotations

import libcst as cst

from pipeline.model.finding import Finding
from pipeline.ports import SourceFiles
from pipeline.rewriting.python import imports
from pipeline.rewriting.python.code import Code, argument, drop_argument, string_value
from pipeline.rewriting.source import Change, Edit

_TITLE = "turn off Flask debug mode"
_SAID = "The server starts without the debugger, whose console runs any code that a visitor types."
_NOTE = "For development, start it with `flask run --debug` on your own machine."


def fix(code: Code, finding: Finding, _files: SourceFiles) -> Change | None:
    """Debug mode goes where the finding turns it on."""
    if (unwrapped := _wrapper(code, finding)) is not None:
        return Change(tuple(unwrapped), _TITLE, _SAID, (_NOTE,))
    edit = _argument(code, finding) or _assignment(code, finding)
    return Change((edit,), _TITLE, _SAID, (_NOTE,)) if edit is not None else None


def _wrapper(code: Code, finding: Finding) -> list[Edit] | None:
    """Werkzeug's `DebuggedApplication(app, ...)` is only the debugger: the application itself takes its place."""
    for call in code.near(finding.location, cst.Call, lambda c: code.method(c) == "DebuggedApplication"):
        inner, assign = argument(call, 0, "app"), code.parent(call)
        if inner is None:
            return None
        unused = imports.drop_unused(code, {code.inner(call.func)}, [code.span(call)]) if isinstance(call.func, cst.Name) else []
        line = code.statement(call)
        same = isinstance(assign, cst.Assign) and code.inner(assign.targets[0].target) == code.inner(inner.value)
        if same and line is not None and imports.removable(code, line):
            return [imports.remove_line(code, line), *unused]
        if same and line is not None and (branch := imports.remove_branch(code, line)) is not None:
            return [branch, *unused]
        return None if same else [Edit(*code.span(call), code.text(inner.value)), *unused]
    return None


def _on(code: Code, node: cst.BaseExpression) -> bool:
    return code.inner(node) in {"True", "1"}


def _argument(code: Code, finding: Finding) -> Edit | None:
    wanted = {"debug", "use_debugger", "DEBUG"}
    for arg in code.keywords_at(finding.location, wanted):
        call = code.parent(arg)
        if not isinstance(call, cst.Call) or not _on(code, arg.value):
            continue
        method = code.method(call)
        if method in {"run", "run_simple"} and not any(a.star == "**" for a in call.args):
            return drop_argument(code, call, arg)
        if method in {"update", "from_mapping", "run", "run_simple"}:
            return Edit(*code.span(arg.value), "False")
    return None


def _assignment(code: Code, finding: Finding) -> Edit | None:
    for assign in code.near(finding.location, cst.Assign, lambda a: len(a.targets) == 1 and _on(code, a.value)):
        target = assign.targets[0].target
        if isinstance(target, cst.Attribute) and target.attr.value in {"debug", "DEBUG"}:
            return Edit(*code.span(assign.value), "False")
        if isinstance(target, cst.Name) and target.value in {"DEBUG", "FLASK_DEBUG"}:
            return Edit(*code.span(assign.value), "False")
        if isinstance(target, cst.Subscript) and len(target.slice) == 1 and isinstance(target.slice[0].slice, cst.Index):
            key = string_value(target.slice[0].slice.value)
            if key == "DEBUG" and code.inner(target.value).endswith("config"):
                return Edit(*code.span(assign.value), "False")
    return None
