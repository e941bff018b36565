"""What the Semgrep scanner promises beyond the common suite."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.engines import environment_dir
from pipeline.model.finding import Confidence
from pipeline.model.scan import GapClass, ScanRequest
from pipeline.scanners.semgrep import SCANNER, residues
from tests.contract.scanning import Seen, World, installed, look, tree

pytestmark = pytest.mark.engines

VIEW = """from flask import request


def find(cursor):
    name = request.form["name"]
    cursor.execute(
        f"SELECT * FROM users WHERE name = '{name}'"
    )
"""


def test_the_finding_says_where_the_data_comes_from(tmp_path: Path) -> None:
    (finding,) = look(SCANNER, tmp_path / "tree", {"app/db.py": VIEW}).findings
    assert finding.detail == "comes from `request.form` (line 5)"
    assert finding.source is not None
    assert (finding.source.path, finding.source.line) == ("app/db.py", 5)
    assert (finding.location.line, finding.location.end_line, finding.location.column) == (6, 7, 5)
    assert finding.scope == "find"
    assert finding.rule.confidence is Confidence.HIGH


def test_a_parameter_is_less_sure_and_says_so(tmp_path: Path) -> None:
    (finding,) = look(
        SCANNER, tmp_path / "tree", {"a.py": "def f(db, name):\n    db.execute('SELECT * FROM t WHERE n = ' + name)\n"}
    ).findings
    assert finding.detail == "comes from parameter `name` (line 1)"
    assert finding.rule.confidence is Confidence.MEDIUM
    assert finding.rule.id == "python.sql-injection"


def test_a_random_number_is_reported_where_it_is_made(tmp_path: Path) -> None:
    source = "import random\n\n\ndef new_token():\n    number = random.getrandbits(64)\n    return hex(number)\n"
    (finding,) = look(SCANNER, tmp_path / "tree", {"a.py": source}).findings
    assert finding.location.line == 5
    assert finding.detail == "ends in new_token (line 6)"


def test_what_does_not_parse_is_a_gap_with_what_was_found_all_the_same(tmp_path: Path) -> None:
    seen = look(
        SCANNER, tmp_path / "tree", {"broken.py": VIEW + "\n\ndef g():\n    x = 5 5\n", "broken.tsx": "const a = <div>\n", "fine.py": VIEW}
    )
    assert seen.gaps["broken.py"].reason == "does not parse as python"
    assert seen.gaps["broken.tsx"].reason == "does not parse as tsx"
    assert {gap.gap_class for gap in seen.gaps.values()} == {GapClass.LIMIT}
    assert seen.covered == {"fine.py"}
    assert sorted(f.location.path for f in seen.findings) == ["broken.py", "fine.py"]


def test_a_language_that_no_rule_is_for_makes_no_change_red(tmp_path: Path) -> None:
    """The engine passes over such files without a word."""
    ruled = any(rule.startswith("java.") for rule in SCANNER.rules())
    assert SCANNER.concerns("A.java") is ruled
    seen = look(SCANNER, tmp_path / "tree", {"A.java": "class A {}\n", "app.js": "const a = 1\n"})
    assert {gap.gap_class for gap in seen.gaps.values()} <= {GapClass.NOT_APPLICABLE}
    assert seen.covered == ({"A.java", "app.js"} if ruled else {"app.js"})


def test_a_minified_file_is_a_limit_that_names_its_line(tmp_path: Path) -> None:
    seen = look(SCANNER, tmp_path / "tree", {"vendor.min.js": "var a=1;" * 2_000 + "\n", "app.js": "const a = 1\n"})
    assert seen.gaps["vendor.min.js"].reason == "minified (a line of 16,000 characters)"
    assert seen.gaps["vendor.min.js"].gap_class is GapClass.LIMIT
    assert seen.covered == {"app.js"}


def test_a_built_file_is_looked_at_and_its_findings_are_marked(tmp_path: Path) -> None:
    weak = "app.get('/', (req, res) => { exec('ls ' + req.query.d) })"
    needed = "const { exec } = require('child_process');\n"
    seen = look(
        SCANNER,
        tmp_path / "tree",
        {
            "app-B7Ri4N39.js": needed + "var a=1;" * 200 + weak + "\n//# sourceMappingURL=app.js.map\n",
            "with-data.js": needed + weak + "\nconst logo = '" + "A" * 2_000 + "'\n",
            "by-hand.js": needed + weak + "\n",
        },
    )
    assert {f.location.path: f.built for f in seen.findings} == {"app-B7Ri4N39.js": True, "with-data.js": False, "by-hand.js": False}
    assert {f.rule.confidence for f in seen.findings} == {Confidence.HIGH}
    assert seen.covered == {"app-B7Ri4N39.js", "with-data.js", "by-hand.js"}


def test_what_no_rule_reads_is_not_applicable(tmp_path: Path) -> None:
    seen = look(SCANNER, tmp_path / "tree", {"main.rs": "fn main() {}\n", "style.css": "a {}\n"})
    assert {gap.gap_class for gap in seen.gaps.values()} == {GapClass.NOT_APPLICABLE}
    assert not seen.covered


def test_text_in_a_legacy_encoding_is_read(tmp_path: Path) -> None:
    source = ("# -*- coding: latin-1 -*-\n# caf\u00e9\n" + VIEW).encode("latin-1")
    seen = look(SCANNER, tmp_path / "tree", {"a.py": source})
    assert [f.location.line for f in seen.findings] == [8]
    assert seen.covered == {"a.py"}


def test_many_files_are_one_answer(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {f"m{n}.py": VIEW if n % 50 == 0 else f"x = {n}\n" for n in range(450)}
    seen = look(SCANNER, tmp_path / "tree", files)
    assert len(seen.findings) == 9
    assert seen.covered == files.keys()


def test_residues_name_places_in_the_repository(tmp_path: Path) -> None:
    found = residues("python.sql-injection", tree(tmp_path / "tree", {"a\nb.py": VIEW, "x.md": "db.execute(q)"}), installed(SCANNER), 60.0)
    assert {place.path for place in found} == {"a\nb.py"}


def test_residues_of_nothing_need_no_engine(tmp_path: Path) -> None:
    assert residues("python.sql-injection", tree(tmp_path / "tree", {"x.md": ""}), World(tmp_path), 1.0) == []
    with pytest.raises(KeyError):
        residues("python.nothing", tree(tmp_path / "other", {"a.py": ""}), World(tmp_path), 1.0)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("app/db.py", Confidence.MEDIUM),
        ("tests/test_db.py", Confidence.LOW),
        ("app/db_test.py", Confidence.LOW),
        ("scripts/fill.py", Confidence.LOW),
        ("app/migrations/0002_fill.py", Confidence.LOW),
        ("latest/db.py", Confidence.MEDIUM),
    ],
)
def test_a_parameter_in_a_test_or_a_script_counts_for_little(tmp_path: Path, path: str, expected: Confidence) -> None:
    source = "def f(db, name):\n    db.execute('SELECT * FROM t WHERE n = ' + name)\n"
    (finding,) = look(SCANNER, tmp_path / "tree", {path: source}).findings
    assert finding.rule.confidence is expected


def test_request_data_in_a_script_is_as_sure_as_anywhere(tmp_path: Path) -> None:
    seen = look(SCANNER, tmp_path / "tree", {"scripts/server.py": VIEW, "tests/app.py": VIEW})
    assert [finding.rule.confidence for finding in seen.findings] == [Confidence.HIGH, Confidence.LOW]


SLOW = """#!/bin/sh
grep -q slow "$4" && sleep 60
scanned=$(grep -o '"fpath": "[^"]*"' "$4" | cut -d'"' -f4 | sed 's/.*/"&"/' | paste -sd,)
echo "{\\"results\\": [], \\"errors\\": [], \\"paths\\": {\\"scanned\\": [$scanned]}}"
"""


def test_when_time_runs_out_what_was_looked_at_before_still_counts(tmp_path: Path) -> None:
    world = World(tmp_path / "engines")
    fake = environment_dir(world.engines_dir) / "engines" / "osemgrep"
    fake.parent.mkdir(parents=True)
    fake.write_text(SLOW)
    for path in (fake, *list(fake.parents)[:3]):
        path.chmod(0o755)
    files: dict[str, str | bytes] = {**{f"a{number:03}.py": "x = 1\n" for number in range(200)}, "slow.py": "x = 1\n"}
    seen = Seen(tuple(SCANNER.scan(ScanRequest(tree(tmp_path / "tree", files), seconds=12.0), world)))
    assert len(seen.covered) == 200
    assert {path: (gap.reason, gap.gap_class) for path, gap in seen.gaps.items()} == {"slow.py": ("semgrep timed out", GapClass.ERROR)}
