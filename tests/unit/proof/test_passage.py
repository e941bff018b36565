"""Where the values of a mended statement come from, and whether what it gives still arrives."""

from __future__ import annotations

import pytest

from pipeline.model.finding import Confidence, Finding, Location, Rule, Severity
from pipeline.model.fix import FileEdit, Patch
from pipeline.triage.proof import check_text

QUERY = """const { Client } = require("pg");
const client = new Client();
app.get("/users", async (req, res) => {
  const { name, city } = req.query;
  const found = await client.query(`SELECT id FROM users WHERE name = '${name}' AND city = '${city}'`);
  res.json(found.rows);
});
"""
BUILT = "`SELECT id FROM users WHERE name = '${name}' AND city = '${city}'`"
BOUND = '"SELECT id FROM users WHERE name = $1 AND city = $2"'
EXEC = """const { exec } = require("child_process");
app.get("/ping", (req, res) => {
  exec(`ping -c 1 ${req.query.host}`, { timeout: 1000 }, (error, out) => res.send(error ? "down" : out));
});
"""
RUN = """import subprocess


def ping(host):
    done = subprocess.run("ping -c 1 " + host + " > /tmp/out.txt", shell=True, check=False)
    return done.returncode
"""
SQLITE = """import sqlite3


def find(db, name):
    return db.execute(f"SELECT id FROM users WHERE name = '{name}'").fetchall()
"""
FLASK = """from flask import request


def find(db):
    name = request.args["name"]
    return db.execute(f"SELECT id FROM users WHERE name = '{name}'").fetchall()
"""
YAML = "import yaml\n\n\ndef read(text):\n    return yaml.load(text, Loader=yaml.Loader)\n"
TOKEN = "import random\nimport string\n\n\ndef token():\n    return ''.join(random.choice(string.ascii_letters) for _ in range(32))\n"
OPEN = """import os

ROOT = "/srv"


def read(name):
    return open(os.path.join(ROOT, name)).read()
"""
CHECKED = """    path = os.path.realpath(os.path.join(ROOT, name))
    {}
    return open(path).read()"""


def said(path: str, line: int, cwe: int, before: str, *changes: tuple[str, str], rule: str = "a.rule") -> str:
    after = before
    for old, new in changes:
        assert old in after
        after = after.replace(old, new)
    text = before.split("\n")[line - 1]
    place = Location(path, line, line, len(text) - len(text.lstrip()) + 1, len(text) + 1)
    finding = Finding(Rule(rule, "title", "message", Severity.HIGH, Confidence.HIGH, cwe), place, "v1:" + "0" * 32, "semgrep")
    patch = Patch((FileEdit(path, before.encode(), after.encode()),))
    return "; ".join(check.said for check in check_text(patch, finding) if not check.passed)


@pytest.mark.parametrize(
    "bound",
    [
        f"{BOUND}, [name, city]",
        f"{{ text: {BOUND}, values: [name, city] }}",
    ],
)
def test_a_statement_whose_values_are_bound_is_fine(bound: str) -> None:
    assert said("a.js", 5, 89, QUERY, (BUILT, bound)) == ""


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ([("await ", "")], "`query` is no longer waited for"),
        ([("found.rows", "found")], "`rows` of the result is no longer taken"),
        ([("{ name, city }", "{ name: city, city: name }")], "`city` is taken from `name` now"),
        ([("{ name, city }", '{ name = "admin", city }')], "`name` has a default now"),
        ([("req.query", "req.body")], "`city` is read from `body` of the request now, which was `query`"),
        ([("[name, city]", "name, city")], "bound to other places"),
        ([("$1", "?"), ("$2", "?")], "the placeholders are those of another driver"),
    ],
)
def test_what_comes_from_elsewhere_or_does_not_arrive_is_refused(changes: list[tuple[str, str]], why: str) -> None:
    assert why in said("a.js", 5, 89, QUERY, (BUILT, f"{BOUND}, [name, city]"), *changes)


FILE = [("{ exec }", "{ execFile }"), ("exec(`ping -c 1 ${req.query.host}`", 'execFile("ping", ["-c", "1", req.query.host]')]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ([], ""),
        ([("{ timeout: 1000 }", "{}")], "`timeout` is no longer given to `exec`"),
        ([("req.query.host", "req.body.host")], "`host` is read from `body` of the request now, which was `query`"),
    ],
)
def test_a_command_keeps_its_time_and_its_value(changes: list[tuple[str, str]], why: str) -> None:
    found = said("a.js", 3, 78, EXEC, *FILE, *changes)
    assert why in found if why else not found


