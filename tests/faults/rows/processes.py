"""Processes that die, stop and come back: rows 1 to 8."""

from __future__ import annotations

from tests.faults.matrix import KILLED, Run, fault
from tests.faults.points import Point

STEPS = {
    "event claimed": Point("pipeline.store.outbox:Outbox.claim", "return"),
    "check made, not noted": Point("providers.github.checks:ensure_check", "return"),
    "planned": Point("pipeline.stages.plan:start_review", "return"),
    "engine begins": Point("pipeline.sandbox.process:run_isolated", "call"),
    "engine ended": Point("pipeline.sandbox.process:run_isolated", "return"),
    "scanned": Point("pipeline.stages.scan:run_scan", "return"),
    "settled": Point("pipeline.stages.settle:settle_review", "return"),
    "check ended, not noted": Point("pipeline.stages.publish:_publish_head", "return"),
    "threads opened, not noted": Point("providers.github.threads:ensure_threads", "return"),
}


@fault(5, "a worker's child is killed at each step", steps=tuple(STEPS), quick=("planned",), within=KILLED)
def child_killed(run: Run) -> None:
    struck = run.strike(STEPS[run.step])
    run.begin_all()
    run.taken_over(struck())
