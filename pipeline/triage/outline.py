"""What a source file does, statement by statement: enough to tell whether a patch kept it, and nothing more.

One reading for Python, JavaScript, TypeScript, Go and Java, from tree-sitter's trees: which functions, classes and routes exist, and for
each statement what it calls, which values it uses, what it names, and whether it can be reached. Pure; garbage is no error.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field

from tree_sitter import Node

from pipeline.syntax import language_of, syntax_tree
from pipeline.triage.compiled import ASSIGNING
from pipeline.triage.nodes import (
    CALLS,
    CLASSES,
    FUNCTIONS,
    HEADERS,
    INDEXED,
    LEAVING,
    MAX_TEXT,
    MEMBERS,
    OUTSIDE,
    PLAIN,
    ROUTE_METHODS,
    TEXTS,
    builds,
    called,
    constant_truth,
    decode,
    definition_name,
    destructured,
    flat,
    is_binding,
    is_block,
    is_callee,
    is_empty,
    is_glued,
    is_require,
    is_unit,
    last_line,
    last_name,
    leads_to_callee,
    names_in,
    own_text,
    parameters,
    path_of,
    raw_names,
    root_name,
    signature,
    string_of,
    swallows,
    walk,
    whole_numbers,
)

MAX_DEPTH = 400
"""Levels of a syntax tree. What people write stays far below; to ask a node for its parent costs its depth."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call: `name` is the last part of what is called, `path` all of it (`subprocess.run`), `root` the first name in it."""

    name: str
    path: str
    root: str
    given: frozenset[str] = frozenset()
    """Its arguments in front of the first plain string, as far as they are nothing but a name."""
    built: frozenset[str] = frozenset()
    """Names that are put into a string (concatenation, interpolation, format) in those arguments: behind a plain text, which is then the
    statement or command, a built string is a value."""
    literal: str = ""
    """Its first argument, when that is a plain string."""
    numbers: tuple[int, ...] = ()
    """Its arguments that are whole numbers, as written."""


@dataclass(slots=True)
class Unit:
    """One statement, the head of a compound one, or the expression that is an anonymous function's whole body."""

    node: Node
    kind: str
    """tree-sitter's name of the statement, or `expression`."""
    start: int
    end: int
    """Bytes; for a compound statement its head only, end exclusive."""
    line: int
    end_line: int
    """1-based, inclusive."""
    scope: str
    text: str
    """Its own words: what stands in the functions in it are statements of their own."""
    unreachable: bool = False
    loads: set[str] = field(default_factory=set)
    """Names that it reads, without those that only lead to what is called."""
    roots: set[str] = field(default_factory=set)
    """First names of what it calls: `cursor` in `cursor.execute(...)`."""
    binds: set[str] = field(default_factory=set)
    mentions: set[str] = field(default_factory=set)
    """Names that it reads without calling them."""
    parts: set[str] = field(default_factory=set)
    """Attributes and members that it reads without calling them: `run` in `f = subprocess.run` and in `const { run } = x`."""
    targets: set[str] = field(default_factory=set)
    """Names in the place that it writes to, when that is an attribute or item: `app` in `app.debug = True`."""
    written: set[str] = field(default_factory=set)
    """Members that it writes to: `innerHTML` in `box.innerHTML = x`."""
    options: dict[str, tuple[bool, str]] = field(default_factory=dict)
    """Named constants that it hands over: `verify` -> (False, "0") for `get(url, verify=0)` and `{verify: 0}`."""
    spread: bool = False
    """True when it hands over named values as a whole: `**options`, `{...options}`."""
    glued: bool = False
    """True when it reaches a member by a name that is put together from constant texts: `box["inner" + "HTML"]`."""
    built: set[str] = field(default_factory=set)
    """Names that it puts into a string."""
    calls: list[Call] = field(default_factory=list)
    strings: set[str] = field(default_factory=set)
    empty: bool = False
    """True for a docstring, `pass`, `"use strict"`: nothing that can be executed to an effect."""
    imports: bool = False
    assigns: bool = False
    """True when it writes to an attribute, an item or a name."""


@dataclass(frozen=True, slots=True)
class Definition:
    """A function or class."""

    name: str
    """Dotted, from the outside in."""
    parameters: tuple[str, ...]
    decorators: tuple[str, ...]
    line: int
    end_line: int
    head_line: int = 0
    """The last line in front of its body."""
    signature: tuple[str, ...] = ()
    """Its parameters with stars, order and defaults, without types."""
    answers: str = ""
    """`a coroutine` for what is declared so."""
    bases: str = ""
    """Of a class: what it is made of, as written."""
    named: bool = True
    """False for an anonymous function that only has the name of its place."""


