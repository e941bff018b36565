"""What a change brings along never changes what is found in it: the same rules, lines and handles with and without each way to silence us.

Real engines, through the server's stages and through `fixwright scan --base`. Each variant has a store of its own, so that no result of
another comes out of the cache.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bot.cli.folders import policy_places
from bot.settings import engines_dir
from pipeline.model.finding import BaselineState, Standing
from pipeline.model.review import Conclusion, Verdict
from pipeline.stages.examine import RunControl
from pipeline.stages.folder import available_scanners, judge_folder
from tests.engines import needs_engines
from tests.harness import Bench, LocalRepo, git
from tests.hostile import sampled

pytestmark = [needs_engines, pytest.mark.slow]

_KEY = "AKIA" + "Q3EGZ7WJ" + "T5LX2K7M"

PYTHON, SCRIPT, SECRET = "app/db.py", "web/run.js", "config/keys.py"
BASE = {
    PYTHON: b"import sqlite3\n\n\ndef connect():\n    return sqlite3.connect('members.db')\n",
    SCRIPT: b"module.exports = {}\n",
    SECRET: b'BUCKET = "members"\n',
    "README.md": b"Members\n",
}
BAD = {
    PYTHON: BASE[PYTHON]
    + b"""

def find(request):
    name = request.args["name"]
    return connect().execute(f"SELECT id FROM members WHERE name = '{name}'").fetchall()
""",
    SCRIPT: b"""const { exec } = require("child_process")

module.exports = (req, res) => {
  exec("ls " + req.query.folder, (error, listed) => res.send(listed))
}
""",
    SECRET: BASE[SECRET] + f'AWS_ACCESS_KEY_ID = "{_KEY}"\n'.encode(),
}
BAD_LINES = {PYTHON: b".execute(f", SCRIPT: b"exec(", SECRET: b"AWS_ACCESS"}
EXPECTED = {
    ("python.sql-injection", PYTHON, 10),
    ("javascript.command-injection", SCRIPT, 4),
    ("secrets.aws-access-key", SECRET, 2),
}

Place = tuple[str, str, int, str | None]
"""Rule, path, line, handle."""


@dataclass(frozen=True)
class Variant:
    """A way to hide what is bad."""

    beside: Mapping[str, bytes] = field(default_factory=dict)
    """Files that the change adds, by names as Python has them (surrogates for bytes that are no UTF-8)."""
    links: Mapping[str, str] = field(default_factory=dict)
    """Symbolic links that it adds, and where to."""
    edit: Callable[[str, bytes], bytes] = lambda _, content: content
    """The bad files' contents by their paths."""
    copies: Mapping[str, str] = field(default_factory=dict)
    """Further names of bad files, and which one each is a copy of."""
    shift: int = 0
    """Lines by which bad lines have moved down."""
    handles: bool = True
    """False when the text of the line itself differs, by which a secret is recognised."""
    mode: str = "100644"
    """git's, of the bad files."""


def _on_the_line(python: str, script: str, secret: str = "") -> Variant:
    """A comment at the end of each bad line."""
    words = {PYTHON: python, SCRIPT: script, SECRET: secret or python}

    def edit(path: str, content: bytes) -> bytes:
        lines = content.split(b"\n")
        return b"\n".join(line + f"  {words[path]}".encode() if BAD_LINES[path] in line else line for line in lines)

    return Variant(edit=edit, handles=False)


def _above_the_line(python: str, script: str) -> Variant:
    words = {PYTHON: python, SCRIPT: script, SECRET: python}

    def edit(path: str, content: bytes) -> bytes:
        lines = content.split(b"\n")
        return b"\n".join(words[path].encode() + b"\n" + line if BAD_LINES[path] in line else line for line in lines)

    return Variant(edit=edit, shift=1)


