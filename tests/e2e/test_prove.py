"""The gate with real engines: bad patches refused, the good ones accepted; tests that guard a fix; the command line."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

import pipeline.fixers
from bot.cli import main
from pipeline.errors import EngineMissing
from pipeline.model.fix import FileEdit, Patch, Proof, ProofWord
from pipeline.patches import render_diff
from pipeline.plugins import discover
from pipeline.policy import Policy
from pipeline.policy import Tests as PolicyTests
from pipeline.ports import Fixer
from pipeline.rulebook import load
from pipeline.sandbox import process
from pipeline.stages.examine import RunControl
from pipeline.stages.prove import Engines, RowOfRuns, prove
from pipeline.triage import proof as gate
from pipeline.triage.handles import assign
from pipeline.triage.proof import check_text
from tests.e2e.proof_cases import Memory, load_cases, stand_in
from tests.e2e.proof_trials import Trial, all_trials, example_trials, found, good_trials, plain_trials, put_all_through, put_through, sample
from tests.engines import INSTALLED, needs_engines
from tests.hostile import SEED

RULES = Path(pipeline.fixers.__file__).resolve().parent.parent / "rules"


@pytest.fixture(scope="module")
def engines() -> Engines:
    return Engines(RunControl(INSTALLED, lambda: True))


SAMPLE = 60
"""Of the bad patches; `python -m benchmarks gate` tries all."""


@needs_engines
def test_a_sample_of_the_bad_patches_is_refused(engines: Engines, capsys: pytest.CaptureFixture[str]) -> None:
    seed = int(SEED)
    made = sample(all_trials(engines), SAMPLE, seed)
    proofs = put_all_through(engines, made)
    with capsys.disabled():
        kinds = len({trial.kind for trial in made})
        print(f"\n\n{len(made)} bad patches by {kinds} operators (the same again: FIXWRIGHT_SEED={seed})")
    assert len({trial.kind for trial in made}) >= 15
    accepted = [(t.case.rule, t.operator, p.word.value) for t, p in zip(made, proofs, strict=True) if p.word is not ProofWord.REFUSED]
    assert accepted == []


@needs_engines
def test_every_good_fix_is_accepted(engines: Engines, capsys: pytest.CaptureFixture[str]) -> None:
    made = good_trials(engines)
    assert len(made) >= 12
    with capsys.disabled():
        assert _refused(engines, made, "good fixes, written by hand") == []


@needs_engines
def test_what_the_fixers_make_of_the_rules_own_examples_is_accepted(engines: Engines, capsys: pytest.CaptureFixture[str]) -> None:
    fixers = list(discover(pipeline.fixers, "FIXER", Fixer).values())
    examples = {}
    for example in sorted(RULES.glob("*/*.bad.*")):
        name = example.name.replace(".bad", "").replace("-", "_")
        examples[f".github/workflows/{name}" if example.parent.name == "workflow" else f"shop/{name}"] = example.read_bytes()
    made, seen = [], Counter[str]()
    for trial in example_trials(engines, examples, fixers):
        rule = trial.finding.rule.id
        said = [check.said for check in check_text(trial.patch, trial.finding) if not check.passed]
        assert said == [], (rule, render_diff(trial.patch))
        if Path(trial.case.path).stem == rule.partition(".")[2].replace("-", "_"):
            seen[rule] += 1
            if seen[rule] <= 2:  # the text of each is judged, but engines look at two a rule: time
                made.append(trial)
    with capsys.disabled():
        assert _refused(engines, made, "fixes made by the fixers") == []
    assert seen.keys() == {rule for rule in load().rules if any(fixer.answers(rule) for fixer in fixers)}


def _refused(engines: Engines, made: list[Trial], title: str) -> list[tuple[str, str, list[str]]]:
    """Good patches that the gate does not take, after a table of all."""
    tried, accepted, wrong = Counter[str](), Counter[str](), []
    for trial, proof in zip(made, put_all_through(engines, made), strict=True):
        tried[trial.case.rule] += 1
        accepted[trial.case.rule] += proof.word is ProofWord.RESCANNED
        if proof.word is not ProofWord.RESCANNED:
            wrong.append((trial.case.rule, trial.operator, [check.said for check in proof.checks if not check.passed]))
    print(f"\n\n{title:38} accepted / tried")
    for rule in tried:
        print(f"  {rule:38} {accepted[rule]:3} / {tried[rule]}")
    return wrong


@needs_engines
def test_fixes_of_workflows_and_dockerfiles_are_told_from_tricks(engines: Engines) -> None:
    trials = plain_trials(engines)
    proofs = put_all_through(engines, trials)
    wrong = [
        (trial.case.rule, trial.operator, proof.word.value, [check.said for check in proof.checks if not check.passed])
        for trial, proof in zip(trials, proofs, strict=True)
        if proof.word is not (ProofWord.RESCANNED if trial.operator.startswith("good") else ProofWord.REFUSED)
    ]
    assert wrong == []
    tricks = Counter(trial.case.rule for trial in trials if trial.operator.startswith("bad"))
    assert len(tricks) == 7
    assert min(tricks.values()) >= 5


# --- tests that guard a fix -----------------------------------------------------------------------------------------------------------

APP = b"""import sqlite3


