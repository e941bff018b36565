"""Values that no field of a payload has, for every field of one: what a host would never send, but whoever knows our secret can."""

from __future__ import annotations

from typing import Any

WEIRD: tuple[Any, ...] = (None, True, -1, 0, 2**63, 10**300, 1.5, "", "\x00", "x" * 70_000, "../../etc", [], {}, {"id": "1"})
