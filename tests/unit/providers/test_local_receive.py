"""Deliveries of the local provider: the edges of its own signature and payload; the rest is in tests/contract/test_providers.py."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from pipeline.errors import BadSignature, MalformedDelivery
from pipeline.model.event import CommentEvent, Delivery, PullRequestAction, PullRequestEvent, Received
from pipeline.payloads import MAX_DEPTH
from pipeline.signing import TOLERANCE, sign
from providers.local.receive import receive

NOW = 1_800_000_000
SECRET = "of this " + "test"
CONFIGURATION = {"WEBHOOK_SECRET": SECRET}
REPOSITORY = {"id": "shop-1", "name": "shop", "path": "/srv/shop.git", "default_branch": "main"}
COMMON: dict[str, object] = {"repository": REPOSITORY, "sender": {"id": "ada", "login": "ada"}}
OPENED: dict[str, object] = {**COMMON, "event": "pull_request", "action": "opened", "number": 1, "head": "1" * 40}


def delivery(payload: object, identity: str = "msg_1", at: int = NOW, headers: Mapping[str, str] | None = None) -> Delivery:
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    signed = {"webhook-id": identity, "webhook-timestamp": str(at), "webhook-signature": sign(SECRET.encode(), identity, at, body)}
    return Delivery("local", "", {**signed, **(headers or {})}, body)


def received(payload: object, identity: str = "msg_1") -> Received:
    return receive(delivery(payload, identity), CONFIGURATION, clock=lambda: NOW)


def test_the_signature_is_that_of_standard_webhooks() -> None:
    # Standard Webhooks, "Verifying signatures": HMAC-SHA256 over id.timestamp.body; computed here with openssl.
    assert sign(b"a", "msg_1", 1, b"{}") == "v1,gSI957ePqnnjfp54Iihib5vx8dsfFgiIOgTv5RLhofE="


def test_one_good_signature_among_several_is_enough() -> None:
    good = delivery(OPENED)
    several = {**good.headers, "webhook-signature": "v1,AAAA v2,other " + good.headers["webhook-signature"]}
    assert receive(Delivery("local", "", several, good.body), CONFIGURATION, clock=lambda: NOW).delivery_id == "msg_1"


def test_a_signature_behind_a_flood_of_others_is_not_looked_for() -> None:
    good = delivery(OPENED)
    flood = {**good.headers, "webhook-signature": "v1,AAAA " * 10 + good.headers["webhook-signature"]}
    with pytest.raises(BadSignature):
        receive(Delivery("local", "", flood, good.body), CONFIGURATION, clock=lambda: NOW)


@pytest.mark.parametrize(
    ("age", "believed"), [(0, True), (TOLERANCE, True), (-TOLERANCE, True), (TOLERANCE + 1, False), (-TOLERANCE - 1, False)]
)
def test_the_time_may_differ_by_five_minutes(age: float, believed: bool) -> None:
    signed = delivery(OPENED, at=int(NOW - age))
    if believed:
        assert receive(signed, CONFIGURATION, clock=lambda: NOW).event is not None
        return
    with pytest.raises(BadSignature, match="too old"):
        receive(signed, CONFIGURATION, clock=lambda: NOW)


@pytest.mark.parametrize("timestamp", ["", "now", "-1", "1.5", "\u0661\u0662", "9" * 40])
def test_a_time_that_is_none_is_no_signature(timestamp: str) -> None:
    with pytest.raises(BadSignature):
        receive(delivery(OPENED, headers={"webhook-timestamp": timestamp}), CONFIGURATION, clock=lambda: NOW)


def test_the_signed_id_and_time_cannot_be_changed() -> None:
    for header, value in (("webhook-id", "msg_2"), ("webhook-timestamp", str(NOW + 1))):
        with pytest.raises(BadSignature):
            receive(delivery(OPENED, headers={header: value}), CONFIGURATION, clock=lambda: NOW)


def test_an_endless_id_is_refused() -> None:
    with pytest.raises(MalformedDelivery):
        received(OPENED, identity="m" * 201)


@pytest.mark.parametrize("action", list(PullRequestAction))
def test_every_action_is_understood(action: PullRequestAction) -> None:
    event = received({**OPENED, "action": action.value}).event
    assert isinstance(event, PullRequestEvent)
    assert event.action is action


def test_a_comment_in_a_thread_brings_its_thread_and_finding() -> None:
    event = received(
        {**COMMON, "event": "comment", "number": 1, "comment": "c", "thread": "t", "fingerprint": "v1:x", "body": "/fix"}
    ).event
    assert isinstance(event, CommentEvent)
    assert (event.comment.in_thread, event.comment.thread, event.finding_marker) == (True, "t", "v1:x")


@pytest.mark.parametrize(
    "change",
    [
        {"event": "else"},
        {"action": "exploded"},
        {"action": None},
        {"number": 0},
        {"number": -1},
        {"number": "1"},
        {"head": None},
        {"head": "1" * 39},
        {"head": "G" * 40},
        {"head": "--upload-pack=x"},
        {"repository": {**REPOSITORY, "path": "relative"}},
        {"repository": {**REPOSITORY, "path": ""}},
        {"repository": {**REPOSITORY, "path": "https://example.org/x.git"}},
        {"repository": {**REPOSITORY, "name": "n" * 5_000}},
        {"sender": None},
        {"body": "b" * 70_000},
        {"ref": "r" * 5_000},
        *({name: "a\0b"} for name in ("ref", "comment", "thread", "fingerprint", "body")),
        *({"repository": {**REPOSITORY, name: "/a\0b"}} for name in REPOSITORY),
        *({"sender": {"id": "ada", "login": "ada", name: "a\0b"}} for name in ("id", "login")),
    ],
    ids=str,
)
def test_what_the_hook_never_sends_is_malformed(change: dict[str, object]) -> None:
    with pytest.raises(MalformedDelivery) as refused:
        received({**OPENED, **change})
    assert "n" * 100 not in refused.value.message


@pytest.mark.parametrize("missing", ["ref", "before", "after"])
def test_a_push_needs_all_its_parts(missing: str) -> None:
    push = {**COMMON, "event": "push", "ref": "main", "before": "0" * 40, "after": "1" * 40}
    assert received(push).event is not None
    with pytest.raises(MalformedDelivery, match="needs"):
        received({name: value for name, value in push.items() if name != missing})


@pytest.mark.parametrize(("levels", "accepted"), [(MAX_DEPTH - 1, True), (MAX_DEPTH + 1, False)])
def test_a_body_has_at_most_sixty_four_levels(levels: int, accepted: bool) -> None:
    deep: object = 1
    for _ in range(levels - 1):
        deep = [deep]
    if accepted:
        assert received({**OPENED, "extra": deep}).event is not None
        return
    with pytest.raises(MalformedDelivery, match="deep"):
        received({**OPENED, "extra": deep})
