"""The composition root: settings in, a working application out. The only place that names concrete parts."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pipeline.commands
import pipeline.fixers
import pipeline.scanners
import providers
from bot import __version__
from bot.configurations import SettingsOfHosts
from bot.jobs import Jobs, NoQueue, Wakes
from bot.logs import known_secrets
from bot.pressure import Limits, Pressure
from bot.settings import Settings
from bot.statefolder import make_state_dir
from pipeline.errors import NotConfigured
from pipeline.leaks import remember
from pipeline.model.review import Change
from pipeline.plugins import discover
from pipeline.ports import Command, Fixer, HostMemory, Provider, Scanner
from pipeline.receipts import Signer, load_signer
from pipeline.stages.accept.lines import MENTION
from pipeline.stages.context import Places, Plugins
from pipeline.store.engine import Database
from pipeline.store.host_memory import StoredHostMemory
from pipeline.store.outbox import LEASE_SECONDS
from pipeline.store.seal import Seal, Vault


@dataclass(frozen=True, slots=True)
class Lease:
    """How this process holds the messages that it works."""

    seconds: float = LEASE_SECONDS
    """By the clock of the database, from each renewal."""
    end: Callable[[int], object] = os._exit
    """Called, from a thread, with the exit code of a process that lost a message or takes too long for it. It ends at once: what it did
    after that would be done beside who has the message now."""


@dataclass
class App:
    """One process of Fixwright. Opens nothing by itself: the database connects on first use, the queue too."""

    settings: Settings
    plugins: Plugins
    database: Database
    jobs: Wakes
    memory: HostMemory
    places: Places
    configurations: SettingsOfHosts
    """What `places` has, with what setup needs of it."""
    pressure: Pressure
    """Whether too much comes; the web process looks now and then."""
    fetched: set[tuple[Path, int, Change]] = field(default_factory=set)
    """See `pipeline.stages.context.Context.fetched`."""
    lease: Lease = Lease()


def discover_plugins() -> Plugins:
    """Everything that is in the plug-in folders. Raises PluginInvalid."""
    scanners = discover(pipeline.scanners, "SCANNER", Scanner)
    return Plugins(
        providers=discover(providers, "PROVIDER", Provider),
        scanners={scanner.scan_type: scanner for scanner in scanners.values()},
        fixers=tuple(discover(pipeline.fixers, "FIXER", Fixer).values()),
        commands=discover(pipeline.commands, "COMMAND", Command),
    )


def wire(settings: Settings, redis_url: str) -> App:
    """The application of one process.

    Args:
        redis_url: where the queue is, embedded or the operator's own. Empty: there is none, this process works its messages itself.

    Raises:
        NotConfigured: a setting is missing or cannot be used; PluginInvalid.
    """
    # With an own database and an own key a process may do without the folder: what needs it then says so.
    with suppress(NotConfigured) if settings.own_database else nullcontext():
        make_state_dir(settings.state_dir)
    remember(*known_secrets(settings.environment), settings.key().hex())
    plugins = discover_plugins()
    database = Database.open(settings.database_url, Vault(Seal(settings.subkey("documents"))))
    jobs: Wakes = Jobs(redis_url) if redis_url else NoQueue()
    database.on_commit(jobs.wake)

    def signer() -> Signer:
        return load_signer(settings.state_dir)

    configurations = SettingsOfHosts(settings, plugins.providers, database, Seal(settings.subkey("instances")))
    places = Places(
        mirrors=settings.mirrors_dir,
        engines=settings.engines_dir,
        hash_key=settings.subkey("secret hashes"),
        signer=signer,
        configurations=configurations,
        version=__version__,
        engine_seconds=settings.engine_seconds,
        purge_after=settings.purge_days * 86_400.0,
        mentions=frozenset({MENTION, settings.mention} - {""}),
    )
    memory = StoredHostMemory(database, settings.subkey("host memory"))
    limits = Limits(settings.max_waiting, int(settings.intake_free_mb * 1e6), int(settings.max_held_mb * 1e6))
    pressure = Pressure(database, settings.state_dir, limits)
    return App(settings, plugins, database, jobs, memory, places, configurations, pressure)
