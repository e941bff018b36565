"""What `fixwright backtest` found, as plain values (JSON), lines (text) and Markdown. The page is `bot.cli._backtestpage`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pipeline import phrases
from pipeline.escaping import code, escape, exact, visible
from pipeline.model.backtest import Line, Remarked, Replayed, Weakness
from pipeline.model.finding import Standing
from pipeline.reports.json import Value, finding_document

SCHEMA = "fixwright-backtest/1"


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the command."""

    name: str
    """Of the repository: its folder or its address. Hostile text."""
    branch: str
    tip: str
    by: str
    """`merges` or `commits`: what counts as a change here."""
    wanted: int
    replayed: Sequence[Replayed]
    """Oldest first."""
    seconds: float
    version: str

    @property
    def spoken(self) -> int:
        """Changes on which a thread would have been opened."""
        return sum(one.spoken for one in self.replayed)

    @property
    def blocked(self) -> int:
        """Changes whose check would have been red."""
        return sum(one.blocked for one in self.replayed)

    @property
    def unchecked(self) -> int:
        """Changes of which something could not be checked here, and not because of the change."""
        return sum(one.ours for one in self.replayed)

    @property
    def silent(self) -> int:
        """Changes of which nothing would have been said."""
        return sum(not one.spoken and not one.blocked and not one.ours for one in self.replayed)

    @property
    def threads(self) -> int:
        """Threads on all changes together."""
        return sum(remark.thread is not None for one in self.replayed for remark in one.remarks)

    def worth_telling(self) -> list[Replayed]:
        """The changes on which something would have been said or stopped, the newest first."""
        return [one for one in reversed(self.replayed) if one.spoken or one.blocked or one.ours]

    def said(self) -> list[tuple[Replayed, Remarked]]:
        """What would have had a thread or blocked, the newest first."""
        return [(one, remark) for one in reversed(self.replayed) for remark in one.remarks if is_said(remark)]

    def listed(self) -> list[tuple[Replayed, Remarked]]:
        """What would have stood in the check alone, and blocked nothing."""
        return [(one, remark) for one in reversed(self.replayed) for remark in one.remarks if not is_said(remark)]

    def by_rule(self) -> dict[str, Counter[str]]:
        """Of each rule: `said`, `blocks`, `listed`, and of what was said `changed`, `still_there`."""
        rules: dict[str, Counter[str]] = {}
        for _, remark in [*self.said(), *self.listed()]:
            count = rules.setdefault(remark.judged.finding.rule.id, Counter())
            if not is_said(remark):
                count["listed"] += 1
                continue
            count["said"] += 1
            count["blocks"] += remark.judged.standing is Standing.BLOCKS
            count["changed"] += remark.hindsight.line in (Line.CHANGED, Line.GONE)
            count["still_there"] += remark.hindsight.weakness is Weakness.STILL_THERE
        return dict(sorted(rules.items(), key=lambda item: (-item[1]["said"], -item[1]["listed"], item[0])))


def is_said(remark: Remarked) -> bool:
    """True for what a reader meets without looking for it: a thread, or a red check."""
    return remark.thread is not None or remark.judged.standing is Standing.BLOCKS


def day(when: int) -> str:
    """The day of a commit, UTC."""
    try:
        return datetime.fromtimestamp(when, UTC).date().isoformat()
    except (OverflowError, OSError, ValueError):
        return "unknown"


def name_of(one: Replayed) -> str:
    """What people call a change: its number, else its commit. Not escaped."""
    return one.past.number or phrases.short(one.past.commit)


def outcome(one: Replayed) -> str:
    """One word for a change."""
    if one.blocked:
        return "blocked"
    if one.spoken:
        return "spoken"
    return "not checked" if one.ours else "silent"


def afterwards(remark: Remarked) -> str:
    """What people did, a clause without a full stop."""
    line = {
        Line.SAME: "the line is as it was",
        Line.CHANGED: "people changed the line",
        Line.GONE: "the file is gone",
        Line.UNKNOWN: "it stands in the history alone",
    }[remark.hindsight.line]
    if remark.hindsight.line is Line.GONE:
        return line
    weakness = {
        Weakness.STILL_THERE: "the weakness is still there",
        Weakness.GONE: "the weakness is gone",
        Weakness.UNKNOWN: "the weakness was not looked for again",
    }[remark.hindsight.weakness]
    return f"{line}, {weakness}"


def summary(run: Run) -> str:
    """What a reader wants to know first, in two sentences."""
    threads = f" ({phrases.plural(run.threads, 'thread')})" if run.threads else ""
    first = f"It would have spoken on {run.spoken} of {phrases.plural(len(run.replayed), 'change')}{threads} and blocked {run.blocked}."
    rest = f" Not everything could be checked of {run.unchecked}." if run.unchecked else ""
    return f"{first} Of {run.silent} it would have said nothing.{rest}"


def scope(run: Run) -> str:
    """Which changes these are. Not escaped."""
    what = "merged changes" if run.by == "merges" else "commits, as nothing here tells merged changes apart"
    where = f"{run.branch} at {phrases.short(run.tip)}" if run.branch else phrases.short(run.tip)
    days = f"{day(run.replayed[0].past.when)} to {day(run.replayed[-1].past.when)}"
    return f"{run.name}: the last {len(run.replayed)} {what} on {where}, {days}"


