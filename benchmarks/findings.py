"""Lists of findings and of what happened to them, as the API reads them, among a million findings, half of them in one repository."""

# ruff: noqa: S608  statements of our own words and numbers alone

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import combinations
from statistics import median
from typing import Any, Final

from sqlalchemy import Connection, create_engine, text

from benchmarks.table import Table
from pipeline.model.finding import Confidence, Finding, Location, Rule, Severity
from pipeline.model.ids import OrganizationId, RepositoryId
from pipeline.model.scan import ScanType
from pipeline.store.engine import Database
from pipeline.store.eventlog import Sought
from pipeline.store.listing import Place, PublicStatus, Totals, Wish
from pipeline.store.seen import FINDING
from tests.databases import programs, server

LARGE, SMALL = "large", 10
"""Half of everything is in one repository, the rest in so many."""

AIM, AIM_SKIP, AIM_SUMMARY = 10.0, 1_500.0, 20.0
"""Milliseconds at the median: a page, a page behind so many others, a summary."""

PAGE, COUNTED = 50, 10_001
RULES: Final = 40

_FINDING = Finding(
    Rule("python.sql-injection", "Request data becomes SQL", "A visitor can read the database.", Severity.HIGH, Confidence.HIGH, 89),
    Location("app/users.py", 3, 4),
    f"v1:{1:032x}",
    "semgrep",
    excerpt="query = f'SELECT * FROM users WHERE name = {name}'",
)

_STATUS = "CASE WHEN {n} % 100 < 70 THEN 'open' ELSE 'resolved' END"
_SHOWN = (
    "CASE WHEN {n} % 100 < 55 THEN 'open' WHEN {n} % 100 < 63 THEN 'ignored' WHEN {n} % 100 < 69 THEN 'false_positive'"
    " WHEN {n} % 100 < 70 THEN 'needs_manual_review' ELSE 'resolved' END"
)
_TYPE = "CASE WHEN {n} % 17 = 0 THEN 'secrets_scan' ELSE 'semgrep_scan' END"
_SEVERITY = "({n} / 100) % 4 + 1"


def run(quick: bool) -> Table:
    """Both databases in turn; one of them where PostgreSQL is not installed."""
    count, rounds = (40_000, 5) if quick else (1_000_000, 15)
    table = Table(f"Lists of the API among {count:,} findings, half of them in one repository", "ms")
    with tempfile.TemporaryDirectory() as folder:
        _measure(table, "SQLite", f"sqlite:///{folder}/findings.db", count, rounds)
    if programs() is None:
        table.notes.append("PostgreSQL is not installed")
    else:
        with server() as running:
            running.execute("CREATE DATABASE bench")
            _measure(table, "PostgreSQL", running.url("bench"), count, rounds)
    return table


