"""The API on SQLite; what asks for `database_url` runs on PostgreSQL, too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.bench import ApiBench
from tests.databases import database_url, postgres, postgres_template

__all__ = ["database_url", "postgres", "postgres_template"]


@pytest.fixture
def chosen(request: pytest.FixtureRequest) -> str:
    """URL of the test's database: empty (SQLite in a file) unless the test asks for each."""
    return str(request.getfixturevalue("database_url")) if "database_url" in request.fixturenames else ""


@pytest.fixture
def api(tmp_path: Path, chosen: str) -> Iterator[ApiBench]:
    made = ApiBench(tmp_path, chosen)
    yield made
    made.close()
