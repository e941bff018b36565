"""Identity of findings across moves, renames and edits."""

from __future__ import annotations

import dataclasses

import pytest

from pipeline.model.finding import Confidence, Finding, Location, Rule, Secret, Severity
from pipeline.triage.fingerprint import EXCERPT_CHARACTERS, EXCERPT_LINES, fingerprint, identify, identify_secret

RULE = Rule("python.sql-injection", "Title", "Message.", Severity.HIGH, Confidence.HIGH, 89)


def at(line: int, end_line: int | None = None, path: str = "app/db.py", rule: Rule = RULE) -> Finding:
    return Finding(rule, Location(path, line, end_line or line), "", "semgrep")


SOURCE = b"import db\n\n\ndef find(name):\n    db.execute('x' + name)\n"


def test_a_fingerprint_is_versioned_and_has_128_bits() -> None:
    value = fingerprint("a.b", "f", "x = 1")
    assert value.startswith("v1:")
    assert len(value) == 3 + 32
    assert int(value[3:], 16) >= 0


def test_a_finding_is_given_scope_excerpt_and_identity() -> None:
    found = identify(at(5), SOURCE)
    assert found.scope == "find"
    assert found.excerpt == "    db.execute('x' + name)"
    assert found.fingerprint == fingerprint(RULE.id, "find", "db.execute('x' + name)")


@pytest.mark.parametrize(
    ("content", "line", "path"),
    [
        (b"# moved\n" * 40 + SOURCE, 45, "app/db.py"),
        (SOURCE, 5, "other/place.py"),
        (SOURCE.replace(b"    db", b"\t\tdb"), 5, "app/db.py"),
        (SOURCE.replace(b"'x' + name", b"'x'  +  name"), 5, "app/db.py"),
        (SOURCE.replace(b"\n", b"\r\n"), 5, "app/db.py"),
        (SOURCE.replace(b"import db", b"import db, os"), 5, "app/db.py"),
    ],
    ids=["moved", "renamed", "indented", "blanks", "line ends", "elsewhere edited"],
)
def test_identity_survives(content: bytes, line: int, path: str) -> None:
    assert identify(at(line, path=path), content).fingerprint == identify(at(5), SOURCE).fingerprint


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (SOURCE.replace(b"name)", b"title)"), RULE),
        (SOURCE.replace(b"def find", b"def load"), RULE),
        (SOURCE, dataclasses.replace(RULE, id="python.command-injection")),
    ],
    ids=["text", "scope", "rule"],
)
def test_identity_changes_with(content: bytes, rule: Rule) -> None:
    assert identify(at(5, rule=rule), content).fingerprint != identify(at(5), SOURCE).fingerprint


def test_a_scope_and_a_context_cannot_be_confused() -> None:
    assert fingerprint("r", "a", "b c") != fingerprint("r", "a b", "c")


def test_an_excerpt_is_bounded() -> None:
    many = b"\n".join(b"x" * 700 for _ in range(30))
    found = identify(at(1, 30), many)
    assert len(found.excerpt) == EXCERPT_CHARACTERS
    assert identify(at(1, 30), b"y\n" * 30).excerpt.count("\n") == EXCERPT_LINES - 1


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"x" * 10], ids=["empty", "binary", "short"])
@pytest.mark.parametrize("line", [1, 7, 100_000])
def test_a_location_outside_of_the_file_is_no_error(content: bytes, line: int) -> None:
    assert identify(at(line), content).fingerprint.startswith("v1:")


def test_a_path_that_is_no_unicode_is_no_error() -> None:
    assert identify(at(1, path="a\udcff.py"), b"x = 1").fingerprint.startswith("v1:")


def secret(line: int, end_line: int | None = None) -> Finding:
    return dataclasses.replace(at(line, end_line, "config.py"), secret=Secret("AWS access key", ""))


def test_a_secret_is_replaced_by_its_kind_everywhere() -> None:
    value = "AK" + "IA" + "QWERTYUIOPASDFGH"
    found = identify_secret(secret(1), f'KEY = "{value}"  # {value}\n'.encode(), value)
    assert value not in found.excerpt
    assert found.excerpt == 'KEY = "<AWS access key>"  # <AWS access key>'


def test_two_values_of_one_kind_at_one_place_have_one_identity() -> None:
    found = [identify_secret(secret(1), f'KEY = "{value}"'.encode(), value) for value in ("one" * 8, "two" * 9)]
    assert found[0].fingerprint == found[1].fingerprint


def test_a_secret_of_several_lines_is_replaced_also_when_indented() -> None:
    value = "-----BEGIN KEY-----\nMIIE" + "ow" * 20 + "\nAbC" + "de" * 20 + "\n-----END KEY-----"
    content = "key: |\n" + "\n".join("    " + line for line in value.split("\n"))
    found = identify_secret(secret(2, 5), content.encode(), value)
    assert not any(line in found.excerpt for line in value.split("\n"))
