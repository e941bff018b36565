"""GitLab's rate limits, by the world's clock.

Source: GitLab docs, "GitLab.com settings" (2,000 requests a minute for a user, 500 for an address without one, 60 notes a minute),
"User and IP rate limits" (headers, plain answer), "Rate limit on note creation", "Project webhooks API" (five tests or resends a minute).
"""

from __future__ import annotations

import threading
from collections import defaultdict
from dataclasses import dataclass
from email.utils import formatdate
from typing import Protocol

MINUTE = 60


class Clock(Protocol):
    """The world's time."""

    def seconds(self) -> float:
        """Since 1970."""


@dataclass(slots=True)
class Limits:
    """How much one caller may do in a minute. A test may lower them."""

    requests: int = 2_000
    unauthenticated: int = 500
    notes: int = 300
    hook_operations: int = 5


@dataclass(frozen=True, slots=True)
class Exceeded:
    """A request too many."""

    text: str
    json: bool
    """False for the limits in front of the application, which answer plain text."""
    headers: dict[str, str]


class Budget:
    """Counts what each caller did in the current minute: GitLab counts in fixed windows."""

    def __init__(self, clock: Clock) -> None:
        self.limits = Limits()
        self._clock = clock
        self._used: dict[tuple[str, str, int], int] = defaultdict(int)
        self._lock = threading.Lock()

    def spend(self, caller: str) -> Exceeded | None:
        """Count a request of `caller`, empty for nobody; says so when it is one too many."""
        name, most = self._general(caller)
        used, left = self._count(name, caller)
        if used <= most:
            return None
        return Exceeded("Retry later\n", False, self._headers(name, most, used, left) | {"retry-after": str(left)})

    def note(self, caller: str) -> Exceeded | None:
        """Count a note that is about to be written."""
        return self._application("notes_create", caller, self.limits.notes)

    def hook(self, caller: str, hook: int) -> Exceeded | None:
        """Count a test or a resend of a hook."""
        return self._application(f"hook {hook}", caller, self.limits.hook_operations)

    def headers(self, caller: str) -> dict[str, str]:
        """The budget as every answer shows it."""
        name, most = self._general(caller)
        now = int(self._clock.seconds())
        with self._lock:
            used = self._used[name, caller, now // MINUTE]
        return self._headers(name, most, used, MINUTE - now % MINUTE)

    def _general(self, caller: str) -> tuple[str, int]:
        limits = self.limits
        return ("throttle_authenticated_api", limits.requests) if caller else ("throttle_unauthenticated_api", limits.unauthenticated)

    def _application(self, name: str, caller: str, most: int) -> Exceeded | None:
        """Limits inside of the application: JSON, and no header says how long to wait."""
        used, _ = self._count(name, caller)
        return None if used <= most else Exceeded("This endpoint has been requested too many times. Try again later.", True, {})

    def _count(self, name: str, caller: str) -> tuple[int, int]:
        """How many there are now, and seconds until they are forgotten."""
        now = int(self._clock.seconds())
        with self._lock:
            self._used[name, caller, now // MINUTE] += 1
            return self._used[name, caller, now // MINUTE], MINUTE - now % MINUTE

    def _headers(self, name: str, most: int, used: int, left: int) -> dict[str, str]:
        reset = int(self._clock.seconds()) + left
        return {
            "ratelimit-name": name,
            "ratelimit-limit": str(most),
            "ratelimit-observed": str(used),
            "ratelimit-remaining": str(max(0, most - used)),
            "ratelimit-reset": str(reset),
            "ratelimit-resettime": formatdate(reset, usegmt=True),
        }
