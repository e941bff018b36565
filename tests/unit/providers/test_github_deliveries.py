"""Which deliveries GitHub is asked to send again."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx
import pytest

from providers.github.provider import GitHubProvider
from tests.unit.providers.github_wire import APP_ID, Memory, Wire, private_key


@pytest.mark.parametrize(
    ("status", "redelivery", "asked"),
    [
        (503, False, True),
        (503, True, True),
        (401, True, True),
        (0, True, True),
        (400, False, True),
        (400, True, False),
        (413, True, False),
    ],
)
def test_what_we_refused_twice_for_what_it_is_is_not_asked_for_a_third_time(status: int, redelivery: bool, asked: bool) -> None:
    """Each attempt is a new entry of the list: it would be asked for every hour, for good."""
    attempt = {
        "id": 9,
        "guid": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
        "delivered_at": "2026-11-22T03:00:00Z",
        "redelivery": redelivery,
        "status": "Invalid HTTP Response",
        "status_code": status,
    }
    wire = Wire(lambda seen: httpx.Response(200, json=[attempt]) if seen.path == "/app/hook/deliveries" else None)
    provider = GitHubProvider(open_client=wire.open, clock=wire.clock)
    configuration = {"APP_ID": APP_ID, "PRIVATE_KEY": private_key()}
    missed = list(provider.missed(configuration, Memory(wire.clock), datetime(2026, 11, 21, tzinfo=UTC)))
    assert [one.id for one in missed] == (["9"] if asked else [])
