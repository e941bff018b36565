"""`fixwright backup FILE`: everything that cannot be made again, in one file, while everything runs."""

from __future__ import annotations

import argparse
from pathlib import Path

from bot.archive import backup
from bot.cli import OK
from bot.cli.processes import looked_at


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser("backup", help="write database and keys to one file, while everything runs")
    parser.add_argument("file", metavar="FILE", type=Path, help="new file, readable for you only; it holds the keys and is not encrypted")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write it."""
    with looked_at() as app:
        manifest = backup(app.settings, app.database, args.file)
    size = args.file.stat().st_size / 1e6
    if manifest.database == "sqlite":
        print(f"{args.file}: database (schema {manifest.schema_revision}) and keys, {size:.1f} MB. Keep it where only you can read it.")
    else:
        print(f"{args.file}: the keys only. The database is your PostgreSQL's: pg_dump --format=custom --file=fixwright.dump DATABASE_URL")
    return OK
