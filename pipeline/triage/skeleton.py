"""The constant text of a value that is put together, with its holes: what a patch may not change around what it mends.

`f"a {x}"`, `"a " + x`, `"a %s" % x`, `"a {}".format(x)`, `` `a ${x}` `` and `q = "a "; q += x` have one skeleton, `a` and a hole that holds
`x`; and as words of a command so have `["a", x]` and `"a", [x]`. Python, JavaScript and TypeScript; pure.
"""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tree_sitter import Node

from pipeline.triage.nodes import CALLS, FUNCTIONS, called, decode, flat, last_name, operator, string_of
from pipeline.triage.outline import Outline, Unit

Piece = str | Node
"""Constant text, or the expression that stands in a hole."""

HOLE = "\0"
MAX_STEPS = 12
"""Names that are followed for one value, and levels of expressions in each other."""
MAX_PIECES = 400

_BINARY = ("binary_operator", "binary_expression")
_PERCENT = re.compile(r"%(?:\((\w+)\))?[-+ #0]*\d*(?:\.\d+)?[sdrifxX]|%%")
_BRACES = re.compile(r"\{(\w*)(?:![rsa])?(?::[^{}]*)?\}|\{\{|\}\}")
_PUT = frozenset(["append", "push", "extend", "concat"])
_LISTS = frozenset(["list", "tuple", "array"])