def _measure(table: Table, name: str, url: str, count: int, rounds: int) -> None:
    database = Database.open(url)
    try:
        began = time.monotonic()
        organization, large = _fill(database, count)
        seconds = time.monotonic() - began
        bench = _Reader(database, organization, large, count // 2)
        times: dict[str, list[float]] = {}
        worked: dict[str, list[float]] = {}
        for _ in range(rounds):
            for what, ask in bench.questions():
                begun, used = time.perf_counter(), time.thread_time()
                ask()
                worked.setdefault(what, []).append((time.thread_time() - used) * 1_000)
                times.setdefault(what, []).append((time.perf_counter() - begun) * 1_000)
        floor = median(times["a row by its key"])
        table.rows += [(f"{name}: {what}", samples) for what, samples in times.items()]
        pages = {what: median(samples) for what, samples in times.items() if what.startswith(("findings", "events"))}
        slowest = max(pages, key=lambda what: pages[what])
        over, middle = sum(one > AIM for one in pages.values()), median(pages.values())
        table.notes.append(
            f"{name}: {over} of {len(pages)} pages above {AIM:.0f} ms; the slowest ({slowest}) {pages[slowest]:.1f} ms,"
            f" {pages[slowest] / floor:.0f} times the floor; the one in the middle {middle:.1f} ms, {middle / floor:.0f} times"
        )
        busiest = max(pages, key=lambda what: median(worked[what]))
        table.notes.append(
            f"{name}: of our own thread, whatever else runs, {busiest} takes the most time: {median(worked[busiest]):.1f} ms"
        )
        skipped = max(median(samples) for what, samples in times.items() if what.startswith("skip"))
        summed = max(median(samples) for what, samples in times.items() if what.startswith("summary"))
        table.notes.append(
            f"{name}: skip {skipped:.0f} ms (aim {AIM_SKIP:.0f}), summary {summed:.1f} ms (aim {AIM_SUMMARY:.0f});"
            f" filled in {seconds:.0f} s"
        )
    finally:
        database.dispose()


class _Reader:
    """What is asked. Each question is a transaction of its own, as in the API."""

    def __init__(self, database: Database, organization: OrganizationId, large: RepositoryId, rows: int) -> None:
        self._database, self._organization, self._rows = database, organization, rows
        self._places: list[Place] = [(large, "main")]
        self._large, self._totals = large, Totals()
        self._deep = rows * 4 // 5

    def questions(self) -> Iterator[tuple[str, Callable[[], object]]]:
        """Name and question; the floor first."""
        yield "a row by its key", self._floor
        words: dict[str, Any] = {"severity": Severity.CRITICAL, "status": "ignored", "scan_type": ScanType.SECRETS}
        rare: PublicStatus = "needs_manual_review"
        wishes = [Wish(), Wish(status=rare)]
        wishes += [Wish(**{name: words[name] for name in names}) for size in (1, 2, 3) for names in combinations(words, size)]
        for wish in wishes:
            for where, after in (("first page", ""), ("deep", _id(self._rows - self._deep))):
                yield f"findings, {_named(wish)}, {where}", partial(self._findings, wish, after=after)
            yield f"findings of a batch, {_named(wish)}", partial(self._batch, wish, "")
            yield f"findings of a batch, {_named(wish)}, deep", partial(self._batch, wish, _id(self._rows - self._deep))
        for wish in (Wish(), Wish(status="open"), Wish(severity=Severity.LOW)):
            yield f"skip {self._deep:,}, {_named(wish)}", partial(self._findings, wish, skip=self._deep)
        sought = {
            "everything": Sought(),
            "repository": Sought(repositories=[self._large]),
            "finding": Sought(finding=_id(self._rows // 2)),
            "scan type": Sought(scan_type=ScanType.SECRETS),
            "severity": Sought(severity=Severity.LOW),
            "event type": Sought(kinds=["detected"]),
            "start": Sought(start=float(self._rows)),
            "end": Sought(end=float(self._rows)),
        }
        for what, one in sought.items():
            yield f"events, {what}, first page", partial(self._events, one, None)
            yield f"events, {what}, deep", partial(self._events, one, self._rows - self._deep)
        yield "summary by severity and status", self._standing
        yield "summary by rule", self._rules

    def _floor(self) -> None:
        with self._database.read() as work:
            work.transaction.execute(text("SELECT * FROM findings WHERE id = :id").bindparams(id=_id(self._rows // 3))).one()

    def _findings(self, wish: Wish, *, after: str = "", skip: int = 0) -> None:
        with self._database.read() as work:
            keys, _ = work.listing.page(self._places, wish, limit=PAGE, skip=skip, after=after)
            work.listing.total(self._places, wish, COUNTED, self._totals)
            found = work.listing.read(keys)
        assert len(found) == PAGE or _named(wish) != "no filter"

    def _batch(self, wish: Wish, after: str) -> None:
        with self._database.read() as work:
            keys, _, _ = work.listing.page_of_batch("batch", [self._large], wish, self._totals, limit=PAGE, after=after, at_most=COUNTED)
            work.listing.read(keys)

    def _events(self, sought: Sought, before: int | None) -> None:
        with self._database.read() as work:
            work.events.page(self._organization, sought, limit=PAGE, before=before, at_most=COUNTED)

    def _standing(self) -> None:
        with self._database.read() as work:
            assert sum(work.finding_counts.standing(self._organization).values()) == self._rows * 2

    def _rules(self) -> None:
        with self._database.read() as work:
            assert len(work.finding_counts.rules(self._organization)) >= RULES


def _named(wish: Wish) -> str:
    said = [str(one.word if isinstance(one, Severity) else one) for one in (wish.severity, wish.status, wish.scan_type) if one is not None]
    return " and ".join(said) or "no filter"


def _id(number: int) -> str:
    return f"{number:032d}"


def _fill(database: Database, count: int) -> tuple[OrganizationId, RepositoryId]:
    """Rows as scans would have written them, by the database itself: so many would take the better part of an hour otherwise."""
    database.migrate()
    with database.work() as work:
        work.organizations.settle(one_each=False)
        organization = work.organizations.named("default").id
    with _raw(database) as connection:
        lite = database.dialect == "sqlite"

        def do(statement: str, **words: Any) -> None:
            connection.execute(text(statement).bindparams(**words))

        digits = "printf('%032d', {n})" if lite else "lpad(CAST({n} AS text), 32, '0')"
        numbers = (
            f"WITH RECURSIVE series(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM series WHERE n < {count - 1}) "
            if lite
            else f"WITH series AS (SELECT generate_series(0, {count - 1}) AS n) "
        )
        source = f"({numbers}SELECT n FROM series) AS numbered"
        identifier = digits.format(n="n")
        # The first half is in the large one.
        home = f"CASE WHEN n < {count // 2} THEN 'large' ELSE 'small' || (n % {SMALL}) END"
        do(
            "INSERT INTO installations (id, provider, instance, account, external_id, state, organization_id, created_at, updated_at)"
            " VALUES ('home', 'github', 'github.com', 'acme', '17', 'active', :o, 0, 0)",
            o=organization,
        )
        for name in (LARGE, *(f"small{number}" for number in range(SMALL))):
            do(
                "INSERT INTO repositories (id, group_id, provider, instance, external_id, full_name, default_branch, clone_url, private,"
                " installation, state, created_at, updated_at) VALUES (:r, :r, 'github', 'github.com', :r, :r, 'main', '', true, '17',"
                " 'active', 0, 0)",
                r=name,
            )
            do(
                "INSERT INTO reviews (id, key, attempt, installation_id, repository_id, subject, head, head_ref, status, change,"
                " created_at, updated_at) VALUES (:r, :r, 1, 'home', :r, 'branch:main', 'a', 'main', 'done', '{}', 0, 0)",
                r=name,
            )
        do(
            "INSERT INTO findings (id, repository_id, fingerprint, handle, rule_id, severity, confidence, first_review_id, first_seen_at,"
            f" last_seen_at, scan_type) SELECT {identifier}, {home}, {identifier}, {identifier}, 'python.rule' || (n % {RULES}),"
            f" {_SEVERITY.format(n='n')}, 3, {home}, n, n, {_TYPE.format(n='n')} FROM {source}"
        )
        do(
            "INSERT INTO finding_states (repository_id, branch, finding_id, status, since, review_id, shown, severity, scan_type)"
            f" SELECT {home}, 'main', {identifier}, {_STATUS.format(n='n')}, n, {home}, {_SHOWN.format(n='n')}, {_SEVERITY.format(n='n')},"
            f" {_TYPE.format(n='n')} FROM {source}"
        )
        do(
            'INSERT INTO finding_places (repository_id, branch, path, engine, ordinal, finding_id, line, seen_with, "commit", finding, at)'
            f" SELECT {home}, 'main', 'app/file' || (n / 20) || '.py', 'semgrep', n % 20, {identifier}, 3, '', 'a', :finding, n"
            f" FROM {source}",
            finding=FINDING.dump(_FINDING),
        )
        do(
            'INSERT INTO finding_events (finding_id, repository_id, review_id, branch, "commit", kind, at, sequence, organization_id,'
            f" severity, scan_type, now, logged_at) SELECT {identifier}, {home}, {home}, 'main', 'a',"
            f" CASE WHEN n % 3 = 0 THEN 'detected' ELSE 'resolved_auto' END, n, n + 1, :o,"
            f" {_SEVERITY.format(n='n')}, {_TYPE.format(n='n')}, 'open', n FROM {source}",
            o=organization,
        )
        do(
            'INSERT INTO batches (id, review_id, scan_type, status, "commit", created_at, updated_at, repository_id)'
            " VALUES ('batch', 'large', 'semgrep_scan', 'done', 'a', 0, 0, 'large')"
        )
        do(
            "INSERT INTO scans (id, batch_id, review_id, scan_type, status, required, error, blame, created_at, updated_at)"
            " VALUES ('scan', 'batch', 'large', 'semgrep_scan', 'done', true, '', '', 0, 0)"
        )
        do(
            "INSERT INTO batch_findings (batch_id, finding_id, severity, branch)"
            " SELECT 'batch', id, severity, 'main' FROM findings WHERE repository_id = 'large'"
        )
        do(
            "INSERT INTO finding_counts (repository_id, branch, rule_id, shown, severity, count)"
            " SELECT finding_states.repository_id, branch, rule_id, shown, finding_states.severity, count(*) FROM finding_states"
            " JOIN findings ON findings.id = finding_states.finding_id"
            " GROUP BY finding_states.repository_id, branch, rule_id, shown, finding_states.severity"
        )
    if database.dialect == "postgresql":  # as autovacuum does by itself
        engine = create_engine(database.url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text("VACUUM ANALYZE"))
        engine.dispose()
    return organization, RepositoryId(LARGE)


@contextmanager
def _raw(database: Database) -> Iterator[Connection]:
    """A transaction of the store's own connection."""
    with database.work() as work:
        yield work.transaction.connection
