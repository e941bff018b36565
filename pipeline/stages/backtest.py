"""Old changes, judged as a review would have judged them when they were open: the same engines, decisions and speaking rule.

File versions of many changes go into one start of an engine, and what an engine said of a version is remembered (`Cache`): whoever is
stopped in the middle goes on where it was. Nothing of the repository is executed, and nothing is written into it.
"""

from __future__ import annotations

import base64
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime

from pipeline.errors import EngineError, PolicyInvalid, SandboxBusy, UsageError
from pipeline.leaks import Filter, marker_of
from pipeline.model.backtest import Past, Remarked, Replayed
from pipeline.model.finding import Finding, Judged, Standing
from pipeline.model.ids import CommitId
from pipeline.model.report import Report, Thread
from pipeline.model.review import Verdict
from pipeline.model.scan import Coverage, Gap, GapClass, ScanResult, ScanType
from pipeline.patches import render_diff
from pipeline.phrases import short, title
from pipeline.policy import DEFAULTS, Paths, Policy, PolicyDocument, PolicyPlaces, merge, policy_edit, read_document, record_of
from pipeline.ports import Capabilities, Control, Fixer, Scanner
from pipeline.sandbox.git import Changed, Mirror
from pipeline.stages.ahead import Offer, may_speak, offers_ahead, threads_ahead, voices_of
from pipeline.stages.context import HISTORY
from pipeline.stages.examine import Cache, SideFile, examine_sides
from pipeline.stages.hindsight import Now, look_back
from pipeline.stages.history import History, attribute, read_history
from pipeline.stages.keptengines import KeptEngines
from pipeline.stages.policies import reader
from pipeline.stages.prove import CommitFiles
from pipeline.stages.ruling import Ruling, remarked
from pipeline.stages.scan import CHANGED_FILES, new_side, old_side
from pipeline.stages.settle import compare_sides, ledger, with_handles
from pipeline.triage.diff import Added
from pipeline.triage.gate import decide_verdict

log = logging.getLogger(__name__)