# --- JSON -----------------------------------------------------------------------------------------------------------------------------


def render_json(run: Run) -> bytes:
    """UTF-8 bytes that hold ASCII only; the shape is in docs/guide/backtest.md, and keys are only ever added."""
    return json.dumps(document(run), indent=2, ensure_ascii=True).encode("ascii") + b"\n"


def document(run: Run) -> dict[str, Value]:
    """The run as plain values."""
    return {
        "schema": SCHEMA,
        "tool": {"name": "Fixwright", "version": run.version},
        "repository": exact(run.name),
        "branch": exact(run.branch) or None,
        "head": run.tip,
        "by": run.by,
        "wanted": run.wanted,
        "changes": len(run.replayed),
        "spoken": run.spoken,
        "blocked": run.blocked,
        "silent": run.silent,
        "unchecked": run.unchecked,
        "threads": run.threads,
        "seconds": round(run.seconds, 3),
        "findings": [_finding(one, remark) for one, remark in run.said()],
        "listed": [_finding(one, remark) for one, remark in run.listed()],
        "rules": [
            {"id": rule, **{name: count[name] for name in ("said", "blocks", "listed", "changed", "still_there")}}
            for rule, count in run.by_rule().items()
        ],
        "replayed": [_change(one) for one in run.replayed],
    }


def _change(one: Replayed) -> dict[str, Value]:
    past = one.past
    return {
        "commit": past.commit,
        "kind": past.kind.value,
        "number": past.number or None,
        "title": exact(past.title),
        "merged": day(past.when),
        "base": past.base,
        "head": past.head,
        "conclusion": one.verdict.conclusion.value,
        "check": exact(one.title),
        "incomplete": exact(one.verdict.could_not_check) or None,
        "spoken": one.spoken,
        "blocked": one.blocked,
        "unchecked": one.ours,
        "files": {"changed": one.verdict.coverage.files_changed, "checked": one.verdict.coverage.files_checked},
    }


def _finding(one: Replayed, remark: Remarked) -> dict[str, Value]:
    thread = remark.thread
    return {
        "change": {
            "commit": one.past.commit,
            "number": one.past.number or None,
            "title": exact(one.past.title),
            "merged": day(one.past.when),
        },
        **finding_document(remark.judged),
        "blocks": remark.judged.standing is Standing.BLOCKS,
        "thread": None if thread is None else {"line": thread.line, "end_line": thread.end_line, "body": exact(thread.body)},
        "fix": exact(remark.diff) or None,
        "hindsight": {"line": remark.hindsight.line.value, "weakness": remark.hindsight.weakness.value},
    }


# --- text -----------------------------------------------------------------------------------------------------------------------------


def render_text(run: Run) -> bytes:
    """For a terminal."""
    return "\n".join([visible(scope(run)), *_text(run), f"{summary(run)} {phrases.seconds(run.seconds)}", ""]).encode("utf-8")


def _text(run: Run) -> Iterator[str]:
    for one in run.worth_telling():
        yield ""
        yield visible(f"{name_of(one)}  {day(one.past.when)}  {one.past.title}")
        yield visible(f"  {outcome(one)}: {one.title}")
        for remark in filter(is_said, one.remarks):
            rule = remark.judged.finding.rule
            how = "blocks" if remark.judged.standing is Standing.BLOCKS else "warns"
            where = phrases.where(remark.judged.finding)
            told = f"{'thread with a fix' if remark.diff else 'thread'}, {how}" if remark.thread else how
            yield visible(f"  {where}  {phrases.what(remark.judged.finding)} ({rule.id}, {rule.severity.word}; {told})")
            yield f"    afterwards: {afterwards(remark)}"
    listed = len(run.listed())
    yield ""
    if listed:
        yield f"{phrases.plural(listed, 'finding')} more would have stood in the check alone."


# --- Markdown -------------------------------------------------------------------------------------------------------------------------


def render_markdown(run: Run) -> bytes:
    """For an issue or a chat."""
    return "\n".join(_markdown(run)).encode("utf-8", "replace")


def _markdown(run: Run) -> Iterator[str]:
    yield f"**{escape(summary(run))}**"
    yield ""
    yield f"{escape(scope(run))}. {phrases.seconds(run.seconds)}, Fixwright {escape(run.version)}."
    yield ""
    if run.said():
        yield "| change | merged | where | what | | afterwards |"
        yield "|---|---|---|---|---|---|"
    for one, remark in run.said():
        finding = remark.judged.finding
        told = [*(["blocks"] if remark.judged.standing is Standing.BLOCKS else []), *(["thread"] if remark.thread else [])]
        cells = [
            f"{escape(name_of(one))} {escape(one.past.title)}",
            day(one.past.when),
            code(phrases.where(finding)),
            f"{escape(phrases.what(finding))} ({escape(finding.rule.id)})",
            ", ".join([*told, *(["fix"] if remark.diff else [])]),
            afterwards(remark),
        ]
        yield f"| {' | '.join(cells)} |"
    for one in run.worth_telling():
        if one.verdict.incomplete:
            yield ""
            yield f"{escape(name_of(one))}: {escape(one.verdict.could_not_check)}."
    if run.listed():
        yield ""
        yield f"{phrases.plural(len(run.listed()), 'finding')} more would have stood in the check alone."
    yield ""
