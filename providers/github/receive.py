"""Bytes of a webhook -> an event of ours. Pure: verify, then parse.

Source: docs "Validating webhook deliveries" (HMAC-SHA256 over the raw body, compared in constant time) and "Webhook events and payloads".
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import pydantic_core
from pydantic import ValidationError

from pipeline.errors import BadSignature, MalformedDelivery
from pipeline.model.event import (
    CommentEvent,
    CommentRef,
    Delivery,
    Event,
    InstallationEvent,
    PullRequestAction,
    PullRequestEvent,
    PushEvent,
    Received,
    RerunEvent,
)
from pipeline.model.ids import CommitId, InstallationId
from pipeline.model.target import Installation, PullRequestRef, SourceRepository, UserRef
from pipeline.ports import Configuration
from providers.github import payloads
from providers.github.settings import Site, webhook_secrets

MAX_DEPTH = 64
"""Nesting that we accept; GitHub's deepest payload has less than ten levels."""

_SIGNATURE = re.compile(r"sha256=([0-9a-f]{64})\Z")
_EVENT_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}\Z")
_DELIVERY_ID = re.compile(r"[A-Za-z0-9._:-]{1,100}\Z")
_Model = TypeVar("_Model", bound=payloads.Payload)
_Reader = Callable[["_Context"], Event | None]


def receive(delivery: Delivery, configuration: Configuration) -> Received:
    """Verify and understand one delivery.

    Raises:
        NotConfigured: no webhook secret is set.
        BadSignature: the SHA-256 signature is missing, malformed or of another secret; nothing else was looked at.
        MalformedDelivery: signed, but not what GitHub documents.
    """
    _verify(delivery, webhook_secrets(configuration))
    name = delivery.headers.get("x-github-event", "")
    identity = delivery.headers.get("x-github-delivery", "")
    if not _EVENT_NAME.match(name):
        raise MalformedDelivery("the header X-GitHub-Event is missing or is no event name")
    if not _DELIVERY_ID.match(identity):
        raise MalformedDelivery("the header X-GitHub-Delivery is missing or is no delivery id")
    payload = _parse(delivery)
    envelope = _read(payloads.Envelope, payload, name)
    full_name = f"{name}.{envelope.action}" if _EVENT_NAME.match(envelope.action) else name
    reader = _READERS.get(full_name)
    if reader is None or envelope.installation is None:
        return Received(delivery_id=identity, name=full_name, event=None)
    context = _Context(delivery, configuration, payload, full_name)
    return Received(delivery_id=identity, name=full_name, event=reader(context))


def _verify(delivery: Delivery, secrets: Sequence[bytes]) -> None:
    """Compare against every active secret, also after a match, so that the time tells nothing."""
    match = _SIGNATURE.match(delivery.headers.get("x-hub-signature-256", ""))
    given = match.group(1) if match else ""
    matches = [hmac.compare_digest(hmac.new(secret, delivery.body, hashlib.sha256).hexdigest(), given) for secret in secrets]
    if match is None:
        raise BadSignature(
            "the delivery has no SHA-256 signature",
            hint="give the webhook in the App's settings the secret of FIXWRIGHT_GITHUB_WEBHOOK_SECRET",
        )
    if not any(matches):
        raise BadSignature(
            "the signature of this delivery does not match",
            hint="the webhook secret in the App's settings and FIXWRIGHT_GITHUB_WEBHOOK_SECRET differ; run: fixwright doctor",
        )


def _parse(delivery: Delivery) -> Mapping[str, object]:
    """The body as a JSON object of bounded depth. The parser has a recursion limit of its own and refuses lone surrogates."""
    try:
        value: object = pydantic_core.from_json(delivery.body, allow_inf_nan=False)
    except ValueError:
        form = delivery.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
        raise MalformedDelivery(
            "the body is not JSON", hint="set the webhook's content type to application/json" if form else ""
        ) from None  # the parser's message quotes the body
    if not isinstance(value, dict):
        raise MalformedDelivery("the body is not a JSON object")
    if _deeper_than(value, MAX_DEPTH):
        raise MalformedDelivery(f"the body is nested deeper than {MAX_DEPTH} levels")
    return value


