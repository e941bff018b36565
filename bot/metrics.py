"""GET /metrics: numbers of the whole installation in the format that Prometheus reads, from the store and not from this process.

Not public: with FIXWRIGHT_METRICS_TOKEN set, whoever sends it; without, this machine only. Everybody else gets the answer of an address
that does not exist. No label holds the name of a repository, a person or a file.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from bot import __version__
from bot.kept import spools
from bot.pressure import KINDS
from bot.pulse import tell
from bot.wiring import App
from pipeline import engines
from pipeline.errors import QueueUnavailable, StoreError
from pipeline.escaping import visible
from pipeline.model.loopback import is_loopback
from pipeline.sandbox.upkeep import free_bytes
from pipeline.stages.tend import EXPIRES
from pipeline.store.counters import Counter
from pipeline.store.work import Work
from pipeline.tally import BUCKETS

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Prometheus, "Exposition formats"."""

HISTOGRAMS = {
    "fixwright_delivery_to_check_seconds": "From a delivery to the finished check.",
    "fixwright_scan_seconds": "One run of one engine over one change, cached results included.",
}
COUNTERS = {
    "fixwright_messages_total": "Messages that were worked, by kind and outcome of the attempt.",
    "fixwright_reviews_total": "Verdicts by conclusion.",
    "fixwright_reconciled_total": "What no delivery told of and a look at the host did: heads, or deliveries that were asked for again.",
    "fixwright_host_calls_total": "Calls to code hosts by status; none: no answer.",
    "fixwright_cache_files_total": "Files whose result was remembered (hit) or not (miss), by engine.",
}
GAUGES = {"fixwright_host_rate_limit_remaining": "Calls that the installation that was asked last may still make, by kind of call."}


PROXIED = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip")
"""Headers by which a proxy says that somebody else is asking."""


def allowed(request: Request, token: str) -> bool:
    """True for who may read the metrics."""
    if token:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), token.encode())
    # The Host header too: a page of another site can have its own name point here (DNS rebinding).
    forwarded = any(name in request.headers for name in PROXIED)
    return not forwarded and request.client is not None and is_loopback(request.client.host) and is_loopback(request.url.hostname or "")


class Metrics:
    """The route's handler."""

    def __init__(self, app: App, threads: Executor) -> None:
        self._app, self._threads = app, threads

    async def show(self, request: Request) -> Response:
        """The numbers, or 404 for who may not know that they are here."""
        if not allowed(request, self._app.settings.metrics_token):
            return JSONResponse({"error": "NOT_FOUND", "detail": "there is no such address"}, 404)
        content = await asyncio.get_running_loop().run_in_executor(self._threads, render, self._app)
        return Response(content, headers={"content-type": CONTENT_TYPE})


