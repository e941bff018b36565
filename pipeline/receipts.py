"""Receipts: what a fix proved, signed so that anybody can check it without us and without a network.

An in-toto statement about the patch (https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md) in a DSSE envelope
(https://github.com/secure-systems-lab/dsse), signed with Ed25519 (RFC 8032). The envelope has exactly one spelling: a receipt whose
bytes differ from the canonical JSON of its own content is refused, so that not a blank can be changed.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import json
import os
import secrets
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypedDict

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from pipeline.errors import NotConfigured, ReceiptRefused, UsageError
from pipeline.model.finding import Finding
from pipeline.model.fix import ExploitRun, Patch, Proof, Receipt
from pipeline.patches import diff_digest, diff_of_all
from pipeline.ports import SourceFiles

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://fixwright.dev/fix/v1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"

KEY_FILE = "receipt-key.pem"
"""Name of the private key in the state folder, mode 0600."""

MAX_RECEIPT = 4_000_000
"""Bytes of an envelope that we read."""


def pae(payload_type: str, payload: bytes) -> bytes:
    """DSSE v1 pre-authentication encoding: the bytes that are signed (dsse/protocol.md, "Signature Definition")."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


# --- what a receipt says --------------------------------------------------------------------------------------------------------------


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
            files=tuple(
                FileNote(path=e.path, before=_digest(e.before), after=_digest(e.after)) for e in sorted(patch.edits, key=lambda e: e.path)
            ),
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


def _digest(content: bytes | None) -> str | None:
    return None if content is None else hashlib.sha256(content).hexdigest()


def _patch_note(diff: str) -> PatchNote:
    raw = diff.encode("utf-8", "surrogateescape")
    try:
        return PatchNote(encoding="utf-8", content=raw.decode("utf-8"))
    except UnicodeDecodeError:
        return PatchNote(encoding="base64", content=base64.b64encode(raw).decode())


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


# --- keys -----------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Signer:
    """The key that signs receipts. It never shows its private half."""

    _key: Ed25519PrivateKey = field(repr=False)

    @property
    def public(self) -> Ed25519PublicKey:
        """What receipts are checked with."""
        return self._key.public_key()

    def sign(self, statement: Statement) -> Receipt:
        """The statement in a signed envelope, in its one canonical spelling."""
        told = statement.model_dump(mode="json", by_alias=True)
        if not statement.predicate.findings:  # so the receipt of a single finding reads as it always did
            del told["predicate"]["findings"]
        payload = _canonical(told)
        signature = self._key.sign(pae(PAYLOAD_TYPE, payload))
        envelope = _envelope(payload, key_id(self.public), signature)
        return Receipt(envelope, "sha256:" + hashlib.sha256(envelope).hexdigest())


def _envelope(payload: bytes, keyid: str, signature: bytes) -> bytes:
    return (
        _canonical(
            {
                "payload": base64.b64encode(payload).decode(),
                "payloadType": PAYLOAD_TYPE,
                "signatures": [{"keyid": keyid, "sig": base64.b64encode(signature).decode()}],
            }
        )
        + b"\n"
    )


def key_id(key: Ed25519PublicKey) -> str:
    """SHA-256 of the key's SubjectPublicKeyInfo, 64 hex digits."""
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()


