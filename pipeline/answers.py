"""What Fixwright answers under a comment: one Markdown text for each topic. Commands and stages say the same thing in the same words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from pipeline import phrases
from pipeline.escaping import can_be_suggested, code, cut, escape, fenced, prose, sentence, size, visible
from pipeline.model.finding import Finding
from pipeline.model.fix import Patch, Proof, ProofWord, Receipt

Topic = Literal[
    "permission",
    "not-settled",
    "nothing",
    "which",
    "unknown",
    "ambiguous",
    "gone",
    "refused",
    "suggestion",
    "patch",
    "opened",
    "unknown-command",
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
    patch: Patch | None = None,
    finding: Finding | None = None,
    suggestion: str = "",
    diff: str = "",
    number: int = 0,
    pull_request_word: str = "pull request",
) -> str:
    """The answer to a command, as Markdown; everything in it is escaped.

    Args:
        topic: what is to be said; it decides which of the other arguments are read.
        asked: what the person typed as a handle.
        command: usage line of the command that was refused; `commands`: of all that exist.
        handle: of the finding that the answer is about; `handles`: those that would do.
        places: `path:line` of each finding that an ambiguous handle means.
        error: why there is no patch, a clause.
        suggestion: the new lines; `diff`: the whole patch, unified.
        number: of the pull request that was opened.
    """
    match topic:
        case "permission":
            return f"{code(command)} needs write permission on this repository. Nothing was done."
        case "not-settled":
            return f"The newest commit of this {pull_request_word} is still being checked. Ask again when the check has ended."
        case "nothing":
            return "Nothing is open here that could be fixed."
        case "which":
            return f"Which one? Open here: {_list(handles)}."
        case "unknown":
            known = f" Open here: {_list(handles)}." if handles else " Nothing is open here."
            return f"No finding here is called {code(cut(asked, 40))}.{known}"
        case "ambiguous":
            return f"{code(cut(asked or handle, 40))} means several findings. Name one by its place: {_list(places)}."
        case "gone":
            return f"{code(cut(asked or handle, 40))} is not open any more: the newest commit does not have it."
        case "unknown-command":
            return f"There is no command {code(cut(asked, 40))}. There is: {_list(commands)}."
        case "refused":
            return _refused(handle, proof, error)
        case "suggestion":
            return _suggestion(handle, suggestion, proof, receipt, patch)
        case "patch":
            return _patch(handle, diff, proof, receipt, finding)
        case "opened":
            sign = "!" if pull_request_word == "merge request" else "#"
            return f"Opened {sign}{number} for {code(handle)}: {proof_word(proof)}.{_digest(receipt)}"


def proof_word(proof: Proof | None) -> str:
    """What may be said of a patch, in bold."""
    return f"**{proof.word.value if proof else ProofWord.UNCHECKED.value}**"


def proof_sentences(proof: Proof) -> str:
    """What the gate found, as one paragraph: what decides, and what could not be checked. The receipt has every check."""
    said = [sentence(cut(check.said, SENTENCE)) for check in proof.checks if check.passed and check.said and check.name in DECIDING]
    unable = [sentence(cut(check.said, SENTENCE)) for check in proof.checks if check.passed is None and check.said]
    return " ".join([*said, *unable])


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


def _suggestion(handle: str, text: str, proof: Proof | None, receipt: Receipt | None, patch: Patch | None) -> str:
    explanation = prose(cut(patch.explanation, SENTENCE)) if patch else ""
    block = fenced(text, "suggestion") if can_be_suggested(text) else "The lines hold characters that cannot be shown."
    facts = f"{proof_sentences(proof)} {proof_word(proof)}.{_digest(receipt)}" if proof else ""
    parts = [
        f"{code(handle)}: {explanation}" if explanation else f"A fix for {code(handle)}:",
        block,
        facts,
        not_proven(proof) if proof else "",
        receipt_fold(receipt),
    ]
    return "\n\n".join(part.strip() for part in parts if part)


def _patch(handle: str, diff: str, proof: Proof | None, receipt: Receipt | None, finding: Finding | None) -> str:
    at = f" at {code(cut(phrases.where(finding), 200))}" if finding else ""
    facts = f"{proof_sentences(proof)} {proof_word(proof)}.{_digest(receipt)}" if proof else ""
    head = f"A fix for {code(handle)}{at}, to be applied with `git apply`: no branch could be made for it."
    secret = finding is not None and finding.secret is not None
    hidden = secret or any(line and not can_be_suggested(line) for line in diff.split("\n"))
    block = fenced(diff, "diff")
    if hidden or size(block) + size(head) + size(facts) > BODY:
        why = "it holds characters that cannot be shown" if hidden else "it is too long for a comment"
        why = "it would show the secret" if secret else why
        local = f"fixwright fix . --finding {handle} --patch fix.diff"
        block = f"The patch is not shown here ({escape(why)}): {code(local)} makes it."
    rest = not_proven(proof) if proof else ""
    fold = receipt_fold(receipt)
    parts = [part.strip() for part in (head, block, facts, rest) if part]
    whole = "\n\n".join([*parts, fold] if fold else parts)
    return whole if size(whole) <= BODY else "\n\n".join(parts)
