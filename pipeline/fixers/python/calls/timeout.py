"""python.request-timeout: a call over the network gives up after some time."""

from __future__ import annotations

from collections import Counter

import libcst as cst

from pipeline.model.finding import Finding
from pipeline.ports import SourceFiles
from pipeline.rewriting.python.code import Code, add_argument, argument, keyword
from pipeline.rewriting.source import Change, Edit

SECONDS = "30"
"""When the file says nothing else: longer than a server that still works needs, shorter than people wait."""

_VERBS = frozenset({"get", "post", "put", "patch", "delete", "head", "options", "request", "stream"})
_MAKERS = frozenset({"Client", "AsyncClient"})
_LIBRARIES = frozenset({"requests", "httpx"})
_NOTE = (
    "A server that takes longer between two pieces of its answer now raises the library's timeout error: give it more where that is normal."
)


def fix(code: Code, finding: Finding, _files: SourceFiles) -> Change | None:
    """The call at the finding gets a timeout in seconds; None when options that nobody sees may hold one."""
    for call in code.near(finding.location, cst.Call, lambda c: _waits(code, c)):
        if any(arg.star for arg in call.args) or _positional(code, call):
            return None
        given = keyword(call, "timeout")
        seconds = _usual(code)
        if given is not None and code.inner(given.value) != "None":
            return None
        edit = Edit(*code.span(given.value), seconds) if given is not None else add_argument(code, call, f"timeout={seconds}")
        said = f"The call gives up when the server says nothing for {seconds} seconds, instead of waiting for ever."
        return Change((edit,), "give the request a timeout", said, (_NOTE,))
    return None


def _waits(code: Code, call: cst.Call) -> bool:
    name = code.callee(call)
    if name == "urllib.request.urlopen":
        return True
    library, _, function = name.rpartition(".")
    if library in _LIBRARIES:
        return function in _VERBS | _MAKERS
    return isinstance(call.func, cst.Attribute) and code.method(call) in _VERBS and _session(code, call.func.value)


def _session(code: Code, node: cst.BaseExpression) -> bool:
    """True for a session of requests that the file makes."""
    if isinstance(node, cst.Call):
        return code.callee(node) in {"requests.Session", "requests.session"}
    receiver = code.inner(node)
    values = [a.value for a in code.all(cst.Assign) if any(code.inner(t.target) == receiver for t in a.targets)]
    values += [w.item for w in code.all(cst.WithItem) if w.asname is not None and code.inner(w.asname.name) == receiver]
    return any(isinstance(value, cst.Call) and code.callee(value) in {"requests.Session", "requests.session"} for value in values)


def _positional(code: Code, call: cst.Call) -> bool:
    """True when `urlopen(url, data, 3)` says its timeout by place."""
    return code.callee(call) == "urllib.request.urlopen" and argument(call, 2) is not None


def _usual(code: Code) -> str:
    """What the file's other calls wait, when they say a number."""
    given = (keyword(call, "timeout") for call in code.all(cst.Call) if _waits(code, call))
    said = Counter(code.inner(arg.value) for arg in given if arg is not None and isinstance(arg.value, cst.Integer | cst.Float))
    return said.most_common(1)[0][0] if said else SECONDS
