"""`fixwright web`: the web process."""

from __future__ import annotations

import argparse

import uvicorn

from bot.asgi import make_asgi
from bot.cli.processes import opened
from bot.http import BoundedProtocol


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser("web", help="receive webhooks")
    parser.set_defaults(run=run)


def run(_: argparse.Namespace) -> int:
    """Serve until told to stop; what was accepted is on the disk by then."""
    with opened() as app:
        config = uvicorn.Config(
            make_asgi(app),
            host=app.settings.host,
            port=app.settings.port,
            log_config=None,
            access_log=False,
            http=BoundedProtocol,
            server_header=False,
            timeout_keep_alive=30,
        )
        uvicorn.Server(config).run()
    return 0
