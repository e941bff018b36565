"""Does a workflow or a Dockerfile still do its work after a patch? They have no statements, so what they are made of is compared.

A fix of a workflow may change permissions, hand values over in `env`, put variables in the place of expressions in a script, and pin what
it uses. A fix of a Dockerfile keeps its instructions and the commands in them. Anything else is somebody else's change.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

import yaml

from pipeline.formats import compose, format_of, instructions
from pipeline.model.finding import Finding
from pipeline.model.fix import FileEdit

EXPRESSION = re.compile(r"\$\{\{[^{}]*+\}\}")
"""`${{ ... }}`, which the host fills in before any shell or interpreter sees the text."""

_SCRIPTS = ("run", "script")
_TRIGGERS = ("on", "true")
_DRESS = re.compile(r"[\"'`]")
"""What may change around an expression that becomes a variable."""
_VARIABLE = re.compile(
    r"\$[eE]nv:\w+|\$\{[eE]nv:\w+\}|\$\w+|\$\{\w+\}|(?:\$\{)?process\.env\.\w+\}?|JSON\.parse\(process\.env\.\w+\)|%\w+%|os\.environ\[\w+\]|\0"
)
"""What may stand in the place of an expression, without its quotes; `\\0` is an expression."""

Path = tuple[str, ...]


def lost_work(edit: FileEdit, finding: Finding) -> list[str]:
    """What a workflow or a Dockerfile no longer does, or does besides. Secrets are judged elsewhere."""
    kind = format_of(edit.path)
    if kind is None or edit.before is None or finding.secret is not None:
        return []
    if edit.after is None:
        return [f"{edit.path} is deleted"]
    before, after = (side.decode("utf-8", "replace").removeprefix("\ufeff") for side in (edit.before, edit.after))
    if kind == "dockerfile":
        return _lost_commands(edit.path, before, after)
    old, new = compose(before), compose(after)
    if not isinstance(old, yaml.MappingNode) or new is None:
        return []  # nothing is done by what is no workflow; and whether it parses is another question
    was, now = dict(_leaves(old)), dict(_leaves(new))
    reasons = [f"{edit.path}: `{'.'.join(path)}` is gone" for path in was if path not in now and not _may_go(path, finding)]
    reasons += [f"{edit.path}: `{'.'.join(path)}` is added" for path in now if path not in was and not _may_come(path, finding)]
    reasons += [
        f"{edit.path}: `{'.'.join(path)}` does something else"
        for path in was
        if path in now and now[path] != was[path] and not _same_work(path, was[path], now[path], finding)
    ]
    return reasons[:3]


def _leaves(root: yaml.Node, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Every value of a document with its place; an empty collection is a value too. Depth is bounded by `compose`."""
    if isinstance(root, yaml.MappingNode) and root.value:
        for key, value in root.value:
            yield from _leaves(value, (*path, str(key.value)))
    elif isinstance(root, yaml.SequenceNode) and root.value:
        for number, value in enumerate(root.value):
            yield from _leaves(value, (*path, str(number)))
    else:
        yield path, str(root.value)


def _of_trigger(path: Path, finding: Finding) -> bool:
    return path[0] in _TRIGGERS and finding.rule.id.startswith("workflow.pull-request-target")


def _of_permissions(path: Path, finding: Finding) -> bool:
    where = path[0] == "permissions" or (len(path) > 2 and path[0] == "jobs" and path[2] == "permissions")
    return where and "permissions" in finding.rule.id


def _may_go(path: Path, finding: Finding) -> bool:
    return bool(path) and (_of_permissions(path, finding) or _of_trigger(path, finding))


def _may_come(path: Path, finding: Finding) -> bool:
    if not path:
        return False
    return _of_permissions(path, finding) or _of_trigger(path, finding) or (len(path) > 1 and path[-2] == "env")


def _same_work(path: Path, before: str, after: str, finding: Finding) -> bool:
    if not path:
        return False
    if _of_permissions(path, finding) or _of_trigger(path, finding):
        return True
    if path[-1] == "uses":
        return before.rpartition("@")[0] == after.rpartition("@")[0] != ""
    if path[-1] == "ref":
        return finding.rule.id.startswith("workflow.pull-request-target")
    return path[-1] in _SCRIPTS and _same_script(before, after)


def _same_script(before: str, after: str) -> bool:
    """The same lines, and the same text around every expression; in the place of one stands a variable."""
    if before.count("\n") != after.count("\n"):
        return False
    for old, new in zip(before.split("\n"), after.split("\n"), strict=True):
        if old == new:
            continue
        pieces = [_DRESS.sub("", piece) for piece in EXPRESSION.split(old)]
        rest, at = _DRESS.sub("", EXPRESSION.sub("\0", new)), len(pieces[0])
        if len(pieces) < 2 or not rest.startswith(pieces[0]):
            return False
        for piece in pieces[1:]:
            variable = _VARIABLE.match(rest, at)
            if variable is None or not rest.startswith(piece, variable.end()):
                return False
            at = variable.end() + len(piece)
        if at != len(rest) or _bared(old, new):
            return False
    return True


def _bared(old: str, new: str) -> bool:
    """Whether a shell reads a variable otherwise than the expression in its place: without the quotes that stood there, it is cut at
    blanks and filled with names of files; in single quotes it is no variable at all."""
    known = {match[0] for match in _NAMED.finditer(old)}
    before = [_quote_at(old, match.start()) for match in EXPRESSION.finditer(old)]
    after = [_quote_at(new, match.start()) for match in _NAMED.finditer(new) if match[0] not in known]
    if len(before) != len(after) or "$(" in old or "`" in old or old.count("'") % 2 or old.count('"') % 2:
        return False  # a text of several lines, quotes in quotes, or no shell
    return any((now == "'") or (was and not now) for was, now in zip(before, after, strict=True))


_NAMED = re.compile(r"\$(?![eE]nv:)[A-Za-z_]\w*|\$\{[A-Za-z_]\w*\}")


def _quote_at(line: str, at: int) -> str:
    """The quote in which a place of a line stands; empty outside of quotes."""
    inside = ""
    for number, letter in enumerate(line[:at]):
        if letter in "'\"" and (not inside or inside == letter) and line[number - 1 : number] != "\\":
            inside = "" if inside else letter
    return inside


_COMMAND = re.compile(r"(?:^|&&|\|\|?|;|\()\s*+(?:sudo\s++)?([\w./-]++)")


def _lost_commands(path: str, before: str, after: str) -> list[str]:
    old, new = instructions(before), instructions(after)
    lost = Counter(word for word, _ in old) - Counter(word for word, _ in new)
    reasons = [f"{path}: an instruction {word.upper()} is gone" for word in sorted(lost) if word != "add"]
    commands = [Counter(name for word, text in side if word == "run" for name in _COMMAND.findall(text)) for side in (old, new)]
    return reasons + [f"{path}: the command `{name}` is no longer run" for name in sorted(commands[0] - commands[1])]
