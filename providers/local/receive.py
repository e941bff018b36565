"""Deliveries of the local provider: verify (`pipeline.signing`), then parse. Pure."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import Field

from pipeline.errors import MalformedDelivery, NotConfigured
from pipeline.model.event import CommentEvent, CommentRef, Delivery, Event, PullRequestAction, PullRequestEvent, PushEvent, Received
from pipeline.model.ids import CommitId, InstallationId
from pipeline.model.target import Installation, PullRequestRef, SourceRepository, UserRef
from pipeline.payloads import Payload, Sha, Text, read_fields, read_object
from pipeline.ports import Configuration
from pipeline.signing import verify

Name = Annotated[Text, Field(min_length=1, max_length=4096)]
"""What has to be there; no path of a system is longer (Linux: `PATH_MAX`)."""
Word = Annotated[Text, Field(max_length=4096)]
"""The same, where it is needed in some events only."""


class Repository(Payload):
    """A connected repository."""

    id: Name
    name: Name
    path: Name
    default_branch: Name


class Sender(Payload):
    """Who pushed or wrote: an account of this machine."""

    id: Name
    login: Name


class Body(Payload):
    """Body of a delivery; which of the optional parts are needed depends on `event`."""

    event: Literal["push", "pull_request", "comment", "ping"]
    repository: Repository
    sender: Sender
    ref: Word = ""
    before: Sha | None = None
    after: Sha | None = None
    number: int = 0
    action: PullRequestAction | None = Field(default=None, strict=False)
    head: Sha | None = None
    comment: Word = ""
    thread: Word = ""
    fingerprint: Word = ""
    body: Annotated[Text, Field(max_length=65_536)] = ""


def receive(delivery: Delivery, configuration: Configuration, *, clock: Callable[[], float] = time.time) -> Received:
    """Verify, then parse. See `pipeline.ports.Provider.receive`."""
    # One that was kept while the database was away is as old as it was when it came.
    identifier = _verify(delivery, configuration, clock() if delivery.at is None else delivery.at)
    payload = read_fields(Body, read_object(delivery.body), "the delivery", "Fixwright")
    name = f"{payload.event}.{payload.action}" if payload.action else payload.event
    return Received(identifier, name, _event(payload))


def _verify(delivery: Delivery, configuration: Configuration, now: float) -> str:
    if not configuration.get("WEBHOOK_SECRET"):
        raise NotConfigured("the local provider has no webhook secret", hint="set FIXWRIGHT_LOCAL_WEBHOOK_SECRET")
    secrets = [configuration[name].encode() for name in ("WEBHOOK_SECRET", "WEBHOOK_SECRET_PREVIOUS") if configuration.get(name)]
    return verify(delivery.headers, delivery.body, secrets, now, hint="run: fixwright local connect REPOSITORY")


def _event(payload: Body) -> Event | None:
    given = payload.repository
    if not PurePosixPath(given.path).is_absolute():
        raise MalformedDelivery("repository.path is not absolute")
    repository = SourceRepository(
        provider="local",
        instance="",
        external_id=given.id,
        full_name=given.name,
        default_branch=given.default_branch,
        clone_url=given.path,
        installation="local",
    )
    installation = Installation(InstallationId("local"), "local", "", "local", "local")
    sender = UserRef(payload.sender.id, payload.sender.login)
    if payload.event == "push":
        if payload.before is None or payload.after is None or not payload.ref:
            raise MalformedDelivery("a push needs ref, before and after")
        return PushEvent(installation, repository, sender, payload.ref, CommitId(payload.before), CommitId(payload.after))
    if payload.event == "pull_request":
        if payload.action is None or payload.head is None or payload.number < 1:
            raise MalformedDelivery("a pull_request needs number, action and head")
        ref = PullRequestRef(repository, payload.number)
        return PullRequestEvent(installation, ref, sender, payload.action, CommitId(payload.head))
    if payload.event == "comment":
        if not payload.comment or payload.number < 1:
            raise MalformedDelivery("a comment needs number and comment")
        ref = PullRequestRef(repository, payload.number)
        comment = CommentRef(ref, payload.comment, bool(payload.thread), payload.thread)
        return CommentEvent(installation, comment, sender, payload.body, payload.fingerprint)
    return None