def find(connection, name):
    cursor = connection.cursor()
    cursor.execute(f"SELECT id FROM users WHERE name = '{name}'")
    return [row[0] for row in cursor.fetchall()]
"""
FIXED = APP.replace(b"f\"SELECT id FROM users WHERE name = '{name}'\"", b'"SELECT id FROM users WHERE name = ?", (name,)')
GUARD = b"""import sqlite3
import unittest

from app.db import find


class FindTest(unittest.TestCase):
    def setUp(self):
        self.connection = sqlite3.connect(":memory:")
        self.addCleanup(self.connection.close)
        self.connection.execute("CREATE TABLE users (id INTEGER, name TEXT)")
        self.connection.execute("INSERT INTO users VALUES (7, 'ann')")

    def test_found(self):
        self.assertEqual(find(self.connection, "ann"), [7])

    def test_not_found(self):
        self.assertEqual(find(self.connection, "bob"), [])

    def test_sum(self):
        self.assertEqual(1 + 1, 2)
"""
HOSTILE = b"""
    def test_quote(self):
        self.assertEqual(find(self.connection, "x' OR '1'='1"), [])
"""
BLIND = b"""import unittest

import app.db


class BlindTest(unittest.TestCase):
    def test_there(self):
        self.assertTrue(app.db.find)
"""
BASE = {"app/__init__.py": b"", "app/db.py": APP, "tests/__init__.py": b""}

needs_isolation = pytest.mark.skipif(
    not process.best_level().isolates, reason="tests of a repository are only run isolated, and neither bubblewrap nor namespaces work here"
)


def check_of(proof: Proof, name: str) -> str:
    return next((check.said for check in proof.checks if check.name == name), "")


def proven(engines: Engines, files: Mapping[str, bytes], after: bytes = FIXED, policy: Policy | None = None) -> Proof:
    finding = found(engines, "app/db.py", APP)[0]
    patch = Patch((FileEdit("app/db.py", APP, after),))
    return put_through(engines, finding, patch, files, tests=True, policy=policy)


@needs_engines
@needs_isolation
def test_a_fix_whose_line_is_run_and_guarded_by_tests_is_verified(engines: Engines) -> None:
    proof = proven(engines, {**BASE, "tests/test_db.py": GUARD})
    assert proof.word is ProofWord.VERIFIED, proof
    assert check_of(proof, gate.TESTS) == "3 tests passed before, 3 after"
    assert check_of(proof, gate.COVERED) == "1 of 1 changed statement is run by the tests"
    assert check_of(proof, gate.BROKEN) == "2 tests run the changed line, 2 of 2 fail when it is broken on purpose"
    # None of the repository's; ours does.
    assert check_of(proof, gate.PUT_BACK) == f"{gate.NONE_FAILS}; the one that was made for this fix, tests/test_db_find_sql.py, does"
    assert proof.exploit is not None
    assert proof.not_proven == ()


@needs_engines
@needs_isolation
def test_a_test_that_failed_before_and_passes_now_is_the_hostile_input(engines: Engines) -> None:
    proof = proven(engines, {**BASE, "tests/test_db.py": GUARD + HOSTILE})
    assert proof.word is ProofWord.VERIFIED
    assert check_of(proof, gate.TESTS) == "3 tests passed before, 4 after (1 failed before, 0 fail after)"
    assert check_of(proof, gate.PUT_BACK) == "1 test fails with the old weakness, put back in 1 place"
    assert proof.not_proven == ()


@needs_engines
@needs_isolation
def test_a_javascript_fix_is_verified_by_nodes_own_test_runner(engines: Engines) -> None:
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    before = b"""const { Client } = require("pg");

