"""Several patches on top of each other as one: its words, and what its proofs say together. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from posixpath import commonpath, dirname
from typing import TypeVar

from pipeline.escaping import cut
from pipeline.model.finding import Finding
from pipeline.model.fix import FileEdit, Patch, Proof, ProofCheck, ProofWord
from pipeline.phrases import what
from pipeline.triage.proof import ORDER

T = TypeVar("T")

TITLE = 60
"""Bytes of a title; see `Patch.title`."""

_WEAKEST_FIRST = (ProofWord.REFUSED, ProofWord.UNCHECKED, ProofWord.RESCANNED, ProofWord.VERIFIED)


def one_patch(mended: Sequence[tuple[Finding, Patch | None]], edits: Sequence[FileEdit]) -> Patch:
    """The patch of all of them; of a single one it is its own.

    Args:
        mended: in the order in which the patches were made.
        edits: what they change together.
    """
    patches = [patch for _, patch in mended if patch is not None]
    if len(patches) == 1:
        first = replace(patches[0], edits=tuple(edits))
        return first if len(mended) == 1 else replace(first, title=_title([finding for finding, _ in mended], patches))
    return Patch(
        edits=tuple(edits),
        title=_title([finding for finding, _ in mended], patches),
        explanation=" ".join(_each(patch.explanation for patch in patches)),
        fixer=", ".join(_each(patch.fixer for patch in patches)),
        notes=_each(note for patch in patches for note in patch.notes),
    )


def _title(findings: Sequence[Finding], patches: Sequence[Patch]) -> str:
    """What is done where all do the same; else how many are mended, of what or where."""
    count = len(findings)
    titles = _each(patch.title for patch in patches)
    if len(titles) == 1:
        suffix = f" in {count} places"
        return f"{cut(titles[0].rstrip('.'), TITLE - len(suffix))}{suffix}"
    head = f"mend {count} findings"
    paths = sorted({finding.location.path for finding in findings})
    if len({finding.rule.id for finding in findings}) == 1:
        return cut(f"{head}: {what(findings[0])}", TITLE)
    folder = paths[0] if len(paths) == 1 else commonpath([dirname(path) for path in paths])
    return cut(f"{head} in {folder}", TITLE) if folder else head


def one_proof(mended: Sequence[tuple[str, Proof]]) -> Proof:
    """What may be said of all of them: the weakest of their words, and each check as far as it passed for every one.

    Args:
        mended: name and proof of each, in the order in which the patches were made; at least one.
    """
    proofs = [proof for _, proof in mended]
    if len(proofs) == 1:
        return proofs[0]
    names = sorted(_each(check.name for proof in proofs for check in proof.checks), key=ORDER.index)
    checks = tuple(
        _one_check([(name, check) for name, proof in mended for check in proof.checks if check.name == wanted]) for wanted in names
    )
    exploits = [run for proof in proofs for run in proof.exploits]
    return Proof(
        word=min((proof.word for proof in proofs), key=_WEAKEST_FIRST.index),
        checks=checks,
        not_proven=_each(sentence for proof in proofs for sentence in proof.not_proven),
        engines=_each(engine for proof in proofs for engine in proof.engines),
        seconds=sum(proof.seconds for proof in proofs),
        exploit=exploits[0] if exploits else None,
        more_exploits=tuple(exploits[1:]),
    )


def _one_check(said: Sequence[tuple[str, ProofCheck]]) -> ProofCheck:
    checks = [check for _, check in said]
    passed = [check.passed for check in checks]
    # One after the other: what was counted before the first patch, and after the last.
    before = next((check.before for check in checks if check.before is not None), None)
    after = next((check.after for check in reversed(checks) if check.after is not None), None)
    worst = False if False in passed else None if None in passed else True
    texts = _each(check.said for check in checks)
    by_text = [(text, [name for name, check in said if check.said == text]) for text in texts]
    told = texts[0] if len(texts) == 1 else "; ".join(_of(names, text) for text, names in by_text)
    return ProofCheck(checks[0].name, worst, told, before, after)


def _of(names: Sequence[str], text: str) -> str:
    # "K7Q fires before and not after" names it already.
    return text if len(names) == 1 and text.startswith(names[0]) else f"{', '.join(names)}: {text}"


def _each(values: Iterable[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(value for value in values if value))
