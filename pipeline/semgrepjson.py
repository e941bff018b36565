"""What semgrep-core answers, read with suspicion: bytes in, places in our own files out.

The engine reads hostile text, so its answer is treated as hostile too: every path must be one that it was given, every line a positive
number, every text is cut. Nothing of its prose is repeated.

Source: semgrep-interfaces, `semgrep_output_v1.atd` (core_output).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, Field, JsonValue, TypeAdapter, ValidationError

from pipeline.errors import EngineGarbage, EngineMissing
from pipeline.model.finding import Location
from pipeline.model.scan import Gap, GapClass

_ENGINE = "semgrep"
_TEXT_LIMIT = 60
_CALLEES = ("$C", "$M")
"""Metavariables that our rules bind to what a sink is called on: a finding begins there, not at the argument."""
_SYNTAX = frozenset({"PartialParsing", "Syntax error", "Lexical error", "Other syntax error", "AST builder error"})
_LIMITS = frozenset({"Fixpoint timeout", "FixpointTimeout", "Too many matches"})
_RULES = frozenset({"Rule parse error", "PatternParseError", "Invalid YAML", "Pattern parse error", "IncompatibleRule", "MissingPlugin"})
_SAID = {"Timeout": "timed out", "Out of memory": "ran out of memory", "OutOfMemory": "ran out of memory"}

_Line = Annotated[int, Field(ge=1, le=10_000_000)]


class _Position(BaseModel):
    line: _Line
    col: _Line


class _Span(BaseModel):
    path: str = ""
    start: _Position
    end: _Position


class _Bound(BaseModel):
    start: _Position
    abstract_content: str = ""


class _Trace(BaseModel):
    taint_source: tuple[str, JsonValue]


class _Extra(BaseModel):
    metavars: dict[str, _Bound] = {}
    dataflow_trace: _Trace | None = None


class _Result(BaseModel):
    check_id: str
    path: str
    start: _Position
    end: _Position
    extra: _Extra


class _Error(BaseModel):
    error_type: str | tuple[str, JsonValue]
    location: _Span | None = None


class _Paths(BaseModel):
    scanned: list[str]


class _Output(BaseModel):
    results: list[_Result]
    errors: list[_Error]
    paths: _Paths


_CALL = TypeAdapter(tuple[_Span, str])


@dataclass(frozen=True, slots=True)
class Match:
    """One place where one entry of our rules matched."""

    check_id: str
    location: Location
    source: Location | None
    """Where the data enters, when the engine traced it."""
    source_text: str
    """Its source text on one line, cut; hostile."""
    named: str
    """What the rule bound to $N: the name under which the data goes on."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Everything that the engine said about the files that it was given."""

    matches: tuple[Match, ...]
    troubles: tuple[Gap, ...]
    """Files that it did not look at to the end, at most one for each, the worst."""
    scanned: frozenset[str]
    """Names of the files that it looked at."""


def parse_answer(stdout: bytes, names: Mapping[str, str]) -> Answer:
    """Read the engine's JSON.

    Args:
        stdout: what it wrote; progress dots may stand before the document.
        names: the name in the repository by the path that the engine was given.

    Raises:
        EngineGarbage: not the documented form, or it speaks of files or rules that it was not given.
        EngineMissing: it cannot read our rules: engine and rules do not fit, and that is ours to mend.
    """
    # the engine quotes files as they are: what is no UTF-8 there is none here
    document = stdout.decode("utf-8", errors="replace").lstrip(".\r\n\t ")
    try:
        output = _Output.model_validate_json(document)
    except ValidationError:
        raise EngineGarbage("semgrep's answer is not what it documents", engine=_ENGINE) from None
    troubles = _troubles(output.errors, names)
    matches = tuple(_match(result, names) for result in output.results)
    return Answer(matches, troubles, frozenset(names[path] for path in output.paths.scanned if path in names))


def _name(path: str, names: Mapping[str, str]) -> str:
    try:
        return names[path]
    except KeyError:
        raise EngineGarbage("semgrep speaks of a file that it was not given", engine=_ENGINE) from None


def _match(result: _Result, names: Mapping[str, str]) -> Match:
    path = _name(result.path, names)
    start = result.start
    for callee in _CALLEES:
        bound = result.extra.metavars.get(callee)
        if bound is not None and (bound.start.line, bound.start.col) < (start.line, start.col):
            start = bound.start
    source, text = _source(result.extra.dataflow_trace, path)
    named = result.extra.metavars.get("$N")
    location = Location(path, start.line, result.end.line, start.col, result.end.col)
    return Match(result.check_id, location, source, text, _short(named.abstract_content) if named else "")


def _source(trace: _Trace | None, path: str) -> tuple[Location | None, str]:
    """Where the trace begins. A trace through calls (`CliCall`) begins at the call that brought the data in."""
    if trace is None:
        return None, ""
    kind, payload = trace.taint_source
    where = payload[0] if kind == "CliCall" and isinstance(payload, list) and payload else payload
    try:
        span, text = _CALL.validate_python(where)
    except ValidationError:
        return None, ""
    return Location(path, span.start.line, span.end.line, span.start.col, span.end.col), _short(text)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _TEXT_LIMIT else line[: _TEXT_LIMIT - 1] + "…"


def _troubles(errors: list[_Error], names: Mapping[str, str]) -> tuple[Gap, ...]:
    gaps: dict[str, Gap] = {}
    for error in errors:
        kind = error.error_type if isinstance(error.error_type, str) else error.error_type[0]
        if kind in _RULES:
            raise EngineMissing(f"semgrep cannot read our rules ({kind})", engine=_ENGINE, hint="fixwright engines install")
        path = error.location.path if error.location is not None else ""
        if path not in names:
            raise EngineGarbage(f"semgrep failed without saying where ({_short(kind)})", engine=_ENGINE)
        gap = _gap(kind, names[path], error.location)
        known = gaps.get(gap.path)
        if known is None or (known.gap_class is GapClass.LIMIT and gap.gap_class is GapClass.ERROR):
            gaps[gap.path] = gap
    return tuple(gaps.values())


def _gap(kind: str, path: str, where: _Span | None) -> Gap:
    if kind in _SYNTAX:
        line = f" line {where.start.line}" if where is not None else " it"
        return Gap(_ENGINE, path, f"semgrep could not read{line}", GapClass.LIMIT)
    if kind in _LIMITS:
        return Gap(_ENGINE, path, "too large for semgrep's data flow", GapClass.LIMIT)
    return Gap(_ENGINE, path, _SAID.get(kind, "semgrep failed on it"), GapClass.ERROR)
