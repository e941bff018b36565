"""The quality gate: from what was compared and what was looked at to one verdict. Pure.

The rules are ARCHITECTURE, "Never a false green":

- a new finding that the policy blocks: failure;
- incomplete because of the change (its files are too large, an engine timed out or crashed on them): failure;
- incomplete because of us (engine missing, store or host down): action_required, which `on_incomplete: warn` turns into neutral;
- else success, also when there was nothing to scan.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.errors import Blame
from pipeline.model.finding import BaselineState, Finding, Judged, Standing, Suppression
from pipeline.model.review import Conclusion, Verdict
from pipeline.model.scan import Coverage, Gap, GapClass, ScanType
from pipeline.policy import Policy
from pipeline.triage.baseline import Compared, place
from pipeline.triage.diff import Range, in_added

_BARE_VERBS = ("timed out", "crashed", "ran out", "failed", "answered", "stopped", "is not", "could not", "did not", "was killed", "said")
"""Reasons that begin so lack their subject: the engine's name is put in front."""


@dataclass(frozen=True, slots=True)
class ScanFailure:
    """A scan that ended without a result, where no gap of the ledger says so already."""

    scan_type: ScanType | None
    """None: whatever it was, every required scan needed it (policy, git, store)."""
    engine: str
    message: str
    """A clause that stands behind "Could not check:": `semgrep timed out after 120 s`."""
    blame: Blame = "us"


