"""Fixed programs are run: what honest input does stays the same, and the attack that worked before does not any more."""

from __future__ import annotations

import io
import shutil
import sqlite3
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy
import yaml

from pipeline.fixers.javascript import FIXER as JAVASCRIPT
from pipeline.fixers.python import FIXER as PYTHON
from pipeline.ports import Fixer
from tests.unit.fixers.cases import Files, dedent, finding, location

ATTACK = "x' OR '1' = '1"


def fixed(fixer: Fixer, rule: str, text: str, at: str, path: str) -> str:
    """The text after the fix."""
    patch = fixer.fix(finding(rule, location(path, text, at)), Files({path: text.encode()}))
    assert patch is not None, "the fixer left it alone"
    return (patch.edits[0].after or b"").decode()


def load(text: str, name: str) -> Callable[..., object]:
    """A function of a program."""
    space: dict[str, object] = {}
    exec(compile(text, "program.py", "exec"), space)  # noqa: S102 - our own text, which is what is under test
    function = space[name]
    assert callable(function)
    return function


SQL = {
    "an f-string": """
        import sqlite3
        def find(cur, name):
            return cur.execute(f"SELECT name FROM users WHERE name = '{name}' ORDER BY id").fetchall()
        """,
    "percent formatting": """
        import sqlite3
        def find(cur, name):
            return cur.execute("SELECT name FROM users WHERE name = '%s' AND 1 < %d" % (name, 2)).fetchall()
        """,
    "str.format": """
        import sqlite3
        def find(cur, name):
            return cur.execute("SELECT name FROM users WHERE name = '{0}' OR '{{' = '{0}'".format(name)).fetchall()
        """,
    "a sum": """
        import sqlite3
        def find(cur, name):
            query = ("SELECT name FROM users "
                     "WHERE name = '" + name + "' "
                     "AND id > " + str(0))
            return cur.execute(query).fetchall()
        """,
    "LIKE": """
        import sqlite3
        def find(cur, name):
            return cur.execute(f"SELECT name FROM users WHERE name LIKE '%{name}%' AND name <> '100%'").fetchall()
        """,
    "double quotes": """
        import sqlite3
        def find(cur, name):
            return cur.execute("SELECT name FROM users WHERE name = '" + name + "' AND 'a' = 'a'").fetchall()
        """,
    "branches": """
        import sqlite3
        def find(cur, name):
            query = "SELECT name FROM users WHERE 1 = 1"
            if name:
                query += f" AND name = '{name}'"
            for extra in (0, -1):
                query += " AND id > %d" % extra
            return cur.execute(query).fetchall()
        """,
    "several statements": """
        import sqlite3
        def find(cur, name):
            query = "SELECT name FROM users WHERE name = '"
            query += name
            query += "'"
            return cur.execute(query).fetchall()
        """,
    "parameters that are there already": """
        import sqlite3
        def find(cur, name):
            return cur.execute(f"SELECT name FROM users WHERE id > ? AND name = '{name}' AND id < ?", (0, 99)).fetchall()
        """,
    "parameters in a variable": """
        import sqlite3
        def find(cur, name):
            bounds = [0, 99]
            return cur.execute(f"SELECT name FROM users WHERE name = '{name}' AND id > ? AND id < ?", bounds).fetchall()
        """,
}


def _database() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE users (id INTEGER, name TEXT)")
    connection.executemany("INSERT INTO users VALUES (?, ?)", [(1, "ada"), (2, "bob"), (3, "o%r")])
    connection.commit()
    return connection


@pytest.mark.parametrize("text", SQL.values(), ids=SQL.keys())
def test_a_bound_query_answers_the_same_and_cannot_be_injected(text: str) -> None:
    before = dedent(text)
    after = fixed(PYTHON, "python.sql-injection", before, "execute", "app.py")
    connection = _database()
    try:
        for name in ("ada", "bob", "nobody", "o%r", ""):
            assert load(after, "find")(connection, name) == load(before, "find")(connection, name)
        attack = ATTACK if "LIKE" not in before else "x%' OR 1 OR '' = '"
        assert load(before, "find")(connection, attack) != []
        assert load(after, "find")(connection, attack) == []
    finally:
        connection.close()