LINE = '    done = subprocess.run("ping -c 1 " + host + " > /tmp/out.txt", shell=True, check=False)'
LIST = 'subprocess.run(["ping", "-c", "1", "--", host], stdout=out, check=False)'


@pytest.mark.parametrize(
    ("now", "why"),
    [
        (f'    with open("/tmp/out.txt", "w") as out:\n        done = {LIST}', ""),
        (f'    with open("/tmp/out2.txt", "w") as out:\n        done = {LIST}', "what went to `/tmp/out.txt` goes elsewhere"),
        ('    done = subprocess.run(["ping -c 1 " + host], check=False)', "is a whole command line in one word"),
    ],
)
def test_what_a_shell_did_is_done_by_the_program(now: str, why: str) -> None:
    found = said("a.py", 5, 78, RUN, (LINE, now))
    assert why in found if why else not found


@pytest.mark.parametrize(("mark", "fine"), [("?", True), ("%s", False), ("$1", False)])
def test_placeholders_are_those_of_the_driver(mark: str, fine: bool) -> None:
    found = said(
        "a.py", 5, 89, SQLITE, ("f\"SELECT id FROM users WHERE name = '{name}'\"", f'"SELECT id FROM users WHERE name = {mark}", (name,)')
    )
    assert ("the placeholders are those of another driver" in found) is not fine


def test_where_the_file_uses_such_placeholders_itself_they_are_right() -> None:
    also = SQLITE + '\n\ndef all(db, city):\n    return db.execute("SELECT id FROM users WHERE city = %s", (city,)).fetchall()\n'
    mended = '"SELECT id FROM users WHERE name = %s", (name,)'
    assert said("a.py", 5, 89, also, ("f\"SELECT id FROM users WHERE name = '{name}'\"", mended)) == ""


def test_the_driver_with_numbers_takes_its_values_one_by_one() -> None:
    before = SQLITE.replace("sqlite3", "asyncpg").replace("(db, name)", "(db, name, city)")
    before = before.replace("name = '{name}'", "name = '{name}' AND city = '{city}'")
    built = "f\"SELECT id FROM users WHERE name = '{name}' AND city = '{city}'\""
    asked = '"SELECT id FROM users WHERE name = $1 AND city = $2"'
    assert said("a.py", 5, 89, before, (built, f"{asked}, name, city")) == ""
    assert "bound to other places" in said("a.py", 5, 89, before, (built, f"{asked}, city, name"))


def test_a_form_is_not_the_query() -> None:
    bound = ("f\"SELECT id FROM users WHERE name = '{name}'\"", '"SELECT id FROM users WHERE name = ?", (name,)')
    assert said("a.py", 6, 89, FLASK, bound) == ""
    assert "`name` is read from `form` of the request now" in said(
        "a.py", 6, 89, FLASK, bound, ('request.args["name"]', 'request.form["name"]')
    )


@pytest.mark.parametrize(("check", "fine"), [("if not {}:\n        raise PermissionError(name)", True), ("assert {}", False)])
def test_an_assertion_keeps_nothing_out(check: str, fine: bool) -> None:
    inside = CHECKED.format(check.format("path.startswith(os.path.realpath(ROOT) + os.sep)"))
    found = said("a.py", 7, 22, OPEN, ("    return open(os.path.join(ROOT, name)).read()", inside))
    assert ("left out where Python runs with `-O`" in found) is not fine


def test_a_loader_of_texts_alone_is_another_one() -> None:
    loaded = [
        said("a.py", 5, 502, YAML, ("yaml.Loader", f"yaml.{loader}"), rule="python.unsafe-yaml") for loader in ("SafeLoader", "BaseLoader")
    ]
    assert loaded[0] == ""
    assert "`BaseLoader` gives texts" in loaded[1]


def test_letters_are_drawn_from_the_same_set() -> None:
    drawn = ("random.choice(string.ascii_letters)", "secrets.choice(string.{})")
    found = [
        said("a.py", 6, 338, TOKEN, ("import random", "import secrets"), (drawn[0], drawn[1].format(letters)))
        for letters in ("ascii_letters", "digits")
    ]
    assert found[0] == ""
    assert "`string.digits` is what is drawn from now" in found[1]
