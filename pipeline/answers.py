"""What Fixwright answers under a comment: one Markdown text for each topic. Commands and stages say the same thing in the same words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from typing import Literal

from pipeline import phrases
from pipeline.escaping import can_be_suggested, code, cut, escape, fenced, prose, sentence, size, visible
from pipeline.model.command import Situation
from pipeline.model.finding import Finding, Judged, Standing, SuppressionKind
from pipeline.model.fix import Fix, FixStatus, Patch, Proof, ProofWord, Receipt
from pipeline.model.review import Conclusion, ReviewStatus, Verdict

Topic = Literal[
    "permission",
    "not-settled",
    "nothing",
    "which",
    "unknown",
    "ambiguous",
    "gone",
    "mended",
    "closed",
    "renewed",
    "refused",
    "suggestion",
    "patch",
    "opened",
    "pushed",
    "unknown-command",
    "too-many",
    "scan",
    "scan-running",
    "given-up",
]

WaiverTopic = Literal[
    "waived",
    "rotated",
    "taken-back",
    "not-waived",
    "own",
    "own-rotated",
    "not-a-secret",
    "no-name",
    "no-reason",
    "short-reason",
    "long-reason",
    "malformed",
    "past",
    "late",
]

NAMED = 20
"""Handles or places that one answer lists."""

SENTENCE = 600
"""Bytes of one hostile or machine-made sentence before escaping."""

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")

DECIDING = ("finding gone", "nothing new", "tests", "broken on purpose")
"""Names of the checks of the gate (`pipeline.triage.proof`) whose outcome a reader wants to know."""

BODY = 60_000
"""Bytes of an answer: below every host's limit (GitHub: 65,536 characters of a comment)."""


def render_answer(
    topic: Topic,
    *,
    asked: str = "",
    command: str = "",
    commands: Sequence[str] = (),
    handle: str = "",
    handles: Sequence[str] = (),
    places: Sequence[str] = (),
    error: str = "",
    proof: Proof | None = None,
    receipt: Receipt | None = None,
    fix: str = "",
    patch: Patch | None = None,
    finding: Finding | None = None,
    suggestion: str = "",
    fence: str = "suggestion",
    diff: str = "",
    number: int = 0,
    branch: str = "",
    commit: str = "",
    pull_request_word: str = "pull request",
    reference_sign: str = "#",
) -> str:
    """The answer to a command, as Markdown; everything in it is escaped.

    Args:
        topic: what is to be said; it decides which of the other arguments are read.
        asked: what the person typed as a handle.
        command: usage line of the command that was refused; `commands`: of all that exist.
        handle: of the finding that the answer is about; `handles`: those that would do.
        places: `path:line` of each finding that an ambiguous handle means.
        fix: id of the fix run that `receipt` is of: by it an operator gets the receipt where it is not shown.
        error: why there is no patch, or why a patch became no branch; a clause.
        suggestion: the new lines; `fence`: how the host knows them (`Capabilities.suggestion_on`); `diff`: the whole patch, unified.
        number: of the pull request that was opened.
        branch: that got a commit, `commit`: its name.
        pull_request_word, reference_sign: see `pipeline.ports.Capabilities`.
    """
    match topic:
        case "permission":
            return f"{code(command)} needs write permission on this repository. Nothing was done for it."
        case "not-settled":
            return f"The newest commit of this {pull_request_word} is still being checked. Ask again when the check has ended."
        case "nothing":
            return "Nothing is open here."
        case "which":
            return f"Which one? Write {code(f'{command} HANDLE')} with one of these: {_list(handles)}."
        case "unknown":
            known = f" Open here: {_list(handles)}." if handles else " Nothing is open here."
            return f"No finding here is called {code(cut(asked, 40))}.{known}"
        case "ambiguous":
            example = f" Write for example {code(cut(f'{command} {places[0]}', 300))}." if places and command else ""
            return f"{code(cut(asked or handle, 40))} means several findings. Name one by its place: {_list(places)}.{example}"
        case "gone":
            return f"{code(cut(asked or handle, 40))} is not open any more: the newest commit does not have it."
        case "mended":
            return f"{code(command)} is for what this {pull_request_word} brings, and {code(cut(asked, 40))} is what it mends."
        case "closed":
            return f"This {pull_request_word} is not open any more: it gets no other patch."
        case "renewed":
            return f"This {pull_request_word} has the patch for {code(handle)}: {proof_word(proof)}.{_digest(receipt)}"
        case "unknown-command":
            return f"There is no command {code(cut(asked, 40))}. There is: {_list(commands)}."
        case "too-many":
            return f"Only the first {number} commands of a comment are done."
        case "scan":
            return f"{code(phrases.short(asked))} is being checked again. The check shows the outcome."
        case "scan-running":
            return f"{code(phrases.short(asked))} is being checked already. The check shows the outcome."
        case "given-up":
            return f"Could not do that: {prose(cut(error, SENTENCE)).rstrip('.')}. Ask again."
        case "refused":
            return _refused(handle, proof, error)
        case "suggestion":
            return _suggestion(handle, suggestion, fence, proof, receipt, fix, patch)
        case "patch":
            return _patch(handle, diff, proof, receipt, fix, finding, error)
        case "pushed":
            at = f"{code(commit[:7])} on {code(cut(branch, 200))}"
            said = f"The fix for {code(handle)} is {at}: {proof_word(proof)}.{_digest(receipt)}"
            command = f" On the server {code(receipt_command(fix))} writes it into a file." if receipt and fix else ""
            return with_receipt(said + command, receipt, "" if command else fix, BODY)
        case "opened":
            return f"Opened {reference_sign}{number} for {code(handle)}: {proof_word(proof)}.{_digest(receipt)}"


