"""Why a fixer leaves a place alone, where it can tell: in words of ours, with nothing of the file in them."""

from __future__ import annotations

import pytest

import pipeline.fixers
from pipeline.model.finding import Confidence, Finding, Location, Rule, Severity
from pipeline.plugins import discover
from pipeline.ports import Fixer, Reasoned
from pipeline.stages.ladder import NO_PATCH, why_none
from tests.unit.fixers.cases import TABLES, Files, finding, location, table

FIXERS = list(discover(pipeline.fixers, "FIXER", Fixer).values())

ROUTE = "from flask import request, render_template_string\n\n\ndef show(db, name):\n    x = request.args['x']\n"

ESCAPES = (
    "from flask import request\n\n\ndef escape(text):\n    return text\n\n\ndef show():\n"
    "    name = request.args['name']\n    return f'<b>{name}</b>'\n"
)


def why(rule: str, path: str, text: str, at: str, **others: str) -> str:
    """What is said behind the fact that there is no patch."""
    found, files = finding(rule, location(path, text, at)), Files({path: text.encode(), **{p: t.encode() for p, t in others.items()}})
    assert all(fixer.fix(found, files) is None for fixer in FIXERS if fixer.answers(rule))
    said = why_none(FIXERS, found, files)
    assert said.startswith(NO_PATCH)
    return said.removeprefix(NO_PATCH).removeprefix(": ")


@pytest.mark.parametrize(
    ("rule", "path", "text", "at", "said"),
    [
        (
            "python.sql-injection",
            "a.py",
            "def find(thing, name):\n    return thing.execute(f\"SELECT 1 FROM t WHERE n = '{name}'\")\n",
            "thing.execute",
            "the driver of this connection is not known here",
        ),
        (
            "python.sql-injection",
            "a.py",
            "import sqlite3\n\n\ndef find(db: sqlite3.Connection, name):\n    return db.execute(build(name))\n",
            "db.execute",
            "the text is put together where it cannot be followed",
        ),
        (
            "python.sql-injection",
            "a.py",
            'import sqlite3\n\n\ndef find(db: sqlite3.Connection, name):\n    return db.execute(f"SELECT 1 FROM {name}")\n',
            "db.execute",
            "not every part of the statement is certain to be a value that a driver can bind",
        ),
        (
            "workflow.unpinned-action",
            ".github/workflows/a.yml",
            "on: push\njobs:\n  a:\n    runs-on: x\n    steps:\n      - uses: someone/thing@v1\n",
            "uses",
            "which commit it is only the action's own host knows, and no workflow here names it",
        ),
        (
            "workflow.default-permissions",
            ".github/workflows/a.yml",
            "on: push\njobs:\n  a:\n    runs-on: x\n    steps:\n      - run: git push\n",
            "jobs",
            "a step does more than read, or it is not known what it does: which permissions it needs is for you to say",
        ),
        (
            "python.html-injection",
            "a.py",
            'from flask import request\n\n\ndef show():\n    return f"<b>{total}</b>"\n',
            "return",
            "which of the values comes from the request cannot be told from this function",
        ),
        (
            "python.template-injection",
            "a.py",
            ROUTE + "    return render_template_string(build(x))\n",
            "render_template_string(b",
            "the text is put together where it cannot be followed",
        ),
        (
            "python.unescaped-output",
            "a.py",
            'from markupsafe import Markup\n\n\ndef around(body_html):\n    return Markup(f"<div>{body_html}</div>")\n',
            "Markup(f",
            "one of the values may be markup already, which would be shown as text",
        ),
        (
            "javascript.sql-injection",
            "a.js",
            "function find(thing, name) {\n  return thing.query(`SELECT 1 FROM t WHERE n = '${name}'`);\n}\n",
            "thing.query",
            "the driver of this connection is not known here",
        ),
        (
            "javascript.path-traversal",
            "a.js",
            "app.get('/f', (req, res) => {\n  res.sendFile(req.query.name);\n});\n",
            "res.sendFile",
            "no folder is named that the file must lie in",
        ),
        (
            "python.flask-debug",
            "a.py",
            "app.run(debug=True\n",
            "app.run",
            "the file is too large, nested too deep, or not the Python that is known here",
        ),
        ("python.flask-debug", "a.py", "app.run()\n", "app.run", ""),
        (
            "javascript.sql-injection",
            "a.js",
            "async function find(db, name) {\n  return db.$queryRawUnsafe(build(name));\n}\n",
            "db.$query",
            "",
        ),
        (
            "python.html-injection",
            "a.py",
            ESCAPES,
            "return f'",
            "the name `escape` is taken in this file by something else",
        ),
        (
            "python.insecure-cookie",
            "a.py",
            "def log_in(answer, name, token):\n    answer.set_cookie(name, token)\n",
            "answer.set",
            "the name of the cookie is not written here, so that nobody can tell whether a script reads it",
        ),
        (
            "python.insecure-cookie",
            "a.py",
            'def log_in(answer, token, flags):\n    answer.set_cookie("session_id", token, **flags)\n',
            "answer.set",
            "options that are not written here may hold the flags already",
        ),
        (
            "python.insecure-cookie",
            "a.py",
            'def log_in(answer, token):\n    answer.set_cookie("a", token, secure=True, httponly=True, samesite="Lax")\n',
            "answer.set",
            "",
        ),
    ],
)
def test_the_reason_is_said_where_it_is_known(rule: str, path: str, text: str, at: str, said: str) -> None:
    assert why(rule, path, text, at) == said


def test_a_cookie_that_a_script_reads_is_left_alone_and_that_is_said() -> None:
    text = 'def log_in(answer, token):\n    answer.set_cookie("session_id", token)\n'
    page = "<script>getCookie('session_id')</script>"
    assert why("python.insecure-cookie", "a.py", text, "answer.set", **{"page.html": page}).startswith("a script of this repository reads")


@pytest.mark.parametrize("rule", sorted(path.stem for path in TABLES.glob("*.txt")))
def test_no_reason_holds_anything_of_the_file(rule: str) -> None:
    said = set()
    for case in table(rule):
        if case.after is None:
            files = Files({path: content.encode() for path, content in {case.path: case.before, **case.files}.items()})
            said.add(why_none(FIXERS, finding(rule, location(case.path, case.before, case.at)), files))
    known = {why_none(FIXERS, _elsewhere(rule), Files({"a.py": b"x = 1\n", "a.js": b"x = 1\n"}))} | said
    assert all(text == NO_PATCH or (text.startswith(f"{NO_PATCH}: ") and len(text) < 200 and "\n" not in text) for text in known)


def test_a_fixer_that_cannot_tell_says_nothing_and_one_without_rules_is_not_asked() -> None:
    assert any(isinstance(fixer, Reasoned) for fixer in FIXERS)
    assert why_none(FIXERS, _elsewhere("python.no-such-rule"), Files({})) == NO_PATCH


def _elsewhere(rule: str) -> Finding:
    return Finding(Rule(rule, "title", "message", Severity.HIGH, Confidence.HIGH, 1), Location("a.py", 1, 1), "v1:" + "0" * 32, "semgrep")