_POLICY = b"gate:\n  block: never\npaths:\n  exclude: ['**']\nengines:\n  required: [secrets_scan]\non_incomplete: warn\n"
_IGNORE_ALL = b"ignore:\n  - {path: '**', reason: all is well, until: 2999-12-31}\nscopes: {all: {paths: ['**'], block: never}}\n"
_ALLOW_ALL = b"[extend]\nuseDefault = true\n[allowlist]\npaths = ['''.*''']\nregexes = ['''.*''']\n[[rules]]\nid = 'x'\nregex = '''x'''\n"

_NO_RULES = b"""rules:
  - {id: python.sql-injection, languages: [python], severity: INFO, message: none, pattern: this_is_nowhere()}
  - {id: javascript.command-injection, languages: [js], severity: INFO, message: none, pattern: this_is_nowhere()}
"""
_BASELINE = (
    b'{"version": "1.5.0", "results": {"config/keys.py": [{"type": "AWS Access Key", "filename": "config/keys.py", '
    b'"hashed_secret": "0", "is_secret": false, "line_number": 2}]}, "filters_used": [{"path": "x", "pattern": [".*"]}]}\n'
)

_ODD_NAMES = (
    "app/d\nb.py",
    "app/d\udcffb.py",
    "-db.py",
    "--config=x.py",
    "app\\db.py",
    "app/\u202eyp.bd.py",
    " db .py",
    "app/\x1b[2Jdb.py",
    "app/DB.py",
    "app/" + "d" * 240 + ".py",
    "fixwright-names/000003.py",
    "fixwright-version-1/app/db.py",
    "node_modules/tests/vendor/db.min.py",
    ".semgrepignore/db.py",
)

