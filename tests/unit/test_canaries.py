"""The search for canaries finds them wherever they are, and nothing else: a search that finds nothing would prove nothing."""

from __future__ import annotations

import os
import sqlite3
import textwrap
import time
import zlib
from contextlib import closing
from pathlib import Path

import pytest

from tests.canaries import Finder, canaries, encodings, leaks

MADE = canaries(7, 60)


def test_they_are_the_same_for_the_same_seed_and_all_different() -> None:
    assert canaries(7, 60) == MADE
    assert len({canary.value for canary in MADE}) == 60
    assert not {c.value for c in canaries(8, 60)} & {c.value for c in MADE}


@pytest.mark.parametrize("number", range(15), ids=lambda number: MADE[number].kind)
def test_every_encoding_of_every_kind_is_found_at_every_alignment(number: int) -> None:
    find = Finder([MADE[number]])
    for form in encodings(MADE[number].value):
        for shift in range(5):
            assert find(b"x" * shift + b" " + form + b" y"), form


def test_what_is_split_over_lines_or_drawn_apart_is_found() -> None:
    find = Finder(MADE)
    for canary in MADE:
        if canary.kind in ("password", "short-password", "unicode-password"):
            continue
        wrapped = "\n+ ".join(textwrap.wrap(canary.value, 7, break_on_hyphens=False))
        assert any(canary.name in label for label in find(wrapped.encode())), canary.kind
        assert any(canary.name in label for label in find("\u200b".join(canary.value).encode())), canary.kind


def test_files_names_databases_and_compressed_data_are_searched_and_what_is_excluded_is_not(tmp_path: Path) -> None:
    first, second, third, fourth = (MADE[n].value for n in (0, 1, 3, 5))
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / "pack").write_bytes(zlib.compress(first.encode()))
    (tmp_path / "noise").write_bytes(os.urandom(200_000) + zlib.compress(b"x" * 500 + second.encode()) + os.urandom(1_000))
    (tmp_path / f"name-{first}").write_bytes(b"")
    with closing(sqlite3.connect(tmp_path / "some.db")) as connection:
        connection.execute("PRAGMA journal_mode = wal")
        connection.execute("CREATE TABLE rows (plain TEXT, packed BLOB)")
        packed = zlib.compress(os.urandom(20_000) + fourth.encode() + os.urandom(9_000))
        connection.execute("INSERT INTO rows VALUES (?, ?)", (third, packed))
        connection.commit()
        found = leaks([tmp_path], MADE, excluding=[tmp_path / "mirror"])
    seen = [line.removeprefix(f"{tmp_path}/").replace(first, "...") for line in found]
    assert "name-...: canary-000 (github-token) as plain, in its name" in seen
    assert "noise: canary-001 (aws-access-key) as plain, compressed" in seen
    assert "some.db: canary-003 (gitlab-token) as plain, in rows.plain" in seen
    assert "some.db: canary-005 (stripe-key) as plain, compressed, in rows.packed" in seen
    assert not [line for line in seen if line.startswith("mirror")]
    assert not [line for line in seen if second in line or third in line or fourth in line]


def test_noise_and_prose_hold_no_canary_and_a_megabyte_takes_no_seconds() -> None:
    noise = os.urandom(1 << 20)
    find = Finder(canaries(7, 200))
    began = time.process_time()
    assert not find(noise)
    assert time.process_time() - began < 3, "the search takes too long for whole state folders"
    assert not find(Path(__file__).read_bytes())
