"""Webhooks of the double: who wants what, how it is signed and sent, and when GitLab gives up on a receiver.

Source: GitLab docs, "Webhooks" (delivery headers, signing tokens, auto-disabled webhooks), "Webhook events", "Project webhooks API".
"""

from __future__ import annotations

import base64
import fnmatch
import hashlib
import hmac
import json
import re
import secrets
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

from tests.worlds.gitlab.model import Json
from tests.worlds.sending import Attempt, Sending

Kind = Literal["project", "group", "system", "world", "check"]
"""Where a hook hangs. `world`: on nothing that the API knows; the double's own, which is told of everything. `check`: it is no webhook but
an external status check."""

TEMPORARY_AFTER, PERMANENT_AFTER = 4, 40
"""Failures in a row after which a hook is switched off for a while, and for good ("Auto-disabled webhooks", 17.11)."""
FIRST_BACKOFF, LONGEST_BACKOFF = 60.0, 86_400.0
"""Seconds for which a hook is first, and at most, switched off."""
LARGEST_PAYLOAD = 25 * 1024 * 1024
"""Bytes of a payload that GitLab sends at most (`REQUEST_BODY_SIZE_LIMIT`)."""

EVENTS = (
    "push_events",
    "tag_push_events",
    "merge_requests_events",
    "note_events",
    "confidential_note_events",
    "issues_events",
    "confidential_issues_events",
    "job_events",
    "pipeline_events",
    "wiki_page_events",
    "deployment_events",
    "releases_events",
    "feature_flag_events",
    "milestone_events",
    "emoji_events",
    "resource_access_token_events",
    "repository_update_events",
)
"""Switches of every hook."""
GROUP_EVENTS = ("member_events", "subgroup_events", "project_events")
"""Switches that only hooks of a group have."""
_SYSTEM_EVENTS = ("push_events", "tag_push_events", "merge_requests_events", "repository_update_events")


class Clock(Protocol):
    """The world's time."""

    def seconds(self) -> float:
        """Since 1970."""


