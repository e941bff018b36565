"""A fix as a person writes it: other statements of the same weakness, other formatting, a `with` for a `close`; and what still is none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.model.finding import Confidence, Finding, Location, Rule, Severity
from pipeline.model.fix import FileEdit, Patch, ProofWord
from pipeline.policy import Policy
from pipeline.stages.examine import RunControl
from pipeline.stages.prove import Engines, prove
from pipeline.triage.baseline import compare
from pipeline.triage.proof import check_new, check_text, mended_as_well
from tests.e2e.proof_cases import Memory
from tests.fakes import BAD_LINE, LineScanner

COMMANDS = Rule("javascript.command-injection", "title", "message", Severity.HIGH, Confidence.HIGH, 78)
OBJECTS = Rule("python.unsafe-yaml", "title", "message", Severity.HIGH, Confidence.HIGH, 502)

SHELL = """const cp = require("child_process");

function first(name, done) {
  return cp.exec("git log " + name, done);
}

function second(tag) {
  return cp.execSync("git show " + tag);
}
"""
ONE = SHELL.replace('cp.exec("git log " + name', 'cp.execFile("git", ["log", name]')
BOTH = ONE.replace('cp.execSync("git show " + tag', 'cp.execFileSync("git", ["show", tag]')
READ = """import yaml


def load(path):
    f = open(path)
    config = yaml.load(f)
    f.close()
    return config
"""
WITH = """import yaml


def load(path):
    with open(path) as f:
        config = yaml.safe_load(f)
    return config
"""
DIRECT = """import yaml


def load(path):
    with open(path) as f:
        return yaml.safe_load(f)
"""
OTHER = "\n\ndef other():\n    config = 1\n    return config\n"


def finding(line: int, rule: Rule = COMMANDS, path: str = "app.js") -> Finding:
    return Finding(rule, Location(path, line, line, 1, 1), f"v1:{line:032}", "semgrep")


def said(before: str, after: str, line: int, *also: int, rule: Rule = COMMANDS) -> str:
    path = "app.js" if rule is COMMANDS else "app.py"
    patch = Patch((FileEdit(path, before.encode(), after.encode()),))
    others = [finding(one, rule, path) for one in also]
    return "; ".join(check.said for check in check_text(patch, finding(line, rule, path), others) if not check.passed)


def test_what_mends_another_finding_is_a_stray_change_until_that_is_known_to_be_gone() -> None:
    assert "line 8 is changed" in said(SHELL, BOTH, 4)
    assert said(SHELL, BOTH, 4, 8) == ""


def test_only_what_is_reported_before_and_not_after_is_mended_as_well() -> None:
    flagged, beside, elsewhere = finding(4), finding(8), finding(8, path="other.js")
    other_rule = replace(finding(8), rule=OBJECTS)
    assert mended_as_well(flagged, [flagged, beside, elsewhere, other_rule], []) == (beside,)
    assert mended_as_well(flagged, [flagged, beside], [replace(beside, location=Location("app.js", 9, 9, 1, 1))]) == ()


def test_the_excuse_covers_its_own_statement_only() -> None:
    assert "line 11 is added" in said(SHELL, BOTH + "\nglobal.limit = 0;\n", 4, 8)
    deleted = BOTH.replace('  return cp.execFileSync("git", ["show", tag]);\n', "")
    assert "line 8" in said(SHELL, deleted, 4, 8)


JS = """const { promisify } = require("util");
const cp = require("child_process");
const exec = promisify(cp.exec);

function show(name, done) {
  return exec("git show " + name).then(()=>{
    const text = read(name);
    return done(text);
  });
}
"""
JS_GOOD = JS.replace("const exec = promisify(cp.exec)", "const execFile = promisify(cp.execFile)").replace(
    'exec("git show " + name)', 'execFile("git", ["show", name])'
)


@pytest.mark.parametrize(
    ("before", "after", "line", "rule"),
    [
        (JS, JS_GOOD, 6, COMMANDS),
        (JS, JS_GOOD.replace("()=>{", "() => {"), 6, COMMANDS),
        (READ, WITH, 6, OBJECTS),
        (READ + OTHER, DIRECT + OTHER, 6, OBJECTS),
    ],
)
def test_how_people_write_it_is_no_reason_to_refuse(before: str, after: str, line: int, rule: Rule) -> None:
    assert said(before, after, line, rule=rule) == ""


@pytest.mark.parametrize(
    ("after", "why"),
    [
        (JS_GOOD.replace("promisify(cp.execFile)", "promisify(cp.exec)"), "`execFile` gets a meaning of its own"),
        (JS_GOOD.replace("done(text)", "done()"), "line 8 is added"),
        (JS_GOOD.replace('execFile("git", ["show", name])', 'execFile("git", `show ${name}`.split(" "))'), "cuts a command line at blanks"),
        (
            JS_GOOD.replace(
                '  return execFile("git", ["show", name])',
                '  const line = "show " + name;\n  const parts = line.split(" ");\n  return execFile("git", parts)',
            ),
            "cuts a command line at blanks",
        ),
        (
            JS_GOOD.replace('  return execFile("git", ["show", name])', '  const args = [name];\n  return execFile("git", ["show", name])'),
            "`args` is made of values and nothing uses it",
        ),
    ],
)
def test_what_only_looks_like_it_is_refused(after: str, why: str) -> None:
    assert why in said(JS, after, 6)


def test_a_finding_on_a_line_that_the_patch_leaves_alone_is_not_new_in_a_scope_of_another_name() -> None:
    before = [finding(4), finding(8)]
    moved = replace(finding(8), fingerprint="v1:" + "f" * 32)
    patch = Patch((FileEdit("app.js", SHELL.encode(), ONE.encode()),))
    compared = compare(before, [moved], covered=lambda _: True)
    assert compared.new == (moved,)
    assert check_new(before[0], compared, before, [moved], patch).passed
    assert check_new(before[0], compared, before[:1], [moved], patch).passed is False, "nothing was reported on that line"


def test_a_patch_of_a_person_is_put_through_with_what_else_is_reported_and_a_fixers_is_not(tmp_path: Path) -> None:
    before = 'def one(x):\n    return run("BAD" + x)\n\n\ndef two(y):\n    return go("BAD" + y)\n'
    files = Memory({"a.py": before.encode()})
    one = before.replace('"BAD" + x', "[x]")
    patch = Patch((FileEdit("a.py", before.encode(), one.replace('"BAD" + y', "[y]").encode()),))
    half = Patch((FileEdit("a.py", before.encode(), one.replace('"BAD" + y', '"BAD", y').encode()),))
    control = RunControl(tmp_path, lambda: True)
    engines = Engines(control, (LineScanner(),), lambda *_: ())
    found = engines.look({"a.py": before.encode()})[0]
    assert [one.location.line for one in found] == [2, 6]
    assert found[0].rule == BAD_LINE

    def word(patch: Patch, others: tuple[Finding, ...]) -> ProofWord:
        return prove(
            finding=found[0], patch=patch, files=files, policy=Policy(), control=control, run_tests=False, engines=engines, others=others
        ).word

    assert word(patch, found) is ProofWord.RESCANNED
    assert word(patch, ()) is ProofWord.REFUSED
    assert word(half, found) is ProofWord.REFUSED, "what is changed beside it is not mended"