def _deeper_than(value: object, limit: int) -> bool:
    """True when containers lie in each other more than `limit` deep. Level by level, so that nothing recurses."""
    level = [value]
    for _ in range(limit):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer if isinstance(outer, list) else ())
            if isinstance(inner, (dict, list))
        ]
        if not level:
            return False
    return True


def _read(model: type[_Model], payload: Mapping[str, object], name: str) -> _Model:
    """The used fields of a payload. Raises MalformedDelivery with the first wrong place, never with its value."""
    try:
        return model.model_validate(payload)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise MalformedDelivery(f"{name}: {place} is missing or not what GitHub documents ({first['type']})") from None


class _Context:
    """One verified payload, and how its common parts become ours."""

    def __init__(self, delivery: Delivery, configuration: Configuration, payload: Mapping[str, object], name: str) -> None:
        self.payload, self.name = payload, name
        self.site = Site.of(configuration)
        self.app_id = configuration.get("APP_ID", "").strip()
        self._provider = delivery.provider
        self._instance = delivery.instance or self.site.web_host

    def read(self, model: type[_Model]) -> _Model:
        return _read(model, self.payload, self.name)

    def installation(self, number: int, account: str) -> Installation:
        # Our own id is given by the store; until then the host's identity of it stands in.
        own = InstallationId(f"{self._provider}:{self._instance}:{number}")
        return Installation(own, self._provider, self._instance, account, str(number))

    def of(self, event: payloads.FromRepository) -> Installation:
        return self.installation(event.installation.id, event.repository.full_name.partition("/")[0])

    def repository(self, event: payloads.FromRepository) -> SourceRepository:
        source = event.repository
        return SourceRepository(
            provider=self._provider,
            instance=self._instance,
            external_id=str(source.id),
            full_name=source.full_name,
            default_branch=source.default_branch,
            clone_url=source.clone_url,
            private=source.private,
            installation=str(event.installation.id),
        )

    def listed(self, repositories: Sequence[payloads.InstalledRepository], installation: int) -> tuple[SourceRepository, ...]:
        return tuple(
            SourceRepository(
                provider=self._provider,
                instance=self._instance,
                external_id=str(listed.id),
                full_name=listed.full_name,
                default_branch="",  # not in these payloads; any later event of the repository has it
                clone_url=f"{self.site.web_url}/{listed.full_name}.git",
                private=listed.private,
                installation=str(installation),
            )
            for listed in repositories
        )

    def is_ours(self, app: payloads.AppBadge | None) -> bool:
        """True when that App is the configured one."""
        return app is not None and str(app.id) == self.app_id


def _user(user: payloads.User, *, ours: bool = False) -> UserRef:
    """A sender. What we wrote is a machine's even when it was written in a person's name: answering it would loop."""
    return UserRef(str(user.id), user.login, bot=ours or user.type == "Bot" or user.login.endswith("[bot]"))


def _push(context: _Context) -> Event | None:
    event = context.read(payloads.Push)
    if not event.ref.startswith("refs/heads/") or event.deleted or not event.after.strip("0"):
        return None
    return PushEvent(
        installation=context.of(event),
        repository=context.repository(event),
        sender=_user(event.sender),
        ref=event.ref.removeprefix("refs/heads/"),
        before=CommitId(event.before),
        after=CommitId(event.after),
        commits=max(1, len(event.commits)),
    )


def _pull_request(action: PullRequestAction) -> _Reader:
    def read(context: _Context) -> Event | None:
        event = context.read(payloads.PullRequest)
        if action is PullRequestAction.RETARGETED and (event.changes is None or event.changes.base is None):
            return None  # a new title or text changes no verdict
        return PullRequestEvent(
            installation=context.of(event),
            pull_request=PullRequestRef(context.repository(event), event.pull_request.number),
            sender=_user(event.sender),
            action=action,
            head=CommitId(event.pull_request.head.sha),
        )

    return read


