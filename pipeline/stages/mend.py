"""Mend findings one after the other, each patch proving itself on top of those before it: a folder by `fixwright fix`, or what one fix run
is to mend."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from pipeline.errors import SandboxBusy
from pipeline.model.finding import Finding
from pipeline.model.fix import FileEdit, Patch, Proof, ProofCheck, ProofWord
from pipeline.policy import Policy
from pipeline.ports import Control, Fixer
from pipeline.stages.ladder import RUNGS, patches, why_none
from pipeline.stages.prove import Engines, RowOfRuns, prove
from pipeline.stages.sources import RepositoryFiles, put
from pipeline.triage import proof as gate


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one finding."""

    finding: Finding
    """Where it stands with the patches so far in place."""
    patch: Patch | None
    proof: Proof | None
    choice: str = ""
    """Which of its patches it is; see `pipeline.wishes`."""
    error: str = ""
    """Why there is none, or none that could be looked at; empty where the proof says it."""

    @property
    def accepted(self) -> bool:
        """True when there is a patch and it passed the gate."""
        return self.proof is not None and self.proof.word in (ProofWord.VERIFIED, ProofWord.RESCANNED)


class PatchedFiles:
    """A state of a repository with some edits on top of it, still in memory."""

    def __init__(self, files: RepositoryFiles) -> None:
        self._files = files
        self._edits: dict[str, FileEdit] = {}
        self._taken: set[str] = set()

    @property
    def changed(self) -> frozenset[str]:
        """The files that were edited."""
        return frozenset(self._edits)

    def take(self, paths: Iterable[str]) -> None:
        """Names that no new file may have, though nothing lies there."""
        self._taken.update(paths)

    def apply(self, patch: Patch) -> None:
        """Put a patch on top; its `before` must be the state as it is now."""
        for edit in patch.edits:
            first = self._edits.get(edit.path)
            self._edits[edit.path] = FileEdit(edit.path, first.before if first else edit.before, edit.after)

    def combined(self, title: str) -> Patch:
        """All edits as one patch against the state below."""
        return Patch(tuple(edit for _, edit in sorted(self._edits.items()) if edit.before != edit.after), title)

    def read(self, path: str) -> bytes | None:
        """See `RepositoryFiles.read`."""
        return self._edits[path].after if path in self._edits else self._files.read(path)

    def paths(self) -> Sequence[str]:
        """See `RepositoryFiles.paths`."""
        kept = {path for path in self._files.paths() if path not in self._edits or self._edits[path].after is not None}
        return sorted(kept | self._taken | {path for path, edit in self._edits.items() if edit.after is not None})

    def materialise(self, folder: Path) -> str:
        """See `RepositoryFiles.materialise`."""
        why_not = self._files.materialise(folder)
        if not why_not:
            for edit in self._edits.values():
                put(folder, edit)
        return why_not


Try = Callable[[int, Finding, PatchedFiles, RowOfRuns], Outcome]
"""Makes and proves the patch of one finding: its number, itself, the state that the patch is for, and what the tests said of that state."""


def mend(
    wanted: Sequence[Finding],
    files: PatchedFiles,
    fixers: Sequence[Fixer],
    policy: Policy,
    control: Control,
    said: Callable[[int, Finding], None] = lambda _, __: None,
    engines: Engines | None = None,
) -> Iterator[Outcome]:
    """Try to mend each finding; accepted patches are put on top of `files`, and the next ones see them.

    Args:
        said: told before each one is begun, and the how manieth of `wanted` it is: proving takes seconds, running tests minutes.
        engines: to share what was looked at with others.
    """
    eyes = engines or Engines(control)

    def first_that_passes(number: int, finding: Finding, now: PatchedFiles, tests: RowOfRuns) -> Outcome:
        said(number, finding)
        outcome = Outcome(finding, None, None)
        for patch in islice(patches(fixers, finding, now), RUNGS):
            try:
                proof = prove(finding=finding, patch=patch, files=now, policy=policy, control=control, engines=eyes, tests=tests)
            except SandboxBusy as failure:
                # There is no other attempt here, and the patches before this one are not to be lost with it.
                proof = gate.decide_proof([ProofCheck(gate.GONE, None, failure.message)], ())
            tried = Outcome(finding, patch, proof)
            # Of several that are refused the first is told of: it is the one that the fixer thinks best.
            outcome = tried if tried.accepted or outcome.patch is None else outcome
            if proof.word is not ProofWord.REFUSED:
                break
        return outcome if outcome.patch is not None else replace(outcome, error=why_none(fixers, finding, now))

    for outcome in mend_by(first_that_passes, wanted, files, eyes):
        if outcome is not None:
            yield outcome


def mend_by(attempt: Try, wanted: Sequence[Finding], files: PatchedFiles, engines: Engines) -> Iterator[Outcome | None]:
    """What becomes of each of `wanted`; None for one that the patches before it have mended as well. Accepted patches are put on top of
    `files`."""
    tests = RowOfRuns()
    moved: dict[str, tuple[Finding, ...]] = {}
    expected = [finding.location for finding in wanted]
    for number, original in enumerate(wanted, 1):
        finding = _now(original, expected[number - 1].line, moved)
        if finding is None:
            yield None
            continue
        outcome = attempt(number, finding, files, tests)
        if outcome.accepted and outcome.patch is not None:
            patch = outcome.patch
            files.apply(patch)
            tests.accept()
            if number < len(wanted):
                contents = {edit.path: edit.after for edit in patch.edits if edit.after is not None}
                found, _ = engines.look(contents)
                moved.update({path: tuple(f for f in found if f.location.path == path) for path in contents})
                expected = [replace(place, line=gate.mapped_line(patch, place) or place.line) for place in expected]
        yield outcome


def _now(finding: Finding, line: int, moved: dict[str, tuple[Finding, ...]]) -> Finding | None:
    """Where a finding stands after the patches so far, `line` being where it should; None when one of them has mended it too."""
    here = moved.get(finding.location.path)
    if here is None:
        return finding
    same = [f for f in here if f.fingerprint == finding.fingerprint]
    found = min(same, key=lambda f: abs(f.location.line - line), default=None)
    return None if found is None else replace(found, handle=finding.handle, witnesses=finding.witnesses)
