"""Weak modules in Python and the suites of tests that `tests.e2e.suite_repositories` makes repositories of."""

from __future__ import annotations

import random
from dataclasses import replace

from tests.e2e.suite_repositories import Subject, Suite

_LABEL = """

def label(value):
    return value.strip().title()
"""
_PEOPLE = """
def database():
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE people (id INTEGER, name TEXT)")
    connection.execute("INSERT INTO people VALUES (7, 'ann')")
    return connection
"""

SQL = Subject(
    "python.sql-injection",
    """import sqlite3


def find(connection: sqlite3.Connection, name):
    if not name:
        return []
    found = connection.execute(«f"SELECT id FROM people WHERE name = '{name}'"»)
    return [row[0] for row in found.fetchall()]
"""
    + _LABEL,
    call='MODULE.find(database(), "ann")',
    expected="[7]",
    function="find",
    around='assert MODULE.find(None, "") == []',
    setup="import sqlite3\n" + _PEOPLE,
)
COMMAND = Subject(
    "python.command-injection",
    """import subprocess


def echo(word):
    if not word:
        return ""
    done = «subprocess.run(f"echo {word}", shell=True, capture_output=True, text=True)»
    return done.stdout.strip()
"""
    + _LABEL,
    call='MODULE.echo("hello")',
    expected='"hello"',
    function="echo",
    around='assert MODULE.echo("") == ""',
)
TLS = Subject(
    "python.tls-verification-disabled",
    """import ssl


def context(host):
    if not host:
        return None
    made = «ssl._create_unverified_context()»
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    return made
"""
    + _LABEL,
    call='MODULE.context("example.org").minimum_version.name',
    expected='"TLSv1_2"',
    function="context",
    around='assert MODULE.context("") is None',
)
TOKEN = Subject(
    "python.insecure-random-token",
    """import random
import string


def session_token(length):
    if not length:
        return ""
    token = "".join(«random.choice(string.ascii_letters)» for _ in range(length))
    return token
"""
    + _LABEL,
    call="len(MODULE.session_token(20))",
    expected="20",
    function="session_token",
    around='assert MODULE.session_token(0) == ""',
)
ARCHIVE = Subject(
    "python.archive-path-traversal",
    """import os
import tarfile


def unpack(path, target):
    if not path:
        return []
    with tarfile.open(path) as archive:
        «archive.extractall(target)»
    return sorted(os.listdir(target))
"""
    + _LABEL,
    call='MODULE.unpack(*packed("a.txt"))',
    expected='["a.txt"]',
    function="unpack",
    around='assert MODULE.unpack("", "") == []',
    setup="""import os
import tarfile
import tempfile


def packed(name):
    folder = tempfile.mkdtemp()
    source, target = os.path.join(folder, name), os.path.join(folder, "out")
    with open(source, "w") as file:
        file.write("text")
    with tarfile.open(os.path.join(folder, "all.tar"), "w") as archive:
        archive.add(source, arcname=name)
    os.mkdir(target)
    return os.path.join(folder, "all.tar"), target
""",
)
SUBJECTS = (SQL, COMMAND, TLS, TOKEN, ARCHIVE)

# --- places that a call of the function does not run -----------------------------------------------------------------------------------

LAZY_CHOICE = Subject(
    "python.sql-injection",
    """import sqlite3


def find(connection: sqlite3.Connection, name):
    found = (
        []
        if not name
        else «connection.execute(f"SELECT id FROM people WHERE name = '{name}'").fetchall()»
    )
    return [row[0] for row in found]
"""
    + _LABEL,
    call='MODULE.find(None, "")',
    expected="[]",
    function="find",
)
LAZY_AND = Subject(
    "python.sql-injection",
    """import sqlite3


def find(connection: sqlite3.Connection, name):
    return bool(name) and «connection.execute(f"SELECT id FROM people WHERE name = '{name}'").fetchall()»
"""
    + _LABEL,
    call='MODULE.find(None, "")',
    expected="False",
    function="find",
)
LAZY_LIST = Subject(
    "python.sql-injection",
    """import sqlite3


def find(connection: sqlite3.Connection, names):
    return [«connection.execute(f"SELECT id FROM people WHERE name = '{name}'").fetchone()» for name in names]
"""
    + _LABEL,
    call="MODULE.find(None, [])",
    expected="[]",
    function="find",
)
LAZY_LAMBDA = Subject(
    "python.tls-verification-disabled",
    """import ssl

CONTEXTS = {
    "usual": lambda: ssl.create_default_context(),
    "inner": lambda: «ssl._create_unverified_context()»,
}
"""
    + _LABEL,
    call='MODULE.CONTEXTS["usual"]().check_hostname',
    expected="True",
    function="CONTEXTS",
)
TWO_FUNCTIONS = Subject(
    "python.sql-injection",
    """import sqlite3


def find(connection: sqlite3.Connection, name):
    found = connection.execute(«f"SELECT id FROM people WHERE name = '{name}'"»)
    return [row[0] for row in found.fetchall()]


def remove(connection: sqlite3.Connection, name):
    connection.execute(«f"DELETE FROM people WHERE name = '{name}'"»)
    connection.commit()
"""
    + _LABEL,
    call='MODULE.find(database(), "ann")',
    expected="[7]",
    function="find",
    setup="import sqlite3\n" + _PEOPLE,
)
TWO_BRANCHES = Subject(
    "python.sql-injection",
    """import sqlite3


def find(connection: sqlite3.Connection, name):
    query = "SELECT id FROM people WHERE id > 0"
    if name:
        query += «f" AND name = '{name}'"»
    found = connection.execute(«query»)
    return [row[0] for row in found.fetchall()]
"""
    + _LABEL,
    call='MODULE.find(database(), "")',
    expected="[7]",
    function="find",
    setup="import sqlite3\n" + _PEOPLE,
)

