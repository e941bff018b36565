"""`fixwright relay`: wakes workers for what the outbox holds, and takes back what crashed workers held."""

from __future__ import annotations

import argparse

from bot.cli.processes import opened, until_told
from bot.duties import duties
from bot.jobs import PROBE_SECONDS, Relay
from bot.pulse import Pulse


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser("relay", help="wake workers for waiting work")
    parser.set_defaults(run=run)


def run(_: argparse.Namespace) -> int:
    """Until SIGTERM or SIGINT."""
    stop = until_told()
    with opened() as app, Pulse(app.database, "relay", app.settings.state_dir) as pulse:
        settings = app.settings
        probe = min(PROBE_SECONDS, settings.retry_cap)
        Relay(app.database, app.jobs, duties(app), pulse.beat, scans=settings.repository_scans, probe_seconds=probe).run(stop)
    return 0
