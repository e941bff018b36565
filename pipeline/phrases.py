"""The words that every report shares: counts, places, what was not checked. Plain text, not escaped: each format escapes in its own way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from pipeline.model.finding import Finding, Judged, Standing, SuppressionKind
from pipeline.model.report import Report
from pipeline.model.review import Conclusion, Verdict
from pipeline.model.scan import Coverage, GapClass

SHORT = 7
"""Hex digits of a commit that people are shown."""


def plural(count: int, one: str, many: str = "") -> str:
    """`1 file`, `2 files`; thousands are grouped."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def blocking(count: int) -> str:
    """`1 blocks`, `2 block`."""
    return f"{count:,} {'blocks' if count == 1 else 'block'}"


def warning(count: int) -> str:
    """`1 warns`, `2 warn`."""
    return f"{count:,} {'warns' if count == 1 else 'warn'}"


def short(commit: str) -> str:
    """The first hex digits of a commit; a name that is no commit (`origin/main`) stays whole."""
    return commit[:SHORT] if len(commit) >= 40 else commit


def seconds(value: float) -> str:
    """`4.1 s`, `2 min 5 s`."""
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s"


def what(finding: Finding) -> str:
    """What it is, for a table: the rule's title; of a secret its kind and at most the last four characters."""
    if finding.secret is None:
        return finding.rule.title
    return f"{finding.secret.kind} …{finding.secret.last_four}" if finding.secret.last_four else finding.secret.kind


def seen_by(finding: Finding) -> str:
    """`seen by Bandit B608, too`: the first three of the other scanners that say the same; empty where there are none."""
    named = [*finding.witnesses[:3], *(["others"] if len(finding.witnesses) > 3 else [])]
    return f"seen by {', '.join(named)}, too" if named else ""


def where(finding: Finding) -> str:
    """`app/db.py:41`."""
    return f"{finding.location.path}:{finding.location.line}"


def belongs(judged: Judged) -> str:
    """`in payments (acme/payments)`: the policy's scopes of a finding and who looks after them; empty where there are none."""
    owners = f" ({', '.join(judged.owners)})" if judged.owners else ""
    return f"in {', '.join(judged.scopes)}{owners}" if judged.scopes else ""


def listed(verdict: Verdict) -> tuple[Judged, ...]:
    """The new findings that the policy wants read: what blocks, then what warns, each with the worst first."""
    return verdict.standing(Standing.BLOCKS) + verdict.standing(Standing.WARNS)


def waived(verdict: Verdict) -> tuple[Judged, ...]:
    """The new findings that somebody let stand."""
    return verdict.standing(Standing.WAIVED)


def expired(judged: Judged) -> bool:
    """True when somebody had let it stand, and that is over."""
    return judged.suppression is not None and judged.suppression.expired


def standing_word(judged: Judged) -> str:
    """`blocks`; `blocks, expired` when a waiver of it is over; `revoked` for a secret of which somebody says so."""
    if expired(judged):
        return f"{judged.standing.value}, expired"
    if judged.standing is Standing.WAIVED and judged.suppression is not None and judged.suppression.kind is SuppressionKind.ROTATED:
        return "revoked"
    return judged.standing.value


def tally(verdict: Verdict, *, whole: bool = False) -> list[str]:
    """The counts of a verdict, those of zero left out: `1 blocks`, `1 warns`, `3 fixed`, `14 older`."""
    blocks, warns = len(verdict.standing(Standing.BLOCKS)), len(verdict.standing(Standing.WARNS))
    below, waived = len(verdict.standing(Standing.COUNTED)), len(verdict.standing(Standing.WAIVED))
    counts = [
        (blocks, blocking(blocks)),
        (warns, warning(warns)),
        (waived, f"{waived:,} waived"),
        (verdict.confided, f"{plural(verdict.confided, 'secret')} told to members only"),
        (below, f"{below:,} below the policy's mark"),
    ]
    if not whole:
        counts += [(len(verdict.fixed), f"{len(verdict.fixed):,} fixed"), (verdict.older, f"{verdict.older:,} older")]
    return [text for count, text in counts if count]


def looked_at(coverage: Coverage) -> str:
    """`12 files, 3 commits, 2 engines`: what stands behind a verdict without findings."""
    parts = [plural(coverage.files_checked, "file")]
    if coverage.commits_checked:
        parts.append(plural(coverage.commits_checked, "commit"))
    engines = len({run.engine for run in coverage.runs})
    return ", ".join([*parts, plural(engines, "engine")])