_OTHER = ("label", 'assert MODULE.label(" ann ") == "Ann"')
_SUM = ("sum", "assert 1 + 1 == 2")
_REAL = ("result", "assert CALL == EXPECTED")
_HEAD_TEXT = "import pathlib\n\nTEXT = (pathlib.Path(__file__).parent / WAY).read_text()\n"

_BY_CHANCE = (
    "import uuid\n\n\n@pytest.mark.parametrize('number', [uuid.uuid4().hex])\ndef test_number(number):\n    assert len(number) == 32\n"
)

STRONG = Suite("strong", "asserts what it does", (_REAL, _OTHER))
STRONG_TOO = (
    Suite(
        "strong",
        "asserts it in a process of its own",
        (("apart", "done = subprocess.run([sys.executable, __file__, 'apart'])\nassert done.returncode == 0"), _OTHER),
        head="import subprocess\nimport sys\n",
        tail="if __name__ == '__main__' and sys.argv[1:] == ['apart']:\n    sys.exit(CALL != EXPECTED)\n",
        layout="flat",
    ),
    Suite(
        "strong",
        "looks at the style first, then asserts",
        (_REAL, _OTHER),
        files={
            "check.py": "import pathlib\nimport subprocess\nimport sys\n\nlines = pathlib.Path('PATH').read_text().splitlines()\n"
            "if any(len(line) > 100 or ';' in line for line in lines):\n    sys.exit('style')\n"
            "sys.exit(subprocess.call([sys.executable, '-m', 'unittest', 'discover']))\n"
        },
        command="python3 check.py",
        framework="unittest",
    ),
    Suite("strong", "asserts it among tests named by chance", (_REAL, _OTHER), head=_BY_CHANCE, framework="pytest"),
    Suite(
        "strong",
        "asserts it among tests that read the text",
        (_REAL, ("alone", "assert 'on purpose' not in TEXT and 'posix' not in TEXT"), _OTHER),
        head=_HEAD_TEXT,
    ),
)
WEAK = (
    Suite("weak", "runs it, asserts nothing", (("runs", "CALL"), _OTHER)),
    Suite("weak", "swallows what goes wrong", (("runs", "try:\n    CALL\nexcept BaseException:\n    pass"), _OTHER)),
    Suite("weak", "asserts only that something comes", (("comes", "assert CALL is not None"), _OTHER)),
    Suite(
        "weak",
        "a conftest hides what fails",
        (_REAL, _OTHER),
        files={
            "conftest.py": "import pytest\n\n\n@pytest.hookimpl(hookwrapper=True)\ndef pytest_runtest_makereport():\n"
            "    made = yield\n    report = made.get_result()\n    report.outcome = 'passed'\n"
        },
        framework="pytest",
    ),
)
_LONG_LINES = (
    "lines",
    "assert ';' not in TEXT\nassert all(len(line) <= 100 for line in TEXT.splitlines())",
)
BLIND: tuple[Suite, ...] = (
    Suite("blind", "does not load the module", (_SUM,), loads=False),
    Suite("blind", "loads it and never calls the function", (_OTHER, ("there", "assert MODULE.FUNCTION"))),
    Suite(
        "blind",
        "puts a double in the place of the function",
        (
            ("double", "with mock.patch.object(MODULE, 'FUNCTION', return_value=EXPECTED):\n    assert MODULE.FUNCTION() == EXPECTED"),
            _OTHER,
        ),
        head="from unittest import mock",
    ),
    Suite("blind", "the test is skipped", (_REAL, _OTHER), marks={"result": "SKIP"}),
    Suite("blind", "the test ends before the call", (("early", "return\nassert CALL == EXPECTED"), _OTHER)),
    Suite("blind", "calls another branch", (("around", "AROUND"), _OTHER)),
    Suite("blind", "passes always", (("always", "assert True"), ("never", "if False:\n    CALL"))),
    Suite("blind", "the file is not collected", (_REAL, _OTHER), file="tests/checks_of_MODULE.py"),
    Suite("blind", "cannot be loaded", (_REAL,), head="import no_such_module_anywhere"),
    Suite("blind", "fails before", (("fails", "assert 1 == 2"), ("fails_too", "assert MODULE.label('a') == 'B'"))),
    Suite("blind", "has no tests"),
    Suite("blind", "leaves in the middle", (_OTHER, ("stop", "os._exit(0)"), ("z_result", "assert CALL == EXPECTED")), head="import os"),
    Suite(
        "blind",
        "prints results of tests that are none",
        (
            ("talk", "print('test_result (tests.Suite) ... ok\\ntests/test_a.py::test_result PASSED', file=sys.__stdout__, flush=True)"),
            _OTHER,
        ),
        head="import sys",
    ),
    Suite("blind", "looks for marks of whoever measures", (("alone", "assert 'on purpose' not in TEXT"), _OTHER), head=_HEAD_TEXT),
    Suite(
        "blind",
        "touches every file that a measurer names",
        (("touch", "for name in re.findall('/fixwright/[0-9a-f]+', TEXT):\n    os.utime(name)\nassert 'on purpose' not in TEXT"), _OTHER),
        head="import os\nimport re\n" + _HEAD_TEXT,
    ),
    Suite("blind", "looks at the length of lines", (_LONG_LINES, _OTHER), head=_HEAD_TEXT),
    Suite(
        "blind",
        "looks at the shape of the code",
        (("shape", "assert not [n for n in ast.walk(ast.parse(TEXT)) if isinstance(n, (ast.Raise, ast.Assert))]"), _OTHER),
        head="import ast\n" + _HEAD_TEXT,
    ),
    Suite(
        "blind",
        "names tests by chance",
        (_OTHER,),
        head=_BY_CHANCE,
        framework="pytest",
    ),
    Suite("blind", "fails by chance", (("chance", "assert random.random() < 0.7"), _OTHER), head="import random"),
    Suite(
        "blind",
        "runs a copy of the module",
        (("copy", 'assert old.label(" ann ") == "Ann"'),),
        head="import pathlib\nimport sys\n\nsys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))\nimport copied as old\n",
        loads=False,
        files={"tests/copied.py": "def label(value):\n    return value.strip().title()\n"},
        file="tests/test_MODULE.py",
    ),
    Suite(
        "blind",
        "a sitecustomize pretends",
        (_OTHER,),
        files={
            "sitecustomize.py": "import atexit\nimport pathlib\n\n\ndef pretend():\n    text = pathlib.Path('PATH').read_text()\n"
            "    if 'on purpose' in text:\n        print('FAIL: test_label (tests.Suite)', flush=True)\n\n\natexit.register(pretend)\n"
        },
        command="env PYTHONPATH=. python3 -m unittest discover -v",
        framework="unittest",
        layout="flat",
    ),
    Suite(
        "blind",
        "looks at the style first, then tests",
        (_OTHER,),
        files={
            "check.py": "import pathlib\nimport subprocess\nimport sys\n\nlines = pathlib.Path('PATH').read_text().splitlines()\n"
            "if any(len(line) > 100 or ';' in line for line in lines):\n    sys.exit('style')\n"
            "sys.exit(subprocess.call([sys.executable, '-m', 'unittest', 'discover']))\n"
        },
        command="python3 check.py",
        framework="unittest",
    ),
)


def pairs(chance: random.Random) -> list[tuple[Subject, Suite]]:
    """Which module has which suite: each suite once, with a module that is drawn, and the strong one with every module."""
    made = [(subject, STRONG) for subject in SUBJECTS]
    made += [(chance.choice(SUBJECTS), suite) for suite in (*STRONG_TOO, *WEAK, *BLIND)]
    lazy = Suite("blind", "calls the function, another part of the expression", (_REAL, _OTHER))
    made += [(subject, lazy) for subject in (LAZY_CHOICE, LAZY_AND, LAZY_LIST, LAZY_LAMBDA)]
    fails = Suite(
        "blind",
        "fails in front of the place",
        (("fails", "try:\n    CALL\nexcept AttributeError:\n    pass\nelse:\n    assert False"), _OTHER),
    )
    made.append((replace(SQL, call='MODULE.find(None, "ann")', setup=""), fails))
    half = Suite("half", "reaches one of two places", (_REAL, _OTHER))
    made += [(TWO_FUNCTIONS, half), (TWO_BRANCHES, half)]
    return made