def decide_verdict(
    *,
    policy: Policy,
    compared: Compared,
    coverage: Coverage,
    added: Mapping[str, Sequence[Range]],
    notes: tuple[str, ...] = (),
    failures: Sequence[ScanFailure] = (),
    suppressed: Callable[[Finding], Suppression | None] = lambda _: None,
) -> Verdict:
    """The verdict on a change.

    Args:
        policy: of the base.
        compared: for a scan without a base, all findings as `new`.
        coverage: the ledger of the head. Every scan that was done has an `EngineRun` with its `scan_type`, also when it had no file to
            look at; a required scan without one is incomplete, and that is our fault.
        added: lines that the change added, by path. A new finding elsewhere is still new (a removed guard has no line): it only cannot
            have a thread on its line.
        failures: scans that failed and left no gap. A failed scan that the policy does not require is said in a note.
        suppressed: why a new finding may stand: waivers, the base's policy, comments in the base. An expired one lets it count again.

    Returns:
        Findings of shadow rules are in no count and no list.
    """
    failed = [f for f in failures if f.scan_type is None or f.scan_type in policy.engines.scans]
    spare = [f for f in failures if f not in failed]
    gaps = tuple(dict.fromkeys([*coverage.gaps, *(Gap(f.engine, "", f.message, GapClass.ERROR, f.blame) for f in failed)]))
    gaps += tuple(_never_ran(policy, coverage, gaps, failed))
    ledger = replace(coverage, gaps=gaps)
    judged = _judge(policy, compared, added, suppressed)
    shown = [f for f in (*compared.unchanged, *compared.not_reevaluated) if not f.rule.shadow]
    blocked = any(j.standing is Standing.BLOCKS for j in judged)
    return Verdict(
        conclusion=_conclude(policy, blocked, ledger.breaking),
        judged=judged,
        older=len(shown),
        coverage=ledger,
        incomplete=_say_incomplete(ledger.breaking),
        notes=(*notes, *(f"{_clause(f.engine, f.message)}; the policy does not require {f.scan_type}." for f in spare)),
    )


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict that a commit shows when several open pull requests have it as their head; of equal ones the first.

    Raises ValueError when there is none.
    """
    if not verdicts:
        raise ValueError("there is no verdict to choose from")
    return max(verdicts, key=lambda verdict: verdict.conclusion.rank)


def standing(policy: Policy, finding: Finding) -> Standing:
    """What a new finding does to the verdict where nothing lets it stand."""
    return policy.decide(finding.location.path, finding.rule.id, finding.rule.severity, finding.rule.confidence).standing


def stand(policy: Policy, finding: Finding, suppression: Suppression | None) -> Standing:
    """What a new finding does to the verdict. Who lets a finding stand that would not be shown anyway changes nothing."""
    usual = standing(policy, finding)
    return usual if suppression is None or suppression.expired or usual is Standing.COUNTED else Standing.WAIVED


def _judge(
    policy: Policy,
    compared: Compared,
    added: Mapping[str, Sequence[Range]],
    suppressed: Callable[[Finding], Suppression | None],
) -> tuple[Judged, ...]:
    new = [
        _stand(policy, finding, in_diff=in_added(finding.location, added), suppression=suppressed(finding))
        for finding in compared.new
        if not finding.rule.shadow
    ]
    order = [Standing.BLOCKS, Standing.WARNS, Standing.WAIVED, Standing.COUNTED]
    new.sort(key=lambda j: (order.index(j.standing), -j.finding.rule.severity, -j.finding.rule.confidence, place(j.finding)))
    fixed = [Judged(f, BaselineState.FIXED, Standing.COUNTED) for f in compared.fixed if not f.rule.shadow]
    unknown = [Judged(f, BaselineState.NOT_REEVALUATED, Standing.COUNTED) for f in compared.not_reevaluated if not f.rule.shadow]
    return (*new, *fixed, *unknown)


def _stand(policy: Policy, finding: Finding, *, in_diff: bool, suppression: Suppression | None) -> Judged:
    stands = stand(policy, finding, suppression)
    return Judged(
        finding,
        BaselineState.NEW,
        stands,
        in_diff,
        reason=suppression.reason if suppression is not None and stands is Standing.WAIVED else "",
        suppression=suppression,
        scopes=policy.scopes_of(finding.location.path),
        owners=policy.owners_of(finding.location.path),
    )


def _conclude(policy: Policy, blocked: bool, breaking: Sequence[Gap]) -> Conclusion:
    if blocked or any(gap.blame != "us" for gap in breaking):
        return Conclusion.FAILURE
    if breaking:
        return Conclusion.NEUTRAL if policy.on_incomplete == "warn" else Conclusion.ACTION_REQUIRED
    return Conclusion.SUCCESS


def _never_ran(policy: Policy, coverage: Coverage, gaps: Sequence[Gap], failed: Sequence[ScanFailure]) -> list[Gap]:
    """A gap for each required scan of which nothing at all is known. One whose engine left a gap for its whole run has said why."""
    done = {run.scan_type for run in coverage.runs} | {failure.scan_type for failure in failed}
    if None in {failure.scan_type for failure in failed}:
        return []
    missing = [scan_type for scan_type in policy.engines.scans if scan_type not in done]
    ran = {run.engine for run in coverage.runs}
    silent = {gap.engine for gap in gaps if not gap.path and gap.gap_class is GapClass.ERROR and gap.engine not in ran}
    silent -= {failure.engine for failure in failed}
    if len(silent) >= len(missing):
        return []
    return [Gap(str(scan_type), "", "did not run", GapClass.ERROR, "us") for scan_type in missing if str(scan_type) not in silent]


def _say_incomplete(breaking: Sequence[Gap]) -> str:
    """Completes "Could not check ...": the first reason, and how many more there are. What the change is to blame for comes first."""
    if not breaking:
        return ""
    ranked = sorted(breaking, key=lambda gap: (gap.blame == "us", gap.path == "", gap.path, gap.engine, gap.reason))
    first = ranked[0]
    more = f" (+{len(ranked) - 1})" if len(ranked) > 1 else ""
    return f"{first.path}: {_clause(first.engine, first.reason)}{more}"


def _clause(engine: str, reason: str) -> str:
    return f"{engine} {reason}" if engine and reason.startswith(_BARE_VERBS) else reason
