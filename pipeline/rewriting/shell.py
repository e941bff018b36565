"""A shell command line with holes, as the argument list that a program would get without the shell."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.rewriting.template import Hole, Part, Unit

Word = tuple[str | Hole, ...]
"""One argument: text and holes, glued."""

# fmt: off
_SHELL_ONLY = frozenset({
    "cd", "export", "source", ".", "exec", "eval", "if", "for", "while", "until", "case", "alias", "unalias", "set", "unset", "umask",
    "ulimit", "wait", "read", "command", "exit", "trap", "type", "shift", "return", "local", "declare", "function", "select", "time",
    "hash", "jobs", "fg", "bg", "builtin", "dir", "cls", "del", "copy", "move", "start", "rem", "call",
})
_INTERPRETERS = frozenset({
    "sh", "bash", "zsh", "dash", "ksh", "fish", "cmd", "cmd.exe", "powershell", "pwsh", "ssh", "su", "xargs", "env", "sudo", "parallel",
    "watch", "nohup",
})
# fmt: on
"""Programs whose arguments are commands again: taking the shell away around them proves nothing."""

_CODE_OPTIONS = frozenset({"-c", "-e", "--eval", "/c", "-exec", "-execdir", "--command"})
_SCRIPTED = frozenset({"awk", "gawk", "mawk", "sed", "perl", "ruby", "node", "php", "osascript"})
"""Programs that read an argument as a program of their own: a value inside of it stays dangerous without a shell."""

_META = frozenset("|&;<>()$`*?[]{}!\\\n")
_MANY = re.compile(
    r"(?i)(?:^|[^a-z])(?:args|argv|arguments|options|opts|flags|params|cmd|command|commands|extra|extras|files|paths|hosts|names|pipeline)$"
)


def split(parts: Sequence[Part]) -> list[Word] | None:
    """The words that a POSIX shell would make, or None when the line needs a shell or a hole could be more than one word.

    Source: POSIX.1-2017, Shell Command Language, 2.2 Quoting and 2.3 Token Recognition.
    """
    words: list[list[str | Hole]] = []
    current: list[str | Hole] | None = None
    quote = ""
    for part in _stripped(parts):
        if isinstance(part, Hole):
            if not quote and _MANY.search(_last_name(part.code)):
                return None
            current = [] if current is None else current
            current.append(part)
            continue
        char = part.char
        if quote:
            if char == quote:
                quote = ""
            elif quote == '"' and char in "$`\\!":
                return None
            else:
                current = _add(current, char)
        elif char in "'\"":
            quote, current = char, _add(current, "")
        elif char in " \t":
            if current is not None:
                words.append(current)
            current = None
        elif char in _META or (current is None and char in "~#"):
            return None
        else:
            current = _add(current, char)
    if quote:
        return None
    if current is not None:
        words.append(current)
    return _checked([tuple(piece for piece in word if piece != "") for word in words])


def _stripped(parts: Sequence[Part]) -> Sequence[Part]:
    """Without the blank space around a command, which may hold newlines."""
    start, end = 0, len(parts)
    while start < end and _blank(parts[start]):
        start += 1
    while end > start and _blank(parts[end - 1]):
        end -= 1
    return parts[start:end]


def _blank(part: Part) -> bool:
    return isinstance(part, Unit) and not part.char.strip()


def _add(current: list[str | Hole] | None, char: str) -> list[str | Hole]:
    current = [] if current is None else current
    if current and isinstance(current[-1], str):
        current[-1] += char
    else:
        current.append(char)
    return current


MAX_NAME = 200
"""Characters of an expression in which its name is looked for; hostile code can be long."""


def _last_name(code: str) -> str:
    name = code[-MAX_NAME:]
    while (stripped := re.sub(r"(?:\([^()]*\)|\.(?:strip|trim|join|lower|toString|get)|\s)$", "", name)) != name:
        name = stripped
    return re.sub(r"\W+$", "", name)


def _checked(words: list[Word]) -> list[Word] | None:
    if not words or len(words[0]) != 1 or not isinstance(words[0][0], str):
        return None
    program = words[0][0]
    if program in _SHELL_ONLY or "=" in program or program.rsplit("/", 1)[-1] in _INTERPRETERS:
        return None
    if program.rsplit("/", 1)[-1] in _SCRIPTED and any(len(word) > 1 for word in words):
        return None
    for index, word in enumerate(words):
        if word and isinstance(word[0], str) and word[0] in _CODE_OPTIONS and index + 1 < len(words):
            following = words[index + 1]
            if any(isinstance(piece, Hole) for piece in following) and word[0] != "-c":
                return None
            if word[0] == "-c" and re.match(r"(?:python|perl|ruby|node|php|psql|mysql)", program.rsplit("/", 1)[-1]):
                return None
    return words


@dataclass(frozen=True, slots=True)
class Quotable:
    """A hole that may be quoted where it stands, and the quotes around it that must go then."""

    hole: Hole
    drop: tuple[Unit, ...]


_SAFE_BESIDE = re.compile(r"[\w./:=@%+,-]")
_CONNECTORS = "|&;\n"


def quotable(parts: Sequence[Part]) -> list[Quotable] | None:
    """The holes of a line that needs its shell (a pipe, a redirection), each one an ordinary argument that can be quoted in place.

    None when a hole is a command or an option list, stands in a substitution or beside text that quoting would change, or when a part
    of the line is read by another shell again.
    """
    found: list[Quotable] = []
    parts = list(_stripped(parts))
    text = "".join(part.char if isinstance(part, Unit) else "\ufffc" for part in parts)
    if any(mark in text for mark in ("$(", "`", "\\", "<<", "#", "<(", ">(", "(")) or _again(text):
        return None
    at, fresh = 0, True
    while at < len(parts):
        part = parts[at]
        if isinstance(part, Hole):
            if fresh or part.spec or _MANY.search(_last_name(part.code)):
                return None
            found.append(Quotable(part, ()))
        elif part.char in "'\"":
            end = next((n for n in range(at + 1, len(parts)) if isinstance(u := parts[n], Unit) and u.char == part.char), -1)
            if end < 0 or not _group(parts[at : end + 1], found, fresh=fresh):
                return None
            at, fresh = end, False
        elif part.char in _CONNECTORS:
            fresh = True
        elif part.char.strip():
            fresh = False
        at += 1
    return found


def _group(group: Sequence[Part], found: list[Quotable], *, fresh: bool) -> bool:
    """A quoted text: its holes are quoted themselves, so the quotes go, which only harmless text beside them allows."""
    holes = [part for part in group if isinstance(part, Hole)]
    if not holes:
        return True
    inside = [part for part in group[1:-1] if isinstance(part, Unit)]
    if fresh or any(hole.spec for hole in holes) or not all(_SAFE_BESIDE.match(unit.char) for unit in inside):
        return False
    quotes = tuple(part for part in (group[0], group[-1]) if isinstance(part, Unit))
    found += [Quotable(hole, quotes if index == 0 else ()) for index, hole in enumerate(holes)]
    return True


def _again(text: str) -> bool:
    words = {word.rsplit("/", 1)[-1] for word in re.findall(r"[^\s|&;<>'\"]+", text)}
    return bool(words & (_INTERPRETERS | _SCRIPTED | {"eval", "exec", "source", "."} | _CODE_OPTIONS - {"-c", "-e"})) or any(
        re.match(r"python[\d.]*$", word) for word in words
    )
