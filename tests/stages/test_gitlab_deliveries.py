"""Deliveries of GitLab on its double: repeated, reordered, told by several webhooks, and never twice the same work."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Table, func, select

from pipeline.store.tables import scans
from tests.stages.gitlab import GitlabBench
from tests.worlds.gitlab.hooks import Delivery, new_signing_token
from tests.worlds.gitlab.world import GitlabWorld

SIGNING_TOKEN = new_signing_token()
OLD = {"a.txt": "fine\nBAD old\nfine\n", "b.txt": "fine\n"}


@pytest.fixture
def gitlab(tmp_path: Path) -> Iterator[GitlabBench]:
    """Nothing that was asked or written may be against GitLab's description of its API."""
    with GitlabWorld.start(tmp_path, relative="/gitlab") as world:
        made = GitlabBench(tmp_path, world, "", {"FIXWRIGHT_GITLAB_SIGNING_TOKEN": SIGNING_TOKEN})
        yield made
        made.close()
        assert world.violations == []


def count(gitlab: GitlabBench, table: Table) -> int:
    """Rows of a table."""
    with gitlab.app.database.read() as work:
        return int(work.transaction.execute(select(func.count()).select_from(table)).scalar_one())


def again(gitlab: GitlabBench, *, renamed: bool) -> None:
    """Everything that was ever told comes once more, in any order; `renamed`: as another hook would tell it, under ids of its own."""
    told = list(gitlab.told())
    random.Random(7).shuffle(told)
    for delivery in told:
        sent = as_another(delivery) if renamed else delivery
        answer = gitlab.post(sent)
        assert answer.status_code == 202
        assert renamed or answer.json()["status"] in ("repeated", "ignored")
    gitlab.settle()


def as_another(delivery: Delivery) -> Delivery:
    """The same event, told by another webhook."""
    identity = str(uuid.uuid4())
    return replace(delivery, id=identity, headers=delivery.headers | {"Idempotency-Key": identity})


@pytest.mark.parametrize(("renamed", "signed"), [(False, True), (True, False)], ids=["the same deliveries", "of another webhook"])
def test_what_is_told_again_in_any_order_leads_to_no_second_scan(gitlab: GitlabBench, *, renamed: bool, signed: bool) -> None:
    if signed:
        gitlab.world.hooks.own.signing_tokens = (SIGNING_TOKEN,)
    project = gitlab.project(OLD)
    request = gitlab.change(project, {"c.txt": "fine\nBAD\n"})
    gitlab.settle()
    gitlab.world.commit(project, "feature", {"d.txt": "BAD\n"})
    gitlab.world.comment("ada", request, "What do you think?")
    gitlab.settle()
    before = (count(gitlab, scans), len(gitlab.our_notes(request)), len(gitlab.world.effects))
    assert before[0] > 0
    again(gitlab, renamed=renamed)
    assert (count(gitlab, scans), len(gitlab.our_notes(request)), len(gitlab.world.effects)) == before
    assert gitlab.dead() == []


def test_a_command_that_two_webhooks_tell_is_done_once(gitlab: GitlabBench) -> None:
    project = gitlab.project(OLD)
    request = gitlab.change(project, {"c.txt": "fine\nBAD\n"})
    gitlab.settle()
    gitlab.world.comment("ada", request, "/scan")
    gitlab.settle()
    assert gitlab.reviews(request.head) == 2
    asked = next(one for one in gitlab.world.hooks.of("note") if json.loads(one.body)["object_attributes"]["note"] == "/scan")
    answer = gitlab.post(as_another(asked))
    gitlab.settle()
    assert (answer.json()["status"], gitlab.reviews(request.head)) == ("accepted", 2)


def made_up(true: Delivery, **about: object) -> Delivery:
    """What a webhook with a template of its own delivers: proven like any other, with a text that its keeper wrote."""
    payload = json.loads(true.body)
    user = about.pop("user", payload["user"])
    payload |= {"user": user, "object_attributes": payload["object_attributes"] | about}
    return replace(as_another(true), body=json.dumps(payload).encode())


def test_a_command_that_nobody_wrote_is_not_done_though_its_delivery_is_proven(gitlab: GitlabBench) -> None:
    project = gitlab.project(OLD)
    request = gitlab.change(project, {"c.txt": "fine\nBAD\n"})
    gitlab.settle()
    note = gitlab.world.comment("eve", request, "What do you think?")
    gitlab.settle()
    (true,) = gitlab.world.hooks.of("note")[-1:]
    ada = gitlab.world.user("ada")
    as_ada = {"id": ada.id, "username": "ada", "name": "Ada", "email": ""}
    before = (len(gitlab.our_notes(request)), gitlab.reviews(request.head))
    for forged in (
        made_up(true, note="/scan"),
        made_up(true, note="/scan", user=as_ada),
        made_up(true, id=note.id + 1, note="/scan", user=as_ada),
        made_up(true, discussion_id="ab" * 20, note="/scan", user=as_ada),
    ):
        assert gitlab.post(forged).status_code == 202
        gitlab.settle()
    assert (len(gitlab.our_notes(request)), gitlab.reviews(request.head)) == before
    assert note.awards == []
    assert gitlab.dead() == []


def test_what_is_made_up_beforehand_keeps_no_command_away(gitlab: GitlabBench) -> None:
    project = gitlab.project(OLD)
    request = gitlab.change(project, {"c.txt": "fine\nBAD\n"})
    gitlab.settle()
    note = gitlab.world.comment("ada", request, "What do you think?")
    gitlab.settle()
    (true,) = gitlab.world.hooks.of("note")[-1:]
    for number in range(note.id + 1, note.id + 30):
        gitlab.post(made_up(true, id=number, note="/scan"))
    gitlab.settle()
    assert gitlab.reviews(request.head) == 1
    gitlab.world.comment("ada", request, "/scan")
    gitlab.settle()
    assert gitlab.reviews(request.head) == 2


def test_gitlab_is_asked_for_a_comment_only_when_a_command_stands_in_it(gitlab: GitlabBench) -> None:
    project = gitlab.project(OLD)
    request = gitlab.change(project, {"c.txt": "fine\nBAD\n"})
    gitlab.settle()
    before = len(gitlab.world.gitlab.record.asked)
    gitlab.world.comment("ada", request, "What do you think?")
    gitlab.settle()
    assert gitlab.world.gitlab.record.asked[before:] == []
