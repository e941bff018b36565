"""python.insecure-temp-file: the temporary file is made at once, under a name that nobody else can have."""

from __future__ import annotations

import libcst as cst

from pipeline.model.finding import Finding
from pipeline.ports import SourceFiles
from pipeline.rewriting.python import imports
from pipeline.rewriting.python.code import Code
from pipeline.rewriting.source import Change, Edit

_PLACES = ("suffix", "prefix", "dir")
_SAID = "The file is made at the same moment as its name, readable for its owner only, so that nobody can put something else there."
_NOTE = "The file exists from now on, empty: code that wants the name to be free, or gives the file to other users, needs a look."


def fix(code: Code, finding: Finding, _files: SourceFiles) -> Change | None:
    """`tempfile.mktemp(...)` -> `tempfile.NamedTemporaryFile(..., delete=False).name`."""
    for call in code.near(finding.location, cst.Call, lambda c: code.callee(c) == "tempfile.mktemp"):
        given = []
        for place, arg in enumerate(call.args):
            if arg.star or place >= len(_PLACES):
                return None
            name = arg.keyword.value if arg.keyword is not None else _PLACES[place]
            given.append(f"{name}={code.text(arg.value)}")
        if any("\n" in text for text in given):
            return None
        needed: list[Edit]
        if isinstance(call.func, cst.Attribute):
            base, needed = code.text(call.func.value) + ".NamedTemporaryFile", []
        else:
            found = imports.refer(code, "tempfile", "NamedTemporaryFile")
            if found is None:
                return None
            base, needed = found
            needed = [*needed, *imports.drop_unused(code, {code.inner(call.func)}, [code.span(call.func)], needed)]
        text = f"{base}({', '.join([*given, 'delete=False'])}).name"
        return Change((Edit(*code.span(call), text), *needed), "make the temporary file at once", _SAID, (_NOTE,))
    return None
