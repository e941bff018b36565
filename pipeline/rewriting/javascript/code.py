"""One JavaScript or TypeScript file: its tree, imports and names, as far as the file alone tells."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

import tree_sitter
import tree_sitter_javascript
import tree_sitter_typescript
from tree_sitter import Node

from pipeline.model.finding import Location
from pipeline.rewriting.source import Edit, Source, own_line

MAX_BYTES = 500_000
"""Larger files are generated or bundled; nobody mends them."""

MAX_NEAR = 20
"""How many candidates of one place are tried at most; hostile lines can be long."""

MAX_DEPTH = 400
"""Deeper trees are generated or hostile; everything here that recurses stays far below Python's limit."""

FUNCTIONS = frozenset(
    {"function_declaration", "function_expression", "arrow_function", "method_definition", "generator_function_declaration"}
    | {"generator_function"}
)
_GRAMMARS = {
    "javascript": tree_sitter.Language(tree_sitter_javascript.language()),
    "typescript": tree_sitter.Language(tree_sitter_typescript.language_typescript()),
    "tsx": tree_sitter.Language(tree_sitter_typescript.language_tsx()),
}
_EXTENSIONS = {
    **dict.fromkeys((".js", ".jsx", ".mjs", ".cjs"), "javascript"),
    **dict.fromkeys((".ts", ".mts", ".cts"), "typescript"),
    ".tsx": "tsx",
}


@dataclass(slots=True)
class Code:
    """A parsed file. All offsets are bytes in `source.data`."""

    source: Source
    root: Node
    order: list[Node]
    """All named nodes, as they stand in the file."""
    imports: dict[str, str] = field(default_factory=dict)
    """Local name -> `module` or `module.name`, without the prefix `node:`."""
    statements: dict[str, Node] = field(default_factory=dict)
    """Local name -> the import statement or the declaration with `require` that makes it."""
    module_style: bool = False
    """True for ECMAScript modules, false for CommonJS and plain scripts."""

    def text(self, node: Node) -> str:
        """Source of a node."""
        return self.source.slice(node.start_byte, node.end_byte)

    def all(self, kinds: Collection[str], within: Node | None = None) -> Iterator[Node]:
        """All nodes of these kinds in reading order, in the file or inside one node."""
        start, end = (within.start_byte, within.end_byte) if within is not None else (0, len(self.source.data))
        return (n for n in self.order if n.type in kinds and start <= n.start_byte and n.end_byte <= end)

    def near(self, location: Location, kinds: Collection[str], wanted: Callable[[Node], bool]) -> list[Node]:
        """The nodes that a finding may mean, best first: overlapping its columns before its lines, small before large."""
        start, end = self.source.range_of(location)
        first, last = self.source.line_start(start), self.source.line_end(max(end - 1, start))
        ranked: list[tuple[bool, int, int, Node]] = []
        for node in self.order:
            left, right = node.start_byte, node.end_byte
            if node.type in kinds and left < last and right > first and wanted(node):
                ranked.append((not (left < end and right > start), right - left, left, node))
        return [entry[3] for entry in sorted(ranked, key=lambda entry: entry[:3])[:MAX_NEAR]]

    def function(self, node: Node) -> Node:
        """The function around a node, or the whole file."""
        return next((around for around in ancestors(node) if around.type in FUNCTIONS), self.root)

    def statement(self, node: Node) -> Node | None:
        """The statement around a node that stands in a block or at the top."""
        current: Node | None = node
        while current is not None and current.parent is not None:
            if current.parent.type in {"statement_block", "program", "switch_case", "switch_default"}:
                return current
            current = current.parent
        return None

    def qualified(self, node: Node | None) -> str:
        """Dotted name of an expression with imports resolved: `cp.exec` -> `child_process.exec`; "" when it is no name."""
        if node is None:
            return ""
        if node.type == "identifier":
            name = self.text(node)
            return self.imports.get(name, name)
        if node.type == "this":
            return "this"
        if node.type == "member_expression":
            base, prop = self.qualified(node.child_by_field_name("object")), node.child_by_field_name("property")
            return f"{base}.{self.text(prop)}" if base and prop is not None else ""
        if node.type == "call_expression" and (module := self.required(node)):
            return module
        return ""

    def required(self, node: Node) -> str:
        """The module of `require("module")`, without `node:`; "" for anything else."""
        function, args = node.child_by_field_name("function"), arguments(node)
        if function is not None and self.text(function) == "require" and len(args) == 1 and args[0].type == "string":
            return self.text(args[0])[1:-1].removeprefix("node:")
        return ""

    def callee(self, call: Node) -> str:
        """Dotted name of what is called."""
        return self.qualified(call.child_by_field_name("function"))

    def method(self, call: Node) -> str:
        """Last name of what is called."""
        function = call.child_by_field_name("function")
        if function is None:
            return ""
        prop = function.child_by_field_name("property") if function.type == "member_expression" else function
        return self.text(prop) if prop is not None and prop.type in {"identifier", "property_identifier"} else ""

    def receiver(self, call: Node) -> Node | None:
        """The object whose method is called."""
        function = call.child_by_field_name("function")
        return function.child_by_field_name("object") if function is not None and function.type == "member_expression" else None

    # --- names ------------------------------------------------------------------------------------------------------------------------

    def names(self) -> set[str]:
        """Every identifier in the file."""
        kinds = {"identifier", "shorthand_property_identifier", "shorthand_property_identifier_pattern"}
        return {self.text(node) for node in self.all(kinds)}

    def binds(self, node: Node) -> bool:
        """True when this identifier is given a value here."""
        parent = node.parent
        if parent is None:
            return False
        if parent.type == "variable_declarator":
            return parent.child_by_field_name("name") == node
        if parent.type in {"assignment_expression", "augmented_assignment_expression"}:
            return parent.child_by_field_name("left") == node
        if parent.type in {"required_parameter", "optional_parameter"}:
            return parent.child_by_field_name("pattern") == node
        if parent.type == "for_in_statement":
            return parent.child_by_field_name("left") == node
        if parent.type == "arrow_function":
            return parent.child_by_field_name("parameter") == node
        if node.type == "shorthand_property_identifier_pattern":
            return True
        return parent.type in {"formal_parameters", "array_pattern", "rest_pattern", "update_expression", "catch_clause"} or (
            parent.type in {"pair_pattern", "assignment_pattern", "object_assignment_pattern"}
            and node in (parent.child_by_field_name("value"), parent.child_by_field_name("left"))
            and node != parent.child_by_field_name("right")
        )

    def bindings(self, name: str, block: Node) -> list[Node]:
        """The identifiers in a function (nested functions left out) that give `name` a value."""
        kinds = {"identifier", "shorthand_property_identifier_pattern"}
        found = [node for node in self.all(kinds, block) if self.text(node) == name and self.binds(node)]
        return [node for node in found if self.function(node) == block]

    def uses(self, name: str, block: Node | None = None) -> list[Node]:
        """The places that read `name`, imports left out."""
        kinds = {"identifier", "shorthand_property_identifier", "type_identifier"}
        found = [node for node in self.all(kinds, block) if self.text(node) == name and not self.binds(node)]
        return [node for node in found if not any(a.type in {"import_statement", "import_specifier"} for a in ancestors(node))]

    def value_of(self, name: str, at: Node) -> Node | None:
        """The one value that a name has at a place, in its function or an outer one; None when there are several."""
        block = self.function(at)
        while True:
            bindings = self.bindings(name, block)
            if bindings or block == self.root:
                break
            block = self.function(block)
        if len(bindings) != 1 or bindings[0].parent is None or bindings[0].parent.type != "variable_declarator":
            return None
        return bindings[0].parent.child_by_field_name("value")

    # --- style ------------------------------------------------------------------------------------------------------------------------

    @property
    def quote(self) -> str:
        """The quote that the file uses more often; `'` when there is none."""
        marks = [self.source.data[node.start_byte : node.start_byte + 1] for node in self.all({"string"})]
        return '"' if marks.count(b'"') > marks.count(b"'") else "'"

    @property
    def semicolon(self) -> str:
        """`;` when the file ends its statements so."""
        kinds = {"expression_statement", "lexical_declaration", "variable_declaration", "import_statement"}
        ends = [self.source.data[node.end_byte - 1 : node.end_byte] == b";" for node in self.all(kinds)]
        return ";" if not ends or sum(ends) * 2 >= len(ends) else ""


