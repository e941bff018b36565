"""The engines as the gate of a fix uses them: within a limit of their own, since people wait for the answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.model.finding import Location
from pipeline.model.scan import Output, ScanRequest, Tree
from pipeline.ports import Control
from pipeline.stages.examine import RunControl
from pipeline.stages.prove import RESIDUE_SECONDS, Engines
from tests.fakes import LineScanner


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