@dataclass(slots=True)
class Scope:
    """What the names of a function hold, on one side of a patch: every expression that is put under a name, in order."""

    outline: Outline
    name: str
    under: dict[str, list[Node]] = field(default_factory=dict)

    @classmethod
    def of(cls, outline: Outline, name: str) -> Scope:
        """The function, with the functions around it and the file."""
        scope = cls(outline, name)
        for unit in outline.units:
            if not unit.imports and (unit.scope == name or not unit.scope or name.startswith(f"{unit.scope}.")):
                for target, value in _assigned(unit):
                    scope.under.setdefault(target, []).append(value)
        return scope

    def pieces(self, node: Node, steps: int = 0) -> list[Piece]:
        """The value as text and holes; a single hole for what is not put together here."""
        if steps > MAX_STEPS:
            return [node]
        made = self._pieces(node, steps)
        return _merged(made)[:MAX_PIECES]

    def _pieces(self, node: Node, steps: int) -> list[Piece]:
        kind, more = node.type, steps + 1
        if kind in ("string", "template_string"):
            return [piece for part in _parts(node) for piece in ([part] if isinstance(part, str) else self._hole(part, more))]
        if kind == "concatenated_string":
            return [piece for child in node.named_children for piece in self.pieces(child, more)]
        if (
            kind in ("parenthesized_expression", "await", "await_expression", "as_expression", "non_null_expression")
            and node.named_children
        ):
            return self.pieces(node.named_children[0], more)
        if kind in _BINARY and operator(node) == "+":
            sides = [self.pieces(side, more) for side in (node.child_by_field_name("left"), node.child_by_field_name("right")) if side]
            return [piece for side in sides for piece in side]
        if kind == "binary_operator" and operator(node) == "%":
            return self._percent(node, more)
        if kind in ("conditional_expression", "ternary_expression"):
            ways = [child for child in node.named_children if child != node.child_by_field_name("condition")]
            ways = [ways[0], ways[-1]] if len(ways) > 1 else ways
            return [piece for way in ways for piece in self.pieces(way, more)]
        if kind in CALLS:
            return self._call(node, more)
        if kind == "identifier" and (made := self.under.get(flat(node))):
            return self._named(node, made, more)
        return [node]

    def _hole(self, node: Node, steps: int) -> list[Piece]:
        inner = self.pieces(node, steps)
        return inner if any(isinstance(piece, str) for piece in inner) else [node]

    def _named(self, node: Node, made: Sequence[Node], steps: int) -> list[Piece]:
        """What is under a name, where text is; the parts of a text that grows follow each other."""
        own = flat(node)
        found: list[Piece] = []
        for value in made[:MAX_STEPS]:
            found += [piece for piece in self.pieces(value, steps + 1) if isinstance(piece, str) or flat(piece) != own]
        return found if any(isinstance(piece, str) for piece in found) else [node]

    def _percent(self, node: Node, steps: int) -> list[Piece]:
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        if left is None or right is None:
            return [node]
        text = self.pieces(left, steps)
        if not any(isinstance(piece, str) for piece in text):
            return [node]
        while right.type == "parenthesized_expression" and right.named_children:
            right = right.named_children[0]
        given = right.named_children if right.type == "tuple" else [right]
        return self._filled(text, _PERCENT, given, pairs_of(right), steps)

    def _filled(
        self, text: Sequence[Piece], marks: re.Pattern[str], given: Sequence[Node], named: dict[str, Node], steps: int
    ) -> list[Piece]:
        out: list[Piece] = []
        turn = 0
        for piece in text:
            if not isinstance(piece, str):
                out.append(piece)
                continue
            at = 0
            for mark in marks.finditer(piece):
                out.append(piece[at : mark.start()])
                at = mark.end()
                if mark[0] in ("%%", "{{", "}}"):
                    out.append(mark[0][0])
                    continue
                key = mark[1] or ""
                value = named.get(key)
                if value is None:
                    number = int(key) if key.isdigit() and len(key) < 4 else turn
                    turn += 1
                    value = given[number] if number < len(given) else None
                out += self._hole(value, steps) if value is not None else [mark[0]]
            out.append(piece[at:])
        return out

    def _call(self, node: Node, steps: int) -> list[Piece]:
        target, arguments = called(node), given_to(node)
        name = last_name(target) if target is not None else ""
        receiver = target.child_by_field_name("object") if target is not None else None
        if name == "format" and receiver is not None:
            text = self.pieces(receiver, steps)
            if any(isinstance(piece, str) for piece in text):
                return self._filled(text, _BRACES, [a for a in arguments if a.type != "keyword_argument"], keywords(node), steps)
        if name == "concat" and receiver is not None:
            return [piece for part in (receiver, *arguments) for piece in self.pieces(part, steps)]
        if name == "join" and receiver is not None and arguments:
            held, between = (arguments[0], receiver) if receiver.type not in ("array", *_LISTS) else (receiver, arguments[0])
            if held.type in ("array", *_LISTS) and between.type in ("string", "template_string"):
                out: list[Piece] = []
                for number, element in enumerate(held.named_children):
                    out += ([*self.pieces(between, steps)] if number else []) + self._hole(element, steps)
                return out
        if name in ("str", "String", "text", "SQL", "Markup", "trim", "dedent", "toString", "strip") and len(arguments) < 2:
            inner = arguments[0] if arguments else receiver
            made = self.pieces(inner, steps) if inner is not None else []
            return made if any(isinstance(piece, str) for piece in made) else [node]
        return [node]

    def words(self, node: Node, steps: int = 0) -> list[list[Piece]] | None:
        """Arguments of a program in a list; None for what is no list. What is put in as a whole is one word with one hole."""
        if steps > MAX_STEPS:
            return None
        kind, more = node.type, steps + 1
        if kind in ("parenthesized_expression",) and node.named_children:
            return self.words(node.named_children[0], more)
        if kind in _LISTS:
            out: list[list[Piece]] = []
            for element in node.named_children:
                if element.type in ("list_splat", "spread_element") and element.named_children:
                    out += self.words(element.named_children[0], more) or [[element.named_children[0]]]
                elif element.type != "comment":
                    out.append(self.pieces(element, more))
            return out
        if kind in _BINARY and operator(node) == "+":
            sides = [self.words(side, more) for side in (node.child_by_field_name("left"), node.child_by_field_name("right")) if side]
            return None if all(side is None for side in sides) else [word for side in sides for word in side or [[node]]]
        if kind in CALLS:
            target = called(node)
            receiver = target.child_by_field_name("object") if target is not None else None
            if target is not None and last_name(target) == "split" and receiver is not None and receiver.type == "string":
                return [[word] for word in string_of(receiver).split()]
            if target is not None and last_name(target) == "concat" and receiver is not None:
                sides = [self.words(side, more) for side in (receiver, *given_to(node))]
                return None if sides[0] is None else [word for side in sides for word in side or [[node]]]
        if kind == "identifier" and (made := self.under.get(flat(node))):
            found = [self.words(value, more) for value in made[:MAX_STEPS]]
            if found[0] is None:
                return None
            return [word for value, one in zip(made, found, strict=False) for word in (one if one is not None else [self.pieces(value)])]
        return None


