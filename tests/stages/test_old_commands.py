"""A command is done once, however late and under whatever id a host tells of it again: on the doubles of both."""

from __future__ import annotations

import uuid
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


# --- GitHub ---


def tell_github(github: GithubBench) -> None:
    """The newest comment is told of once more, under another id."""
    newest = github.world.hooks.of("issue_comment", "created")[-1]
    identity = str(uuid.uuid4())
    answer = github.post(replace(newest, id=identity, headers={**newest.headers, "X-GitHub-Delivery": identity}))
    assert (answer.status_code, answer.json()["status"]) == (202, "accepted")
    github.settle()


def test_github_a_command_is_remembered_for_as_long_as_it_would_be_done(github: GithubBench) -> None:
    pull = github.change(github.repository(OLD), NEW)
    github.settle()
    github.world.advance(-5 * DAY)
    github.world.comment("ada", pull, "/scan")
    github.world.advance(5 * DAY)
    github.settle()
    assert github.reviews(pull.head_sha) == 2
    age(github, COMMAND_SECONDS)
    tell_github(github)
    assert github.reviews(pull.head_sha) == 2


def test_github_a_command_that_may_be_forgotten_is_not_done(github: GithubBench, caplog: pytest.LogCaptureFixture) -> None:
    pull = github.change(github.repository(OLD), NEW)
    github.settle()
    github.world.advance(-8 * DAY)
    github.world.comment("ada", pull, "/scan\n/status")
    github.world.advance(8 * DAY)
    before = len(github.answers(pull))
    github.settle()
    tell_github(github)
    assert (github.reviews(pull.head_sha), len(github.answers(pull))) == (1, before)
    assert [record.message for record in caplog.records].count("command.too_old") == 2
    assert github.dead() == []


# --- GitLab ---


def tell_gitlab(gitlab: GitlabBench) -> None:
    """The newest note is told of once more, as by another webhook."""
    newest = gitlab.world.hooks.of("note")[-1]
    identity = str(uuid.uuid4())
    answer = gitlab.post(replace(newest, id=identity, headers=newest.headers | {"Idempotency-Key": identity}))
    assert (answer.status_code, answer.json()["status"]) == (202, "accepted")
    gitlab.settle()


def test_gitlab_a_command_is_remembered_for_as_long_as_it_would_be_done(gitlab: GitlabBench) -> None:
    request = gitlab.change(gitlab.project(OLD), NEW)
    gitlab.settle()
    gitlab.world.advance(-5 * DAY)
    gitlab.world.comment("ada", request, "/scan")
    gitlab.world.advance(5 * DAY)
    gitlab.settle()
    assert gitlab.reviews(request.head) == 2
    age(gitlab, COMMAND_SECONDS)
    tell_gitlab(gitlab)
    assert gitlab.reviews(request.head) == 2


def test_gitlab_a_command_that_may_be_forgotten_is_not_done(gitlab: GitlabBench, caplog: pytest.LogCaptureFixture) -> None:
    """GitLab is asked when the note was written: what a webhook with a template of its own says of that counts for nothing."""
    request = gitlab.change(gitlab.project(OLD), NEW)
    gitlab.settle()
    gitlab.world.advance(-8 * DAY)
    note = gitlab.world.comment("ada", request, "/scan\n/status")
    gitlab.world.advance(8 * DAY)
    before = len(gitlab.our_notes(request))
    gitlab.settle()
    tell_gitlab(gitlab)
    assert (gitlab.reviews(request.head), len(gitlab.our_notes(request))) == (1, before)
    assert note.awards == []
    assert [record.message for record in caplog.records].count("command.too_old") == 2
    assert gitlab.dead() == []


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
