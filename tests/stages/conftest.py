"""A bench with instant engines, and one before the double of each host. On SQLite, and what is marked `ON_BOTH` on PostgreSQL too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.model.scan import ScanType
from tests.databases import database_url, postgres, postgres_template
from tests.fakes import GoodFixer, LineScanner
from tests.harness import Bench, LocalRepo
from tests.stages.github import GithubBench, app_key
from tests.stages.gitlab import GitlabBench
from tests.worlds.github.world import GithubWorld
from tests.worlds.gitlab.world import GitlabWorld

__all__ = ["database_url", "postgres", "postgres_template"]


@pytest.fixture
def chosen(request: pytest.FixtureRequest) -> str:
    """URL of the test's database: empty (SQLite in a file) unless the test asks for each (`ON_BOTH`)."""
    return str(request.getfixturevalue("database_url")) if "database_url" in request.fixturenames else ""


@pytest.fixture
def bench(tmp_path: Path, chosen: str) -> Iterator[Bench]:
    made = Bench(tmp_path, chosen)
    made.use(scanners=[LineScanner(), LineScanner(ScanType.SECRETS)], fixers=[GoodFixer()])
    yield made
    made.close()


@pytest.fixture
def github(tmp_path: Path, chosen: str) -> Iterator[GithubBench]:
    """Nothing that was asked or written may be against GitHub's description of its API."""
    world = GithubWorld(tmp_path / "github", private_key_pem=app_key())
    world.serve()
    made = GithubBench(tmp_path, world, chosen)
    yield made
    made.close()
    world.stop()
    assert world.violations == []


@pytest.fixture
def gitlab(tmp_path: Path) -> Iterator[GitlabBench]:
    """Nothing that was asked or written may be against GitLab's description of its API."""
    with GitlabWorld.start(tmp_path) as world:
        made = GitlabBench(tmp_path, world)
        yield made
        made.close()
        assert world.violations == []


@pytest.fixture
def repo(tmp_path: Path) -> LocalRepo:
    made = LocalRepo(tmp_path / "work" / "shop")
    made.commit({"a.txt": "fine\nBAD old\nfine\n", "b.txt": "fine\n"}, "first")
    return made