VARIANTS = {
    "lists of what to ignore": Variant(
        {
            ".semgrepignore": b"*\n",
            "app/.semgrepignore": b"*\n:include ../.gitignore\n",
            ".gitignore": b"*\n",
            "config/.gitignore": b"*\n!.gitignore\n",
            ".ignore": b"*\n",
            ".rgignore": b"*\n",
            ".gitleaksignore": f"{SECRET}:aws-access-token:2\n{SECRET}:aws-access-key:2\n*\n".encode(),
            ".betterleaksignore": f"{SECRET}:aws-access-token:2\n*\n".encode(),
        }
    ),
    "lists in other letters": Variant({".SemgrepIgnore": b"*\n", ".GitIgnore": b"*\n", ".GitleaksIgnore": b"*\n"}),
    "configuration of the engines": Variant(
        {
            ".gitleaks.toml": _ALLOW_ALL,
            "config/.gitleaks.toml": _ALLOW_ALL,
            ".betterleaks.toml": _ALLOW_ALL,
            "betterleaks.toml": _ALLOW_ALL,
            "config/.betterleaks.toml": _ALLOW_ALL,
            ".semgrep.yml": b"rules: []\n",
            "semgrep.yml": b"rules: []\n",
            ".semgrep/settings.yml": b"{}\n",
            "pyproject.toml": b"[tool.semgrep]\nexclude = ['*']\n",
        }
    ),
    "rules of the same names that find nothing": Variant(
        {
            ".semgrep/rules.yml": _NO_RULES,
            ".semgrep.yaml": _NO_RULES,
            "rules/python.sql-injection.yml": _NO_RULES,
            "pipeline/rules/python/sql-injection.yml": _NO_RULES,
        }
    ),
    "baselines and lists of other tools": Variant(
        {
            ".secrets.baseline": _BASELINE,
            ".trufflehogignore": b".*\n",
            ".trufflehog.yml": b"exclude: ['.*']\n",
            ".gitguardian.yaml": b"secret: {ignored_paths: ['**']}\n",
            ".kingfisher.yml": b"rules: []\n",
            ".snyk": b"exclude: {global: ['**']}\n",
            ".bandit": b"[bandit]\nexclude: /\nskips: B608\n",
            ".eslintignore": b"*\n",
            ".dockerignore": b"*\n",
            ".npmignore": b"*\n",
            "sonar-project.properties": b"sonar.exclusions=**\n",
        }
    ),
    "sections for tools": Variant(
        {
            "setup.cfg": b"[flake8]\nexclude = *\n[semgrep]\nexclude = *\n[bandit]\nexclude = /\n",
            "tox.ini": b"[semgrep]\nexclude = *\n[betterleaks]\nexclude = *\n",
            "package.json": b'{"semgrep": {"exclude": ["*"]}, "betterleaks": {"exclude": ["*"]}, "eslintConfig": {"root": true}}\n',
            ".editorconfig": b"root = true\n[*]\ncharset = utf-16le\nend_of_line = cr\n",
            ".vscode/settings.json": b'{"files.exclude": {"**": true}}\n',
            ".env": b"SEMGREP_RULES=none\nBETTERLEAKS_CONFIG=x\nFIXWRIGHT_ENGINE_SECONDS=0\n",
            ".pre-commit-config.yaml": b"exclude: '.*'\n",
        }
    ),
    "executable files": Variant(mode="100755"),
    "attributes that hide differences": Variant({".gitattributes": b"* -diff filter=hide diff=hide merge=hide -text\n"}),
    "attributes of binary files": Variant({".gitattributes": b"* binary\n"}),
    "attributes of archives": Variant({".gitattributes": b"* export-ignore export-subst ident linguist-vendored linguist-generated\n"}),
    "attributes of encodings": Variant(
        {"app/.gitattributes": b"* working-tree-encoding=UTF-16\n", ".lfsconfig": b"[lfs]\nfetchexclude=*\n"}
    ),
    "an own policy": Variant({".github/fixwright.yml": _POLICY, ".fixwright.yml": _POLICY}),
    "an own policy that cannot be read": Variant({".fixwright.yml": b"{{{\n"}),
    "folders named like ours": Variant(
        {f"fixwright-version-{n}/{PYTHON}": BASE[PYTHON] for n in (1, 2, 3)} | {f"fixwright-names/00000{n}.py": b"x = 1\n" for n in (1, 2)}
    ),
    "files in the place of our folders": Variant({"fixwright-version-1": b"x\n", "fixwright-names": b"x\n"}),
    "symbolic links": Variant(
        links={
            "app/aa.py": "db.py",
            "config/zz.py": "keys.py",
            "app2": "app",
            "app/__init__.py": "/etc/passwd",
            "web/root": "/",
            "config/loop": "loop",
        }
    ),
    "nosemgrep": _on_the_line("# nosemgrep", "// nosemgrep"),
    "nosemgrep with rules": _on_the_line(
        "# nosemgrep: python.sql-injection, secrets.aws-access-key", "// nosemgrep: javascript.command-injection"
    ),
    "nosemgrep in other letters": _on_the_line("#NOSEMGREP:*", "/* NoSemgrep */"),
    "nosem": _on_the_line("# nosem", "// nosem"),
    "nosemgrep above": _above_the_line("# nosemgrep", "// nosemgrep"),
    "nosemgrep with rules above": _above_the_line("# nosemgrep: python.sql-injection", "/* nosemgrep: javascript.command-injection */"),
    "gitleaks:allow": _on_the_line("# gitleaks:allow", "// gitleaks:allow"),
    "betterleaks:allow": _on_the_line("# betterleaks:allow", "// betterleaks:allow"),
    "gitleaks:allow above": _above_the_line("# gitleaks:allow betterleaks:allow", "// gitleaks:allow betterleaks:allow"),
    "markers of other tools": _on_the_line(
        "# nosec # noqa: S608 # NOSONAR", "// eslint-disable-line // NOSONAR", "# pragma: allowlist secret # trufflehog:ignore # nosec"
    ),
    "our own comment": _on_the_line(
        "# fixwright: ignore[python.sql-injection] only constants",
        "// fixwright: ignore[javascript.command-injection] only constants",
        "# fixwright: ignore[secrets.aws-access-key] an example",
    ),
    "our own comment above": _above_the_line(
        "# fixwright: ignore[python.sql-injection, secrets.aws-access-key] only constants",
        "/* fixwright: ignore[javascript.command-injection] only constants */",
    ),
    "an own policy that ignores": Variant(
        {".github/fixwright.yml": _IGNORE_ALL, ".fixwright.yml": _IGNORE_ALL, "fixwright.yml": _IGNORE_ALL}
    ),
    "odd names": Variant(
        copies=dict.fromkeys(_ODD_NAMES, PYTHON)
        | dict.fromkeys(("node_modules/package-lock.json", "vendor/keys.svg", "-keys.py", "dist/go.sum"), SECRET)
    ),
    "CRLF": Variant(edit=lambda _, content: content.replace(b"\n", b"\r\n")),
    "a byte order mark": Variant(edit=lambda _, content: b"\xef\xbb\xbf" + content),
    "bytes that are no UTF-8": Variant(edit=lambda path, content: content + (b"// \xff\n" if path == SCRIPT else b"# \xff\xfe\n")),
    "lines as long as a bundler's": _on_the_line("# " + "long " * 400, "// " + "long " * 400),
    "no newline at the end": Variant(edit=lambda _, content: content.rstrip(b"\n")),
}


