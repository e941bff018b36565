"""`fixwright status`: is it well, and when not, why: on one screen, the cause in the first line."""

from __future__ import annotations

import argparse
import dataclasses
import json
from dataclasses import dataclass, field

from bot.cli import OK, UNCHECKED
from bot.cli.processes import looked_at
from bot.cli.queue import document as letter_document
from bot.cli.queue import line as letter_line
from bot.kept import spools
from bot.metrics import queue_trouble
from bot.pulse import Kind, lives, process_name, silent_here
from bot.settings import state_dir
from bot.standing import troubles
from bot.wiring import App
from pipeline import engines
from pipeline.errors import FixwrightError, StoreError
from pipeline.escaping import visible
from pipeline.sandbox.upkeep import free_bytes
from pipeline.store.letters import DeadMessage
from pipeline.store.overview import LastDelivery, Retried, Running, Waiting
from pipeline.store.processes import Process
from pipeline.store.spool import DAMAGED
from pipeline.store.sweeps import ScanProgress
from pipeline.store.work import Work

LATE_SECONDS = 300.0
"""A due message that has waited longer, in a queue where somebody waits for the answer, is a trouble."""

DEAD_SHOWN = 5


@dataclass
class Report:
    """How everything stands."""

    troubles: list[str] = field(default_factory=list)
    """What is wrong, the worst first; empty when all is well."""
    database: str = ""
    database_bytes: int = 0
    schema: str = ""
    """Empty when the database cannot be used; then nothing is known of what lies in it."""
    processes: list[Process] = field(default_factory=list)
    running: list[Running] = field(default_factory=list)
    waiting: list[Waiting] = field(default_factory=list)
    retried: list[Retried] = field(default_factory=list)
    """Why messages are tried again, the most frequent cause first."""
    dead: int = 0
    dead_letters: list[DeadMessage] = field(default_factory=list)
    installations: dict[str, int] = field(default_factory=dict)
    repositories: dict[str, int] = field(default_factory=dict)
    scans: ScanProgress | None = None
    last_delivery: LastDelivery | None = None
    engines: list[str] = field(default_factory=list)
    disk_free_bytes: int = 0
    queue: bool = False
    refusing: list[str] = field(default_factory=list)
    """Why deliveries are refused with 503; what a web process holds in memory is seen by its own `/readyz` only."""
    spool_bytes: int = 0
    """Deliveries that wait in files for the database."""
    spool_damaged: int = 0


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser("status", help="what runs, what waits, what went wrong")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.add_argument("--process", choices=("web", "relay", "worker"), help="only this: does one live on this machine? For health checks")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """0 when all is well, 3 otherwise."""
    if args.process:
        return _process(args.process)
    with looked_at() as app:
        report = look(app)
    print(json.dumps(document(report), indent=2) if args.json else text(report))
    return UNCHECKED if report.troubles else OK


def _process(kind: Kind) -> int:
    """A container's question: its own process, whatever else is wrong. Asks no database: one that is away is no reason to restart."""
    silent = silent_here(state_dir(), kind)
    alive, here = lives(silent), process_name().rpartition(":")[0]
    print(f"{kind} {'lives' if alive else 'does not live'} on {here}" + (f", heard of {silent:.0f} s ago" if silent is not None else ""))
    return OK if alive else UNCHECKED


def look(app: App) -> Report:
    """Look at everything. Never raises for what it finds."""
    report = Report(database=app.database.dialect, disk_free_bytes=free_bytes(app.settings.state_dir))
    try:
        app.database.healthy()
        schema, report.database_bytes = app.database.schema(), app.database.size()
        with app.database.read() as work:
            _from_store(report, work)
        at_hosts = troubles(app)
        report.schema = schema
    except StoreError as error:
        report.troubles.append(f"{error.message}{f': {error.hint}' if error.hint else ''}")
    else:
        _judge(report, app)
        report.troubles += at_hosts
    _engines(report, app)
    _intake(report, app)
    if report.disk_free_bytes < app.settings.min_free_mb * 1_000_000:
        free = f"{report.disk_free_bytes / 1e6:.0f} MB free in {app.settings.state_dir}"
        report.troubles.insert(0, f"scans wait: {free}, less than FIXWRIGHT_MIN_FREE_MB ({app.settings.min_free_mb:.0f})")
    return report


def _intake(report: Report, app: App) -> None:
    """What came and cannot be taken, or not yet."""
    report.refusing = list(app.pressure.look().values())
    for reason in report.refusing:
        report.troubles.insert(0, f"deliveries are refused: {reason}")
    lying = [spool.lying() for spool in spools(app)]
    report.spool_bytes, report.spool_damaged = sum(one.waiting_bytes for one in lying), sum(one.damaged for one in lying)
    if report.spool_bytes:
        report.troubles.append(f"deliveries wait in files for the database ({report.spool_bytes / 1e3:.0f} kB); a web process takes them")
    if report.spool_damaged:
        where = f"*{DAMAGED} in {app.settings.spool_dir} or where hooks keep them"
        report.troubles.append(f"{report.spool_damaged} files of kept deliveries could not be taken as a whole: {where}")


