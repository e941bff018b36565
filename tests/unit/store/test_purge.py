"""A purge leaves no trace of a repository, in no table and in no file, and touches nobody else's."""

from __future__ import annotations

import json
import os
import time
import zlib
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Boolean, Column, Double, Integer, LargeBinary, Table, func, insert, select, update

from pipeline.model.ids import RepositoryId
from pipeline.sandbox.upkeep import drop_unused
from pipeline.stages.context import mirror_name
from pipeline.stages.purge import purge
from pipeline.store.engine import Database
from pipeline.store.tables import deliveries, installations, metadata, repositories

OF_NOBODY = {"counters", "processes", "delivery_counts", "organizations", "instances", "event_log", "rule_outcomes"} | {
    *("api_keys", "device_logins", "quota_use", "quota_reservations", "repository_groups")  # an organization's
}
"""Tables that hold nothing of a repository. A new table is either named here or must be purged."""


BY_TEXT = {"effects", "outbox", "scan_cache", "batch_findings", "idempotent_answers"}
"""Refer to a parent without a key."""


class Trace:
    """One repository of which every table holds something, all texts with one word in them."""

    def __init__(self, word: str, number: int) -> None:
        self.word = word
        self.name = f"{word}/{word}-shop"
        self.number = number
        self.external = f"{word}{number}"
        self.rows: dict[str, dict[str, Any]] = {}

    @property
    def repository(self) -> RepositoryId:
        return RepositoryId(self.rows["repositories"]["id"])

    def fill(self, database: Database) -> None:
        """One row of every table."""
        with database.work() as work:
            # Parents first; then those that refer to nothing by a key, but may by a text.
            for table in sorted(metadata.sorted_tables, key=lambda table: table.name in BY_TEXT):
                if table.name not in OF_NOBODY:
                    self.rows[table.name] = self._row(table)
                    work.transaction.execute(insert(table).values(self.rows[table.name]))

    def _row(self, table: Table) -> dict[str, Any]:
        row = {column.name: self._value(table, column) for column in table.columns if column.autoincrement is not True}
        row |= self._special(table)
        return row

    def _value(self, table: Table, column: Column[Any]) -> object:
        for key in column.foreign_keys:
            parent = key.column.table.name
            return None if parent in OF_NOBODY else self.rows[parent][key.column.name]
        if column.name == "repository_id":
            return self.repository
        if column.name == "finding_id":
            return self.rows["findings"]["id"]
        if column.name == "id":
            return f"{len(self.rows):02d}-{len(self.word)}"  # opaque
        if isinstance(column.type, Boolean):
            return False
        if isinstance(column.type, Integer | Double):
            return self.number
        return self.word.encode() if isinstance(column.type, LargeBinary) else self.word

    def _special(self, table: Table) -> dict[str, Any]:
        identity = {"provider": "github", "instance": "", "external_id": self.external}
        match table.name:
            case "installations":
                return {**identity, "account": self.word, "state": "deleted"}
            case "repositories":
                return {**identity, "full_name": self.name, "installation": self.external, "state": "gone"}
            case "deliveries":
                opaque = {"delivery_id": f"{len(self.word)}", "name": "push", "outcome": "accepted", "provider": "github", "instance": ""}
                return {**opaque, "body": zlib.compress(json.dumps({"repository": {"full_name": self.name}}).encode())}
            case "outbox":
                body = {"event": {"repository": {**identity, "full_name": self.name}}}
                return {"body": json.dumps(body), "status": "done"}
            case "effects":
                return {"key": f"check:github::{self.external}:{'b' * 40}"}
            case "host_memory":
                return {"key": f"github/token/{self.name}"}
            case "host_locks":
                return {"key": f"check:github::{self.external}:{'a' * 40}"}
        return {}


def _purge(database: Database, trace: Trace, folder: Path) -> int:
    return purge(database, folder / "mirrors", trace.repository)


def _dump(database: Database) -> str:
    """Everything in every table as text, packed values unpacked."""
    said = []
    with database.read() as work:
        for table in metadata.sorted_tables:
            for row in work.transaction.execute(select(table)):
                for value in row:
                    if isinstance(value, bytes) and value.startswith(b"\x78"):
                        said.append(zlib.decompress(value).decode())
                    else:
                        said.append(value.decode("latin-1") if isinstance(value, bytes) else str(value))
    return "\n".join(said)