def ancestors(node: Node) -> Iterator[Node]:
    """The nodes around a node, from inside to outside."""
    current = node.parent
    while current is not None:
        yield current
        current = current.parent


def arguments(call: Node) -> list[Node]:
    """The arguments of a call, without comments."""
    args = call.child_by_field_name("arguments")
    return [n for n in args.named_children if n.type != "comment"] if args is not None and args.type == "arguments" else []


def bare(node: Node) -> Node:
    """The expression inside parentheses, `as` casts and `!`."""
    while node.type in {"parenthesized_expression", "as_expression", "non_null_expression", "satisfies_expression"}:
        if not node.named_children:
            return node
        node = node.named_children[0]
    return node


def is_callback(code: Code, node: Node) -> bool:
    """True for a function, or a name that only functions have."""
    if node.type in FUNCTIONS:
        return True
    return node.type == "identifier" and code.text(node).lower() in {"cb", "callback", "done", "next", "fn", "handler", "resolve"}


def key_of(code: Code, pair: Node) -> str:
    """The key of a property, without quotes."""
    key = pair.child_by_field_name("key")
    return code.text(key).strip("'\"") if key is not None else ""


def drop_item(code: Code, items: list[Node], item: Node) -> Edit:
    """Take one item out of a list that is separated by commas."""
    if len(items) > 1 and (line := own_line(code.source, item.start_byte, item.end_byte, b"//")) is not None:
        return line
    index = items.index(item)
    if index + 1 < len(items):
        return Edit(item.start_byte, items[index + 1].start_byte, "")
    if index > 0:
        return Edit(items[index - 1].end_byte, item.end_byte, "")
    data = code.source.data
    comma = data[item.end_byte :].lstrip()[:1] == b","
    return Edit(item.start_byte, data.index(b",", item.end_byte) + 1 if comma else item.end_byte, "")


