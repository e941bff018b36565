"""The engine's answer, read with suspicion."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import EngineError, EngineGarbage, EngineMissing
from pipeline.model.finding import Location
from pipeline.model.scan import GapClass
from pipeline.semgrepjson import parse_answer

NAMES = {"/t/a.py": "app/a.py", "/t/b.py": "b.py"}


def position(line: int, column: int) -> dict[str, int]:
    return {"line": line, "col": column, "offset": 0}


def span(path: str = "/t/a.py", line: int = 3) -> dict[str, object]:
    return {"path": path, "start": position(line, 5), "end": position(line, 9)}


def result(**changes: object) -> dict[str, object]:
    extra: dict[str, object] = {"metavars": {}, "engine_kind": "OSS"}
    return {"check_id": "x.y", **span(), "extra": extra, **changes}


def answer(results: list[dict[str, object]] | None = None, errors: list[dict[str, object]] | None = None, **more: object) -> bytes:
    return json.dumps({"results": results or [], "errors": errors or [], "paths": {"scanned": list(NAMES)}, **more}).encode()


def error(kind: object, path: str | None = "/t/a.py") -> dict[str, object]:
    return {"error_type": kind, "severity": "warn", "message": "secret text of the file", "location": span(path) if path else None}


def test_a_match_is_placed_under_its_own_name() -> None:
    (match,) = parse_answer(answer([result()]), NAMES).matches
    assert match.location == Location("app/a.py", 3, 3, 5, 9)
    assert match.source is None


def test_dots_of_progress_may_stand_before_it() -> None:
    assert len(parse_answer(b".\n.\n." + answer([result()]), NAMES).matches) == 1


def test_a_finding_begins_at_what_the_sink_is_called_on() -> None:
    bound = {"start": position(2, 1), "end": position(2, 3), "abstract_content": "db"}
    (match,) = parse_answer(answer([result(extra={"metavars": {"$C": bound}})]), NAMES).matches
    assert (match.location.line, match.location.column) == (2, 1)


@pytest.mark.parametrize(
    "trace",
    [["CliLoc", [span(line=1), "request.args"]], ["CliCall", [[span(line=1), "request.args"], [], ["CliLoc", [span(line=7), "other"]]]]],
    ids=["here", "through a call"],
)
def test_the_source_is_taken_from_the_trace(trace: list[object]) -> None:
    (match,) = parse_answer(answer([result(extra={"dataflow_trace": {"taint_source": trace}})]), NAMES).matches
    assert match.source == Location("app/a.py", 1, 1, 5, 9)
    assert match.source_text == "request.args"


@pytest.mark.parametrize("trace", [["CliLoc", 1], ["Other", {}], ["CliCall", []], ["CliLoc", [span(line=0), "x"]]])
def test_a_trace_in_another_form_is_no_trace(trace: list[object]) -> None:
    (match,) = parse_answer(answer([result(extra={"dataflow_trace": {"taint_source": trace}})]), NAMES).matches
    assert match.source is None


def test_texts_of_the_source_are_one_short_line() -> None:
    trace = {"taint_source": ["CliLoc", [span(), "a\n" * 500]]}
    (match,) = parse_answer(answer([result(extra={"dataflow_trace": trace})]), NAMES).matches
    assert "\n" not in match.source_text
    assert len(match.source_text) <= 60


@pytest.mark.parametrize(
    ("kind", "gap_class", "reason"),
    [
        (["PartialParsing", [span()]], GapClass.LIMIT, "semgrep could not read line 3"),
        ("Syntax error", GapClass.LIMIT, "semgrep could not read line 3"),
        ("Fixpoint timeout", GapClass.LIMIT, "too large for semgrep's data flow"),
        ("Timeout", GapClass.ERROR, "timed out"),
        ("Out of memory", GapClass.ERROR, "ran out of memory"),
        ("Stack overflow", GapClass.ERROR, "semgrep failed on it"),
        (["Something new", {}], GapClass.ERROR, "semgrep failed on it"),
    ],
)
def test_trouble_with_a_file_is_a_gap(kind: object, gap_class: GapClass, reason: str) -> None:
    (gap,) = parse_answer(answer(errors=[error(kind)]), NAMES).troubles
    assert (gap.path, gap.gap_class, gap.reason, gap.blame) == ("app/a.py", gap_class, reason, "change")


def test_the_worst_trouble_of_a_file_counts() -> None:
    troubles = parse_answer(answer(errors=[error("Syntax error"), error("Timeout"), error("Lexical error")]), NAMES).troubles
    assert [gap.reason for gap in troubles] == ["timed out"]


@pytest.mark.parametrize("kind", ["Rule parse error", "Pattern parse error", ["IncompatibleRule", {}]])
def test_trouble_with_our_rules_is_ours(kind: object) -> None:
    with pytest.raises(EngineMissing) as missing:
        parse_answer(answer(errors=[error(kind, None)]), NAMES)
    assert missing.value.blame == "us"


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"\xff\xfe",
        answer([result(path="/etc/passwd")]),
        answer([result(start=position(0, 1))]),
        answer([result(start=position(-4, 1))]),
        answer([result(start=position(10**12, 1))]),
        answer([result(start="first")]),
        answer(errors=[error("Timeout", None)]),
        answer(errors=[error("Timeout", "/t/unknown.py")]),
        answer()[:-1],
        answer() + answer(),
    ],
)
def test_garbage_is_never_no_findings(document: bytes) -> None:
    with pytest.raises(EngineGarbage) as garbage:
        parse_answer(document, NAMES)
    assert "secret text" not in str(garbage.value)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(document: bytes) -> None:
    with pytest.raises(EngineError):
        parse_answer(document, NAMES)


def test_what_is_no_unicode_is_read_all_the_same() -> None:
    document = answer([result(extra={"metavars": {"$N": {"start": position(1, 1), "abstract_content": "caf\u00e9"}}})])
    broken = document.replace(b"caf\\u00e9", b"caf\xe9")
    assert broken != document
    (match,) = parse_answer(broken, NAMES).matches
    assert match.named == "caf\ufffd"


def test_what_it_looked_at_is_told_in_our_names() -> None:
    names: Mapping[str, str] = {"/t/a.py": "app/a.py"}
    assert parse_answer(answer(), names).scanned == {"app/a.py"}
