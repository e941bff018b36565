"""The schema: made by migrations, equal to the tables, refused when it is newer than we are."""

from __future__ import annotations

import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect, text

from pipeline.errors import NotConfigured, SchemaTooNew, StoreError, StoreUnavailable
from pipeline.store import migrate
from pipeline.store.engine import Database, parse_url
from pipeline.store.tables import metadata


def test_migrated_schema_is_the_schema_of_the_tables(database_url: str) -> None:
    engine = create_engine(parse_url(database_url))
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        differences = compare_metadata(context, metadata)
    engine.dispose()
    assert differences == []


def test_migrating_twice_changes_nothing(empty_database_url: str) -> None:
    database = Database.open(empty_database_url)
    database.migrate()
    database.migrate()
    database.healthy()
    database.dispose()


def test_processes_may_migrate_at_once(empty_database_url: str) -> None:
    opened = [Database.open(empty_database_url) for _ in range(4)]
    with ThreadPoolExecutor(len(opened)) as pool:
        list(pool.map(Database.migrate, opened))
    opened[0].healthy()
    for database in opened:
        database.dispose()


def test_a_database_of_a_newer_version_is_refused_and_left_alone(database: Database) -> None:
    with database.work() as work:
        work.transaction.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaTooNew, match="9999") as refused:
        database.migrate()
    assert "newer Fixwright" in refused.value.hint
    with pytest.raises(SchemaTooNew, match="9999"):
        database.healthy()


def test_an_empty_database_is_not_healthy(empty_database_url: str) -> None:
    database = Database.open(empty_database_url)
    with pytest.raises(StoreUnavailable, match="schema none"):
        database.healthy()
    database.dispose()


def test_a_migration_that_fails_in_the_middle_leaves_the_old_schema(empty_database_url: str) -> None:
    database = Database.open(empty_database_url)
    with database.work() as work:
        # Stands in the way late in the first revision: everything before it must be undone.
        work.transaction.execute(text("CREATE TABLE occurrences (other INTEGER)"))
    with pytest.raises(StoreError):
        database.migrate()
    with database.work() as work:
        assert inspect(work.transaction.connection).get_table_names() == ["occurrences"]
        work.transaction.execute(text("DROP TABLE occurrences"))
    database.migrate()
    database.healthy()
    database.dispose()


def test_the_file_is_readable_for_us_only(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "fixwright.db"
    database = Database.open(f"sqlite:///{path}")
    database.migrate()
    with database.work():
        modes = {found.name: stat.S_IMODE(found.stat().st_mode) for found in path.parent.iterdir() if found.name.startswith("fixwright.db")}
    database.dispose()
    assert modes["fixwright.db"] == modes["fixwright.db-wal"] == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("url", ["", "no url", "mysql://host/name", "sqlite://", "sqlite:///:memory:"])
def test_a_url_that_cannot_be_used_is_said_so(url: str) -> None:
    with pytest.raises(NotConfigured, match="database"):
        Database.open(url)


def test_a_password_appears_in_no_text() -> None:
    word = "hun" + "ter2"
    database = Database.open(f"postgresql://someone:{word}@127.0.0.1:1/name")
    assert word not in repr(database)
    assert word in database.url
    with pytest.raises(StoreUnavailable) as failed:
        database.healthy()
    assert word not in str(failed.value)
    with pytest.raises(NotConfigured) as refused:
        Database.open(f"nonsense://someone:{word}@host/name")
    assert word not in str(refused.value)


def test_a_folder_that_cannot_be_made_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable, match="cannot be made"):
        Database.open(f"sqlite:///{tmp_path / 'file' / 'fixwright.db'}")


def test_every_connection_is_prepared(tmp_path: Path) -> None:
    database = Database.open(f"sqlite:///{tmp_path / 'fixwright.db'}")
    database.migrate()
    with database.work() as work:
        pragmas = {name: work.transaction.execute(text(f"PRAGMA {name}")).scalar_one() for name in ("journal_mode", "foreign_keys")}
    database.dispose()
    assert pragmas == {"journal_mode": "wal", "foreign_keys": 1}


def test_the_files_of_the_migrations_are_named_as_alembic_knows_them() -> None:
    config = Config()
    config.set_main_option("script_location", str(migrate.MIGRATIONS))
    config.set_main_option("path_separator", "os")
    scripts = ScriptDirectory.from_config(config)
    assert scripts.get_heads() == [migrate.newest()]
    named = {path.name.partition("_")[0] for path in (migrate.MIGRATIONS / "versions").glob("[0-9]*.py")}
    assert {script.revision for script in scripts.walk_revisions()} == named


def test_a_database_that_is_up_to_date_is_opened_without_alembic(tmp_path: Path) -> None:
    """Which takes a tenth of a second to load."""
    url = f"sqlite:///{tmp_path / 'fixwright.db'}"
    opened = Database.open(url)
    opened.migrate()
    opened.dispose()
    program = f"""
import sys
from pipeline.store.engine import Database
opened = Database.open({url!r})
opened.migrate()
opened.healthy()
print(sorted(name for name in sys.modules if name.partition(".")[0] == "alembic"))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")