@pytest.mark.parametrize(
    "call",
    [
        "connection.execute(text(f\"SELECT name FROM users WHERE name = '{name}' AND id > {0}\"))",
        "connection.execute(text(\"SELECT name FROM users WHERE name = '%s' AND id > :low\" % name), {'low': 0})",
        "connection.execute(select(column('name')).select_from(table('users')).where(text(f\"name = '{name}'\")))",
    ],
)
def test_a_bound_sqlalchemy_text_answers_the_same(call: str) -> None:
    before = f"from sqlalchemy import column, select, table, text\ndef find(connection, name):\n    return {call}.all()\n"
    after = fixed(PYTHON, "python.sql-injection", before, "text(f" if "text(f" in before else 'text("', "app.py")
    engine = sqlalchemy.create_engine("sqlite://", creator=_database)
    with engine.connect() as connection:
        assert load(after, "find")(connection, "ada") == load(before, "find")(connection, "ada") == [("ada",)]
        assert load(before, "find")(connection, ATTACK) != []
        assert load(after, "find")(connection, ATTACK) == []
    engine.dispose()


COMMANDS = {
    "os.popen": """
        import os
        def show(word):
            return os.popen(f"printf %s {word}").read()
        """,
    "check_output": """
        import subprocess
        def show(word):
            return subprocess.check_output("printf '<%%s>' %s" % word, shell=True, text=True)
        """,
    "getoutput": """
        import subprocess
        def show(word):
            return subprocess.getoutput("printf %s " + word)
        """,
    "a variable": """
        import subprocess
        def show(word):
            command = f"echo one {word}"
            return subprocess.run(command, shell=True, capture_output=True, text=True).stdout
        """,
    "quotes": """
        import subprocess
        def show(word):
            return subprocess.check_output(f'echo "a {word}" --x={word}', shell=True, text=True)
        """,
    "a pipe": """
        import subprocess
        def show(word):
            return subprocess.check_output(f"printf %s '{word}' | tr a b", shell=True, text=True)
        """,
    "sh -c": """
        import subprocess
        def show(word):
            return subprocess.check_output(["sh", "-c", f"echo {word}"], text=True)
        """,
    "a coroutine": """
        import asyncio
        async def run(word):
            process = await asyncio.create_subprocess_shell(f"echo {word}", stdout=asyncio.subprocess.PIPE)
            return (await process.communicate())[0].decode()
        def show(word):
            return asyncio.run(run(word))
        """,
}
_AT = {"os.popen": "os.popen", "a variable": "subprocess.run", "getoutput": "subprocess.getoutput", "a coroutine": "asyncio.create"}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")  # os.popen as people use it
@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_without_a_shell_says_the_same_and_runs_nothing_else(name: str) -> None:
    before = dedent(COMMANDS[name])
    after = fixed(PYTHON, "python.command-injection", before, _AT.get(name, "subprocess.check_output"), "app.py")
    assert load(after, "show")("banana") == load(before, "show")("banana")
    attack = "'; echo in''jected; '" if name == "a pipe" else 'x"; echo in""jected; : "' if name == "quotes" else "x; echo in''jected"
    assert "injected" in str(load(before, "show")(attack))
    assert "injected" not in str(load(after, "show")(attack))


def test_the_exit_code_of_os_system_is_still_true_or_false() -> None:
    before = 'import os\ndef works(name):\n    return os.system(f"test -e {name}") == 0\n'
    after = fixed(PYTHON, "python.command-injection", before, "os.system", "app.py")
    works = load(after, "works")
    assert works("/") is True
    assert works("/does/not/exist") is False
    assert works("/ -o -e /") is False


def test_the_safe_loader_makes_no_objects() -> None:
    before = "import yaml\ndef read(text):\n    return yaml.load(text, Loader=yaml.UnsafeLoader)\n"
    read = load(fixed(PYTHON, "python.unsafe-yaml", before, "yaml.load", "app.py"), "read")
    assert read("{a: [1, 2]}") == {"a": [1, 2]}
    with pytest.raises(yaml.YAMLError):
        read("!!python/object/apply:os.getcwd []")


@pytest.mark.skipif(not hasattr(tarfile, "data_filter"), reason="this Python has no extraction filters: they came with 3.11.4")
def test_a_tar_archive_cannot_write_outside(tmp_path: Path) -> None:
    archive = tmp_path / "a.tar"
    with tarfile.open(archive, "w") as out:
        for name in ("inside.txt", "../outside.txt"):
            member = tarfile.TarInfo(name)
            member.size = 2
            out.addfile(member, io.BytesIO(b"ok"))
    before = "import tarfile\ndef unpack(path, target):\n    with tarfile.open(path) as tar:\n        tar.extractall(target)\n"
    unpack = load(fixed(PYTHON, "python.archive-path-traversal", before, "extractall", "app.py"), "unpack")
    with pytest.raises(tarfile.FilterError):
        unpack(archive, tmp_path / "target")
    assert (tmp_path / "target/inside.txt").read_bytes() == b"ok"
    assert not (tmp_path / "outside.txt").exists()


