"""python.xml-external-entities: a document brings in nothing but itself."""

from __future__ import annotations

import libcst as cst

from pipeline.model.finding import Finding
from pipeline.ports import SourceFiles
from pipeline.rewriting.python.code import Code
from pipeline.rewriting.source import Change, Edit

_TITLE = "leave external entities out"
_SAID = "The parser no longer opens what the entities of a document name, so no file of this machine becomes part of it."
_LXML = (
    "Entities that a document defines itself are no longer replaced either: where they are wanted, lxml since 5.0 has "
    '`resolve_entities="internal"`.'
)
_DTD = "The document's type is not loaded either: values that it gives to attributes by default are missing."
_SAX = "A document that is meant to be put together of several files is now read without the others."


_SWITCHES = {"resolve_entities": "False", "load_dtd": "False", "no_network": "True"}
"""What lxml is told when nothing from outside is wanted; `resolve_entities=False` as every version knows it."""


def fix(code: Code, finding: Finding, _files: SourceFiles) -> Change | None:
    """The option or the feature at the finding is turned off, and in lxml what stands beside it for the same purpose."""
    for arg in code.keywords_at(finding.location, {"resolve_entities"}):
        call = code.parent(arg)
        if isinstance(call, cst.Call) and _on(code, arg):
            return _parser(code, call)
    for call in code.near(finding.location, cst.Call, lambda c: code.method(c) == "setFeature" and len(c.args) == 2):
        if _on(code, call.args[1]):
            return Change((Edit(*code.span(call.args[1].value), "False"),), _TITLE, _SAID, (_SAX,))
    return None


def _parser(code: Code, call: cst.Call) -> Change | None:
    """None when options that nobody sees come after, or the document's type is what it is checked against."""
    if any(arg.star for arg in call.args) or any(arg.keyword is not None and arg.keyword.value == "dtd_validation" for arg in call.args):
        return None
    edits, notes = [], [_LXML]
    for arg in call.args:
        name = arg.keyword.value if arg.keyword is not None else ""
        if name in _SWITCHES and code.inner(arg.value) != _SWITCHES[name]:
            edits.append(Edit(*code.span(arg.value), _SWITCHES[name]))
            notes += [_DTD] if name == "load_dtd" else []
    return Change(tuple(edits), _TITLE, _SAID, tuple(notes))


def _on(code: Code, arg: cst.Arg) -> bool:
    return code.inner(arg.value) in {"True", "1"}
