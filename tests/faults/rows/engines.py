"""Engines that eat, hang and lie: rows 9 to 11. Each ends in a check that says so, and the next change is judged as ever."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.engines import PROGRAMS, processes
from tests.faults.lives import Life
from tests.faults.matrix import EVERY, Run, fault
from tests.faults.meters import Memory
from tests.faults.stand import WORKERS, Stand

FOUND = {"semgrep": "members/web.py", "betterleaks": "config/backup.py"}
"""In which file each engine finds what a change adds."""
MB = 1 << 20


def ended(run: Run, life: Life, seconds: float = 60.0) -> str:
    """Wait for the check of the newest head; what it says. It is not green, whatever the engine did."""
    run.stand.wait("a finished check", lambda: life.finished, seconds)
    run.stand.quiet()
    (check,) = life.checks
    assert check.conclusion == "failure", (check.conclusion, check.title)
    return f"{check.title}\n{check.summary}"


def honest_again(run: Run, life: Life) -> None:
    """The engines do as they are made to: the next push shows what it shows without any fault."""
    run.stand.engine.release()
    run.cured()
    life.alike = run.alike
    life.push()


def shown(life: Life) -> list[str]:
    """Files whose findings people see, in threads, as marks of the check or in the note that is its page; they are those written down."""
    seen = life.seen()
    told = {path for path, _ in seen.threads} | {path for path, _, _ in seen.annotations}
    told |= {path for path in FOUND.values() for page in life.change.pages() if f"`{path}:" in page}
    assert told == {path for _, path, _ in seen.findings}, seen
    return sorted(told)


@fault(9, "an engine eats memory without end", steps=tuple(PROGRAMS), hosts=EVERY)
def eats(run: Run) -> None:
    (other,) = set(PROGRAMS) - {run.step}
    run.stand.engine.misbehave(run.step, "exec tail /dev/zero")  # it keeps the end of a line that never ends
    with Memory(run.stand.parts[name].pid for name in WORKERS) as memory:
        life = run.begin(alike=False)
        said = ended(run, life)
    assert f"{run.step} ran out of memory" in said, said
    assert shown(life) == [FOUND[other]], "what the other engine found is kept"
    assert 500 * MB < memory.programs < 2_500 * MB, f"the engine held {memory.programs // MB} MB"
    honest_again(run, life)


SECONDS = 3.0
"""That an engine gets here; 120 by default."""
HANGS = {
    "hangs": "exec sleep {mark}",
    "ignores SIGTERM": "trap '' TERM INT HUP; while :; do sleep {mark}; done",
    "forks children": "trap '' TERM\nfor n in 1 2 3; do setsid sh -c 'trap \"\" TERM HUP; while :; do sleep {mark}; done' & done\n"
    "( ( sleep {mark} ) & ) ; sleep {mark}",
}


@contextmanager
def impatient(stand: Stand) -> Iterator[None]:
    """Workers that give an engine only SECONDS; afterwards others are started."""
    for name in WORKERS:
        stand.parts[name].stop()
    try:
        stand.start(*WORKERS, more={"FIXWRIGHT_ENGINE_SECONDS": str(SECONDS)})
        yield
    finally:
        for name in WORKERS:
            stand.parts[name].stop()


def marked(mark: str) -> list[int]:
    """Processes that sleep for exactly so long."""
    return [pid for pid, arguments in processes() if arguments[:1] == ["sleep"] and mark in arguments]


@fault(10, "an engine does not end", steps=tuple(HANGS))
def does_not_end(run: Run) -> None:
    mark = f"7{run.random.randrange(10**6, 10**7)}"
    with impatient(run.stand):
        run.stand.engine.misbehave("betterleaks", HANGS[run.step].format(mark=mark))
        life = run.begin(alike=False)
        run.stand.wait("an engine that hangs", lambda: marked(mark), 30)
        begun, most = time.monotonic(), 0
        while (alive := marked(mark)) and time.monotonic() - begun < 30:
            most = max(most, len(alive))
            time.sleep(0.02)
        took = time.monotonic() - begun
        assert took <= SECONDS + 2, f"it was there for {took:.1f} s"
        assert most == (5 if run.step == "forks children" else 1), f"{most} processes"
        said = ended(run, life)
        assert "betterleaks timed out" in said, said
        assert shown(life) == [FOUND["semgrep"]], "what the other engine found is kept"
    run.stand.engine.release()
    run.stand.start()
    honest_again(run, life)


ANSWERS = {
    "garbage": "echo '{\"results\": 7'; exit 0",
    "1 GB": "exec head -c 1073741824 /dev/zero",
    "invalid UTF-8": "printf '\\377\\376\\375\\n'; exit 0",
    "nothing": "exit 0",
    "that it saw no file": 'case "$0" in *osemgrep) printf \'{"version":"1","results":[],"errors":[],"paths":{"scanned":[]}}\' ;;\n'
    '*) printf \'{"scan":{"state":"complete","bytes_scanned":0,"num_findings":0}}\' ;; esac; exit 0',
}
MOST_GROWN = 300 * MB
"""For an answer of 1 GB: 64 MB of each output are kept at most, once while it is collected and once as the answer."""


@fault(11, "the engines answer nonsense and exit with 0", steps=tuple(ANSWERS), hosts=EVERY)
def nonsense(run: Run) -> None:
    for engine in PROGRAMS:
        run.stand.engine.misbehave(engine, ANSWERS[run.step])
    with Memory(run.stand.parts[name].pid for name in WORKERS) as memory:
        life = run.begin(alike=False)
        said = ended(run, life)
    assert said.startswith("Could not check"), said
    assert all(engine in said for engine in PROGRAMS), said
    assert "no findings" not in said.lower()
    assert shown(life) == []
    assert memory.grew < MOST_GROWN, f"a worker grew by {memory.grew // MB} MB"
    honest_again(run, life)
