"""Settings of the code hosts: what the environment says, by provider."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bot.settings import Settings
from pipeline.ports import Configuration, Provider


class SettingsOfHosts:
    """See `pipeline.ports.Configurations`."""

    def __init__(self, settings: Settings, providers: Mapping[str, Provider]) -> None:
        self._default = {name: settings.provider(provider) for name, provider in providers.items()}

    def of(self, provider: str, instance: str) -> Configuration:  # noqa: ARG002  # the default instance is the only one yet
        """See the port."""
        return self._default.get(provider, {})

    def instances(self, provider: str) -> Sequence[str]:
        """See the port."""
        return ("",) if self._default.get(provider) else ()
