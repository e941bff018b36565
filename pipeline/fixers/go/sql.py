"""go.sql-injection: values leave the text of a query and are bound as parameters.

Only what is certain is mended: the driver is known, every value is known to be a text or a number, and the query is built in the call or
in one statement before it. Go refuses to compile an import that nobody uses, so `fmt` goes with its last use.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from tree_sitter import Node, Tree

from pipeline.fixers.go import strings
from pipeline.fixers.go.strings import arguments, callee, walk
from pipeline.model.finding import Finding
from pipeline.ports import SourceFiles
from pipeline.rewriting import sql
from pipeline.rewriting.naming import parameter_name
from pipeline.rewriting.source import Change, Edit, Source
from pipeline.rewriting.sql import Bound, Dialect, Existing, Style
from pipeline.rewriting.template import Hole, Template, Unit, render

_FIRST = frozenset({"Query", "QueryRow", "Exec", "Queryx", "QueryRowx", "MustExec"})
_SECOND = frozenset(f"{name}Context" for name in _FIRST) | {"Select", "Get"}
_POSTGRES = Dialect(Style.DOLLAR)
_MYSQL = Dialect(Style.QMARK, double_quotes=True, binds_limit=False)
_SQLITE = Dialect(Style.QMARK)
_DRIVERS: Mapping[str, Dialect] = {
    "lib/pq": _POSTGRES,
    "jackc/pgx": _POSTGRES,
    "go-sql-driver/mysql": _MYSQL,
    "mattn/go-sqlite3": _SQLITE,
    "modernc.org/sqlite": _SQLITE,
    "glebarez/go-sqlite": _SQLITE,
}
"""By the path of the module, without the host that it is fetched from where many live on that one."""
_OWN_PLACEHOLDERS = ("gorm.io", "jinzhu/gorm", "gocql/gocql", "xorm.io", "uptrace/bun", "go-pg/pg")
"""Packages whose methods are called the same, and that write parameters in ways of their own."""
_FUNCTIONS = frozenset({"function_declaration", "method_declaration", "func_literal"})
_TEXTS = re.compile(
    r"(?:\w+\.)*(?:FormValue|PostFormValue|PathValue|Header\.Get|Form\.Get|PostForm\.Get|QueryParam|PostForm|GetHeader|Param)\(\"[^\"()]*\"\)"
    r"|\w+\.URL\.Query\(\)\.Get\(\"[^\"()]*\"\)|(?:c|ctx)\.Query\(\"[^\"()]*\"\)|strings\.(?:TrimSpace|ToLower|ToUpper)\(\w+\)"
)
"""Calls that give a text: values of a request, and what was trimmed."""


def fix(source: Source, tree: Tree, finding: Finding, files: SourceFiles) -> Change | None:
    """Bind every value in the query at the finding; None when one part of it cannot be bound for certain."""
    start, end = source.range_of(finding.location)
    dialect = _dialect(source, tree, files)
    calls = [
        (node, position)
        for node in walk(tree.root_node)
        if node.type == "call_expression" and (position := _position(node)) is not None and node.start_byte < end and start < node.end_byte
    ]
    if dialect is None or len(calls) != 1:
        return None
    call, position = calls[0]
    query = arguments(call)[position]
    value = _built(query, call) if query.type == "identifier" else query
    template = strings.read(source, value) if value is not None else None
    if value is None or template is None:
        return None
    return _bind(source, tree, call, position, value, template, dialect)


def _position(call: Node) -> int | None:
    """Which argument of a call is a statement: with a context before it, it is the second one, also of pgx."""
    function = call.child_by_field_name("function")
    field = function.child_by_field_name("field") if function is not None and function.type == "selector_expression" else None
    name = (field.text or b"").decode("utf-8", "replace") if field is not None else ""
    given = arguments(call)
    contextual = bool(given) and re.fullmatch(rb"\w*[cC]tx|context\.\w+\(\)|\w+\.Context\(\)", given[0].text or b"") is not None
    position = 1 if name in _SECOND or (name in _FIRST and contextual) else 0 if name in _FIRST else None
    return position if position is not None and position < len(given) and given[-1].type != "variadic_argument" else None


def _dialect(source: Source, tree: Tree, files: SourceFiles) -> Dialect | None:
    """Of the one driver that the file imports, else of the one that its module asks for."""
    specs = [node.child_by_field_name("path") for node in walk(tree.root_node) if node.type == "import_spec"]
    imported = [(path.text or b"").decode("utf-8", "replace").strip('"`') for path in specs if path is not None]
    if any(_under(path, name) for path in imported for name in _OWN_PLACEHOLDERS):
        return None
    found = _drivers(imported)
    for folder in PurePosixPath(source.path).parents if not found else ():
        module = files.read(str(folder / "go.mod"))
        if module is not None:
            lines = [line for line in module.decode("utf-8", "replace").splitlines() if "// indirect" not in line]
            found = _drivers([word for line in lines for word in line.partition("//")[0].split() if "/" in word])
            break
    return found[0] if found and all(one == found[0] for one in found) else None


def _drivers(paths: Sequence[str]) -> list[Dialect]:
    return [dialect for name, dialect in _DRIVERS.items() if any(_under(path, name) for path in paths)]


def _under(path: str, name: str) -> bool:
    """True for a package of this module: `v5/pgxpool` of `jackc/pgx`, from whatever host."""
    return any(one == name or one.startswith(f"{name}/") for one in (path, path.partition("/")[2]))


# --- where the text is built ----------------------------------------------------------------------------------------------------------


def _function(node: Node) -> Node | None:
    around = node.parent
    while around is not None and around.type not in _FUNCTIONS:
        around = around.parent
    return around


def _built(query: Node, call: Node) -> Node | None:
    """The value of a variable that is declared once in the function of the call, and used in this call alone."""
    function = _function(call)
    if function is None:
        return None
    uses = [node for node in walk(function) if node.type == "identifier" and node.text == query.text]
    if len(uses) != 2 or uses[1] != query:
        return None
    names = uses[0].parent
    line = names.parent if names is not None else None
    right = line.child_by_field_name("right") if line is not None and line.type == "short_var_declaration" else None
    if names is None or right is None or names.named_child_count != 1 or right.named_child_count != 1 or _function(uses[0]) != function:
        return None
    value = right.named_children[0]
    inside = {node.text for node in walk(value) if node.type == "identifier"}
    for node in walk(function):
        if value.end_byte <= node.start_byte < call.start_byte and node.type == "identifier" and node.text in inside and _changes(node):
            return None
    return value


def _changes(node: Node) -> bool:
    """True where a name may get another value, or begin to mean something else."""
    around = node.parent
    if around is None:
        return True
    if around.type in {"inc_statement", "dec_statement", "parameter_declaration", "var_spec", "unary_expression", "range_clause"}:
        return True
    if around.type != "expression_list" or around.parent is None:
        return False
    return around.parent.child_by_field_name("left") == around


# --- what is bound --------------------------------------------------------------------------------------------------------------------


def _bind(source: Source, tree: Tree, call: Node, position: int, value: Node, template: Template, dialect: Dialect) -> Change | None:
    olds = [source.slice(node.start_byte, node.end_byte) for node in arguments(call)[position + 1 :]]
    pieces = sql.plan(template.parts, dialect, bound_already=bool(olds))
    if pieces is None or sum(isinstance(piece, Existing) for piece in pieces) != len(olds):
        return None
    bodies = dict.fromkeys(range(len(template.tokens)), "")
    codes: list[str] = []
    merged: list[str] = []
    names: list[str] = []
    rest = iter(olds)
    for piece in pieces:
        if isinstance(piece, Unit):
            if piece.char == "?" and dialect.style is Style.QMARK:
                return None
            bodies[piece.token] += piece.raw
        elif isinstance(piece, Existing):
            bodies[piece.token] += piece.raw
            merged.append(next(rest))
        else:
            code = _value(call, piece)
            if code is None:
                return None
            codes.append(code)
            merged.append(code)
            names.append(parameter_name(next(part.code for part in piece.parts if isinstance(part, Hole)), names))
            bodies[piece.token] += f"${len(olds) + len(codes)}" if dialect.style is Style.DOLLAR else "?"
    if not codes:
        return None
    text = render(source.data, template, bodies, list(range(len(template.tokens))))
    edits = [Edit(value.start_byte, value.end_byte, text)]
    given = arguments(call)
    if dialect.style is Style.DOLLAR or not olds:
        edits.append(Edit(given[-1].end_byte, given[-1].end_byte, "".join(f", {code}" for code in codes)))
    else:
        edits.append(Edit(given[position + 1].start_byte, given[-1].end_byte, ", ".join(merged)))
    if value.type == "call_expression":
        unused = _without_fmt(source, tree, value)
        if unused is None:
            return None
        edits += unused
    title = f"bind {names[0]} in query" if len(names) == 1 and names[0] != "value" and len(names[0]) < 40 else "bind values in query"
    what = "The value is" if len(names) == 1 else f"All {len(names)} values are"
    it = "it" if len(names) == 1 else "them"
    return Change(
        tuple(edits), title, f"{what} passed to the database as bound parameters; the text of the query no longer depends on {it}."
    )


def _value(call: Node, piece: Bound) -> str | None:
    """Code of what is bound; None when it is not known to be a text, or a number that stands alone."""
    holes = [part for part in piece.parts if isinstance(part, Hole)]
    if any("\n" in hole.code for hole in holes):
        return None
    if len(piece.parts) == 1 and not piece.quoted and holes[0].spec == "d":
        return holes[0].code
    if not all(hole.textual or _is_text(call, hole.code) for hole in holes if hole.spec != "d"):
        return None
    return strings.combine(piece.parts) if all(hole.spec != "d" for hole in holes) else None


def _is_text(call: Node, code: str) -> bool:
    """True when an expression is a string: a value of a request, or a name that is declared as one in the function and nowhere else."""
    if _TEXTS.fullmatch(code):
        return True
    function = _function(call)
    if function is None or not code.isidentifier():
        return False
    found: list[bool] = []
    for node in walk(function):
        if node.type != "identifier" or node.text != code.encode() or node.parent is None:
            continue
        around = node.parent
        if around.type in {"parameter_declaration", "variadic_parameter_declaration", "var_spec"}:
            kind = around.child_by_field_name("type")
            if node in around.children_by_field_name("name"):
                found.append(around.type != "variadic_parameter_declaration" and kind is not None and kind.text == b"string")
        elif around.type == "expression_list" and around.parent is not None and around.parent.child_by_field_name("left") == around:
            right = around.parent.child_by_field_name("right")
            alone = around.named_child_count == 1 and right is not None and right.named_child_count == 1
            if around.parent.type in {"short_var_declaration", "range_clause"}:
                value = right.named_children[0] if alone and right is not None and around.parent.type == "short_var_declaration" else None
                found.append(value is not None and _gives_text(value))
    return bool(found) and all(found)


def _gives_text(value: Node) -> bool:
    code = (value.text or b"").decode("utf-8", "replace")
    return value.type in {"interpreted_string_literal", "raw_string_literal"} or _TEXTS.fullmatch(code) is not None


def _without_fmt(source: Source, tree: Tree, gone: Node) -> Sequence[Edit] | None:
    """Nothing while `fmt` is used elsewhere, else its import goes; None when that cannot be done by lines."""
    for node in walk(tree.root_node):
        if node.type == "call_expression" and node != gone and callee(node).startswith("fmt."):
            return ()
        if node.type == "selector_expression" and node.parent != gone and (node.text or b"").startswith(b"fmt."):
            return ()
        if node.type == "qualified_type" and (node.text or b"").startswith(b"fmt."):
            return ()
    specs = [node for node in walk(tree.root_node) if node.type == "import_spec" and node.text == b'"fmt"']
    if len(specs) != 1 or specs[0].parent is None:
        return None
    around = specs[0].parent
    node = specs[0] if around.type == "import_spec_list" and around.named_child_count > 1 else around
    if around.type == "import_spec_list" and node is around:
        return None
    first, last = source.line_start(node.start_byte), source.line_end(node.end_byte)
    if source.data[first : node.start_byte].strip() or source.data[node.end_byte : last].strip():
        return None
    if node is around:
        blank = source.line_end(last)
        last = blank if not source.data[last:blank].strip() else last
    return (Edit(first, last, ""),)