def _from_store(report: Report, work: Work) -> None:
    report.processes = work.processes.all()
    report.running = work.overview.running()
    report.waiting = work.overview.waiting()
    report.retried = work.overview.retried()
    report.dead = work.overview.dead()
    report.dead_letters = work.outbox.dead(DEAD_SHOWN)
    report.installations = work.overview.installations()
    report.repositories = work.overview.repositories()
    report.scans = work.installations.scan_progress()
    report.last_delivery = work.overview.last_delivery()


def _judge(report: Report, app: App) -> None:
    alive = {process.kind for process in report.processes if process.alive}
    for kind, meaning in (
        ("web", "no delivery is received"),
        ("relay", "no worker is woken"),
        ("worker", "nothing is worked"),
    ):
        if kind not in alive:
            report.troubles.append(f"no {kind} process lives: {meaning}; start it: fixwright {kind}, or everything: fixwright up")
    queue = queue_trouble(app)
    report.queue = not queue
    if queue:
        report.troubles.append(f"the queue does not answer ({queue}); deliveries are kept, and worked when it is back")
    for retried in report.retried:
        if retried.host:
            report.troubles.append(f"{retried.host} does not answer: {retried.count} messages wait for it, and go on when it does")
    late = [waiting for waiting in report.waiting if waiting.oldest_seconds > LATE_SECONDS and waiting.priority != "batch"]
    if late:
        report.troubles.append(
            f"{sum(waiting.count for waiting in late)} messages wait, the oldest for {_time(max(w.oldest_seconds for w in late))}: "
            "more workers, or see what runs"
        )
    if report.dead:
        report.troubles.append(f"{report.dead} messages were given up; the causes: fixwright queue list")


def _engines(report: Report, app: App) -> None:
    try:
        for engine in engines.status(app.settings.engines_dir):
            report.engines.append(f"{engine.name} {engine.version if engine.present else 'missing'}")
            if not engine.present:
                report.troubles.append(f"{engine.name} is not installed: fixwright engines install")
    except FixwrightError as error:
        report.troubles.append(error.message)


def text(report: Report) -> str:
    """For people: at most one screen of 24 lines."""
    lines = [f"!! {report.troubles[0]}" if report.troubles else "ok: everything runs"]
    lines += [f"!! {trouble}" for trouble in report.troubles[1:4]]
    # Of what lies in a database that does not answer nothing is known: zeros would send somebody after processes that live.
    lines += _stored(report) if report.schema else []
    lines.append(f"engines     {', '.join(report.engines) or 'none'}")
    size = f"{report.database_bytes / 1e6:.0f} MB, schema {report.schema}" if report.schema else "cannot be used"
    lines.append(f"database    {report.database}, {size}; {report.disk_free_bytes / 1e9:.1f} GB free on the disk")
    return "\n".join(visible(line) for line in lines)


def _stored(report: Report) -> list[str]:
    """What the database says: who lives, what waits, what was given up."""
    lines = []
    alive = [process for process in report.processes if process.alive]
    counted = {kind: sum(process.kind == kind for process in alive) for kind in ("web", "relay", "worker")}
    lines.append("processes   " + ", ".join(f"{number} {kind}" for kind, number in counted.items()))
    for running in report.running[:4]:
        again = f", attempt {running.attempt}" if running.attempt > 1 else ""
        lines.append(f"  {running.owner}  {running.kind}{again}")
    if len(report.running) > 4:
        lines.append(f"  and {len(report.running) - 4} more")
    for waiting in report.waiting:
        oldest = f", the oldest for {_time(waiting.oldest_seconds)}" if waiting.count else ""
        later = f", {waiting.later} later" if waiting.later else ""
        lines.append(f"{waiting.priority:11} {waiting.count} waiting{oldest}{later}")
    tried = [f"{one.count} {one.code or 'waiting'}{f' ({one.host})' if one.host else ''}" for one in report.retried[:4]]
    lines += [f"tried again {', '.join(tried)}"] if tried else []
    lines.append(f"given up    {report.dead}")
    lines += [f"  {letter_line(letter)}" for letter in report.dead_letters[:3]]
    lines.append(f"installed   {_counts(report.installations)}; repositories: {_counts(report.repositories)}")
    if report.scans is not None:
        scans = report.scans
        lines.append(f"first scans {scans.scanned} done, {scans.running} running, {scans.waiting} waiting, {scans.failed} failed")
    last = report.last_delivery
    lines.append(f"delivery    {f'{last.provider} {last.name}, {_time(last.seconds)} ago' if last else 'none yet'}")
    return lines


def document(report: Report) -> dict[str, object]:
    """For programs."""
    found = dataclasses.asdict(dataclasses.replace(report, dead_letters=[]))
    letters = [letter_document(dead) for dead in report.dead_letters]
    return {"healthy": not report.troubles, **found, "dead_letters": letters}


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{number} {state}" for state, number in sorted(counts.items())) or "none"


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"
