"""Every rewrite does what its table says: the text before, the text after, and nothing more to do afterwards."""

from __future__ import annotations

import pytest

from pipeline.fixers.javascript import FIXER as JAVASCRIPT
from pipeline.fixers.python import FIXER as PYTHON
from pipeline.ports import Fixer
from tests.unit.fixers.cases import Case, check, table

DEFAULTS: dict[str, tuple[Fixer, str, str]] = {
    "javascript.command-injection": (JAVASCRIPT, "exec(", "app.js"),
    "javascript.dom-xss": (JAVASCRIPT, ".innerHTML", "app.js"),
    "javascript.insecure-random-token": (JAVASCRIPT, "Math.random()", "app.js"),
    "javascript.sql-injection": (JAVASCRIPT, ".query", "app.js"),
    "javascript.tls-verification-disabled": (JAVASCRIPT, "rejectUnauthorized", "app.js"),
    "python.archive-path-traversal": (PYTHON, "extractall", "app.py"),
    "python.command-injection": (PYTHON, "os.system", "app.py"),
    "python.flask-debug": (PYTHON, "app.run", "app.py"),
    "python.insecure-random-token": (PYTHON, "random.choice", "app.py"),
    "python.sql-injection": (PYTHON, "execute", "app.py"),
    "python.tls-verification-disabled": (PYTHON, "requests.get", "app.py"),
    "python.unsafe-yaml": (PYTHON, "yaml.load", "app.py"),
}
CASES = [
    pytest.param(fixer, rule, case, id=f"{rule}: {case.name}")
    for rule, (fixer, at, path) in DEFAULTS.items()
    for case in table(rule, at=at, path=path)
]


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


@pytest.mark.parametrize("rule", sorted(DEFAULTS))
def test_each_rule_has_enough_cases_of_both_kinds(rule: str) -> None:
    fixer, at, path = DEFAULTS[rule]
    cases = table(rule, at=at, path=path)
    assert len([case for case in cases if case.after is not None]) >= 8
    assert [case for case in cases if case.after is None]
    assert len({case.name for case in cases}) == len(cases)
    assert fixer.answers(rule)
