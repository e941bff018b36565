"""Stored texts: whatever somebody else chose comes back unchanged, and damage is said without quoting it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from pipeline.model.fix import FileEdit, Patch
from pipeline.store.codec import Codec, Unreadable
from pipeline.store.columns import escape_text, unescape_text
from pipeline.store.identifiers import new_id

ANY_TEXT = st.text(st.characters(exclude_categories=()))

PATCH = Codec(TypeAdapter(Patch))


@given(ANY_TEXT)
def test_any_text_survives_a_column_that_refuses_nul_and_surrogates(value: str) -> None:
    escaped = escape_text(value)
    escaped.encode("utf-8")
    assert "\x00" not in escaped
    assert unescape_text(escaped) == value


@given(ANY_TEXT, ANY_TEXT)
def test_escaping_keeps_different_texts_different(one: str, other: str) -> None:
    assert (escape_text(one) == escape_text(other)) == (one == other)


@given(ANY_TEXT, st.none() | st.binary(), st.none() | st.binary())
def test_any_document_survives_as_plain_ascii(path: str, before: bytes | None, after: bytes | None) -> None:
    patch = Patch((FileEdit(path, before, after),), title=path)
    dumped = PATCH.dump(patch)
    assert dumped.isascii()
    assert PATCH.load(dumped) == patch
    assert PATCH.unpack(PATCH.pack(patch)) == patch


@pytest.mark.parametrize(
    "damaged", ["", "{", "[]", '{"edits": 5}', '{"edits": [{"path": "secret", "before": {"$bytes": "!"}}]}', "[" * 100_000]
)
def test_a_damaged_document_is_said_so_and_not_quoted(damaged: str) -> None:
    with pytest.raises(Unreadable) as failed:
        PATCH.load(damaged)
    assert "secret" not in str(failed.value)
    assert failed.value.__cause__ is None


def test_a_damaged_packed_document_is_said_so() -> None:
    with pytest.raises(Unreadable):
        PATCH.unpack(b"not zlib")


def test_ids_grow_and_never_repeat() -> None:
    ids = [new_id() for _ in range(1000)]
    assert ids == sorted(set(ids))
    assert {len(identifier) for identifier in ids} == {32}
