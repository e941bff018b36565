"""Receipts: one key, one spelling, nothing that can be changed."""

from __future__ import annotations

import base64
import json
import os
import stat
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pipeline.errors import NotConfigured, ReceiptRefused, UsageError
from pipeline.model.finding import Confidence, Finding, Location, Rule, Severity
from pipeline.model.fix import FileEdit, Patch, Proof, ProofCheck, ProofWord, Receipt
from pipeline.model.ids import Handle
from pipeline.model.scan import EngineInfo
from pipeline.receipts import KEY_FILE, Signer, load_public, load_signer, pae, public_pem, read_receipt, standing
from pipeline.statements import Base, describe
from tests.unit.test_patches import Memory

BEFORE, AFTER = b"query(f'{name}')\n", b"query('?', name)\n"
RULE = Rule("python.sql-injection", "Request data becomes SQL", "Anyone can run SQL.", Severity.HIGH, Confidence.HIGH, 89)
FINDING = Finding(RULE, Location("app/db.py", 1, 1), "v1:" + "0" * 32, "semgrep", handle=Handle("K7Q"))
PROOF = Proof(
    ProofWord.VERIFIED,
    (ProofCheck("gone", True, "K7Q fires, 16 others; then 16 others, none new", 17, 16), ProofCheck("tests", None, "no tests", None, None)),
    ("no test sends hostile input here",),
    (EngineInfo("semgrep", "1.182.0", "0123456789ab"),),
    4.25,
)


def receipt(signer: Signer, before: bytes = BEFORE, after: bytes = AFTER) -> Receipt:
    statement = describe(
        finding=FINDING,
        patch=Patch((FileEdit("app/db.py", before, after),), fixer="rewrite"),
        base=Base("commit", "9" * 40),
        proof=PROOF,
        tool="fixwright 0.1.0",
        made=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    )
    return signer.sign(statement)


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return load_signer(tmp_path / "state")


def test_the_encoding_that_is_signed_is_that_of_the_specification() -> None:
    # The test vector of dsse/protocol.md.
    assert pae("http://example.com/HelloWorld", b"hello world") == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


def test_a_receipt_reads_back_with_everything_that_was_proved(signer: Signer) -> None:
    statement = read_receipt(receipt(signer).envelope, signer.public)
    told = statement.predicate
    assert (told.finding.rule, told.finding.handle, told.finding.line, told.finding.cwe) == ("python.sql-injection", "K7Q", 1, 89)
    assert told.base == {"commit": "9" * 40}
    assert [(c.name, c.passed, c.before, c.after) for c in told.checks] == [("gone", True, 17, 16), ("tests", None, None, None)]
    assert [(e.name, e.version, e.rules) for e in told.engines] == [("semgrep", "1.182.0", "0123456789ab")]
    assert (told.word, told.not_proven, told.seconds, told.made) == (
        "verified",
        ("no test sends hostile input here",),
        4.25,
        "2026-01-02T03:04:05Z",
    )


def test_the_envelope_is_what_other_tools_expect(signer: Signer) -> None:
    envelope = json.loads(receipt(signer).envelope)
    statement = json.loads(base64.b64decode(envelope["payload"]))
    assert envelope["payloadType"] == "application/vnd.in-toto+json"
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "https://fixwright.dev/fix/v1"
    assert [list(subject["digest"]) for subject in statement["subject"]] == [["sha256"]]


def test_the_same_proof_makes_the_same_bytes(signer: Signer) -> None:
    assert receipt(signer) == receipt(signer)


def test_one_changed_byte_anywhere_is_refused(signer: Signer) -> None:
    envelope = receipt(signer).envelope
    for at in range(len(envelope)):
        for flip in (0x01, 0x20):
            changed = envelope[:at] + bytes([envelope[at] ^ flip]) + envelope[at + 1 :]
            with pytest.raises(ReceiptRefused):
                read_receipt(changed, signer.public)


