"""python.command-injection: a program gets an argument list, and no shell reads the value."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import libcst as cst

from pipeline.fixers.python import quoting
from pipeline.fixers.python.queries import Built, find_built
from pipeline.fixers.python.texts import is_text
from pipeline.model.finding import Finding
from pipeline.ports import SourceFiles
from pipeline.rewriting import shell
from pipeline.rewriting.python import imports, strings
from pipeline.rewriting.python.code import Code, argument, drop_argument, keyword, string_value
from pipeline.rewriting.source import Change, Edit
from pipeline.rewriting.template import Hole, Part, join

_SUBPROCESS = frozenset({"run", "call", "check_call", "check_output", "Popen"})
_OTHERS = frozenset({"os.system", "os.popen", "subprocess.getoutput", "asyncio.create_subprocess_shell"})
MAX_LINE = 120
"""A longer argument list is written one argument a line."""


@dataclass(frozen=True, slots=True)
class Arguments:
    """The argument list, and where the text that it replaces was made."""

    items: tuple[str, ...]
    built: Built
    quoting: tuple[str, ...]
    """Local names that were only needed to quote for the shell (`shlex`)."""


def fix(code: Code, finding: Finding, _files: SourceFiles) -> Change | None:
    """Run the program without a shell, or None when the command line needs one."""
    for call in code.near(finding.location, cst.Call, lambda c: _kind(code, c) != "") or _by_variable(code, finding):
        change = _fix_call(code, call) or quoting.fix_call(code, call)
        if change is not None:
            return change
    return None


def fix_quoted(code: Code, finding: Finding, _files: SourceFiles) -> Change | None:
    """The other way: the shell stays, and the value is quoted for it."""
    for call in code.near(finding.location, cst.Call, lambda c: _kind(code, c) != "") or _by_variable(code, finding):
        change = quoting.fix_call(code, call)
        if change is not None:
            return change
    return None


def _kind(code: Code, call: cst.Call) -> str:
    dotted = code.callee(call)
    if dotted in _OTHERS:
        return dotted
    module, _, name = dotted.rpartition(".")
    if module == "subprocess" and name in _SUBPROCESS and keyword(call, "shell") is None and _sh_command(argument(call, 0, "args")):
        return "sh"
    shell_argument = keyword(call, "shell")
    if module == "subprocess" and name in _SUBPROCESS and shell_argument is not None and code.text(shell_argument.value) == "True":
        return "subprocess"
    return ""


def _by_variable(code: Code, finding: Finding) -> list[cst.Call]:
    """The one call in the same function that runs the command which is built at the finding."""
    assign = code.at(finding.location, cst.Assign, lambda a: len(a.targets) == 1 and isinstance(a.targets[0].target, cst.Name))
    if assign is None:
        return []
    name = code.inner(assign.targets[0].target)
    calls = [call for call in code.all(cst.Call, code.block(assign)) if _kind(code, call) and call.args]
    using = [call for call in calls if code.inner(call.args[0].value) == name]
    return using if len(using) == 1 else []


def _fix_call(code: Code, call: cst.Call) -> Change | None:
    kind = _kind(code, call)
    command = argument(call, 0, {"os.system": "command", "subprocess": "args"}.get(kind, "cmd"))
    if command is None or any(arg.star for arg in call.args):
        return None
    if kind == "subprocess" and isinstance(command.value, cst.List):
        return _list_already(code, call, command.value)
    if kind == "sh":
        return _without_sh(code, call, command)
    arguments = _arguments(code, call, command)
    if arguments is None:
        return None
    inline = arguments.built.statements[0].line is None
    edits = _replace_text(code, arguments) if not inline else []
    value = _list(code, call, arguments.items) if inline else code.text(command.value)
    if kind == "subprocess":
        edits += _without_shell(code, call, command, value if inline else None)
    elif kind == "asyncio.create_subprocess_shell":
        edits += _asynchronous(code, call, command, ", ".join(arguments.items) if inline else f"*{value}")
    else:
        replaced = _replaced(code, call, kind, value, len(call.args))
        if replaced is None:
            return None
        edits += replaced
    removed = [code.span(statement.value) for statement in arguments.built.statements]
    if kind != "subprocess" and kind != "asyncio.create_subprocess_shell":
        removed.append(code.span(call))
        edits += imports.drop_unused(code, {_root(call.func)} - {"subprocess"}, removed, edits)
    if arguments.quoting:
        edits += imports.drop_unused(code, arguments.quoting, removed, edits)
    if not edits:
        return None
    return Change(tuple(edits), "run command without a shell", _explain(arguments))


def _explain(arguments: Arguments) -> str:
    return (
        f"`{_program(arguments)}` is started directly with a list of arguments: no shell reads the values, "
        "so each stays one argument whatever it contains."
    )


def _program(arguments: Arguments) -> str:
    return arguments.items[0].strip("\"'").replace("`", "")


def _root(node: cst.BaseExpression) -> str:
    while isinstance(node, cst.Attribute):
        node = node.value
    return node.value if isinstance(node, cst.Name) else ""


def _arguments(code: Code, call: cst.Call, command: cst.Arg) -> Arguments | None:
    built = find_built(code, command.value, call)
    if built is None or built.conditional:
        return None
    whole = join([statement.template for statement in built.statements])
    quoting: set[str] = set()
    parts: list[Part] = []
    for part in whole.parts:
        if isinstance(part, Hole):
            unquoted = _unquoted(code, part)
            if unquoted is not part:
                quoting.add(part.code.split(".")[0].split("(")[0])
            parts.append(unquoted)
        else:
            parts.append(part)
    words = shell.split(parts)
    if words is None:
        return None
    token = whole.tokens[0]
    quote = token.closing if len(token.closing) == 1 else strings.quote_style(code)
    items = [_item(code, word, quote, call) for word in words]
    if any(item is None or "\n" in item for item in items):
        return None
    return Arguments(tuple(item for item in items if item is not None), built, tuple(sorted(quoting)))


def _unquoted(code: Code, hole: Hole) -> Hole:
    """The value inside `shlex.quote(...)`: an argument of a list must not be quoted for a shell."""
    match = re.fullmatch(r"([\w.]+)\((.*)\)", hole.code, re.DOTALL)
    if match is None:
        return hole
    root, _, rest = match[1].partition(".")
    dotted = ".".join(filter(None, (code.imports.get(root, root), rest)))
    if dotted not in {"shlex.quote", "pipes.quote"}:
        return hole
    return Hole(match[2], hole.token, hole.spec, True, hole.start + len(match[1]) + 1)


def _item(code: Code, word: shell.Word, quote: str, call: cst.Call) -> str | None:
    """Source of one argument: always text, because `subprocess` refuses numbers."""
    single = word[0] if len(word) == 1 else None
    if isinstance(single, Hole) and not single.spec:
        return single.code if is_text(code, single, call) else f"str({single.code})"
    if not word:
        return quote * 2
    return strings.combine(word, quote)


def _list(code: Code, at: cst.CSTNode, items: Sequence[str]) -> str:
    """A list on one line, or an argument a line when that would be too long."""
    flat = f"[{', '.join(items)}]"
    source = code.source
    start = code.span(at)[0]
    if len(flat) + start - source.line_start(start) <= MAX_LINE:
        return flat
    indent = source.indentation(start)
    return "[\n" + "".join(f"{indent}    {item},\n" for item in items) + f"{indent}]"


def _replace_text(code: Code, arguments: Arguments) -> list[Edit]:
    """The command was built in a variable: the first statement makes the list, those that added to it go."""
    first, *rest = arguments.built.statements
    edits = [Edit(*code.outer(first.value), _list(code, first.value, arguments.items))]
    edits += [imports.remove_line(code, statement.line) for statement in rest if statement.line is not None]
    return edits


def _without_shell(code: Code, call: cst.Call, command: cst.Arg, value: str | None) -> list[Edit]:
    edits = [Edit(*code.outer(command.value), value)] if value is not None else []
    shell_argument = keyword(call, "shell")
    if shell_argument is not None:
        edits.append(drop_argument(code, call, shell_argument))
    return edits


def _asynchronous(code: Code, call: cst.Call, command: cst.Arg, values: str) -> list[Edit]:
    start, end = code.span(call.func.attr if isinstance(call.func, cst.Attribute) else call.func)
    return [Edit(start, end, "create_subprocess_exec"), Edit(*code.outer(command.value), values)]


def _list_already(code: Code, call: cst.Call, value: cst.List) -> Change | None:
    """`run([...], shell=True)`: the shell takes only the first item as a command, which nobody means."""
    shell_argument, first = keyword(call, "shell"), value.elements[0] if value.elements else None
    program = string_value(first.value) if isinstance(first, cst.Element) else None
    if shell_argument is None or not program or not re.fullmatch(r"[\w./+-]+", program):
        return None
    edit = drop_argument(code, call, shell_argument)
    return Change((edit,), "run command without a shell", f"`{program}` gets its arguments as they are; no shell reads them.")


def _sh_command(arg: cst.Arg | None) -> cst.Element | None:
    """The command of `["sh", "-c", command]`."""
    elements = arg.value.elements if arg is not None and isinstance(arg.value, cst.List) else ()
    texts = [string_value(element.value) for element in elements[:2]]
    if len(elements) != 3 or texts[0] is None or texts[1] != "-c" or not re.fullmatch(r"(?:/(?:usr/)?bin/)?(?:ba|da|z)?sh", texts[0]):
        return None
    return elements[2] if isinstance(elements[2], cst.Element) else None


def _without_sh(code: Code, call: cst.Call, command: cst.Arg) -> Change | None:
    """`run(["sh", "-c", line])`: the program is started itself."""
    element = _sh_command(command)
    arguments = _arguments(code, call, cst.Arg(element.value)) if element is not None else None
    if arguments is None or element is None:
        return None
    if arguments.built.statements[0].line is not None:
        edits = [*_replace_text(code, arguments), Edit(*code.outer(command.value), code.text(element.value))]
        return Change(tuple(edits), "run command without a shell", _explain(arguments))
    edit = Edit(*code.outer(command.value), _list(code, call, arguments.items))
    return Change((edit,), "run command without a shell", _explain(arguments))


def _replaced(code: Code, call: cst.Call, kind: str, value: str, count: int) -> list[Edit] | None:
    """`os.system`, `os.popen` and `getoutput` become `subprocess.run` with the same outcome."""
    if count != 1:
        return None
    found = imports.refer(code, "subprocess", "run")
    if found is None:
        return None
    run, edits = found
    module = run.rpartition(".")[0]
    if kind == "os.system":
        used = not isinstance(code.parent(call), cst.Expr)
        return [*edits, Edit(*code.span(call), f"{run}({value}, check=False){'.returncode' if used else ''}")]
    if kind == "subprocess.getoutput":
        if not module:
            return None
        pipes = f"stdout={module}.PIPE, stderr={module}.STDOUT, text=True, check=False"
        return [*edits, Edit(*code.span(call), f'{run}({value}, {pipes}).stdout.rstrip("\\n")')]
    attribute = code.parent(call)
    outer = code.parent(attribute) if isinstance(attribute, cst.Attribute) else None
    if not isinstance(attribute, cst.Attribute) or not isinstance(outer, cst.Call) or outer.args:
        return None
    tail = {"read": ".stdout", "readlines": ".stdout.splitlines(keepends=True)"}.get(attribute.attr.value)
    if tail is None:
        return None
    return [*edits, Edit(*code.span(outer), f"{run}({value}, capture_output=True, text=True, check=False){tail}")]
