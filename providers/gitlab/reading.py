"""A verified payload, and how the parts that events have in common become ours. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TypeVar

from pydantic import BaseModel

from pipeline.errors import MalformedDelivery
from pipeline.model.event import Delivery, Event
from pipeline.model.ids import InstallationId
from pipeline.model.target import Installation, SourceRepository, UserRef
from pipeline.payloads import read_fields
from pipeline.ports import Configuration
from providers.gitlab import payloads
from providers.gitlab.settings import Site

_Model = TypeVar("_Model", bound=BaseModel)
BRANCHES = "refs/heads/"

_BOT = re.compile(r"(?:project|group)_[0-9]+_bot(?:_?[0-9a-f]+)?\Z|service_account_")
"""Users that GitLab makes for access tokens and for service accounts (docs "Project access tokens", "Bot users for projects"). Nobody who
takes such a name gains by it: what a bot writes is no command."""


class Reading:
    """One verified payload, and how its common parts become ours."""

    def __init__(self, delivery: Delivery, configuration: Configuration, payload: Mapping[str, object], name: str) -> None:
        self.payload, self.name = payload, name
        self.site = Site.of(configuration)
        self._provider = delivery.provider
        self._instance = delivery.instance or self.site.authority

    @property
    def action(self) -> str:
        """The part of the event's name behind the dot."""
        return self.name.partition(".")[2]

    def read(self, model: type[_Model]) -> _Model:
        """The fields that `model` names. Raises MalformedDelivery."""
        return read_fields(model, self.payload, self.name, "GitLab")

    def installation(self, path: str) -> Installation:
        """The one of the namespace at the top of a path: payloads hold no number of it."""
        account = path.partition("/")[0]
        # Our own id is given by the store; until then the host's identity of it stands in.
        own = InstallationId(f"{self._provider}:{self._instance}:{account}")
        return Installation(own, self._provider, self._instance, account, account)

    def repository(self, event: payloads.FromProject, number: int | None = None) -> SourceRepository:
        """The project of an event.

        Args:
            number: of it, where the payload has it in yet another place.

        Raises:
            MalformedDelivery: it has no number, or lies on another server: then everything about it is somebody else's.
        """
        project = event.project
        number = project.id or event.project_id or number
        if number is None:
            raise MalformedDelivery(f"{self.name}: project.id is missing")
        if project.web_url and not self.site.holds(project.web_url):
            raise MalformedDelivery(
                f"{self.name}: the project is not on {self.site.authority}",
                hint="set FIXWRIGHT_GITLAB_URL to the address that GitLab itself gives out (its external_url)",
            )
        private = project.visibility_level != payloads.PUBLIC
        return self.listed(number, project.path_with_namespace, private=private, branch=project.default_branch or "")

    def listed(self, number: int, path: str, *, private: bool, branch: str = "") -> SourceRepository:
        """A project of which little is told. The default branch is not in every payload; any later event of the project has it."""
        return SourceRepository(
            provider=self._provider,
            instance=self._instance,
            external_id=str(number),
            full_name=path,
            default_branch=branch,
            clone_url=self.site.clone_url(path),
            private=private,
            installation=path.partition("/")[0],
        )


def user_of(number: int, username: str | None) -> UserRef:
    """Somebody. Payloads do not say who is a machine, names do."""
    login = username or str(number)
    return UserRef(str(number), login, bot=_BOT.match(login) is not None)


Reader = Callable[[Reading], Event | None]
"""What makes an event of a payload; None when it does not concern us after all."""
