"""How much we may ask of GitHub: `pipeline.limits` with GitHub's numbers.

Sources: docs "Rate limits for the REST API" (Retry-After first; else at least a minute, then longer and longer; about 80 requests a minute
and 500 an hour that create content) and "Best practices for using the REST API" (writes one after the other; who goes on calling while
limited may be banned).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from pipeline import limits
from pipeline.limits import Budget, Manners, number
from pipeline.ports import HostMemory

CREATED_A_MINUTE, CREATED_AN_HOUR = 80, 500
CREATES = ("/comments", "/replies", "/reviews", "/pulls")
"""Ends of addresses to which a POST creates content."""


def budget(headers: Mapping[str, str]) -> Budget | None:
    """The hourly one of REST. An enterprise server without limits says nothing."""
    left, most = number(headers.get("x-ratelimit-remaining")), number(headers.get("x-ratelimit-limit"))
    reset = number(headers.get("x-ratelimit-reset"))
    if left is None or most is None or reset is None or headers.get("x-ratelimit-resource", "core") != "core":
        return None
    return Budget(left, most, reset)


MANNERS = Manners(
    provider="github",
    host="GitHub",
    budget=budget,
    budget_word="hourly budget",
    created=((CREATED_A_MINUTE, 60.0), (CREATED_AN_HOUR, 3_600.0)),
    created_word="comments, reviews and pull requests",
    tripped="github.breaker_open",
)


class Limits(limits.Limits):
    """The limits of one installation, and the breaker of its instance."""

    def __init__(
        self,
        memory: HostMemory,
        site: str,
        installation: str,
        *,
        clock: Callable[[], float],
        patient: bool = False,
        open_seconds: float = limits.OPEN_SECONDS,
    ) -> None:
        super().__init__(MANNERS, memory, site, installation, clock=clock, patient=patient, open_seconds=open_seconds)

    @contextmanager
    def writing(self, method: str, address: str) -> Iterator[None]:
        """Nobody else of the installation writes inside of it. Raises RateLimited when too much was created lately."""
        with self.alone(creates=method == "POST" and address.partition("?")[0].endswith(CREATES)):
            yield
