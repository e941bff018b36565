"""Receipts: what a fix proved, signed so that anybody can check it without us and without a network.

An in-toto statement about the patch (https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md) in a DSSE envelope
(https://github.com/secure-systems-lab/dsse), signed with Ed25519 (RFC 8032). The envelope has exactly one spelling: a receipt whose
bytes differ from the canonical JSON of its own content is refused, so that not a blank can be changed.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import secrets
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from pipeline.errors import NotConfigured, ReceiptRefused, UsageError
from pipeline.model.fix import Receipt
from pipeline.patches import diff_digest
from pipeline.ports import SourceFiles
from pipeline.statements import Statement, digest_of

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


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


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
    now = {note.path: digest_of(files.read(note.path)) for note in statement.predicate.files}
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
