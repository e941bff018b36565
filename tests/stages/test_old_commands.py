"""A command is done once, however late and under whatever id a host tells of it again: on the doubles of both."""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from dataclasses import replace

import pytest
from sqlalchemy import update

from pipeline.store.deliveries import COMMAND_SECONDS
from pipeline.store.tables import deliveries
from tests.harness import Bench
from tests.stages.github import GithubBench
from tests.stages.gitlab import GitlabBench

DAY = 86_400.0
OLD = {"a.txt": "fine\n"}
NEW = {"c.txt": "fine\nBAD\n"}


def age(bench: Bench, seconds: float) -> None:
    """What was delivered and done was so long ago; then what is old is forgotten, as the sweep does."""
    with bench.app.database.work() as work:
        earlier = update(deliveries).values(received_at=deliveries.c.received_at - seconds)
        assert work.transaction.changed(earlier) > 0
        work.deliveries.purge()


class Talk(ABC):
    """One open change on the double of a host, on which ada writes; its author's first head is judged."""

    def __init__(self, bench: GithubBench | GitlabBench) -> None:
        self.bench = bench

    @abstractmethod
    def write(self, text: str) -> None:
        """A comment of ada's, by the clock of the world."""

    @abstractmethod
    def tell_again(self) -> None:
        """The newest comment is told of once more, under another id: as by another webhook, or by whoever kept the delivery."""

    @abstractmethod
    def reviews(self) -> int:
        """How often the head was looked at."""

    @abstractmethod
    def answers(self) -> int:
        """How much we said in the conversation."""

    def write_earlier(self, seconds: float, text: str) -> None:
        """A comment of so long ago that is told of only now."""
        self.bench.world.advance(-seconds)
        self.write(text)
        self.bench.world.advance(seconds)
        self.bench.settle()


class GithubTalk(Talk):
    def __init__(self, github: GithubBench) -> None:
        super().__init__(github)
        self.github, self.pull = github, github.change(github.repository(OLD), NEW)
        github.settle()

    def write(self, text: str) -> None:
        self.github.world.comment("ada", self.pull, text)

    def tell_again(self) -> None:
        newest = self.github.world.hooks.of("issue_comment", "created")[-1]
        identity = str(uuid.uuid4())
        answer = self.github.post(replace(newest, id=identity, headers={**newest.headers, "X-GitHub-Delivery": identity}))
        assert (answer.status_code, answer.json()["status"]) == (202, "accepted")
        self.github.settle()

    def reviews(self) -> int:
        return self.github.reviews(self.pull.head_sha)

    def answers(self) -> int:
        return len(self.github.answers(self.pull))


class GitlabTalk(Talk):
    """GitLab is asked when the note was written: what a webhook with a template of its own says of that counts for nothing."""

    def __init__(self, gitlab: GitlabBench) -> None:
        super().__init__(gitlab)
        self.gitlab, self.request = gitlab, gitlab.change(gitlab.project(OLD), NEW)
        gitlab.settle()

    def write(self, text: str) -> None:
        self.gitlab.world.comment("ada", self.request, text)

    def tell_again(self) -> None:
        newest = [one for one in self.gitlab.world.hooks.of("note") if one.payload["user"]["username"] == "ada"][-1]
        identity = str(uuid.uuid4())
        answer = self.gitlab.post(replace(newest, id=identity, headers=newest.headers | {"Idempotency-Key": identity}))
        assert (answer.status_code, answer.json()["status"]) == (202, "accepted")
        self.gitlab.settle()

    def reviews(self) -> int:
        return self.gitlab.reviews(self.request.head)

    def answers(self) -> int:
        return len(self.gitlab.our_notes(self.request)) + sum(len(note.awards) for note in self.request.notes)


@pytest.fixture(params=["github", "gitlab"])
def talk(request: pytest.FixtureRequest) -> Talk:
    bench = request.getfixturevalue(request.param)
    return GithubTalk(bench) if isinstance(bench, GithubBench) else GitlabTalk(bench)


def test_a_command_is_remembered_for_as_long_as_it_would_be_done(talk: Talk) -> None:
    talk.write_earlier(5 * DAY, "/scan")
    assert talk.reviews() == 2
    age(talk.bench, COMMAND_SECONDS)
    talk.tell_again()
    assert talk.reviews() == 2


def test_a_command_that_may_be_forgotten_is_not_done(talk: Talk, caplog: pytest.LogCaptureFixture) -> None:
    before = talk.answers()
    talk.write_earlier(8 * DAY, "/scan\n/status")
    talk.tell_again()
    assert (talk.reviews(), talk.answers()) == (1, before)
    assert [record.message for record in caplog.records].count("command.too_old") == 2
    assert talk.bench.dead() == []


@pytest.mark.parametrize(("ahead", "reviews"), [(0.9 * DAY, 2), (1.1 * DAY, 1)])
def test_gitlab_a_command_that_somebody_dated_far_ahead_is_not_done(
    gitlab: GitlabBench, caplog: pytest.LogCaptureFixture, ahead: float, reviews: int
) -> None:
    """An owner may give a note any date: it would still be new when it is forgotten that it was done."""
    request = gitlab.change(gitlab.project(OLD), NEW)
    gitlab.settle()
    gitlab.world.advance(ahead)
    gitlab.world.comment("ada", request, "/scan")
    gitlab.world.advance(-ahead)
    gitlab.settle()
    assert gitlab.reviews(request.head) == reviews
    assert [record.message for record in caplog.records].count("command.dated_ahead") == 2 - reviews
    assert gitlab.dead() == []
