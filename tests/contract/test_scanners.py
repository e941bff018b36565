"""One suite for every scanner: what is bad is found, what is good is not, and nothing in a tree silences or breaks it."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path

import pytest

import pipeline.scanners
from pipeline.engines import environment_dir
from pipeline.errors import EngineCrashed, EngineError, EngineGarbage, EngineMissing, EngineTimedOut
from pipeline.model.finding import Confidence, Severity
from pipeline.model.scan import GapClass, ScanRequest, ScanType
from pipeline.plugins import discover
from pipeline.ports import Scanner
from tests.contract.scanning import World, installed, look, tree

SCANNERS = discover(pipeline.scanners, "SCANNER", Scanner)
every_scanner = pytest.mark.parametrize("scanner", SCANNERS.values(), ids=list(SCANNERS))
pytestmark = pytest.mark.engines

AWS = "AK" + "IA" + "Q3EGWX5RTYUOPLKJ"
BAD: Mapping[ScanType, str] = {
    ScanType.SECRETS: f'region = "eu-west-1"\nkey = "{AWS}"\n',
    ScanType.SEMGREP: 'def find(db, name):\n    return db.execute("SELECT * FROM users WHERE name = \'" + name + "\'")\n',
}
"""The second line is the bad one; a line comment can stand at its end."""
GOOD: Mapping[ScanType, str] = {
    ScanType.SECRETS: 'import os\nkey = os.environ["AWS_ACCESS_KEY_ID"]\nexample = "AKIA' + 'IOSFODNN7EXAMPLE"\n',
    ScanType.SEMGREP: 'def find(db, name):\n    return db.execute("SELECT * FROM users WHERE name = ?", (name,))\n',
}
PROGRAM = {ScanType.SECRETS: "betterleaks", ScanType.SEMGREP: "osemgrep"}


def test_the_scanners_of_this_version_are_there() -> None:
    assert {scanner.scan_type for scanner in SCANNERS.values()} == {ScanType.SECRETS, ScanType.SEMGREP}


@every_scanner
def test_known_bad_is_found_and_described_whole(scanner: Scanner, tmp_path: Path) -> None:
    seen = look(scanner, tmp_path / "tree", {"app/db.py": BAD[scanner.scan_type]})
    (finding,) = seen.findings
    assert (finding.location.path, finding.location.line, finding.engine) == ("app/db.py", 2, scanner.name)
    assert finding.fingerprint.startswith("v1:")
    assert finding.excerpt
    assert finding.blob is not None
    assert finding.handle is None
    assert finding.rule.severity is Severity.HIGH
    assert finding.rule.confidence >= Confidence.MEDIUM
    assert finding.rule.cwe
    assert len(finding.rule.title.split()) <= 8
    assert seen.covered == {"app/db.py"}
    assert not seen.gaps


@every_scanner
def test_known_good_is_silent_and_covered(scanner: Scanner, tmp_path: Path) -> None:
    seen = look(scanner, tmp_path / "tree", {"app/db.py": GOOD[scanner.scan_type], "empty.py": "", "app/__init__.py": "\n"})
    assert seen.places == []
    assert seen.covered == {"app/db.py", "empty.py", "app/__init__.py"}


@every_scanner
def test_a_rule_of_a_finding_is_listed(scanner: Scanner, tmp_path: Path) -> None:
    (finding,) = look(scanner, tmp_path / "tree", {"a.py": BAD[scanner.scan_type]}).findings
    rules = getattr(scanner, "rules")()  # noqa: B009 - not part of the port: only formats that list rules ask for it
    assert finding.rule.id in rules
    assert all(rule.id == rule_id and rule.cwe and rule.message and rule.help for rule_id, rule in rules.items())


@every_scanner
def test_nothing_in_the_tree_silences_it(scanner: Scanner, tmp_path: Path) -> None:
    bad = BAD[scanner.scan_type]
    everything = dict.fromkeys((".semgrepignore", ".gitignore", ".ignore", ".gitleaksignore", "app/.semgrepignore"), "*\n**\napp.py\n")
    allow_all = '[allowlist]\npaths = [".*"]\nregexes = [".*"]\n[extend]\nuseDefault = false\n'
    tree_files = {
        **everything,
        ".gitleaks.toml": allow_all,
        ".betterleaks.toml": allow_all,
        ".semgrep.yml": "rules: []\n",
        ".semgrep/settings.yml": "x: 1\n",
        "pyproject.toml": '[tool.semgrep]\nexclude = ["*"]\n[tool.gitleaks]\npaths = [".*"]\n',
        ".gitattributes": "*.py binary -diff linguist-generated linguist-vendored\n",
        "app.py": bad,
    }
    alone = look(scanner, tmp_path / "alone", {"app.py": bad})
    assert alone.places
    assert look(scanner, tmp_path / "all", tree_files).places == alone.places


@pytest.mark.parametrize(
    "comment",
    [
        "nosemgrep",
        "nosem",
        "nosemgrep: python.sql-injection",
        "gitleaks:allow",
        "betterleaks:allow",
        "noqa",
        "trufflehog:ignore",
        "pragma: allowlist secret",
    ],
)
@every_scanner
def test_no_comment_silences_it(scanner: Scanner, comment: str, tmp_path: Path) -> None:
    bad = BAD[scanner.scan_type]
    lines = bad.splitlines()
    marked = "\n".join([f"{lines[0]}  # {comment}", f"{lines[1]}  # {comment}", f"# {comment}", ""])
    assert look(scanner, tmp_path / "tree", {"app.py": marked}).places == look(scanner, tmp_path / "plain", {"app.py": bad}).places


@pytest.mark.parametrize(
    "path",
    [
        "a b.py",
        "-rf.py",
        "--config=x.py",
        "$(id).py",
        "new\nline.py",
        "back\\slash.py",
        "../up.py",
        "/etc/absolute.py",
        "sn\u00f6w/\u2603.py",
        "bad\udcff.py",
        "'quote\".py",
        "x" * 250 + ".py",
        "a/" * 80 + "deep.py",
        ".git/hooks/x.py",
        "node_modules/left/index.py",
        "vendor/github.com/x.py",
        "venv/lib/python3.11/site-packages/x.py",
        "tests/.hidden/x.py",
        "%s%n.py",
        "con.py",
    ],
)
@every_scanner
def test_no_name_hides_a_file(scanner: Scanner, path: str, tmp_path: Path) -> None:
    seen = look(scanner, tmp_path / "tree", {path: BAD[scanner.scan_type], "other.py": GOOD[scanner.scan_type]})
    assert [(f.location.path, f.location.line) for f in seen.findings] == [(path, 2)]
    assert seen.covered == {path, "other.py"}


@every_scanner
def test_every_file_ends_covered_or_in_a_gap_whatever_it_holds(scanner: Scanner, tmp_path: Path) -> None:
    rng = random.Random(11)
    files: dict[str, str | bytes] = {
        "empty.py": b"",
        "empty.js": b"",
        "noise.py": rng.randbytes(40_000),
        "noise.js": rng.randbytes(40_000),
        "nul.py": b"x = 1\n\x00\n",
        "syntax.py": "def f(:\n    pass\n",
        "syntax.ts": "class { class {\n",
        "long.py": "x = '" + "a" * 600_000 + "'\n",
        "long.js": "var x = '" + "a" * 600_000 + "'\n",
        "many.py": "x = 1\n" * 100_000,
        "deep.py": "(" * 5_000 + ")" * 5_000 + "\n",
        "deep.js": "[" * 5_000 + "]" * 5_000 + "\n",
        "latin.py": "# -*- coding: latin-1 -*-\nx = 'caf\u00e9'\n".encode("latin-1"),
        "bom.py": b"\xef\xbb\xbfx = 1\r\n",
        "wide.py": "x = 1\n".encode("utf-16"),
        "picture.png": b"\x89PNG\r\n\x1a\n" + rng.randbytes(1_000),
        "readme.md": "# Words\n",
        "Makefile": "all:\n\ttrue\n",
        "bad.py": BAD[scanner.scan_type],
    }
    seen = look(scanner, tmp_path / "tree", files)
    assert seen.covered | seen.gaps.keys() == files.keys()
    assert not seen.covered & seen.gaps.keys()
    assert ("bad.py", 2) in [(f.location.path, f.location.line) for f in seen.findings]
    assert {f.location.path for f in seen.findings} == {"bad.py"}
    assert seen.gaps["picture.png"].gap_class is GapClass.NOT_APPLICABLE
    assert all(gap.gap_class is not GapClass.ERROR for gap in seen.gaps.values())
    assert not scanner.concerns("picture.png")
    assert scanner.concerns("bad.py")


@every_scanner
def test_identity_survives_a_move_a_rename_and_new_neighbours(scanner: Scanner, tmp_path: Path) -> None:
    bad = BAD[scanner.scan_type]
    (before,) = look(scanner, tmp_path / "before", {"a.py": bad}).findings
    (after,) = look(scanner, tmp_path / "after", {"lib/b.py": "import os\n\n\n" + bad}).findings
    assert before.fingerprint == after.fingerprint
    assert after.location.line == before.location.line + 3


@every_scanner
def test_five_hundred_findings_in_one_file_are_all_there(scanner: Scanner, tmp_path: Path) -> None:
    bad = BAD[scanner.scan_type]
    seen = look(scanner, tmp_path / "tree", {"many.py": bad * 500})
    assert len(seen.findings) == 500
    assert [f.location.line for f in sorted(seen.findings, key=lambda f: f.location)] == list(range(2, 1_001, 2))


@every_scanner
def test_twice_is_the_same(scanner: Scanner, tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {f"{n}.py": BAD[scanner.scan_type] + f"# {n}\n" for n in range(9)}
    assert set(look(scanner, tmp_path / "one", files).findings) == set(look(scanner, tmp_path / "two", files).findings)


@every_scanner
def test_a_cancelled_scan_stops(scanner: Scanner, tmp_path: Path) -> None:
    world = World(installed(scanner).engines_dir, stopped=True)
    assert list(scanner.scan(ScanRequest(tree(tmp_path / "tree", {"a.py": BAD[scanner.scan_type]})), world)) == []


@every_scanner
def test_an_empty_tree_needs_no_engine(scanner: Scanner, tmp_path: Path) -> None:
    assert list(scanner.scan(ScanRequest(tree(tmp_path / "tree", {})), World(tmp_path / "no engines"))) == []


@every_scanner
def test_info_names_version_and_rules(scanner: Scanner) -> None:
    info = scanner.info(installed(scanner))
    assert info.name == scanner.name
    assert info.version[0].isdigit()
    assert len(info.rules_digest) == 12
    assert int(info.rules_digest, 16) >= 0
    assert info.file_local


@every_scanner
def test_a_missing_engine_says_so(scanner: Scanner, tmp_path: Path) -> None:
    world = World(tmp_path / "no engines")
    with pytest.raises(EngineMissing):
        scanner.info(world)
    with pytest.raises(EngineMissing) as missing:
        list(scanner.scan(ScanRequest(tree(tmp_path / "tree", {"a.py": BAD[scanner.scan_type]})), world))
    assert missing.value.blame == "us"


@pytest.mark.parametrize(
    ("program", "error"),
    [
        ("exit 3", EngineCrashed),
        ("kill -SEGV $$", EngineCrashed),
        ("exit 0", EngineGarbage),
        ("echo '{}'", EngineGarbage),
        ("echo no findings at all", EngineGarbage),
        ("printf '\\377\\376\\000'", EngineGarbage),
        ('echo \'{"results": [], "errors": []}\'', EngineGarbage),
        ("yes '{' | head -c 80000000", EngineCrashed),
        ("sleep 60", EngineTimedOut),
    ],
    ids=["exit code", "signal", "nothing", "empty object", "prose", "bytes", "half an answer", "too much", "sleep"],
)
@every_scanner
def test_a_broken_engine_is_an_error_and_never_no_findings(
    scanner: Scanner, program: str, error: type[EngineError], tmp_path: Path
) -> None:
    world = World(tmp_path / "engines")
    fake = environment_dir(world.engines_dir) / "engines" / PROGRAM[scanner.scan_type]
    fake.parent.mkdir(parents=True)
    fake.write_text(f"#!/bin/sh\n{program}\n")
    for path in (fake, *list(fake.parents)[:3]):
        path.chmod(0o755)
    request = ScanRequest(tree(tmp_path / "tree", {"a.py": BAD[scanner.scan_type]}), seconds=3.0 if error is EngineTimedOut else 60.0)
    with pytest.raises(error) as failed:
        list(scanner.scan(request, world))
    assert failed.value.engine == scanner.name
    assert AWS not in str(failed.value)
    assert failed.value.blame == "change"


@every_scanner
def test_no_time_is_a_time_out(scanner: Scanner, tmp_path: Path) -> None:
    with pytest.raises(EngineTimedOut):
        look(scanner, tmp_path / "tree", {"a.py": BAD[scanner.scan_type]}, seconds=0.0)
