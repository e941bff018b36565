"""Is a value text already? An argument list takes text (and paths) only; `str(...)` around what is text would be noise."""

from __future__ import annotations

import re

import libcst as cst

from pipeline.rewriting.python.code import Code
from pipeline.rewriting.template import Hole

# fmt: off
_TEXT_WORDS = frozenset({
    "host", "hostname", "hosts", "ip", "addr", "address", "domain", "name", "filename", "file", "filepath", "path", "dir", "directory",
    "folder", "url", "uri", "link", "user", "username", "login", "email", "branch", "tag", "ref", "commit", "repo", "repository", "remote",
    "package", "query", "text", "msg", "message", "title", "image", "service", "container", "pattern", "src", "dst", "dest", "source",
    "destination", "output", "target", "device", "interface", "iface", "archive", "key", "token", "lang", "language", "format", "mode",
    "action", "version", "word", "keyword", "term", "search", "arg", "argument", "program", "site", "server", "binary", "script", "module",
    "string", "line", "content", "label", "prefix", "suffix", "extension", "ext", "infile", "outfile", "database", "table", "comment",
    "subject", "recipient", "sender", "password", "expression", "topic", "group", "role", "zone", "region", "bucket", "fname", "tmp",
})
# fmt: on
_TEXT_METHODS = frozenset(
    {"strip", "lstrip", "rstrip", "lower", "upper", "format", "join", "decode", "replace", "title", "as_posix", "read_text", "gethostname"}
)
_TEXT_CALLS = frozenset(
    {
        "str",
        "input",
        "os.path.join",
        "os.path.basename",
        "os.path.abspath",
        "os.path.dirname",
        "os.getcwd",
        "os.getenv",
        "os.fspath",
        "repr",
    }
    | {"pathlib.Path", "Path", "tempfile.mkdtemp", "tempfile.mktemp", "werkzeug.utils.secure_filename", "getpass.getuser", "shutil.which"}
)
_TEXT_TYPES = re.compile(r"^(?:str|Path|pathlib\.Path|os\.PathLike(?:\[str\])?|(?:Optional|Annotated)\[str\b.*|str \| None)$")
_REQUEST = re.compile(r"(?:^|\.)(?:args|form|values|cookies|headers|GET|POST|query_params|path_params|environ|argv|META|match_info)$")


def is_text(code: Code, hole: Hole, at: cst.CSTNode, *, paths: bool = True) -> bool:
    """True when the value of a hole is surely text (or a path, unless `paths` is false), or is named as only texts are."""
    if hole.textual:
        return True
    node = next(
        (n for n in code.order if isinstance(n, cst.BaseExpression) and code.span(n)[0] == hole.start and code.inner(n) == hole.code), None
    )
    if node is None or (not paths and _maybe_path(code, node, at)):
        return False
    return _is_text(code, node, at, 4)


def _maybe_path(code: Code, node: cst.BaseExpression, at: cst.CSTNode) -> bool:
    """True when a value is annotated or made as a `Path`."""
    if not isinstance(node, cst.Name):
        return False
    typed = [p.annotation for p in code.all(cst.Param, code.block(at)) if p.name.value == node.value and p.annotation is not None]
    made = code.assignment(node.value, at)
    return any("Path" in code.text(annotation.annotation) for annotation in typed) or (made is not None and "Path(" in code.inner(made))


def _is_text(code: Code, node: cst.BaseExpression, at: cst.CSTNode, depth: int) -> bool:
    if depth == 0:
        return False
    if isinstance(node, cst.BaseString):
        return True
    if isinstance(node, cst.Await):
        return _is_text(code, node.expression, at, depth)
    if isinstance(node, cst.Call):
        if any(arg.keyword is not None and arg.keyword.value == "type" for arg in node.args):
            return False
        if code.callee(node) in _TEXT_CALLS or code.method(node) in _TEXT_METHODS:
            return True
        getter = isinstance(node.func, cst.Attribute) and node.func.attr.value in {"get", "getlist"}
        return getter and isinstance(node.func, cst.Attribute) and _REQUEST.search(code.qualified(node.func.value)) is not None
    if isinstance(node, cst.Subscript):
        return _REQUEST.search(code.qualified(node.value)) is not None
    if isinstance(node, cst.Name):
        return _name_is_text(code, node, at, depth)
    return isinstance(node, cst.Attribute) and _sounds_like_text(node.attr.value)


def _name_is_text(code: Code, node: cst.Name, at: cst.CSTNode, depth: int) -> bool:
    for parameter in code.all(cst.Param, code.block(at)):
        if parameter.name.value == node.value:
            if parameter.annotation is not None:
                return _TEXT_TYPES.match(code.text(parameter.annotation.annotation)) is not None
            if parameter.default is not None and not isinstance(parameter.default, cst.Name):
                return isinstance(parameter.default, cst.BaseString)
            return _sounds_like_text(node.value)
    value = code.assignment(node.value, at)
    if value is not None and not isinstance(value, cst.Name | cst.Attribute):
        known = isinstance(value, cst.Call) and code.callee(value) in {"int", "float", "len", "os.getpid", "bool"}
        return _is_text(code, value, at, depth - 1) or (not known and isinstance(value, cst.Call) and _sounds_like_text(node.value))
    return _sounds_like_text(node.value)


def _sounds_like_text(name: str) -> bool:
    return re.split(r"_|(?<=[a-z])(?=[A-Z])", name)[-1].lower() in _TEXT_WORDS
