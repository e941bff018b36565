"""The gate that every fix must pass, whoever made it: engines, parsers and the repository's tests, before and after.

Everything is run on copies that nobody else writes to. What the facts mean is decided in `pipeline.triage.proof`.
"""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pipeline.scanners
from pipeline.errors import EngineError, SandboxBusy, SandboxUnavailable, Superseded
from pipeline.formats import format_of
from pipeline.model.finding import Finding, Location
from pipeline.model.fix import FileEdit, Patch, Proof, ProofCheck, ProofWord, TestRun
from pipeline.model.ids import BlobId
from pipeline.model.scan import Coverage, EngineInfo, Tree
from pipeline.plugins import discover
from pipeline.policy import Paths, Policy
from pipeline.ports import Control, Scanner
from pipeline.sandbox.tree import private_folder, write_tree
from pipeline.scanners import semgrep
from pipeline.stages.examine import SECONDS, Cache, SideFile, examine_sides, merge
from pipeline.stages.exploits import attack
from pipeline.stages.lint import lint
from pipeline.stages.rescan import ask_again, not_asked
from pipeline.stages.sources import CommitFiles, FolderFiles, RepositoryFiles, put
from pipeline.stages.testruns import TestPlan, plan_tests, run_and_read
from pipeline.triage import proof as gate
from pipeline.triage.baseline import compare
from pipeline.triage.mutants import WORDS, Mark, Mutant, NotMutable, marked, mutants, reverts

__all__ = ["CommitFiles", "Engines", "FolderFiles", "RepositoryFiles", "prove"]

log = logging.getLogger(__name__)

RESIDUE_SECONDS = 60.0
"""Wall-clock limit of one search for residues."""

_NOT_EXECUTED = (".yml", ".yaml", ".env", ".example", ".md", ".txt", ".ini", ".cfg", ".toml", ".json", ".properties")
"""Files without statements: no test can run one."""

Residues = Callable[[str, Tree, Control, float], Sequence[Location]]
"""(rule id, tree, control, seconds) -> every place where the rule's dangerous function stands, harmless or not."""


