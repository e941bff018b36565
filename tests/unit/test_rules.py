"""Our rules against their own examples, and what their files must say."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml

import pipeline.fixers
from pipeline.model.finding import Confidence, Location
from pipeline.plugins import discover
from pipeline.ports import Fixer
from pipeline.rulebook import FOLDER, load
from pipeline.rulebook import residues as patterns
from pipeline.sandbox.tree import private_folder
from pipeline.scanners.semgrep import SCANNER, residues, residues_of
from tests.contract.scanning import Seen, installed, look, tree

IDS = sorted(load().rules)
every_rule = pytest.mark.parametrize("rule_id", IDS)
SAMPLES = Path(__file__).parents[1] / "samples"
ENDINGS: dict[str, tuple[str, ...]] = {
    "python": ("py",),
    "javascript": ("js", "mjs", "cjs", "jsx", "ts", "mts", "tsx"),
    "workflow": ("yml",),
    "dockerfile": ("dockerfile",),
    "go": ("go",),
}
"""By the language of a rule: endings of the files that it looks at; the first is that of its examples."""


def endings(rule_id: str) -> tuple[str, ...]:
    return ENDINGS[rule_id.partition(".")[0]]


def named(rule_id: str, name: str) -> str:
    """Where a file with this name must lie for the rule to look at it."""
    return f".github/workflows/{name}" if rule_id.startswith("workflow") else name


def example(rule_id: str, kind: str) -> Path:
    """The file of examples: `bad` or `good`."""
    language, name = rule_id.split(".")
    return FOLDER / language / f"{name}.{kind}.{endings(rule_id)[0]}"


def expected(rule_id: str) -> set[tuple[str, int]]:
    """(rule, line) that the bad examples are marked with: at the end of the line, or alone above it."""
    marks = enumerate(example(rule_id, "bad").read_text("utf-8").splitlines(), 1)
    found = ((line, re.search(r"(#|//) expect: (\S+)$", text)) for line, text in marks)
    return {(match[2], line + (match.start() == 0)) for line, match in found if match}


@cache
def scanned() -> Seen:
    """All examples in one run."""
    with private_folder("examples") as folder:
        files: dict[str, str | bytes] = {
            named(rule, f"{rule}.{kind}.{ending}"): example(rule, kind).read_bytes()
            for rule in IDS
            for kind in ("bad", "good")
            for ending in endings(rule)
        }
        return look(SCANNER, folder / "tree", files)


def places(path: str) -> Iterator[tuple[str, int]]:
    return ((finding.rule.id, finding.location.line) for finding in scanned().findings if finding.location.path == path)


@pytest.mark.engines
@every_rule
def test_every_marked_line_fires_and_no_other(rule_id: str) -> None:
    assert expected(rule_id)
    for ending in endings(rule_id):
        own = [place for place in places(named(rule_id, f"{rule_id}.bad.{ending}")) if place[0] == rule_id]
        assert sorted(own) == sorted(expected(rule_id)), ending


@pytest.mark.engines
@every_rule
def test_the_good_examples_are_silent(rule_id: str) -> None:
    for ending in endings(rule_id):
        assert [line for rule, line in places(named(rule_id, f"{rule_id}.good.{ending}")) if rule == rule_id] == []


@pytest.mark.engines
def test_the_engine_reads_every_example_to_the_end() -> None:
    assert scanned().gaps == {}
    assert len(scanned().covered) == 2 * sum(len(endings(rule)) for rule in IDS)


RESIDUES = yaml.safe_load("".join(path.read_text("utf-8") for path in sorted((SAMPLES / "residues").glob("*.yml"))))


@cache
def shown() -> dict[str, list[Location]]:
    """What the residues of all rules show: of the bad examples, of what hides, and of what is safe, in one run."""
    files: dict[str, str | bytes] = {}
    for rule in IDS:
        ending = endings(rule)[0]
        folder_name = f"{rule}/.github/workflows" if rule.startswith("workflow") else rule
        files[f"{folder_name}/bad.{ending}"] = example(rule, "bad").read_bytes()
        files[f"{folder_name}/harmless.{ending}"] = RESIDUES[rule]["harmless"]
        files |= {f"{folder_name}/hidden{n}.{ending}": text + "\n" for n, text in enumerate(RESIDUES[rule]["hidden"])}
    with private_folder("residues") as folder:
        found = residues_of(IDS, tree(folder / "tree", files), installed(SCANNER), 120.0)
    return {rule: [place for place in found[rule] if place.path.startswith(f"{rule}/")] for rule in IDS}


@pytest.mark.engines
@every_rule
def test_the_residue_of_a_rule_shows_every_place_that_it_reports(rule_id: str) -> None:
    bad = [place for place in shown()[rule_id] if "/bad." in place.path]
    lines = {line for place in bad for line in range(place.line, place.end_line + 1)}
    assert {line for _, line in expected(rule_id)} <= lines


@pytest.mark.engines
@every_rule
def test_the_residue_sees_what_hides_from_the_rule(rule_id: str) -> None:
    hidden = RESIDUES[rule_id]["hidden"]
    assert len(hidden) >= 3
    seen = {place.path.rpartition("/")[2].rpartition(".")[0] for place in shown()[rule_id]}
    assert [text for n, text in enumerate(hidden) if f"hidden{n}" not in seen] == []


@pytest.mark.engines
@every_rule
def test_the_residue_is_empty_where_the_safe_form_stands(rule_id: str) -> None:
    assert [place for place in shown()[rule_id] if "/harmless." in place.path] == []


TABLE = 'TABLE = "users"\n'
BY_CONSTANT = '    db.execute(f"SELECT * FROM {TABLE} WHERE x = ?", (name,))\n'
QUIET_SQL = {
    "the name of a table is a constant of the file": TABLE + "def f(db, name):\n" + BY_CONSTANT,
    "literal conditions with values": 'def f(rows, n):\n    return rows.extra(where=["name = %s"], params=[n])\n',
}
LOUD_SQL = {
    "a second hole": TABLE + 'def f(db, name):\n    db.execute(f"SELECT * FROM {TABLE} WHERE x = {name}")\n',
    "assigned twice": TABLE + "TABLE = read()\ndef f(db, name):\n" + BY_CONSTANT,
    "assigned in a function": TABLE + "def g(n):\n    global TABLE\n    TABLE = n\ndef f(db, name):\n" + BY_CONSTANT,
    "a parameter": TABLE + "def f(db, name, TABLE):\n" + BY_CONSTANT,
    "a local variable": TABLE + "def f(db, name):\n    TABLE = name\n" + BY_CONSTANT,
    "a loop": TABLE + "def f(db, name):\n  for TABLE in name:\n" + BY_CONSTANT,
    "an import": "from elsewhere import TABLE\ndef f(db, name):\n" + BY_CONSTANT,
    "an import in its place": TABLE + "from request import name as TABLE\ndef f(db, name):\n" + BY_CONSTANT,
    "written through globals": TABLE + 'def f(db, name):\n    globals()["TABLE"] = name\n' + BY_CONSTANT,
    "a condition with a hole": 'def f(rows, n):\n    return rows.extra(where=[f"name = {n}"], params=[])\n',
    "a condition that is joined": 'def f(rows, n):\n    return rows.extra(where=["name = " + n])\n',
    "another door beside": 'def f(rows, n):\n    return rows.extra(where=["a"], params=[], tables=n)\n',
}


@pytest.mark.engines
def test_the_residue_allows_only_what_is_fixed_in_the_file(tmp_path: Path) -> None:
    cases = {**QUIET_SQL, **LOUD_SQL}
    files: dict[str, str | bytes] = {f"{n}.py": text for n, text in enumerate(cases.values())}
    shown = {place.path for place in residues("python.sql-injection", tree(tmp_path / "tree", files), installed(SCANNER), 60.0)}
    assert {name for name, path in zip(cases, files, strict=True) if path in shown} == set(LOUD_SQL)


def test_the_page_of_rules_has_every_rule_and_says_of_it_what_is_so() -> None:
    page = (FOLDER.parents[1] / "docs" / "reference" / "rules.md").read_text("utf-8")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if re.match(r"\| `\w+\.", line)]
    fixers = list(discover(pipeline.fixers, "FIXER", Fixer).values())
    said = {row[0].strip("`"): (row[1].rpartition("CWE-")[2], row[2], row[3]) for row in rows}
    answered = {rule: any(fixer.answers(rule) for fixer in fixers) for rule in SCANNER.rules()}
    assert said == {rule.id: (str(rule.cwe), rule.severity.word, "yes" if answered[rule.id] else "no") for rule in SCANNER.rules().values()}
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)
    assert [row[0] for row in rows if len(row) != 5 or not row[4].endswith(".")] == []


@every_rule
def test_a_rule_says_everything_a_reader_needs(rule_id: str) -> None:
    rule = load().rules[rule_id]
    assert 0 < len(rule.title.split()) <= 8
    assert rule.message.endswith(".")
    assert len(rule.message.split(". ")) <= 2
    assert re.match("(Anyone|Whoever) .* can .*|Anyone who .* is offered ", rule.message), "the first sentence says who can do what"
    assert rule.help.endswith(".")
    assert patterns((rule_id,))


def test_a_variant_is_never_surer_than_its_rule() -> None:
    for variant in load().variants.values():
        assert variant.rule.confidence <= load().rules[variant.rule.id].confidence
        assert variant.rule.severity is load().rules[variant.rule.id].severity
    assert load().variants["python.sql-injection.parameter"].rule.confidence is Confidence.MEDIUM


def test_an_unknown_rule_has_no_residue() -> None:
    for unknown in ("python.nothing", "", "..", "python.../secrets/betterleaks"):
        with pytest.raises(KeyError):
            patterns((unknown,))


def test_the_digest_follows_the_rules_and_not_the_residues(tmp_path: Path) -> None:
    copy = tmp_path / "rules"
    shutil.copytree(FOLDER, copy)
    assert load(copy).digest == load().digest
    changed = tmp_path / "changed"
    shutil.copytree(FOLDER, changed)
    file = changed / "python" / "unsafe-yaml.yml"
    file.write_text(file.read_text("utf-8").replace("unsafe_load_all", "unsafe_load_every"), "utf-8")
    assert load(changed).digest != load().digest
    other = tmp_path / "other"
    shutil.copytree(FOLDER, other)
    (other / "python" / "unsafe-yaml.residue.yml").write_text("rules: []\n", "utf-8")
    assert load(other).digest == load().digest
