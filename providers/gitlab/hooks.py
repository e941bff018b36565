"""What a webhook of ours looks like, and which steps lead there from what stands on GitLab. Pure: nothing is asked or changed here.

A hook is ours when it delivers to our address; all others are left alone. Secrets can be written and never be read back, so that whether
they are right is shown by deliveries alone.

Sources: docs "Project webhooks API", "Group webhooks API" (attributes, roles, test requests), "Webhooks" (auto-disabled webhooks),
merge request 231325 of gitlab-org/gitlab (`signing_token` is ignored where it is switched off; `signing_token_present` tells).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict

Kind = Literal["group", "project"]

NAME: Final = "Fixwright"
"""What people read in the list of webhooks (GitLab 17.1)."""

EVENTS: Final[Mapping[str, bool]] = MappingProxyType(
    {
        "push_events": True,
        "merge_requests_events": True,
        "note_events": True,
        # Answers to an internal note are internal too: `/rotated` is written there.
        "confidential_note_events": True,
        "deployment_events": True,
        # A pipeline that begins on a head that is judged already needs our status, too; and a merge train's commit has no other event.
        "pipeline_events": True,
        "tag_push_events": False,
        "issues_events": False,
        "confidential_issues_events": False,
        "job_events": False,
        "wiki_page_events": False,
        "releases_events": False,
        "feature_flag_events": False,
        "emoji_events": False,
        "resource_access_token_events": False,
        "enable_ssl_verification": True,
    }
)
"""Switches of a hook; what each is for stands in docs/reference/webhooks.md. What an instance does not know is not in its answer, and is
not missed."""

GROUP_EVENTS: Final[Mapping[str, bool]] = MappingProxyType(
    {**EVENTS, "member_events": True, "subgroup_events": True, "project_events": True}
)
"""Of a group's hook, which also tells of people and projects that come and go."""

UNFILTERED: Final[Mapping[str, str]] = MappingProxyType({"push_events_branch_filter": "", "branch_filter_strategy": "all_branches"})
"""A hook that is told of all branches."""

TRIGGER: Final = "push_events"
"""Which sample a test request delivers: every project with a commit has one."""


class HookAnswer(BaseModel):
    """One hook as GitLab describes it. Fields that an old instance does not have are None."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: int
    url: str = ""
    alert_status: str = "executable"
    disabled_until: str | None = None
    push_events_branch_filter: str | None = None
    custom_webhook_template: str | None = None
    token_present: bool | None = None
    signing_token_present: bool | None = None

    push_events: bool | None = None
    merge_requests_events: bool | None = None
    note_events: bool | None = None
    confidential_note_events: bool | None = None
    deployment_events: bool | None = None
    tag_push_events: bool | None = None
    issues_events: bool | None = None
    confidential_issues_events: bool | None = None
    job_events: bool | None = None
    pipeline_events: bool | None = None
    wiki_page_events: bool | None = None
    releases_events: bool | None = None
    feature_flag_events: bool | None = None
    emoji_events: bool | None = None
    resource_access_token_events: bool | None = None
    member_events: bool | None = None
    subgroup_events: bool | None = None
    project_events: bool | None = None
    enable_ssl_verification: bool | None = None

    @property
    def switched_off(self) -> bool:
        """True when GitLab delivers nothing to it now, because deliveries failed ("Auto-disabled webhooks")."""
        return self.alert_status in ("disabled", "temporarily_disabled")

    @property
    def for_good(self) -> bool:
        """True when it does not come back by itself (40 failures in a row; on versions before 17.11 four answers of 4xx)."""
        return self.alert_status == "disabled"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A hook as it must be."""

    kind: Kind
    url: str
    token: str = field(default="", repr=False)
    """The secret token; empty where only a signing token is set."""
    signing_token: str = field(default="", repr=False)
    """`whsec_...`; empty where only a secret token is set."""

    @property
    def switches(self) -> Mapping[str, bool]:
        """Every switch and its position."""
        return GROUP_EVENTS if self.kind == "group" else EVENTS

    def secrets(self) -> dict[str, str]:
        """Both, as they are written: which of them counts is known when the hook was read back."""
        given = {"token": self.token, "signing_token": self.signing_token}
        return {name: value for name, value in given.items() if value}

    def whole(self) -> dict[str, object]:
        """Everything that a new hook is made with."""
        return {"url": self.url, "name": NAME, **self.switches, **UNFILTERED, **self.secrets()}


class Act(StrEnum):
    """What is done with a hook."""

    MAKE = "make"
    REPAIR = "repair"
    """Write its settings and secrets."""
    SWITCH_ON = "switch on"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do. `hook` is GitLab's number, 0 for one that is to be made."""

    act: Act
    hook: int = 0
    why: tuple[str, ...] = ()
    """What is not as it must be, in words; empty where only secrets are written again."""


def plan(found: Sequence[HookAnswer], wanted: Wanted) -> list[Step]:
    """From what stands there to exactly one hook of ours, as wanted and switched on. Hooks of others are in no step.

    Args:
        found: every hook of the project or group.
    """
    ours = [hook for hook in found if same_address(hook.url, wanted.url)]
    if not ours:
        return [Step(Act.MAKE)]
    kept = min(ours, key=lambda hook: (hook.for_good, hook.switched_off, len(drift(hook, wanted)), hook.id))
    steps = [Step(Act.REPAIR, kept.id, tuple(drift(kept, wanted)))]
    if kept.switched_off:
        steps.append(Step(Act.SWITCH_ON, kept.id, (kept.alert_status.replace("_", " "),)))
    return steps + [Step(Act.REMOVE, hook.id, ("a second one",)) for hook in ours if hook is not kept]


def drift(hook: HookAnswer, wanted: Wanted) -> list[str]:
    """What a hook of ours has other than it must, by the names of GitLab's API: of secrets only that there is none."""
    found = [name for name, value in wanted.switches.items() if getattr(hook, name) not in (None, value)]
    if hook.push_events_branch_filter:
        found.append("push_events_branch_filter")
    if hook.custom_webhook_template:
        found.append("custom_webhook_template")
    if hook.token_present is False and not hook.signing_token_present:
        found.append("token")
    return found


def repairs(hook: HookAnswer, wanted: Wanted) -> dict[str, object]:
    """What is written to a hook of ours: what has drifted, and always the secrets, which nobody can look at."""
    changes: dict[str, object] = {"url": hook.url, **wanted.secrets()}
    for name in drift(hook, wanted):
        if name == "push_events_branch_filter":
            changes.update(UNFILTERED)
        elif name == "custom_webhook_template":
            changes[name] = ""
        elif name in wanted.switches:
            changes[name] = wanted.switches[name]
    return changes


def is_signed(hook: HookAnswer, wanted: Wanted) -> bool:
    """True when the instance has taken our signing token: then the secret token need not travel."""
    return bool(wanted.signing_token) and hook.signing_token_present is True


def same_address(one: str, other: str) -> bool:
    """Whether two addresses of hooks lead to the same place: case of the host, the usual port and a slash at the end do not count."""
    try:
        return _place(one) == _place(other)
    except ValueError:
        return False


def _place(url: str) -> tuple[str, str, int | None, str, str]:
    parts = urlsplit(url.strip())
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, (parts.hostname or ""), parts.port or usual, parts.path.rstrip("/"), parts.query
