"""The engines as the gate of a fix uses them: within a limit of their own, since people wait for the answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from pipeline.errors import FixwrightError, SandboxBusy, SandboxUnavailable
from pipeline.model.finding import Finding, Location
from pipeline.model.fix import Patch, Proof, ProofWord
from pipeline.model.scan import Output, ScanRequest, Tree
from pipeline.policy import Policy
from pipeline.ports import Control
from pipeline.stages.examine import RunControl
from pipeline.stages.prove import RESIDUE_SECONDS, Engines, prove
from tests.e2e.proof_cases import Memory
from tests.fakes import BAD_LINE, GoodFixer, LineScanner


class _Timed(LineScanner):
    def __init__(self) -> None:
        super().__init__()
        self.given: list[float] = []

    def scan(self, request: ScanRequest, control: Control) -> Iterator[Output]:
        self.given.append(request.seconds)
        return super().scan(request, control)


def _limits(tmp_path: Path, seconds: float) -> tuple[list[float], list[float]]:
    """What an engine and a search for residues were given."""
    scanner, residues = _Timed(), list[float]()

    def search(rule_id: str, tree: Tree, control: Control, seconds: float) -> Sequence[Location]:
        residues.append(seconds)
        return ()

    engines = Engines(RunControl(tmp_path, lambda: True), (scanner,), search, seconds=seconds)
    engines.look({"a.txt": b"fine\n"})
    engines.residue("fake.bad-line", {"a.txt": b"fine\n"})
    return scanner.given, residues


def test_no_look_takes_longer_than_its_limit(tmp_path: Path) -> None:
    assert _limits(tmp_path, 3.0) == ([3.0], [3.0])


def test_a_search_for_residues_has_a_limit_of_its_own(tmp_path: Path) -> None:
    assert _limits(tmp_path, 600.0) == ([600.0], [RESIDUE_SECONDS])


# --- an engine that cannot be started -------------------------------------------------------------------------------------------------


class _Failing(LineScanner):
    """Raises when it is asked to look."""

    def __init__(self, error: FixwrightError) -> None:
        super().__init__(before=self._fail)
        self._error = error

    def _fail(self) -> None:
        raise self._error


FILES = Memory({"a.txt": b"BAD\n"})
FINDING = Finding(BAD_LINE, Location("a.txt", 1, 1, 1, 4), "one", "lines")


def _prove(tmp_path: Path, error: FixwrightError) -> Proof:
    patch = GoodFixer().fix(FINDING, FILES)
    assert isinstance(patch, Patch)
    control = RunControl(tmp_path, lambda: True)
    engines = Engines(control, (_Failing(error),), lambda *_: ())
    return prove(finding=FINDING, patch=patch, files=FILES, policy=Policy(), control=control, run_tests=False, engines=engines)


def test_what_cannot_be_isolated_here_makes_a_proof_that_could_not_be_made(tmp_path: Path) -> None:
    proof = _prove(tmp_path, SandboxUnavailable("bwrap is not installed"))
    assert proof.word is ProofWord.UNCHECKED
    assert "bwrap is not installed" in [check.said for check in proof.checks if check.passed is None]


def test_what_cannot_be_started_just_now_says_nothing_of_the_patch(tmp_path: Path) -> None:
    with pytest.raises(SandboxBusy, match="no process left") as raised:
        _prove(tmp_path, SandboxBusy("no process left"))
    assert raised.value.retryable