def _assigned(unit: Unit) -> Iterator[tuple[str, Node]]:
    """Name and expression of what a statement puts under a name: assignments, `+=`, and what is put into a list."""
    for node in within(unit):
        if node.type in ("assignment", "augmented_assignment", "assignment_expression", "augmented_assignment_expression"):
            left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        elif node.type == "variable_declarator":
            left, right = node.child_by_field_name("name"), node.child_by_field_name("value")
        elif node.type in CALLS:
            target = called(node)
            held = target.child_by_field_name("object") if target is not None else None
            if target is not None and held is not None and held.type == "identifier" and last_name(target) in _PUT:
                yield from ((flat(held), value) for value in given_to(node))
            continue
        else:
            continue
        if left is not None and right is not None and left.type == "identifier":
            yield flat(left), right


def within(unit: Unit) -> Iterator[Node]:
    """The nodes of a statement (of a compound one: of its head) in order, without the bodies of the functions in it."""
    stack = [unit.node]
    while stack:
        current = stack.pop()
        if current.start_byte >= unit.end or current.type == "comment":
            continue
        yield current
        body = current.child_by_field_name("body") if current.type in FUNCTIONS else None
        stack.extend(child for child in reversed(current.named_children) if child != body)


def given_to(call: Node) -> list[Node]:
    """Arguments of a call, in order."""
    arguments = call.child_by_field_name("arguments")
    if arguments is None:
        return []
    if arguments.type not in ("argument_list", "arguments"):
        return [arguments]  # a tagged template, or a generator alone
    return [child for child in arguments.named_children if child.type != "comment"]


def keywords(call: Node) -> dict[str, Node]:
    """Named arguments of a call, and in JavaScript those of objects among its arguments."""
    found: dict[str, Node] = {}
    for argument in given_to(call):
        if argument.type == "keyword_argument":
            name, value = argument.child_by_field_name("name"), argument.child_by_field_name("value")
            if name is not None and value is not None:
                found[flat(name)] = value
        else:
            found.update(pairs_of(argument) if argument.type == "object" else {})
    return found


def pairs_of(node: Node) -> dict[str, Node]:
    """Keys and values of a dictionary or object; empty for anything else."""
    found: dict[str, Node] = {}
    for pair in node.named_children if node.type in ("dictionary", "object") else ():
        key, value = pair.child_by_field_name("key"), pair.child_by_field_name("value")
        if key is not None and value is not None:
            found[string_of(key) or flat(key)] = value
        elif pair.type == "shorthand_property_identifier":
            found[flat(pair)] = pair
    return found


def _parts(node: Node) -> Iterator[Piece]:
    """Text and expressions of one literal."""
    if not any(child.type in ("interpolation", "template_substitution") for child in node.children):
        yield _plain(node)
        return
    for child in node.children:
        if child.type in ("interpolation", "template_substitution"):
            inner = next((one for one in child.named_children if one.type not in ("type_conversion", "format_specifier")), None)
            yield inner if inner is not None else ""
        elif child.type in ("string_content", "string_fragment"):
            yield _unescaped(decode(child.text or b"")).replace("{{", "{").replace("}}", "}")
        elif child.type == "escape_sequence":
            yield _unescaped(decode(child.text or b""))


def _plain(node: Node) -> str:
    text = decode(node.text or b"")
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return _unescaped(string_of(node))
    return value if isinstance(value, str) else string_of(node)


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", lambda m: {"n": "\n", "t": "\t", "\n": ""}.get(m[1], m[1]), text, flags=re.DOTALL)


def _merged(pieces: Sequence[Piece]) -> list[Piece]:
    out: list[Piece] = []
    for piece in pieces:
        if isinstance(piece, str) and out and isinstance(out[-1], str):
            out[-1] += piece
        elif piece != "":
            out.append(piece)
    return out


def text_of(pieces: Sequence[Piece]) -> str:
    """The text with HOLE for each hole."""
    return "".join(piece.replace(HOLE, "") if isinstance(piece, str) else HOLE for piece in pieces)


def holes_of(pieces: Sequence[Piece]) -> list[Node]:
    """What stands in the holes, in order."""
    return [piece for piece in pieces if not isinstance(piece, str)]


# --- as a database reads it -----------------------------------------------------------------------------------------------------------

