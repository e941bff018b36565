"""`fixwright demo`: a pull request scanned, answered and fixed before your eyes."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from bot.demo.local import LocalDemo, free_port
from bot.demo.story import DemoHost, Story
from bot.settings import engines_dir
from pipeline.errors import UsageError


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser("demo", help="watch a pull request being scanned, answered and fixed")
    parser.add_argument("--folder", type=Path, default=Path("build/demo"), help="where everything of the demo lies (default: build/demo)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """On the local provider; a second run finds everything as the first left it and does nothing twice."""
    folder = args.folder.absolute()
    return tell(LocalDemo(folder), folder)


def tell(host: DemoHost, folder: Path) -> int:
    """Play the story on a host. Settings of the operator's own Fixwright have no part in it, but for its engines."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder} cannot be made: {error.strerror}") from None
    own = {k: v for k, v in os.environ.items() if not k.startswith("FIXWRIGHT_") and k not in ("REDIS_URL", "DATABASE_URL")}
    port = free_port()
    environment = {
        **own,
        "FIXWRIGHT_STATE_DIR": str(folder / "state"),
        "FIXWRIGHT_ENGINES_DIR": str(engines_dir()),
        "FIXWRIGHT_PORT": str(port),
        "FIXWRIGHT_URL": f"http://127.0.0.1:{port}",
    }
    try:
        Story(host, folder, environment).tell()
    finally:
        host.close()
    return 0
