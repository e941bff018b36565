"""GitLab that fails, loses answers, asks us to wait, lies or does not know us any more: rows 21 to 26 in its own words."""

from __future__ import annotations

import re
import time

from tests.faults.gitlab import GitlabHost, of
from tests.faults.hosts import HostName
from tests.faults.matrix import Run, fault
from tests.faults.meters import Memory
from tests.faults.rows.host import LIES, MOST_GROWN, answers, asked_to_fix
from tests.faults.stand import WORKERS
from tests.worlds.faults import Abort, Action, Delay, Status, Truncate
from tests.worlds.gitlab.model import Project

ONLY: tuple[HostName, ...] = ("gitlab",)
REVIEW_CALLS = {
    "merge request": ("GET", r"/merge_requests/\d+$", 0),
    "target branch": ("GET", "/repository/branches/main$", 0),
    "status begun": ("POST", r"/statuses/\w+$", 0),
    "status ended": ("POST", r"/statuses/\w+$", 1),
    "discussions read": ("GET", "/discussions$", 0),
    "versions read": ("GET", "/versions$", 0),
    "thread drafted": ("POST", "/draft_notes$", 0),
    "threads published": ("POST", "/bulk_publish$", 0),
    "note": ("POST", r"/merge_requests/\d+/notes$", 0),
    "git": ("*", r"[.]git/", 0),
}
"""Method, path, and how many go through before."""
FIX_CALLS = {
    "permission": ("GET", r"/members/all/\d+$"),
    "reaction": ("POST", "/award_emoji$"),
    "tree read": ("GET", "/repository/tree$"),
    "branch": ("POST", "/repository/commits$"),
    "merge requests read": ("GET", "/merge_requests$"),
    "merge request made": ("POST", "/merge_requests$"),
    "answer": ("POST", r"/discussions/\w+/notes$"),
}
WRITES = ("status begun", "status ended", "thread drafted", "threads published", "note")
FIX_WRITES = ("reaction", "branch", "merge request made", "answer")
WAIT = 6
"""Seconds that GitLab asks us to wait."""
EXPIRED = b'{"error": "invalid_token", "error_description": "Token is expired. You can either do re-authorization or token refresh."}'


def gitlab(run: Run) -> GitlabHost:
    """The host of a row of this file."""
    assert isinstance(run.stand.host, GitlabHost)
    return run.stand.host


def gitlab_project(run: Run, name: str) -> Project:
    """One of the row's own."""
    return of(run.stand.new_home(name))


def failed(run: Run) -> list[str]:
    """Identity of the message of each failure so far."""
    return re.findall(r"message\.failed .*?message_id=(\w+)", run.stand.log())


def patient(run: Run, since: int, before: int) -> None:
    """Hold that no message asked again before it had failed and waited: there are no more failures at GitLab than failures of messages.

    What fails and is left (a reaction) is one at most; git is asked by several scans.
    """
    asked = [one for one in run.stand.host.world.asked[since:] if one.status >= 500 and ".git/" not in one.path]
    failures = len(failed(run)) - before
    assert len(asked) <= max(1, failures), f"{len(asked)} requests failed, and messages failed {failures} times"


@fault(21, "GitLab answers 5xx, call by call", steps=tuple(REVIEW_CALLS), hosts=ONLY)
def gitlab_fails(run: Run) -> None:
    (method, path, skip), world = REVIEW_CALLS[run.step], run.stand.host.world
    since, before = len(world.asked), len(failed(run))
    # A review is published once: then its threads are opened one by one.
    times = 1 if run.step == "threads published" else 3
    world.faults.add(method, path, Status(run.random.choice((500, 502, 503))), times=times, skip=skip)
    run.begin()
    run.stand.wait("all failures", lambda: not world.faults.open)
    run.cured()
    run.stand.quiet()
    patient(run, since, before)


@fault(21, "GitLab answers 5xx during a fix, call by call", steps=tuple(FIX_CALLS), hosts=ONLY)
def gitlab_fails_in_a_fix(run: Run) -> None:
    (method, path), world = FIX_CALLS[run.step], run.stand.host.world
    life = asked_to_fix(run)
    since, before = len(world.asked), len(failed(run))
    world.faults.add(method, path, Status(run.random.choice((500, 502, 503))))
    life.ask("/fix")
    run.stand.wait("a failure", lambda: not world.faults.open)
    run.cured()
    run.stand.wait("an answer", lambda: answers(life))
    patient(run, since, before)


