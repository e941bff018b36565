"""What holds for every test."""

from __future__ import annotations

import sqlite3
from collections.abc import MutableMapping
from typing import Any

import pytest
from hypothesis import settings
from sqlalchemy import Connection, Dialect, Engine, event
from sqlalchemy.pool import Pool
from sqlalchemy.util import LRUCache

# A loaded machine is no reason for a property to fail: whole tests have a time limit instead (pytest-timeout). The same commit has the same
# examples everywhere, so that what is red in one place is red in all; `make search` looks where nobody has looked yet.
settings.register_profile("fixwright", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None, derandomize=False, max_examples=500, print_blob=True)
settings.load_profile("fixwright")

FIRST = ("/e2e/test_demo.py", "/e2e/test_crashes.py", "/e2e/")
"""Tests with real processes come first: they take longest, and one that begins last leaves the other workers idle. Before all others those
that share a world within their file: workers steal tests from the end of a queue, and a file that is torn apart makes its world twice."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the tests for several workers; within a file, and among those that are not named, nothing changes."""
    items.sort(key=lambda item: next((n for n, place in enumerate(FIRST) if place in item.path.as_posix()), len(FIRST)))


@event.listens_for(Pool, "checkout")
def _no_waiting_for_the_disk(connection: object, *_: object) -> None:
    """No test of one process cuts the power, as PostgreSQL's are told by `fsync=off`. That each of our connections asks for FULL is held by
    `tests/unit/store/test_engine.py`, and processes of their own do."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous = OFF")


_SPOKEN: dict[str, Dialect] = {}
_COMPILED: MutableMapping[Any, Any] = LRUCache(2000)


@event.listens_for(Engine, "engine_connect")
def _compile_once(connection: Connection) -> None:
    """Every test has a database of its own, and SQLAlchemy would make the text of every statement anew for each. All of a kind are of the
    same server and version: they share the texts of one."""
    engine = connection.engine
    engine.dialect = connection.dialect = _SPOKEN.setdefault(engine.dialect.name, engine.dialect)
    engine._compiled_cache = _COMPILED
