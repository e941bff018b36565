"""A verified payload, and how the parts that events have in common become ours. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from pipeline.model.event import Delivery, Event
from pipeline.model.ids import InstallationId
from pipeline.model.target import Installation, SourceRepository, UserRef
from pipeline.payloads import Payload, read_fields
from pipeline.ports import Configuration
from providers.github import payloads
from providers.github.settings import Site

_Model = TypeVar("_Model", bound=Payload)
BRANCHES = "refs/heads/"


class Reading:
    """One verified payload, and how its common parts become ours."""

    def __init__(self, delivery: Delivery, configuration: Configuration, payload: Mapping[str, object], name: str) -> None:
        self.payload, self.name = payload, name
        self.site = Site.of(configuration)
        self.app_id = configuration.get("APP_ID", "").strip()
        self._provider = delivery.provider
        self._instance = delivery.instance or self.site.web_host

    @property
    def action(self) -> str:
        """The part of the event's name behind the dot."""
        return self.name.partition(".")[2]

    def read(self, model: type[_Model]) -> _Model:
        """The fields that `model` names. Raises MalformedDelivery."""
        return read_fields(model, self.payload, self.name, "GitHub")

    def installation(self, number: int, account: str) -> Installation:
        """An installation by GitHub's number."""
        # Our own id is given by the store; until then the host's identity of it stands in.
        own = InstallationId(f"{self._provider}:{self._instance}:{number}")
        return Installation(own, self._provider, self._instance, account, str(number))

    def of(self, event: payloads.FromRepository) -> Installation:
        """The installation of a repository's event; the account is the repository's owner."""
        return self.installation(event.installation.id, event.repository.full_name.partition("/")[0])

    def repository(self, event: payloads.FromRepository) -> SourceRepository:
        """The repository of an event."""
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
        """Repositories as installation events list them."""
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
        """True when that App is the configured one, which may be named by its number or its client id."""
        return app is not None and self.app_id != "" and self.app_id in (str(app.id), app.client_id)


def user_of(user: payloads.User, *, ours: bool = False) -> UserRef:
    """A sender. What we wrote is a machine's even when it was written in a person's name: answering it would loop."""
    return UserRef(str(user.id), user.login, bot=ours or user.type == "Bot" or user.login.endswith("[bot]"))


Reader = Callable[[Reading], Event | None]
"""What makes an event of a payload; None when it does not concern us after all."""