def public_pem(key: Ed25519PublicKey) -> str:
    """The public key as PEM text."""
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def load_signer(folder: Path) -> Signer:
    """The signing key of this installation, made at the first call. Safe when several processes call at once: all get the same key.

    Raises:
        NotConfigured: the key file is unreadable, damaged, a link, or open to other users.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / KEY_FILE
    if not path.exists() and not path.is_symlink():
        _make_key(path)
    return Signer(_read_private(path))


def has_key(folder: Path) -> bool:
    """True when `load_signer` would make no new key there."""
    return (folder / KEY_FILE).exists()


def _make_key(path: Path) -> None:
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    # The whole key is on disk before it has its name; a link fails when somebody was faster, whose key then counts.
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()


def _read_private(path: Path) -> Ed25519PrivateKey:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        with os.fdopen(descriptor, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            pem = file.read(10_000)
    except OSError as error:
        raise NotConfigured(f"the signing key {path} cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(mode) or mode & 0o077:
        raise NotConfigured(f"the signing key {path} is open to other users", hint=f"chmod 600 {path}")
    try:
        key = serialization.load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise NotConfigured(
            f"the signing key {path} is damaged", hint="move it away: a new one is made, old receipts keep its public half"
        ) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise NotConfigured(f"the signing key {path} is no Ed25519 key")
    return key


def load_public(pem: bytes) -> Ed25519PublicKey:
    """A public key from PEM text. Raises UsageError."""
    try:
        key = serialization.load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise UsageError("this is no public key in PEM form", hint="fixwright keys public > key.pem") from None
    if not isinstance(key, Ed25519PublicKey):
        raise UsageError("this is no Ed25519 public key", hint="fixwright keys public > key.pem")
    return key


# --- checking -------------------------------------------------------------------------------------------------------------------------


class _Signature(_Part):
    keyid: str
    sig: str


class _Envelope(_Part):
    payload: str
    payload_type: str = Field(alias="payloadType")
    signatures: tuple[_Signature, ...]


_STATEMENT = TypeAdapter(Statement)
_ENVELOPE = TypeAdapter(_Envelope)


def read_receipt(envelope: bytes, key: Ed25519PublicKey) -> Statement:
    """What a receipt says, once its signature holds.

    Raises:
        ReceiptRefused: malformed, changed in any byte, signed by another key, or of another kind. One sentence says which.
    """
    if len(envelope) > MAX_RECEIPT:
        raise ReceiptRefused("the receipt is too large")
    try:
        outer = _ENVELOPE.validate_json(envelope)
        payload = base64.b64decode(outer.payload, validate=True)
        [signature] = outer.signatures
        raw = base64.b64decode(signature.sig, validate=True)
    except (ValidationError, ValueError):
        raise ReceiptRefused("this is no receipt: not a DSSE envelope with one signature") from None
    if outer.payload_type != PAYLOAD_TYPE:
        raise ReceiptRefused("this is no receipt: the envelope holds something else")
    if signature.keyid != key_id(key):
        raise ReceiptRefused("another key signed this receipt, or its key id was changed")
    try:
        key.verify(raw, pae(outer.payload_type, payload))
    except InvalidSignature:
        raise ReceiptRefused("the signature does not match: the receipt was changed, or another key signed it") from None
    if _envelope(payload, signature.keyid, raw) != envelope:
        raise ReceiptRefused("the envelope was changed after it was signed")
    try:
        statement = _STATEMENT.validate_json(payload)
    except ValidationError:
        raise ReceiptRefused("the receipt is signed, but of a kind that this version does not know") from None
    if statement.subject[0].digest != {"sha256": diff_digest(statement.predicate.patch.diff())}:
        raise ReceiptRefused("the receipt's patch is not the one that it speaks of")
    return statement


def standing(statement: Statement, files: SourceFiles) -> Literal["applies", "applied", ""]:
    """How a receipt stands to a state of the repository: its patch applies to exactly what was proved, is applied already, or neither."""
    now = {note.path: _digest(files.read(note.path)) for note in statement.predicate.files}
    for word, side in _SIDES:
        if all(now[note.path] == getattr(note, side) for note in statement.predicate.files):
            return word
    return ""


_SIDES: Sequence[tuple[Literal["applies", "applied"], str]] = (("applies", "before"), ("applied", "after"))


def tree_digest(contents: Mapping[str, bytes]) -> str:
    """Name of a state without a commit: SHA-256 over paths and contents, sorted, 64 hex digits."""
    outer = hashlib.sha256()
    for path in sorted(contents):
        outer.update(path.encode("utf-8", "surrogateescape") + b"\0" + hashlib.sha256(contents[path]).digest())
    return outer.hexdigest()