def proof_word(proof: Proof | None) -> str:
    """What may be said of a patch, in bold."""
    return f"**{proof.word.value if proof else ProofWord.UNCHECKED.value}**"


def proof_sentences(proof: Proof) -> str:
    """What the gate found, as one paragraph: what decides, and what could not be checked. The receipt has every check."""
    said = [_spoken(check.said) for check in proof.checks if check.passed and check.said and check.name in DECIDING]
    unable = [_spoken(check.said) for check in proof.checks if check.passed is None and check.said]
    return " ".join([*said, *unable])


def _spoken(said: str) -> str:
    """What a check says, as a sentence: in a table it begins small. A name or a number at its beginning stays as it is."""
    return sentence(cut(said[:1].upper() + said[1:] if re.match(r"[a-z]+ ", said) else said, SENTENCE))


def not_proven(proof: Proof) -> str:
    """`Not proven: ...`, or nothing."""
    if not proof.not_proven:
        return ""
    return f"Not proven: {' '.join(sentence(cut(missing, SENTENCE)) for missing in proof.not_proven)}"


def receipt_fold(receipt: Receipt | None) -> str:
    """The receipt itself below a fold, to be saved and verified; empty when it cannot be shown as it is."""
    if receipt is None or not _DIGEST.fullmatch(receipt.digest):
        return ""
    try:
        text = receipt.envelope.decode("ascii")
    except UnicodeDecodeError:
        return ""
    if "<" in text or visible(text.replace("\n", " ")) != text.replace("\n", " "):
        return ""
    return f"<details><summary>receipt.json, <code>{receipt.digest}</code></summary>\n\n{fenced(text, 'json')}\n\n</details>"


def receipt_command(fix: str) -> str:
    """What an operator types to have the receipt of a fix run as a file."""
    return f"fixwright fix receipt {cut(fix, 100)} --output receipt.json"