def _everything() -> Variant:
    """All files of all variants beside the bad ones, and all comments on their lines."""
    beside = {name: content for key, variant in VARIANTS.items() for name, content in variant.beside.items() if key != _IN_PLACE}
    said = "nosemgrep nosem: python.sql-injection gitleaks:allow betterleaks:allow nosec noqa NOSONAR pragma: allowlist secret"
    both = _on_the_line(
        f"# {said} # fixwright: ignore[python.sql-injection, secrets.aws-access-key] fine", f"// {said} // eslint-disable-line"
    )
    return Variant(beside, VARIANTS["symbolic links"].links, both.edit, handles=False, mode="100755")


_IN_PLACE = "files in the place of our folders"
"""Cannot be beside folders of those names."""
EVERYTHING = "everything at once"
VARIANTS[EVERYTHING] = _everything()

MADE_FOR = {
    "semgrep": ("lists of what to ignore", "configuration of the engines", "nosemgrep", "rules of the same names that find nothing"),
    "betterleaks": ("lists of what to ignore", "configuration of the engines", "gitleaks:allow", "baselines and lists of other tools"),
}
"""Of each engine, the ways to silence it that it is known for. A new engine needs its row, and a bad file among BAD."""


def _repository(folder: Path, variant: Variant) -> LocalRepo:
    repo = LocalRepo(folder)
    _write(repo, BASE)
    git(repo.folder, "commit", "--quiet", "--message", "base")
    git(repo.folder, "checkout", "--quiet", "-b", "feature")
    copies = {name: BAD[original] for name, original in variant.copies.items()}
    _write(repo, {path: variant.edit(path, content) for path, content in BAD.items()}, variant.mode)
    _write(repo, {**copies, **variant.beside})
    for name, target in variant.links.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(target)
        git(repo.folder, "add", "--force", "--", name)
    git(repo.folder, "commit", "--quiet", "--message", "change")
    return repo


def _write(repo: LocalRepo, files: Mapping[str, bytes], mode: str = "100644") -> None:
    for name, content in files.items():
        place = repo.folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        # Without attributes of the work tree: the blob must hold exactly these bytes.
        blob = git(repo.folder, "hash-object", "-w", "--no-filters", "--", os.fspath(place))
        git(repo.folder, "update-index", "--add", "--cacheinfo", f"{mode},{blob},{name}")


def _by_the_server(tmp_path: Path, repo: LocalRepo) -> Verdict:
    bench = Bench(tmp_path)
    bench.use(fixers=[])
    ref = bench.review(repo, "feature")
    with bench.app.database.read() as work:
        review = work.reviews.newest(ref)
        assert review is not None
        verdict = work.reviews.verdict(review.id)
    bench.close()
    return verdict


