"""python.sql-injection: values leave the text of a query and are bound as parameters."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import libcst as cst

from pipeline.fixers.python import drivers
from pipeline.fixers.python.drivers import Driver
from pipeline.fixers.python.queries import FAR, Built, find_built
from pipeline.model.finding import Finding
from pipeline.ports import SourceFiles
from pipeline.rewriting import sql
from pipeline.rewriting.naming import parameter_name
from pipeline.rewriting.python import strings
from pipeline.rewriting.python.code import Code, argument, keyword, string_value
from pipeline.rewriting.python.imports import remove_line
from pipeline.rewriting.source import Change, Edit
from pipeline.rewriting.sql import Bound, Existing, Style
from pipeline.rewriting.template import Hole, Part, Template, Unit, join, render

_EXECUTE = frozenset({"execute", "fetch", "fetchrow", "fetchval", "read_sql", "read_sql_query", "raw", "mogrify", "RawSQL", "extra"})
_PASSED_AS = ("params", "parameters", "args", "vars", "query_params")


@dataclass(frozen=True, slots=True)
class Sink:
    """The call that sends a query."""

    call: cst.Call
    query: cst.Arg
    text: cst.Call | None
    """SQLAlchemy's `text(...)` around the query."""
    driver: Driver


@dataclass(frozen=True, slots=True)
class Parameter:
    """One value to bind: its source, and its name where placeholders have names."""

    code: str
    name: str
    built: int
    """Index of the statement whose text it stood in."""


def fix(code: Code, finding: Finding, files: SourceFiles) -> Change | None:
    """Bind every value in the query at the finding, or None when one part of it cannot be bound for certain."""
    return _fix(code, finding, files, named=False)


def fix_named(code: Code, finding: Finding, files: SourceFiles) -> Change | None:
    """The other way, where the driver has two: placeholders with names. Only where nothing is bound yet."""
    return _fix(code, finding, files, named=True)


def _fix(code: Code, finding: Finding, files: SourceFiles, *, named: bool) -> Change | None:
    for call in code.near(finding.location, cst.Call, lambda c: _is_sink(code, c)) or _by_variable(code, finding):
        sink = _sink(code, call, files)
        if named and sink is not None:
            sink = replace(sink, driver=drivers.SQLITE_NAMED) if sink.driver is drivers.SQLITE else None
        built = find_built(code, _query_of(sink), sink.call) if sink else None
        if sink is None or built is None:
            continue
        return _Binding(code, sink, built).change()
    return None


def why_not(code: Code, finding: Finding, files: SourceFiles) -> str:
    """Why no value of the query at the finding is bound."""
    calls = code.near(finding.location, cst.Call, lambda c: _is_sink(code, c)) or _by_variable(code, finding)
    sinks = [sink for call in calls if (sink := _sink(code, call, files)) is not None]
    if not sinks:
        return "the driver of this connection is not known here" if calls else ""
    if not any(find_built(code, _query_of(sink), sink.call) for sink in sinks):
        return FAR
    return "not every part of the statement is certain to be a value that a driver can bind"


def _is_text(code: Code, call: cst.Call) -> bool:
    dotted = code.callee(call)
    if code.method(call) not in {"text", "literal_column"} or dotted == "text":
        return dotted == "text"
    return dotted.startswith(("sqlalchemy.", "sqlmodel.")) or code.inner(call.func) in {"db.text", "sa.text", "sql.text"}


def _is_sink(code: Code, call: cst.Call) -> bool:
    return code.method(call) in _EXECUTE or _is_text(code, call)


def _by_variable(code: Code, finding: Finding) -> list[cst.Call]:
    """The one call in the same function that sends the text which is built at the finding."""
    assign = code.at(finding.location, cst.Assign, lambda a: len(a.targets) == 1 and isinstance(a.targets[0].target, cst.Name))
    if assign is None:
        return []
    name, block = code.inner(assign.targets[0].target), code.block(assign)
    calls = [call for call in code.all(cst.Call, block) if _is_sink(code, call)]
    using = [call for call in calls if (arg := argument(call, 0)) is not None and code.inner(arg.value) == name]
    return using if len(using) == 1 else []


def _sink(code: Code, call: cst.Call, files: SourceFiles) -> Sink | None:
    if code.method(call) == "extra":
        return _extra(call)
    query = argument(call, 0, "query") or keyword(call, "sql") or keyword(call, "statement")
    if query is None:
        return None
    if _is_text(code, call):
        arg = code.parent(call)
        outer = code.parent(arg) if isinstance(arg, cst.Arg) else None
        if isinstance(outer, cst.Call) and code.method(outer) in {"execute", "scalar", "scalars"} and argument(outer, 0) is arg:
            return Sink(outer, query, call, drivers.SQLALCHEMY)
        return Sink(call, query, call, drivers.SQLALCHEMY)
    if isinstance(query.value, cst.Call) and _is_text(code, query.value):
        inner = argument(query.value, 0)
        return Sink(call, inner, query.value, drivers.SQLALCHEMY) if inner else None
    made = code.assignment(query.value.value, call) if isinstance(query.value, cst.Name) else None
    if isinstance(made, cst.Call) and _is_text(code, made):
        inner = argument(made, 0)
        return Sink(made, inner, made, drivers.SQLALCHEMY) if inner else None
    driver = _driver(code, call, files)
    return Sink(call, query, None, driver) if driver else None


