"""What a receipt says: the in-toto statement about one proof (https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md)."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, TypedDict

from pydantic import BaseModel, ConfigDict, Field

from pipeline.errors import ReceiptRefused
from pipeline.model.finding import Finding
from pipeline.model.fix import ExploitRun, FileEdit, Patch, Proof
from pipeline.patches import diff_digest, diff_of_all


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class FindingNote(_Part):
    """The finding that the patch mends."""

    rule: str
    cwe: int
    fingerprint: str
    handle: str
    path: str
    line: int
    engine: str


class FileNote(_Part):
    """One changed file: SHA-256 of its content before and after, null where it does not exist."""

    path: str
    before: str | None
    after: str | None


class CheckNote(_Part):
    """One check of the gate, with the two numbers that it compared."""

    name: str
    passed: bool | None
    said: str
    before: int | None
    after: int | None


class EngineNote(_Part):
    """An engine that looked at the files before and after."""

    name: str
    version: str
    rules: str


class PatchNote(_Part):
    """The diff itself, as text, or base64 when it is no UTF-8."""

    encoding: Literal["utf-8", "base64"]
    content: str

    def diff(self) -> str:
        """The diff, undecodable bytes as surrogate escapes. Raises ReceiptRefused."""
        if self.encoding == "utf-8":
            return self.content
        try:
            return base64.b64decode(self.content, validate=True).decode("utf-8", "surrogateescape")
        except (binascii.Error, ValueError):
            raise ReceiptRefused("the receipt's patch cannot be read") from None


class ExploitNote(_Part):
    """A test that attacked the finding: it fails without the patch and passes with it."""

    path: str
    sha256: str
    """Of the test's content."""
    attack: str
    command: str
    before: Literal["failed"]
    after: Literal["passed"]
    offered: bool
    """True when the pull request of the fix carries it; it is no part of the patch."""


class MendedNote(FindingNote):
    """One finding of several, what was proved of its own part of the patch, and by which word."""

    along: bool
    """True when the part of one before it mended it, too: then there are no checks of its own."""
    fixer: str
    word: str
    checks: tuple[CheckNote, ...]
    exploit: ExploitNote | None


class Predicate(_Part):
    """What was proved, by what, and what was not."""

    finding: FindingNote
    """The first, when there are several."""
    findings: tuple[MendedNote, ...] = ()
    """Where there are several: every finding, in the order in which their parts of the patch were proved on top of each other."""
    base: dict[Literal["commit", "tree"], str]
    """`commit`: git's name of the state; or `tree`: a digest over the changed files' state when there is no commit."""
    files: tuple[FileNote, ...]
    patch: PatchNote
    fixer: str
    word: str
    checks: tuple[CheckNote, ...]
    exploit: ExploitNote | None = None
    not_proven: tuple[str, ...] = Field(alias="notProven")
    engines: tuple[EngineNote, ...]
    seconds: float
    made: str
    tool: str


class Subject(_Part):
    """in-toto's subject: here the diff."""

    name: str
    digest: dict[str, str]


class Statement(_Part):
    """The whole in-toto statement."""

    type: Literal["https://in-toto.io/Statement/v1"] = Field(alias="_type")
    subject: tuple[Subject, ...] = Field(min_length=1, max_length=1)
    predicate_type: Literal["https://fixwright.dev/fix/v1"] = Field(alias="predicateType")
    predicate: Predicate


@dataclass(frozen=True, slots=True)
class Base:
    """The state that a patch was proved on: a commit, or the digest of a tree that has none."""

    kind: Literal["commit", "tree"]
    name: str


@dataclass(frozen=True, slots=True)
class Mended:
    """One finding that a patch mends, with its own part of it."""

    finding: Finding
    """As it was found, before any patch."""
    patch: Patch | None
    """None: the part of one before it mended it, too."""
    proof: Proof | None


