"""javascript.path-traversal: what a request holds names a file inside of the folder that is meant, or none."""

from __future__ import annotations

import re

from tree_sitter import Node

from pipeline.model.finding import Finding
from pipeline.ports import SourceFiles
from pipeline.rewriting.javascript.code import Code, add_items, arguments, bare
from pipeline.rewriting.source import Change, Edit

_REQUEST = re.compile(r"\b(req|request|ctx)\b")
_ROOT = re.compile(r"""['"`](?:/|\.{0,2}/?)['"`]""")
"""The top of the disk, or wherever the program was started: no folder to stay in."""

_TITLE = "keep the path inside its folder"
_SAID = "Express itself refuses names that lead out of the folder `root`, with the answer 403."


def fix(code: Code, finding: Finding, _files: SourceFiles) -> Change | None:
    """`res.sendFile(path.join(folder, name))` -> `res.sendFile(name, { root: folder })`; None where no folder is named."""
    for call in code.near(finding.location, {"call_expression"}, lambda n: code.method(n) == "sendFile"):
        args = arguments(call)
        parts = _parts(code, args[0]) if args else None
        if parts is None or code.receiver(call) is None:
            continue
        name, folder = parts
        if _REQUEST.search(folder) or _ROOT.fullmatch(folder) or "\n" in name + folder:
            return None
        options = _options(code, args, folder)
        if options is None:
            return None
        return Change((Edit(args[0].start_byte, args[0].end_byte, name), *options), _TITLE, _SAID)
    return None


def why_not(code: Code, finding: Finding, _files: SourceFiles) -> str:
    """Why the path at the finding is left as it is."""
    sends = code.near(finding.location, {"call_expression"}, lambda n: code.method(n) == "sendFile")
    if not sends:
        return "only `sendFile` of Express takes a folder to stay in; which check is right here is for you to say"
    named = any(_parts(code, args[0]) for call in sends if (args := arguments(call)))
    return (
        "the folder is not one of this program's own, or its options are not written here"
        if named
        else "no folder is named that the file must lie in"
    )


def _options(code: Code, args: list[Node], folder: str) -> list[Edit] | None:
    """The option `root`, in the object that is there or in a new one before the callback."""
    root = f"root: {folder}"
    if len(args) == 1 or (len(args) == 2 and args[1].type in ("arrow_function", "function_expression")):
        return [Edit(args[0].end_byte, args[0].end_byte, f", {{ {root} }}")]
    if args[1].type != "object" or any(child.type != "pair" for child in args[1].named_children if child.type != "comment"):
        return None
    return add_items(code, args[1], [root])


def _parts(code: Code, node: Node) -> tuple[str, str] | None:
    """What a path says below its folder, and the folder, both as source."""
    given = bare(node)
    if given.type == "identifier":
        return _named(code, given)
    if given.type == "call_expression" and code.callee(given) in ("path.join", "path.resolve"):
        return _joined(code, given)
    if given.type == "binary_expression":
        return _added(code, given)
    return _template(code, given) if given.type == "template_string" else None


def _named(code: Code, name: Node) -> tuple[str, str] | None:
    """A path with a name keeps it: what of it lies below the folder is asked for."""
    value = code.value_of(code.text(name), name)
    parts = _parts(code, value) if value is not None and value.type != "identifier" else None
    function = value.child_by_field_name("function") if value is not None else None
    own = code.text(function).rpartition(".")[0] if function is not None else ""
    module = own or next((local for local, full in code.imports.items() if full == "path"), "")
    return (f"{module}.relative({parts[1]}, {code.text(name)})", parts[1]) if parts is not None and module else None


def _foreign(code: Code, node: Node) -> bool:
    """True for a part of a path that may come from the request: all but literals, names of the file and members of them."""
    if _REQUEST.search(code.text(node)) or node.type not in ("identifier", "string", "member_expression"):
        return True
    if node.type != "identifier":
        return False
    block = code.function(node)
    while block != code.root and not code.bindings(code.text(node), block):
        block = code.function(block)
    return block != code.root


def _joined(code: Code, call: Node) -> tuple[str, str] | None:
    """The last argument is the name, what stands before it the folder."""
    args, function = arguments(call), call.child_by_field_name("function")
    if len(args) < 2 or function is None or any(arg.type == "spread_element" for arg in args):
        return None
    held = [n for n, arg in enumerate(args) if _foreign(code, arg)]
    first = min(held[0] if held else len(args) - 1, len(args) - 1)
    if first == 0:
        return None
    called = code.text(function)
    folder = code.text(args[0]) if first == 1 else f"{called}({', '.join(code.text(arg) for arg in args[:first])})"
    rest = [code.text(arg) for arg in args[first:]]
    return (rest[0] if len(rest) == 1 else f"{called.rpartition('.')[0]}.join({', '.join(rest)})"), folder


def _added(code: Code, node: Node) -> tuple[str, str] | None:
    """`folder + "/pages/" + name`: the folder ends with the last slash before the name."""
    operands = _operands(code, node)
    slashes = [n for n, part in enumerate(operands) if part.type == "string" and code.text(part)[:-1].endswith("/")]
    if not slashes or slashes[-1] + 1 >= len(operands):
        return None
    last = slashes[-1]
    name = code.source.slice(operands[last + 1].start_byte, operands[-1].end_byte)
    before = operands[last].end_byte
    if code.text(operands[last])[1:-1] == "/" and last > 0:
        before = operands[last - 1].end_byte
    return name, code.source.slice(operands[0].start_byte, before)


def _operands(code: Code, node: Node) -> list[Node]:
    operator, left, right = (node.child_by_field_name(name) for name in ("operator", "left", "right"))
    if node.type != "binary_expression" or operator is None or operator.type != "+" or left is None or right is None:
        return [node]
    return [*_operands(code, left), right]


def _template(code: Code, node: Node) -> tuple[str, str] | None:
    """`${folder}/${name}.html`: the folder ends with the slash before the last hole."""
    data = code.source.data
    holes = [child for child in node.named_children if child.type == "template_substitution"]
    if len(holes) < 2 or data[holes[-1].start_byte - 1 : holes[-1].start_byte] != b"/" or b"/" in data[holes[-1].end_byte : node.end_byte]:
        return None
    first, last = holes[0], holes[-1]
    name = code.source.slice(last.start_byte + 2, last.end_byte - 1)
    if last.end_byte < node.end_byte - 1:
        name = f"`{code.source.slice(last.start_byte, node.end_byte)}"
    if len(holes) == 2 and first.start_byte == node.start_byte + 1 and first.end_byte == last.start_byte - 1:
        return name, code.source.slice(first.start_byte + 2, first.end_byte - 1)
    return name, code.source.slice(node.start_byte, last.start_byte) + "`"
