"""A project on the double of GitLab: one double for the tests of a file, a merge request for each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.providers.gitlab_place import Place, at_ease, running
from tests.worlds.gitlab import GitlabWorld


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitlabWorld]:
    with running(tmp_path_factory.mktemp("world")) as made:
        yield made


@pytest.fixture
def place(world: GitlabWorld) -> Iterator[Place]:
    yield Place(world)
    at_ease(world)
