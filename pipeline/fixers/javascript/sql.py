"""javascript.sql-injection: values leave the text of a query and are bound as parameters."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tree_sitter import Node

from pipeline.fixers.javascript import drivers
from pipeline.fixers.javascript.drivers import Driver
from pipeline.fixers.javascript.queries import Built, Statement, find_built
from pipeline.model.finding import Finding
from pipeline.ports import SourceFiles
from pipeline.rewriting import sql
from pipeline.rewriting.javascript import strings
from pipeline.rewriting.javascript.code import Code, arguments, is_callback, key_of, remove_statement
from pipeline.rewriting.naming import parameter_name
from pipeline.rewriting.source import Change, Edit
from pipeline.rewriting.sql import Bound, Existing, Style
from pipeline.rewriting.template import Hole, Part, Template, Unit, join, render

_METHODS = frozenset(
    {"query", "execute", "run", "all", "get", "each", "raw", "prepare", "any", "one", "none", "oneOrNone", "manyOrNone", "many"}
    | {"whereRaw", "havingRaw", "queryRaw", "$queryRawUnsafe", "$executeRawUnsafe"}
)
_KNEX = frozenset({"raw", "whereRaw", "havingRaw"})
_RUN_PREPARED = frozenset({"get", "all", "run", "iterate"})


@dataclass(frozen=True, slots=True)
class Sink:
    """The call that sends a query."""

    call: Node
    query: Node
    driver: Driver
    passed: Node | None
    """The argument (or the value of `values`) that carries parameters already."""
    config: Node | None = None
    """pg's `{ text, values }` around the query."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One value to bind."""

    code: str
    name: str
    built: int


def fix(code: Code, finding: Finding, files: SourceFiles) -> Change | None:
    """Bind every value in the query at the finding, or None when one part of it cannot be bound for certain."""
    calls = code.near(finding.location, {"call_expression"}, lambda c: code.method(c) in _METHODS)
    for call in calls or _by_variable(code, finding):
        if code.method(call) in {"$queryRawUnsafe", "$executeRawUnsafe"}:
            change = _prisma(code, call)
        else:
            sink = _sink(code, call, files)
            built = find_built(code, sink.query, call) if sink is not None else None
            change = _Binding(code, sink, built).change() if sink is not None and built is not None else None
        if change is not None:
            return change
    return None


def why_not(code: Code, finding: Finding, files: SourceFiles) -> str:
    """Why no value of the query at the finding is bound."""
    calls = code.near(finding.location, {"call_expression"}, lambda c: code.method(c) in _METHODS) or _by_variable(code, finding)
    if any(code.method(call) in {"$queryRawUnsafe", "$executeRawUnsafe"} for call in calls):
        return ""  # Prisma's own, which has another rewrite
    sinks = [sink for call in calls if (sink := _sink(code, call, files)) is not None]
    if not sinks:
        return "the driver of this connection is not known here" if calls else ""
    if not any(find_built(code, sink.query, sink.call) for sink in sinks):
        return "the text is put together where it cannot be followed"
    return "not every part of the statement is certain to be a value that a driver can bind"


def _by_variable(code: Code, finding: Finding) -> list[Node]:
    """The one call in the same function that sends the text which is built at the finding."""
    for declarator in code.near(finding.location, {"variable_declarator"}, lambda _: True):
        name = declarator.child_by_field_name("name")
        calls = code.all({"call_expression"}, code.function(declarator))
        using = [
            c
            for c in calls
            if code.method(c) in _METHODS and name is not None and [code.text(a) for a in arguments(c)[:1]] == [code.text(name)]
        ]
        return using if len(using) == 1 else []
    return []


def _sink(code: Code, call: Node, files: SourceFiles) -> Sink | None:
    args, method = arguments(call), code.method(call)
    if not args or any(arg.type == "spread_element" for arg in args):
        return None
    driver = drivers.KNEX if method in _KNEX - {"raw"} else drivers.driver_of(code, code.receiver(call), files)
    receiver = code.receiver(call)
    if driver is not None and receiver is not None and code.text(receiver).lower().endswith("sequelize"):
        driver = drivers.SEQUELIZE
    if method == "prepare" and driver is drivers.SQLITE:
        driver = drivers.BETTER_SQLITE  # a prepared statement takes its values in the call that runs it, in both
    if driver is None or (driver is drivers.KNEX) != (method in _KNEX):
        return None
    if (method == "prepare") != (driver.passing == "statement"):
        return None
    if args[0].type == "object":
        return _config(code, call, args[0], driver)
    second = args[1] if len(args) > 1 else None
    passed = second if second is not None and not is_callback(code, second) else None
    return Sink(call, args[0], driver, passed)


