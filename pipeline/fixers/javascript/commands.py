"""javascript.command-injection: a program gets an argument list, and no shell reads the value."""

from __future__ import annotations

from collections.abc import Sequence

from tree_sitter import Node

from pipeline.fixers.javascript.queries import Built, find_built
from pipeline.model.finding import Finding
from pipeline.ports import SourceFiles
from pipeline.rewriting import shell
from pipeline.rewriting.javascript import imports, strings
from pipeline.rewriting.javascript.code import Code, arguments, drop_item, is_callback, key_of
from pipeline.rewriting.source import Change, Edit
from pipeline.rewriting.template import Hole, join

_MODULE = "child_process"
_DIRECT = {f"{_MODULE}.exec": "execFile", f"{_MODULE}.execSync": "execFileSync"}
_SPAWN = frozenset({f"{_MODULE}.{name}" for name in ("spawn", "spawnSync", "execFile", "execFileSync")})
MAX_LINE = 120
"""A longer argument list is written one argument a line."""


def fix(code: Code, finding: Finding, _files: SourceFiles) -> Change | None:
    """Run the program without a shell, or None when the command line needs one."""
    for call in code.near(finding.location, {"call_expression"}, lambda c: _kind(code, c) != "") or _by_variable(code, finding):
        change = {"spawn": _spawn, "sh": _without_sh}.get(_kind(code, call), _exec)(code, call)
        if change is not None:
            return change
    return None


def _kind(code: Code, call: Node) -> str:
    dotted = code.callee(call)
    if dotted in _DIRECT:
        return _DIRECT[dotted]
    if dotted in _SPAWN and _shell_option(code, call) is not None:
        return "spawn"
    if dotted in _SPAWN and _sh_command(code, call) is not None:
        return "sh"
    return "promise" if _promisified(code, call) is not None else ""


def _by_variable(code: Code, finding: Finding) -> list[Node]:
    """The one call in the same function that runs the command which is built at the finding."""
    for declarator in code.near(finding.location, {"variable_declarator"}, lambda _: True):
        name = declarator.child_by_field_name("name")
        calls = [c for c in code.all({"call_expression"}, code.function(declarator)) if _kind(code, c)]
        using = [c for c in calls if name is not None and [code.text(a) for a in arguments(c)[:1]] == [code.text(name)]]
        return using if len(using) == 1 else []
    return []


def _promisified(code: Code, call: Node) -> Node | None:
    """The `exec` inside `promisify(exec)`, when what is called was made so."""
    function = call.child_by_field_name("function")
    value = code.value_of(code.text(function), call) if function is not None and function.type == "identifier" else None
    if value is None or value.type != "call_expression" or not code.callee(value).endswith("promisify"):
        return None
    inner = arguments(value)
    return inner[0] if len(inner) == 1 and code.qualified(inner[0]) == f"{_MODULE}.exec" else None


def _exec(code: Code, call: Node) -> Change | None:
    args = arguments(call)
    if not args or any(arg.type == "spread_element" for arg in args):
        return None
    options = args[1] if len(args) > 1 and not is_callback(code, args[1]) else None
    if options is not None and (options.type != "object" or any(key_of(code, p) == "shell" for p in options.named_children)):
        return None
    built = find_built(code, args[0], call)
    words = _words(code, built) if built is not None else None
    renamed = _renamed(code, call)
    if built is None or words is None or renamed is None:
        return None
    return Change((*renamed, *_passed(code, args[0], built, words)), *_said(words))


def _renamed(code: Code, call: Node) -> list[Edit] | None:
    """`exec` -> `execFile` in the call, and in the import or the `promisify` behind it."""
    function = call.child_by_field_name("function")
    if function is None:
        return None
    inner = _promisified(code, call)
    if inner is not None:
        name = code.text(function)
        better = name.replace("exec", "execFile", 1) if name.startswith("exec") else name
        uses = code.uses(name)
        if len(uses) != 1 or (better != name and better in code.names()):
            return None
        declared = [b for b in code.all({"identifier"}) if code.text(b) == name and code.binds(b)]
        edits = [Edit(node.start_byte, node.end_byte, better) for node in (*declared, function)] if len(declared) == 1 else []
        target = _rename(code, inner, "execFile")
        return [*edits, *target] if target is not None and edits else None
    return _rename(code, function, _DIRECT[code.qualified(function)])


def _rename(code: Code, node: Node, new: str) -> list[Edit] | None:
    if node.type == "identifier":
        swapped = imports.swap(code, code.text(node), new, [node])
        return [*swapped[1], Edit(node.start_byte, node.end_byte, swapped[0])] if swapped is not None else None
    prop = node.child_by_field_name("property")
    return [Edit(prop.start_byte, prop.end_byte, new)] if prop is not None else None


def _words(code: Code, built: Built) -> list[str] | None:
    if built.conditional:
        return None
    whole = join([statement.template for statement in built.statements])
    words = shell.split(whole.parts)
    if words is None:
        return None
    mark = whole.tokens[0].closing
    items = [_item(code, word, mark if mark in "'\"" else code.quote) for word in words]
    kept = [item for item in items if item is not None and "\n" not in item]
    return kept if len(kept) == len(items) else None


