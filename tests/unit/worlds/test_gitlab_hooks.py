"""Webhooks of the GitLab double: signed both ways, in order, given up and taken up again."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from pipeline.errors import BadSignature
from pipeline.signing import verify
from tests.unit.worlds.receiver import Receiver, receiving
from tests.worlds.gitlab.hooks import Event, Hook, Hooks, Kind, new_signing_token

PUSH = {"object_kind": "push", "event_name": "push", "ref": "refs/heads/main"}


@dataclass
class Clock:
    now: float = 1_800_000_000.0

    def seconds(self) -> float:
        return self.now


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as box:
        yield box


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def hooks(clock: Clock, receiver: Receiver) -> Iterator[Hooks]:
    made = Hooks(clock, lambda: "http://git.example.org/gitlab")
    made.url = receiver.url
    yield made
    made.close()


def push(branch: str = "main") -> Event:
    return Event("push_hooks", "push_events", PUSH | {"ref": f"refs/heads/{branch}"}, 7, (3,), branch)


def a_hook(kind: Kind = "project", owner: int = 7, **more: object) -> Hook:
    hook = Hook(11, kind, owner, "http://127.0.0.1:9/none", 0.0, events={"push_events": True})
    for name, value in more.items():
        setattr(hook, name, value)
    return hook


def test_a_delivery_has_gitlabs_headers(hooks: Hooks, receiver: Receiver) -> None:
    (made,) = hooks.emit(push())
    hooks.wait()
    ((headers, body),) = receiver.seen
    assert headers["x-gitlab-event"] == "Push Hook"
    assert headers["x-gitlab-instance"] == "http://git.example.org/gitlab"
    assert headers["x-gitlab-token"] == hooks.own.token
    assert headers["idempotency-key"] == made.id
    assert str(uuid.UUID(headers["x-gitlab-event-uuid"])) != str(uuid.UUID(headers["x-gitlab-webhook-uuid"]))
    assert headers["user-agent"].startswith("GitLab/")
    assert json.loads(body) == PUSH
    assert "webhook-signature" not in headers


@pytest.mark.parametrize(
    ("trigger", "title"),
    [
        ("merge_request_hooks", "Merge Request Hook"),
        ("tag_push_hooks", "Tag Push Hook"),
        ("confidential_note_hooks", "Confidential Note Hook"),
        ("job_hooks", "Job Hook"),
        ("subgroup_hooks", "Subgroup Hook"),
    ],
)
def test_the_event_is_named_after_its_trigger(trigger: str, title: str) -> None:
    assert Event(trigger, "", {}).title == title


def test_a_signing_token_signs_as_the_standard_says(hooks: Hooks, receiver: Receiver, clock: Clock) -> None:
    old, new = new_signing_token(), new_signing_token()
    hooks.own.signing_tokens, hooks.own.token = (old, new), ""
    (made,) = hooks.emit(push())
    hooks.wait()
    ((headers, body),) = receiver.seen
    assert headers["webhook-id"] == headers["idempotency-key"] == made.id
    assert len(headers["webhook-signature"].split()) == 2
    assert "x-gitlab-token" not in headers
    for token in (old, new):
        assert verify(headers, body, [base64.b64decode(token.removeprefix("whsec_"))], clock.now) == made.id
    with pytest.raises(BadSignature):
        verify(headers, body, [b"another one"], clock.now)


def test_what_is_sent_again_keeps_its_id_and_gets_a_new_time(hooks: Hooks, receiver: Receiver, clock: Clock) -> None:
    hooks.own.signing_tokens = (new_signing_token(),)
    (made,) = hooks.emit(push())
    hooks.wait()
    clock.now += 3_600
    assert hooks.redeliver(made.id) == 202
    assert hooks.deliver_copies(made.id, 3) == [202, 202, 202]
    assert {headers["webhook-id"] for headers, _ in receiver.seen} == {made.id}
    assert int(receiver.seen[1][0]["webhook-timestamp"]) - int(receiver.seen[0][0]["webhook-timestamp"]) == 3_600
    assert [attempt.status for attempt in made.attempts] == [202] * 5


def test_events_come_in_order_and_share_their_event_id_between_hooks(hooks: Hooks, receiver: Receiver) -> None:
    hooks.registered[11] = a_hook(url=receiver.url)
    for branch in ("a", "b", "c"):
        hooks.emit(push(branch))
    hooks.wait()
    assert [json.loads(body)["ref"] for _, body in receiver.seen] == [f"refs/heads/{branch}" for branch in "aabbcc"]
    assert len({headers["x-gitlab-event-uuid"] for headers, _ in receiver.seen}) == 3
    assert len({headers["idempotency-key"] for headers, _ in receiver.seen}) == 6


@pytest.mark.parametrize(
    ("hook", "told"),
    [
        (a_hook(), True),
        (a_hook(owner=8), False),
        (a_hook(events={"push_events": False}), False),
        (a_hook("group", 3), True),
        (a_hook("group", 4), False),
        (a_hook("system", 0), True),
        (a_hook(branch_filter="main"), True),
        (a_hook(branch_filter="rel*"), False),
        (a_hook(branch_filter="ma*"), True),
        (a_hook(branch_filter="^m.in$", branch_strategy="regex"), True),
        (a_hook(branch_filter="^x", branch_strategy="regex"), False),
        (a_hook(branch_filter="^x", branch_strategy="all_branches"), True),
        (a_hook(failures=40), False),
    ],
)
def test_a_hook_is_told_of_what_it_wants_and_no_more(hooks: Hooks, hook: Hook, told: bool) -> None:
    hook.url = ""
    hooks.registered[11] = hook
    hooks.emit(push())
    assert len(hooks.of("push", hook=hook)) == told


def test_a_system_hook_gets_no_notes_and_says_that_it_is_one(hooks: Hooks) -> None:
    hook = hooks.registered[11] = a_hook("system", 0, url="", events={"push_events": True, "note_events": False})
    hooks.emit(push())
    hooks.emit(Event("project_hooks", "project_events", {"event_name": "project_rename"}))
    assert [delivery.headers["X-Gitlab-Event"] for delivery in hooks.deliveries if delivery.hook is hook] == ["System Hook"] * 2


def test_four_failures_switch_a_hook_off_for_a_minute_and_each_further_one_for_longer(
    hooks: Hooks, receiver: Receiver, clock: Clock
) -> None:
    receiver.status = 500
    for _ in range(3):
        hooks.emit(push())
    hooks.wait()
    assert hooks.own.status(clock.now) == "executable"
    hooks.emit(push())
    hooks.wait()
    assert hooks.own.status(clock.now) == "temporarily_disabled"
    assert hooks.emit(push()) == []
    clock.now += 61
    assert hooks.own.status(clock.now) == "executable"
    hooks.emit(push())
    hooks.wait()
    clock.now += 61
    assert hooks.own.status(clock.now) == "temporarily_disabled"
    clock.now += 60
    receiver.status = 200
    hooks.emit(push())
    hooks.wait()
    assert (hooks.own.failures, hooks.own.off_until) == (0, None)


def test_forty_failures_switch_it_off_for_good_until_a_test_request_succeeds(hooks: Hooks, receiver: Receiver, clock: Clock) -> None:
    receiver.status = 404
    for _ in range(40):
        hooks.emit(push())
        hooks.wait()
        clock.now += 86_401
    assert hooks.own.status(clock.now) == "disabled"
    clock.now += 400 * 86_400
    assert hooks.emit(push()) == []
    receiver.status = 200
    (test,) = hooks.emit(push(), to=hooks.own)
    assert hooks.attempt(test) == 200
    assert hooks.own.status(clock.now) == "executable"


def test_a_self_managed_instance_without_the_flag_never_gives_up(hooks: Hooks, receiver: Receiver) -> None:
    hooks.auto_disable = False
    receiver.status = 500
    for _ in range(6):
        hooks.emit(push())
    hooks.wait()
    assert len(receiver.seen) == 6


def test_what_happens_while_it_is_paused_is_kept_and_can_be_delivered(hooks: Hooks, receiver: Receiver) -> None:
    hooks.paused = True
    (made,) = hooks.emit(push())
    hooks.wait()
    assert receiver.seen == []
    hooks.paused = False
    hooks.again(made)
    hooks.wait()
    assert len(receiver.seen) == 1


def test_a_template_and_headers_of_the_owner_are_used(hooks: Hooks) -> None:
    hook = a_hook(url="", template='{"kind": "{{object_kind}}", "at": "{{project.id}}"}', custom_headers={"X-Mine": "yes"})
    hooks.registered[11] = hook
    hooks.emit(Event("push_hooks", "push_events", PUSH | {"project": {"id": 5}}, 7))
    (made,) = hooks.of("push", hook=hook)
    assert made.payload == {"kind": "push", "at": "5"}
    assert made.headers["X-Mine"] == "yes"


def test_a_forged_copy_has_another_secret_and_no_signature(hooks: Hooks) -> None:
    hooks.own.signing_tokens = (new_signing_token(),)
    (made,) = hooks.emit(push())
    forged = hooks.forged(made.id, "not it")
    assert forged.signed(0.0) == made.headers | {"X-Gitlab-Token": "not it"}