def describe(
    *,
    finding: Finding,
    patch: Patch,
    base: Base,
    proof: Proof,
    tool: str,
    made: datetime | None = None,
    mended: Sequence[Mended] = (),
    left_out: Sequence[str] = (),
) -> Statement:
    """The statement about one proof.

    Args:
        tool: name and version of the program that proved it.
        made: when; now when left out.
        mended: everything that it mends when that is more than `finding`, which is the first of it then.
        left_out: handles of what it was to mend as well and does not. Why stands in no receipt: it would tell what else there is.
    """
    several = mended if len(mended) > 1 else ()
    diff = diff_of_all([finding, *(one.finding for one in several)], patch)
    missing = tuple(f"{_text(handle)} was to be mended as well, and is not" for handle in left_out)
    return Statement(
        type="https://in-toto.io/Statement/v1",
        subject=(Subject(name="patch.diff", digest={"sha256": diff_digest(diff)}),),
        predicate_type="https://fixwright.dev/fix/v1",
        predicate=Predicate(
            finding=FindingNote(**_finding_words(finding)),
            findings=tuple(_mended_note(one) for one in several),
            base={base.kind: base.name},
            files=tuple(_file_note(edit) for edit in sorted(patch.edits, key=lambda edit: edit.path)),
            patch=_patch_note(diff),
            fixer=patch.fixer,
            word=proof.word.value,
            checks=_check_notes(proof),
            exploit=_exploit_note(proof.exploit),
            not_proven=(*proof.not_proven, *missing),
            engines=tuple(EngineNote(name=e.name, version=e.version, rules=e.rules_digest) for e in proof.engines),
            seconds=round(proof.seconds, 3),
            made=(made or datetime.now(UTC)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            tool=tool,
        ),
    )


class _FindingWords(TypedDict):
    rule: str
    cwe: int
    fingerprint: str
    handle: str
    path: str
    line: int
    engine: str


def _finding_words(finding: Finding) -> _FindingWords:
    return {
        "rule": finding.rule.id,
        "cwe": finding.rule.cwe,
        "fingerprint": finding.fingerprint,
        "handle": finding.handle or "",
        "path": finding.location.path,
        "line": finding.location.line,
        "engine": finding.engine,
    }


def _mended_note(one: Mended) -> MendedNote:
    return MendedNote(
        **_finding_words(one.finding),
        along=one.patch is None,
        fixer=one.patch.fixer if one.patch else "",
        word=one.proof.word.value if one.proof else "",
        checks=_check_notes(one.proof) if one.proof else (),
        exploit=_exploit_note(one.proof.exploit if one.proof else None),
    )


def _check_notes(proof: Proof) -> tuple[CheckNote, ...]:
    return tuple(CheckNote(name=c.name, passed=c.passed, said=_text(c.said), before=c.before, after=c.after) for c in proof.checks)


def _file_note(edit: FileEdit) -> FileNote:
    return FileNote(path=edit.path, before=digest_of(edit.before), after=digest_of(edit.after))


def _exploit_note(run: ExploitRun | None) -> ExploitNote | None:
    if run is None:
        return None
    digest = hashlib.sha256(run.test.content).hexdigest()
    return ExploitNote(
        path=_text(run.test.path),
        sha256=digest,
        attack=_text(run.test.attack),
        command=_text(run.command),
        before="failed",
        after="passed",
        offered=run.offered,
    )


def _text(value: str) -> str:
    # JSON has no surrogates: a file name that is no UTF-8 is shown with its bytes escaped.
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def digest_of(content: bytes | None) -> str | None:
    """SHA-256 of a file's content, 64 hex digits; None for no file."""
    return None if content is None else hashlib.sha256(content).hexdigest()


def _patch_note(diff: str) -> PatchNote:
    raw = diff.encode("utf-8", "surrogateescape")
    try:
        return PatchNote(encoding="utf-8", content=raw.decode("utf-8"))
    except UnicodeDecodeError:
        return PatchNote(encoding="base64", content=base64.b64encode(raw).decode())