def _issue_comment(context: _Context) -> Event | None:
    event = context.read(payloads.IssueComment)
    if event.issue.pull_request is None:
        return None
    return CommentEvent(
        installation=context.of(event),
        comment=CommentRef(PullRequestRef(context.repository(event), event.issue.number), str(event.comment.id)),
        sender=_user(event.sender, ours=context.is_ours(event.comment.performed_via_github_app)),
        body=event.comment.body or "",
    )


def _review_comment(context: _Context) -> Event | None:
    event = context.read(payloads.ReviewComment)
    root = event.comment.in_reply_to_id or event.comment.id
    return CommentEvent(
        installation=context.of(event),
        comment=CommentRef(
            PullRequestRef(context.repository(event), event.pull_request.number), str(event.comment.id), in_thread=True, thread=str(root)
        ),
        sender=_user(event.sender),
        body=event.comment.body or "",
    )


def _installed(context: _Context) -> Event | None:
    event = context.read(payloads.Installation)
    repositories = context.listed(event.repositories, event.installation.id)
    installation = context.installation(event.installation.id, event.installation.account.name)
    match context.name.partition(".")[2]:
        case "created":
            return InstallationEvent(installation, "created", added=repositories)
        case "deleted":
            return InstallationEvent(installation, "deleted", removed=repositories)
        case "suspend":
            return InstallationEvent(installation, "suspended")
        case "unsuspend":
            return InstallationEvent(installation, "unsuspended")
        case _:
            return InstallationEvent(installation, "changed")


def _repositories_changed(context: _Context) -> Event | None:
    event = context.read(payloads.InstallationRepositories)
    number = event.installation.id
    return InstallationEvent(
        context.installation(number, event.installation.account.name),
        "changed",
        added=context.listed(event.repositories_added, number),
        removed=context.listed(event.repositories_removed, number),
    )


def _rerun(context: _Context) -> Event | None:
    event: payloads.CheckRun | payloads.CheckSuite
    if context.name.startswith("check_run"):
        event = context.read(payloads.CheckRun)
        checked = event.check_run
    else:
        event = context.read(payloads.CheckSuite)
        checked = event.check_suite
    if checked.app is not None and context.app_id and not context.is_ours(checked.app):
        return None
    return RerunEvent(
        installation=context.of(event), repository=context.repository(event), sender=_user(event.sender), head=CommitId(checked.head_sha)
    )


_READERS: Mapping[str, _Reader] = {
    "push": _push,
    "pull_request.opened": _pull_request(PullRequestAction.OPENED),
    "pull_request.synchronize": _pull_request(PullRequestAction.UPDATED),
    "pull_request.reopened": _pull_request(PullRequestAction.REOPENED),
    "pull_request.closed": _pull_request(PullRequestAction.CLOSED),
    "pull_request.ready_for_review": _pull_request(PullRequestAction.READY),
    "pull_request.converted_to_draft": _pull_request(PullRequestAction.DRAFTED),
    "pull_request.edited": _pull_request(PullRequestAction.RETARGETED),
    "issue_comment.created": _issue_comment,
    "pull_request_review_comment.created": _review_comment,
    "installation.created": _installed,
    "installation.deleted": _installed,
    "installation.suspend": _installed,
    "installation.unsuspend": _installed,
    "installation.new_permissions_accepted": _installed,
    "installation_repositories.added": _repositories_changed,
    "installation_repositories.removed": _repositories_changed,
    "check_run.rerequested": _rerun,
    "check_suite.rerequested": _rerun,
}
"""What concerns us, by `event.action`. `app.yml` asks for exactly these events."""

EVENTS = frozenset(name.partition(".")[0] for name in _READERS)
"""The webhook events that are understood, as `app.yml` names them (installation events come without being asked for)."""
