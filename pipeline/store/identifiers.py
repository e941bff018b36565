"""Identifiers of rows: opaque, unguessable enough, and in the order in which one process made them."""

from __future__ import annotations

import os
import threading
import time

_lock = threading.Lock()
_last = 0


def new_id() -> str:
    """32 hex digits: 56 bits of microseconds since 1970, 72 random bits.

    Strictly increasing within a process, so that messages of one transaction keep their order; near in time is near in the index.
    """
    global _last
    with _lock:
        _last = max(time.time_ns() // 1000, _last + 1)
        moment = _last
    return f"{moment:014x}{os.urandom(9).hex()}"


def id_at(moment: float) -> str:
    """What is less than every identifier made at or after a moment (seconds since 1970), by the clocks of who made them."""
    return f"{max(0, int(moment * 1e6)):014x}"
