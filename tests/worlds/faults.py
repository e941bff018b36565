"""Failures on order: the next matching requests get one instead of, before or after their answer."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Status:
    """Answer with this status. `after_work`: what was asked is done all the same, which the caller cannot see."""

    code: int
    body: bytes = b'{"message": "Server Error"}'
    headers: Mapping[str, str] = field(default_factory=dict)
    after_work: bool = False


@dataclass(frozen=True, slots=True)
class Delay:
    """Wait before working, then answer properly."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Abort:
    """Cut the connection. `after_work`: once the work is done."""

    after_work: bool = False


@dataclass(frozen=True, slots=True)
class Truncate:
    """Work, announce the whole answer and send half of it."""


@dataclass(frozen=True, slots=True)
class Pack:
    """git alone: the answer stops after so many bytes of it, and the connection is cut after so many seconds of silence."""

    after: int
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Instead:
    """git alone: whatever commits are wanted, this one is sent, as a server that lies does it."""

    commit: str


def garbage(after_work: bool = False) -> Status:
    """200 with a page that is no JSON, as a proxy in between sends it."""
    return Status(200, b"<html><title>Bad gateway</title>", {"content-type": "text/html"}, after_work)


Action = Status | Delay | Abort | Truncate | Pack | Instead


@dataclass(slots=True)
class _Rule:
    method: str
    path: re.Pattern[str]
    times: int
    action: Action
    skip: int
    struck: bool = False


class Faults:
    """The orders that are still open."""

    def __init__(self) -> None:
        self._rules: list[_Rule] = []
        self._lock = threading.Lock()

    def add(self, method: str, path: str, action: Action, *, times: int = 1, skip: int = 0) -> None:
        """The next `times` requests by `method` (`*`: any) whose path matches the expression `path` get `action`.

        The first `skip` of them go through.
        """
        with self._lock:
            self._rules.append(_Rule(method.upper(), re.compile(path), times, action, skip))

    @property
    def open(self) -> bool:
        """True while an order has not been used up."""
        with self._lock:
            return any(rule.times > 0 for rule in self._rules)

    @property
    def untouched(self) -> list[str]:
        """Method and expression of each order that no request has met so far."""
        with self._lock:
            return [f"{rule.method} {rule.path.pattern}" for rule in self._rules if not rule.struck]

    def clear(self) -> None:
        """Drop all orders."""
        with self._lock:
            self._rules.clear()

    def take(self, method: str, path: str) -> Action | None:
        """The action for this request; it counts as used."""
        with self._lock:
            for rule in self._rules:
                if rule.times > 0 and rule.method in ("*", method.upper()) and rule.path.search(path):
                    if rule.skip > 0:
                        rule.skip -= 1
                        continue
                    rule.times -= 1
                    rule.struck = True
                    return rule.action
        return None
