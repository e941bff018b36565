"""A bench with instant engines, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.model.scan import ScanType
from tests.databases import database_url, postgres, postgres_template
from tests.fakes import GoodFixer, LineScanner
from tests.harness import Bench, LocalRepo

__all__ = ["database_url", "postgres", "postgres_template"]


@pytest.fixture
def bench(tmp_path: Path, database_url: str) -> Iterator[Bench]:
    made = Bench(tmp_path, database_url)
    made.use(scanners=[LineScanner(), LineScanner(ScanType.SECRETS)], fixers=[GoodFixer()])
    yield made
    made.close()


@pytest.fixture
def repo(tmp_path: Path) -> LocalRepo:
    made = LocalRepo(tmp_path / "work" / "shop")
    made.commit({"a.txt": "fine\nBAD old\nfine\n", "b.txt": "fine\n"}, "first")
    return made