def _by_the_command_line(repo: LocalRepo) -> Verdict:
    return judge_folder(repo.folder, "main", None, RunControl(engines_dir(), lambda: True), policy_places()).verdict


def _places(verdict: Verdict) -> set[Place]:
    new = [judged.finding for judged in verdict.judged if judged.baseline is BaselineState.NEW]
    return {(finding.rule.id, finding.location.path, finding.location.line, finding.handle) for finding in new}


def _expected(plain: set[Place], variant: Variant) -> set[Place]:
    """What is found without the variant, where the variant has put it."""
    copied = {
        (rule, name, line, handle) for name, original in variant.copies.items() for rule, path, line, handle in plain if path == original
    }
    return {(rule, path, line + variant.shift, handle) for rule, path, line, handle in plain} | copied


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> set[Place]:
    """What is found when nothing is hidden."""
    folder = tmp_path_factory.mktemp("plain")
    repo = _repository(folder / "repository", Variant())
    found = _places(_by_the_server(folder, repo))
    assert {place[:3] for place in found} == EXPECTED
    return found


def test_every_engine_has_its_ways_and_something_to_find(plain: set[Place], tmp_path: Path) -> None:
    engines = {scanner.name for scanner in available_scanners(None).values()}
    assert set(MADE_FOR) == engines
    assert all(set(ways) <= set(VARIANTS) for ways in MADE_FOR.values())
    verdict = _by_the_command_line(_repository(tmp_path / "repository", Variant()))
    assert {judged.finding.engine for judged in verdict.judged} == engines


@pytest.mark.parametrize("name", sampled(VARIANTS, 8, always=[EVERYTHING, "lists of what to ignore", "configuration of the engines"]))
def test_what_a_change_brings_along_hides_nothing(tmp_path: Path, name: str, plain: set[Place]) -> None:
    variant = VARIANTS[name]
    repo = _repository(tmp_path / "repository", variant)
    for verdict in (_by_the_server(tmp_path, repo), _by_the_command_line(repo)):
        found, expected = _places(verdict), _expected(plain, variant)
        assert {place[:3] for place in found} == {place[:3] for place in expected}
        if variant.handles:
            assert found == expected
        assert verdict.conclusion is Conclusion.FAILURE
        assert verdict.incomplete == ""


ENCODINGS = {"UTF-16 with its mark": "utf-16", "UTF-16": "utf-16-le", "UTF-32": "utf-32", "UTF-7": "utf-7", "EBCDIC": "cp500"}


@pytest.mark.parametrize("name", sampled(ENCODINGS, 1, always=["UTF-16 with its mark"]))
def test_another_encoding_is_found_in_or_not_green(tmp_path: Path, name: str) -> None:
    """What no engine can read as text may hide something: then the check says that it could not be checked."""
    variant = Variant(edit=lambda _, content: content.decode().encode(ENCODINGS[name]))
    repo = _repository(tmp_path / "repository", variant)
    for verdict in (_by_the_server(tmp_path, repo), _by_the_command_line(repo)):
        assert verdict.conclusion is Conclusion.FAILURE
        if name == "UTF-16 with its mark":
            assert ("secrets.aws-access-key", SECRET, 2) in {place[:3] for place in _places(verdict)}


def test_a_file_that_is_renamed_and_made_bad_is_found_under_its_new_name(tmp_path: Path) -> None:
    repo = LocalRepo(tmp_path / "repository")
    repo.commit(dict(BASE))
    moved = {f"vendor/tests/{Path(path).name}": content for path, content in BAD.items()}
    repo.commit({**dict.fromkeys(BAD), **moved}, branch="feature")
    for verdict in (_by_the_server(tmp_path, repo), _by_the_command_line(repo)):
        expected = {(rule, f"vendor/tests/{Path(path).name}", line) for rule, path, line in EXPECTED}
        assert {place[:3] for place in _places(verdict)} == expected