def with_receipt(text: str, receipt: Receipt | None, fix: str, room: int) -> str:
    """A text with the receipt below its fold; where that does not fit into `room` bytes, with how else it can be had, and the text is cut
    rather than that sentence."""
    if receipt is None:
        return text if size(text) <= room else cut(text, room)
    fold = receipt_fold(receipt)
    whole = f"{text}\n\n{fold}"
    if fold and size(whole) <= room:
        return whole
    left = f"The receipt {'does not fit' if fold else 'cannot be shown'} here."
    if fix:
        left += f" On the server {code(receipt_command(fix))} writes it into a file."
    return f"{cut(text, max(0, room - size(left) - 2))}\n\n{left}"


def _list(words: Sequence[str]) -> str:
    named = ", ".join(code(cut(word, 200)) for word in words[:NAMED])
    return f"{named} and {len(words) - NAMED:,} more" if len(words) > NAMED else named


def _digest(receipt: Receipt | None) -> str:
    return f" Receipt {code(receipt.digest[:19] + '…')}." if receipt else ""


def _refused(handle: str, proof: Proof | None, error: str) -> str:
    reasons = proof.reasons if proof else ()
    if not reasons:
        why = prose(cut(error, SENTENCE)).rstrip(".") if error else "no fixer has a patch for this place"
        return f"No patch for {code(handle)}: {why}. Nothing was changed."
    lines = [f"- {prose(cut(reason, SENTENCE))}" for reason in reasons[:NAMED]]
    return "\n".join([f"A patch for {code(handle)} was made and **refused**. Nothing was changed.", "", *lines])


def _suggestion(handle: str, text: str, fence: str, proof: Proof | None, receipt: Receipt | None, fix: str, patch: Patch | None) -> str:
    explanation = prose(cut(patch.explanation, SENTENCE)) if patch else ""
    block = fenced(text, fence) if can_be_suggested(text) else "The lines hold characters that cannot be shown."
    facts = f"{proof_sentences(proof)} {proof_word(proof)}.{_digest(receipt)}" if proof else ""
    parts = [
        f"{code(handle)}: {explanation}" if explanation else f"A fix for {code(handle)}:",
        block,
        facts,
        not_proven(proof) if proof else "",
    ]
    return with_receipt("\n\n".join(part.strip() for part in parts if part), receipt, fix, BODY)


def _patch(handle: str, diff: str, proof: Proof | None, receipt: Receipt | None, fix: str, finding: Finding | None, error: str) -> str:
    at = f" at {code(cut(phrases.where(finding), 200))}" if finding else ""
    facts = f"{proof_sentences(proof)} {proof_word(proof)}.{_digest(receipt)}" if proof else ""
    why = prose(cut(error, SENTENCE)) or "no branch could be made for it"
    head = f"A fix for {code(handle)}{at}, to be applied with `git apply`: {why}."
    secret = finding is not None and finding.secret is not None
    hidden = secret or any(line and not can_be_suggested(line) for line in diff.split("\n"))
    block = fenced(diff, "diff")
    if hidden or size(block) + size(head) + size(facts) > BODY:
        why = "it holds characters that cannot be shown" if hidden else "it is too long for a comment"
        why = "it would show the secret" if secret else why
        local = f"fixwright fix . --finding {handle} --patch fix.diff"
        block = f"The patch is not shown here ({escape(why)}): {code(local)} makes it."
    rest = not_proven(proof) if proof else ""
    parts = [part.strip() for part in (head, block, facts, rest) if part]
    return with_receipt("\n\n".join(parts), receipt, fix, BODY)


# --- waivers ----------------------------------------------------------------------------------------------------------------------------


