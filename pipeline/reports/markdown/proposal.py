"""The pull request that carries a fix: its title in the repository's own convention, its body in six lines, its commit message."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath

from pipeline import phrases
from pipeline.answers import SENTENCE, not_proven, proof_sentences, proof_word, with_receipt
from pipeline.escaping import code, cut, escape, inert, prose, sentence
from pipeline.model.finding import Finding
from pipeline.model.fix import Patch, Proof, Receipt
from pipeline.ports import Capabilities
from pipeline.reports.markdown.thread import is_object_name, take_out

TITLE = 72
"""Bytes of a title: what git and hosts show of a commit's first line."""

_CONVENTIONAL = re.compile(r"(?:feat|fix|chore|docs|refactor|test|perf|build|ci|style|revert)(\([^)]+\))?!?: \S")
_SCOPE = re.compile(r"[a-z]{2,10}\(([a-z0-9][a-z0-9._/-]{0,29})\)!?: \S")
_AREA = re.compile(r"([a-z0-9][a-z0-9._/-]{0,29}): \S")
"""`area: what`, as in Go, Linux and many more; a conventional commit's type is told apart before."""
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
    AREA = "area"
    """`db: bind user name in query`"""


@dataclass(frozen=True, slots=True)
class Style:
    """How the commits of a repository are written, as far as its newest ones tell."""

    convention: Convention = Convention.SENTENCE
    areas: frozenset[str] = frozenset()
    """What stands in the brackets, or before the colon."""
    sign_off: bool = False


def detect_style(messages: Sequence[str]) -> Style:
    """What most of these commit messages do; hostile text, of which only words that are areas are kept."""
    subjects = [message.partition("\n")[0] for message in messages]
    convention = detect_convention(subjects)
    pattern = {Convention.SCOPED: _SCOPE, Convention.AREA: _AREA}.get(convention)
    found = [match[1] for subject in subjects if pattern and (match := pattern.match(subject))]
    return Style(convention, frozenset(found), detect_sign_off(messages))


def detect_convention(subjects: Sequence[str]) -> Convention:
    """The convention of most of the subjects; merges do not count, and without any it is a sentence."""
    own = [subject for subject in subjects if subject.strip() and not subject.startswith(("Merge ", "Revert "))]
    conventional = [match for subject in own if (match := _CONVENTIONAL.match(subject))]
    if own and len(conventional) * 2 > len(own):
        scoped = sum(1 for match in conventional if match.group(1))
        return Convention.SCOPED if scoped * 2 > len(conventional) else Convention.CONVENTIONAL
    if own and sum(1 for subject in own if _AREA.match(subject)) * 2 > len(own):
        return Convention.AREA
    lower = sum(1 for subject in own if subject[:1].islower())
    return Convention.LOWER if own and lower * 2 > len(own) else Convention.SENTENCE


def detect_sign_off(messages: Sequence[str]) -> bool:
    """True when most commits carry a `Signed-off-by` trailer: the Developer Certificate of Origin is asked for there."""
    return bool(messages) and sum(1 for message in messages if _SIGNED_OFF.search(message)) * 2 > len(messages)


def render_fix_title(finding: Finding, patch: Patch, style: Style | Convention = Convention.SENTENCE) -> str:
    """First line of the commit and title of the pull request: plain text, at most 72 bytes."""
    style = style if isinstance(style, Style) else Style(style)
    convention = style.convention
    subject = inert(patch.title or f"fix {phrases.what(finding)[:1].lower()}{phrases.what(finding)[1:]}").rstrip(".")
    if convention is Convention.SENTENCE:
        return cut(subject[:1].upper() + subject[1:], TITLE)
    first_word = subject.split(" ", 1)[0]
    if not first_word.isupper():
        subject = subject[:1].lower() + subject[1:]
    if convention is Convention.LOWER:
        return cut(subject, TITLE)
    area = _area(finding.location.path, style.areas)
    if convention is Convention.AREA:
        return cut(f"{area}: {subject}" if area else subject, TITLE)
    prefix = f"fix({area}): " if convention is Convention.SCOPED and area else "fix: "
    return cut(prefix + subject, TITLE)


def _area(path: str, known: frozenset[str]) -> str:
    """Which area a file belongs to: one that the repository names already, from the file outwards, else the file; "" for none."""
    outwards = (PurePosixPath(path).stem, *PurePosixPath(path).parts[-2::-1])
    steps = [re.sub(r"[^a-z0-9]+", "-", step.lower()).strip("-")[:20] for step in outwards]
    # A file may be called `gh-7` or like a commit.
    usable = [step for step in steps if step and inert(step) == step]
    return next((step for step in usable if step in known), usable[0] if usable and usable[0] == steps[0] else "")