SECONDS = 900.0
"""Wall-clock limit of one run of an engine on the versions of many changes."""
TOGETHER = 400
"""Versions of files that are looked at in one go: enough that the start of an engine does not count, and few enough that little is lost
when somebody stops it."""
PROOF_SECONDS = 120.0
"""The same for one run of the gate."""
BUSY_TRIES, BUSY_SECONDS = 5, 2.0
"""While no program can be started the gate is asked again, so often and after so long."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What judges, and where it looks."""

    mirror: Mirror
    scanners: Mapping[ScanType, Scanner]
    fixers: Sequence[Fixer]
    control: Control
    cache: Cache
    key: bytes
    """Tells values of secrets apart; the same in each run, or nothing that is remembered can be used."""
    places: PolicyPlaces
    capabilities: Capabilities = field(default_factory=Capabilities)
    """Of the host on which it would have been said."""
    version: str = ""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A change with everything that was read of it before an engine looks."""

    past: Past
    document: PolicyDocument
    gaps: tuple[Gap, ...]
    changed: list[Changed]
    history: History

    @property
    def versions(self) -> int:
        return 2 * len(self.changed) + sum(len(layer) for layer in self.history.layers)


_Sides = dict[ScanType, dict[str, ScanResult]]
"""By engine, what it said of the base, the head and the history of one change."""


def replay(tools: Tools, changes: Sequence[Past], tip: CommitId, progress: Callable[[int, int], None]) -> list[Replayed]:
    """Judge changes of the past, and look at what became of what would have been said.

    Args:
        changes: oldest first: a policy that cannot be read is replaced by the last one that could.
        tip: the branch as it is now.
        progress: told how many changes are judged, of how many.

    Raises:
        GitError: something of the repository cannot be read; Superseded.
    """
    asked = _read(tools, changes)
    done: list[Replayed] = []
    progress(0, len(asked))
    for group in _groups(asked):
        for one, sides in zip(group, _examine(tools, group), strict=True):
            done.append(_judge(tools, one, sides))
            progress(len(done), len(asked))
    now = _now(tools, done, tip)
    return [replace(one, remarks=tuple(look_back(now, one.past.head, one.remarks))) for one in done]


# --- reading --------------------------------------------------------------------------------------------------------------------------


def _read(tools: Tools, changes: Sequence[Past]) -> list[_Asked]:
    found = []
    good: PolicyDocument | None = None
    for past in changes:
        document, gaps = _policy(tools, past, good)
        good = document if not gaps else good
        changed, truncated = tools.mirror.changes(past.base, past.head, limit=CHANGED_FILES)
        if truncated:
            gaps = (*gaps, Gap("git", "", f"more than {CHANGED_FILES} files changed", GapClass.LIMIT))
        history = read_history(tools.mirror, past.base, past.head, HISTORY)
        found.append(_Asked(past, document, gaps, changed, history))
    if tools.mirror.remote is None:
        _need_contents(tools.mirror, found)
    return found


def _need_contents(mirror: Mirror, asked: Sequence[_Asked]) -> None:
    """Raises UsageError for a clone without the contents of most files, which is read as it is: nothing is fetched into it. Where a few are
    missing, each is a gap of its change."""
    files = [file for one in asked for side in (new_side(one.changed), old_side(one.changed)) for file in side]
    wanted = {file.blob for file in files if file.mode in ("100644", "100755")}
    if 2 * len(mirror.sizes(wanted)) < len(wanted):
        hint = "make a whole one (git clone without --filter), or give the address of the repository instead"
        raise UsageError("this is a partial clone: most contents of files that changed are missing", hint=hint)


def _policy(tools: Tools, past: Past, good: PolicyDocument | None) -> tuple[PolicyDocument, tuple[Gap, ...]]:
    """As `pipeline.stages.policies`: of a file that cannot be used the last good one is in force, and without one no check is green."""
    try:
        return read_document(tools.places, reader(tools.mirror, past.policy_commit), short(past.policy_commit)), ()
    except PolicyInvalid as error:
        if good is not None:
            return good, ()
        line = f"line {error.line}: " if error.line else ""
        gap = Gap("policy", "", f"the policy file cannot be used ({line}{error.message})", GapClass.ERROR, "us")
        return PolicyDocument(Policy(on_incomplete="fail"), DEFAULTS), (gap,)


# --- engines --------------------------------------------------------------------------------------------------------------------------


def _groups(asked: Sequence[_Asked]) -> Iterator[list[_Asked]]:
    """Neighbours under the same policy, as many as one start of an engine takes."""
    group: list[_Asked] = []
    total = 0
    for one in asked:
        if group and (total + one.versions > TOGETHER or one.document.policy != group[0].document.policy):
            yield group
            group, total = [], 0
        group.append(one)
        total += one.versions
    if group:
        yield group


def _examine(tools: Tools, group: Sequence[_Asked]) -> list[_Sides]:
    """What each engine says of each change. An engine that fails on all of them together is asked for each alone: one change must not
    stand in the way of the others."""
    out: list[_Sides] = [{} for _ in group]
    for scan_type, scanner in tools.scanners.items():
        sides = _together(tools, scanner, group)
        if len(group) > 1 and any(_whole(side) for side in sides):
            sides = [_together(tools, scanner, [one])[0] for one in group]
        for place, side in zip(out, sides, strict=True):
            place[scan_type] = side
    return out


def _together(tools: Tools, scanner: Scanner, group: Sequence[_Asked]) -> list[dict[str, ScanResult]]:
    try:
        return _run(tools, scanner, group)
    except EngineError as failure:
        return [_failed(failure) for _ in group]


def _failed(failure: EngineError) -> dict[str, ScanResult]:
    log.warning("engine.failed", extra={"engine": failure.engine, "code": failure.code})
    return {"head": ScanResult((), Coverage(gaps=(Gap(failure.engine, "", failure.message, GapClass.ERROR, failure.blame),)))}


def _whole(sides: Mapping[str, ScanResult]) -> bool:
    """Whether an engine left a gap for its whole run."""
    return any(not gap.path and gap.gap_class is GapClass.ERROR for side in sides.values() for gap in side.coverage.gaps)


def _run(tools: Tools, scanner: Scanner, group: Sequence[_Asked]) -> list[dict[str, ScanResult]]:
    """As `pipeline.stages.scan`, for several changes at once. Raises EngineError."""
    states: dict[tuple[int, str, int], list[SideFile]] = {}
    for number, one in enumerate(group):
        states[number, "head", 0] = new_side(one.changed)
        states[number, "base", 0] = old_side(one.changed)
        if scanner.scan_type is ScanType.SECRETS:
            states |= {(number, "layer", n): layer for n, layer in enumerate(one.history.layers)}
    policy = group[0].document.policy
    results = examine_sides(
        scanner, states, tools.mirror, policy, tools.control,
        cache=tools.cache, secret_key=tools.key, seconds=SECONDS, fetch=tools.mirror.ensure_blobs,
    )  # fmt: skip
    out = []
    for number, one in enumerate(group):
        sides = {"base": results[number, "base", 0], "head": results[number, "head", 0]}
        if scanner.scan_type is ScanType.SECRETS:
            layers = [results[key] for key in states if key[:2] == (number, "layer")]
            sides["history"] = attribute(one.history, layers)
        out.append(sides)
    return out


# --- judging --------------------------------------------------------------------------------------------------------------------------


def _judge(tools: Tools, one: _Asked, sides: _Sides) -> Replayed:
    past, policy = one.past, one.document.policy
    by_side = {name: [side[name] for side in sides.values() if name in side] for name in ("base", "head", "history")}
    verdict = _verdict(tools, one, by_side)
    # What people made of findings here is in the store of a server: each rule is heard as far as it is known to be right elsewhere.
    voices = voices_of(verdict, {})
    speakable = may_speak(tools.fixers, verdict, policy.speak, voices)
    found = [finding for results in by_side.values() for result in results for finding in result.findings]
    marks = [base64.b64decode(finding.secret.marks) for finding in found if finding.secret]
    known = Filter(marks=marks, marker=marker_of(tools.key))
    report = Report(verdict, past.head, past.base, tool_version=tools.version, policy_source=one.document.where)
    threads: dict[str, Thread] = {}
    diffs: dict[str, str] = {}
    if speakable:
        added = tools.mirror.added_lines(past.base, past.head, sorted({j.finding.location.path for j in speakable}))
        offers = _offers(tools, one, speakable, added, known)
        wanted = threads_ahead(speakable, report, offers, voices, added, tools.capabilities)
        most = min(tools.capabilities.threads, policy.speak.threads)
        threads = {thread.fingerprint: replace(thread, body=known.clean(thread.body)) for thread in wanted[:most]}
        diffs = {fingerprint: known.clean(render_diff(offer.patch)) for fingerprint, offer in offers.items()}
    listed = (*verdict.standing(Standing.BLOCKS), *verdict.standing(Standing.WARNS))
    told = replace(past, title=known.clean(past.title))
    return Replayed(told, verdict, known.clean(title(report)), tuple(_remarks([_cleaned(j, known) for j in listed], threads, diffs)))


def _cleaned(judged: Judged, known: Filter) -> Judged:
    """Without the values of secrets that stand beside it."""
    finding = judged.finding
    return replace(judged, finding=replace(finding, excerpt=known.clean(finding.excerpt), detail=known.clean(finding.detail)))


def _remarks(listed: Sequence[Judged], threads: dict[str, Thread], diffs: Mapping[str, str]) -> Iterator[Remarked]:
    """Everything that blocks or warns. Of several findings with one identity the worst has the thread."""
    for judged in listed:
        name = judged.finding.fingerprint
        thread = threads.pop(name, None) if judged.in_diff else None
        yield Remarked(judged, thread, diffs.get(name, "") if thread is not None else "")


def _verdict(tools: Tools, one: _Asked, by_side: Mapping[str, Sequence[ScanResult]]) -> Verdict:
    """As `pipeline.stages.settle`, on the day on which the change came in; what people let stand by commands is not known here."""
    past, mirror, policy = one.past, tools.mirror, one.document.policy
    compared = compare_sides(by_side["base"], by_side["head"], by_side["history"], one.changed)
    paths = sorted({finding.location.path for finding in compared.new})
    added = mirror.added_lines(past.base, past.head, paths) if paths else {}
    coverage = ledger(by_side["head"], by_side["history"], one.changed, one.gaps)
    edit = policy_edit(
        places=tools.places,
        repository="",
        changed={c.path for c in one.changed},
        base=reader(mirror, past.policy_commit),
        head=reader(mirror, past.head),
        in_force=policy,
        parent=None,
    )
    contents = remarked(mirror, past.head, compared.new)
    ruling = Ruling(policy, record_of(merge(one.document), ()), edit, contents, is_base=False)
    day = _day(past.when)
    suppressed = ruling.suppressed(_nobody, {}, day)
    verdict = decide_verdict(policy=policy, compared=compared, coverage=coverage, added=added, suppressed=suppressed)
    return with_handles(ruling.explain(verdict, _nobody, {}, day), {})


def _day(when: int) -> date:
    """Anybody can write any time into a commit."""
    try:
        return datetime.fromtimestamp(when, UTC).date()
    except (OverflowError, OSError, ValueError):
        return datetime.now(UTC).date()


def _nobody(_: Finding) -> None:
    """People's waivers are in the store of a server."""


