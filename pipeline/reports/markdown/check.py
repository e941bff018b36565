"""The check: its title in the merge box, its page, its annotations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pipeline import phrases
from pipeline.escaping import code, cut, escape, link, prose, size, visible
from pipeline.model.finding import BaselineState, Finding, Judged, Standing
from pipeline.model.report import Annotation, Check, CheckAction, Report
from pipeline.model.review import Conclusion, Remark
from pipeline.model.scan import Coverage, EngineRun
from pipeline.ports import Capabilities
from pipeline.reports.markdown.table import CELL, row, table

ABOVE_FOLD = 5
"""Rows and notes together: with the head, the counts and the policy that makes at most 8 lines."""

NOTES = 2
"""Notes above the fold; more of them stand below."""

NAMED_GAPS = 3
"""Files named in the line of what was not checked; all stand below the fold."""

LISTED = 50
"""Entries of a list below the fold."""

MOST_ANNOTATIONS = 1_000
"""Of one check. On GitHub that is twenty requests of fifty, one after the other; the title counts all findings."""

MESSAGE = 4_000
"""Bytes of an annotation's message. GitHub's limit is 64 KB (REST, "Create a check run"); nobody reads that much."""

_LEVELS: dict[Standing, str] = {Standing.BLOCKS: "failure", Standing.WARNS: "warning"}


def render_check(
    report: Report,
    capabilities: Capabilities,
    *,
    key: str,
    threaded: frozenset[str] = frozenset(),
    actions: tuple[CheckAction, ...] = (),
    details_url: str = "",
) -> Check:
    """The check of a settled review.

    Args:
        threaded: fingerprints that have a thread on their line: they get a row and no annotation, but for copies.
        actions: cut to the host's number of buttons.

    Returns:
        Title, summary and text within the host's limits in bytes; every annotation (the host sends them in batches).
    """
    rows = [row(judged, report, threaded) for judged in (*phrases.listed(report.verdict), *phrases.waived(report.verdict))]
    shown = above_fold(rows, report)
    return Check(
        key=key,
        title=render_title(report, capabilities),
        summary=render_summary(report, capabilities.max_body, shown=shown, total=len(rows), details_url=details_url),
        conclusion=report.verdict.conclusion,
        text=render_rest(rows[len(shown) :], report, capabilities.max_body),
        annotations=render_annotations(report, threaded),
        actions=_buttons(actions, capabilities),
        details_url=details_url,
    )


def render_title(report: Report, capabilities: Capabilities) -> str:
    """One line of plain text; hosts do not read Markdown in a title."""
    return cut(visible(phrases.title(report)), capabilities.max_title)


def render_summary(report: Report, limit: int, *, shown: Sequence[str], total: int, details_url: str = "", remarks: bool = False) -> str:
    """What stands on the check's page: notes and gaps above the fold, completeness below it; at most `limit` bytes.

    Args:
        remarks: True where nothing can be said at the line of a file: what is wrong with a policy is listed here then.
    """
    notes = [escape(cut(note, CELL)) for note in report.verdict.notes]
    above = [*notes[:NOTES]]
    if shown:
        above.append(table(shown, limit // 2, missing=how_to_list(report)))
    above += [line for line in (_facts(report, total - len(shown), details_url), _why(report)) if line]
    page = "\n\n".join(above)
    wrong = [_remarked(remark) for remark in report.verdict.remarks[:LISTED]] if remarks else []
    fold = _fold(report, [*notes[NOTES:], *wrong], limit - size(page) - 2)
    whole = "\n\n".join(part for part in (page, fold) if part) or "Nothing to say."
    return whole if size(whole) <= limit else _cut_lines(whole, limit)


def above_fold(rows: Sequence[str], report: Report, lines: int = ABOVE_FOLD) -> Sequence[str]:
    """The first rows: as many as, with the notes, take `lines` lines."""
    room = lines - len(report.verdict.notes[:NOTES])
    return rows if len(rows) <= room else rows[: room - 1]


def render_rest(rows: Sequence[str], report: Report, limit: int, *, fold: bool = False) -> str:
    """The rows that do not stand above the fold, at most `limit` bytes; `fold` hides them where there is no page of their own."""
    if not rows:
        return ""
    count = phrases.plural(len(rows), "more finding")
    head, tail = (f"<details><summary>{count}</summary>\n\n", "\n\n</details>") if fold else (f"**{count}**\n\n", "")
    rest = table(rows, limit - size(head) - size(tail), missing=how_to_list(report))
    return f"{head}{rest}{tail}" if rest else ""


def how_to_list(report: Report) -> str:
    """Markdown: the command that lists everything."""
    base = "" if report.whole or not report.base else f" --base {phrases.short(report.base)}"
    return f"{code(f'fixwright scan .{base}')} lists all."


def _facts(report: Report, more: int, details_url: str) -> str:
    """One line: what else there is to know, and above all what was not looked at."""
    verdict = report.verdict
    parts = [f"{more:,} more below."] if more else []
    below = len(verdict.standing(Standing.COUNTED))
    if below:
        parts.append(f"Below the policy's mark, not shown: {below:,}.")
    if verdict.fixed:
        parts.append(f"Fixed here: {len(verdict.fixed):,}.")
    if verdict.older and not report.whole:
        parts.append(f"Older in these files, not shown: {link(f'{verdict.older:,}', details_url)}.")
    gaps = phrases.not_checked(verdict.coverage)
    if gaps:
        named = ", ".join(_gap(*gap) for gap in gaps[:NAMED_GAPS])
        others = f" and {len(gaps) - NAMED_GAPS:,} more" if len(gaps) > NAMED_GAPS else ""
        parts.append(f"**Not checked:** {named}{others}.")
    elif verdict.incomplete:
        parts.append(f"**{escape(cut(verdict.could_not_check, CELL))}.**")
    return " ".join(parts)


def _gap(place: str, reason: str) -> str:
    why = escape(cut(reason, CELL))
    return f"{code(cut(visible(place), CELL))} ({why})" if place else why


def _why(report: Report) -> str:
    """The policy when it blocks; what the operator can do when we are the reason."""
    parts = []
    if report.verdict.standing(Standing.BLOCKS):
        own = report.policy_source not in ("", "defaults")
        parts.append(f"Blocked by the policy {_policy(report)}." if own else "Blocked by the default policy.")
    if phrases.blamed_on_us(report.verdict):
        parts.append("This is not the change's fault: run `fixwright doctor` where Fixwright runs, then scan again.")
    return " ".join(parts)


def _policy(report: Report) -> str:
    """Where the policy stands: `path` at `commit`, or `defaults`."""
    path, at, commit = cut(report.policy_source or "defaults", CELL).rpartition(" at ")
    return f"{code(path)} at {code(commit)}" if at else code(commit)


def _fold(report: Report, notes: Sequence[str], limit: int) -> str:
    coverage = report.verdict.coverage
    files = max(coverage.files_changed, coverage.files_checked)
    parts = [f"{coverage.files_checked:,} of {phrases.plural(files, 'file')}"]
    if coverage.commits:
        parts.append(f"{coverage.commits_checked:,} of {phrases.plural(coverage.commits, 'commit')}")
    if report.seconds:
        parts.append(f"in {phrases.seconds(report.seconds)}")
    head = f"<details><summary>Checked: {', '.join(parts)}</summary>\n"
    tail = "\n</details>"
    room = limit - size(head) - size(tail) - 40
    lines: list[str] = []
    for line in [*(f"- {note}" for note in notes), *ledger_lines(report, coverage)]:
        room -= size(line) + 1
        if room < 0:
            lines.append("- the rest does not fit here")
            break
        lines.append(line)
    return "\n".join([head, *lines, tail]) if room > -limit else ""


def ledger_lines(report: Report, coverage: Coverage) -> list[str]:
    """The coverage ledger as a list: engines, what is left out and why, policy and base."""
    lines = [f"- {_engine(run)}" for run in coverage.runs]
    gaps = phrases.not_checked(coverage)
    lines += [f"- not checked: {_gap(*gap)}" for gap in gaps[:LISTED]]
    if len(gaps) > LISTED:
        lines.append(f"- not checked: {len(gaps) - LISTED:,} more")
    for engine, reason, count in list(phrases.left_out(coverage))[:LISTED]:
        lines.append(f"- left out by {escape(engine)}: {phrases.plural(count, 'file')} ({escape(cut(reason, CELL))})")
    unknown = sum(judged.baseline is BaselineState.NOT_REEVALUATED for judged in report.verdict.judged)
    if unknown:
        lines.append(f"- not re-evaluated: {phrases.plural(unknown, 'older finding')}, whose files could not be looked at")
    facts = [f"policy {_policy(report)}"]
    if report.base:
        facts.append(f"base {code(phrases.short(report.base))}")
    if report.head:
        facts.append(f"head {code(phrases.short(report.head))}")
    if report.tool_version:
        facts.append(f"Fixwright {code(report.tool_version)}")
    return [*lines, f"- {', '.join(facts)}"]


def _engine(run: EngineRun) -> str:
    cached = f", {run.cached:,} of them known from before" if run.cached else ""
    rules = f", rules {code(run.rules_digest)}" if run.rules_digest else ""
    return f"{code(f'{run.engine} {run.version}')}{rules}: {phrases.plural(run.files, 'file')}{cached}, {phrases.seconds(run.seconds)}"


def _cut_lines(text: str, limit: int) -> str:
    """The last resort for a host with very little room: whole lines, and a note."""
    note = "\n\nThe rest does not fit here."
    kept: list[str] = []
    room = limit - size(note)
    for line in text.split("\n"):
        room -= size(line) + 1
        if room < 0:
            break
        kept.append(line)
    body = "\n".join(kept)
    if body.count("<details>") > body.count("</details>"):
        body = body[: body.rindex("<details>")]
    return cut(body.rstrip() + note, limit).lstrip()


def render_annotations(report: Report, threaded: frozenset[str] = frozenset()) -> tuple[Annotation, ...]:
    """A note on the line of each listed new finding that has no thread, and of each mistake in an edited policy.

    A secret that only the history has stands on no line of the head, and a path that is no UTF-8 cannot be sent: those are rows only.
    Copies of a finding share one thread, and it may stand at any of them, wherever the first one was when it was opened: each copy has its
    note, so that none is without a word.
    """
    there = [
        judged
        for judged in phrases.listed(report.verdict)
        if not (judged.finding.commit and not judged.in_diff) and visible(judged.finding.location.path) == judged.finding.location.path
    ]
    places = Counter(fingerprint for fingerprint, *_ in {(j.finding.fingerprint, *_line(j.finding)) for j in there})
    unsaid = [j for j in there if j.finding.fingerprint not in threaded or places[j.finding.fingerprint] > 1]
    return (*(_annotation(judged) for judged in unsaid[:MOST_ANNOTATIONS]), *(_remark(remark) for remark in report.verdict.remarks))


def _line(finding: Finding) -> tuple[str, int]:
    """Where it stands: two secrets on one line are in one place."""
    return finding.location.path, finding.location.line


def _remarked(remark: Remark) -> str:
    """As a line of a list."""
    return f"{code(cut(visible(f'{remark.path}:{remark.line}'), CELL))}: {escape(cut(visible(remark.message), CELL))}"


def _remark(remark: Remark) -> Annotation:
    """What is wrong with a file that rules us, on its line."""
    message = f"{remark.message}. The policy of the base is in force here."
    return Annotation(remark.path, remark.line, remark.line, "warning", "Policy", cut(visible(message), MESSAGE))


def _annotation(judged: Judged) -> Annotation:
    finding = judged.finding
    handle = f" ({finding.handle})" if finding.handle else ""
    detail = f" It {finding.detail.rstrip('.')}." if finding.detail and finding.secret is None else ""
    known = f" {finding.rule.id}" + (f", CWE-{finding.rule.cwe}" if finding.rule.cwe else "")
    first = "Revoke it first: it is in the history. " if finding.secret is not None else ""
    return Annotation(
        path=finding.location.path,
        line=finding.location.line,
        end_line=max(finding.location.line, finding.location.end_line),
        level="failure" if _LEVELS.get(judged.standing) == "failure" else "warning",
        title=cut(visible(f"{phrases.what(finding)}{handle}"), 255),
        message=cut(visible(f"{first}{finding.rule.message}{detail}{known}"), MESSAGE),
    )


def _buttons(actions: Sequence[CheckAction], capabilities: Capabilities) -> tuple[CheckAction, ...]:
    return tuple(CheckAction(a.label[:20], a.description[:40], a.identifier[:20]) for a in actions[: capabilities.buttons])


def render_progress(*, key: str, commits: int = 0, files: int = 0, details_url: str = "") -> Check:
    """The check while the scans run. Counts of zero are not known yet and left out."""
    counts = [phrases.plural(n, word) for n, word in ((files, "file"), (commits, "commit")) if n]
    title = f"Scanning {', '.join(counts)}" if counts else "Scanning"
    return Check(key, title, "The verdict follows here. Nothing is said of this commit yet.", None, details_url=details_url)


def render_withdrawn(title: str, *, key: str, conclusion: Conclusion = Conclusion.CANCELLED, details_url: str = "") -> Check:
    """The check of a review that ends without a verdict: superseded by a newer head, or its pull request closed."""
    summary = "This commit was not judged, because something newer is. Nothing is said of it."
    if conclusion is not Conclusion.CANCELLED:
        summary = "This commit could not be judged. Run `fixwright doctor` where Fixwright runs, then scan again."
    return Check(key, cut(visible(title), 255), summary, conclusion, details_url=details_url)


def render_failed(message: str, *, key: str, hint: str = "", details_url: str = "") -> Check:
    """The check of a review that we gave up: action_required, never green.

    Args:
        message: one sentence without a full stop: what went wrong.
        hint: what the operator can do; hostile text is harmless in both.
    """
    sentence = visible(message).rstrip(".")
    advice = prose(hint) if hint else "Run `fixwright doctor` where Fixwright runs, then scan again."
    summary = f"**Not checked:** everything ({escape(cut(sentence, 1_000))}).\n\n{advice}"
    return Check(key, cut(f"Could not check: {sentence}", 255), summary, Conclusion.ACTION_REQUIRED, details_url=details_url)