def render_waiver_answer(
    topic: WaiverTopic, *, handle: str = "", place: str = "", until: date | None = None, reason: str = "", handles: Sequence[str] = ()
) -> str:
    """The answer to `/waive` and `/rotated`.

    Args:
        handle: of the finding; `place`: `FILE:LINE` when the handle alone means several.
        until: the last day; of `past` and `late` the first or last one that would do.
        handles: those that would do.
    """
    called = place or handle or (handles[0] if handles else "HANDLE")
    name, day = code(cut(called, 200)), until.isoformat() if until else ""
    again = code(cut(f"/waive {called} reason", 220))
    why = sentence(cut(reason, SENTENCE))
    match topic:
        case "waived":
            return f"{name} is waived until {day}: {why} The check follows. {code(cut(f'/waive {called} off', 220))} takes it back."
        case "rotated":
            return f"{name} counts as revoked: {why} The check follows. {code(cut(f'/rotated {called} off', 220))} takes it back."
        case "taken-back":
            return f"That is taken back: {name} counts again. The check follows."
        case "not-waived":
            return f"Nothing holds for {name} that could be taken back."
        case "own":
            return f"{name} is in your own change. Somebody else with write permission can waive it: {again}. Nothing was done."
        case "own-rotated":
            other = code(cut(f"/rotated {called}", 220))
            return f"{name} is in your own change. Somebody else with write permission has to say so: {other}. Nothing was done."
        case "not-a-secret":
            return f"{name} is no secret: there is nothing to revoke. {again} lets it stand for a time. Nothing was done."
        case "no-name":
            listed = f" Open here: {_list(handles)}." if handles else " Nothing is open here."
            return f"Write which one and why: {again}.{listed}"
        case "no-reason":
            return f"A waiver needs a reason that somebody else can judge: {again}. Nothing was done."
        case "short-reason":
            return f"That says too little for somebody who reads it in three months. Write it out: {again}. Nothing was done."
        case "long-reason":
            return "A reason has at most 500 characters. Nothing was done."
        case "malformed":
            dated = code(cut(f"/waive {called} reason until 2027-02-20", 240))
            return f"The last day stands at the end, as year, month and day: {dated}. Nothing was done."
        case "past":
            return f"That day is over: the last day must be {day} or later. Nothing was done."
        case "late":
            return f"The policy lets a waiver hold until {day} at most. Nothing was done."


def suppressed_words(judged: Judged) -> str:
    """Markdown: who let a finding stand, until when and why; or that this has ended. Empty when nobody did."""
    found = judged.suppression
    if found is None:
        return ""
    by = escape(cut(found.by, 100))
    if found.expired:
        what = f"the waiver by {by}" if found.kind is SuppressionKind.WAIVER else f"the ignore in {code(cut(found.by, 200))}"
        return f"{what} expired on {found.until.isoformat()}" if found.until else f"{what} expired"
    until = f" until {found.until.isoformat()}" if found.until else ""
    since = f" on {found.since.isoformat()}" if found.since else ""
    why = prose(cut(found.reason, SENTENCE))
    if found.kind is SuppressionKind.ROTATED:
        return f"revoked, says {by}{since}: {why}"
    if found.kind is SuppressionKind.WAIVER:
        return f"by {by}{until}: {why}"
    return f"by {code(cut(found.by, 200))}{until}: {why}"


# --- what is known ------------------------------------------------------------------------------------------------------------------------


def render_help(commands: Sequence[tuple[str, str]]) -> str:
    """Every command that exists, one line each."""
    return "\n".join(f"- {code(usage)}: {prose(about)}" for usage, about in commands)


def render_status(situation: Situation | None, verdict: Verdict | None, pull_request_word: str = "pull request") -> str:
    """What is known of a change, at most 8 lines."""
    if situation is None:
        return f"This {pull_request_word} was not checked yet."
    head = code(phrases.short(situation.head))
    lines = [f"{head}: {_stage(situation, verdict)}."]
    if verdict is not None:
        for standing, word in ((Standing.BLOCKS, "Blocks"), (Standing.WARNS, "Warns")):
            found = verdict.standing(standing)
            if found:
                lines.append(f"- {word} ({len(found):,}): {_list(_called(found))}")
        waived = verdict.standing(Standing.WAIVED)
        if waived:
            more = f"; {len(waived) - WAIVED_SHOWN:,} more" if len(waived) > WAIVED_SHOWN else ""
            told = [f"{code(_called([one])[0])} {suppressed_words(one)}" for one in waived[:WAIVED_SHOWN]]
            lines.append(f"- Waived ({len(waived):,}): {'; '.join(told)}{more}")
        if verdict.incomplete:
            lines.append(f"- {escape(cut(verdict.could_not_check, SENTENCE))}")
    if situation.error:
        lines.append(f"- Last error: {code(cut(situation.error, 60))}")
    return "\n".join(lines)


