"""A thread on a line, and the sticky comment: the places where Fixwright speaks."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pipeline import phrases
from pipeline.answers import suppressed_words
from pipeline.escaping import can_be_suggested, code, cut, escape, fenced, link, prose, sentence, size
from pipeline.model.finding import Finding, Judged, Secret, SuppressionKind
from pipeline.model.fix import ProofWord
from pipeline.model.report import Report
from pipeline.ports import Capabilities
from pipeline.reports.markdown.check import ABOVE_FOLD, above_fold, how_to_list, render_rest, render_summary
from pipeline.reports.markdown.table import CELL, row

CONFIDED = 10
"""Secrets that a comment for members tells one by one."""
MORE = 200
"""Bytes for the line that says how many more there are."""

_SENTENCE = re.compile(r"(.+?[.!?])(?:\s+(?=[A-Z`])|$)", re.DOTALL)
_OBJECT_NAME = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")


def render_thread(
    judged: Judged,
    report: Report,
    *,
    suggestion: str | None,
    fence: str = "suggestion",
    fix_note: str = "",
    word: ProofWord | None = None,
    pull_request_word: str = "pull request",
) -> str:
    """What stands on the line of a finding: who can do what, the way out, and the commands that exist.

    Args:
        suggestion: the lines to put in the place of the thread's own, None when the fix is larger than that or there is none.
        fence: how the host knows them (`Capabilities.suggestion_on`).
        fix_note: what the fix does, one or two sentences; empty: what the report says of it, if anything.
        word: what the gate said of the fix without the repository's tests; None when no fix passed: then none is offered.
    """
    finding = judged.finding
    told = _secret(finding, finding.secret, pull_request_word) if finding.secret is not None else [_weakness(finding)]
    block = fenced(suggestion, fence) if suggestion is not None and word is not None and can_be_suggested(suggestion) else ""
    way_out = _way_out(
        finding, fix_note or report.fixes.get(finding.fingerprint, ""), word, suggested=bool(block), pull_request_word=pull_request_word
    )
    name = f"{escape(finding.rule.id)}, CWE-{finding.rule.cwe}"
    words = suppressed_words(judged)
    over = f"Blocks again: {words}." if words and phrases.expired(judged) else ""
    return "\n\n".join(part for part in (told[0], over, block, f"{way_out} · {name}".removeprefix(" · "), *told[1:]) if part)


def render_waived(judged: Judged) -> str:
    """What stands in a resolved thread: who let the finding stand, until when and why, and how that is taken back."""
    finding = judged.finding
    rotated = judged.suppression is not None and judged.suppression.kind is SuppressionKind.ROTATED
    by_hand = judged.suppression is not None and judged.suppression.kind in (SuppressionKind.ROTATED, SuppressionKind.WAIVER)
    words = suppressed_words(judged)
    told = f"**Revoked**{words.removeprefix('revoked')}" if rotated else f"**Waived** {words}"
    command = "/rotated" if rotated else "/waive"
    back = f"{code(f'{command} {finding.handle} off')} takes it back." if by_hand and finding.handle else ""
    about = f"{escape(cut(phrases.what(finding), CELL))} · {escape(finding.rule.id)}, CWE-{finding.rule.cwe}"
    return "\n\n".join(part for part in (told, " ".join(part for part in (back, about) if part)) if part)


def _weakness(finding: Finding) -> str:
    """First sentence in bold: it says who can do what. Then what is particular here."""
    message = " ".join(finding.rule.message.split())
    match = _SENTENCE.match(message)
    first, rest = (match.group(1), message[match.end() :]) if match else (message, "")
    detail = ""
    if finding.detail:
        sentence = prose(cut(finding.detail, CELL)).rstrip(".")
        detail = f" It {sentence}."
    claim = prose(first) or escape(finding.rule.title) or escape(finding.rule.id)
    return f"**{claim}**{detail}" + (f" {prose(rest)}" if rest else "")


def _secret(finding: Finding, secret: Secret, pull_request_word: str) -> list[str]:
    kind = escape(cut(secret.kind, CELL)) + (f" (…{escape(secret.last_four)})" if secret.last_four else "")
    if finding.commit is None or not is_object_name(finding.commit):
        return [f"**Anyone who can read this repository has the {kind} on this line.** Revoke it first: whoever has a copy keeps it."]
    commit = phrases.short(finding.commit)
    return [
        f"**Anyone who can read this repository has the {kind} that commit {code(commit)} added.** "
        f"Revoke it first: it is in the history whatever happens here. "
        f"Removing the line will not clear this check while that commit is in the {pull_request_word}.",
        take_out(commit),
    ]


def is_object_name(commit: str) -> bool:
    """Whether it is what git names a commit by, whole."""
    return _OBJECT_NAME.fullmatch(commit) is not None


def take_out(commit: str) -> str:
    """How a secret's commit goes out of a branch that nobody else works on: three lines of git; `commit` is hexadecimal."""
    lines = (
        f"git rebase --interactive {commit}~1   # mark {commit} as edit, then take the secret out of the file\n"
        "git commit --all --amend --no-edit && git rebase --continue\n"
        "git push --force-with-lease"
    )
    return f"<details><summary>Take the commit out</summary>\n\n{fenced(lines, 'sh')}\n\n</details>"