def add_items(code: Code, holder: Node, texts: list[str]) -> list[Edit]:
    """Put further items at the end of an object or a list, as its items stand: on one line, or each on its own."""
    data = code.source.data
    items = [child for child in holder.named_children if child.type != "comment"]
    if not items:
        return [Edit(holder.start_byte + 1, holder.end_byte - 1, f" {', '.join(texts)} ")]
    last = items[-1]
    rest = data[last.end_byte : holder.end_byte - 1]
    comma = rest.lstrip().startswith(b",")
    end = last.end_byte + rest.index(b",") + 1 if comma else last.end_byte
    if b"\n" not in data[holder.start_byte : items[0].start_byte]:
        return [Edit(end, end, " " + " ".join(f"{text}," for text in texts) if comma else ", " + ", ".join(texts))]
    lead = "\n" + code.source.indentation(last.start_byte)
    text = ("," + lead).join(texts) + ("," if comma else "")
    behind = data.index(b"\n", end) if b"\n" in rest else end  # a remark behind the last item stays with it
    behind -= data[behind - 1 : behind] == b"\r"
    if comma or behind == end:
        return [Edit(behind, behind, ("" if comma else ",") + lead + text)]
    return [Edit(end, end, ","), Edit(behind, behind, lead + text)]


def remove_statement(code: Code, statement: Node) -> Edit:
    """Take out a statement, with its line when nothing else stands there."""
    source = code.source
    start, end = source.line_start(statement.start_byte), source.line_end(statement.end_byte)
    alone = not source.data[start : statement.start_byte].strip() and not source.data[statement.end_byte : end].strip(b" \t\r\n;")
    return Edit(start, end, "") if alone else Edit(statement.start_byte, statement.end_byte, "")


def parse(source: Source) -> Code | None:
    """The file, or None when it is no language of ours, has errors, or is nested too deep."""
    suffix = next((s for s in _EXTENSIONS if source.path.endswith(s)), "")
    if not suffix or len(source.data) > MAX_BYTES:
        return None
    names = [_EXTENSIONS[suffix]] + (["tsx"] if _EXTENSIONS[suffix] == "javascript" else [])
    for name in names:
        tree = tree_sitter.Parser(_GRAMMARS[name]).parse(source.data)
        if not tree.root_node.has_error:
            order = _order(tree)
            return _with_imports(Code(source, tree.root_node, order)) if order is not None else None
    return None


def _order(tree: tree_sitter.Tree) -> list[Node] | None:
    order: list[Node] = []
    cursor = tree.walk()
    while True:
        if cursor.depth > MAX_DEPTH:
            return None
        node = cursor.node
        if node is not None and node.is_named:
            order.append(node)
        if cursor.goto_first_child():
            continue
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent():
                return order


def _with_imports(code: Code) -> Code:
    for node in code.all({"import_statement"}):
        code.module_style = True
        origin = node.child_by_field_name("source")
        module = code.text(origin)[1:-1].removeprefix("node:") if origin is not None else ""
        for clause in node.named_children:
            if clause.type == "import_clause":
                _clause(code, node, clause, module)
    code.module_style = code.module_style or code.source.path.endswith((".mjs", ".mts")) or any(code.all({"export_statement"}))
    for declarator in code.all({"variable_declarator"}):
        name, value = declarator.child_by_field_name("name"), declarator.child_by_field_name("value")
        if name is None or value is None:
            continue
        dotted = code.qualified(value) if value.type in {"call_expression", "member_expression"} else ""
        if not dotted or not _from_require(code, value):
            continue
        if name.type == "identifier":
            code.imports[code.text(name)] = dotted
            code.statements[code.text(name)] = declarator.parent or declarator
        elif name.type == "object_pattern":
            for entry in name.named_children:
                key = entry.child_by_field_name("key") if entry.type == "pair_pattern" else entry
                local = entry.child_by_field_name("value") if entry.type == "pair_pattern" else entry
                if key is not None and local is not None:
                    code.imports[code.text(local)] = f"{dotted}.{code.text(key)}"
                    code.statements[code.text(local)] = declarator.parent or declarator
    return code


def _from_require(code: Code, node: Node) -> bool:
    current: Node | None = node
    while current is not None and current.type == "member_expression":
        current = current.child_by_field_name("object")
    return current is not None and current.type == "call_expression" and bool(code.required(current))


def _clause(code: Code, statement: Node, clause: Node, module: str) -> None:
    for part in clause.named_children:
        if part.type == "identifier":
            code.imports[code.text(part)] = module
            code.statements[code.text(part)] = statement
        elif part.type == "namespace_import" and part.named_children:
            code.imports[code.text(part.named_children[0])] = module
            code.statements[code.text(part.named_children[0])] = statement
        elif part.type == "named_imports":
            for specifier in part.named_children:
                name, alias = specifier.child_by_field_name("name"), specifier.child_by_field_name("alias")
                if name is not None:
                    local = code.text(alias or name)
                    code.imports[local] = f"{module}.{code.text(name)}"
                    code.statements[local] = statement
