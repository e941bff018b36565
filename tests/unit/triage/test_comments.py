"""Comments `fixwright: ignore[rule] reason`: what is one, of which line it speaks, and that nothing else silences a finding."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.finding import Confidence, Finding, Location, Rule, Severity, SuppressionKind
from pipeline.triage.comments import code_ignores, ignored_in_code

RULE = Rule("python.sql-injection", "Request data becomes SQL", "Anyone can.", Severity.HIGH, Confidence.HIGH, 89)


def at(path: str, line: int, end_line: int = 0, rule: str = RULE.id) -> Finding:
    return Finding(replace(RULE, id=rule), Location(path, line, end_line or line), f"v1:{line:032x}", "semgrep")


def reasons(path: str, content: str, *lines: int) -> list[str]:
    """What is said of a finding on each of these lines; empty where nothing is."""
    suppressed = ignored_in_code({path: content.encode()}.get)
    found = (suppressed(at(path, line)) for line in lines)
    return [suppression.reason if suppression else "" for suppression in found]


PYTHON = "import db\n\n# fixwright: ignore[python.sql-injection] constants only\ndb.run(QUERY)\ndb.run(OTHER)\n"


def test_a_comment_alone_speaks_of_the_next_line_and_of_no_other() -> None:
    assert reasons("app.py", PYTHON, 3, 4, 5) == ["", "constants only", ""]


def test_a_comment_behind_code_speaks_of_its_own_line() -> None:
    content = "db.run(A)  # fixwright: ignore[python.sql-injection] checked above\ndb.run(B)\n"
    assert reasons("app.py", content, 1, 2) == ["checked above", ""]


def test_comments_under_each_other_speak_of_the_code_below_them() -> None:
    content = "# fixwright: ignore[python.sql-injection] first\n# and more words\ndb.run(A)\n"
    assert reasons("app.py", content, 3) == ["first"]


def test_a_finding_of_several_lines_is_meant_by_a_comment_on_any_of_them_or_above_the_first() -> None:
    content = (
        "# fixwright: ignore[python.sql-injection] above\ndb.run(\n    A,\n    B,  # fixwright: ignore[python.sql-injection] inside\n)\n"
    )
    suppressed = ignored_in_code({"app.py": content.encode()}.get)
    found = suppressed(at("app.py", 2, 5))
    assert found is not None and found.reason == "above"
    inside = suppressed(at("app.py", 4, 5))
    assert inside is not None and inside.reason == "inside"
    assert suppressed(at("app.py", 3, 3)) is None


def test_a_suppression_says_where_the_comment_stands() -> None:
    found = ignored_in_code({"app.py": PYTHON.encode()}.get)(at("app.py", 4))
    assert found is not None
    assert (found.kind, found.by, found.until, found.expired) == (SuppressionKind.CODE, "app.py:3", None, False)


def test_one_comment_may_name_several_rules_and_no_other_rule_is_meant() -> None:
    content = b"# fixwright: ignore[python.sql-injection, python.unsafe-yaml] generated\ndb.run(A)\n"
    suppressed = ignored_in_code({"app.py": content}.get)
    assert suppressed(at("app.py", 2, rule="python.unsafe-yaml")) is not None
    assert suppressed(at("app.py", 2, rule="python.sql-injection")) is not None
    assert suppressed(at("app.py", 2, rule="python.sql")) is None
    assert suppressed(at("other.py", 2)) is None


@pytest.mark.parametrize(
    ("path", "content", "line"),
    [
        ("app.js", "run(q) // fixwright: ignore[python.sql-injection] why\n", 1),
        ("app.ts", "/* fixwright: ignore[python.sql-injection] why */\nrun(q)\n", 2),
        ("app.tsx", "run(q) /* fixwright: ignore[python.sql-injection] why */\n", 1),
        ("config.yml", "# fixwright: ignore[python.sql-injection] why\nkey: value\n", 2),
        ("page.html", "<!-- fixwright: ignore[python.sql-injection] why -->\n<a>\n", 2),
        ("a.sql", "-- fixwright: ignore[python.sql-injection] why\nselect 1;\n", 2),
        ("app.go", "  // fixwright: ignore[python.sql-injection] why\nrun()\n", 2),
        ("app.py", "#fixwright: ignore[python.sql-injection] why\r\nrun(q)\r\n", 2),
    ],
)
def test_each_language_has_its_comments(path: str, content: str, line: int) -> None:
    assert reasons(path, content, line) == ["why"]


@pytest.mark.parametrize(
    ("path", "content", "line"),
    [
        ("app.py", 'run(q, "# fixwright: ignore[python.sql-injection] why")\n', 1),
        ("app.py", 'text = """\n# fixwright: ignore[python.sql-injection] why\n"""; run(q)\n', 3),
        ("app.py", 'run(f"{q}# fixwright: ignore[python.sql-injection] why")\n', 1),
        ("app.js", "run(q + `// fixwright: ignore[python.sql-injection] why`)\n", 1),
        ("app.js", "run(q + '/* fixwright: ignore[python.sql-injection] why */')\n", 1),
        ("app.js", "/* fixwright: ignore[python.sql-injection] why\n*/ run(q)\n", 2),
        ("config.yml", 'key: "x # fixwright: ignore[python.sql-injection] why"\n', 1),
        ("app.py", "run(q)  # fixwright: ignore[python.sql-injection]\n", 1),
        ("app.py", "run(q)  # fixwright: ignore[python.sql-injection]   \n", 1),
        ("app.py", "run(q)  # fixwright: ignore[] why\n", 1),
        ("app.py", "run(q)  # fixwright: ignore why\n", 1),
        ("app.py", "run(q)  # fixwright: ignore[*] why\n", 1),
        ("app.py", "run(q)  # fixwright: ignore[.*] why\n", 1),
        ("app.py", "run(q)  # fixwright: ignore[python.other] why\n", 1),
        ("app.py", "run(q)  # fixwright: ignore[PYTHON.SQL-INJECTION] why\n", 1),
        ("app.py", "run(q)  # Fixwright: Ignore[python.sql-injection] why\n", 1),
        ("app.py", "run(q)  # see fixwright: ignore[python.sql-injection] why\n", 1),
        ("app.py", "run(q)  # \u0066\u0131xwright: ignore[python.sql-injection] why\n", 1),
        ("app.py", "run(q)  # fixwright: \u200bignore[python.sql-injection] why\n", 1),
        ("app.py", "run(q)  # fixwright: ignore[python.sql\u2010injection] why\n", 1),
        ("app.py", "run(q)  # fixwright: ignore[python.sql-injection\u202e] why\n", 1),
        ("app.py", "# fixwright: ignore[python.sql-injection] why\n\nrun(q)\n", 3),
        ("app.py", "run(q)\n# fixwright: ignore[python.sql-injection] why\n", 1),
        ("app.py", "run(q)  # fixwright:\n# ignore[python.sql-injection] why\n", 1),
    ],
)
def test_what_is_no_such_comment_lets_nothing_stand(path: str, content: str, line: int) -> None:
    assert reasons(path, content, line) == [""]


@given(st.sampled_from(["a.py", "a.js", "a.yml", "a.bin"]), st.binary(max_size=200))
def test_any_bytes_can_be_asked(path: str, content: bytes) -> None:
    found = code_ignores(path, content + b"\n# fixwright: ignore[a.b] x\n" + content)
    assert all(one.reason and one.rules for one in found)


def test_a_long_reason_is_cut() -> None:
    (found,) = code_ignores("a.py", b"# fixwright: ignore[a.b] " + b"x" * 5_000 + b"\nrun()\n")
    assert len(found.reason) == 500
