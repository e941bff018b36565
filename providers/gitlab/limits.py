"""How much we may ask of GitLab: `pipeline.limits` with GitLab's headers.

Sources: docs "Rate limits" (response headers; a limit counts by user, on GitLab.com 2,000 requests a minute), "Rate limits on note
creation" (300 a minute and user where the administrator set nothing else). How many is the administrator's choice, so that nothing is
counted here: the headers tell.
"""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.limits import Budget, Manners, number


def budget(headers: Mapping[str, str]) -> Budget | None:
    """The one of this minute. A server without limits says nothing."""
    left, most, reset = (number(headers.get(f"ratelimit-{name}")) for name in ("remaining", "limit", "reset"))
    return None if left is None or most is None or reset is None else Budget(left, most, reset)


MANNERS = Manners(
    provider="gitlab",
    host="GitLab",
    budget=budget,
    budget_word="budget of requests",
    created=(),
    created_word="notes",
    tripped="gitlab.breaker_open",
)