def _item(code: Code, word: shell.Word, quote: str) -> str | None:
    single = word[0] if len(word) == 1 else None
    if isinstance(single, Hole) and _is_number(code, single):
        return f"String({single.code})"
    return strings.combine(word, quote) if word else quote * 2


def _is_number(code: Code, hole: Hole) -> bool:
    """True for what TypeScript would refuse in a list of strings, and Node in `execFile`."""
    if hole.code.startswith(("Number(", "parseInt(", "parseFloat(", "Math.")) or hole.code.endswith(".length"):
        return True
    node = code.root.descendant_for_byte_range(hole.start, hole.start + len(hole.code.encode()))
    if node is None or node.type != "identifier":
        return False
    for parameter in code.all({"required_parameter", "optional_parameter"}, code.function(node)):
        name, annotation = parameter.child_by_field_name("pattern"), parameter.child_by_field_name("type")
        if name is not None and annotation is not None and code.text(name) == hole.code:
            return code.text(annotation).strip(": ") != "string"
    value = code.value_of(hole.code, node)
    return value is not None and (value.type == "number" or code.text(value).startswith(("Number(", "parseInt(", "parseFloat(")))


def _passed(code: Code, argument: Node, built: Built, words: Sequence[str]) -> list[Edit]:
    """The program and its list, in the call or where the command was built."""
    first, *rest = built.statements
    listed = _list(code, argument, words[1:])
    if first.line is None:
        return [Edit(argument.start_byte, argument.end_byte, f"{words[0]}, {listed}")]
    name = "args" if "args" not in code.names() else "commandArgs"
    edits = [Edit(argument.start_byte, argument.end_byte, f"{words[0]}, {name}")]
    declarator = first.value.parent
    target = declarator.child_by_field_name("name") if declarator is not None else None
    if target is not None and len(code.uses(code.text(target), code.function(argument))) == 1 and not rest:
        edits += [Edit(target.start_byte, target.end_byte, name), Edit(first.value.start_byte, first.value.end_byte, listed)]
        return edits
    return []


def _list(code: Code, at: Node, items: Sequence[str]) -> str:
    flat = f"[{', '.join(items)}]"
    source = code.source
    if len(flat) + at.start_byte - source.line_start(at.start_byte) <= MAX_LINE:
        return flat
    indent = source.indentation(at.start_byte)
    return "[\n" + "".join(f"{indent}  {item},\n" for item in items) + f"{indent}]"


def _said(words: Sequence[str]) -> tuple[str, str]:
    program = words[0].strip("\"'`")
    return (
        "run command without a shell",
        f"`{program}` is started directly with a list of arguments: no shell reads the values, so each stays one argument.",
    )


def _shell_option(code: Code, call: Node) -> Node | None:
    """The property `shell: true` of a `spawn`."""
    for options in arguments(call)[1:]:
        if options.type == "object":
            for pair in options.named_children:
                value = pair.child_by_field_name("value") if pair.type == "pair" else None
                if value is not None and key_of(code, pair) == "shell" and code.text(value) == "true":
                    return pair
    return None


def _spawn(code: Code, call: Node) -> Change | None:
    """`spawn(line, { shell: true })` and `spawn(program, [..], { shell: true })`."""
    args, option = arguments(call), _shell_option(code, call)
    options = option.parent if option is not None else None
    if option is None or options is None or any(arg.type == "spread_element" for arg in args):
        return None
    pairs = [child for child in options.named_children if child.type != "comment"]
    dropped = [drop_item(code, pairs, option)] if len(pairs) > 1 else [drop_item(code, args, options)]
    if len(args) > 1 and args[1].type == "array":
        program = strings.read(code, args[0])
        if program is None or program.holes or " " in program.text or shell.split(program.parts) is None:
            return None
        return Change(tuple(dropped), *_said([code.text(args[0])]))
    built = find_built(code, args[0], call)
    words = _words(code, built) if built is not None else None
    if built is None or words is None or built.statements[0].line is not None:
        return None
    return Change((*_passed(code, args[0], built, words), *dropped), *_said(words))


def _sh_command(code: Code, call: Node) -> Node | None:
    """The command of `spawn("sh", ["-c", command])`."""
    args = arguments(call)
    if len(args) < 2 or args[0].type != "string" or args[1].type != "array":
        return None
    items = [child for child in args[1].named_children if child.type != "comment"]
    shells = {"sh", "bash", "/bin/sh", "/bin/bash", "zsh", "dash"}
    matches = code.text(args[0])[1:-1] in shells and len(items) == 2 and code.text(items[0])[1:-1] == "-c"
    return items[1] if matches else None


def _without_sh(code: Code, call: Node) -> Change | None:
    """`spawn("sh", ["-c", line])`: the program is started itself."""
    args, command = arguments(call), _sh_command(code, call)
    built = find_built(code, command, call) if command is not None else None
    words = _words(code, built) if built is not None else None
    if built is None or words is None or built.statements[0].line is not None:
        return None
    return Change((Edit(args[0].start_byte, args[1].end_byte, f"{words[0]}, {_list(code, args[0], words[1:])}"),), *_said(words))
