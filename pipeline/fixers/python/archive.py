"""python.archive-path-traversal: members of a tar archive stay below the folder they are unpacked into."""

from __future__ import annotations

import itertools

import libcst as cst

from pipeline.model.finding import Finding
from pipeline.ports import SourceFiles
from pipeline.rewriting.python.code import Code, add_argument, keyword
from pipeline.rewriting.python.strings import quote_style
from pipeline.rewriting.source import Change, Edit

_SAID = (
    "The data filter (PEP 706) refuses members with absolute paths, with `..`, links that point outside and special files; "
    "ordinary files are unpacked as before."
)
_NOTE = "The filter needs Python 3.12, or a security release of 3.8 to 3.11 from June 2023 on."


def fix(code: Code, finding: Finding, _files: SourceFiles) -> Change | None:
    """Unpack with `filter="data"`; None for anything that is not surely a tar archive."""
    for call in code.near(finding.location, cst.Call, lambda c: code.method(c) in {"extractall", "extract"}):
        if not isinstance(call.func, cst.Attribute) or not _is_tar(code, call.func.value, call, set()):
            continue
        if any(arg.star for arg in call.args):
            return None
        quote = quote_style(code)
        given = keyword(call, "filter")
        if given is not None:
            old = code.inner(given.value)
            if old.strip("\"'") not in {"fully_trusted", "None"} and code.qualified(given.value) != "tarfile.fully_trusted_filter":
                return None
            edit = Edit(*code.span(given.value), f"{quote}data{quote}")
        else:
            edit = add_argument(code, call, f"filter={quote}data{quote}")
        return Change((edit,), "refuse tar members outside the target folder", _SAID, (_NOTE,))
    return _guard(code, finding)


def _guard(code: Code, finding: Finding) -> Change | None:
    """Members that are written by hand: the joined path is resolved and checked before anything is written there."""
    for call in code.near(finding.location, cst.Call, lambda _: True):
        for name in itertools.islice(code.all(cst.Name, call), 20):
            joined = code.assignment(name.value, call)
            if isinstance(joined, cst.Call) and code.callee(joined) == "os.path.join" and len(joined.args) == 2:
                return _checked(code, joined, name.value)
    return None


def _checked(code: Code, joined: cst.Call, place: str) -> Change | None:
    """`place = os.path.join(folder, member)` with `realpath` around it and a check behind it."""
    source, line = code.source, code.statement(joined)
    folder, member = (code.text(arg.value) for arg in joined.args)
    path = code.inner(joined.func).removesuffix(".join")
    end = source.line_end(code.span(joined)[1])
    if line is None or len(line.body) != 1 or any(arg.star for arg in joined.args) or not folder.isidentifier() or '"' in member:
        return None
    if not path.endswith("path") or source.data[end - 1 : end] != b"\n" or f"{place}.endswith(" in source.text:
        return None  # realpath takes the slash away by which a member is known as a folder
    indent = source.indentation(code.span(line)[0])
    step = "\t" if indent.startswith("\t") else "    "
    separator = f"{path.removesuffix('path')}sep" if path.endswith(".path") else f"{path}.sep"
    check = (
        f"{indent}if not {place}.startswith({path}.realpath({folder}) + {separator}):\n"
        f'{indent}{step}raise ValueError(f"{{{member}}} would be written outside of {{{folder}}}")\n'
    )
    start, stop = code.span(joined)
    edits = (Edit(start, start, f"{path}.realpath("), Edit(stop, stop, ")"), Edit(end, end, check))
    said = "Before anything is written, the resolved path must lie below the target folder; one that points elsewhere raises ValueError."
    return Change(edits, "refuse archive members outside the target folder", said)


def _is_tar(code: Code, node: cst.BaseExpression, at: cst.CSTNode, seen: set[str]) -> bool:
    if isinstance(node, cst.Call):
        return code.callee(node) in {"tarfile.open", "tarfile.TarFile", "tarfile.TarFile.open", "tarfile.TarFile.gzopen"}
    if not isinstance(node, cst.Name | cst.Attribute):
        return False
    text = code.inner(node)
    if text in seen:
        return False
    seen.add(text)
    values = [a.value for a in code.all(cst.Assign) if any(code.inner(t.target) == text for t in a.targets)]
    values += [w.item for w in code.all(cst.WithItem) if w.asname is not None and code.inner(w.asname.name) == text]
    within = {id(block) for block in (code.block(at), code.module)}
    if isinstance(node, cst.Name):
        values = [value for value in values if id(code.block(value)) in within]
    typed = [p.annotation.annotation for p in code.all(cst.Param) if p.name.value == text and p.annotation is not None]
    if any(code.qualified(annotation) == "tarfile.TarFile" for annotation in typed):
        return True
    return bool(values) and all(_is_tar(code, value, at, seen) for value in values)