def test_a_member_that_is_written_by_hand_cannot_leave_the_folder(tmp_path: Path) -> None:
    archive, target = tmp_path / "a.zip", tmp_path / "target"
    target.mkdir()
    with zipfile.ZipFile(archive, "w") as out:
        out.writestr("inside.txt", "ok")
        out.writestr("../outside.txt", "ok")
    before = dedent(
        """
        import os
        import zipfile
        def unpack(path, target):
            with zipfile.ZipFile(path) as archive:
                for name in archive.namelist():
                    place = os.path.join(target, name)
                    with open(place, "wb") as out:
                        out.write(archive.read(name))
        """
    )
    unpack = load(fixed(PYTHON, "python.archive-path-traversal", before, "open(place", "app.py"), "unpack")
    with pytest.raises(ValueError, match=r"\.\./outside\.txt would be written outside"):
        unpack(archive, target)
    assert (target / "inside.txt").read_text() == "ok"
    assert not (tmp_path / "outside.txt").exists()


@pytest.mark.parametrize(
    ("expression", "alphabet", "length"),
    [
        ('"".join(random.choice("abc") for _ in range(40))', "abc", 40),
        ('"".join(random.choices("abc", k=40))', "abc", 40),
        ('f"{random.randint(0, 9):06d}"', "0123456789", 6),
        ("str(random.randint(100000, 999999))", "0123456789", 6),
        ('"%032x" % random.getrandbits(128)', "0123456789abcdef", 32),
        ('"".join(random.sample("abcdefgh", 8))', "abcdefgh", 8),
    ],
)
def test_a_token_keeps_its_form(expression: str, alphabet: str, length: int) -> None:
    before = f"import random\ndef token():\n    return {expression}\n"
    token = load(fixed(PYTHON, "python.insecure-random-token", before, "random.", "app.py").replace("\r", ""), "token")
    values = [str(token()) for _ in range(20)]
    assert all(len(value) == length and set(value) <= set(alphabet) for value in values)
    assert len(set(values)) > 1


def _node(tmp_path: Path, program: str, *arguments: str) -> str:
    """What a JavaScript program prints."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    (tmp_path / "app.js").write_text(program)
    done = subprocess.run([node, "app.js", *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout


@pytest.mark.parametrize(
    "call",
    [
        "execSync(`echo one ${process.argv[2]}`)",
        "execSync('echo --name=\"' + process.argv[2] + '\"', { encoding: 'utf8' })",
    ],
)
def test_a_script_without_a_shell_says_the_same_and_runs_nothing_else(tmp_path: Path, call: str) -> None:
    before = f"const {{ execSync }} = require('child_process');\nconsole.log({call}.toString());\n"
    after = fixed(JAVASCRIPT, "javascript.command-injection", before, "execSync(", "app.js")
    assert _node(tmp_path, after, "banana") == _node(tmp_path, before, "banana")
    attack = 'x"; echo in""jected; : "' if "--name" in call else "x; echo in''jected"
    assert "injected" in _node(tmp_path, before, attack)
    assert "injected" not in _node(tmp_path, after, attack)


@pytest.mark.parametrize(
    ("expression", "pattern"),
    [
        ("Math.random().toString(36).slice(2)", "^[0-9a-f]{32}$"),
        ("Math.floor(100000 + Math.random() * 900000)", "^[1-9][0-9]{5}$"),
        ("Math.round(Math.random() * 9)", "^[0-9]$"),
        ("'abc'.charAt(Math.floor(Math.random() * 'abc'.length))", "^[abc]$"),
        ("'id_' + Math.random()", "^id_[0-9a-f]{8}-"),
        ("'xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx'.replace(/[xy]/g, (c) => Math.random() * 16 | 0)", "^[0-9a-f]{8}-[0-9a-f]{4}-4"),
    ],
)
def test_a_token_of_a_script_is_made(tmp_path: Path, expression: str, pattern: str) -> None:
    after = fixed(JAVASCRIPT, "javascript.insecure-random-token", f"const token = {expression};\n", "Math.random()", "app.js")
    check = f"{after}if (!/{pattern}/.test(String(token))) throw new Error(String(token));\nconsole.log('ok');\n"
    assert "Math.random" not in after
    assert _node(tmp_path, check) == "ok\n"
