"""What is sealed in the store."""

from __future__ import annotations

import zlib

from pipeline.store.seal import Seal, Vault

KEY = b"k" * 32


def test_documents_are_read_with_their_key_alone_and_older_ones_without() -> None:
    vault, other = Vault(Seal(KEY)), Vault(Seal(b"l" * 32))
    packed = zlib.compress(b"what somebody wrote")
    sealed = vault.close("deliveries", packed)
    assert packed not in sealed
    assert vault.open("deliveries", sealed) == packed
    assert vault.open("deliveries", packed) == packed
    assert vault.open("scan_cache", sealed) is None
    assert other.open("deliveries", sealed) is None
    assert Vault().open("deliveries", sealed) is None
    assert Vault().close("deliveries", packed) == packed


def test_texts_are_sealed_too_and_nobody_can_forge_one() -> None:
    vault = Vault(Seal(KEY))
    for text in ("/waive K7Q \udc80 reason", "", "fxs1:not ours"):
        assert vault.open_text("outbox", vault.close_text("outbox", text)) == text
    assert "reason" not in vault.close_text("outbox", "reason")
    assert vault.open_text("outbox", "fxs1:bm90IG91cnM=") == "fxs1:bm90IG91cnM="
    assert Vault().close_text("outbox", "reason") == "reason"