exports.find = async (req, client = new Client()) => {
  const found = await client.query(`SELECT id FROM users WHERE name = '${req.query.name}'`);
  return found.rows;
};
"""
    after = before.replace(
        b"`SELECT id FROM users WHERE name = '${req.query.name}'`", b'"SELECT id FROM users WHERE name = $1", [req.query.name]'
    )
    pg = b"exports.Client = class {};\n"
    guard = b"""const test = require("node:test");
const assert = require("node:assert");
const { find } = require("../app");

test("rows", async () => {
  const client = { query: async () => ({ rows: [7] }) };
  assert.deepStrictEqual(await find({ query: { name: "ann" } }, client), [7]);
});
test("sum", () => assert.equal(1 + 1, 2));
"""
    files = {"app.js": before, "node_modules/pg/index.js": pg, "test/app.test.js": guard}
    finding = found(engines, "app.js", before)[0]
    proof = put_through(engines, finding, Patch((FileEdit("app.js", before, after),)), files, tests=True)
    assert proof.word is ProofWord.VERIFIED, proof
    assert check_of(proof, gate.TESTS) == "2 tests passed before, 2 after"
    assert check_of(proof, gate.BROKEN) == "1 test runs the changed line, 1 of 1 fail when it is broken on purpose"


@needs_engines
@needs_isolation
@pytest.mark.parametrize(
    ("tests", "said"),
    [
        ({"tests/test_db.py": BLIND}, "no test runs app/db.py:6"),
        ({}, "no tests"),
        ({"tests/test_db.py": b"import unittest\nimport nowhere_to_be_found\n"}, "no test passes here even without the patch"),
    ],
)
def test_blind_missing_or_broken_tests_mean_re_scanned(engines: Engines, tests: Mapping[str, bytes], said: str) -> None:
    proof = proven(engines, {**BASE, **tests})
    assert proof.word is ProofWord.RESCANNED
    assert any(said in check.said for check in proof.checks if check.passed is None)
    assert proof.not_proven


@needs_engines
@needs_isolation
def test_a_fix_that_breaks_a_test_is_refused(engines: Engines) -> None:
    wrong = FIXED.replace(b"(name,)", b'{"name": name}')  # no value for a place without a name
    proof = proven(engines, {**BASE, "tests/test_db.py": GUARD}, wrong)
    assert proof.word is ProofWord.REFUSED
    assert "2 tests that passed fail now" in check_of(proof, gate.TESTS)


@needs_engines
@needs_isolation
def test_a_row_of_patches_asks_the_tests_once_for_each_state(engines: Engines) -> None:
    memory = RowOfRuns()
    files = {**BASE, "tests/test_db.py": GUARD}
    finding = found(engines, "app/db.py", BASE["app/db.py"])[0]
    patch = Patch((FileEdit("app/db.py", BASE["app/db.py"], FIXED),))

    def tried() -> Proof:
        return prove(
            finding=finding, patch=patch, files=Memory(files), policy=Policy(), control=engines.control, engines=engines, tests=memory
        )

    assert tried().word is ProofWord.VERIFIED
    ((command, before),) = memory.before.items()
    assert memory.after[command].passed == before.passed
    # What is remembered is what counts: a test that nobody has is not seen after the patch (and not without it, so it is no witness).
    memory.before[command] = replace(before, passed=(*before.passed, "one that is not there"))
    assert check_of(tried(), gate.TESTS) == "4 tests passed before, 3 after"
    memory.accept()
    assert memory.before[command].passed == before.passed
    assert not memory.after


@needs_engines
@needs_isolation
def test_the_policys_command_is_used_and_a_hanging_one_ends(engines: Engines) -> None:
    tests = {**BASE, "tests/test_db.py": GUARD}
    quick = Policy(tests=PolicyTests(command=("python3", "-m", "unittest", "-v", "tests.test_db.FindTest.test_found")))
    assert check_of(proven(engines, tests, policy=quick), gate.TESTS) == "1 test passed before, 1 after"
    hanging = Policy(tests=PolicyTests(command=("python3", "-c", "import time; time.sleep(60)"), timeout=1))
    proof = proven(engines, tests, policy=hanging)
    assert (proof.word, check_of(proof, gate.TESTS)) == (ProofWord.RESCANNED, "the tests did not end within 1 s")


@needs_engines
@needs_isolation
def test_tests_see_no_network_no_environment_and_leave_nothing(engines: Engines, tmp_path: Path) -> None:
    nosy = f"""import os
