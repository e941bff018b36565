"""Upgrades with data in the database: nothing is lost, a copy from before is kept, and the way back is said."""

from __future__ import annotations

import os
import sqlite3
import stat
import time
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import create_engine, inspect, select, text

from pipeline.errors import SchemaTooNew
from pipeline.model.ids import ReviewId
from pipeline.store import migrate
from pipeline.store.engine import Database, parse_url
from pipeline.store.publishing import Turns
from pipeline.store.tables import findings, occurrences

ROWS = """
INSERT INTO installations (id, provider, instance, external_id, account, state, created_at, updated_at)
    VALUES ('i1', 'github', '', '17', 'acme', 'active', 1, 1);
INSERT INTO repositories
    (id, provider, instance, external_id, full_name, default_branch, clone_url, private, installation, created_at, updated_at)
    VALUES ('r1', 'github', '', '4711', 'acme/shop', 'main', 'https://x.example/shop.git', true, '17', 1, 1);
INSERT INTO reviews
    (id, key, attempt, installation_id, repository_id, subject, pull_request, head, head_ref, status, change, superseded_by, pending,
     policy_source, created_at, updated_at)
    VALUES ('v1', 'k', 1, 'i1', 'r1', 'pull_request:7', 7, 'a', 'f', 'done', '{}', '', 0, '', 1, 1);
INSERT INTO findings
    (id, repository_id, fingerprint, handle, rule_id, severity, confidence, first_review_id, first_seen_at, last_seen_at)
    VALUES ('f1', 'r1', 'v1:0', 'K7Q', 'python.sql-injection', 3, 3, 'v1', 1, 1);
INSERT INTO occurrences (review_id, ordinal, finding_id, branch, "commit", path, line, finding)
    VALUES ('v1', 0, 'f1', 'f', 'a', 'k.txt', 1, '{"secret":{"kind":"key","keyed_hash":"0ab1"},"excerpt":"\\udc80\\u0000"}');
INSERT INTO occurrences (review_id, ordinal, finding_id, branch, "commit", path, line, finding)
    VALUES ('v1', 1, 'f1', 'f', 'a', 'l.txt', 1, '{"secret":null,"excerpt":"keyed_hash"}');
INSERT INTO fixes
    (id, review_id, repository_id, finding_id, fingerprint, handle, status, diff, proof, receipt, pull_request, error,
     created_at, updated_at)
    VALUES ('x1', 'v1', 'r1', 'f1', 'v1:0', 'K7Q', 'pr_creation_failed', 'd', NULL, NULL, NULL, 'no', 1, 2);
INSERT INTO threads (repository_id, pull_request, remote_id, fingerprint, created_at) VALUES ('r1', 7, 't1', 'v1:0', 1);
INSERT INTO outbox (id, key, kind, body, priority, "group", status, created_at, due_at, publish_at)
    VALUES ('m1', 'settle:v1', 'settle_review', '{"kind":"settle_review","review":"v1"}', 1, 'v1', 'pending', 1, 1, 1)
"""


def _old(url: str) -> None:
    """A database as the first version wrote it, with something in it."""
    engine = create_engine(parse_url(url))
    with engine.begin() as connection:
        config = migrate._config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        for row in ROWS.split(";\n"):
            connection.exec_driver_sql(row)
    engine.dispose()


def test_what_the_first_version_wrote_is_there_after_the_upgrade(empty_database_url: str) -> None:
    database = Database.open(empty_database_url)
    _old(empty_database_url)
    database.migrate()
    database.healthy()
    with database.work() as work:
        (known,) = work.repositories.all()
        assert (known.name, known.state, known.account) == ("acme/shop", "active", "acme")
        assert work.transaction.execute(select(findings.c.handle)).scalars().all() == ["K7Q"]
        (due,) = work.publishing.next(Turns(), ahead=4, scans=2).messages
        claimed = work.outbox.claim(due.message_id, "a worker", scans=2)
        assert claimed is not None
        assert (claimed.message.kind, claimed.delivery_id, claimed.tenant, claimed.repository) == ("settle_review", "", "", "")
        hashes = work.transaction.execute(select(occurrences.c.keyed_hash).order_by(occurrences.c.ordinal)).scalars().all()
        assert hashes == ["0ab1", ""]
        (fix,) = work.fixes.of_review(ReviewId("v1"))
        (attempt,) = work.fixes.attempts(fix.id)
        assert (fix.status, fix.attempt, fix.created_at) == ("pr_creation_failed", 1, 1)
        assert (attempt.number, attempt.status, attempt.diff, attempt.ended_at) == (1, "completed", "d", 2)
        work.organizations.settle(one_each=False)
        assert [organization.slug for organization in work.organizations.all()] == ["default"]
    database.dispose()


def test_an_upgrade_keeps_a_copy_that_the_old_version_can_go_on_with(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'fixwright.db'}"
    database = Database.open(url)
    _old(url)
    database.migrate()
    database.migrate()
    (copy,) = migrate.copies(tmp_path)
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    with closing(sqlite3.connect(copy)) as old:
        assert old.execute("SELECT version_num FROM alembic_version").fetchone() == ("0001",)
        assert old.execute("SELECT full_name FROM repositories").fetchall() == [("acme/shop",)]
    database.dispose()


def test_a_new_database_needs_no_copy(tmp_path: Path) -> None:
    database = Database.open(f"sqlite:///{tmp_path / 'fixwright.db'}")
    database.migrate()
    assert migrate.copies(tmp_path) == []
    database.dispose()


def test_only_the_last_copies_are_kept_and_none_for_ever(tmp_path: Path) -> None:
    for number in range(5):
        copy = tmp_path / f"fixwright.db.before-0001-{number}"
        copy.touch()
        os.utime(copy, (1000 + number, 1000 + number))
    url = f"sqlite:///{tmp_path / 'fixwright.db'}"
    database = Database.open(url)
    _old(url)
    database.migrate()
    kept = migrate.copies(tmp_path)
    assert len(kept) == migrate.COPIES
    assert kept[-1].stat().st_mtime > time.time() - 60
    assert migrate.forget_old_copies(tmp_path, 86_400.0) == migrate.COPIES - 1
    assert migrate.copies(tmp_path) == kept[-1:]
    database.dispose()


def test_a_refused_downgrade_names_the_copy_to_go_back_to(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'fixwright.db'}"
    database = Database.open(url)
    _old(url)
    database.migrate()
    with database.work() as work:
        work.transaction.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaTooNew, match="9999") as refused:
        database.migrate()
    (copy,) = migrate.copies(tmp_path)
    assert copy.name in refused.value.hint
    database.dispose()


def test_the_tables_of_an_upgraded_database_are_those_of_a_new_one(tmp_path: Path) -> None:
    urls = [f"sqlite:///{tmp_path / name}.db" for name in ("old", "new")]
    _old_file = Database.open(urls[0])
    _old(urls[0])
    shapes = []
    for url in urls:
        database = Database.open(url)
        database.migrate()
        engine = create_engine(parse_url(url))
        found = inspect(engine)
        shapes.append({table: sorted(column["name"] for column in found.get_columns(table)) for table in found.get_table_names()})
        engine.dispose()
        database.dispose()
    _old_file.dispose()
    assert shapes[0] == shapes[1]