def _offers(tools: Tools, one: _Asked, speakable: Sequence[Judged], added: Added, known: Filter) -> dict[str, Offer]:
    """As before speaking, but without a limit of time for all together: a slow machine must not change the answer."""
    for attempt in range(BUSY_TRIES + 1):
        try:
            return offers_ahead(
                speakable,
                fixers=tools.fixers,
                files=CommitFiles(tools.mirror, one.past.head),
                policy=one.document.policy,
                engines=KeptEngines(tools.control, tuple(tools.scanners.values()), cache=tools.cache, seconds=PROOF_SECONDS),
                added=added,
                clean=known.clean,
                seconds=math.inf,
                wait_for_room=attempt < BUSY_TRIES,
            )
        except SandboxBusy:
            time.sleep(BUSY_SECONDS)
    return {}


# --- hindsight ------------------------------------------------------------------------------------------------------------------------


def _now(tools: Tools, done: Sequence[Replayed], tip: CommitId) -> Now:
    """The branch as it is now, as far as anything would have been said of it: what the engines say of those files today."""
    now = Now.read(tools.mirror, tip, [(one.past.head, remark.judged.finding) for one in done for remark in one.remarks])
    for scanner in tools.scanners.values():
        try:
            result = examine_sides(
                scanner, {"": now.files}, tools.mirror, Policy(paths=Paths()), tools.control,
                cache=tools.cache, secret_key=tools.key, seconds=SECONDS, fetch=tools.mirror.ensure_blobs,
            )[""]  # fmt: skip
        except EngineError as failure:
            log.warning("engine.failed", extra={"engine": failure.engine, "code": failure.code})
            continue
        now.hear(result)
    return now
