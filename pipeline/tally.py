"""Counting in a process, cheaply, until the store is told (`pipeline.store.counters`).

Workers fork for each message and end: what they counted must not end with them. Labels have few values each, and never the name of a
repository, a person or a file.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
"""Upper bounds in seconds of every histogram of ours; the last bucket of all is +Inf."""

Key = tuple[str, str]
"""Name and labels (JSON, sorted) of a number."""


@dataclass
class Tally:
    """Sums and latest values of one process. Safe to use from several threads."""

    _sums: dict[Key, float] = field(default_factory=dict)
    _latest: dict[Key, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, name: str, amount: float = 1.0, **labels: str) -> None:
        """Add to a counter."""
        with self._lock:
            self._plus((name, _labels(labels)), amount)

    def observe(self, name: str, seconds: float, **labels: str) -> None:
        """Add a duration to a histogram: `NAME_bucket` for each bound that holds it, `NAME_sum`, `NAME_count`."""
        with self._lock:
            for bound in BUCKETS:
                if seconds <= bound:
                    self._plus((f"{name}_bucket", _labels({**labels, "le": f"{bound:g}"})), 1.0)
            self._plus((f"{name}_bucket", _labels({**labels, "le": "+Inf"})), 1.0)
            self._plus((f"{name}_sum", _labels(labels)), seconds)
            self._plus((f"{name}_count", _labels(labels)), 1.0)

    def latest(self, name: str, value: float, **labels: str) -> None:
        """Set a gauge: the newest value counts."""
        with self._lock:
            self._latest[(name, _labels(labels))] = value

    def drain(self) -> tuple[dict[Key, float], dict[Key, float]]:
        """What was added since the last call, and the gauges that were set; both are empty afterwards."""
        with self._lock:
            sums, self._sums = self._sums, {}
            latest, self._latest = self._latest, {}
        return sums, latest

    def put_back(self, sums: Mapping[Key, float], latest: Mapping[Key, float]) -> None:
        """The store could not be told: keep it for the next time."""
        with self._lock:
            for key, amount in sums.items():
                self._plus(key, amount)
            self._latest = {**latest, **self._latest}

    def _plus(self, key: Key, amount: float) -> None:
        self._sums[key] = self._sums.get(key, 0.0) + amount


def _labels(labels: Mapping[str, str]) -> str:
    return json.dumps(labels, sort_keys=True, separators=(",", ":"))


TALLY = Tally()
"""The one of this process."""
