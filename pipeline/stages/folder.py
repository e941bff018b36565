"""A folder on disk, judged in memory: what `fixwright scan` does, without a database, a queue or a host."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pipeline.scanners
from pipeline.errors import EngineError, PolicyInvalid, UsageError
from pipeline.foreign import Log
from pipeline.leaks import Filter, marker_of
from pipeline.model.finding import Finding, Judged
from pipeline.model.ids import BlobId, CommitId
from pipeline.model.review import Verdict
from pipeline.model.scan import Coverage, Gap, GapClass, ScanResult, ScanType
from pipeline.phrases import short
from pipeline.plugins import discover
from pipeline.policy import Policy, PolicyDocument, PolicyEdit, PolicyPlaces, merge, policy_edit, read_document, record_of
from pipeline.ports import Control, Scanner
from pipeline.sandbox.git import Changed, Mirror, Worktree
from pipeline.stages.confer import place_logs, refuse_others
from pipeline.stages.examine import SideFile, examine_sides
from pipeline.stages.history import attribute, read_history
from pipeline.stages.policies import reader
from pipeline.stages.ruling import Ruling
from pipeline.stages.settle import compare_sides, ledger, with_handles
from pipeline.triage.baseline import Compared
from pipeline.triage.bundles import listed
from pipeline.triage.gate import decide_verdict
from pipeline.triage.witnesses import Placed, join

MAX_FILES = 200_000
HISTORY = 1_000
SECONDS = 900.0
"""Wall-clock limit of one engine on one batch of files. A person who waits can interrupt; a check on a host has a shorter one."""

_RUN_KEY = secrets.token_bytes(32)
"""Tells values of secrets apart within this run; it is never written anywhere."""


class DiskBlobs:
    """`pipeline.stages.examine.Blobs` over files of a folder, named by their paths instead of their contents."""

    def __init__(self, files: Mapping[BlobId, Path]) -> None:
        self._files = files

    def sizes(self, blobs: Iterable[BlobId]) -> dict[BlobId, int]:
        """Bytes of each file that is still there."""
        found = {}
        for blob in blobs:
            try:
                found[blob] = self._files[blob].lstat().st_size
            except OSError:
                continue
        return found

    def read(self, blobs: Iterable[BlobId], *, max_size: int) -> Iterator[tuple[BlobId, bytes]]:
        """Contents; a file that vanished meanwhile is left out, and the ledger says so."""
        for blob in blobs:
            try:
                content = self._files[blob].read_bytes()
            except OSError:
                continue
            if len(content) <= max_size:
                yield blob, content


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a scan of a folder says."""

    verdict: Verdict
    policy: Policy
    policy_source: str
    base: CommitId | None
    """The merge base that it was compared with, None for a scan of everything."""
    excerpts: Mapping[str, tuple[tuple[int, str], ...]]
    """Numbered lines around each finding, by `path:line:column`: the same text may stand in several files."""
    head: CommitId | None = None
    """The commit that was checked out; the files on the disk may differ from it. None without git, and before the first commit."""


def known_secrets(verdict: Verdict) -> Filter:
    """Takes the values of secrets that were found in this run out of what is shown of it."""
    secrets_found = [judged.finding.secret for judged in verdict.judged if judged.finding.secret]
    return Filter(marks=[base64.b64decode(secret.marks) for secret in secrets_found], marker=marker_of(_RUN_KEY))


def available_scanners(types: Sequence[ScanType] | None) -> dict[ScanType, Scanner]:
    """The scanners of these types, all of them when None. Raises UsageError for a type that this version does not have."""
    found = {scanner.scan_type: scanner for scanner in discover(pipeline.scanners, "SCANNER", Scanner).values()}
    if types is None:
        return found
    missing = [f"{t}" for t in types if t not in found]
    if missing:
        raise UsageError(f"there is no engine for {', '.join(missing)} in this version", hint=f"one of {', '.join(sorted(found))}")
    return {scan_type: found[scan_type] for scan_type in types}


def judge_folder(
    path: Path,
    base: str | None,
    types: Sequence[ScanType] | None,
    control: Control,
    places: PolicyPlaces,
    logs: Sequence[Log] = (),
) -> Judgement:
    """Scan a folder, whole or against a revision.

    Without a base every file is looked at and every finding is reported. With one, the change from the merge base to what lies on the
    disk is judged, and for secrets every commit on the way.

    Args:
        places: where the folder's policy may stand.
        logs: what other scanners said of what lies on the disk.

    Raises:
        UsageError: no such folder or revision, or a log is of another commit; PolicyInvalid; GitError.
    """
    worktree = Worktree.open(path)
    refuse_others(logs, worktree.head() if logs else None)
    scanners = available_scanners(types)
    if base is None:
        return _whole(worktree, scanners, control, places, logs)
    if not worktree.is_git:
        raise UsageError(f"{path} is no git repository, so there is no base to compare with", hint="leave --base out")
    return _against(worktree, worktree.named(base), scanners, control, places, logs)


