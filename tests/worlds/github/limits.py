"""GitHub's rate limits, by the world's clock.

Source: REST, "Rate limits for the REST API": 5,000 requests an hour and installation; 900 points a minute, where reading costs 1 and
writing 5; about 80 requests a minute and 500 an hour that create content.
"""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass

from tests.worlds.github.call import Refused
from tests.worlds.github.state import State

_SECONDARY = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
_CREATES = ("/comments", "/replies", "/reviews", "/pulls")


@dataclass(slots=True)
class Limits:
    """How much one caller may do. A test may lower them."""

    per_hour: int = 5000
    points_a_minute: int = 900
    creations_a_minute: int = 80
    creations_an_hour: int = 500


class _Window:
    """Costs of the last while."""

    def __init__(self) -> None:
        self._spent: deque[tuple[float, int]] = deque()

    def total(self, now: float, seconds: float) -> int:
        while self._spent and self._spent[0][0] <= now - 3600:
            self._spent.popleft()
        return sum(cost for at, cost in self._spent if at > now - seconds)

    def oldest(self, now: float, seconds: float) -> float:
        return min((at for at, _ in self._spent if at > now - seconds), default=now)

    def add(self, now: float, cost: int) -> None:
        self._spent.append((now, cost))


class Budget:
    """Counts what each caller did."""

    def __init__(self, state: State) -> None:
        self.limits = Limits()
        self._state = state
        self._used: dict[tuple[str, int], int] = defaultdict(int)
        self._points: dict[str, _Window] = defaultdict(_Window)
        self._creations: dict[str, _Window] = defaultdict(_Window)
        self._lock = threading.Lock()

    def spend(self, caller: str, method: str, path: str) -> None:
        """Count a request. Raises Refused when it is one too many; that one is not counted as work."""
        with self._lock:
            now = self._state.seconds()
            if self._used[caller, int(now // 3600)] >= self.limits.per_hour:
                raise Refused(403, f"API rate limit exceeded for {caller}.")
            creates = method == "POST" and path.endswith(_CREATES)
            for window, seconds, cost, most in self._rules(caller, method, creates=creates):
                if window.total(now, seconds) + cost > most:
                    wait = max(1, int(window.oldest(now, seconds) + seconds - now) + 1)
                    raise Refused(403, _SECONDARY, headers={"retry-after": str(wait)})
            self._points[caller].add(now, 1 if method in ("GET", "HEAD") else 5)
            if creates:
                self._creations[caller].add(now, 1)

    def _rules(self, caller: str, method: str, *, creates: bool) -> Iterator[tuple[_Window, float, int, int]]:
        yield self._points[caller], 60, 1 if method in ("GET", "HEAD") else 5, self.limits.points_a_minute
        if creates:
            yield self._creations[caller], 60, 1, self.limits.creations_a_minute
            yield self._creations[caller], 3600, 1, self.limits.creations_an_hour

    def headers(self, caller: str, *, free: bool) -> dict[str, str]:
        """Count the answer and show the budget; a 304 costs nothing (REST, "Best practices", conditional requests)."""
        hour = int(self._state.seconds() // 3600)
        with self._lock:
            self._used[caller, hour] += 0 if free else 1
            used = min(self._used[caller, hour], self.limits.per_hour)
        return {
            "x-ratelimit-limit": str(self.limits.per_hour),
            "x-ratelimit-remaining": str(self.limits.per_hour - used),
            "x-ratelimit-used": str(used),
            "x-ratelimit-reset": str((hour + 1) * 3600),
            "x-ratelimit-resource": "core",
        }