def render_commit_message(title: str, patch: Patch) -> str:
    """The whole commit message as plain text; who signs it off is added by the host's adapter, which knows the author."""
    body = inert(patch.explanation)
    body = f"- {body}" if _TRAILER.match(body) else body
    return "\n\n".join(part for part in (inert(title), body) if part) + "\n"


def render_pull_request_body(
    finding: Finding,
    patch: Patch,
    proof: Proof,
    receipt: Receipt | None,
    *,
    capabilities: Capabilities,
    stacked: bool = True,
    also: Sequence[Finding] = (),
    left_out: Sequence[tuple[str, str]] = (),
    fix: str = "",
) -> str:
    """What was wrong, what is different, what was proven and what was not.

    Args:
        also: what the patch mends besides `finding`.
        left_out: what it was to mend and does not: how that is called, and why.
        fix: id of the fix run, by which an operator gets a receipt that is too long for the body.
        stacked: True when it targets the branch of a change: hosts do not run checks there that are filtered by base branch.

    Returns:
        At most `capabilities.max_body` bytes; the receipt itself stands below the fold when there is room, so that it can be verified;
        where there is none the body says how it can be had.
    """
    todo = " ".join(sentence(cut(note, SENTENCE)) for note in patch.notes)
    parts = [
        _wrong((finding, *also)),
        _left_out(left_out, capabilities.pull_request_word),
        prose(cut(patch.explanation, SENTENCE)),
        f"**Before merging:** {todo}" if todo else "",
        _history((finding, *also), capabilities.pull_request_word, stacked=stacked),
        f"{proof_sentences(proof)} {proof_word(proof)}.".strip(),
        _exploit(proof),
        not_proven(proof),
        _signature(patch, receipt),
    ]
    if stacked:
        parts.append(
            f"This {capabilities.pull_request_word} targets the branch of the change: checks filtered by base branch do not run here."
        )
    return with_receipt("\n\n".join(part for part in parts if part), receipt, fix, capabilities.max_body)


def _history(findings: Sequence[Finding], pull_request_word: str, *, stacked: bool) -> str:
    """Of secrets: where the value still is after the merge, and how it goes there, too; empty for what is none."""
    secrets = [finding for finding in findings if finding.secret is not None]
    if not secrets:
        return ""
    commits = sorted({phrases.short(f.commit) for f in secrets if f.commit is not None and is_object_name(f.commit)})
    if stacked and commits:
        said = (
            f"The old value stays in {', '.join(code(commit) for commit in commits)}: revoked it does no harm there. To have it out of the"
        )
        return "\n\n".join([f"{said} {pull_request_word}:", *(take_out(commit) for commit in commits)])
    how = code("git filter-repo --replace-text")
    return (
        "The old value stays in the history, also after the merge: revoked it does no harm there. To have it out, rewrite every branch and"
        f" tag that has it ({how}), push them by force, and make every clone anew."
    )


def _wrong(findings: Sequence[Finding]) -> str:
    lines = [_one(finding) for finding in findings]
    if len(findings) == 1:
        return f"{lines[0]}: {_message(findings[0])}"
    meanings = dict.fromkeys(_message(finding) for finding in findings)
    return "\n".join([f"{len(findings)} findings, mended together:", "", *(f"- {line}" for line in lines), "", "\n\n".join(meanings)])


def _one(finding: Finding) -> str:
    handle = f"{code(finding.handle)}, " if finding.handle else ""
    return f"{escape(phrases.what(finding))} in {code(cut(phrases.where(finding), 200))} ({handle}CWE-{finding.rule.cwe})"


def _message(finding: Finding) -> str:
    return prose(" ".join(finding.rule.message.split()))


def _left_out(missing: Sequence[tuple[str, str]], word: str) -> str:
    if not missing:
        return ""
    lines = [f"- {code(cut(name, 200))}: {prose(cut(why, SENTENCE)).rstrip('.')}" for name, why in missing]
    return "\n".join([f"Not in this {word}:", "", *lines])


def _exploit(proof: Proof) -> str:
    said = []
    for run in proof.exploits:
        test = "The test " + code(cut(run.test.path, 200)) if run.offered else "A test that is not part of this"
        said.append(f"{test} sends hostile input: it fails without this change and passes with it.")
    return " ".join(dict.fromkeys(said))


def _signature(patch: Patch, receipt: Receipt | None) -> str:
    fixer = f"fixer {code(patch.fixer or 'unnamed')}, no model"
    if receipt is None:
        return f"No receipt · {fixer}"
    return f"Receipt {code(receipt.digest[:19] + '…')} ({code('fixwright verify receipt.json --repo .')}) · {fixer}"