WAIVED_SHOWN = 3
"""Waivers that one line of a status names."""


def _stage(situation: Situation, verdict: Verdict | None) -> str:
    if situation.status in (ReviewStatus.PLANNED, ReviewStatus.SCANNING, ReviewStatus.SETTLING):
        waits = f", {phrases.plural(situation.ahead, 'message')} before it" if situation.ahead else ""
        return f"being checked since {phrases.seconds(situation.seconds)}{waits}"
    if situation.status is ReviewStatus.CANCELLED:
        return "no longer checked"
    if verdict is None:
        return "no verdict"
    counts = ", ".join(phrases.tally(verdict)) or "no findings"
    word = {Conclusion.SUCCESS: "passes", Conclusion.FAILURE: "fails", Conclusion.ACTION_REQUIRED: "could not be checked"}
    return f"{word.get(verdict.conclusion, verdict.conclusion.value)} ({counts})"


def _called(found: Sequence[Judged]) -> list[str]:
    return [one.finding.handle or phrases.where(one.finding) for one in found]


# --- buttons ------------------------------------------------------------------------------------------------------------------------------


def render_button_refused(label: str) -> str:
    """To somebody who pressed a button and may not."""
    return f"{code(label)} needs write permission on this repository. Nothing was done."


def render_waive_lines(blocking: Sequence[Judged], last: date) -> str:
    """What to copy for each finding that blocks: a button cannot ask for a reason."""
    named = blocking[:NAMED]
    lines = [f"/waive {one.finding.handle or phrases.where(one.finding)} reason until {last.isoformat()}" for one in named]
    more = f"\n\n{len(blocking) - NAMED:,} more stand in the check." if len(blocking) > NAMED else ""
    head = "A waiver needs a reason, and somebody who is not the author of the change. Copy the line that is meant, with the reason in it:"
    # Indented, so that neither a reader nor we take a line of ours for a command.
    return f"{head}\n\n{fenced(chr(10).join(f'    {visible(line)}' for line in lines))}{more}"


def render_fixes(fixes: Sequence[Fix], reference_sign: str = "#", left: int = 0) -> str:
    """What became of the fixes that `/fix all` or its button asked for, one line each.

    Args:
        left: how many findings were not taken up.
    """
    lines = [f"- {code(cut(fix.place or fix.handle, 200))}: {_outcome(fix, reference_sign)}" for fix in fixes]
    rest = f"\n\n{left:,} more: {code('/fix all')} takes up the next ones when these have ended." if left else ""
    return "\n".join(["Fixes that were asked for, now or before:", "", *lines]) + rest


def _outcome(fix: Fix, sign: str) -> str:
    shows = f"{code(f'/fix {fix.place or fix.handle}')} shows it"
    match fix.status:
        case FixStatus.PENDING | FixStatus.RUNNING:
            return "being made"
        case FixStatus.COMPLETED if fix.pull_request is not None:
            return f"opened {sign}{fix.pull_request.number}, {proof_word(fix.proof)}"
        case FixStatus.COMPLETED | FixStatus.PR_CREATION_FAILED | FixStatus.PR_UPDATE_FAILED:
            why = f" ({prose(cut(fix.error, SENTENCE)).rstrip('.')})" if fix.error and fix.status is FixStatus.COMPLETED else ""
            return f"a patch, {proof_word(fix.proof)}{why}; {shows}"
        case FixStatus.CANCELLED:
            return "called off"
        case FixStatus.FAILED:
            reasons = fix.proof.reasons if fix.proof else ()
            return f"no patch: {prose(cut(reasons[0] if reasons else fix.error or 'none of the fixers has one', SENTENCE)).rstrip('.')}"