def _extra(call: cst.Call) -> Sink | None:
    """Django's `extra(where=[...])` with one condition; its values go to `params=[...]`."""
    where = keyword(call, "where")
    if where is None or not isinstance(where.value, cst.List) or len(where.value.elements) != 1 or keyword(call, "params") is not None:
        return None
    element = where.value.elements[0]
    return Sink(call, cst.Arg(element.value), None, drivers.DJANGO) if isinstance(element, cst.Element) else None


def _driver(code: Code, call: cst.Call, files: SourceFiles) -> Driver | None:
    method = code.method(call)
    if method in {"raw", "RawSQL"}:
        return drivers.DJANGO
    receiver = call.func.value if isinstance(call.func, cst.Attribute) else None
    if method in {"read_sql", "read_sql_query"}:
        connection = argument(call, 1, "con")
        receiver = connection.value if connection else None
    driver = drivers.driver_of(code, receiver, files)
    if driver is None or driver.dialect.style is Style.NAMED:
        return None
    if method in {"fetch", "fetchrow", "fetchval"} and driver is not drivers.ASYNCPG:
        return None
    return driver


def _query_of(sink: Sink) -> cst.BaseExpression:
    return sink.query.value


class _Binding:
    """From what was found to the edits."""

    def __init__(self, code: Code, sink: Sink, built: Built) -> None:
        self.code = code
        self.sink = sink
        self.built = built
        self.style = sink.driver.dialect.style
        self.quote = strings.quote_style(code)
        self.passed = self._passed()
        self.parameters: list[Parameter] = []
        self.order: list[int | None] = []
        """What each placeholder stands for, in order: an index into `parameters`, or None for one that was there before."""
        self.existing_names: set[str] = set()
        self.fixed: set[int] = set()
        """Literals that stay f-strings."""

    def _passed(self) -> cst.Arg | None:
        """The argument that carries parameters already."""
        call = self.sink.call
        if self.code.method(call) in {"read_sql", "read_sql_query"}:
            return keyword(call, "params")
        if self.sink.text is call:
            return None
        if self.sink.driver.passing == "varargs":
            return argument(call, 1)
        found = argument(call, 1)
        return found or next((arg for name in _PASSED_AS if (arg := keyword(call, name)) is not None), None)

    def change(self) -> Change | None:
        if any(arg.star for arg in self.sink.call.args):
            return None
        whole = self._with_constants(join([statement.template for statement in self.built.statements]))
        bound_already = self.passed is not None and not self._passes_nothing()
        fragment = self.sink.text is self.sink.call or self.code.method(self.sink.call) in {"extra", "RawSQL"}
        pieces = sql.plan(whole.parts, self.sink.driver.dialect, bound_already=bound_already, fragment=fragment)
        if pieces is None:
            return None
        bodies = self._bodies(whole, pieces)
        if bodies is None or not self.parameters:
            return None
        passing = self._pass_conditionally() if self.built.conditional else self._pass()
        if passing is None:
            return None
        return Change((*self._texts(whole, bodies), *passing), *self._words())

    def _passes_nothing(self) -> bool:
        value = self.passed.value if self.passed else None
        return isinstance(value, cst.Tuple | cst.List) and not value.elements

    def _with_constants(self, whole: Template) -> Template:
        """Names that always stand for one plain word (`FROM {TABLE}`, `"FROM " + TABLE`) are text, and stay, in an f-string."""
        parts: list[Part] = []
        for part in whole.parts:
            word = self._constant(part) if isinstance(part, Hole) and part.spec in {"", "!s"} else ""
            if word and isinstance(part, Hole):
                self.fixed.add(part.token)
                parts.append(Unit(word, f"{{{part.code}}}", part.token))
            else:
                parts.append(part)
        tokens = tuple(replace(t, opening=f"f{t.opening}") if n in self.fixed else t for n, t in enumerate(whole.tokens))
        doubled = [replace(p, raw=p.raw * 2) if isinstance(p, Unit) and p.token in self.fixed and p.raw in {"{", "}"} else p for p in parts]
        return Template(tuple(doubled), tokens, whole.gaps)

    def _constant(self, hole: Hole) -> str:
        """The word that a name of the module stands for; "" when it is anything else."""
        values = self.code.bindings(hole.code, self.code.module)
        assign = self.code.parent(self.code.parent(values[0]) or values[0]) if len(values) == 1 else None
        shadowed = hole.code.isidentifier() and any(self.code.bindings(hole.code, f) for f in self.code.all(cst.FunctionDef))
        value = string_value(assign.value) if isinstance(assign, cst.Assign) and not shadowed else None
        return value if value is not None and re.fullmatch(r"[A-Za-z_]\w*", value) else ""

    # --- text -------------------------------------------------------------------------------------------------------------------------

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
                parameter = self._parameter(whole, piece)
                if parameter is None:
                    return None
                number += 1
                self.order.append(len(self.parameters))
                self.parameters.append(parameter)
                named = {Style.DOLLAR: f"${number}", Style.NAMED: f":{parameter.name}"}
                bodies[piece.token] += named.get(self.style, str(self.style))
        return bodies

    def _parameter(self, whole: Template, piece: Bound) -> Parameter | None:
        built = self.built.statement_of(piece.token)
        crosses = any(not isinstance(part, str) and self.built.statement_of(part.token) != built for part in piece.parts)
        if crosses and self.built.conditional:
            return None
        single = piece.single
        if single is not None and single.spec == "!s" and not piece.quoted:
            value: str | None = single.code
        else:
            quote = whole.tokens[piece.token].closing[0]
            value = strings.combine(piece.parts, quote if len(whole.tokens[piece.token].closing) == 1 else self.quote)
        if value is None or "\n" in value:
            return None
        holes = [part for part in piece.parts if not isinstance(part, str)]
        taken = self.existing_names | {parameter.name for parameter in self.parameters}
        return Parameter(value, parameter_name(holes[0].code, taken), built)

    def _texts(self, whole: Template, bodies: dict[int, str]) -> list[Edit]:
        edits = []
        for index, statement in enumerate(self.built.statements):
            tokens = [n for n in range(len(whole.tokens)) if self.built.statement_of(n) == index]
            if not any(bodies[n] for n in tokens) and index > 0 and statement.line is not None:
                edits.append(remove_line(self.code, statement.line))
                continue
            text = render(self.code.source.data, whole, bodies, tokens)
            start, end = self.code.span(statement.value)
            if "\n" in text and isinstance(statement.value, cst.BinaryOperation | cst.Call) and not statement.value.lpar:
                wrapped = statement.value.left if isinstance(statement.value, cst.BinaryOperation) else None
                inside = isinstance(self.code.parent(statement.value), cst.Arg)
                if wrapped is None or (wrapped.lpar and not inside):
                    text = text if text.startswith(('"""', "'''")) else f"({text})"
            edits.append(Edit(start, end, text))
        return edits

    # --- parameters -------------------------------------------------------------------------------------------------------------------

    def _pass(self) -> list[Edit] | None:
        codes = [parameter.code for parameter in self.parameters]
        if self.sink.driver.passing == "mapping":
            return self._pass_mapping()
        if self.sink.driver.passing == "varargs":
            last = self.sink.call.args[-1]
            if any(arg.keyword is not None for arg in self.sink.call.args) or (self.style is Style.QMARK and None in self.order):
                return None
            return [self._after(last, ", ".join(codes))]
        if self.passed is None:
            return [self._new(_tuple(codes))]
        merged = self._merged(self.passed.value)
        return None if merged is None else [Edit(*self.code.outer(self.passed.value), merged)]

    def _new(self, value: str) -> Edit:
        method = self.code.method(self.sink.call)
        if method in {"read_sql", "read_sql_query"}:
            return self._after(self.sink.call.args[-1], f"params={value}")
        if method == "extra":
            return self._after(self.sink.call.args[-1], f"params=[{value[1:-1].removesuffix(',')}]")
        return self._after(self.sink.call.args[0], value)

    def _merged(self, value: cst.BaseExpression) -> str | None:
        """The parameters that are passed already and the new ones, in the order of their placeholders."""
        codes = [parameter.code for parameter in self.parameters]
        before = self.order.count(None)
        if isinstance(value, cst.Tuple | cst.List):
            olds = [self.code.text(e.value) for e in value.elements if isinstance(e, cst.Element)]
            if len(olds) != len(value.elements) or len(olds) != before or "#" in self.code.text(value):
                return None
            rest = iter(olds)
            items = [next(rest) if index is None else codes[index] for index in self.order]
            return f"[{', '.join(items)}]" if isinstance(value, cst.List) else _tuple(items)
        if not isinstance(value, cst.Name | cst.Attribute) or not before:
            return None
        first = self.order[:before] == [None] * before
        last = self.order[-before:] == [None] * before
        spread = f"*{self.code.text(value)}"
        return _tuple([spread, *codes]) if first else _tuple([*codes, spread]) if last else None

    def _pass_mapping(self) -> list[Edit] | None:
        items = [(parameter.name, parameter.code) for parameter in self.parameters]
        text = self.sink.text
        if text is not None and self.sink.call is text:
            method = self._bindparams(text)
            pairs = ", ".join(f"{name}={value}" for name, value in items)
            if method is not None:
                return [self._after(method.args[-1], pairs)] if method.args else None
            end = self.code.span(text)[1]
            return [Edit(end, end, f".bindparams({pairs})")]
        quote = self.quote
        pairs = ", ".join(f"{quote}{name}{quote}: {value}" for name, value in items)
        if self.passed is None:
            return [self._after(self.sink.call.args[0], "{" + pairs + "}")]
        if not isinstance(self.passed.value, cst.Dict) or not self.passed.value.elements:
            return None
        end = self.code.span(self.passed.value.elements[-1])[1]
        return [Edit(end, end, f", {pairs}")]

    def _bindparams(self, text: cst.Call) -> cst.Call | None:
        attribute = self.code.parent(text)
        call = self.code.parent(attribute) if isinstance(attribute, cst.Attribute) and attribute.attr.value == "bindparams" else None
        return call if isinstance(call, cst.Call) else None

    def _after(self, arg: cst.Arg, text: str) -> Edit:
        """A new argument behind another one, on a line of its own when the other one is."""
        code, source = self.code, self.code.source
        end = max(code.span(arg)[1], code.outer(arg.value)[1])
        start = min(code.span(arg)[0], code.outer(arg.value)[0])
        own_line = not source.data[source.line_start(start) : start].strip()
        if own_line and source.line_of(code.span(self.sink.call)[0]) != source.line_of(start):
            return Edit(end, end, f",\n{source.indentation(start)}{text}")
        return Edit(end, end, f", {text}")

    def _pass_conditionally(self) -> list[Edit] | None:
        """The text grows in branches: the parameters grow beside it, in a list (or a mapping) of their own."""
        passing = self.sink.driver.passing
        if self.passed is not None or self.style is Style.DOLLAR or (passing == "mapping" and self.sink.call is self.sink.text):
            return None
        block = self.code.block(self.sink.call)
        taken = {node.value for node in self.code.all(cst.Name, block)}
        free = (n for n in ("params", "query_params", "bound_params") if n not in taken and not self.code.bindings(n, self.code.module))
        name = next(free, None)
        edits: list[Edit] = []
        for index, statement in enumerate(self.built.statements):
            own = [parameter for parameter in self.parameters if parameter.built == index]
            if name is None or statement.line is None or len(statement.line.body) != 1:
                return None
            lines = self._growth(name, own, first=index == 0)
            source = self.code.source
            end = self.code.span(statement.line)[1]
            at = source.line_end(end)
            tail = source.data[end:at].strip()
            if tail and not tail.startswith(b"#"):
                return None
            indent = source.indentation(self.code.span(statement.line)[0])
            text = "".join(f"{indent}{line}\n" for line in lines)
            edits.append(Edit(at, at, text if source.data[at - 1 : at] == b"\n" else f"\n{text}"))
        return [*edits, self._after(self.sink.call.args[0], f"*{name}" if passing == "varargs" else str(name))]

    def _growth(self, name: str, own: Sequence[Parameter], *, first: bool) -> list[str]:
        if self.sink.driver.passing == "mapping":
            pairs = [(f"{self.quote}{parameter.name}{self.quote}", parameter.code) for parameter in own]
            if first:
                return [f"{name} = {{{', '.join(f'{key}: {value}' for key, value in pairs)}}}"]
            return [f"{name}[{key}] = {value}" for key, value in pairs]
        codes = [parameter.code for parameter in own]
        if first:
            return [f"{name} = [{', '.join(codes)}]"]
        if len(codes) > 1:
            return [f"{name}.extend([{', '.join(codes)}])"]
        return [f"{name}.append({value})" for value in codes]

    # --- words ------------------------------------------------------------------------------------------------------------------------

    def _words(self) -> tuple[str, str]:
        names = [parameter.name for parameter in self.parameters]
        plain = [name.replace("_", " ") for name in names]
        title = f"bind {plain[0]} in query" if len(names) == 1 and plain[0] != "value" else "bind values in query"
        title = title if len(title) <= 60 else "bind values in query"
        if len(names) == 1:
            return title, "The value is passed to the database as a bound parameter; the text of the query no longer depends on it."
        text = f"All {len(names)} values are passed to the database as bound parameters; the text of the query no longer depends on them."
        return title, text


def _tuple(items: Sequence[str]) -> str:
    return f"({items[0]},)" if len(items) == 1 else f"({', '.join(items)})"
