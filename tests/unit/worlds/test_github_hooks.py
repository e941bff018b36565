"""Webhooks of the double: signed, in order, repeated under one id; and failures on order."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.unit.worlds.conftest import Scene
from tests.unit.worlds.receiver import Receiver, receiving
from tests.worlds import faults
from tests.worlds.github import GithubWorld
from tests.worlds.github.faults import secondary_limit
from tests.worlds.github.hooks import sign


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as box:
        yield box


def test_an_event_arrives_signed_with_githubs_headers(scene: Scene, receiver: Receiver) -> None:
    scene.world.webhook_url = receiver.url
    scene.world.comment("ada", scene.pull, "/fix")
    scene.world.hooks.wait()
    headers, body = receiver.seen[0]
    expected = hmac.new(scene.world.webhook_secret.encode(), body, hashlib.sha256).hexdigest()

    assert headers["x-hub-signature-256"] == f"sha256={expected}" == sign(scene.world.webhook_secret, body)
    assert headers["x-github-event"] == "issue_comment"
    assert str(uuid.UUID(headers["x-github-delivery"])) == headers["x-github-delivery"]
    assert headers["user-agent"].startswith("GitHub-Hookshot/")
    payload = json.loads(body)
    assert (payload["action"], payload["comment"]["body"], payload["issue"]["number"]) == ("created", "/fix", 1)
    assert payload["installation"]["id"] == scene.installation.id
    assert "pull_request" in payload["issue"]


def test_events_arrive_in_the_order_in_which_things_happened(scene: Scene, receiver: Receiver) -> None:
    scene.world.webhook_url = receiver.url
    scene.world.commit(scene.repository, "feature", {"more.py": "x\n"})
    scene.world.edit_pull_request("ada", scene.pull, base="main", title="New title")
    scene.world.close("ada", scene.pull)
    scene.world.reopen("ada", scene.pull)
    scene.world.hooks.wait()

    told = [(headers["x-github-event"], json.loads(body).get("action")) for headers, body in receiver.seen]
    pulls = [("pull_request", action) for action in ("synchronize", "edited", "closed", "reopened")]
    assert told == [("push", None), ("check_suite", "requested"), *pulls]


def test_a_redelivery_has_the_same_id_and_body(scene: Scene, receiver: Receiver) -> None:
    scene.world.webhook_url = receiver.url
    receiver.status = 500
    scene.world.comment("ada", scene.pull, "/fix")
    scene.world.hooks.wait()
    delivery = scene.world.hooks.deliveries[-1]
    receiver.status = 202

    assert scene.world.hooks.redeliver(delivery.id) == 202
    assert scene.world.hooks.deliver_copies(delivery.id, 20) == [202] * 20
    assert len({headers["x-github-delivery"] for headers, _ in receiver.seen}) == 1
    assert len({body for _, body in receiver.seen}) == 1
    assert [attempt.status for attempt in delivery.attempts] == [500] + [202] * 21


def test_nobody_there_is_an_attempt_without_a_status(scene: Scene) -> None:
    scene.world.webhook_url = "http://127.0.0.1:9/"
    scene.world.comment("ada", scene.pull, "x")
    scene.world.hooks.wait()

    assert [attempt.status for attempt in scene.world.hooks.deliveries[-1].attempts] == [0]


def test_an_app_lists_and_repeats_its_deliveries_through_the_api(scene: Scene, receiver: Receiver) -> None:
    scene.world.comment("ada", scene.pull, "missed")
    scene.world.webhook_url = receiver.url
    app = {"authorization": f"Bearer {scene.world.app_jwt()}"}
    newest = scene.call("GET", "/app/hook/deliveries", headers=app).json()[0]
    assert (newest["event"], newest["status_code"]) == ("issue_comment", 0)

    assert scene.call("POST", f"/app/hook/deliveries/{newest['id']}/attempts", headers=app).status_code == 202
    scene.world.hooks.wait()
    assert [headers["x-github-delivery"] for headers, _ in receiver.seen] == [newest["guid"]]
    assert scene.call("GET", f"/app/hook/deliveries/{newest['id']}", headers=app).json()["status_code"] == 202


def test_every_event_of_the_world_matches_githubs_schema(scene: Scene) -> None:
    """The fixture holds the violations against nothing; here everything happens once."""
    world, repository, pull = scene.world, scene.repository, scene.pull
    organization = world.organization("acme")
    world.install(organization.login)
    theirs = world.create_repository("acme", "tool", files={"a": "b"})
    world.commit(theirs, "x", {"a": "c"})
    world.open_pull_request("ada", theirs, "x", "main", "In an organization", body="text", draft=True)
    first = world.review_comment("bob", pull, "app.py", 20, "why?")
    world.reply_in_thread("ada", first.id, "because")
    world.set_draft("ada", pull, True)
    world.set_draft("ada", pull, False)
    run = scene.check(conclusion="failure", actions=[{"label": "Fix", "description": "d", "identifier": "fix"}])
    world.rerequest_check("ada", world.checks(repository)[0])
    world.press_button("ada", world.checks(repository)[0], "fix")
    scene.call("PATCH", f"/check-runs/{run['id']}", {"conclusion": "success"})
    scene.call("POST", "/issues/1/comments", {"body": "x"})
    world.merge("ada", pull)
    world.change_installation(scene.installation, add=(repository,))
    world.change_installation(scene.installation, remove=(repository,))
    world.uninstall(scene.installation)

    told = {(delivery.event, delivery.action) for delivery in world.hooks.deliveries}
    assert {
        ("check_run", "requested_action"),
        ("installation", "deleted"),
        ("installation_repositories", "removed"),
        ("pull_request", "closed"),
    } <= told
    assert len(told) >= 18


def test_an_event_that_the_app_did_not_ask_for_or_may_not_see_is_not_sent(world: GithubWorld) -> None:
    stranger = world.create_repository("eve", "hidden", files={"a": "b"}, install=False)
    world.commit(stranger, "x", {"a": "c"})

    assert world.hooks.deliveries == []


# --- failures on order ---


def test_a_fault_strikes_so_many_times_and_nothing_is_done(scene: Scene) -> None:
    scene.world.faults.add("POST", r"/comments$", faults.Status(502), times=2)
    statuses = [scene.call("POST", "/issues/1/comments", {"body": "x"}).status_code for _ in range(3)]

    assert statuses == [502, 502, 201]
    assert len(scene.pull.comments) == 1


def test_an_answer_can_fail_after_the_work_was_done(scene: Scene) -> None:
    scene.world.faults.add("POST", r"/comments$", faults.Status(500, after_work=True))

    assert scene.call("POST", "/issues/1/comments", {"body": "x"}).status_code == 500
    assert len(scene.pull.comments) == 1


@pytest.mark.parametrize(("action", "done"), [(faults.Abort(), 0), (faults.Abort(after_work=True), 1), (faults.Truncate(), 1)])
def test_a_connection_can_be_cut(scene: Scene, action: faults.Action, done: int) -> None:
    scene.world.faults.add("POST", r"/comments$", action)

    with pytest.raises(httpx.TransportError):
        scene.call("POST", "/issues/1/comments", {"body": "x"})
    assert len(scene.pull.comments) == done
    assert scene.call("GET", "").status_code == 200


def test_an_answer_can_be_late_garbage_or_a_limit(scene: Scene) -> None:
    scene.world.faults.add("GET", "shop$", faults.Delay(0.3))
    scene.world.faults.add("GET", "shop$", faults.garbage())
    scene.world.faults.add("GET", "shop$", secondary_limit(7))
    began = time.monotonic()
    late, garbage, limited = (scene.call("GET", "") for _ in range(3))

    assert (late.status_code, time.monotonic() - began >= 0.3) == (200, True)
    assert garbage.content.startswith(b"<html>")
    assert (limited.status_code, limited.headers["retry-after"]) == (403, "7")


def test_a_fault_can_let_the_first_requests_through(scene: Scene) -> None:
    scene.world.faults.add("*", "shop$", faults.Status(500), skip=1)

    assert [scene.call("GET", "").status_code for _ in range(3)] == [200, 500, 200]


def test_two_worlds_live_beside_each_other(world: GithubWorld, tmp_path: Path) -> None:
    with GithubWorld.start(tmp_path / "other") as other:
        world.create_repository("octo", "shop", files={"a": "b"})

        assert other.api_url != world.api_url
        assert other.github.state.repositories == {}
        assert other.webhook_secret != world.webhook_secret
