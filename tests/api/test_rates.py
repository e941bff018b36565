"""Calls in a minute: counted for all web processes together, and by each alone while there is nothing to count in together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.api import ratelimit
from bot.api.ratelimit import RateLimits, SharedCounts
from bot.embedded import open_queue
from bot.settings import Settings, read_settings

ALLOWED = 40


class Web:
    """A web process, as far as it counts."""

    def __init__(self, url: str, moment: list[float]) -> None:
        self.shared = SharedCounts(url)
        self.rates = RateLimits(5, self.shared, clock=lambda: moment[0])
        self.rates.knows("a key", ALLOWED)

    async def take(self) -> int:
        """What is left after a call; -1: it was refused."""
        left = await self.rates.take("a key", "10.0.0.1")
        return left.remaining if left.allowed else -1


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    made = read_settings({"FIXWRIGHT_STATE_DIR": str(tmp_path / "state")})
    made.state_dir.mkdir()
    yield made


def test_two_web_processes_count_together(settings: Settings) -> None:
    queue, moment = open_queue(settings), [600.0]

    async def run() -> None:
        webs = [Web(queue.url, moment) for _ in range(2)]
        assert [await webs[number % 2].take() for number in range(10)] == list(range(39, 29, -1))
        rest = await asyncio.gather(*(webs[number % 2].take() for number in range(60)))
        assert sorted(one for one in rest if one >= 0) == list(range(30)), "each place is given once"
        assert rest.count(-1) == 30
        moment[0] += ratelimit.WINDOW
        assert [await web.take() for web in webs] == [39, 38]
        for web in webs:
            await web.shared.close()

    try:
        asyncio.run(run())
    finally:
        assert queue.service is not None
        queue.service.stop()


def test_while_redis_is_away_each_goes_on_from_where_it_was_and_says_so_once(
    settings: Settings, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ratelimit, "APART", 0.0)
    queue, moment = open_queue(settings), [600.0]

    async def run() -> None:
        first, second = (Web(queue.url, moment) for _ in range(2))
        assert [await one.take() for one in (first, first, second)] == [39, 38, 37]
        assert queue.service is not None
        queue.service.stop()
        assert [await one.take() for one in (first, first, second)] == [37, 36, 36]
        again = open_queue(settings)
        try:
            together = await first.take()
            assert await second.take() == together - 1
        finally:
            await first.shared.close()
            await second.shared.close()
            assert again.service is not None
            again.service.stop()

    with caplog.at_level(logging.WARNING):
        asyncio.run(run())
    assert [record.message for record in caplog.records if record.name == "bot.api.ratelimit"] == ["api.calls_apart"] * 2


def test_without_redis_a_process_counts_alone(settings: Settings) -> None:
    moment = [600.0]

    async def run() -> None:
        first, second = (Web("", moment) for _ in range(2))
        assert [await one.take() for one in (first, first, second)] == [39, 38, 39]
        assert (await first.rates.take("another", "10.0.0.2")).limit == 5

    asyncio.run(run())