@dataclass(slots=True)
class Outline:
    """A whole file."""

    units: list[Unit] = field(default_factory=list)
    definitions: list[Definition] = field(default_factory=list)
    routes: list[str] = field(default_factory=list)
    """`app.get /users` for each registration with a literal path, decorators included."""
    imported: dict[str, str] = field(default_factory=dict)
    """Name here -> where it comes from (`os.path`, `./db`)."""
    swallows: int = 0
    """How many handlers of errors do nothing with them."""
    too_deep: bool = False
    """True when the file is nested deeper than MAX_DEPTH: what lies below was not read, so nothing may be concluded."""

    def at(self, line: int, end_line: int) -> list[Unit]:
        """The innermost statements that touch these lines (1-based, inclusive)."""
        hit = [u for u in self.units if u.line <= end_line and u.end_line >= line]
        return [u for u in hit if not any(o is not u and u.start <= o.start and o.end <= u.end for o in hit)]

    def around(self, start: int, end: int) -> Unit | None:
        """The smallest statement that holds the whole range (bytes, end exclusive)."""
        holding = [u for u in self.units if u.start <= start and end <= u.end and start < end]
        return min(holding, key=lambda u: u.end - u.start, default=None)


@functools.lru_cache(maxsize=16)
def outline(path: str, content: bytes) -> Outline | None:
    """What the file does, or None when its language is unknown to us. The answer is shared: do not change it."""
    tree = syntax_tree(path, content)
    if tree is None:
        return None
    return _Reader(language_of(path) in ("python", "go", "java")).read(tree.root_node)


@dataclass(slots=True)
class _Place:
    node: Node
    field: str
    unit: Unit | None
    scope: str
    dead: bool
    depth: int = 0


def _head_line(node: Node, body: Node | None) -> int:
    previous = body.prev_sibling if body is not None else None
    return (previous.end_point.row if previous is not None else node.start_point.row) + 1