def _whole(
    worktree: Worktree, scanners: Mapping[ScanType, Scanner], control: Control, places: PolicyPlaces, logs: Sequence[Log]
) -> Judgement:
    on_disk = dict(worktree.files(MAX_FILES + 1))
    document = _policy(places, lambda name: _read(on_disk.get(name)))
    policy = document.policy
    # Every file is looked at: what the folder itself says about exclusions counts only once it stands in a base.
    everything = policy.model_copy(update={"paths": type(policy.paths)()})
    names = sorted(on_disk)[:MAX_FILES]
    files = {_name(name): on_disk[name] for name in names}
    side = [SideFile(name, _name(name), "100644") for name in names]
    results = [_look(scanner, side, DiskBlobs(files), everything, control) for scanner in scanners.values()]
    findings = tuple(listed(finding for result in results for finding in result.findings))
    gaps = (Gap("fixwright", "", f"more than {MAX_FILES} files", GapClass.LIMIT),) if len(on_disk) > MAX_FILES else ()
    changed = [Changed(name, "A", "000000", "100644", BlobId("0" * 40), _name(name)) for name in names]
    coverage = ledger(results, [], changed, gaps)
    added = {name: [(1, 10_000_000)] for name in names}
    placed = _placed_logs(logs, worktree, on_disk, policy)
    joined = join(findings, placed.found)
    findings = (*joined.ours, *joined.alone)
    coverage = _with_logs(coverage, placed)
    compared = Compared(findings, (), (), ())
    contents = _contents(on_disk, findings)
    # Who scans a whole folder takes it as it is: there is no change in it that could let its own findings stand.
    ruling = Ruling(policy, record_of(merge(document), ()), PolicyEdit(), contents, is_base=True)
    verdict = _decide(ruling, scanners, compared, coverage, added, placed.notes)
    return Judgement(verdict, policy, document.where, None, _excerpts(verdict, on_disk), worktree.head())


def _against(
    worktree: Worktree,
    revision: CommitId,
    scanners: Mapping[ScanType, Scanner],
    control: Control,
    places: PolicyPlaces,
    logs: Sequence[Log],
) -> Judgement:
    head = worktree.resolve("HEAD")
    base = worktree.merge_base(revision, head) or revision
    mirror = worktree.as_mirror()
    document = _policy(places, reader(mirror, revision), revision)
    policy = document.policy
    changed = worktree.changed_since(base)
    on_disk = dict(worktree.files(MAX_FILES))
    new = [SideFile(c.path, _name(c.path), c.new_mode) for c in changed if c.new_blob.strip("0")]
    files = {_name(c.path): on_disk[c.path] for c in changed if c.path in on_disk}
    old = [SideFile(c.path, c.old_blob, c.old_mode) for c in changed if c.old_blob.strip("0")]
    sides: dict[str, list[ScanResult]] = {"base": [], "head": [], "history": []}
    for scan_type, scanner in scanners.items():
        sides["base"].append(_look(scanner, old, mirror, policy, control))
        sides["head"].append(_look(scanner, new, DiskBlobs(files), policy, control))
        if scan_type is ScanType.SECRETS:
            sides["history"].append(_history(scanner, mirror, base, head, policy, control))
    compared = compare_sides(sides["base"], sides["head"], sides["history"], changed)
    placed = _placed_logs(logs, worktree, on_disk, policy)
    touched = {c.path for c in changed}
    others = {witnessed.finding.location.path for witnessed in placed.found} & touched
    added = worktree.added_lines(base, sorted({f.location.path for f in compared.new} | others))
    compared = _with_others(compared, placed, added)
    edit = policy_edit(
        places=places,
        repository="",
        changed={c.path for c in changed},
        base=reader(mirror, revision),
        head=lambda name: _read(on_disk.get(name)),
        in_force=policy,
        parent=None,
    )
    ruling = Ruling(policy, record_of(merge(document), ()), edit, _contents(on_disk, compared.new), is_base=False)
    coverage = _with_logs(ledger(sides["head"], sides["history"], changed, ()), placed)
    verdict = _decide(ruling, scanners, compared, coverage, added, placed.notes)
    return Judgement(verdict, policy, document.where, base, _excerpts(verdict, on_disk), head)


def _placed_logs(logs: Sequence[Log], worktree: Worktree, on_disk: Mapping[str, Path], policy: Policy) -> Placed:
    return place_logs(logs, on_disk.keys(), lambda name: _read(on_disk.get(name)), str(worktree.root), policy.excluded)


def _with_logs(coverage: Coverage, placed: Placed) -> Coverage:
    return replace(coverage, runs=(*coverage.runs, *placed.runs), gaps=(*coverage.gaps, *placed.gaps))