import socket
import unittest
from pathlib import Path

from app.db import find


class NosyTest(unittest.TestCase):
    def test_environment(self):
        self.assertFalse([n for n in os.environ if n.startswith(("FIXWRIGHT", "REDIS", "DATABASE"))])

    def test_host(self):
        self.assertFalse(Path({str(tmp_path)!r}).exists())

    def test_network(self):
        with self.assertRaises(OSError):
            socket.create_connection(("192.0.2.1", 80), timeout=2)

    def test_writing(self):
        Path("app/db.py").write_text("broken")
"""
    proof = proven(engines, {**BASE, "tests/test_db.py": GUARD, "tests/test_nosy.py": nosy.encode()})
    assert proof.word is ProofWord.VERIFIED
    assert check_of(proof, gate.TESTS) == "7 tests passed before, 7 after"


@needs_engines
def test_the_quick_gate_runs_nothing_of_the_repository(engines: Engines) -> None:
    finding = found(engines, "app/db.py", APP)[0]
    files = Memory({**BASE, "tests/test_db.py": GUARD})
    patch = Patch((FileEdit("app/db.py", APP, FIXED),))
    proof = prove(finding=finding, patch=patch, files=files, policy=Policy(), control=engines.control, run_tests=False, engines=engines)
    assert proof.word is ProofWord.RESCANNED
    assert files.laid_out == 0


def test_without_an_engine_nothing_is_claimed(tmp_path: Path) -> None:
    control = RunControl(tmp_path, lambda: True)
    with pytest.raises(EngineMissing):
        Engines(control).infos()
    case = load_cases()[0]
    proof = prove(
        finding=stand_in(case),
        patch=case.patch({case.path: next(iter(case.good.values()))}),
        files=Memory(case.files()),
        policy=Policy(),
        control=control,
    )
    assert proof.word is ProofWord.UNCHECKED


# --- command line ---------------------------------------------------------------------------------------------------------------------


@dataclass
class Desk:
    """A repository on a disk, a state folder, and the command line in this process."""

    folder: Path

    def cli(self, *words: str) -> tuple[int, str]:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                code = main(list(words))
            except SystemExit as left:  # argparse
                code = int(left.code or 0)
        return code, out.getvalue() + err.getvalue()

    @property
    def repo(self) -> Path:
        return self.folder / "repository"

    def diff(self, after: bytes, name: str = "fix.patch") -> str:
        place = self.folder / name
        place.write_text(render_diff(Patch((FileEdit("app/db.py", APP, after),))))
        return str(place)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setenv("FIXWRIGHT_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("FIXWRIGHT_ENGINES_DIR", str(INSTALLED))
    desk = Desk(tmp_path)
    for path, content in {**BASE, "tests/test_db.py": GUARD}.items():
        place = desk.repo / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    for words in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "start"]):
        subprocess.run(["git", *who, *words], cwd=desk.repo, check=True, env=environment)
    return desk


@needs_engines
@needs_isolation
def test_prove_accepts_writes_a_receipt_and_verify_takes_it_and_nothing_else(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    patch, receipt = desk.diff(FIXED), desk.folder / "receipt.json"
    base = ["--repo", str(desk.repo), "--base", "HEAD", "--finding", "app/db.py:6"]
    code, said = desk.cli("prove", patch, *base, "--receipt", str(receipt))
    assert code == 0, said
    assert said.startswith("verified: ")
    assert "old weakness put back: no test of the repository fails with the old weakness" in said
    verify = ["verify", str(receipt), "--repo", str(desk.repo)]
    assert desk.cli(*verify, "--patch", patch)[0] == 0
    code, said = desk.cli(*verify)
    assert (code, "accepted: verified fix of" in said) == (0, True)
    code, said = desk.cli(*verify, "--again")
    assert (code, said.count("\nsame  ")) == (0, 10), said
    assert "\nnot replayed  tests: " in said and "\ndiffers" not in said and "in the receipt" not in said

    whole = receipt.read_bytes()
    for at in range(0, len(whole), max(1, len(whole) // 40)):
        receipt.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        code, said = desk.cli(*verify)
        assert (code, said.startswith("refused: "), said.count("\n")) == (1, True, 1)
    receipt.write_bytes(whole)

    (desk.repo / "app/db.py").write_bytes(FIXED)
    assert "applied already" in desk.cli(*verify)[1]
    (desk.repo / "app/db.py").write_bytes(APP + b"\n# more\n")
    assert "applies to commit" in desk.cli(*verify)[1]

    other = desk.diff(FIXED + b"\n", "other.patch")
    assert desk.cli(*verify, "--patch", other) == (1, "refused: the receipt speaks of another patch\n")

    own = desk.folder / "own.pem"
    own.write_text(desk.cli("keys", "public")[1])
    assert desk.cli(*verify, "--key", str(own))[0] == 0
    monkeypatch.setenv("FIXWRIGHT_STATE_DIR", str(desk.folder / "other"))
    own.write_text(desk.cli("keys", "public")[1])
    code, said = desk.cli(*verify, "--key", str(own))
    assert (code, "another key" in said) == (1, True)


@needs_engines
@needs_isolation
def test_a_receipt_of_another_repository_is_refused(desk: Desk) -> None:
    receipt = desk.folder / "receipt.json"
    desk.cli("prove", desk.diff(FIXED), "--repo", str(desk.repo), "--finding", "app/db.py:6", "--receipt", str(receipt))
    elsewhere = desk.folder / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "README").write_text("nothing\n")
    code, said = desk.cli("verify", str(receipt), "--repo", str(elsewhere))
    assert (code, "other contents" in said) == (1, True)


@needs_engines
@needs_isolation
def test_a_finding_may_be_named_by_the_handle_that_a_scan_shows(desk: Desk, engines: Engines) -> None:
    finding = found(engines, "app/db.py", APP)[0]
    handle = assign([finding.fingerprint], {})[finding.fingerprint]
    assert desk.cli("prove", desk.diff(FIXED), "--repo", str(desk.repo), "--finding", handle.lower())[0] == 0


@needs_engines
def test_exit_codes_say_refused_usage_and_could_not_check(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    repo = ["--repo", str(desk.repo), "--finding", "app/db.py:6"]
    marker = b"  # no" + b"sec"
    code, said = desk.cli("prove", desk.diff(APP.replace(b"'\")", b"'\")" + marker)), *repo)
    assert (code, said.startswith("refused: ")) == (1, True)
    assert desk.cli("prove", desk.diff(FIXED + b"\ndef (:\n"), *repo)[0] == 1
    (desk.folder / "none.patch").write_text("hello\n")
    assert desk.cli("prove", str(desk.folder / "none.patch"), *repo)[0] == 1
    good = desk.diff(FIXED)
    assert desk.cli("prove", good, "--repo", str(desk.repo), "--finding", "???")[0] == 2
    assert desk.cli("prove", good, "--repo", str(desk.repo / "nowhere"), "--finding", "app/db.py:6")[0] == 2
    assert desk.cli("prove", str(desk.folder / "missing.patch"), *repo)[0] == 2
    assert desk.cli("prove", good)[0] == 2
    assert desk.cli("prove", good, "--repo", str(desk.repo), "--finding", "app/db.py:1")[0] == 3
    assert desk.cli("prove", good, "--repo", str(desk.repo), "--finding", "K7Q")[0] == 3
    monkeypatch.setenv("FIXWRIGHT_ENGINES_DIR", str(desk.folder / "no-engines"))
    assert desk.cli("prove", good, *repo)[0] == 3


def test_verify_says_usage_when_a_file_is_missing(desk: Desk) -> None:
    assert desk.cli("verify", str(desk.folder / "missing.json"), "--repo", str(desk.repo))[0] == 2
    desk.cli("keys", "public")
    assert desk.cli("verify", str(desk.folder / "missing.json"), "--repo", str(desk.repo))[0] == 2
    (desk.folder / "receipt.json").write_text("{}")
    assert desk.cli("verify", str(desk.folder / "receipt.json"), "--repo", str(desk.repo)) == (
        1,
        "refused: this is no receipt: not a DSSE envelope with one signature\n",
    )


def test_the_public_key_is_printed_and_stays_the_same(desk: Desk) -> None:
    code, first = desk.cli("keys", "public")
    assert code == 0
    assert first.startswith("-----BEGIN PUBLIC KEY-----\n")
    assert desk.cli("keys", "public")[1] == first
