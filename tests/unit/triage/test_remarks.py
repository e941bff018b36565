"""A remark beside a known weakness makes it no new one, and nothing but a remark is overlooked."""

from __future__ import annotations

import dataclasses

import pytest

from pipeline.model.finding import Finding, Location
from pipeline.triage.baseline import compare
from pipeline.triage.fingerprint import identify
from pipeline.triage.remarks import without_remarks
from tests.build_reports import weakness


@pytest.mark.parametrize(
    ("path", "one", "other"),
    [
        ("a.py", "db.execute(query)", "db.execute(query)  # checked by ada, see 12"),
        ("a.py", "db.execute('#' + query)", "db.execute('#' + query)   # why"),
        ("a.js", "eval(code);", "eval(code); // TODO: later"),
        ("a.go", "db.Query(q + name)", "\tdb.Query(q + name)   // legacy"),
        ("a.py", "db.execute(query)", "db.execute(query)  # fixwright: ignore[python.sql-injection] read only"),
        ("a.yaml", "key: value", "key: value # note"),
        ("a.py", "call(\n    a,\n    b)", "call(  # first\n    a,\n    b)  # last"),
    ],
)
def test_code_with_a_remark_is_the_same_code(path: str, one: str, other: str) -> None:
    assert without_remarks(path, one) == without_remarks(path, other)


@pytest.mark.parametrize(
    ("path", "one", "other"),
    [
        ("a.py", "run('a # ' + old)", "run('a # ' + new)"),
        ("a.py", "run(old)#x", "run(new)#x"),
        ("a.py", "f(x) # ' + old + '", "f(x) # ' + new + '"),
        ("a.py", "SELECT 1 # {old}", "SELECT 1 # {new}"),
        ("a.py", 'run("""a # old', 'run("""a # new'),
        ("a.py", "run('it # old", "run('it # new"),
        ("a.js", "x.replace(/[ // old]/, y)", "x.replace(/[ // new]/, y)"),
        ("a.js", "fetch(`http: // ${old}`)", "fetch(`http: // ${new}`)"),
        ("a.js", "f('https: // old')", "f('https: // new')"),
        ("a.txt", "BAD # one", "BAD # two"),
        ("a.c", "#define OLD 1", "#define NEW 1"),
    ],
)
def test_whatever_may_be_code_counts(path: str, one: str, other: str) -> None:
    assert without_remarks(path, one) != without_remarks(path, other)


def found(content: str, line: int = 2, path: str = "a.py") -> Finding:
    plain = dataclasses.replace(weakness(path, line), location=Location(path, line, line))
    return identify(plain, content.encode())


OLD = "def show(name):\n    db.execute(query + name)\n"


def test_an_old_finding_with_a_new_remark_is_not_new() -> None:
    result = compare(
        [found(OLD)],
        [found(OLD.replace("name)\n", "name)  # noted\n").replace("show(name)  # noted", "show(name)"))],
        covered=lambda _: True,
    )
    assert (result.new, result.fixed, len(result.unchanged)) == ((), (), 1)


def test_other_code_in_the_old_ones_place_is_new() -> None:
    result = compare([found(OLD)], [found(OLD.replace("query + name", "query + other"))], covered=lambda _: True)
    assert (len(result.new), len(result.fixed)) == (1, 1)


def test_of_two_with_remarks_where_one_was_known_one_is_new() -> None:
    doubled = OLD + "    db.execute(query + name)  # again\n"
    changed = doubled.replace("name)\n    db", "name)  # once\n    db")
    result = compare([found(OLD)], [found(changed, 2), found(changed, 3)], covered=lambda _: True)
    assert (len(result.new), len(result.unchanged), result.fixed) == (1, 1, ())


def test_the_same_code_in_another_function_or_file_is_new() -> None:
    elsewhere = "def other(name):\n    db.execute(query + name)  # noted\n"
    assert len(compare([found(OLD)], [found(elsewhere)], covered=lambda _: True).new) == 1
    assert len(compare([found(OLD)], [found(OLD.replace("name)\n    ", "name)\n    "), path="b.py")], covered=lambda f: False).new) == 1


def test_an_old_one_that_nobody_looked_at_again_stands_for_no_new_one() -> None:
    noted = found("def show(name):\n    db.execute(query + name)  # noted\n")
    result = compare([found(OLD)], [noted], covered=lambda _: False)
    assert (len(result.new), len(result.not_reevaluated)) == (1, 1)