@fault(22, "GitLab does it and its answer is lost", steps=WRITES, hosts=ONLY)
def gitlab_loses_its_answer(run: Run) -> None:
    """A status that is set twice is refused with 400, which is no failure of ours."""
    (method, path, skip), faults = REVIEW_CALLS[run.step], run.stand.host.world.faults
    faults.add(method, path, run.random.choice((Status(502, after_work=True), Abort(after_work=True))), skip=skip)
    run.begin()
    run.stand.wait("a lost answer", lambda: not faults.open)
    run.cured()


@fault(22, "GitLab does it and its answer is lost, during a fix", steps=FIX_WRITES, hosts=ONLY)
def gitlab_loses_its_answer_in_a_fix(run: Run) -> None:
    (method, path), faults = FIX_CALLS[run.step], run.stand.host.world.faults
    life = asked_to_fix(run)
    faults.add(method, path, run.random.choice((Status(502, after_work=True), Abort(after_work=True))))
    life.ask("/fix")
    run.stand.wait("a lost answer", lambda: not faults.open)
    run.cured()


@fault(23, "GitLab asks us to wait", steps=("retry-after",), hosts=ONLY)
def gitlab_limits(run: Run) -> None:
    """Its limits count by user: nothing at all is asked of it before the time has come."""
    world = run.stand.host.world
    run.stand.quiet()
    since = len(world.asked)
    world.faults.add("POST", r"/statuses/\w+$", Status(429, b"Retry later\n", {"content-type": "text/plain", "retry-after": str(WAIT)}))
    run.begin()
    run.stand.wait("a refusal", lambda: not world.faults.open)
    struck = next(one.at for one in world.asked[since:] if one.status == 429)
    run.cured(time.monotonic() + WAIT)

    def early() -> list[str]:
        mine = [one for one in world.asked[since:] if "/api/v4/" in one.path and struck + 0.5 < one.at < struck + WAIT - 1]
        return [f"asked {one.at - struck:.1f} s after: {one.method} {one.path}" for one in mine]

    run.more.append(early)


@fault(24, "a slow GitLab, a cut connection, half an answer", steps=("slow", "cut", "half"), hosts=ONLY)
def gitlab_is_sick(run: Run) -> None:
    actions: dict[str, Action] = {"slow": Delay(9.0), "cut": Abort(), "half": Truncate()}
    faults = run.stand.host.world.faults
    faults.add("*", r"/api/v4/projects/\d+/", actions[run.step], times=2)
    run.begin()
    run.stand.wait("two of them", lambda: not faults.open)
    run.cured()


@fault(25, "GitLab answers 200 with nonsense", steps=tuple(LIES), hosts=ONLY)
def gitlab_lies(run: Run) -> None:
    stand, faulty = run.stand, run.stand.host.world.faults
    before = stand.log().count("message.fault")
    faulty.add("GET", r"/merge_requests/\d+$", LIES[run.step], times=2)
    with Memory(stand.parts[name].pid for name in WORKERS) as memory:
        run.begin()
        stand.wait("two of them", lambda: not faulty.open)
        run.cured()
        stand.quiet()
    assert memory.grew < MOST_GROWN, f"a worker grew by {memory.grew >> 20} MB"
    assert stand.log().count("message.fault") == before, "an answer of GitLab was taken for a fault of ours"


@fault(26, "a token of GitLab that has expired, until somebody mends it", hosts=ONLY)
def gitlab_expired(run: Run) -> None:
    world = run.stand.host.world
    refusal = Status(401, EXPIRED, {"content-type": "application/json"})
    world.faults.add("*", "/api/v4/", refusal, times=10_000)
    since = len(world.asked)
    run.begin()
    run.stand.wait("a refusal", lambda: any(one.status == 401 for one in world.asked[since:]))
    world.faults.clear()
    run.cured()


@fault(42, "a project of GitLab moves in the middle of a scan", steps=("renamed", "public"), hosts=ONLY)
def gitlab_moves(run: Run) -> None:
    host, stand = gitlab(run), run.stand
    own = gitlab_project(run, f"moving-{run.step}")
    stand.engine.hold()
    run.begin(own, alike=False)
    stand.wait("an engine at work", stand.engine.at_work)
    if run.step == "renamed":
        host.world.rename_project(own, "another-name")
    else:
        host.world.set_visibility(own, "public")
    stand.hooks.wait()
    stand.wait("what was said to be understood", lambda: stand.unfinished("accept_event") == 0)
    stand.engine.release()
    run.cured()