def _way_out(finding: Finding, fix_note: str, word: ProofWord | None, *, suggested: bool, pull_request_word: str) -> str:
    parts = []
    note = prose(cut(fix_note, CELL))
    if note and word is not None:
        parts.append(sentence(cut(fix_note, CELL)))
    elif finding.rule.help and finding.secret is None:
        parts.append(prose(finding.rule.help))
    if word is ProofWord.VERIFIED:
        parts.append("Verified: gone, nothing new, and a test runs the new lines.")
    elif word is ProofWord.RESCANNED:
        parts.append("Re-scanned: gone, nothing new.")
    if word in (ProofWord.VERIFIED, ProofWord.RESCANNED) and finding.handle:
        command = code(f"/fix {finding.handle}")
        parts.append(
            f"{command} runs the tests too." if suggested else f"{command} runs the tests and opens a {pull_request_word} with it."
        )
    if finding.handle and finding.secret is not None:
        parts.append(f"Revoked? {code(f'/rotated {finding.handle}')} (somebody other than the author).")
    elif finding.handle:
        parts.append(f"Wrong? {code(f'/waive {finding.handle} reason')} (somebody other than the author).")
    return " ".join(parts)


def render_comment(
    report: Report, capabilities: Capabilities, *, since: str = "", check_url: str = "", threaded: frozenset[str] = frozenset()
) -> str:
    """The sticky comment, and the text of the review that opens the threads. Never empty: whether it is posted, the caller decides.

    Args:
        since: commit that the counts of what was fixed are about, when it is not the base.
        check_url: page of the check, linked when it is http(s).
        threaded: fingerprints that have a thread; told in the table where a check has no page.
    """
    verdict = report.verdict
    # What the table's own line of facts says is not said twice.
    elsewhere = (" older",) if capabilities.check_pages else (" older", " fixed")
    counts = [text for text in phrases.tally(verdict, whole=report.whole) if not text.endswith(elsewhere)]
    told = ", ".join(escape(text) for text in counts) or "nothing new"
    told += f" since {code(phrases.short(since))}" if since else ""
    page = f" {link('Check', check_url)}." if check_url and link("Check", check_url) != "Check" else ""
    missing = f" **{escape(cut(verdict.could_not_check, CELL))}.**" if verdict.incomplete and capabilities.check_pages else ""
    first = f"**Fixwright**: {told}.{missing}{page}"
    if capabilities.check_pages:
        return first
    rows = [row(judged, report, threaded) for judged in (*phrases.listed(verdict), *phrases.waived(verdict))]
    shown = above_fold(rows, report, ABOVE_FOLD - 1)
    room = capabilities.max_body - size(first) - 2
    summary = render_summary(report, room // 2, shown=shown, total=len(rows), details_url=check_url, remarks=not capabilities.annotations)
    rest = render_rest(rows[len(shown) :], report, room - size(summary) - 2, fold=True)
    return "\n\n".join(part for part in (first, summary, rest) if part)


def render_confided(secrets: Sequence[Judged], report: Report, capabilities: Capabilities) -> str:
    """The comment for the members of a public repository: each secret of the change with its place and the way out, as a thread has it.

    Args:
        secrets: the worst first; those that do not fit are counted.
    """
    count = phrases.plural(len(secrets), "secret")
    first = f"**Fixwright**, for members only: {count} in this {capabilities.pull_request_word}."
    room = capabilities.max_body - size(first) - MORE
    parts = [first]
    for number, judged in enumerate(secrets):
        place_of = code(f"{cut(phrases.where(judged.finding), CELL)}")
        said = f"{place_of}\n\n{render_thread(judged, report, suggestion=None, pull_request_word=capabilities.pull_request_word)}"
        room -= size(said) + 2
        if room < 0 or number >= CONFIDED:
            parts.append(f"{len(secrets) - number:,} more: {how_to_list(report)}")
            break
        parts.append(said)
    return "\n\n".join(parts)
