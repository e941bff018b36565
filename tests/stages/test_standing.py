"""Our own standing at a host, once an hour: what was mended is told, and a credential that ends is warned of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families

from bot.cli.doctor import ending
from bot.cli.status import look
from bot.duties import tend_hosts
from bot.metrics import render
from bot.standing import troubles
from pipeline.errors import HostUnauthorized
from pipeline.model.setup import Diagnosis, Upkeep
from pipeline.ports import Configuration, HostMemory
from pipeline.tally import TALLY
from providers.local import LocalProvider
from tests.harness import Bench


class Tended(LocalProvider):
    """A host at which there is something to look after."""

    def __init__(self, look: Callable[[], Upkeep]) -> None:
        self._look = look
        self.hook_urls: list[str] = []

    def tend(self, configuration: Configuration, memory: HostMemory, hook_url: str) -> Upkeep:
        """What the test says; it may raise."""
        assert configuration.get("RECORD")
        assert memory.get("nothing") is None
        self.hook_urls.append(hook_url)
        return self._look()


def look_after(bench: Bench, look: Callable[[], Upkeep]) -> Tended:
    """The hourly duty, and what follows from it."""
    TALLY.drain()
    provider = Tended(look)
    bench.app.plugins = replace(bench.app.plugins, providers={"local": provider})
    assert tend_hosts(bench.app) == 1
    assert bench.work() == 1
    return provider


def metric(bench: Bench) -> list[tuple[dict[str, str], float]]:
    families = text_string_to_metric_families(render(bench.app).decode())
    samples = [sample for family in families for sample in family.samples]
    return [(sample.labels, sample.value) for sample in samples if sample.name == "fixwright_credential_expires_seconds"]


def test_what_was_mended_and_what_was_not_are_in_the_log(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    mended = Diagnosis("hook of acme/shop", "was switched off; it is on again", ok=True)
    left = Diagnosis("hook of acme/tool", "is switched off for good", ok=False, hint="run: fixwright local connect")
    provider = look_after(bench, lambda: Upkeep((mended, left)))
    assert provider.hook_urls == [f"{bench.app.settings.url}/webhooks/local"]
    told = {record.getMessage(): record for record in caplog.records if record.getMessage() in ("host.mended", "host.trouble")}
    assert (told["host.mended"].levelname, vars(told["host.mended"])["topic"]) == ("INFO", "hook of acme/shop")
    assert (told["host.trouble"].levelname, vars(told["host.trouble"])["hint"]) == ("WARNING", "run: fixwright local connect")
    assert metric(bench) == []


@pytest.mark.parametrize(("days", "warned"), [(13, True), (15, False), (-1, True)])
def test_a_credential_that_ends_is_warned_of_two_weeks_ahead(
    bench: Bench, caplog: pytest.LogCaptureFixture, days: int, warned: bool
) -> None:
    ends = datetime.now(UTC) + timedelta(days=days)
    look_after(bench, lambda: Upkeep(expires=ends))
    ((labels, seconds),) = metric(bench)
    assert labels == {"provider": "local", "instance": ""}
    assert seconds == pytest.approx(days * 86_400, abs=420)
    warnings = [vars(record)["days"] for record in caplog.records if record.getMessage() == "credential.expires"]
    assert warnings == ([max(0, days)] if warned else [])
    lines = list(ending(bench.app.database, "local", ""))
    assert [line.ok for line in lines] == [not warned]
    assert ("ended" if days < 0 else f"in {days} days") in lines[0].said


@pytest.mark.parametrize("days", [1, 3])
def test_days_are_counted_one_way_by_the_calendar(bench: Bench, caplog: pytest.LogCaptureFixture, days: int) -> None:
    """A token ends with the first moment of its day, as GitLab counts: in the evening before, that is tomorrow, and not in 0 days."""
    ends = datetime.combine(datetime.now(UTC).date() + timedelta(days=days), datetime.min.time(), UTC)
    look_after(bench, lambda: Upkeep(expires=ends))
    metric(bench)
    (line,) = ending(bench.app.database, "local", "")
    assert line.said.endswith("in 1 day" if days == 1 else f"in {days} days")
    assert [vars(record)["days"] for record in caplog.records if record.getMessage() == "credential.expires"] == [days]
    assert [one for one in troubles(bench.app) if line.said in one]


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ((), []),
        ((Diagnosis("hook", "was switched off; it is on again", ok=True),), []),
        ((Diagnosis("hook", "is gone", ok=False),), ["1 trouble at the last hourly look; see: fixwright doctor local"]),
    ],
)
def test_what_a_person_has_to_see_to_stands_in_the_status(bench: Bench, found: tuple[Diagnosis, ...], said: list[str]) -> None:
    title = look_after(bench, lambda: Upkeep(found)).title
    metric(bench)  # the store is told what was counted
    known = [f"{title}: {one}" for one in said]
    assert troubles(bench.app) == known
    assert [one for one in look(bench.app).troubles if "hourly look" in one] == known


def test_a_look_that_fails_is_told_and_waits_for_the_next_hour(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    def refused() -> Upkeep:
        raise HostUnauthorized("the token was revoked")

    look_after(bench, refused)
    assert [vars(r)["code"] for r in caplog.records if r.getMessage() == "host.not_tended"] == ["HOST_UNAUTHORIZED"]
    assert bench.work() == 0
    metric(bench)
    assert len(troubles(bench.app)) == 1


def test_the_provider_that_is_not_set_up_is_left_alone(bench: Bench) -> None:
    # GitHub is here as a plug-in, and has no settings.
    assert tend_hosts(bench.app) == 1
    assert tend_hosts(bench.app) == 1
    assert bench.work() == 1  # of two starts within a minute one is worked
