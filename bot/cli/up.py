"""`fixwright up`: web, relay and workers on one machine, restarted when they fall."""

from __future__ import annotations

import argparse
import errno
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Mapping

from bot.cli.instances import setup_address
from bot.cli.processes import until_told
from bot.embedded import Queue, answers, open_queue
from bot.logs import configure_logs
from bot.pages.links import SetupLinks, Target
from bot.settings import Settings, read_settings
from bot.wiring import App, wire
from pipeline.errors import NotConfigured, QueueUnavailable
from pipeline.sandbox.service import Service, python

log = logging.getLogger(__name__)

RESTART_SECONDS = (0.2, 0.5, 1.0, 2.0)
"""Waits before a fallen process is started again: a killed worker's work is to be resumed within 15 s, of which its lease takes 8."""
STABLE_SECONDS = 60.0
PORT_SECONDS = 5.0
QUEUE_SECONDS = 1.0
"""Between two looks at a Valkey that is not our child, or two attempts to start ours."""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser("up", help="run everything: web, relay and worker (what `make run` calls)")
    parser.set_defaults(run=run)


def run(_: argparse.Namespace) -> int:
    """Until SIGTERM or SIGINT; then the children are stopped in order: web, relay, workers, queue."""
    settings = read_settings()
    configure_logs(settings)
    stop = until_told()
    _wait_for_port(settings)
    queue = open_queue(settings)
    supervisor = Supervisor(settings, queue)
    try:
        app = wire(settings, queue.url)
        app.database.migrate()
        offer_setup(app, terminal=sys.stdout.isatty())
        app.database.dispose()
        supervisor.run(stop)
    finally:
        supervisor.close()
    return 0


def _wait_for_port(settings: Settings) -> None:
    """The web process could not start on a port that is taken, and what we print would lead to whoever has it. The web process of an
    `up` that was killed ends within moments.

    Raises:
        NotConfigured: it stays taken.
    """
    deadline = time.monotonic() + PORT_SECONDS
    while True:
        try:
            with socket.create_server((settings.host, settings.port), family=_family(settings.host)):
                return
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise NotConfigured(f"nothing can listen on {settings.host}:{settings.port}: {error.strerror}") from error
            if time.monotonic() > deadline:
                hint = "stop what listens there, or set FIXWRIGHT_PORT"
                raise NotConfigured(f"port {settings.port} of {settings.host} is taken", hint=hint) from error
        time.sleep(0.2)


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def offer_setup(app: App, *, terminal: bool) -> None:
    """Where no host behind a network is set up, say where to go.

    Args:
        terminal: a person reads this. In a log, which others read too, no link would be safe: there only the command for one is named.
    """
    hosts = {name: provider for name, provider in app.plugins.providers.items() if not provider.capabilities.local_git}
    if any(app.configurations.instances(name) for name in hosts):
        return
    with_browser = [name for name, provider in hosts.items() if provider.setup is not None]
    for name, provider in hosts.items():
        if terminal and provider.setup is not None and with_browser == [name]:  # only one link works at a time
            link = setup_address(app.settings, SetupLinks(app.memory).make(Target(provider=name, first=True)))
            print(f"Set up {provider.title} in a browser (this link works once, for a day):\n  {link}")
        elif provider.setup_command:
            print(f"Set up {provider.title}:\n  {provider.setup_command}")
    sys.stdout.flush()


class Supervisor:
    """Keeps the processes of one machine running."""

    def __init__(self, settings: Settings, queue: Queue) -> None:
        self._settings = settings
        self._queue = queue
        self._wanted = {"web": ["web"], "relay": ["relay"]}
        self._wanted |= {f"worker {n + 1}": ["worker"] for n in range(settings.workers)}
        self._running: dict[str, tuple[Service, float]] = {}
        self._falls: dict[str, int] = {}
        self._not_before: dict[str, float] = {}
        self._queue_not_before = 0.0

    def run(self, stop: threading.Event) -> None:
        """Start everything and look after it until `stop` is set."""
        environment = self._environment()
        log.info("fixwright.starting", extra={"url": self._settings.url, "state": str(self._settings.state_dir)})
        try:
            while not stop.is_set():
                self._look_after_queue()
                for name in self._wanted:
                    self._look_after(name, environment)
                stop.wait(0.2)
        finally:
            for service, _ in self._running.values():
                service.stop(15.0)

    def close(self) -> None:
        """End the bundled Valkey, when it is ours."""
        if self._queue.service is not None:
            self._queue.service.stop()

    def _look_after_queue(self) -> None:
        """The bundled Valkey is our child, or that of a process that was here first and takes it along when it ends."""
        now = time.monotonic()
        if self._settings.redis_url or now < self._queue_not_before:
            return
        if self._queue.service is None:
            self._queue_not_before = now + QUEUE_SECONDS
            gone = not answers(self._queue.url)
        else:
            gone = self._queue.service.exit_code() is not None
        if gone:
            log.error("queue.ended")
            try:
                self._queue = open_queue(self._settings)
            except QueueUnavailable as error:
                log.error("queue.not_started", extra={"error": error.message, "hint": error.hint})
                self._queue_not_before = now + QUEUE_SECONDS

    def _environment(self) -> Mapping[str, str]:
        child = {"REDIS_URL": self._queue.url}
        if not self._settings.own_servers:
            child["FIXWRIGHT_EMBEDDED_CHILD"] = "1"
        return {**os.environ, **child}

    def _look_after(self, name: str, environment: Mapping[str, str]) -> None:
        now = time.monotonic()
        if name in self._running:
            service, since = self._running[name]
            code = service.exit_code()
            if code is None:
                if now - since > STABLE_SECONDS:
                    self._falls[name] = 0
                return
            falls = self._falls[name] = self._falls.get(name, 0) + 1
            wait = RESTART_SECONDS[min(falls, len(RESTART_SECONDS)) - 1]
            log.error("process.ended", extra={"name_of_process": name, "exit_code": code, "seconds": wait})
            del self._running[name]
            self._not_before[name] = now + wait
        if now >= self._not_before.get(name, 0.0):
            arguments = python("-m", "bot.cli", *self._wanted[name])
            self._running[name] = (Service.start(arguments, name=name, env=environment), now)