def _counts(database: Database) -> dict[str, int]:
    with database.read() as work:
        return {
            table.name: work.transaction.execute(select(func.count()).select_from(table)).scalar_one() for table in metadata.sorted_tables
        }


def test_nothing_of_a_purged_repository_is_left_and_nothing_of_another_is_missing(database: Database, tmp_path: Path) -> None:
    other, canary = Trace("pelican", 1), Trace("canarybird", 2)
    other.fill(database)
    before = _counts(database)
    kept = _dump(database)
    canary.fill(database)
    assert "canarybird" in _dump(database)
    assert _purge(database, canary, tmp_path) > 0
    assert "canarybird" not in _dump(database)
    # The delivery was counted and stays known by its number; its body is gone.
    assert _counts(database) == {**before, "deliveries": before["deliveries"] + 1}
    assert kept.count("pelican") == _dump(database).count("pelican")


@pytest.mark.parametrize("ascii_only", [True, False], ids=["escaped", "as it is"])
def test_a_name_that_no_database_takes_as_it_is_leaves_no_trace_either(database: Database, tmp_path: Path, ascii_only: bool) -> None:
    canary = Trace("canarybird", 2)
    canary.name = 'canarybird/CAF\u00c9 "100%_\\' + ("\udcff" if ascii_only else "")
    canary.fill(database)
    body = json.dumps({"repository": {"full_name": canary.name}}, ensure_ascii=ascii_only).encode()
    with database.work() as work:
        work.transaction.execute(update(deliveries).values(body=zlib.compress(body)))
    assert "canarybird" in _dump(database)
    _purge(database, canary, tmp_path)
    assert "canarybird" not in _dump(database)


def test_no_file_of_the_state_holds_a_trace_either(tmp_path: Path) -> None:
    state = tmp_path / "state"
    database = Database.open(f"sqlite:///{state / 'fixwright.db'}")
    database.migrate()
    canary = Trace("canarybird", 2)
    canary.fill(database)
    with database.read() as work:
        source = work.purge.source(canary.repository)
    assert source is not None
    mirror = state / "mirrors" / mirror_name(source)
    mirror.mkdir(parents=True)
    (mirror / "packed-refs").write_text("canarybird")
    purge(database, state / "mirrors", canary.repository)
    files = [path for path in state.rglob("*") if path.is_file()]
    assert files
    assert [path.name for path in files if b"canarybird" in path.read_bytes()] == []
    assert list((state / "mirrors").iterdir()) == []
    database.dispose()


def test_a_purge_that_was_interrupted_is_finished_by_the_next_one(database: Database, tmp_path: Path) -> None:
    canary = Trace("canarybird", 2)
    canary.fill(database)
    with database.read() as work:
        source = work.purge.source(canary.repository)
        assert source is not None
        steps = list(work.purge.steps(source, canary.repository))
    for step in steps[: len(steps) // 2]:
        with database.work() as work:
            step(work.purge)
    assert "canarybird" in _dump(database)
    _purge(database, canary, tmp_path)
    assert "canarybird" not in _dump(database)
    assert _purge(database, canary, tmp_path) == 0


def test_what_was_added_back_is_not_wanted_purged(database: Database) -> None:
    trace = Trace("pelican", 1)
    trace.fill(database)

    def wanted(installation: str, repository: str) -> bool:
        with database.work() as work:
            work.transaction.execute(update(installations).values(state=installation))
            work.transaction.execute(update(repositories).values(state=repository))
        with database.read() as work:
            return work.purge.wanted(trace.repository)

    assert wanted("active", "gone")
    assert wanted("deleted", "active")
    assert not wanted("active", "active")
    assert not wanted("suspended", "disabled")


def test_mirrors_that_nobody_used_are_dropped(tmp_path: Path) -> None:

    old, new = tmp_path / "old.git", tmp_path / "new.git"
    for path in (old, new):
        path.mkdir()
        Path(f"{path}.lock").touch()
    long_ago = time.time() - 40 * 86_400
    for path in (old, Path(f"{old}.lock")):
        os.utime(path, (long_ago, long_ago))
    assert drop_unused(tmp_path, 30 * 86_400) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new.git", "new.git.lock"]