def render(app: App) -> bytes:
    """All metrics as text. Answers also when the database or the queue is away: that is when they are looked at."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected(list(_collect(app))))
    return generate_latest(registry)


class _Collected:
    """What `CollectorRegistry` wants: an object that gives its metrics."""

    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        """They were made before: an error in the middle must not leave half an answer."""
        return self._metrics


def _collect(app: App) -> Iterator[Metric]:
    yield _gauge("fixwright_info", "The version that runs.", [({"version": __version__}, 1.0)])
    up, stored = 1.0, list[Metric]()
    try:
        tell(app.database)
        with app.database.read() as work:
            stored = [*_work(work), *_counted(work.counters.all())]
        stored.append(_gauge("fixwright_database_bytes", "Size of the database.", [({}, float(app.database.size()))]))
    except StoreError:
        up, stored = 0.0, []
    yield _gauge("fixwright_database_up", "1 when the database answers.", [({}, up)])
    yield _gauge("fixwright_queue_up", "1 when the queue answers; deliveries are kept without it.", [({}, float(not queue_trouble(app)))])
    yield from stored
    yield from _intake(app)
    yield from _machine(app)


def _intake(app: App) -> Iterator[Metric]:
    """What this web process refuses, and what waits in files."""
    reasons = app.pressure.reasons
    refusing: list[tuple[dict[str, str], float]] = [({"reason": kind}, float(kind in reasons)) for kind in KINDS]
    yield _gauge("fixwright_intake_refusing", "1 while deliveries are refused with 503, by what there is too much of.", refusing)
    yield _gauge("fixwright_intake_held_bytes", "Bodies that this process is receiving.", [({}, float(app.pressure.held))])
    lying = [spool.lying() for spool in spools(app)]
    yield _gauge("fixwright_spool_bytes", "Deliveries that wait in files.", [({}, float(sum(one.waiting_bytes for one in lying)))])
    yield _gauge("fixwright_spool_damaged", "Files of deliveries set aside for a person.", [({}, float(sum(one.damaged for one in lying)))])


def _work(work: Work) -> Iterator[Metric]:
    deliveries = CounterMetricFamily("fixwright_deliveries", "Deliveries by what became of them.", labels=("provider", "event", "outcome"))
    for line in work.deliveries.counts():
        deliveries.add_metric((line.provider, visible(line.name), line.outcome), line.count)
    yield deliveries
    waiting = work.overview.waiting()
    yield _gauge("fixwright_queue_waiting", "Messages that are due.", [({"priority": w.priority}, float(w.count)) for w in waiting])
    yield _gauge("fixwright_queue_later", "Messages that are not due yet.", [({"priority": w.priority}, float(w.later)) for w in waiting])
    oldest = [({"priority": w.priority}, w.oldest_seconds) for w in waiting]
    yield _gauge("fixwright_queue_oldest_seconds", "How long the oldest due message has waited.", oldest)
    yield _gauge("fixwright_leases_running", "Messages in the hands of workers.", [({}, float(len(work.overview.running())))])
    yield _gauge("fixwright_dead_letters", "Messages that were given up and wait for a person.", [({}, float(work.overview.dead()))])
    states = [({"state": state}, float(number)) for state, number in work.overview.installations().items()]
    yield _gauge("fixwright_installations", "Installations by state.", states)
    alive = dict.fromkeys(("web", "relay", "worker"), 0)
    for process in work.processes.all():
        alive[process.kind] = alive.get(process.kind, 0) + process.alive
    yield _gauge("fixwright_processes", "Processes that live.", [({"kind": kind}, float(number)) for kind, number in alive.items()])
    last = work.overview.last_delivery()
    if last is not None:
        yield _gauge("fixwright_last_delivery_age_seconds", "Since the newest delivery.", [({}, last.seconds)])


def _counted(counters: list[Counter]) -> Iterator[Metric]:
    """What processes told the store."""
    by_name: dict[str, list[Counter]] = {}
    for counter in counters:
        by_name.setdefault(counter.name, []).append(counter)
    for name, text in COUNTERS.items():
        counted = by_name.get(name, [])
        names = tuple(sorted({label for counter in counted for label in counter.labels}))
        family = CounterMetricFamily(name.removesuffix("_total"), text, labels=names)
        for counter in counted:
            family.add_metric([visible(counter.labels.get(label, "")) for label in names], counter.value)
        yield family
    for name, text in GAUGES.items():
        yield _gauge(name, text, [(dict(counter.labels), counter.value) for counter in by_name.get(name, [])])
    ends = [(dict(counter.labels), counter.value - time.time()) for counter in by_name.get(EXPIRES, [])]
    yield _gauge("fixwright_credential_expires_seconds", "Until the credential ends that an instance of a host is called with.", ends)
    for name, text in HISTOGRAMS.items():
        yield _histogram(name, text, by_name)


def _histogram(name: str, text: str, by_name: dict[str, list[Counter]]) -> Metric:
    sums = by_name.get(f"{name}_sum", [])
    names = tuple(sorted({label for counter in sums for label in counter.labels}))
    family = HistogramMetricFamily(name, text, labels=names)
    for total in sums:
        mine = {
            counter.labels["le"]: counter.value
            for counter in by_name.get(f"{name}_bucket", [])
            if {label: value for label, value in counter.labels.items() if label != "le"} == total.labels
        }
        buckets = [(bound, mine.get(bound, 0.0)) for bound in (*(f"{bound:g}" for bound in BUCKETS), "+Inf")]
        family.add_metric([total.labels[label] for label in names], buckets, total.value)
    return family


def _machine(app: App) -> Iterator[Metric]:
    found = engines.status(app.settings.engines_dir)
    yield _gauge("fixwright_engine_present", "1 when an engine is installed.", [({"engine": e.name}, float(e.present)) for e in found])
    home = engines.environment_dir(app.settings.engines_dir)
    if home.exists():
        age = max(0.0, time.time() - home.stat().st_mtime)
        yield _gauge("fixwright_engines_age_seconds", "Since the engines and their rules were installed.", [({}, age)])
    yield _gauge("fixwright_disk_free_bytes", "Room on the disk of the state folder.", [({}, float(free_bytes(app.settings.state_dir)))])


def queue_trouble(app: App) -> str:
    """What is wrong with the queue, empty when it takes a wake-up, which does no harm."""
    try:
        app.jobs.wake()
    except QueueUnavailable as error:
        return error.message
    return ""


def _gauge(name: str, text: str, values: Iterable[tuple[dict[str, str], float]]) -> Metric:
    rows = list(values)
    names = tuple(sorted({label for labels, _ in rows for label in labels}))
    family = GaugeMetricFamily(name, text, labels=names)
    for labels, value in rows:
        family.add_metric([labels.get(label, "") for label in names], value)
    return family
