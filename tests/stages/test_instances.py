"""Two GitHubs in one Fixwright: each delivery is verified with its own secret, and answered with its own key, where it came from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from pipeline.store.tables import repositories
from tests.stages.github import GithubBench, app_key
from tests.worlds.github.hooks import Delivery
from tests.worlds.github.world import GithubWorld, new_key


@pytest.fixture
def second(tmp_path: Path) -> Iterator[GithubWorld]:
    world = GithubWorld(tmp_path / "second", slug="fixwright-ghe", private_key_pem=new_key())
    world.serve()
    yield world
    world.stop()
    assert world.violations == []


@pytest.fixture
def github(tmp_path: Path, second: GithubWorld) -> Iterator[GithubBench]:
    """The first one is set by the environment, the second one was set up with a browser."""
    world = GithubWorld(tmp_path / "first", private_key_pem=app_key())
    world.serve()
    bench = GithubBench(tmp_path, world, "")
    settings = {
        "APP_ID": str(second.app_id),
        "PRIVATE_KEY": second.private_key_pem,
        "WEBHOOK_SECRET": second.webhook_secret,
        "API_URL": second.api_url,
    }
    bench.app.configurations.save("github", "ghe", settings)
    yield bench
    bench.close()
    world.stop()
    assert world.violations == []


def send(github: GithubBench, delivery: Delivery, instance: str) -> int:
    """Status of a delivery at an instance's address."""
    address = "/webhooks/github" + (f"/{instance}" if instance else "")
    return int(github.client.post(address, content=delivery.body, headers=delivery.headers).status_code)


def test_each_is_answered_with_its_own_key_where_it_came_from(github: GithubBench, second: GithubWorld) -> None:
    shop = github.repository({"a.txt": "fine\n"})
    here = github.change(shop, {"a.txt": "BAD\n"})
    forge = second.create_repository("octo", "forge", files={"a.txt": "fine\n"})
    second.commit(forge, "feature", {"a.txt": "BAD\n"})
    there = second.open_pull_request("ada", forge, "feature", "main", "Change it")
    for delivery in second.hooks.deliveries:
        assert send(github, delivery, "ghe") == 202
    github.settle()
    for world, repository, pull in ((github.world, shop, here), (second, forge, there)):
        runs = world.checks(repository, pull.head_sha)
        assert [(run.status, run.conclusion) for run in runs] == [("completed", "failure")]
        assert {run.suite.app for run in runs} == {world.app}
    assert github.dead() == []


def test_a_repository_that_the_host_lists_is_the_one_that_its_events_are_about(github: GithubBench, second: GithubWorld) -> None:
    """Else its first scan would belong to one row, and its pushes, its pull requests and its purge to another."""
    forge = second.create_repository("octo", "forge", files={"a.txt": "fine\n"})
    installation = second.installation_of(forge)
    assert installation is not None
    second.github.actions.events.repositories(installation, [forge], [])
    second.commit(forge, "main", {"a.txt": "good\n"})
    for delivery in second.hooks.deliveries:
        assert send(github, delivery, "ghe") == 202
    github.settle()
    with github.app.database.read() as work:
        known = work.transaction.execute(select(repositories.c.instance, repositories.c.full_name)).all()
    assert [tuple(row) for row in known] == [("ghe", "octo/forge")]


def test_a_delivery_cannot_be_sent_again_under_a_name_that_nobody_set_up(github: GithubBench) -> None:
    github.change(github.repository({"a.txt": "fine\n"}), {"a.txt": "BAD\n"})
    delivery = github.world.hooks.deliveries[0]
    assert [send(github, delivery, instance) for instance in ("", "another", "127.0.0.1")] == [202, 404, 404]


def test_a_delivery_of_one_is_no_delivery_of_the_other(github: GithubBench, second: GithubWorld) -> None:
    shop = github.repository({"a.txt": "fine\n"})
    github.change(shop, {"a.txt": "BAD\n"})
    forge = second.create_repository("octo", "forge", files={"a.txt": "fine\n"})
    second.commit(forge, "main", {"a.txt": "good\n"})
    ours, theirs = github.world.hooks.deliveries[0], second.hooks.deliveries[0]
    assert [send(github, ours, ""), send(github, ours, "ghe")] == [202, 401]
    assert [send(github, theirs, "ghe"), send(github, theirs, "")] == [202, 401]
