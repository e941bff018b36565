"""A host that asks us to wait: row 23."""

from __future__ import annotations

import time

from tests.faults.matrix import Run, fault
from tests.worlds.faults import Status
from tests.worlds.github.faults import primary_limit, secondary_limit

WAIT = 6


@fault(23, "the host asks us to wait", steps=("retry-after", "too many", "budget used up"), quick=("retry-after",))
def limited(run: Run) -> None:
    """Nothing is asked in the name of that installation before the time has come."""
    world, own = run.stand.world, run.stand.repository(f"limited-{run.step.replace(' ', '-')}", f"owner-{run.step.replace(' ', '-')}")
    actions = {
        "retry-after": secondary_limit(WAIT),
        "too many": Status(429, b'{"message": "Too many requests", "status": "429"}', {"retry-after": str(WAIT)}),
        "budget used up": primary_limit(int(time.time()) + WAIT),
    }
    run.stand.quiet()
    since = len(world.asked)
    world.faults.add("POST", f"{own.full_name}/check-runs$", actions[run.step])
    run.begin(own, alike=False)
    # A request is written down when it has been answered, a moment after its fault is used up.
    struck = run.stand.wait("a refusal", lambda: next((one.at for one in world.asked[since:] if one.status in (403, 429)), None))
    until = struck + WAIT - 1  # what is asked at the same moment has left before the answer was there
    run.cured(time.monotonic() + WAIT)

    def early() -> list[str]:
        mine = [one for one in world.asked[since:] if one.path.startswith(f"/repos/{own.full_name}/")]
        return [f"asked {one.at - struck:.1f} s after: {one.method} {one.path}" for one in mine if struck + 0.5 < one.at < until]

    run.more.append(early)