def _config(code: Code, call: Node, config: Node, driver: Driver) -> Sink | None:
    """`query({ text: ..., values: [...] })` of pg, `query({ sql: ..., values: [...] })` of mysql."""
    pairs = {key_of(code, pair): pair for pair in config.named_children if pair.type == "pair"}
    text = pairs.get("text" if driver is drivers.POSTGRES else "sql")
    query = text.child_by_field_name("value") if text is not None else None
    values = pairs.get("values")
    if query is None or driver not in (drivers.POSTGRES, drivers.MYSQL):
        return None
    return Sink(call, query, driver, values.child_by_field_name("value") if values is not None else None, config)


class _Binding:
    """From what was found to the edits."""

    def __init__(self, code: Code, sink: Sink, built: Built) -> None:
        self.code = code
        self.sink = sink
        self.built = built
        self.style = sink.driver.dialect.style
        self.parameters: list[Parameter] = []
        self.order: list[int | None] = []
        self.existing_names: set[str] = set()

    def change(self) -> Change | None:
        whole = _with_constants(self.code, join([statement.template for statement in self.built.statements]))
        passed = self.sink.passed
        bound_already = passed is not None and self.sink.driver.passing == "array" and not self._empty(passed)
        if self.sink.driver.passing == "replacements":
            bound_already = passed is not None and "replacements" in self.code.text(passed)
        fragment = self.code.method(self.sink.call) in _KNEX - {"raw"}
        pieces = sql.plan(whole.parts, self.sink.driver.dialect, bound_already=bound_already, fragment=fragment)
        literal_marks = self.style is Style.QMARK and any(isinstance(piece, Unit) and piece.char == "?" for piece in pieces or ())
        if literal_marks and self.sink.driver.name in {"mysql", "knex"}:
            return None  # these replace every `?`, also inside a quoted text
        bodies = self._bodies(whole, pieces) if pieces is not None else None
        if bodies is None or not self.parameters:
            return None
        passing = self._pass_conditionally() if self.built.conditional else self._pass()
        if passing is None:
            return None
        edits = [self._text(whole, bodies, index, statement) for index, statement in enumerate(self.built.statements)]
        return Change((*edits, *passing), *_words(self.parameters))

    def _empty(self, node: Node) -> bool:
        return node.type == "array" and not node.named_children

    def _bodies(self, whole: Template, pieces: Sequence[sql.Piece]) -> dict[int, str] | None:
        bodies = dict.fromkeys(range(len(whole.tokens)), "")
        number = sum(isinstance(piece, Existing) for piece in pieces)
        self.existing_names = {piece.raw[1:] for piece in pieces if isinstance(piece, Existing)}
        for piece in pieces:
            if isinstance(piece, Unit):
                bodies[piece.token] += piece.raw
            elif isinstance(piece, Existing):
                bodies[piece.token] += piece.raw
                self.order.append(None)
            else:
                parameter = self._parameter(piece)
                if parameter is None:
                    return None
                number += 1
                self.order.append(len(self.parameters))
                self.parameters.append(parameter)
                named = {Style.DOLLAR: f"${number}", Style.NAMED: f":{parameter.name}"}
                bodies[piece.token] += named.get(self.style, str(self.style))
        return bodies

    def _parameter(self, piece: Bound) -> Parameter | None:
        built = self.built.statement_of(piece.token)
        crosses = any(not isinstance(part, str) and self.built.statement_of(part.token) != built for part in piece.parts)
        if crosses and self.built.conditional:
            return None
        value = strings.combine(piece.parts, self.code.quote)
        if value is None or "\n" in value:
            return None
        holes = [part for part in piece.parts if not isinstance(part, str)]
        taken = self.existing_names | {parameter.name for parameter in self.parameters}
        return Parameter(value, parameter_name(holes[0].code, taken), built)

    def _text(self, whole: Template, bodies: dict[int, str], index: int, statement: Statement) -> Edit:
        tokens = [n for n in range(len(whole.tokens)) if self.built.statement_of(n) == index]
        if not any(bodies[n] for n in tokens) and index > 0 and statement.line is not None:
            return remove_statement(self.code, statement.line)
        text = render(self.code.source.data, whole, bodies, tokens)
        value = statement.value
        if value.type == "parenthesized_expression" and "\n" in text:
            text = f"({text})"
        return Edit(value.start_byte, value.end_byte, text)

    # --- parameters -------------------------------------------------------------------------------------------------------------------

    def _pass(self) -> list[Edit] | None:
        codes = [parameter.code for parameter in self.parameters]
        if self.sink.driver.passing == "replacements":
            return self._pass_replacements()
        if self.sink.driver.passing == "statement":
            return self._pass_to_statement(codes)
        if self.sink.passed is not None:
            merged = self._merged(self.sink.passed)
            return None if merged is None else [Edit(self.sink.passed.start_byte, self.sink.passed.end_byte, merged)]
        if self.sink.config is not None:
            pair = self.sink.query.parent
            return [self._after(pair, f"values: [{', '.join(codes)}]")] if pair is not None else None
        return [self._after(arguments(self.sink.call)[0], f"[{', '.join(codes)}]")]

    def _merged(self, value: Node) -> str | None:
        codes = [parameter.code for parameter in self.parameters]
        before = self.order.count(None)
        if value.type == "array":
            items = [node for node in value.named_children if node.type != "comment"]
            olds = [self.code.text(item) for item in items]
            if any(item.type == "spread_element" for item in items) or "//" in self.code.text(value):
                return None
            if self.style is Style.DOLLAR:
                return f"[{', '.join([*olds, *codes])}]" if len(olds) == before else None
            if len(olds) != before:
                return None
            rest = iter(olds)
            return f"[{', '.join(next(rest) if index is None else codes[index] for index in self.order)}]"
        if value.type not in {"identifier", "member_expression"} or not before:
            return None
        spread = f"...{self.code.text(value)}"
        if self.style is Style.DOLLAR or self.order[:before] == [None] * before:
            return f"[{', '.join([spread, *codes])}]" if self.style is not Style.DOLLAR else None
        return f"[{', '.join([*codes, spread])}]" if self.order[-before:] == [None] * before else None

    def _pass_replacements(self) -> list[Edit] | None:
        pairs = ", ".join(p.name if p.code == p.name else f"{p.name}: {p.code}" for p in self.parameters)
        args, options = arguments(self.sink.call), self.sink.passed
        if options is None:
            return [self._after(args[0], f"{{ replacements: {{ {pairs} }} }}")] if len(args) == 1 else None
        if options.type != "object":
            return None
        known = {key_of(self.code, pair): pair for pair in options.named_children if pair.type == "pair"}
        if "bind" in known or "replacements" in known:
            inner = known["replacements"].child_by_field_name("value") if "replacements" in known else None
            if inner is None or inner.type != "object" or not inner.named_children:
                return None
            end = inner.named_children[-1].end_byte
            return [Edit(end, end, f", {pairs}")]
        if not options.named_children:
            return [Edit(options.start_byte, options.end_byte, f"{{ replacements: {{ {pairs} }} }}")]
        first = options.named_children[0]
        lead = "\n" + self.code.source.indentation(first.start_byte) if b"\n" in self._between(options, first) else " "
        return [Edit(first.start_byte, first.start_byte, f"replacements: {{ {pairs} }},{lead}")]

    def _between(self, outer: Node, inner: Node) -> bytes:
        return self.code.source.data[outer.start_byte : inner.start_byte]

    def _pass_to_statement(self, codes: Sequence[str]) -> list[Edit] | None:
        """`prepare(sql).get()`: the values go to the call that runs the statement."""
        runner = self._runner(self.sink.call)
        if runner is None:
            statement = self.sink.call.parent
            name = statement.child_by_field_name("name") if statement is not None and statement.type == "variable_declarator" else None
            uses = self.code.uses(self.code.text(name), self.code.function(self.sink.call)) if name is not None else []
            runner = self._runner(uses[0]) if len(uses) == 1 else None
        given = runner.child_by_field_name("arguments") if runner is not None else None
        if runner is None or given is None or arguments(runner):
            return None
        return [Edit(given.start_byte, given.end_byte, f"({', '.join(codes)})")]

    def _runner(self, node: Node) -> Node | None:
        member = node.parent
        call = member.parent if member is not None and member.type == "member_expression" else None
        return call if call is not None and call.type == "call_expression" and self.code.method(call) in _RUN_PREPARED else None

    def _after(self, node: Node, text: str) -> Edit:
        """A new argument (or property) behind another one, on a line of its own when the other one is."""
        source = self.code.source
        own_line = not source.data[source.line_start(node.start_byte) : node.start_byte].strip()
        return Edit(node.end_byte, node.end_byte, f",\n{source.indentation(node.start_byte)}{text}" if own_line else f", {text}")

    def _pass_conditionally(self) -> list[Edit] | None:
        """The text grows in branches: the values grow beside it, in an array of their own."""
        sink = self.sink
        if sink.passed is not None or self.style is not Style.QMARK or sink.driver.passing != "array" or sink.config is not None:
            return None
        block = self.code.function(sink.call)
        taken = {self.code.text(node) for node in self.code.all({"identifier"}, block)}
        free = (n for n in ("params", "queryParams", "values") if n not in taken and not self.code.bindings(n, self.code.root))
        name = next(free, None)
        end = self.code.semicolon
        edits: list[Edit] = []
        for index, statement in enumerate(self.built.statements):
            own = [parameter.code for parameter in self.parameters if parameter.built == index]
            line, source = statement.line, self.code.source
            if name is None or line is None:
                return None
            after = source.line_end(line.end_byte)
            if source.data[line.end_byte : after].strip(b" \t\r\n;"):
                return None
            text = f"const {name} = [{', '.join(own)}]{end}" if index == 0 else f"{name}.push({', '.join(own)}){end}"
            if index == 0 or own:
                edits.append(Edit(after, after, f"{source.indentation(line.start_byte)}{text}\n"))
        return [*edits, self._after(arguments(sink.call)[0], str(name))]


