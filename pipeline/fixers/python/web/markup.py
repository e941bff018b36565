"""python.html-injection: what the request holds is shown as text, whatever stands in it."""

from __future__ import annotations

import libcst as cst

from pipeline.fixers.python.queries import FAR
from pipeline.fixers.python.web.built import built, from_outside
from pipeline.model.finding import Finding
from pipeline.ports import SourceFiles
from pipeline.rewriting.python import imports
from pipeline.rewriting.python.code import Code
from pipeline.rewriting.source import Change, Edit
from pipeline.rewriting.template import Hole

_SAFE = frozenset({"Markup", "mark_safe", "SafeString"})
_ANSWERS = frozenset(
    {"make_response", "Response", "HttpResponse", "HttpResponseNotFound", "HttpResponseBadRequest", "HTMLResponse", "write"}
)
_TAKEN = "the name `escape` is taken in this file by something else"
_TITLE = "escape what the request holds"
_SAID = "The value is escaped where it becomes part of the page, so that tags in it are shown instead of being run."


def fix(code: Code, finding: Finding, _files: SourceFiles) -> Change | None:
    """Escape every value from outside in the text at the finding; None when there is none that we see."""
    for node in _texts(code, finding):
        text = built(code, node)
        parts = [hole for part in text.statements for hole in part.template.holes] if text is not None else []
        holes = [hole for hole in parts if from_outside(code, hole, node)]
        if holes:
            return _escaped(code, holes)
    return _whole(code, finding)


def why_not(code: Code, finding: Finding, _files: SourceFiles) -> str:
    """Why nothing at the finding is escaped."""
    texts = [(node, text) for node in _texts(code, finding) if (text := built(code, node)) is not None]
    if not texts:
        return FAR
    if _escape(code) is None:
        return _TAKEN
    holes = [(node, hole) for node, text in texts for part in text.statements for hole in part.template.holes]
    told = any(from_outside(code, hole, node) for node, hole in holes)
    return "" if told else "which of the values comes from the request cannot be told from this function"


def _texts(code: Code, finding: Finding) -> list[cst.BaseExpression]:
    """What is answered, or called safe, at a finding."""
    calls = code.near(finding.location, cst.Call, lambda c: code.method(c) in _SAFE | _ANSWERS and bool(c.args))
    found = [call.args[0].value for call in calls if not call.args[0].star]
    for line in code.near(finding.location, cst.Return, lambda _: True):
        value = line.value
        if isinstance(value, cst.Tuple) and value.elements:
            value = value.elements[0].value
        if value is not None and (not isinstance(value, cst.Call) or code.method(value) == "format"):
            found.append(value)
    return found


def _escaped(code: Code, holes: list[Hole]) -> Change | None:
    escaping = _escape(code)
    if escaping is None:
        return None
    name, edits = escaping
    for hole in holes:
        end = hole.start + len(hole.code.encode())
        if hole.start < 0 or code.source.slice(hole.start, end) != hole.code or "\n" in hole.code:
            return None
        # `"<b>" + escape(x)`: markupsafe's text would escape what it is added to
        opening, closing = (f"str({name}(", "))") if hole.textual and "html" not in name else (f"{name}(", ")")
        edits += [Edit(hole.start, hole.start, opening), Edit(end, end, closing)]
    return Change(tuple(edits), _TITLE, _SAID)


def _whole(code: Code, finding: Finding) -> Change | None:
    """`Markup(request.args["x"])` -> `escape(request.args["x"])`, which is markup as well."""
    for call in code.near(finding.location, cst.Call, lambda c: code.method(c) in _SAFE and len(c.args) == 1):
        value = call.args[0].value
        hole = Hole(code.inner(value), 0, start=code.span(value)[0])
        escaping = _escape(code, merge=False)
        ours = isinstance(value, cst.BaseString | cst.BinaryOperation) or (isinstance(value, cst.Call) and code.method(value) == "format")
        if ours or escaping is None or not from_outside(code, hole, call):
            return None  # a text with markup of ours would lose it
        name, edits = escaping
        if "html" in name:
            return None
        gone = {code.inner(call.func)} if isinstance(call.func, cst.Name) else set()
        edits += [Edit(*code.span(call.func), name), *imports.drop_unused(code, gone, [code.span(call.func)], edits)]
        return Change(tuple(edits), _TITLE, _SAID)
    return None


def _escape(code: Code, *, merge: bool = True) -> tuple[str, list[Edit]] | None:
    """How this file escapes, by the framework that it imports, and the edits that import it."""
    roots = {full.split(".")[0] for full in code.imports.values()}
    if "django" in roots and not roots & {"flask", "markupsafe"}:
        return imports.refer_from(code, "django.utils.html", "escape", beside="django", merge=merge)
    for beside in ("markupsafe", "flask", "quart", "jinja2"):
        if beside in roots:
            return imports.refer_from(code, "markupsafe", "escape", beside=beside, merge=merge)
    found = imports.ensure(code, "html")
    return (f"{found[0]}.escape", found[1]) if found is not None else None
