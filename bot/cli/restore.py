"""`fixwright restore FILE`: a backup becomes an installation again, in an empty state folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from bot.archive import restore
from bot.cli import OK
from bot.settings import read_settings
from pipeline.store.engine import Database


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser("restore", help="bring a backup into an empty state folder")
    parser.add_argument("file", metavar="FILE", type=Path, help="what `fixwright backup` wrote")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Check it, write it, and give back what was in the hands of workers then."""
    settings = read_settings()
    manifest = restore(settings, args.file)
    print(f"{settings.state_dir}: restored what Fixwright {manifest.fixwright} had, schema {manifest.schema_revision}")
    if manifest.database != "sqlite":
        print("The keys only. Restore the database, too: pg_restore --clean --if-exists --dbname=DATABASE_URL fixwright.dump")
        return OK
    database = Database.open(settings.database_url)
    database.migrate()
    with database.work() as work:
        given = work.outbox.give_back_all()
        work.processes.forget_all()
    database.dispose()
    print(f"{given} messages that were worked at that moment begin anew. Next: fixwright up")
    return OK
