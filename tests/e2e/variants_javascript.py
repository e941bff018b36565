"""The same weakness written otherwise, in JavaScript: as `variants_python`, by edits of the text."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from tree_sitter import Node

from pipeline.rewriting.javascript.code import FUNCTIONS, Code, ancestors, parse
from pipeline.rewriting.source import Edit, apply, open_source
from tests.e2e.variants_python import NAMES

KEPT = frozenset({"req", "res", "request", "response", "next", "app", "module", "exports", "require", "db", "connection", "pool", "client"})
_DECLARED = frozenset({"identifier", "shorthand_property_identifier", "shorthand_property_identifier_pattern"})


def variants(path: str, source: str, line: int, chance: random.Random) -> Iterator[tuple[str, str]]:
    """Kind and text of each variant that can be made of the finding at a line."""
    code = read(path, source)
    text = isolated(code, line) if code is not None else source
    lines = source.split("\n")
    wanted = lines[line - 1].strip()
    at = next((n for n, one in enumerate(text.split("\n"), start=1) if one.strip() == wanted), 0)
    code = read(path, text)
    if code is None or not at:
        return
    for kind, operator in OPERATORS.items():
        edits = operator(code, at, chance)
        made = apply(code.source, edits) if edits else None
        if made is not None and read(path, made.decode()) is not None:
            yield kind, made.decode()


def read(path: str, text: str) -> Code | None:
    """A text as code."""
    source = open_source(path, text.encode())
    return parse(source) if source is not None else None


def isolated(code: Code, line: int) -> str:
    """The top-level statement around a line, with imports and declarations."""
    kept = []
    for node in code.root.named_children:
        around = node.start_point[0] + 1 <= line <= node.end_point[0] + 1
        functions = any(n.type in FUNCTIONS for n in code.all(FUNCTIONS, node))
        if around or node.type == "import_statement" or (node.type in ("lexical_declaration", "variable_declaration") and not functions):
            kept.append(code.text(node))
    return "\n".join(kept) + "\n"


def _flagged(code: Code, line: int) -> Node | None:
    """The innermost statement around a line."""
    found: Node | None = None
    for node in code.order:
        inside = node.parent is not None and node.parent.type in ("statement_block", "program")
        if inside and node.type != "comment" and node.start_point[0] + 1 <= line <= node.end_point[0] + 1:
            found = node if found is None or node.end_byte - node.start_byte <= found.end_byte - found.start_byte else found
    return found


def _free(code: Code, chance: random.Random, taken: set[str]) -> str:
    known = code.names() | taken
    return next(name for name in [*chance.sample(NAMES, len(NAMES)), *(f"entry{n}" for n in range(1000))] if name not in known)


def rename(code: Code, line: int, chance: random.Random) -> list[Edit]:
    """Other names for parameters and what is declared inside functions."""
    statement = _flagged(code, line)
    outer = [n for n in ancestors(statement) if n.type in FUNCTIONS] if statement is not None else []
    if not outer:
        return []
    scope = outer[-1]
    names = {code.text(n) for n in code.all(_DECLARED, scope) if code.binds(n) and code.function(n) != code.root}
    table: dict[str, str] = {}
    for name in sorted(names - KEPT - set(code.imports)):
        table[name] = _free(code, chance, set(table.values()))
    edits = []
    for node in code.all(_DECLARED, scope):
        name = code.text(node)
        if name not in table:
            continue
        short = node.type != "identifier"
        edits.append(Edit(node.start_byte, node.end_byte, f"{name}: {table[name]}" if short else table[name]))
    return edits


def _pieces(code: Code, node: Node) -> list[tuple[bool, str]] | None:
    """A text that is put together: (literal?, text or source); None for anything else."""
    if node.type == "template_string":
        found: list[tuple[bool, str]] = []
        position = node.start_byte + 1
        for part in node.named_children:
            if part.type == "template_substitution":
                found.append((True, code.source.slice(position, part.start_byte)))
                found.append((False, code.source.slice(part.start_byte + 2, part.end_byte - 1)))
                position = part.end_byte
        found.append((True, code.source.slice(position, node.end_byte - 1)))
        return [piece for piece in found if piece != (True, "")]
    if node.type == "binary_expression":
        operator, left, right = (node.child_by_field_name(name) for name in ("operator", "left", "right"))
        if operator is None or operator.type != "+" or left is None or right is None:
            return None
        sides = [_pieces(code, side) or _leaf(code, side) for side in (left, right)]
        joined = [piece for side in sides for piece in side]
        return joined if any(literal for literal, _ in joined) else None
    return None


def _leaf(code: Code, node: Node) -> list[tuple[bool, str]]:
    text = code.text(node)
    return [(True, text[1:-1])] if node.type == "string" else [(False, text)]


def _texts(code: Code, statement: Node) -> list[tuple[Node, list[tuple[bool, str]]]]:
    found: list[tuple[Node, list[tuple[bool, str]]]] = []
    for node in code.all({"template_string", "binary_expression"}, statement):
        pieces = _pieces(code, node)
        mixed = pieces is not None and len({literal for literal, _ in pieces}) == 2
        hard = pieces is None or any(literal and set(text) & set("`\\$\"'\n") - {"'"} for literal, text in pieces)
        if (
            mixed
            and not hard
            and pieces is not None
            and not any(outer.start_byte <= node.start_byte < outer.end_byte for outer, _ in found)
        ):
            found.append((node, pieces))
    return found


def _quoted(text: str) -> str:
    return f'"{text}"'


def _plus(pieces: list[tuple[bool, str]]) -> str:
    sources = [_quoted(text) if literal else (text if text.replace(".", "").isidentifier() else f"({text})") for literal, text in pieces]
    return " + ".join(sources if pieces[0][0] or pieces[1][0] else ['""', *sources])


def _template(pieces: list[tuple[bool, str]]) -> str:
    return "`" + "".join(text if literal else f"${{{text}}}" for literal, text in pieces) + "`"


def split(code: Code, line: int, chance: random.Random) -> list[Edit]:
    """A text gets a statement of its own, or several."""
    statement = _flagged(code, line)
    if statement is None:
        return []
    name, indent = _free(code, chance, set()), code.source.indentation(statement.start_byte)
    own = [n for n in _texts(code, statement) if not _in_inner(code, n[0], statement)]
    if own:
        node, pieces = own[0]
        if chance.random() < 0.5:
            sources = [_quoted(text) if literal else text for literal, text in (pieces if pieces[0][0] else [(True, ""), *pieces])]
            made = [f"let {name} = {sources[0]}", *(f"{name} += {source}" for source in sources[1:])]
        else:
            made = [f"const {name} = {code.text(node)}"]
    else:
        calls = [c for c in code.all({"call_expression", "member_expression", "object"}, statement) if _argument(code, c, statement)]
        if not calls:
            return []
        node = chance.choice(calls)
        made = [f"const {name} = {code.text(node)}"]
    start = statement.start_byte
    return [Edit(start, start, "".join(f"{one};\n{indent}" for one in made)), Edit(node.start_byte, node.end_byte, name)]


def _argument(code: Code, node: Node, statement: Node) -> bool:
    parent = node.parent
    return parent is not None and parent.type == "arguments" and not _in_inner(code, node, statement)


def _in_inner(code: Code, node: Node, statement: Node) -> bool:
    """True inside a function that begins within the statement."""
    return code.function(node).start_byte >= statement.start_byte and code.function(node) != code.root


def wrap(code: Code, line: int, chance: random.Random) -> list[Edit]:
    """A block around the body of the function, or around a statement at the top: try, or a condition."""
    statement = _flagged(code, line)
    if statement is None:
        return []
    branch = ("if (typeof globalThis === 'object') {", "}")
    before, after = chance.choice([("try {", "} catch (error) { throw error }"), branch])
    function = code.function(statement)
    body = function.child_by_field_name("body") if function != code.root else None
    if body is not None and body.type == "statement_block":
        return [Edit(body.start_byte + 1, body.start_byte + 1, f" {before}"), Edit(body.end_byte - 1, body.end_byte - 1, f"{after} ")]
    if function == code.root and statement.type == "expression_statement":
        if list(code.all({"assignment_expression"}, statement)):
            before, after = branch  # a `try` around one setting is written by nobody
        return [Edit(statement.start_byte, statement.start_byte, f"{before} "), Edit(statement.end_byte, statement.end_byte, f" {after}")]
    return []


def strings(code: Code, line: int, chance: random.Random) -> list[Edit]:
    """Template literals become sums, and sums template literals."""
    statement = _flagged(code, line)
    if statement is None:
        return []
    function = code.function(statement)
    found = _texts(code, function if function != code.root else statement)
    return [
        Edit(node.start_byte, node.end_byte, _plus(pieces) if node.type == "template_string" else _template(pieces))
        for node, pieces in found
    ]


OPERATORS: dict[str, Callable[[Code, int, random.Random], list[Edit]]] = {
    "rename": rename,
    "split": split,
    "wrap": wrap,
    "strings": strings,
}