@pytest.mark.parametrize("extra", [b" ", b"\n", b"\0", b"{}"])
def test_something_behind_the_envelope_is_refused(signer: Signer, extra: bytes) -> None:
    with pytest.raises(ReceiptRefused):
        read_receipt(receipt(signer).envelope + extra, signer.public)


def test_another_spelling_of_the_same_envelope_is_refused(signer: Signer) -> None:
    spaced = json.dumps(json.loads(receipt(signer).envelope), indent=1).encode()
    with pytest.raises(ReceiptRefused, match="changed after"):
        read_receipt(spaced, signer.public)


def test_another_key_is_refused_also_under_a_borrowed_key_id(signer: Signer, tmp_path: Path) -> None:
    other = load_signer(tmp_path / "other")
    with pytest.raises(ReceiptRefused, match="another key"):
        read_receipt(receipt(other).envelope, signer.public)
    forged = json.loads(receipt(other).envelope)
    forged["signatures"][0]["keyid"] = json.loads(receipt(signer).envelope)["signatures"][0]["keyid"]
    with pytest.raises(ReceiptRefused, match="signature does not match"):
        read_receipt(json.dumps(forged).encode(), signer.public)


def test_two_signatures_or_another_payload_type_are_refused(signer: Signer) -> None:
    envelope = json.loads(receipt(signer).envelope)
    with pytest.raises(ReceiptRefused):
        read_receipt(json.dumps(envelope | {"signatures": envelope["signatures"] * 2}).encode(), signer.public)
    with pytest.raises(ReceiptRefused, match="something else"):
        read_receipt(json.dumps(envelope | {"payloadType": "text/plain"}).encode(), signer.public)


def test_a_receipt_tells_whether_its_patch_applies_is_applied_or_neither(signer: Signer) -> None:
    statement = read_receipt(receipt(signer).envelope, signer.public)
    assert standing(statement, Memory({"app/db.py": BEFORE})) == "applies"
    assert standing(statement, Memory({"app/db.py": AFTER})) == "applied"
    assert standing(statement, Memory({"app/db.py": BEFORE + b"\n"})) == ""
    assert standing(statement, Memory({})) == ""


def test_a_patch_of_text_that_is_no_utf8_survives(signer: Signer) -> None:
    statement = read_receipt(receipt(signer, b"# \xe4\n", b"# \xf6\n").envelope, signer.public)
    assert statement.predicate.patch.encoding == "base64"
    assert "\udcf6" in statement.predicate.patch.diff()


def test_the_key_is_made_once_and_readable_by_nobody_else(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    old = os.umask(0)
    try:
        first = load_signer(folder)
    finally:
        os.umask(old)
    assert stat.S_IMODE((folder / KEY_FILE).stat().st_mode) == 0o600
    assert public_pem(load_signer(folder).public) == public_pem(first.public)
    assert [entry.name for entry in folder.iterdir()] == [KEY_FILE]


def test_many_that_ask_for_the_key_at_once_get_the_same_one(tmp_path: Path) -> None:
    gate = threading.Barrier(16)
    seen: list[str] = []

    def ask() -> None:
        gate.wait()
        seen.append(public_pem(load_signer(tmp_path / "state").public))

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 16
    assert len(set(seen)) == 1


def test_a_key_that_is_open_damaged_or_a_link_is_not_used(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    load_signer(folder)
    path = folder / KEY_FILE
    path.chmod(0o644)
    with pytest.raises(NotConfigured, match="open to other users"):
        load_signer(folder)
    path.chmod(0o600)
    path.write_text("nonsense")
    with pytest.raises(NotConfigured, match="damaged"):
        load_signer(folder)
    path.unlink()
    path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(NotConfigured, match="cannot be read"):
        load_signer(folder)


def test_the_private_key_never_shows(signer: Signer) -> None:
    assert "Private" not in repr(signer)
    assert repr(signer) == "Signer()"


def test_what_is_no_public_key_is_named_so() -> None:
    with pytest.raises(UsageError, match="no public key"):
        load_public(b"hello")
    pem = public_pem(Ed25519PrivateKey.generate().public_key())
    assert public_pem(load_public(pem.encode())) == pem