def title(report: Report) -> str:
    """The line that most people read. Findings that block come first, then what could not be checked, then the rest."""
    verdict = report.verdict
    blocks, warns = verdict.standing(Standing.BLOCKS), verdict.standing(Standing.WARNS)
    if blocks:
        return _headline(blocking(len(blocks)), blocks[0], len(blocks))
    if verdict.incomplete:
        return verdict.could_not_check
    if verdict.confided:
        by = "Blocked by " if verdict.conclusion is Conclusion.FAILURE and not warns else ""
        return f"{by}{plural(verdict.confided, 'secret')}, told to members only"
    if verdict.withheld and verdict.conclusion is Conclusion.FAILURE:
        if verdict.unlisted:
            return "Blocked by what is not shown yet: it waits for the first scan of the default branch"
        return "Blocked by what the default branch has too, which is not shown here"
    if warns:
        return _headline(warning(len(warns)), warns[0], len(warns))
    coverage = verdict.coverage
    if not coverage.files_checked and verdict.conclusion is Conclusion.SUCCESS:
        searched = f" ({plural(coverage.commits_checked, 'commit')} searched)" if coverage.commits_checked > 1 else ""
        return f"Nothing to scan: {_unscannable(coverage)}{searched}"
    counts = [
        f"{len(found):,} {word}"
        for found, word in ((waived(verdict), "waived"), (verdict.standing(Standing.COUNTED), "below the policy's mark"))
        if found
    ]
    if counts:
        return f"{', '.join(counts)}: {looked_at(coverage)}"
    return f"{'No findings' if report.whole else 'No new findings'}: {looked_at(coverage)}"


def _headline(count: str, first: Judged, total: int) -> str:
    more = f" (+{total - 1})" if total > 1 else ""
    over = f", {_ended(first)} expired" if expired(first) else ""
    return f"{count}: {what(first.finding)} at {where(first.finding)}{over}{more}"


def _ended(judged: Judged) -> str:
    by_person = judged.suppression is not None and judged.suppression.kind is SuppressionKind.WAIVER
    return "waiver" if by_person else "ignore"


def _unscannable(coverage: Coverage) -> str:
    """Why there was nothing to scan. A changed file that no engine and no gap knows of is one that the change deleted."""
    reasons: dict[str, str] = {}
    for gap in coverage.gaps:
        if gap.path:
            reasons.setdefault(gap.path, gap.reason)
    counted = Counter(reasons.values())
    parts = [f"{plural(count, 'file')} ({reason})" for reason, count in sorted(counted.items(), key=lambda item: (-item[1], item[0]))]
    deleted = coverage.files_changed - len(reasons)
    if deleted > 0:
        parts.append(plural(deleted, "deleted file"))
    return ", ".join(parts) or "the change has no files"


def not_checked(coverage: Coverage) -> list[tuple[str, str]]:
    """What makes the verdict incomplete, as (place, reason), in the order of the ledger.

    The place is a file, or the engine whose whole run is meant; it is empty when the reason is a clause that stands alone
    (`semgrep is not installed here`). A file that several engines left out for the same reason is one entry.
    """
    merged: dict[tuple[str, str], list[str]] = {}
    for gap in coverage.breaking:
        engines = merged.setdefault((gap.path, gap.reason), [])
        if gap.engine and gap.engine not in engines:
            engines.append(gap.engine)
    return [_entry(path, reason, engines) for (path, reason), engines in merged.items()]


def _entry(path: str, reason: str, engines: Sequence[str]) -> tuple[str, str]:
    named = not engines or any(engine in reason for engine in engines)
    if not path:
        return ("" if named else ", ".join(engines)), reason
    return path, reason if named else f"{reason}; {', '.join(engines)}"


def left_out(coverage: Coverage) -> Iterator[tuple[str, str, int]]:
    """What engines had no reason to look at, as (engine, reason, number of files), the most files first."""
    seen: dict[tuple[str, str], set[str]] = {}
    for gap in coverage.gaps:
        if gap.gap_class is GapClass.NOT_APPLICABLE:
            seen.setdefault((gap.engine, gap.reason), set()).add(gap.path)
    yield from ((*key, len(paths)) for key, paths in sorted(seen.items(), key=lambda item: (-len(item[1]), item[0])))


def blamed_on_us(verdict: Verdict) -> bool:
    """True when the person who runs Fixwright has something to mend before the change can be judged."""
    return any(gap.blame == "us" for gap in verdict.coverage.breaking)
