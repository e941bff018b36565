"""What every fixer promises, whatever it mends: run on all that are discovered."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pipeline.fixers
from pipeline.model.finding import Confidence, Finding, Location, Rule, Severity
from pipeline.plugins import discover
from pipeline.ports import Fixer
from pipeline.rulebook import load
from tests.unit.fixers.cases import WITHOUT_FIXER

FIXERS = list(discover(pipeline.fixers, "FIXER", Fixer).values())
RULES = [*(rule for rule in load().rules if rule not in WITHOUT_FIXER), "secrets.aws-access-key"]
PATHS = [
    "app.py",
    "app.js",
    "app.ts",
    "app.tsx",
    "app.go",
    ".env",
    "docker-compose.yml",
    "run.sh",
    "notes.txt",
    ".github/workflows/ci.yml",
    "Dockerfile",
]
# what the rewrites look for, so that random texts reach them
WORDS = [
    *(
        "cursor.execute(",
        "db.query(",
        "f\"SELECT * FROM t WHERE a = '{x}'\"",
        "`SELECT ${x}`",
        "'",
        '"',
        "`",
        "{",
        "}",
        "(",
        ")",
        "%s",
        " % x",
        " + x",
    ),
    *(
        "import sqlite3\n",
        "import os\n",
        "const { exec } = require('child_process');\n",
        "os.system(",
        "exec(",
        '"ls " + x',
        "shell=True",
        ", ",
        "\n",
    ),
    *(
        "    ",
        "def f(x):\n",
        "if x:\n",
        "query = ",
        "query += ",
        "yaml.load(",
        "verify=False",
        "InsecureSkipVerify: true",
        "tls.Config{",
        'import _ "github.com/lib/pq"\n',
        'db.Query(fmt.Sprintf("SELECT * FROM t WHERE a = %s", x))',
        "random.choice(",
        "Math.random()",
        ".toString(36)",
    ),
    *(
        "el.innerHTML = ",
        "tar.extractall(",
        "app.run(debug=True)",
        "API_KEY=",
        "rejectUnauthorized: false",
        "é",
        "\r\n",
        "\\",
        "#",
        "//",
        "=",
        "[",
        "]",
    ),
]


class Files:
    """A repository of one file."""

    def __init__(self, path: str, content: bytes) -> None:
        self.path, self.content = path, content

    def read(self, path: str) -> bytes | None:
        return self.content if path == self.path else None

    def paths(self) -> Sequence[str]:
        return [self.path]


def _finding(rule_id: str, path: str, line: int = 1, column: int = 1, end_column: int = 1) -> Finding:
    rule = Rule(rule_id, "title", "message", Severity.HIGH, Confidence.HIGH, 1)
    return Finding(rule, Location(path, line, line, column, end_column), "v1:" + "0" * 32, "semgrep")


NAMES = {
    "dockerfile": "rewrite-dockerfile",
    "go": "rewrite-go",
    "javascript": "rewrite-javascript",
    "python": "rewrite-python",
    "secrets": "secret",
    "workflow": "rewrite-workflow",
}
"""By the first part of a rule's id."""


def test_every_rule_that_can_be_mended_has_the_fixer_of_its_language() -> None:
    assert {rule: [fixer.name for fixer in FIXERS if fixer.answers(rule)] for rule in RULES} == {
        rule: [NAMES[rule.split(".")[0]]] for rule in RULES
    }


@pytest.mark.parametrize("fixer", FIXERS, ids=lambda fixer: fixer.name)
def test_an_unknown_rule_is_not_answered(fixer: Fixer) -> None:
    assert not fixer.answers("python.no-such-rule")
    assert fixer.fix(_finding("python.no-such-rule", "a.py"), Files("a.py", b"x = 1\n")) is None


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("fixer", FIXERS, ids=lambda fixer: fixer.name)
def test_a_missing_or_unreadable_file_is_left_alone(fixer: Fixer, rule: str) -> None:
    for path in PATHS:
        for content in (b"", b"\0\0", b"\xff\xfe\x00", b"x" * 2_000_000, b"\xef\xbb\xbf"):
            assert fixer.fix(_finding(rule, path), Files("other", content)) is None
            assert fixer.fix(_finding(rule, path, 10**9), Files(path, content)) is None
            assert fixer.fix(_finding(rule, path), Files(path, content)) is None