_PLACEHOLDER = re.compile(r"%\(\w+\)s|%s|\$\d+|(?<![:\w]):[A-Za-z_]\w*|(?<![@\w])@[A-Za-z_]\w*|\?\??|\{\w*\}")
"""Of a bound value, as the drivers write it (PEP 249, `paramstyle`; node-postgres, mysql2)."""
_QUOTED_HOLE = re.compile(r"'[^'\0]*+\0[^']*+'|\"[^\"\0]*+\0[^\"]*+\"")
_REMARK = re.compile(r"--[^\n]*+|/\*(?:[^*]|\*(?!/))*+(?:\*/|\Z)")
_AROUND = re.compile(r"concat ?\( ?(?:'%' ?, ?)?\0(?: ?, ?'%')? ?\)|(?:'%' ?\|\| ?)?\0(?: ?\|\| ?'%')?", re.IGNORECASE)
_TOKEN = re.compile(r"'[^']*+'|\0|\w+|<>|!=|<=|>=|::|\|\||\S")
_BEGINS = re.compile(r"\s*+\(?\s*+(select|insert|update|delete|with|replace|merge|create|drop|alter|truncate|call)\b", re.IGNORECASE)


def is_statement(pieces: Sequence[Piece]) -> bool:
    """Whether a text begins as a statement of SQL does, and goes on behind the word."""
    text = text_of(pieces)
    return _BEGINS.match(text) is not None and len(text.split()) > 1


def quotes_around(pieces: Sequence[Piece]) -> list[str | None]:
    """For each hole what the statement has in quotes around it: `%` and HOLE of `LIKE '%{name}%'`; None where it has none."""
    text = text_of(pieces)
    spans = [(found.start(), found.end()) for found in _QUOTED_HOLE.finditer(text)]
    at = [number for number, letter in enumerate(text) if letter == HOLE]
    return [next((text[first + 1 : end - 1] for first, end in spans if first < hole < end), None) for hole in at]


def tokens(pieces: Sequence[Piece]) -> list[str]:
    """Words and signs of a statement; HOLE for holes and placeholders, one for a list of them."""
    text = _QUOTED_HOLE.sub(HOLE, text_of(pieces))
    text = _REMARK.sub(" ", text)
    text = re.sub(r"'[^']*'", lambda m: m[0] if _PLACEHOLDER.fullmatch(m[0][1:-1]) is None else f"'{m[0][1:-1]}!'", text)
    pieced = re.split(r"('[^']*')", text)
    text = "".join(part if part.startswith("'") else _PLACEHOLDER.sub(HOLE, part) for part in pieced)
    text = _AROUND.sub(HOLE, text)
    text = re.sub(r"= ?any ?\( ?\0 ?\)", "in (\0)", text, flags=re.IGNORECASE)
    found = [token.lower() if not token.startswith("'") else token for token in _TOKEN.findall(text)]
    out: list[str] = []
    for token in found:
        if token == HOLE and out[-1:] == [HOLE]:
            continue
        if token == HOLE and out[-2:] == [HOLE, ","]:
            out.pop()
            continue
        out.append(token)
    while out and out[-1] == ";":
        out.pop()
    return out


# --- as a shell reads it --------------------------------------------------------------------------------------------------------------

_SHELL = re.compile(r"[|&;<>*?~$`()\[\]{}\n]")


def command_words(pieces: Sequence[Piece]) -> list[str] | None:
    """The words that a shell makes of a text; None where it does more than to cut it at blanks."""
    text = text_of(pieces)
    try:
        words = shlex.split(text.strip())
    except ValueError:
        return None
    return words if _SHELL.search(text.strip()) is None else None


def shell_words(pieces: Sequence[Piece]) -> list[str]:
    """What is between the blanks of a command that only a shell can read, without quotes: they may come and go around a value."""
    return ["shell:", *re.sub(r"[\"'`]", "", text_of(pieces)).split()]


def list_words(words: Sequence[Sequence[Piece]]) -> list[str] | None:
    """The same of a list of arguments; what a shell is handed in one is read as the shell does."""
    found = [text_of(word) for word in words]
    if len(words) == 3 and found[0].rsplit("/", 1)[-1] in ("sh", "bash", "dash", "zsh", "ksh") and found[1] == "-c":
        return command_words(words[2])
    return found


def alike_words(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether two commands have the same words: `--` may come, the program may lose its folder, holes side by side count as one."""
    return _bare_words(one) == _bare_words(other)


def _bare_words(words: Sequence[str]) -> list[str]:
    out: list[str] = []
    for number, word in enumerate(words):
        bare = word.rsplit("/", 1)[-1] if not number else word
        if bare != "--" and not (bare == HOLE and out[-1:] == [HOLE]):
            out.append(bare)
    return out