@dataclass
class Engines:
    """All engines, as the gate uses them. One may serve many proofs: what is asked again of the same contents is remembered.

    Args:
        control: see `pipeline.ports.Control`.
        scanners: None: all that are installed as plug-ins.
        seconds: wall-clock limit of one run of one engine.
    """

    control: Control
    scanners: Sequence[Scanner] | None = None
    residues: Residues = semgrep.residues
    cache: Cache | None = None
    seconds: float = SECONDS
    _known: dict[tuple[str, str], tuple[Location, ...]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        if self.scanners is None:
            self.scanners = tuple(discover(pipeline.scanners, "SCANNER", Scanner).values())
        if self.cache is None:
            self.cache = _Remembered()

    def infos(self) -> tuple[EngineInfo, ...]:
        """The engines that would look now. Raises EngineMissing."""
        return tuple(scanner.info(self.control) for scanner in self.scanners or ())

    def look(self, contents: Mapping[str, bytes]) -> tuple[tuple[Finding, ...], Coverage]:
        """What all engines report on these files. Exclusions of a policy do not hold here: a fix must not move things out of sight.

        Raises:
            EngineError, SandboxUnavailable.
        """
        blobs = _Contents(contents)
        policy = Policy(paths=Paths())
        sides = {"": blobs.files}
        results = [
            examine_sides(scanner, sides, blobs, policy, self.control, cache=self.cache, seconds=self.seconds)[""]
            for scanner in self.scanners or ()
        ]
        return tuple(finding for result in results for finding in result.findings), merge(results)

    def residue(self, rule_id: str, contents: Mapping[str, bytes]) -> tuple[Location, ...]:
        """Where the dangerous function of a rule stands in these files, in any form.

        Raises:
            KeyError: the rule has no such patterns; EngineError, SandboxUnavailable.
        """
        blobs = _Contents(contents)
        key = (
            rule_id,
            hashlib.sha256("\0".join(f"{f.path}\0{f.blob}" for f in blobs.files).encode("utf-8", "surrogateescape")).hexdigest(),
        )
        with self._lock:
            if key in self._known:
                return self._known[key]
        with private_folder("residue") as folder:
            tree = write_tree(folder / "tree", blobs.triples())
            found = tuple(self.residues(rule_id, tree, self.control, min(RESIDUE_SECONDS, self.seconds)))
        with self._lock:
            self._known[key] = found
        return found


class _Contents:
    """Files in memory as `pipeline.stages.examine` wants them."""

    def __init__(self, contents: Mapping[str, bytes]) -> None:
        self._by_blob: dict[BlobId, bytes] = {}
        self.files: list[SideFile] = []
        for path in sorted(contents):
            blob = BlobId(hashlib.sha256(contents[path]).hexdigest())
            self._by_blob[blob] = contents[path]
            self.files.append(SideFile(path, blob, "100644"))

    def triples(self) -> Iterator[tuple[str, BlobId, bytes]]:
        """Path, blob and content of each."""
        for file in self.files:
            yield file.path, file.blob, self._by_blob[file.blob]

    def sizes(self, blobs: Iterable[BlobId]) -> Mapping[BlobId, int]:
        """See `pipeline.stages.examine.Blobs`."""
        return {blob: len(self._by_blob[blob]) for blob in blobs}

    def read(self, blobs: Iterable[BlobId], *, max_size: int) -> Iterator[tuple[BlobId, bytes]]:
        """See `pipeline.stages.examine.Blobs`."""
        for blob in blobs:
            if len(self._by_blob[blob]) <= max_size:
                yield blob, self._by_blob[blob]


class _Remembered:
    """A cache for the length of some proofs: the state before a patch is asked for once."""

    def __init__(self) -> None:
        self._entries: dict[bytes, bytes] = {}

    def get_many(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """See `pipeline.stages.examine.Cache`."""
        return {key: self._entries[key] for key in keys if key in self._entries}

    def put_many(self, entries: Mapping[bytes, bytes]) -> None:
        """See `pipeline.stages.examine.Cache`."""
        self._entries.update(entries)


@dataclass
class RowOfRuns:
    """What the tests said of the state that the next patch is made for: a row of patches on top of each other runs them once for each
    state, and not again before each patch."""

    before: dict[tuple[str, ...], TestRun] = field(default_factory=dict)
    """By the command, without any patch."""
    after: dict[tuple[str, ...], TestRun] = field(default_factory=dict)
    """With the patch that was tried last."""

    def accept(self) -> None:
        """The patch that was tried last stays: what it left is the state that the next one is made for."""
        self.before, self.after = self.after, {}


def prove(
    *,
    finding: Finding,
    patch: Patch,
    files: RepositoryFiles,
    policy: Policy,
    control: Control,
    run_tests: bool = True,
    cancelled: Callable[[], bool] | None = None,
    engines: Engines | None = None,
    tests: RowOfRuns | None = None,
    others: Sequence[Finding] = (),
) -> Proof:
    """Put one patch for one finding through the whole gate.

    Args:
        files: the state that the patch is made for; its contents must be the patch's `before`.
        policy: of the base; only its tests are used.
        run_tests: False: the quick gate that may run before anybody asked; nothing of the repository is executed.
        cancelled: asked between steps; default `control.cancelled`.
        engines: to share what was looked at between several proofs.
        tests: to share what the tests said between patches for one state after the other.
        others: for a patch that a person made: what else the engines report in the flagged file. Who mends by hand mends all that is
            alike, so changes that belong to others that are gone as well are no stray ones. A fixer's patch has no such excuse.

    Returns:
        A proof with its word. An engine or sandbox that is missing makes it "could not check", never a pass.

    Raises:
        Superseded: nobody wants the answer any more; SandboxBusy: no program could be started just now, which says nothing of the patch;
            GitError from `files`.
    """
    started = time.monotonic()
    step = _Steps(cancelled or control.cancelled)
    checks = [_applies(patch, files)]
    infos: tuple[EngineInfo, ...] = ()
    unproven: tuple[str, ...] = ("the repository's tests were not run",)
    if checks[0].passed:
        checks += gate.check_text(patch, finding)
        if not all(check.passed for check in checks) and (
            also := _mended_as_well(finding, patch, others, engines or Engines(control), step)
        ):
            checks = [checks[0], *gate.check_text(patch, finding, also)]
    if all(check.passed for check in checks):
        step.go_on()
        try:
            eyes = engines or Engines(control)
            infos = eyes.infos()
            checks += _engine_checks(finding, patch, eyes, step)
        except SandboxBusy:
            raise  # not "could not check": in a moment it can
        except (EngineError, SandboxUnavailable) as failure:
            if run_tests:
                log.warning("fix.not_checked", extra={"code": failure.code})
            else:
                log.warning("fix.not_checked_ahead", extra={"code": failure.code})
            checks.append(ProofCheck(gate.GONE, None, failure.message))
    others_said = ask_again(finding, patch) if run_tests and all(check.passed for check in checks) else None
    if run_tests and all(check.passed for check in checks):
        said, unproven = _test_checks(patch, files, policy, step, tests or RowOfRuns())
        checks += said
        if all(check.passed is not False for check in checks):
            step.go_on()
            checks += lint(patch, files)
    if others_said is not None:
        checks.append(others_said)
        unproven = (*unproven, *not_asked(others_said))
    proof = gate.decide_proof(checks, unproven, infos, time.monotonic() - started)
    if run_tests and proof.word in (ProofWord.VERIFIED, ProofWord.RESCANNED):
        step.go_on()
        attacked = attack(finding, patch, files, policy)
        proof = gate.with_exploit(proof, attacked.stopped, time.monotonic() - started)
        proof = gate.with_standing(proof, attacked.stands)
    return proof


@dataclass
class _Steps:
    cancelled: Callable[[], bool]

    def go_on(self) -> None:
        """Raise Superseded when nobody waits any more."""
        if self.cancelled():
            raise Superseded("the change that this fix is for is no longer the newest")


def _applies(patch: Patch, files: RepositoryFiles) -> ProofCheck:
    stale = [edit.path for edit in patch.edits if files.read(edit.path) != edit.before]
    if not patch.edits or all(edit.before == edit.after for edit in patch.edits):
        return ProofCheck(gate.APPLIES, False, "the patch changes nothing")
    if stale:
        return ProofCheck(gate.APPLIES, False, f"the patch was made for another state of {', '.join(stale)}")
    return ProofCheck(gate.APPLIES, True, "every changed file is as the patch expects it")


# --- engines --------------------------------------------------------------------------------------------------------------------------


def _mended_as_well(finding: Finding, patch: Patch, others: Sequence[Finding], engines: Engines, step: _Steps) -> tuple[Finding, ...]:
    """What else of its rule a patch mends in the same file; nothing when there is nothing else, or when the engines cannot say."""
    path = finding.location.path
    after = {edit.path: edit.after for edit in patch.edits if edit.path == path and edit.after is not None}
    if not after or not any(
        (one.rule.id, one.location.path) == (finding.rule.id, path) and one.location != finding.location for one in others
    ):
        return ()
    step.go_on()
    try:
        found, coverage = engines.look(after)
    except SandboxBusy:
        raise
    except (EngineError, SandboxUnavailable):
        return ()
    return () if coverage.breaking else gate.mended_as_well(finding, others, found)


def _engine_checks(finding: Finding, patch: Patch, engines: Engines, step: _Steps) -> list[ProofCheck]:
    before = {edit.path: edit.before for edit in patch.edits if edit.before is not None}
    after = {edit.path: edit.after for edit in patch.edits if edit.after is not None}
    old, old_coverage = engines.look(before)
    step.go_on()
    new, coverage = engines.look(after)
    step.go_on()
    unseen = {gap.path for gap in coverage.breaking} | {gap.path for gap in old_coverage.breaking}
    if unseen:
        gap = [*coverage.breaking, *old_coverage.breaking][0]
        return [ProofCheck(gate.GONE, None, f"{gap.engine} did not look at {gap.path or 'the files'}: {gap.reason}")]
    # Every changed file was looked at on both sides, or is gone.
    compared = compare(old, new, covered=lambda _: True)
    checks = [gate.check_gone(finding, compared, old, new, patch)]
    if checks[0].passed is None:
        return checks
    return [*checks, _residue_check(finding, patch, before, after, engines), gate.check_new(finding, compared, old, new, patch)]


def _residue_check(finding: Finding, patch: Patch, before: Mapping[str, bytes], after: Mapping[str, bytes], engines: Engines) -> ProofCheck:
    rule = finding.rule.id
    if finding.secret is not None:
        return ProofCheck(gate.NO_RESIDUE, True, "the value stands in no changed file, plain or encoded")
    try:
        return gate.check_residue(engines.residue(rule, before), engines.residue(rule, after), patch, finding)
    except KeyError:
        return ProofCheck(gate.NO_RESIDUE, None, f"{rule} does not say what its dangerous function looks like in other forms")


# --- tests ----------------------------------------------------------------------------------------------------------------------------


def _test_checks(
    patch: Patch, files: RepositoryFiles, policy: Policy, step: _Steps, memory: RowOfRuns
) -> tuple[list[ProofCheck], tuple[str, ...]]:
    memory.after = {}
    plan = plan_tests(files, policy, patch.paths)
    if plan.said:
        return [ProofCheck(gate.TESTS, None, plan.said)], gate.not_proven(None, None, guarded=False)
    try:
        with private_folder("tests") as folder:
            return _run_all(_Bench(plan, files, patch, folder, policy.tests.timeout), step, memory)
    except SandboxBusy:
        raise
    except SandboxUnavailable as failure:
        return [ProofCheck(gate.TESTS, None, failure.message)], gate.not_proven(None, None, guarded=False)


@dataclass
class _Bench:
    """Copies of the repository, one for each run: a test that writes must not change the next run."""

    plan: TestPlan
    files: RepositoryFiles
    patch: Patch
    folder: Path
    seconds: float
    runs: int = 0

    def prepare(self) -> str:
        """Lay out the state before the patch. Returns why it could not be done, or `""`."""
        pristine = self.folder / "pristine"
        pristine.mkdir()
        return self.files.materialise(pristine)

    def run(self, edits: Sequence[FileEdit], seconds: float | None = None) -> TestRun:
        """Run the tests once on the state before the patch with these edits. Raises SandboxUnavailable."""
        return self.read(edits, seconds)[0]

    def read(self, edits: Sequence[FileEdit], seconds: float | None = None, marks: Path | None = None) -> tuple[TestRun, bytes]:
        """As `run`, with what was printed."""
        self.runs += 1
        copy = self.folder / f"run{self.runs}"
        shutil.copytree(self.folder / "pristine", copy, symlinks=True)
        for edit in edits:
            put(copy, edit)
        try:
            return run_and_read(self.plan, copy, seconds or self.seconds, marks)
        finally:
            shutil.rmtree(copy, ignore_errors=True)

    def watch(
        self, edits: Sequence[FileEdit], marks: Sequence[Mark], seconds: float | None = None
    ) -> tuple[TestRun, bytes, frozenset[Mark]]:
        """As `read`, on files with marks (see `pipeline.triage.mutants.marked`), and those of them that were reached."""
        folder = self.folder / f"marks{self.runs}"
        folder.mkdir()
        for name in (name for mark in marks for name in (mark.file, mark.decoy)):
            (folder / name).touch()
            os.utime(folder / name, (0, 0))
        run, printed = self.read(edits, seconds, folder)
        if any(_touched(folder / mark.decoy) for mark in marks):
            # Who touches what no code touches does not run code.
            return run, printed, frozenset()
        return run, printed, frozenset(mark for mark in marks if _touched(folder / mark.file))


def _new_marks() -> Iterator[Mark]:
    names: set[str] = set()
    while True:
        file, decoy = secrets.token_hex(2), secrets.token_hex(2)
        if file != decoy and not names & {file, decoy}:
            names |= {file, decoy}
            yield Mark(file, decoy, bool(secrets.randbelow(2)))


def _touched(mark: Path) -> bool:
    try:
        return mark.lstat().st_mtime_ns > 0
    except OSError:  # the tests took it away
        return False


def _run_all(bench: _Bench, step: _Steps, memory: RowOfRuns) -> tuple[list[ProofCheck], tuple[str, ...]]:
    said = bench.prepare()
    if said:
        return [ProofCheck(gate.TESTS, None, said)], gate.not_proven(None, None, guarded=False)
    command = bench.plan.argv
    before = memory.before.get(command) or bench.run(())
    memory.before[command] = before
    step.go_on()
    if not before.passed:
        memory.after[command] = before  # no patch makes tests run that do not run here
        return [gate.check_tests(before, before)], gate.not_proven(None, None, guarded=False)
    after = memory.after[command] = bench.run(bench.patch.edits)
    step.go_on()
    flaky: frozenset[str] = frozenset()
    if set(before.passed) - set(after.passed):
        # A test that comes and goes without the patch is no witness against it.
        again = bench.run(())
        step.go_on()
        flaky = frozenset(before.passed) ^ frozenset(again.passed)
    checks = [gate.check_tests(before, after, flaky)]
    if not checks[0].passed:
        return checks, gate.not_proven(before, after, guarded=False)
    guarding = _break(bench, after, flaky, step)
    put_back = _put_back(bench, before, after, flaky, step)
    guarded = all(check.passed for check in guarding)
    return [*checks, *guarding, put_back], gate.not_proven(before, after, guarded, bool(put_back.passed))


def _break(bench: _Bench, after: TestRun, flaky: frozenset[str], step: _Steps) -> list[ProofCheck]:
    """See which changed statements the tests run, break every one of them, one at a time, and see whether a test notices."""
    edits, marks = bench.patch.edits, _new_marks()
    try:
        found = [mutant for edit in edits if _executed(edit) for mutant in mutants(edit, marks)]
        watched = {edit.path: marked(edit, marks) for edit in edits if _executed(edit)}
    except NotMutable as reason:
        return [ProofCheck(gate.BROKEN, None, str(reason))]
    if not found:
        return [gate.check_broken(after, (), flaky)]
    there = [pair for sites, _ in watched.values() for pair in sites]
    contents = [FileEdit(edit.path, None, watched[edit.path][1]) if edit.path in watched else edit for edit in edits]
    seen, _, touched = bench.watch(contents, [mark for _, mark in there])
    step.go_on()
    covered = gate.check_covered([gate.Watched(site.path, site.line, mark in touched) for site, mark in there], after, seen)
    if not covered.passed:
        return [covered]
    # Who fails with a mark in a file reads its text, or fails by chance: no witness.
    flaky |= set(after.passed) - set(seen.passed)
    return [covered, gate.check_broken(after, _run_each(bench, found, after, step, flaky), flaky)]


def _executed(edit: FileEdit) -> bool:
    return edit.after is not None and not edit.path.endswith(_NOT_EXECUTED) and format_of(edit.path) is None


def _put_back(bench: _Bench, before: TestRun, after: TestRun, flaky: frozenset[str], step: _Steps) -> ProofCheck:
    """Put the old weakness back, one place at a time, and see whether a test that failed without the patch fails again."""
    if not set(before.failed) & set(after.passed):
        return gate.check_put_back(before, after, (), flaky)
    try:
        found = [mutant for edit in bench.patch.edits if edit.before is not None and edit.after is not None for mutant in reverts(edit)]
    except NotMutable as reason:
        return ProofCheck(gate.PUT_BACK, None, str(reason))
    if len(found) == 1 and len(bench.patch.edits) == 1 and found[0].content == bench.patch.edits[0].before:
        return gate.check_put_back(before, after, (gate.Broken(found[0].path, found[0].line, before),), flaky)
    return gate.check_put_back(before, after, _run_each(bench, found, after, step), flaky)


def _run_each(
    bench: _Bench, mutants: Sequence[Mutant], after: TestRun, step: _Steps, flaky: frozenset[str] | None = None
) -> list[gate.Broken]:
    """Args: flaky: tests that are no witnesses of a crash; None: nothing was made to crash."""
    # A crash ends tests early, so a mutant that takes much longer hangs.
    seconds = min(bench.seconds, 10 + 5 * after.seconds)
    runs: list[gate.Broken] = []
    for mutant in mutants:
        others = [edit for edit in bench.patch.edits if edit.path != mutant.path]
        edits = [*others, FileEdit(mutant.path, None, mutant.content)]
        run, printed, touched = bench.watch(edits, [mutant.mark] if mutant.mark is not None else [], seconds)
        step.go_on()
        again = None
        if flaky is not None and WORDS.encode() not in printed and set(after.passed) - set(run.passed) - flaky:
            # Something failed, and nothing says why: it may have been chance.
            again = bench.run(edits, seconds)
            step.go_on()
        runs.append(gate.Broken(mutant.path, mutant.line, run, again, mutant.mark is None or mutant.mark in touched))
    return runs
