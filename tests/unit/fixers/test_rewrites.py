"""Every rewrite does what its table says: the text before, the text after, and nothing more to do afterwards."""

from __future__ import annotations

import pytest

from pipeline.fixers.dockerfile import FIXER as DOCKERFILE
from pipeline.fixers.go import FIXER as GO
from pipeline.fixers.javascript import FIXER as JAVASCRIPT
from pipeline.fixers.python import FIXER as PYTHON
from pipeline.fixers.workflow import FIXER as WORKFLOW
from pipeline.ports import Fixer
from pipeline.rulebook import load
from pipeline.stages.ladder import patches
from tests.unit.fixers.cases import TABLES, Case, check, table

FIXERS: dict[str, Fixer] = {"dockerfile": DOCKERFILE, "go": GO, "javascript": JAVASCRIPT, "python": PYTHON, "workflow": WORKFLOW}
RULES = sorted(path.stem for path in TABLES.glob("*.txt"))
CASES = [pytest.param(FIXERS[rule.partition(".")[0]], rule, case, id=f"{rule}: {case.name}") for rule in RULES for case in table(rule)]


@pytest.mark.parametrize(("fixer", "rule", "case"), CASES)
def test_the_rewrite_is_the_one_of_the_table(fixer: Fixer, rule: str, case: Case) -> None:
    check(fixer, rule, case)


@pytest.mark.parametrize(("fixer", "rule", "case"), [p for p in CASES if isinstance(p.values[2], Case) and p.values[2].after is not None])
def test_line_endings_and_byte_order_mark_survive(fixer: Fixer, rule: str, case: Case) -> None:
    from tests.unit.fixers.cases import Files, finding, location

    where = location(case.path, case.before, case.at)
    text = b"\xef\xbb\xbf" + case.before.replace("\n", "\r\n").encode()
    others = {path: content.encode() for path, content in case.files.items()}
    patch = fixer.fix(finding(rule, where), Files({case.path: text, **others}))
    assert patch is not None
    assert case.after is not None
    assert patch.edits[0].after == b"\xef\xbb\xbf" + case.after.replace("\n", "\r\n").encode()


def test_a_command_can_be_mended_in_another_way_that_keeps_its_shell() -> None:
    from tests.unit.fixers.cases import Files, finding, location

    text = 'import subprocess\n\n\ndef ping(name):\n    subprocess.run(f"ping {name}", shell=True)\n'
    found = finding("python.command-injection", location("a.py", text, "subprocess.run(f"))
    files = Files({"a.py": text.encode()})
    first = PYTHON.fix(found, files)
    (other,) = PYTHON.alternatives(found, files)
    assert first is not None
    assert b"shell=True" not in (first.edits[0].after or b"")
    assert b"shlex.quote(name)" in (other.edits[0].after or b"")
    assert b"shell=True" in (other.edits[0].after or b"")
    assert len(list(patches([PYTHON], found, files))) == 2


def test_a_query_of_sqlite_can_have_placeholders_with_names() -> None:
    from tests.unit.fixers.cases import Files, finding, location

    text = "import sqlite3\n\n\ndef find(db: sqlite3.Connection, name):\n    return db.execute(f\"SELECT 1 FROM t WHERE n = '{name}'\")\n"
    found = finding("python.sql-injection", location("a.py", text, "db.execute"))
    (other,) = PYTHON.alternatives(found, Files({"a.py": text.encode()}))
    assert b'db.execute("SELECT 1 FROM t WHERE n = :name", {"name": name})' in (other.edits[0].after or b"")
    postgres = text.replace("sqlite3", "psycopg")
    assert PYTHON.alternatives(found, Files({"a.py": postgres.encode()})) == []


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_has_enough_cases_of_both_kinds(rule: str) -> None:
    cases = table(rule)
    assert len([case for case in cases if case.after is not None]) >= 8
    assert [case for case in cases if case.after is None]
    assert len({case.name for case in cases}) == len(cases)
    assert FIXERS[rule.partition(".")[0]].answers(rule)


def test_every_rule_that_has_a_rewrite_has_a_table() -> None:
    assert {rule for rule in load().rules if any(fixer.answers(rule) for fixer in FIXERS.values())} == set(RULES)
