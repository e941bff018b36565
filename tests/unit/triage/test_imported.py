"""What other scanners were told to let stand, and for which of our findings that is good."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date

import pytest

from pipeline.model.finding import Finding, Location, Secret
from pipeline.triage.imported import Grant, NotTaken, read_all
from tests.build_reports import LEAK, SQL, weakness


def entries(files: dict[str, str]) -> list[Grant | NotTaken]:
    raw = {path: text.encode() for path, text in files.items()}
    return read_all(raw, raw.get)[0]


def grants(files: dict[str, str]) -> list[Grant]:
    return [entry for entry in entries(files) if isinstance(entry, Grant)]


def why(files: dict[str, str]) -> list[str]:
    return [entry.why for entry in entries(files) if isinstance(entry, NotTaken)]


def at(path: str, line: int, end: int = 0) -> Finding:
    return replace(weakness(path, line), location=Location(path, line, end or line))


def leak(path: str, line: int) -> Finding:
    return replace(at(path, line), rule=LEAK, secret=Secret("AWS access key", ""))


def test_a_pattern_of_files_lets_code_stand_and_no_secret() -> None:
    (grant,) = grants({".semgrepignore": "# vendored\n\nvendor/\n"})
    assert grant.source == ".semgrepignore:3"
    assert grant.covers(at("lib/vendor/a.py", 1))
    assert not grant.covers(at("lib/a.py", 1))
    assert not grant.covers(leak("lib/vendor/a.py", 1))


def test_a_pattern_holds_below_its_own_folder_and_later_lines_give_back() -> None:
    (grant,) = grants({"web/.semgrepignore": "static/\n!static/own.js\n"})
    assert grant.covers(at("web/static/a.js", 1))
    assert not grant.covers(at("static/a.js", 1))
    assert not grant.covers(at("web/static/own.js", 1))
    (before,) = grants({".semgrepignore": "!static/own.js\nstatic/\n"})
    assert before.covers(at("static/own.js", 1))


def test_a_comment_without_rules_is_for_everything_on_its_line() -> None:
    found = grants({"a.py": "x = 1\ny = 2  # nosec\n# nosemgrep\nz = 3\n", "b.js": "f(a) // nosemgrep\n"})
    assert [(grant.path, grant.line) for grant in found] == [("a.py", 2), ("a.py", 4), ("b.js", 1)]
    assert found[0].covers(at("a.py", 1, 3))
    assert not found[0].covers(at("a.py", 3)) and not found[0].covers(at("b.py", 2)) and not found[0].covers(leak("a.py", 2))


@pytest.mark.parametrize(
    ("comment", "covers"),
    [
        ("# nosec B608", True),
        ("# nosec: B602,B608", True),
        ("# nosec B602", False),
        ("# nosemgrep: python.django.security.injection.sql.sql-injection-using-raw", True),
        ("# nosemgrep: python.lang.security.audit.subprocess-shell-true", False),
        ("# nosec we know what we do", True),
    ],
)
def test_a_comment_that_names_rules_is_for_the_same_kind_of_weakness(comment: str, covers: bool) -> None:
    (grant,) = grants({"a.py": f"run(x)  {comment}\n"})
    assert grant.covers(at("a.py", 1)) is covers


def test_the_authors_own_reason_is_kept() -> None:
    assert [grant.reason for grant in grants({"a.go": "f() // #nosec G204 -- fixed words only\n", "b.py": "f()  # nosec  old tool\n"})] == [
        "fixed words only",
        "old tool",
    ]


def test_a_rule_that_nobody_knows_lets_nothing_stand() -> None:
    assert (
        why({"a.py": "x()  # nosec B999\ny()  # nosemgrep: my.own.rule\n"})
        == ["names a rule of the other tool whose weakness is not known here"] * 2
    )


def test_baselines_of_secrets_are_for_secrets_on_that_line() -> None:
    found = grants(
        {
            ".gitleaksignore": f"# x\n{'a' * 40}:conf/a.py:aws-access-token:7\nb.py:generic-api-key:3\n",
            "gitleaks-baseline.json": json.dumps([{"File": "c.py", "StartLine": 9, "RuleID": "x"}]),
            ".secrets.baseline": json.dumps({"results": {"d.py": [{"line_number": 4, "type": "x", "is_secret": False}]}}),
        }
    )
    assert sorted((grant.path, grant.line) for grant in found) == [("b.py", 3), ("c.py", 9), ("conf/a.py", 7), ("d.py", 4)]
    assert all(grant.covers(leak(grant.path, grant.line)) and not grant.covers(at(grant.path, grant.line)) for grant in found)


def test_what_an_audit_calls_a_secret_is_not_waived() -> None:
    baseline = json.dumps({"results": {"d.py": [{"line_number": 4, "is_secret": True}]}})
    assert why({".secrets.baseline": baseline}) == ["its own audit says that it is a secret: revoke it"]


def test_semgrep_output_is_for_the_same_kind_on_that_line() -> None:
    entry = {
        "check_id": "x.tainted-sql-string",
        "path": "./app/db.py",
        "start": {"line": 41},
        "extra": {"metadata": {"cwe": ["CWE-89: SQL"]}},
    }
    (grant,) = grants({"semgrep-baseline.json": json.dumps({"results": [entry]})})
    assert grant.covers(weakness())
    assert not grant.covers(replace(weakness(), rule=replace(SQL, cwe=502)))


def test_packages_are_not_ours_to_let_stand() -> None:
    snyk = "ignore:\n  SNYK-1:\n    - '*': {reason: x}\nexclude:\n  code:\n    - vendor/\n"
    files = {".trivyignore": "CVE-2021-44228 exp:2027-01-01\nAVD-DS-0001 exp:2027-01-02\nAVD-AWS-0001\n", ".snyk": snyk}
    assert [(grant.pattern, grant.until) for grant in grants(files)] == [("vendor/", None), ("*ockerfile*", date(2027, 1, 2))]
    assert len(why(files)) == 3
    assert sum("is about a package" in said for said in why(files)) == 2


@pytest.mark.parametrize("name", [".secrets.baseline", ".snyk", "gitleaks.json", "semgrep.json", ".gitleaksignore"])
@pytest.mark.parametrize("text", ["[" * 100_000, "{", "[1, null]", '{"results": 7}', "\x00", "a: &a [*a]"])
def test_broken_files_grant_nothing(name: str, text: str) -> None:
    assert grants({name: text}) == []
