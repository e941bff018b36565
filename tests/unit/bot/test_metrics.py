"""/metrics: what Prometheus reads, from the store, for those who may."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample
from starlette.testclient import TestClient

from bot.asgi import make_asgi
from bot.metrics import COUNTERS, GAUGES, HISTOGRAMS, render
from bot.pulse import tell
from bot.settings import read_settings
from bot.wiring import App, wire
from pipeline.messages import BATCH, INTERACTIVE, Envelope, SettleReview
from pipeline.model.ids import ReviewId
from pipeline.model.target import SourceRepository
from pipeline.tally import TALLY

TOKEN = "a token of this " + "test"


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    made = _wire(tmp_path)
    made.database.migrate()
    TALLY.drain()
    yield made
    TALLY.drain()
    made.database.dispose()


def _wire(tmp_path: Path, **environment: str) -> App:
    folders = {"FIXWRIGHT_STATE_DIR": str(tmp_path / "state"), "FIXWRIGHT_ENGINES_DIR": str(tmp_path / "engines")}
    return wire(read_settings(folders | environment), f"unix://{tmp_path / 'no-queue.sock'}")


def _samples(app: App) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """As the official parser reads them."""
    found: list[Sample] = [sample for family in text_string_to_metric_families(render(app).decode()) for sample in family.samples]
    return {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for sample in found}


def test_what_several_processes_counted_is_one_number(app: App) -> None:
    for _ in range(2):
        TALLY.add("fixwright_reviews_total", conclusion="failure")
        TALLY.observe("fixwright_scan_seconds", 0.3, engine="semgrep")
        tell(app.database)  # as a worker does before it ends
    samples = _samples(app)
    assert samples["fixwright_reviews_total", (("conclusion", "failure"),)] == 2
    assert samples["fixwright_scan_seconds_bucket", (("engine", "semgrep"), ("le", "0.25"))] == 0
    assert samples["fixwright_scan_seconds_bucket", (("engine", "semgrep"), ("le", "0.5"))] == 2
    assert samples["fixwright_scan_seconds_bucket", (("engine", "semgrep"), ("le", "+Inf"))] == 2
    assert samples["fixwright_scan_seconds_count", (("engine", "semgrep"),)] == 2
    assert samples["fixwright_scan_seconds_sum", (("engine", "semgrep"),)] == pytest.approx(0.6)


def test_the_backlog_is_told_by_priority_and_only_what_is_due_counts(app: App) -> None:
    with app.database.work() as work:
        for number, (priority, delay) in enumerate([(INTERACTIVE, 0.0), (BATCH, 0.0), (BATCH, 0.0), (BATCH, 3600.0)]):
            work.outbox.send(Envelope(SettleReview(ReviewId(str(number))), str(number), priority=priority, delay=delay))
    with app.database.read() as work:
        first = work.outbox.publishable(1)[0].message_id
    with app.database.work() as work:
        claimed = work.outbox.claim(first, "a worker")
        assert claimed is not None
        work.outbox.fail(first, claimed.epoch, error_code="GIVEN_UP", retry_in=None)
        work.deliveries.count("github", "push", "accepted", 3)
    samples = _samples(app)
    assert samples["fixwright_queue_waiting", (("priority", "interactive"),)] == 0
    assert samples["fixwright_queue_waiting", (("priority", "batch"),)] == 2
    assert samples["fixwright_queue_later", (("priority", "batch"),)] == 1
    assert samples["fixwright_dead_letters", ()] == 1
    assert samples["fixwright_deliveries_total", (("event", "push"), ("outcome", "accepted"), ("provider", "github"))] == 3
    assert samples["fixwright_database_up", ()] == 1
    assert samples["fixwright_queue_up", ()] == 0


def test_a_database_that_is_away_is_a_number_and_no_error(tmp_path: Path) -> None:
    app = _wire(tmp_path)  # never migrated: no table is there
    samples = _samples(app)
    assert samples["fixwright_database_up", ()] == 0
    app.database.dispose()


def test_what_the_database_could_not_be_told_is_told_the_next_time(tmp_path: Path) -> None:
    app = _wire(tmp_path)
    TALLY.drain()
    TALLY.add("fixwright_reviews_total", conclusion="success")
    tell(app.database)
    app.database.migrate()
    tell(app.database)
    assert _samples(app)["fixwright_reviews_total", (("conclusion", "success"),)] == 1
    app.database.dispose()


def test_no_label_names_a_repository(app: App) -> None:
    with app.database.work() as work:
        work.installations.upsert_repository(SourceRepository("github", "", "1", "canarybird/shop", "main", "https://x.example/s.git"))
    assert b"canarybird" not in render(app)


def _status(app: App, host: str, headers: dict[str, str]) -> int:
    with TestClient(make_asgi(app), "http://127.0.0.1:8080", client=(host, 4000)) as client:
        return int(client.get("/metrics", headers=headers).status_code)


@pytest.mark.parametrize(
    ("host", "headers", "expected"),
    [
        ("127.0.0.1", {}, 200),
        ("::1", {}, 200),
        ("203.0.113.9", {}, 404),
        ("127.0.0.1", {"X-Forwarded-For": "203.0.113.9"}, 404),
        ("127.0.0.1", {"Forwarded": "for=203.0.113.9"}, 404),
        ("127.0.0.1", {"X-Forwarded-Proto": "https"}, 404),
        ("127.0.0.1", {"Via": "1.1 proxy"}, 404),
        ("127.0.0.1", {"Host": "localhost:8080"}, 200),
        ("127.0.0.1", {"Host": "[::1]:8080"}, 200),
        ("127.0.0.1", {"Host": "rebound.example"}, 404),
    ],
)
def test_without_a_token_only_this_machine_may_read(app: App, host: str, headers: dict[str, str], expected: int) -> None:
    assert _status(app, host, headers) == expected


@pytest.mark.parametrize(("given", "expected"), [(f"Bearer {TOKEN}", 200), ("Bearer wrong", 404), ("", 404)])
def test_with_a_token_it_is_the_token_that_counts(tmp_path: Path, given: str, expected: int) -> None:
    app = _wire(tmp_path, FIXWRIGHT_METRICS_TOKEN=TOKEN)
    app.database.migrate()
    assert _status(app, "203.0.113.9", {"Authorization": given}) == expected
    assert _status(app, "127.0.0.1", {"Authorization": given}) == expected
    app.database.dispose()


def test_the_documented_metrics_are_those_that_exist(app: App) -> None:
    page = (Path(__file__).parents[3] / "docs" / "operations.md").read_text("utf-8")
    shown = {line.split()[2] for line in render(app).decode().splitlines() if line.startswith("# HELP")}
    shown |= {*COUNTERS, *GAUGES, *HISTOGRAMS}
    assert [name for name in sorted(shown) if f"`{name}`" not in page] == []
