"""python.path-traversal: what a request holds reaches no file outside of the folder that is meant."""

from __future__ import annotations

import libcst as cst

from pipeline.fixers.python.web.built import from_outside
from pipeline.model.finding import Finding
from pipeline.ports import SourceFiles
from pipeline.rewriting.python import imports
from pipeline.rewriting.python.code import Code
from pipeline.rewriting.source import Change, Edit
from pipeline.rewriting.template import Hole

_SINKS = frozenset({"open", "remove", "unlink", "listdir", "copy", "copyfile", "move", "rmtree", "save", "FileResponse", "send_file"})
_TITLE = "keep the path inside its folder"


def fix(code: Code, finding: Finding, _files: SourceFiles) -> Change | None:
    """The function of the framework for it, or a check of the resolved path; None where no folder is named."""
    for call in code.near(finding.location, cst.Call, lambda c: code.method(c) in _SINKS and bool(c.args)):
        given = call.args[0].value
        joined = code.assignment(given.value, call) if isinstance(given, cst.Name) else given
        if not isinstance(joined, cst.Call) or code.callee(joined) != "os.path.join" or len(joined.args) != 2:
            continue
        if any(arg.star or arg.keyword is not None for arg in joined.args):
            continue
        folder, member = (arg.value for arg in joined.args)
        if "\n" in code.inner(joined):
            return None
        return (
            _upload(code, member)
            or _sent(code, call, given, joined, folder, member)
            or (_checked(code, call, joined, folder, member) if isinstance(given, cst.Name) else None)
        )
    return None


def _upload(code: Code, member: cst.BaseExpression) -> Change | None:
    """`sent.filename` -> `secure_filename(sent.filename)`, also where a variable is given it."""
    if isinstance(member, cst.Name):
        member = code.assignment(member.value, member) or member
    if not isinstance(member, cst.Attribute) or member.attr.value != "filename":
        return None
    found = imports.refer_from(code, "werkzeug.utils", "secure_filename", beside="werkzeug")
    found = found or imports.refer_from(code, "werkzeug.utils", "secure_filename", beside="flask")
    if found is None:
        return None
    start, end = code.span(member)
    edits = (Edit(start, start, f"{found[0]}("), Edit(end, end, ")"), *found[1])
    said = "Of the name that the visitor's browser sent only a plain file name is left, without folders."
    return Change(edits, _TITLE, said, ("A name of which nothing is left (`..`) becomes empty: then saving fails.",))


def _sent(
    code: Code, call: cst.Call, given: cst.BaseExpression, joined: cst.Call, folder: cst.BaseExpression, member: cst.BaseExpression
) -> Change | None:
    """`send_file(os.path.join(folder, name), ...)` -> `send_from_directory(folder, name, ...)`."""
    if code.callee(call) != "flask.send_file" or given is not joined or not isinstance(call.func, cst.Name):
        return None
    found = imports.refer_from(code, "flask", "send_from_directory", beside="flask", merge=len(code.uses("send_file", code.module)) > 1)
    if found is None:
        return None
    places = code.span(call.func), code.span(joined)
    edits = [Edit(*places[0], found[0]), Edit(*places[1], f"{code.text(folder)}, {code.text(member)}"), *found[1]]
    gone = imports.drop_unused(code, {call.func.value} | _root(joined), [*places], found[1])
    said = "Flask itself refuses names that lead out of the folder, with the answer 404."
    return Change((*edits, *gone), _TITLE, said)


def _root(joined: cst.Call) -> set[str]:
    node: cst.BaseExpression = joined.func
    while isinstance(node, cst.Attribute):
        node = node.value
    return {node.value} if isinstance(node, cst.Name) else set()


def _checked(code: Code, call: cst.Call, joined: cst.Call, folder: cst.BaseExpression, member: cst.BaseExpression) -> Change | None:
    """`path = os.path.join(folder, name)` with `realpath` around it and a check behind it."""
    source, line = code.source, code.statement(joined)
    path = code.inner(joined.func).removesuffix(".join")
    place = code.inner(call.args[0].value)
    if line is None or len(line.body) != 1 or not isinstance(code.block(call), cst.FunctionDef) or path != "os.path":
        return None
    if not from_outside(code, Hole(code.inner(member), 0), call) or not isinstance(folder, cst.Name | cst.Attribute | cst.SimpleString):
        return None
    end = source.line_end(code.span(joined)[1])
    if source.data[end - 1 : end] != b"\n":
        return None
    indent = source.indentation(code.span(line)[0])
    step = "\t" if indent.startswith("\t") else "    "
    refusal = _refusal(code)
    if refusal is None:
        return None
    words, needed = refusal
    check = f"{indent}if not {place}.startswith({path}.realpath({code.text(folder)}) + os.sep):\n{indent}{step}{words}\n"
    start, stop = code.span(joined)
    edits = (Edit(start, start, f"{path}.realpath("), Edit(stop, stop, ")"), Edit(end, end, check), *needed)
    return Change(edits, _TITLE, "The resolved path must lie below the folder; a request for anything else is answered as one for nothing.")


def _refusal(code: Code) -> tuple[str, list[Edit]] | None:
    """The statement that ends a request for a file that is not there."""
    roots = {full.split(".")[0] for full in code.imports.values()}
    if "flask" in roots:
        found = imports.refer_from(code, "flask", "abort", beside="flask")
        return (f"{found[0]}(404)", found[1]) if found is not None else None
    if "django" in roots:
        found = imports.refer_from(code, "django.http", "Http404", beside="django")
        return (f"raise {found[0]}", found[1]) if found is not None else None
    return 'raise ValueError("the path leads out of its folder")', []
