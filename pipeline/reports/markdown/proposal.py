"""The pull request that carries a fix: its title in the repository's own convention, its body in six lines, its commit message."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from pathlib import PurePosixPath

from pipeline import phrases
from pipeline.answers import SENTENCE, not_proven, proof_sentences, proof_word, receipt_fold
from pipeline.escaping import code, cut, escape, inert, prose, sentence, size, visible
from pipeline.model.finding import Finding
from pipeline.model.fix import Patch, Proof, Receipt
from pipeline.ports import Capabilities

TITLE = 72
"""Bytes of a title: what git and hosts show of a commit's first line."""

_CONVENTIONAL = re.compile(r"(?:feat|fix|chore|docs|refactor|test|perf|build|ci|style|revert)(\([^)]+\))?!?: \S")
_TRAILER = re.compile(r"(?:[A-Za-z0-9-]+|BREAKING CHANGE)\s*[:#]")
"""`Signed-off-by: `, `skip-checks: `, `BREAKING CHANGE: `: what git, hosts and release tools read from a paragraph's start
(git-interpret-trailers(1); Conventional Commits 1.0.0, footers)."""

_SIGNED_OFF = re.compile(r"^Signed-off-by: [^<\n]+ <[^<>@\n]+@[^<>\n]+>[ \t\r]*$", re.MULTILINE)


class Convention(StrEnum):
    """How a repository writes the first line of its commits."""

    SENTENCE = "sentence"
    """`Bind user name in query`"""
    LOWER = "lower"
    """`bind user name in query`"""
    CONVENTIONAL = "conventional"
    """`fix: bind user name in query` (Conventional Commits 1.0.0)"""
    SCOPED = "scoped"
    """`fix(db): bind user name in query`"""


def detect_convention(subjects: Sequence[str]) -> Convention:
    """The convention of most of the subjects; merges do not count, and without any it is a sentence."""
    own = [subject for subject in subjects if subject.strip() and not subject.startswith(("Merge ", "Revert "))]
    conventional = [match for subject in own if (match := _CONVENTIONAL.match(subject))]
    if own and len(conventional) * 2 > len(own):
        scoped = sum(1 for match in conventional if match.group(1))
        return Convention.SCOPED if scoped * 2 > len(conventional) else Convention.CONVENTIONAL
    lower = sum(1 for subject in own if subject[:1].islower())
    return Convention.LOWER if own and lower * 2 > len(own) else Convention.SENTENCE


def detect_sign_off(messages: Sequence[str]) -> bool:
    """True when most commits carry a `Signed-off-by` trailer: the Developer Certificate of Origin is asked for there."""
    return bool(messages) and sum(1 for message in messages if _SIGNED_OFF.search(message)) * 2 > len(messages)


def render_fix_title(finding: Finding, patch: Patch, convention: Convention = Convention.SENTENCE) -> str:
    """First line of the commit and title of the pull request: plain text, at most 72 bytes."""
    subject = inert(patch.title or f"fix {phrases.what(finding)[:1].lower()}{phrases.what(finding)[1:]}").rstrip(".")
    if convention is Convention.SENTENCE:
        return cut(subject[:1].upper() + subject[1:], TITLE)
    first_word = subject.split(" ", 1)[0]
    if not first_word.isupper():
        subject = subject[:1].lower() + subject[1:]
    if convention is Convention.LOWER:
        return cut(subject, TITLE)
    scope = re.sub(r"[^a-z0-9]+", "-", PurePosixPath(finding.location.path).stem.lower()).strip("-")[:20]
    # A file may be called `gh-7` or like a commit.
    prefix = f"fix({scope}): " if convention is Convention.SCOPED and scope and inert(scope) == scope else "fix: "
    return cut(prefix + subject, TITLE)


def render_commit_message(title: str, patch: Patch, *, sign_off: str = "") -> str:
    """The whole commit message as plain text.

    Args:
        sign_off: `Name <address>` of who signs off, when the repository's history asks for it.
    """
    body = inert(patch.explanation)
    body = f"- {body}" if _TRAILER.match(body) else body
    trailer = f"Signed-off-by: {visible(sign_off)}" if sign_off else ""
    return "\n\n".join(part for part in (inert(title), body, trailer) if part) + "\n"


def render_pull_request_body(
    finding: Finding,
    patch: Patch,
    proof: Proof,
    receipt: Receipt | None,
    *,
    capabilities: Capabilities,
    stacked: bool = True,
) -> str:
    """What was wrong, what is different, what was proven and what was not.

    Args:
        stacked: True when it targets the branch of a change: hosts do not run checks there that are filtered by base branch.

    Returns:
        At most `capabilities.max_body` bytes; the receipt itself stands below the fold when there is room, so that it can be verified.
    """
    handle = f"{code(finding.handle)}, " if finding.handle else ""
    message = " ".join(finding.rule.message.split())
    wrong = (
        f"{escape(phrases.what(finding))} in {code(cut(phrases.where(finding), 200))} ({handle}CWE-{finding.rule.cwe}): {prose(message)}"
    )
    todo = " ".join(sentence(cut(note, SENTENCE)) for note in patch.notes)
    parts = [
        wrong,
        prose(cut(patch.explanation, SENTENCE)),
        f"**Before merging:** {todo}" if todo else "",
        f"{proof_sentences(proof)} {proof_word(proof)}.".strip(),
        _exploit(proof),
        not_proven(proof),
        _signature(patch, receipt),
    ]
    if stacked:
        parts.append(
            f"This {capabilities.pull_request_word} targets the branch of the change: checks filtered by base branch do not run here."
        )
    body = "\n\n".join(part for part in parts if part)
    fold = receipt_fold(receipt)
    whole = f"{body}\n\n{fold}" if fold else body
    return whole if size(whole) <= capabilities.max_body else cut(body, capabilities.max_body)


def _exploit(proof: Proof) -> str:
    if proof.exploit is None:
        return ""
    test = "The test " + code(cut(proof.exploit.test.path, 200)) if proof.exploit.offered else "A test that is not part of this"
    return f"{test} sends hostile input: it fails without this change and passes with it."


def _signature(patch: Patch, receipt: Receipt | None) -> str:
    fixer = f"fixer {code(patch.fixer or 'unnamed')}, no model"
    if receipt is None:
        return f"No receipt · {fixer}"
    return f"Receipt {code(receipt.digest[:19] + '…')} ({code('fixwright verify receipt.json --repo .')}) · {fixer}"
