"""Settings of the code hosts: what the environment says for the default instance, and what setup has stored, by instance."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from bot.settings import Settings, variable_of
from pipeline.errors import StoreError
from pipeline.leaks import remember
from pipeline.ports import OUR_URL, RETRY_CAP, Configuration, Provider
from pipeline.store.engine import Database
from pipeline.store.seal import Seal

log = logging.getLogger(__name__)

FRESH = 3.0
"""Seconds for which a look at the store counts: so long, at most, other processes go on without a setup that has just ended."""

DEFAULT = ""
"""Name of the default instance: the one without a name in its webhook address."""

Origin = Literal["environment", "setup", ""]
"""Where the settings of an instance come from; empty: nothing is set."""


@dataclass(frozen=True, slots=True)
class _Look:
    """What the store said, and when."""

    at: float
    stored: Mapping[tuple[str, str], Configuration] = field(default_factory=dict, repr=False)
    locked: tuple[tuple[str, str], ...] = ()
    """Instances whose settings were sealed with another key."""


def hook_url(settings: Settings, provider: str, instance: str, configuration: Configuration) -> str:
    """Where the host is to deliver for an instance."""
    base = (configuration.get("PUBLIC_URL") or settings.url).rstrip("/")
    return f"{base}/webhooks/{provider}" + (f"/{instance}" if instance else "")


class SettingsOfHosts:
    """See `pipeline.ports.Configurations`. Safe to share between threads; a forked child goes on with what its parent knew.

    Args:
        database: where setup stores; None for commands that open none.
        seal: opens what is stored there.
        clock: seconds of any steady clock.
    """

    def __init__(
        self,
        settings: Settings,
        providers: Mapping[str, Provider],
        database: Database | None = None,
        seal: Seal | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database, self._seal, self._clock = database, seal, clock
        ours = {RETRY_CAP: f"{settings.retry_cap:g}", OUR_URL: settings.url}
        self._base = {name: {**settings.provider(provider), **ours} for name, provider in providers.items()}
        self._set = {name: _is_set(settings, provider) for name, provider in providers.items()}
        self._secret = {name: frozenset(one.name for one in provider.settings if one.secret) for name, provider in providers.items()}
        self._look: _Look | None = None
        self._lock = threading.Lock()

    def of(self, provider: str, instance: str) -> Configuration:
        """See the port."""
        if instance == DEFAULT and self._set.get(provider):
            return self._base[provider]
        return self._among(self._stored().stored, provider, instance)

    def at_once(self, provider: str, instance: str) -> Configuration | None:
        """As `of`, without a look at the store; None when there must be one."""
        if instance == DEFAULT and self._set.get(provider):
            return self._base[provider]
        look = self._look
        if look is None or (self._database is not None and self._clock() - look.at >= FRESH):
            return None
        return self._among(look.stored, provider, instance)

    def instances(self, provider: str) -> Sequence[str]:
        """See the port."""
        stored = {name for kind, name in self._stored().stored if kind == provider}
        return sorted(stored | ({DEFAULT} if self._set.get(provider) else set()))

    def origin(self, provider: str, instance: str) -> Origin:
        """Where the settings of that very instance come from."""
        if instance == DEFAULT and self._set.get(provider):
            return "environment"
        return "setup" if (provider, instance) in self._stored().stored else ""

    def locked(self, provider: str) -> Sequence[str]:
        """Names of stored instances whose settings cannot be opened with this FIXWRIGHT_SECRET_KEY."""
        return [name for kind, name in self._stored().locked if kind == provider]

    def save(self, provider: str, instance: str, settings: Configuration) -> None:
        """Store what setup made; this process knows it at once, others within `FRESH` seconds. Raises StoreError."""
        if self._database is None or self._seal is None:
            raise StoreError("there is no database to keep these settings in")
        with self._database.work() as work:
            work.instances.save(self._seal, provider, instance, settings)
        with self._lock:  # who looks just now saw what stood there before, and must not be the last to say so
            self._look = None

    def _among(self, stored: Mapping[tuple[str, str], Configuration], provider: str, instance: str) -> Configuration:
        base = self._base.get(provider, {})
        if (found := stored.get((provider, instance))) is not None:
            return {**base, **found}
        if not self._set.get(provider) and (found := stored.get((provider, DEFAULT))) is not None:
            return {**base, **found}
        return base

    def _stored(self) -> _Look:
        """What is stored, as of a moment ago. A store that does not answer changes nothing of what was known."""
        look = self._look
        if look is not None and (self._database is None or self._clock() - look.at < FRESH):
            return look
        with self._lock:
            if self._look is not None and self._look is not look:
                return self._look  # another thread was faster
            self._look = self._fresh(look)
            return self._look

    def _fresh(self, old: _Look | None) -> _Look:
        if self._database is None or self._seal is None:
            return _Look(self._clock())
        try:
            with self._database.read() as work:
                found = work.instances.all(self._seal)
        except StoreError as error:
            if old is None:
                raise
            log.warning("settings.not_read", extra={"code": error.code})
            return _Look(self._clock(), old.stored, old.locked)
        for one in found:
            remember(*(value for name, value in (one.settings or {}).items() if name in self._secret.get(one.provider, ())))
        return _Look(
            self._clock(),
            {(one.provider, one.instance): one.settings for one in found if one.settings is not None},
            tuple((one.provider, one.instance) for one in found if one.settings is None),
        )


def _is_set(settings: Settings, provider: Provider) -> bool:
    """True when the environment sets something without which the provider does not work: then it configures the default instance alone.
    Halves of two Apps in one would fit nowhere."""
    return any(
        settings.environment.get(variable_of(provider, setting.name))
        for setting in provider.settings
        if setting.needed or setting.instead_of
    )
