"""Which world is for which provider. One adapter for each, in a file of its own; the suite fails without one."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import providers
from pipeline.plugins import discover
from pipeline.ports import Provider
from providers.github.client import close_line
from providers.gitlab.client import close_lines
from tests.contract.github_host import Door, GithubHost
from tests.contract.gitlab_host import GitlabHost
from tests.contract.local_host import LocalWorld
from tests.contract.world import World
from tests.worlds.emulate.install import find
from tests.worlds.emulate.server import Emulate
from tests.worlds.emulate.world import EmulateHost
from tests.worlds.github.world import GithubWorld, new_key
from tests.worlds.gitlab.world import GitlabWorld

PROVIDERS = discover(providers, "PROVIDER", Provider)


@dataclass
class Ground:
    """What a module of tests shares for one provider: `new` makes a world that no other test has touched."""

    new: Callable[[Path], World]
    end: Callable[[], None] = field(default=lambda: None)


@contextmanager
def local_ground(folder: Path) -> Iterator[Ground]:
    """Nothing is shared."""
    yield Ground(LocalWorld)


@contextmanager
def github_ground(folder: Path) -> Iterator[Ground]:
    """One double for all; each test ends without a violation of GitHub's interface by us."""
    world = GithubWorld(folder / "github", private_key_pem=new_key())
    world.serve()

    def new(_: Path) -> World:
        world.faults.clear()
        world.advance(3_601)  # limits of an hour are about one test
        for ledger in (world.asked, world.effects, world.violations):
            ledger.clear()
        return GithubHost(world)

    def end() -> None:
        assert [violation for violation in world.violations if violation.side == "request"] == []

    try:
        yield Ground(new, end)
    finally:
        close_line()
        world.stop()


@contextmanager
def emulate_ground(folder: Path) -> Iterator[Ground]:
    """One process for all; each test has a repository of its own."""
    installed = find()
    if installed is None:
        pytest.skip("emulate is not installed: python -m tests.worlds.emulate.install")
    key = new_key()
    server = Emulate(installed, folder / "emulate", key)
    numbers = itertools.count(1)
    try:
        yield Ground(lambda place: EmulateHost(server, key, place, next(numbers)))
    finally:
        close_line()
        server.stop()


@contextmanager
def token_ground(folder: Path, door: Door) -> Iterator[Ground]:
    """As `github_ground`, without an App."""
    with github_ground(folder) as ground:

        def new(place: Path) -> World:
            made = ground.new(place)
            assert isinstance(made, GithubHost)
            made.enter(door)
            return made

        yield Ground(new, ground.end)


@contextmanager
def gitlab_ground(folder: Path, *, signed: bool = True) -> Iterator[Ground]:
    """One double for all, below a path; each test ends without a violation of GitLab's interface, by us or by the double."""
    with GitlabWorld.start(folder, relative="/gitlab") as world:

        def new(_: Path) -> World:
            world.faults.clear()
            world.advance(61)  # limits of a minute are about one test
            for ledger in (world.asked, world.effects, world.violations):
                ledger.clear()
            return GitlabHost(world, folder / "template", signed=signed)

        def end() -> None:
            assert list(world.violations) == []

        try:
            yield Ground(new, end)
        finally:
            close_lines()


@contextmanager
def personal_ground(folder: Path) -> Iterator[Ground]:
    """As `gitlab_ground`, with a personal token of a Developer."""
    with gitlab_ground(folder) as ground:

        def new(place: Path) -> World:
            made = ground.new(place)
            assert isinstance(made, GitlabHost)
            made.enter()
            return made

        yield Ground(new, ground.end)


GROUNDS: Mapping[str, Callable[[Path], AbstractContextManager[Ground]]] = {
    "github": github_ground,
    "github: a job's token": lambda folder: token_ground(folder, "job"),
    "github: a person's token": lambda folder: token_ground(folder, "person"),
    "github: emulate": emulate_ground,
    "gitlab": gitlab_ground,
    "gitlab: a person's token": personal_ground,
    "local": local_ground,
}
"""`PROVIDER` or `PROVIDER: WHAT IS DIFFERENT`. A provider that is not here fails the suite: write its adapter."""
SENDERS: Mapping[str, Callable[[Path], AbstractContextManager[Ground]]] = {
    "gitlab: a secret token": lambda folder: gitlab_ground(folder, signed=False),
}
"""Worlds that differ from another one only in what proves their deliveries."""


@contextmanager
def ground_of(name: str, folder: Path) -> Iterator[Ground]:
    """A ground by name; a failure when nobody wrote one."""
    made = GROUNDS.get(name) or SENDERS.get(name)
    if made is None:
        pytest.fail(f"provider {name!r} has no world in tests/contract/hosts.py: write one, and the suite holds it to the port")
    with made(folder) as ground:
        yield ground