class _Reader:
    def __init__(self, named: bool) -> None:
        self.named = named  # an import is a statement with names that it only mentions
        self.out = Outline()

    def read(self, root: Node) -> Outline:
        # An explicit stack: a hostile file nests deeper than Python's.
        stack = [_Place(root, "", None, "", False)]
        while stack:
            place = stack.pop()
            stack.extend(reversed(self._visit(place)))
        self.out.units.sort(key=lambda unit: (unit.start, -unit.end))
        return self.out

    def _visit(self, place: _Place) -> list[_Place]:
        node, unit, scope = place.node, place.unit, place.scope
        if node.type in ("ERROR", "comment", "line_comment", "block_comment"):
            return []
        self.out.swallows += node.type in ("except_clause", "catch_clause") and swallows(node)
        if node.type in FUNCTIONS or node.type in CLASSES:
            scope = self._define(node, scope)
        elif is_unit(node) or (unit is None and node.type in OUTSIDE):
            unit = self._unit(node, scope, place.dead)
        elif (
            place.field == "body"
            and node.parent is not None
            and node.parent.type in ("arrow_function", "lambda", "lambda_expression")
            and not is_block(node)
        ):
            unit = self._unit(node, scope, place.dead, "expression")
        if unit is not None and not (unit.imports and self.named and node.type == "identifier"):
            self._note(node, place.field, unit)
        if place.depth >= MAX_DEPTH:
            self.out.too_deep = True
            return []
        return self._children(node, unit, scope, place)

    def _children(self, node: Node, unit: Unit | None, scope: str, place: _Place) -> list[_Place]:
        out = []
        left = False
        for number, child in enumerate(node.children):
            if not child.is_named:
                continue
            name = node.field_name_for_child(number) or ""
            inner = None if is_block(child) else unit
            out.append(_Place(child, name, inner, scope, place.dead or left or self._never(node, name), place.depth + 1))
            left = left or (is_block(node) and child.type in LEAVING)
        return out

    @staticmethod
    def _never(node: Node, name: str) -> bool:
        """True for the part of a statement that a constant condition keeps from running."""
        if node.type not in ("if_statement", "elif_clause", "while_statement"):
            return False
        condition = node.child_by_field_name("condition")
        truth = constant_truth(condition)
        if name in ("consequence", "body"):
            return truth is False
        return name == "alternative" and truth is True

    def _unit(self, node: Node, scope: str, dead: bool, kind: str = "") -> Unit:
        end = node.end_byte
        end_line = last_line(node)
        if node.type in HEADERS:
            block = next((c for c in node.children if is_block(c) or c.type in ("else_clause", "elif_clause", "switch_body")), None)
            body = node.child_by_field_name("consequence") or node.child_by_field_name("body") or block
            if body is not None and node.type != "do_statement":
                end = max(node.start_byte, body.start_byte)
                previous = body.prev_sibling
                end_line = (previous.end_point.row if previous is not None else node.start_point.row) + 1
        raw = own_text(node, end)[:MAX_TEXT]
        unit = Unit(
            node, kind or node.type, node.start_byte, end, node.start_point.row + 1, end_line, scope, " ".join(decode(raw).split()), dead
        )
        unit.empty = is_empty(node)
        unit.imports = node.type in (
            "import_statement",
            "import_from_statement",
            "future_import_statement",
            "import_declaration",
        ) or is_require(node)
        self.out.units.append(unit)
        return unit

    def _define(self, node: Node, scope: str) -> str:
        name = definition_name(node)
        if not name:
            return scope
        dotted = f"{scope}.{name}" if scope else name
        decorators = []
        parent = node.parent
        if parent is not None and parent.type == "decorated_definition":
            decorators = [flat(child) for child in parent.children if child.type == "decorator"]
        listed = node.child_by_field_name("parameters") or node.child_by_field_name("parameter")
        body = node.child_by_field_name("body")
        bases = node.child_by_field_name("superclasses") or next((c for c in node.children if c.type == "class_heritage"), None)
        self.out.definitions.append(
            Definition(
                dotted,
                tuple(parameters(listed)),
                tuple(decorators),
                node.start_point.row + 1,
                last_line(node),
                _head_line(node, body),
                signature(listed),
                "a coroutine" if any(child.type == "async" for child in node.children) else "",
                flat(bases) if bases is not None else "",
                node.child_by_field_name("name") is not None,
            )
        )
        return dotted

    def _note(self, node: Node, name: str, unit: Unit) -> None:
        kind = node.type
        if kind in CALLS:
            self._call(node, unit)
            self.out.swallows += swallows(node)
        elif (
            kind == "identifier" and unit.imports and node.parent is not None and node.parent.type in ("import_clause", "namespace_import")
        ):
            source = unit.node.child_by_field_name("source")
            unit.binds.add(decode(node.text or b""))
            self.out.imported[decode(node.text or b"")] = string_of(source)
        elif kind in ("identifier", "shorthand_property_identifier"):
            self._identifier(node, name, unit)
        elif kind == "shorthand_property_identifier_pattern":
            unit.binds.add(decode(node.text or b""))
            unit.parts.add(decode(node.text or b""))
        elif kind == "pair_pattern":
            key = node.child_by_field_name("key")
            unit.parts.add(flat(key) if key is not None else "")
        elif kind in MEMBERS:
            if not is_callee(node):
                unit.parts.add(last_name(node))
        elif kind in TEXTS and len(node.text or b"") < 200:
            unit.strings.add(string_of(node))
        elif kind in (
            "assignment",
            "augmented_assignment",
            "assignment_expression",
            "augmented_assignment_expression",
            "variable_declarator",
            *ASSIGNING,
        ):
            unit.assigns = True
            given = node.child_by_field_name("left")
            for left in given.named_children if given is not None and given.type == "expression_list" else [given]:
                if left is not None and (left.type in MEMBERS or left.type in INDEXED):
                    unit.targets |= names_in(left)
                    unit.written.add(last_name(left))
        elif kind == "import_spec" or (kind == "import_declaration" and node.children[-1].type == ";"):
            self._compiled_import(node, unit)
        elif kind in ("aliased_import", "dotted_name", "import_specifier"):
            self._import(node, unit)
        if kind in ("keyword_argument", "pair", "keyed_element"):
            self._option(node, unit)
        if kind in ("dictionary_splat", "spread_element"):
            unit.spread = unit.spread or kind == "dictionary_splat" or (node.parent is not None and node.parent.type == "object")
        if kind in ("subscript", "subscript_expression"):
            unit.glued = unit.glued or is_glued(node)
        if kind == "variable_declarator" and unit.imports:
            self._require(node)
        if builds(node):
            unit.built |= raw_names(node)

    def _call(self, node: Node, unit: Unit) -> None:
        target = called(node)
        before = node.child_by_field_name("object") if node.type == "method_invocation" else None
        arguments = node.child_by_field_name("arguments")
        if target is None:
            return
        built: set[str] = set()
        given: set[str] = set()
        literal = ""
        for number, argument in enumerate(arguments.named_children if arguments is not None else ()):
            if (argument.type == "string" or argument.type in TEXTS - {"template_string"}) and not builds(argument):
                literal = literal if number else string_of(argument)
                break
            if argument.type == "identifier":
                given.add(decode(argument.text or b""))
            # A list of arguments or parameters is no text: what is built in it stays one value.
            if argument.type not in ("list", "tuple", "array", "object", "dictionary", *FUNCTIONS):
                built |= {found for inner in walk(argument) if builds(inner) for found in raw_names(inner)}
        numbers = whole_numbers(arguments)
        call = Call(last_name(target), path_of(node), root_name(before or target), frozenset(given), frozenset(built), literal, numbers)
        unit.calls.append(call)
        if call.name in ROUTE_METHODS and literal.startswith("/"):
            self.out.routes.append(f"{call.path} {literal}")

    @staticmethod
    def _option(node: Node, unit: Unit) -> None:
        key, value = node.child_by_field_name("name") or node.child_by_field_name("key"), node.child_by_field_name("value")
        if value is not None and value.type == "literal_element" and value.named_child_count == 1:  # Go
            value = value.named_children[0]
        truth = constant_truth(value)
        if key is None or value is None:
            return
        name = string_of(key) or flat(key)
        if node.type in ("pair", "keyed_element"):
            unit.parts.add(name)
        if truth is not None and (value.type in PLAIN or (value.type == "string" and truth is False)):
            unit.options[name] = (truth, flat(value))

    def _identifier(self, node: Node, name: str, unit: Unit) -> None:
        text = decode(node.text or b"")
        parent = node.parent
        if parent is None:
            return
        if parent.type == "keyword_argument" and name == "name":
            return
        if parent.type == "literal_element" and parent.parent is not None and parent.parent.child_by_field_name("key") == parent:
            return  # Go: the name of a field
        if (parent.type == "attribute" and name == "attribute") or (parent.type == "field_access" and name == "field"):
            return
        if is_binding(name, parent):
            unit.binds.add(text)
            if parent.type not in ("augmented_assignment", "augmented_assignment_expression"):
                return
        if is_callee(node):
            return
        if leads_to_callee(node):
            unit.roots.add(text)
            return
        unit.loads.add(text)
        if parent.type not in MEMBERS and parent.type not in INDEXED:
            unit.mentions.add(text)

    def _compiled_import(self, node: Node, unit: Unit) -> None:
        """Go's `import name "path/of/package"`, Java's `import a.b.Name;`."""
        path, alias = node.child_by_field_name("path"), node.child_by_field_name("name")
        full = string_of(path) if path is not None else "".join(flat(child) for child in node.named_children if child.type != "asterisk")
        here = flat(alias) if alias is not None else full.rpartition("/" if path is not None else ".")[2]
        unit.binds.add(here)
        self.out.imported[here] = full

    def _import(self, node: Node, unit: Unit) -> None:
        statement = unit.node
        module = statement.child_by_field_name("module_name") or statement.child_by_field_name("source")
        origin = string_of(module) if module is not None and module.type == "string" else flat(module) if module is not None else ""
        if node.type == "dotted_name" and (
            node.parent is None or node.parent.type in ("aliased_import", "relative_import") or node == module
        ):
            return
        source = node.child_by_field_name("name")
        alias = node.child_by_field_name("alias")
        full = flat(source) if source is not None else flat(node)
        here = flat(alias) if alias is not None else full if statement.type == "import_from_statement" else full.split(".")[0]
        unit.binds.add(here)
        self.out.imported[here] = ".".join(part for part in (origin, full) if part)

    def _require(self, node: Node) -> None:
        target = node.child_by_field_name("name")
        literal = next((string_of(n) for n in walk(node) if n.type == "string"), "")
        if target is None:
            return
        value = node.child_by_field_name("value")
        if value is not None and value.type == "member_expression":  # `require("child_process").execFile`
            literal = f"{literal}.{last_name(value)}"
        for name, member in destructured(target):
            self.out.imported[name] = f"{literal}.{member}" if member else literal
