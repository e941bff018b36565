"""External status checks: services that a project asks about each merge request, and what they answered.

Source: GitLab docs, "External status checks" (Ultimate; HMAC in X-Gitlab-Signature; no answer within two minutes is a failure),
"External status checks API".
"""

from __future__ import annotations

import hashlib
import hmac
import json
import uuid
from dataclasses import dataclass

from tests.worlds.gitlab.hooks import Delivery, Hook, Hooks
from tests.worlds.gitlab.model import Json, MergeRequest, Project
from tests.worlds.gitlab.state import State

PATIENCE = 120.0
"""Seconds after which a check that did not answer counts as failed."""


@dataclass(eq=False, slots=True)
class Check:
    """A service that a project asks."""

    id: int
    project: Project
    name: str
    external_url: str
    secret: str = ""


@dataclass(frozen=True, slots=True)
class Response:
    """What a service answered about one head."""

    id: int
    check: Check
    sha: str
    status: str


@dataclass(eq=False, slots=True)
class _Asked:
    at: float
    sha: str


class StatusChecks:
    """All checks of the world. Called with `State.lock` held."""

    def __init__(self, state: State, hooks: Hooks) -> None:
        self._state = state
        self._hooks = hooks
        self._asked: dict[tuple[int, int], _Asked] = {}
        self.checks: list[Check] = []
        self.responses: dict[int, list[Response]] = {}
        """Number of a merge request -> answers, oldest first."""
        self.deliveries: list[Delivery] = []

    def of(self, project: Project) -> list[Check]:
        """The checks of a project."""
        return [check for check in self.checks if check.project is project]

    def add(self, project: Project, name: str, external_url: str, secret: str = "") -> Check:
        """Ask another service from now on."""
        check = Check(self._state.new_id("status_check"), project, name, external_url, secret)
        self.checks.append(check)
        return check

    def ask(self, merge_request: MergeRequest, payload: Json) -> None:
        """Send a merge request's event to every check of its project (Ultimate alone)."""
        if merge_request.project.namespace.root.plan != "ultimate":
            return
        for check in self.of(merge_request.project):
            self.ask_one(check, merge_request, payload)

    def ask_one(self, check: Check, merge_request: MergeRequest, payload: Json) -> Delivery:
        """Send the event to one check."""
        about = {"id": check.id, "name": check.name, "external_url": check.external_url}
        body = json.dumps(payload | {"external_approval_rule": about}, separators=(",", ":")).encode()
        headers = {"Content-Type": "application/json", "User-Agent": f"GitLab/{self._hooks.version}"}
        if check.secret:
            headers["X-Gitlab-Signature"] = hmac.new(check.secret.encode(), body, hashlib.sha256).hexdigest()
        now = self._state.seconds()
        hook = Hook(0, "check", check.project.id, check.external_url, now)
        number = 7_000_000 + len(self.deliveries)
        identity, project = str(uuid.uuid4()), check.project.id
        made = Delivery(identity, number, hook, "merge_request", None, "status_check", headers, body, now, project=project)
        self.deliveries.append(made)
        self._asked[check.id, merge_request.id] = _Asked(now, merge_request.head)
        if check.external_url.startswith("http") and not self._hooks.paused:
            self._hooks.again(made)
        return made

    def respond(self, check: Check, merge_request: MergeRequest, sha: str, status: str) -> Response:
        """A service answers."""
        made = Response(self._state.new_id("status_check"), check, sha, status)
        self.responses.setdefault(merge_request.id, []).append(made)
        return made

    def status(self, check: Check, merge_request: MergeRequest) -> str:
        """`passed`, `failed` or `pending`, for the head as it is."""
        given = [one for one in self.responses.get(merge_request.id, []) if one.check is check and one.sha == merge_request.head]
        if given and given[-1].status != "pending":
            return given[-1].status
        asked = self._asked.get((check.id, merge_request.id))
        late = asked is not None and asked.sha == merge_request.head and self._state.seconds() - asked.at > PATIENCE
        return "failed" if late else "pending"