def sign(token: str, identity: str, timestamp: int, body: bytes) -> str:
    """One entry of `webhook-signature`, made with a signing token (`whsec_` and base64 of 32 bytes)."""
    key = base64.b64decode(token.removeprefix("whsec_"))
    digest = hmac.new(key, f"{identity}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def new_signing_token() -> str:
    """A signing token as people make one."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


@dataclass(eq=False, slots=True)
class Hook:
    """One registered receiver."""

    id: int
    kind: Kind
    owner: int
    """Number of the project or group; 0 for the instance."""
    url: str
    created_at: float
    token: str = ""
    signing_tokens: tuple[str, ...] = ()
    """More than one while a token is being exchanged: the header then carries several signatures."""
    name: str = ""
    description: str = ""
    events: dict[str, bool] = field(default_factory=dict)
    branch_filter: str = ""
    branch_strategy: str = "wildcard"
    ssl: bool = True
    custom_headers: dict[str, str] = field(default_factory=dict)
    template: str | None = None
    failures: int = 0
    """In a row."""
    off_until: float | None = None

    def wants(self, switch: str) -> bool:
        """True when it is told of events of this switch."""
        return self.kind == "world" or self.events.get(switch, False) or (self.kind == "system" and switch not in _SYSTEM_EVENTS)

    def status(self, now: float) -> str:
        """GitLab's `alert_status`."""
        if self.failures >= PERMANENT_AFTER:
            return "disabled"
        return "temporarily_disabled" if self.off_until is not None and self.off_until >= now else "executable"

    def answered(self, now: float, *, well: bool) -> None:
        """Count an answer; too many failures in a row switch it off, doubling the time with each."""
        if well:
            self.failures, self.off_until = 0, None
            return
        self.failures = min(self.failures + 1, PERMANENT_AFTER)
        if self.failures >= TEMPORARY_AFTER:
            self.off_until = now + min(LONGEST_BACKOFF, FIRST_BACKOFF * 2.0 ** (self.failures - TEMPORARY_AFTER))


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event on its way to one hook. Every attempt carries the same `Idempotency-Key`."""

    id: str
    """The header Idempotency-Key, which is `webhook-id` too."""
    number: int
    """The number by which the API lists it."""
    hook: Hook
    event: str
    """`object_kind` or `event_name` of the payload."""
    action: str | None
    trigger: str
    """`push_hooks`, as the API's list calls it."""
    headers: dict[str, str]
    """Without a signature, which depends on the moment."""
    body: bytes
    at: float
    attempts: list[Attempt] = field(default_factory=list)
    project: int | None = None

    @property
    def payload(self) -> Json:
        """The body as JSON."""
        parsed: Json = json.loads(self.body)
        return parsed

    def signed(self, now: float, *tokens: str) -> dict[str, str]:
        """All headers of an attempt made at `now`; `tokens`: instead of the hook's own."""
        used = tokens or self.hook.signing_tokens
        if not used:
            return dict(self.headers)
        stamp = int(now)
        signatures = " ".join(sign(token, self.id, stamp, self.body) for token in used)
        return self.headers | {"webhook-id": self.id, "webhook-timestamp": str(stamp), "webhook-signature": signatures}


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, before it is known who wants to hear of it."""

    trigger: str
    """`merge_request_hooks`; the header X-Gitlab-Event is made of it."""
    switch: str
    """`merge_requests_events`."""
    payload: Json
    project: int | None = None
    groups: Sequence[int] = ()
    """The groups above, nearest first."""
    branch: str | None = None
    """What a hook's branch filter is held against."""

    @property
    def title(self) -> str:
        """The header X-Gitlab-Event: `Merge Request Hook`."""
        return self.trigger.removesuffix("s").replace("_", " ").title()

    @property
    def name(self) -> str:
        """What the payload calls itself."""
        return str(self.payload.get("object_kind") or self.payload.get("event_name") or "")

    @property
    def action(self) -> str | None:
        """`action` of what it is about."""
        about = self.payload.get("object_attributes")
        return about.get("action") if isinstance(about, dict) else None


class Hooks(Sending[Delivery]):
    """All receivers and the way out of the double. The world's own hook without `url`: its events are kept but not sent."""

    def __init__(self, clock: Clock, address: Callable[[], str] = lambda: "") -> None:
        self._clock = clock
        self.address = address
        """Base address of the double, the header X-Gitlab-Instance."""
        self.version = "19.4.1"
        self.auto_disable = True
        """False: as a self-managed instance without the flag `auto_disabling_web_hooks`."""
        self.enterprise = True
        """False: a community edition, which has no hooks of groups at all."""
        self.licensed: Callable[[int], bool] = lambda group: True
        """Whether events reach the hooks of a group: without Premium they are made, shown and tested like any other, and never fire."""
        self.signs = True
        """False: signing tokens are ignored in silence (flag `webhook_signing_token`)."""
        self.tells_tokens = True
        """False: as before GitLab 19.0, which does not say whether a hook has tokens."""
        self.own = Hook(0, "world", 0, "", 0.0, token=secrets.token_hex(20))
        """The world's own hook."""
        self.registered: dict[int, Hook] = {}
        super().__init__()

    @property
    def url(self) -> str | None:
        """Where the world's own hook sends; None keeps its events here."""
        return self.own.url or None

    @url.setter
    def url(self, url: str | None) -> None:
        self.own.url = url or ""

    # --- sending ---

    def emit(self, event: Event, *, to: Hook | None = None) -> list[Delivery]:
        """Queue an event for every hook that wants it, or for one whatever it wants; all share one X-Gitlab-Event-UUID."""
        chosen = [to] if to is not None else [hook for hook in (self.own, *self.registered.values()) if self._reaches(hook, event)]
        uniform = str(uuid.uuid4())
        made = [self._delivery(hook, event, uniform) for hook in chosen]
        for delivery in made:
            self.deliveries.append(delivery)
            if delivery.hook.url and not self.paused and len(delivery.body) <= LARGEST_PAYLOAD and to is None:
                self._waiting.put(delivery)
        return made

    def _reaches(self, hook: Hook, event: Event) -> bool:
        if not hook.wants(event.switch) or not self.executable(hook):
            return False
        if hook.kind == "project":
            return hook.owner == event.project and event.switch not in GROUP_EVENTS and _branch_fits(hook, event)
        if hook.kind in ("world", "system"):
            return True
        return hook.owner in event.groups and self.licensed(hook.owner) and _branch_fits(hook, event)

    def executable(self, hook: Hook) -> bool:
        """False while GitLab has switched it off."""
        return not self.auto_disable or hook.status(self._clock.seconds()) == "executable"

    def _delivery(self, hook: Hook, event: Event, uniform: str) -> Delivery:
        body = json.dumps(_filled(hook.template, event.payload), separators=(",", ":")).encode()
        identity = str(uuid.uuid4())
        headers = dict(hook.custom_headers) | {
            "Content-Type": "application/json",
            "User-Agent": f"GitLab/{self.version}",
            "Idempotency-Key": identity,
            "X-Gitlab-Event": "System Hook" if hook.kind == "system" else event.title,
            "X-Gitlab-Webhook-UUID": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.address()}/hooks/{hook.id}")),
            "X-Gitlab-Instance": self.address(),
            "X-Gitlab-Event-UUID": uniform,
        }
        if hook.token:
            headers["X-Gitlab-Token"] = hook.token
        number, at = 9_000_000 + len(self.deliveries), self._clock.seconds()
        return Delivery(identity, number, hook, event.name, event.action, event.trigger, headers, body, at, project=event.project)

    def is_due(self, delivery: Delivery) -> bool:
        """False when its hook has been switched off since."""
        return self.executable(delivery.hook)

    def attempt(self, delivery: Delivery, *tokens: str) -> int:
        """Send it now, whatever the state of its hook; returns the status, 0 when nobody answered."""
        status = self.post(delivery.hook.url, delivery.body, delivery.signed(self._clock.seconds(), *tokens))
        now, well = self._clock.seconds(), 200 <= status < 400
        delivery.attempts.append(Attempt(now, status))
        if well or self.executable(delivery.hook):  # one more failure of a hook that is off changes nothing
            delivery.hook.answered(now, well=well)
        return status

    # --- what tests do with it ---

    def of(self, event: str, action: str | None = None, *, hook: Hook | None = None) -> Sequence[Delivery]:
        """All deliveries of an event to a hook (default: the world's own) so far, oldest first."""
        receiver = hook or self.own
        return [d for d in self.deliveries if d.hook is receiver and d.event == event and action in (None, d.action)]

    def forged(self, identity: str, secret: str) -> Delivery:
        """A copy with another secret token and no signing token, for tests of refusals. It is not sent."""
        delivery = self.find(identity)
        return replace(
            delivery, headers=delivery.headers | {"X-Gitlab-Token": secret}, hook=replace(delivery.hook, token=secret, signing_tokens=())
        )


def _branch_fits(hook: Hook, event: Event) -> bool:
    """A hook's filter of branches, which concerns pushes alone ("Filter push events by branch"): `*` stands for anything."""
    if event.trigger != "push_hooks" or not hook.branch_filter or hook.branch_strategy == "all_branches" or event.branch is None:
        return True

    if hook.branch_strategy == "regex":
        return re.search(hook.branch_filter, event.branch) is not None
    return fnmatch.fnmatchcase(event.branch, hook.branch_filter)


def _filled(template: str | None, payload: Json) -> Json:
    """The payload, or a hook's template with `{{a.b}}` replaced by the payload's values ("Custom webhook template")."""
    if template is None:
        return payload

    def value(found: re.Match[str]) -> str:
        here: Any = payload
        for key in found[1].split("."):
            here = here.get(key) if isinstance(here, Mapping) else None
        return here if isinstance(here, str) else json.dumps(here)

    filled: Json = json.loads(re.sub(r"\{\{(.+?)\}\}", value, template))
    return filled