def _with_constants(code: Code, whole: Template) -> Template:
    """Names in template literals that always stand for one plain word (`FROM ${TABLE}`) are text, and stay as they are."""
    parts: list[Part] = []
    for part in whole.parts:
        word = ""
        if isinstance(part, Hole) and whole.tokens[part.token].opening == "`" and part.code.isidentifier():
            node = code.root.descendant_for_byte_range(part.start, part.start + len(part.code))
            value = code.value_of(part.code, node) if node is not None else None
            statement = code.statement(value) if value is not None and value.type == "string" else None
            if value is not None and statement is not None and code.text(statement).startswith("const "):
                word = code.text(value)[1:-1]
        parts.append(
            Unit(word, f"${{{part.code}}}", part.token) if isinstance(part, Hole) and re.fullmatch(r"[A-Za-z_]\w*", word) else part
        )
    return Template(tuple(parts), whole.tokens, whole.gaps)


def _words(parameters: Sequence[Parameter]) -> tuple[str, str]:
    names = [parameter.name for parameter in parameters]
    title = f"bind {names[0]} in query" if len(names) == 1 and names[0] != "value" and len(names[0]) < 40 else "bind values in query"
    if len(names) == 1:
        return title, "The value is passed to the database as a bound parameter; the text of the query no longer depends on it."
    return (
        title,
        f"All {len(names)} values are passed to the database as bound parameters; the text of the query no longer depends on them.",
    )


def _prisma(code: Code, call: Node) -> Change | None:
    """`$queryRawUnsafe(`...`)` as the tagged template `$queryRaw`, whose holes Prisma binds."""
    args, function = arguments(call), call.child_by_field_name("function")
    prop = function.child_by_field_name("property") if function is not None else None
    template = strings.read(code, args[0]) if len(args) == 1 and args[0].type == "template_string" else None
    if template is None or prop is None or not template.holes:
        return None
    pieces = sql.plan(template.parts, drivers.POSTGRES.dialect, bound_already=False)
    if pieces is None:
        return None
    body = ""
    for piece in pieces:
        if isinstance(piece, Bound):
            value = strings.combine(piece.parts, code.quote)
            if value is None:
                return None
            body += "${" + value + "}"
        else:
            body += piece.raw
    edits = (
        Edit(prop.start_byte, prop.end_byte, code.text(prop).removesuffix("Unsafe")),
        Edit(prop.end_byte, call.end_byte, f"`{body}`"),
    )
    return Change(
        edits, "bind values in query", "Prisma's tagged template sends every value as a bound parameter instead of as text of the query."
    )
