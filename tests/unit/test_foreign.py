"""What files of other scanners say, and what is not believed of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pipeline.errors import UsageError
from pipeline.foreign import MAX_BYTES, MAX_RESULTS, Log, read_log
from pipeline.model.finding import Confidence, Severity
from tests.hostile_texts import HOSTILE


def result(uri: str = "app/db.py", line: int = 4, **more: Any) -> dict[str, Any]:
    place = {"physicalLocation": {"artifactLocation": {"uri": uri}, "region": {"startLine": line}}}
    return {"ruleId": "B608", "message": {"text": "SQL built from text"}, "locations": [place], **more}


def run(*results: dict[str, Any], rules: list[dict[str, Any]] | None = None, name: str = "Bandit", **more: Any) -> dict[str, Any]:
    known = [{"id": "B608", "name": "hardcoded_sql_expressions", "properties": {"tags": ["security", "external/cwe/cwe-089"]}}]
    driver = {"name": name, "version": "1.9.4", "rules": known if rules is None else rules}
    return {"tool": {"driver": driver}, "results": list(results), **more}


def log(*runs: dict[str, Any], **more: Any) -> Log:
    return read_log(json.dumps({"version": "2.1.0", "runs": list(runs), **more}).encode(), "other.sarif")


def test_a_result_is_its_tools_rule_with_the_tools_name() -> None:
    (said,) = log(run(result(level="error", properties={"issue_confidence": "HIGH", "issue_severity": "MEDIUM"}))).said
    assert said.rule.id == "sarif.bandit.b608"
    assert said.rule.title == "Bandit: hardcoded sql expressions"
    assert (said.rule.severity, said.rule.confidence, said.rule.cwe) == (Severity.MEDIUM, Confidence.HIGH, 89)
    assert (said.uri, said.line, said.end_line, said.witness) == ("app/db.py", 4, 4, "Bandit B608")


def test_codeql_names_rules_in_extensions_and_scores_them() -> None:
    rule = {
        "id": "py/sql-injection",
        "shortDescription": {"text": "SQL query built from user-controlled sources"},
        "properties": {"security-severity": "8.8", "precision": "high", "tags": ["external/cwe/cwe-089", "security"]},
    }
    tool = {"driver": {"name": "CodeQL", "rules": []}, "extensions": [{"name": "codeql/python-queries", "rules": [rule]}]}
    one = result(ruleId="py/sql-injection", rule={"index": 0, "toolComponent": {"index": 0}})
    (said,) = log({"tool": tool, "results": [one]}).said
    assert (said.rule.title, said.rule.severity) == ("CodeQL: SQL query built from user-controlled sources", Severity.HIGH)
    assert (said.rule.confidence, said.rule.cwe, said.rule.id) == (Confidence.HIGH, 89, "sarif.codeql.py-sql-injection")


@pytest.mark.parametrize(
    ("rule", "cwe"),
    [
        ({"properties": {"tags": ["CWE-79: Cross-site Scripting", "LOW CONFIDENCE"]}}, 79),
        ({"properties": {"cwe": ["CWE-502"]}}, 502),
        ({"relationships": [{"target": {"id": "78", "toolComponent": {"name": "CWE"}}}]}, 78),
        ({"properties": {"tags": ["external/cwe/cwe-020", "external/cwe/cwe-022"]}}, 22),
        ({"relationships": [{"target": {"id": "78", "toolComponent": {"name": "OWASP"}}}]}, 0),
        ({}, 0),
    ],
    ids=["semgrep", "property", "gosec", "wide and narrow", "another taxonomy", "eslint"],
)
def test_weaknesses_are_read_where_tools_write_them(rule: dict[str, Any], cwe: int) -> None:
    (said,) = log(run(result(ruleId="X"), rules=[{"id": "X", **rule}])).said
    assert said.rule.cwe == cwe


def test_no_tool_can_pass_for_one_of_our_rules() -> None:
    (said,) = log(run(result(ruleId="sql-injection"), name="python")).said
    assert said.rule.id == "sarif.python.sql-injection"


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_short_and_plain(text: str) -> None:
    rule = {"id": text, "name": text, "shortDescription": {"text": text}, "fullDescription": {"text": text * 400}}
    log_ = log(run(result(ruleId=text, message={"text": text}), rules=[rule], name=text))
    (said,) = log_.said
    for shown in (said.rule.title, said.rule.message, said.tool, said.called, *log_.tools[0]):
        assert len(shown) <= 400
        assert shown.isprintable()
        assert not set("`@<>") & set(shown)
    assert said.rule.id.isascii() and len(said.rule.id) <= 100


def test_of_a_secret_no_prose_is_kept() -> None:
    said = log(run(result(ruleId="B105", message={"text": "Possible hardcoded password: 'hunter2!x'"}), rules=[{"id": "B105",
        "name": "hardcoded_password_string", "properties": {"tags": ["external/cwe/cwe-259"]}}])).said[0]  # fmt: skip
    assert said.secret
    assert "hunter2" not in repr(said)
    assert log(run(result(ruleId="generic-api-key", message={"text": "hunter2!x"}), rules=[], name="gitleaks")).said[0].secret


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("./app/a%20b.py", "./app/a b.py"),
        ("file:///home/ci/w/app/db.py", "/home/ci/w/app/db.py"),
        ("file:/C:/work/app/db.py", "/work/app/db.py"),
        ("C:\\work\\app\\db.py", "/work/app/db.py"),
        ("app\\db.py", "app/db.py"),
    ],
)
def test_places_are_read_as_tools_write_them(uri: str, path: str) -> None:
    assert log(run(result(uri))).said[0].uri == path


def test_bases_and_artifacts_are_followed() -> None:
    bases = {"SRC": {"uri": "sub/", "uriBaseId": "ROOT"}, "ROOT": {"uri": "file:///w/repo/"}}
    one = result()
    one["locations"][0]["physicalLocation"]["artifactLocation"] = {"index": 0}
    (said,) = log(run(one, artifacts=[{"location": {"uri": "db.py", "uriBaseId": "SRC"}}], originalUriBaseIds=bases)).said
    assert said.uri == "/w/repo/sub/db.py"


def test_what_its_own_file_lets_stand_is_counted_and_not_taken() -> None:
    stands = result(suppressions=[{"kind": "inSource"}])
    asked = result(suppressions=[{"kind": "external", "status": "underReview"}])
    gone, passed = result(baselineState="absent"), result(kind="pass")
    read = log(run(stands, asked, gone, passed))
    assert (len(read.said), read.suppressed, read.left) == (1, 1, ())


def test_results_that_say_nothing_usable_are_counted() -> None:
    broken = [result(line=0), result(line=10**9), result("https://elsewhere/x.py"), {"ruleId": "B608"}, result("")]
    read = log(run(result(), *broken, None, 7))  # type: ignore[arg-type]
    assert len(read.said) == 1
    assert read.left == (("Bandit", "results that name no file and line", 7),)


def test_at_most_so_many_results_are_taken_and_the_rest_is_counted() -> None:
    read = log(run(*[result()] * (MAX_RESULTS + 3)))
    assert len(read.said) == MAX_RESULTS
    assert read.left == (("Bandit", "beyond the first 25,000 results of the file", 3),)


def test_commits_are_read_by_run() -> None:
    named = run(versionControlProvenance=[{"repositoryUri": "https://x/y", "revisionId": "ABCDEF0123"}])
    assert log(named, run()).commits == (frozenset({"abcdef0123"}),)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff\xfe{\x00}", "is not UTF-8"),
        (b"<xml/>", "is not JSON"),
        (b"[" * 200_000, "is not JSON"),
        (b"9" * 5_000, "is not JSON"),
        (b"[]", "it has no runs"),
        (b'{"version": "2.1.0"}', "it has no runs"),
        (b'{"version": "2.1.0", "runs": []}', "has no run"),
        (b'{"version": "1.0.0", "runs": []}', "of another version"),
        (b'{"version": "2.1.0", "runs": [' + b"{}," * 20 + b"{}]}", "21 runs; at most 20"),
        (b" " * (MAX_BYTES + 1), "larger than 50 MB"),
    ],
    ids=["utf-16", "xml", "deep", "number", "list", "no runs", "empty", "version", "many runs", "large"],
)
def test_what_is_no_sarif_file_is_refused_with_a_clear_line(content: bytes, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read_log(content, "other.sarif")