@pytest.mark.parametrize(
    "content",
    [
        b"x = " + b"(" * 30_000 + b")" * 30_000,
        b"x = " + b"[" * 5_000 + b"]" * 5_000,
        b"x = " + b"1+" * 20_000 + b"1\n",
        b"os.system('a' + x" + b" + 'b' + x" * 2_000 + b")\n",
        b"import sqlite3\n" + b"db = db\n" * 1_500 + b"db.execute('SELECT 1 FROM t WHERE a = ' + x)\n",
        b"import tarfile\n" + b"t = t\n" * 1_500 + b"t.extractall()\n",
        b"import sqlite3\nc.execute(f'SELECT " + b"{x}" * 3_000 + b"')\n",
        b"db.query(`" + b"${x}" * 3_000 + b"`)\n",
        b"os.system(f'ls {" + b"(" * 120 + b"x" + b")" * 120 + b"}')\n",
        b"exec('ls ' + " + b"!" * 20_000 + b"x)\n",
        b"API_KEY=" + b"a" * 100_000 + b" " * 100_000 + b"!\n",
        b"os.system('ls ' + x." + b"a." * 30_000 + b"b)\n",
        b"jobs: {a: " + b"[" * 50_000 + b"]" * 50_000 + b"}\n",
        b"a: &a [x, x]\n"
        + b"".join(b"b%d: &b%d [*%s, *%s]\n" % (n, n, m, m) for n, m in [(0, b"a"), *((n, b"b%d" % (n - 1)) for n in range(1, 40))]),
        b"jobs:\n a:\n  steps:\n  - run: |\n" + b"     echo ${{ github.head_ref }} $(\n" * 3_000,
        b"package a\nvar x = " + b"T{InsecureSkipVerify: true, A: " * 3_000 + b"}" * 3_000 + b"\n",
        b'package a\n\nimport _ "github.com/lib/pq"\n\nfunc f(n string) { db.Query("SELECT \'"' + b" + n" * 3_000 + b") }\n",
        b"FROM a\nRUN curl " + b"x \\\n" * 5_000 + b" -k\n",
    ],
    ids=lambda content: repr(content[:24]),
)
@pytest.mark.timeout(60)
def test_hostile_text_ends_soon_and_without_an_exception(content: bytes) -> None:
    last = content.count(b"\n") or 1
    paths = {
        "python": ["app.py"],
        "javascript": ["app.js"],
        "secrets": ["app.py", "app.js", ".env"],
        "workflow": [".github/workflows/ci.yml"],
        "dockerfile": ["Dockerfile"],
        "go": ["app.go"],
    }
    for rule in RULES:
        for path in paths[rule.split(".")[0]]:
            for fixer in FIXERS:
                if fixer.answers(rule):
                    fixer.fix(_finding(rule, path, last), Files(path, content))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from(WORDS), max_size=25), st.sampled_from(RULES), st.sampled_from(PATHS), st.integers(1, 6), st.integers(1, 40))
def test_any_text_gives_a_well_formed_patch_or_none(words: list[str], rule: str, path: str, line: int, column: int) -> None:
    content = "".join(words).encode()
    for fixer in FIXERS:
        patch = fixer.fix(_finding(rule, path, line, column, column + 5), Files(path, content))
        if patch is None:
            continue
        assert patch.edits[0].path == path
        assert patch.edits[0].before == content
        assert patch.edits[0].after not in (None, content)
        assert patch.fixer == fixer.name
        assert 0 < len(patch.title) <= 60
        assert patch == fixer.fix(_finding(rule, path, line, column, column + 5), Files(path, content))


def _place(rule: str, line: int, text: str) -> tuple[int, int, int]:
    """Line and columns of a finding; a fixer of Dockerfiles is told them to the character."""
    found = re.search(r"\b(curl|wget|apt-get).*?\s(--\w[\w-]*ted|--insecure|--no-[\w-]+|-\w*k)(?=\s)", text)
    return (line, found.start() + 1, found.end() + 1) if rule.startswith("dockerfile") and found else (line, 1, 1)


FEWER = {
    "javascript.sql-injection": 4,  # the example names no driver: only what says its own way to bind can be mended
    "javascript.path-traversal": 4,  # what Express sends; how a file that is read otherwise is named within a folder, nobody can tell
}
"""Bad examples that have a patch at least, where it is fewer than two of three."""

EXAMPLES = Path(__file__).parents[2] / "pipeline" / "rules"


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*/*.bad.*")), ids=lambda path: path.name)
def test_most_bad_examples_of_a_rule_can_be_mended(path: Path) -> None:
    rule = f"{path.parent.name}.{path.name.split('.')[0]}"
    if rule in WITHOUT_FIXER:
        return
    content, name = path.read_bytes(), f".github/workflows/{path.name}" if rule.startswith("workflow") else path.name
    lines = [n for n, line in enumerate(content.decode().split("\n"), start=1) if f"expect: {rule}" in line]
    fixer = next(fixer for fixer in FIXERS if fixer.answers(rule))
    files = Files(name, content)
    places = [_place(rule, line, content.decode().split("\n")[line - 1]) for line in lines]
    patches = [fixer.fix(_finding(rule, name, *place), files) for place in places]
    mended = [patch for patch in patches if patch is not None]
    assert len(mended) >= FEWER.get(rule, len(lines) * 2 / 3)
    for patch in mended:
        if path.suffix == ".py":
            ast.parse(patch.edits[0].after or b"")
