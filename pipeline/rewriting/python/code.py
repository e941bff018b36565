"""One Python file: parsed without loss, every node with its place, imports and names resolved as far as the file alone tells."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import libcst as cst
import tree_sitter
import tree_sitter_python
from libcst.metadata import ByteSpanPositionProvider, MetadataWrapper

from pipeline.model.finding import Location
from pipeline.rewriting.source import Edit, Source, own_line

N = TypeVar("N", bound=cst.CSTNode)

MAX_BYTES = 400_000
"""libcst needs about a second for 50 kB; nobody waits longer for a fix."""

MAX_NEAR = 20
"""How many candidates of one place are tried at most; hostile lines can be long."""

MAX_DEPTH = 150
"""libcst's parser recurses on the C stack: deeper nesting could end the process (measured: 20,000 parentheses do)."""

_LANGUAGE = tree_sitter.Language(tree_sitter_python.language())

Block = cst.FunctionDef | cst.ClassDef | cst.Module


@dataclass(slots=True)
class Code:
    """A parsed file. Spans are offsets in `source.data`, without the parentheses around an expression."""

    source: Source
    module: cst.Module
    spans: dict[int, tuple[int, int]]
    parents: dict[int, cst.CSTNode]
    order: list[cst.CSTNode]
    """All nodes that matter, as they stand in the file."""
    imports: dict[str, str] = field(default_factory=dict)
    """Local name -> dotted name, of every import in the file."""

    # --- places -----------------------------------------------------------------------------------------------------------------------

    def span(self, node: cst.CSTNode) -> tuple[int, int]:
        """Where a node lies, without the parentheses around it."""
        return self.spans[id(node)]

    def outer(self, node: cst.BaseExpression) -> tuple[int, int]:
        """Where an expression lies, with the parentheses around it."""
        start, end = self.span(node)
        for paren in node.lpar:
            start = min(start, self.spans.get(id(paren), (start, end))[0])
        for closing in node.rpar:
            end = max(end, self.spans.get(id(closing), (start, end))[1])
        return start, end

    def text(self, node: cst.CSTNode) -> str:
        """Source of a node, with its parentheses when it is an expression."""
        start, end = self.outer(node) if isinstance(node, cst.BaseExpression) else self.span(node)
        return self.source.slice(start, end)

    def inner(self, node: cst.CSTNode) -> str:
        """Source of a node without its parentheses."""
        return self.source.slice(*self.span(node))

    def all(self, kind: type[N], within: cst.CSTNode | None = None) -> Iterator[N]:
        """All nodes of a kind in reading order, in the whole file or inside one node."""
        if within is None or isinstance(within, cst.Module):
            yield from (node for node in self.order if isinstance(node, kind))
            return
        start, end = self.span(within)
        for node in self.order:
            if isinstance(node, kind) and start <= self.span(node)[0] and self.span(node)[1] <= end:
                yield node

    def at(self, location: Location, kind: type[N], wanted: Callable[[N], bool]) -> N | None:
        """The node that a finding means: it overlaps the place, by columns before by lines, and is the smallest such."""
        return next(iter(self.near(location, kind, wanted)), None)

    def near(self, location: Location, kind: type[N], wanted: Callable[[N], bool]) -> list[N]:
        """All candidates for `at`, best first."""
        start, end = self.source.range_of(location)
        first, last = self.source.line_start(start), self.source.line_end(max(end - 1, start))
        ranked: list[tuple[bool, int, int, N]] = []
        for node in self.all(kind):
            left, right = self.span(node)
            if left < last and right > first and wanted(node):
                ranked.append((not (left < end and right > start), right - left, left, node))
        return [entry[3] for entry in sorted(ranked, key=lambda entry: entry[:3])[:MAX_NEAR]]

    def keywords_at(self, location: Location, names: Collection[str]) -> list[cst.Arg]:
        """Keyword arguments of these names at a finding, else those of the smallest call at it: engines point at either."""
        found = self.near(location, cst.Arg, lambda arg: arg.keyword is not None and arg.keyword.value in names)
        for call in self.near(location, cst.Call, lambda _: True) if not found else ():
            found += [arg for arg in call.args if arg.keyword is not None and arg.keyword.value in names]
        return found

    # --- structure --------------------------------------------------------------------------------------------------------------------

    def parent(self, node: cst.CSTNode) -> cst.CSTNode | None:
        """The node around a node."""
        return self.parents.get(id(node))

    def ancestors(self, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
        """The nodes around a node, from inside to outside."""
        current = self.parent(node)
        while current is not None:
            yield current
            current = self.parent(current)

    def block(self, node: cst.CSTNode) -> cst.FunctionDef | cst.Lambda | cst.Module:
        """The function whose local names a node sees, or the module."""
        for around in self.ancestors(node):
            if isinstance(around, cst.FunctionDef | cst.Lambda):
                return around
        return self.module

    def statement(self, node: cst.CSTNode) -> cst.SimpleStatementLine | None:
        """The line of simple statements around a node, None inside the head of a compound statement."""
        for around in (node, *self.ancestors(node)):
            if isinstance(around, cst.SimpleStatementLine):
                return around
            if isinstance(around, cst.BaseCompoundStatement):
                return None
        return None

    # --- names ------------------------------------------------------------------------------------------------------------------------

    def qualified(self, node: cst.CSTNode) -> str:
        """Dotted name of an expression with imports resolved: `sp.run` -> `subprocess.run`; "" when it is no name."""
        if isinstance(node, cst.Name):
            return self.imports.get(node.value, node.value)
        if isinstance(node, cst.Attribute):
            base = self.qualified(node.value)
            return f"{base}.{node.attr.value}" if base else ""
        return ""

    def callee(self, call: cst.Call) -> str:
        """Dotted name of what is called, "" when it is no plain name."""
        return self.qualified(call.func)

    def method(self, call: cst.Call) -> str:
        """Last name of what is called: `execute` of `self.db.cursor().execute(...)`."""
        if isinstance(call.func, cst.Attribute):
            return call.func.attr.value
        return call.func.value if isinstance(call.func, cst.Name) else ""

    def names(self) -> set[str]:
        """Every name that the file uses for anything."""
        return {node.value for node in self.all(cst.Name)}

    def bindings(self, name: str, block: cst.CSTNode) -> list[cst.CSTNode]:
        """The places in a function (or the module) that give `name` a value, nested functions left out, parameters included."""
        found: list[cst.CSTNode] = []
        for node in self.all(cst.Name, block):
            if node.value != name or not self._binds(node):
                continue
            if self.block(node) is block or (isinstance(self.parent(node), cst.Param) and self._owner(node) is block):
                found.append(node)
        return found

    def _owner(self, node: cst.CSTNode) -> cst.CSTNode | None:
        return next((a for a in self.ancestors(node) if isinstance(a, cst.FunctionDef | cst.Lambda)), None)

    def _binds(self, node: cst.Name) -> bool:
        parent = self.parent(node)
        if isinstance(parent, cst.AssignTarget | cst.AnnAssign | cst.AugAssign | cst.NamedExpr | cst.For | cst.CompFor):
            return parent.target is node
        if isinstance(parent, cst.Param | cst.AsName | cst.NameItem):
            return parent.name is node
        if isinstance(parent, cst.Element | cst.StarredElement):
            return any(
                isinstance(a, cst.AssignTarget | cst.For | cst.CompFor | cst.AsName) and self._in_target(a, node)
                for a in self.ancestors(node)
            )
        return isinstance(parent, cst.ImportAlias | cst.Del)

    def _in_target(self, around: cst.CSTNode, node: cst.CSTNode) -> bool:
        target = around.name if isinstance(around, cst.AsName) else getattr(around, "target", None)
        if not isinstance(target, cst.CSTNode):
            return False
        start, end = self.span(target)
        return start <= self.span(node)[0] and self.span(node)[1] <= end

    def uses(self, name: str, block: cst.CSTNode) -> list[cst.Name]:
        """The places in a function (nested ones included) that read `name`."""
        found = []
        for node in self.all(cst.Name, block):
            parent = self.parent(node)
            attribute = isinstance(parent, cst.Attribute) and parent.attr is node
            keyword = isinstance(parent, cst.Arg) and parent.keyword is node
            if node.value == name and not attribute and not keyword and not self._binds(node):
                found.append(node)
        return found

    def assignment(self, name: str, at: cst.CSTNode) -> cst.BaseExpression | None:
        """The one value that a local (or module) name has at a place; None when it has several, or none that we see."""
        block: cst.CSTNode = self.block(at)
        bindings = self.bindings(name, block)
        if not bindings and block is not self.module:
            bindings = self.bindings(name, self.module)
        if len(bindings) != 1:
            return None
        target = self.parent(bindings[0])
        owner = self.parent(target) if isinstance(target, cst.AssignTarget) else target
        if isinstance(owner, cst.Assign) and len(owner.targets) == 1:
            return owner.value
        if isinstance(owner, cst.NamedExpr):
            return owner.value
        return owner.value if isinstance(owner, cst.AnnAssign) else None

    # --- imports ----------------------------------------------------------------------------------------------------------------------

    def import_name(self, module: str) -> str | None:
        """The local name under which a whole module is imported at the top of the file."""
        for local, dotted in self.imports.items():
            if dotted == module and local in self._top_imports():
                return local
        return None

    def _top_imports(self) -> set[str]:
        found: set[str] = set()
        for statement in self.module.body:
            if isinstance(statement, cst.SimpleStatementLine):
                for part in statement.body:
                    if isinstance(part, cst.Import | cst.ImportFrom):
                        found |= set(imported(part))
        return found


def imported(node: cst.Import | cst.ImportFrom) -> dict[str, str]:
    """Local name -> dotted name of one import statement; relative ones keep their dots."""
    found: dict[str, str] = {}
    if isinstance(node.names, cst.ImportStar):
        return found
    base = ""
    if isinstance(node, cst.ImportFrom):
        base = "." * len(node.relative) + (dotted(node.module) if node.module else "")
        base += "" if base.endswith(".") else "."
    for alias in node.names:
        name = dotted(alias.name)
        if alias.asname and isinstance(alias.asname.name, cst.Name):
            found[alias.asname.name.value] = base + name
        elif base:
            found[name] = base + name
        else:
            found[name.split(".")[0]] = name.split(".")[0]
    return found


def dotted(node: cst.CSTNode) -> str:
    """`a.b.c` of nested attributes, "" for anything else."""
    if isinstance(node, cst.Name):
        return node.value
    return f"{dotted(node.value)}.{node.attr.value}" if isinstance(node, cst.Attribute) else ""


def parse(source: Source) -> Code | None:
    """The file, or None when it is no Python that libcst knows, too large, or nested deeper than is safe."""
    if len(source.data) > MAX_BYTES or not _shallow(source.data):
        return None
    try:
        module = cst.parse_module(source.text)
        wrapper = MetadataWrapper(module, unsafe_skip_copy=True)
        places = wrapper.resolve(ByteSpanPositionProvider)
        if module.code != source.text:
            return None
        spans = {id(node): (place.start, place.start + place.length) for node, place in places.items()}
        parents, order = _walk(module)
    except (cst.ParserSyntaxError, cst.CSTValidationError, RecursionError):
        return None
    order = [node for node in order if id(node) in spans]
    code = Code(source, module, spans, parents, order)
    for node in order:
        if isinstance(node, cst.Import | cst.ImportFrom):
            code.imports |= imported(node)
    return code


def _shallow(data: bytes) -> bool:
    """True when the syntax tree is not deeper than `MAX_DEPTH`; tree-sitter does not recurse."""
    cursor = tree_sitter.Parser(_LANGUAGE).parse(data).walk()
    while True:
        if cursor.depth > MAX_DEPTH:
            return False
        if cursor.goto_first_child():
            continue
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent():
                return True


def _walk(module: cst.Module) -> tuple[dict[int, cst.CSTNode], list[cst.CSTNode]]:
    parents: dict[int, cst.CSTNode] = {}
    order: list[cst.CSTNode] = []
    stack: list[cst.CSTNode] = [module]
    while stack:
        node = stack.pop()
        order.append(node)
        children = [child for child in node.children if not isinstance(child, cst.BaseParenthesizableWhitespace | cst.TrailingWhitespace)]
        for child in children:
            parents[id(child)] = node
        stack.extend(reversed(children))
    return parents, order


def argument(call: cst.Call, position: int, keyword: str = "") -> cst.Arg | None:
    """An argument by position (before any `*x`) or by name."""
    for index, arg in enumerate(call.args):
        if arg.star:
            break
        if arg.keyword is None and index == position:
            return arg
    return next((arg for arg in call.args if keyword and arg.keyword is not None and arg.keyword.value == keyword), None)


def keyword(call: cst.Call, name: str) -> cst.Arg | None:
    """A keyword argument."""
    return next((arg for arg in call.args if arg.keyword is not None and arg.keyword.value == name), None)


def add_argument(code: Code, call: cst.Call, text: str) -> Edit:
    """Put one argument behind the others, on a line of its own where they stand so."""
    if not call.args:
        end = code.span(call)[1] - 1
        return Edit(end, end, text)
    start, end = item_span(code, call.args[-1])
    source = code.source
    own = not source.data[source.line_start(start) : start].strip()
    return Edit(end, end, f",\n{source.indentation(start)}{text}" if own else f", {text}")


def drop_argument(code: Code, call: cst.Call, arg: cst.Arg) -> Edit:
    """Take one argument out with one comma and the blanks that belong to it; a line that becomes empty goes as well."""
    if (line := own_line(code.source, *item_span(code, arg), b"#")) is not None and len(call.args) > 1:
        return line
    last = code.span(call)[1] - 1
    if len(call.args) == 1 and code.source.slice(item_span(code, arg)[1], last).strip(" \t\r\n,") == "":
        first = code.source.data.rfind(b"(", code.span(call.func)[1], item_span(code, arg)[0]) + 1
        if first and not code.source.slice(first, item_span(code, arg)[0]).strip():
            return Edit(first, last, "")
    return drop_item(code, call.args, arg)


def drop_item(code: Code, items: Sequence[cst.Arg] | Sequence[cst.ImportAlias], item: cst.Arg | cst.ImportAlias) -> Edit:
    """Take one item out of a list that is separated by commas."""
    data = code.source.data
    index = next(i for i, candidate in enumerate(items) if candidate is item)
    start, end = item_span(code, item)
    if index + 1 < len(items):
        return Edit(start, item_span(code, items[index + 1])[0], "")
    if index > 0:
        return Edit(item_span(code, items[index - 1])[1], end, "")
    comma = data[end:].lstrip()[:1] == b","
    return Edit(start, data.index(b",", end) + 1 if comma else end, "")


def item_span(code: Code, item: cst.Arg | cst.ImportAlias) -> tuple[int, int]:
    """Where an argument lies without its comma, parentheses of its value included."""
    start, end = code.span(item)
    if isinstance(item, cst.Arg):
        left, right = code.outer(item.value)
        start, end = min(start, left), max(end, right)
    return start, end


def string_value(node: cst.CSTNode | None) -> str | None:
    """Value of a plain string literal."""
    if isinstance(node, cst.SimpleString | cst.ConcatenatedString):
        value = node.evaluated_value
        return value if isinstance(value, str) else None
    return None


def is_name(node: cst.CSTNode | None, value: str) -> bool:
    """True for exactly this name."""
    return isinstance(node, cst.Name) and node.value == value