def test_a_change_that_only_makes_a_file_executable_brings_nothing(tmp_path: Path) -> None:
    repo = LocalRepo(tmp_path / "repository")
    repo.commit(BAD)
    git(repo.folder, "checkout", "--quiet", "-b", "feature")
    git(repo.folder, "update-index", "--chmod=+x", "--", *BAD)
    git(repo.folder, "commit", "--quiet", "--message", "modes")
    git(repo.folder, "checkout", "--quiet", "--force", "feature")
    for verdict in (_by_the_server(tmp_path, repo), _by_the_command_line(repo)):
        assert (_places(verdict), verdict.incomplete) == (set(), "")


def test_what_is_taken_out_and_put_back_is_the_base_s(tmp_path: Path) -> None:
    repo = LocalRepo(tmp_path / "repository")
    repo.commit(BAD)
    repo.commit({SECRET: BASE[SECRET]}, branch="feature")
    repo.commit({SECRET: BAD[SECRET], "new.txt": "x\n"})
    for verdict in (_by_the_server(tmp_path, repo), _by_the_command_line(repo)):
        assert (_places(verdict), verdict.incomplete) == (set(), "")


@pytest.mark.parametrize("comment", ["# nosemgrep", "# nosemgrep: python.sql-injection", "# nosem"])
def test_a_comment_on_an_older_finding_does_not_mend_it(tmp_path: Path, comment: str) -> None:
    repo = LocalRepo(tmp_path / "repository")
    repo.commit(BAD)
    lines = BAD[PYTHON].split(b"\n")
    changed = b"\n".join(line + f"  {comment}".encode() if BAD_LINES[PYTHON] in line else line for line in lines)
    repo.commit({PYTHON: changed}, branch="feature")
    for verdict in (_by_the_server(tmp_path, repo), _by_the_command_line(repo)):
        assert (verdict.fixed, verdict.incomplete) == ((), "")
        assert verdict.older == sum(path == PYTHON for _, path, _ in EXPECTED)


def test_what_the_base_lets_stand_does_not_cover_what_a_change_brings(tmp_path: Path) -> None:
    """A comment of the base, moved by the change to the line that it brings, and one whose line it makes dangerous."""
    comment = b"    # fixwright: ignore[python.sql-injection] only constants\n"
    line = b"    return connect().execute(f\"SELECT id FROM members WHERE name = '{name}'\").fetchall()\n"
    head = BASE[PYTHON] + b"\n\ndef find(request):\n"
    safe, taken = b"    name = 'ada'\n", b'    name = request.args["name"]\n'
    repo = LocalRepo(tmp_path / "repository")
    repo.commit({PYTHON: head + safe + comment + line})
    repo.commit({PYTHON: head + taken + comment + line}, branch="feature")
    for verdict in (_by_the_server(tmp_path, repo), _by_the_command_line(repo)):
        assert {place[:3] for place in _places(verdict)} == {("python.sql-injection", PYTHON, 11)}
        assert verdict.conclusion is Conclusion.FAILURE


def test_a_scan_of_everything_shows_what_a_comment_of_the_base_lets_stand(tmp_path: Path) -> None:
    lines = BAD[PYTHON].split(b"\n")
    marked = b"\n".join(
        line + b"  # fixwright: ignore[python.sql-injection] only constants" if BAD_LINES[PYTHON] in line else line for line in lines
    )
    repo = LocalRepo(tmp_path / "repository")
    repo.commit({PYTHON: marked, SCRIPT: BAD[SCRIPT]})
    verdict = judge_folder(repo.folder, None, None, RunControl(engines_dir(), lambda: True), policy_places()).verdict
    stands = {judged.finding.rule.id: (judged.standing, judged.reason) for judged in verdict.judged}
    assert stands == {
        "python.sql-injection": (Standing.WAIVED, "only constants"),
        "javascript.command-injection": (Standing.BLOCKS, ""),
    }