def _with_others(compared: Compared, placed: Placed, added: Mapping[str, Sequence[tuple[int, int]]]) -> Compared:
    """A change with what other scanners said of its head. What stands on lines that the change did not add was there before."""

    def is_new(finding: Finding) -> bool:
        at = finding.location
        return any(first <= at.end_line and at.line <= last for first, last in added.get(at.path, ()))

    joined = join((*compared.new, *compared.unchanged), placed.found)
    count = len(compared.new)
    return replace(
        compared,
        new=(*joined.ours[:count], *(f for f in joined.alone if is_new(f))),
        unchanged=(*joined.ours[count:], *(f for f in joined.alone if not is_new(f))),
    )


def _contents(on_disk: Mapping[str, Path], findings: Sequence[Finding]) -> dict[str, bytes]:
    """The files in which findings stand."""
    paths = {finding.location.path for finding in findings}
    return {path: content for path in sorted(paths) if (content := _read(on_disk.get(path))) is not None}


def _policy(places: PolicyPlaces, read: Callable[[str], bytes | None], commit: str = "") -> PolicyDocument:
    """The policy in force. An error names the file and the line, which nobody else says on a command line, and so do the others."""
    try:
        return read_document(places, read, short(commit))
    except PolicyInvalid as error:
        first = _placed(error, error.path)
        first.others = tuple(_placed(other, error.path) for other in error.others)
        raise first from None


def _placed(error: PolicyInvalid, path: str) -> PolicyInvalid:
    place = f"{path}:{error.line}" if error.line else path
    return PolicyInvalid(f"{place}: {error.message}", line=error.line)


def _history(scanner: Scanner, mirror: Mirror, base: CommitId, head: CommitId, policy: Policy, control: Control) -> ScanResult:
    history = read_history(mirror, base, head, HISTORY)
    try:
        layers = examine_sides(scanner, dict(enumerate(history.layers)), mirror, policy, control, secret_key=_RUN_KEY, seconds=SECONDS)
    except EngineError as failure:
        # What it failed on may be gone from the head again.
        return ScanResult((), Coverage(gaps=(_failed(failure),), commits=history.commits))
    return attribute(history, list(layers.values()))


def _look(scanner: Scanner, files: list[SideFile], blobs: Mirror | DiskBlobs, policy: Policy, control: Control) -> ScanResult:
    """An engine that fails is a gap of this scan, and the others go on."""
    try:
        return examine_sides(scanner, {"": files}, blobs, policy, control, secret_key=_RUN_KEY, seconds=SECONDS)[""]
    except EngineError as failure:
        return ScanResult((), Coverage(gaps=(_failed(failure),)))


def _failed(failure: EngineError) -> Gap:
    return Gap(failure.engine, "", failure.message, GapClass.ERROR, failure.blame)


def _decide(
    ruling: Ruling,
    scanners: Mapping[ScanType, Scanner],
    compared: Compared,
    coverage: Coverage,
    added: Mapping[str, Sequence[tuple[int, int]]],
    notes: Sequence[str] = (),
) -> Verdict:
    # Who names the types on the command line decides what is required in this run.
    policy = ruling.policy
    asked = policy.model_copy(update={"engines": type(policy.engines)(required=tuple(scanners))})
    today = datetime.now(UTC).date()
    # Handles are given by the store. Without one, a line could be written so that it gets the handle of something ignored.
    suppressed = ruling.suppressed(_nobody, {}, today)
    verdict = decide_verdict(
        policy=asked, compared=compared, coverage=coverage, added=added, notes=(*_by_handle(policy), *notes), suppressed=suppressed
    )
    return with_handles(ruling.explain(verdict, _nobody, {}, today), {})


def _nobody(_: Finding) -> None:
    """People's waivers are in the store."""


def _by_handle(policy: Policy) -> tuple[str, ...]:
    named = [entry.finding for entry in policy.ignore if entry.finding and not entry.finding.startswith("v1:")]
    if not named:
        return ()
    return (f"The policy ignores {', '.join(named)}: only the server knows whose handle that is; here a fingerprint is needed.",)


def _excerpts(verdict: Verdict, on_disk: Mapping[str, Path]) -> dict[str, tuple[tuple[int, str], ...]]:
    """The flagged lines. Of a secret none: its value stands there."""
    found = {}
    for judged in verdict.judged:
        location = judged.finding.location
        content = _read(on_disk.get(location.path)) if judged.finding.secret is None else None
        if content is not None:
            found[f"{location.path}:{location.line}:{location.column}"] = _lines(content, judged)
    return found


def _lines(content: bytes, judged: Judged) -> tuple[tuple[int, str], ...]:
    lines = content.decode("utf-8", "replace").splitlines()
    source, location = judged.finding.source, judged.finding.location
    wanted = [location.line]
    if source is not None and source.path == location.path and source.line != location.line:
        wanted.insert(0, source.line)
    return tuple((number, lines[number - 1][:200]) for number in wanted if 0 < number <= len(lines))


def _read(path: Path | None) -> bytes | None:
    try:
        return None if path is None else path.read_bytes()
    except OSError:
        return None


def _name(path: str) -> BlobId:
    return BlobId(hashlib.sha1(path.encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest())
