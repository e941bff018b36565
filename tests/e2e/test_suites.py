"""The word for a fix, where it is known what the tests of the repository run: a sample; `python -m benchmarks suites` has them all.

What stands at the marked places is told by a double of the engine: the tests are what is asked about here, and they are run for real.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from pipeline.model.finding import Confidence, Finding, Location, Rule, Severity
from pipeline.model.fix import ProofWord
from pipeline.model.scan import Covered, EngineInfo, FindingSeen, Output, ScanRequest, ScanType
from pipeline.ports import Control
from pipeline.sandbox import process
from pipeline.stages.examine import RunControl
from pipeline.stages.prove import Engines
from pipeline.triage.fingerprint import identify
from tests.e2e.suite_repositories import Repository
from tests.e2e.suite_trials import reached, repositories, through
from tests.engines import INSTALLED
from tests.hostile import SEED

pytestmark = [
    pytest.mark.skipif(not process.best_level().isolates, reason="no sandbox that isolates works here: install bubblewrap"),
    pytest.mark.skipif(shutil.which("python3") is None or shutil.which("node") is None, reason="python3 or node is not on PATH"),
]


@dataclass
class MarkScanner:
    """Finds the marked line of one repository, as long as it is what it was."""

    repository: Repository
    name: str = "marks"
    scan_type: ScanType = ScanType.SEMGREP

    def info(self, control: Control) -> EngineInfo:  # the port's signature
        return EngineInfo(self.name, "1", "000000000000")

    def concerns(self, path: str) -> bool:
        return path == self.repository.path

    def scan(self, request: ScanRequest, control: Control) -> Iterator[Output]:
        subject = self.repository.subject
        weak = {line.replace("«", "").replace("»", "") for line in self.repository.texts[self.repository.path].split("\n") if "«" in line}
        rule = Rule(subject.rule, "title", "message", Severity.HIGH, Confidence.HIGH, 1)
        for file in request.tree.files:
            content = (request.tree.root / file.on_disk).read_bytes()
            for number, line in enumerate(content.decode().split("\n"), start=1):
                if line in weak:
                    whole = Location(file.path, number, number, len(line) - len(line.lstrip()) + 1, len(line) + 1)
                    yield FindingSeen(identify(Finding(rule, whole, "", self.name), content))
            yield Covered((file.path,))


def sample(seed: int) -> list[Repository]:
    """One with strong tests and two with blind ones, of those that start quickly."""
    chance = random.Random(seed)
    quick = [one for one in repositories(seed) if one.framework != "pytest" and one.command and len(one.subject.code.split("«")) == 2]
    of = {kind: [one for one in quick if one.suite.kind == kind] for kind in ("strong", "blind")}
    return [*chance.sample(of["strong"], 1), *chance.sample(of["blind"], 2)]


def test_verified_is_said_where_tests_run_what_changed_and_nowhere_else() -> None:
    seed = int(SEED)
    for one in sample(seed):
        print(f"FIXWRIGHT_SEED={seed}: {one.name}")
        scanner = MarkScanner(one)
        engines = Engines(RunControl(INSTALLED, lambda: True), scanners=(scanner,), residues=lambda *_: ())
        findings, _ = engines.look({one.path: one.files[one.path]})
        (result,) = through(engines, one, findings)
        assert result.reached == (one.suite.kind == "strong")
        assert (result.word is ProofWord.VERIFIED) == result.reached, (result.word, result.said)


def test_what_is_known_of_the_tests_is_measured_without_the_gate() -> None:
    seed = int(SEED)
    every = repositories(seed)
    assert len(every) >= 40
    assert len({one.path for one in every}) == len(every)
    weak = next(one for one in every if one.suite.kind == "weak" and one.framework != "pytest")
    assert reached(weak) == {0}, (seed, weak.name)
