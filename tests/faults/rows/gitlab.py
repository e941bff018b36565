"""GitLab that fails, loses answers, asks us to wait, or lies: rows 21 to 25 in its own words."""

from __future__ import annotations

import re
import time

from providers.gitlab.transport import READ
from tests.faults.gitlab import GitlabHost, of
from tests.faults.hosts import HostName
from tests.faults.lives import Life
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
UNNAMED = 60
"""Seconds that we wait when it does not say how long (`pipeline.limits.SECONDARY_WAIT`)."""
REFUSED_POSITION = b"""{"message": "400 Bad request - Note {:line_code=>[\"can't be blank\", \"must be a valid line code\"]}"}"""


def gitlab(run: Run) -> GitlabHost:
    """The host of a row of this file."""
    assert isinstance(run.stand.host, GitlabHost)
    return run.stand.host


def gitlab_project(run: Run, name: str, owner: str = "octo") -> Project:
    """One of the row's own."""
    return of(run.stand.new_home(name, owner))


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


@fault(22, "GitLab does it and its answer is lost", steps=WRITES, quick=("threads published",), hosts=ONLY)
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


@fault(23, "GitLab asks us to wait", steps=("retry-after", "reset", "without a time", "notes without a time"), hosts=ONLY)
def gitlab_limits(run: Run) -> None:
    """Its limits count by user: nothing at all is asked of it before the time has come. Those of notes count by themselves."""
    world, notes = run.stand.host.world, run.step.startswith("notes")
    wait = UNNAMED if run.step.endswith("without a time") else WAIT
    headers = {"retry-after": {"retry-after": str(WAIT)}, "reset": {"ratelimit-reset": str(int(time.time()) + WAIT)}}.get(run.step, {})
    run.stand.quiet()
    since = len(world.asked)
    method, path, _ = REVIEW_CALLS["threads published" if notes else "status begun"]
    world.faults.add(method, path, Status(429, b"Retry later\n", {"content-type": "text/plain", **headers}))
    life = run.begin()
    # A request is written down when it has been answered, a moment after its fault is used up.
    struck = run.stand.wait("a refusal", lambda: next((one.at for one in world.asked[since:] if one.status == 429), None))
    run.cured(time.monotonic() + wait)

    def early() -> list[str]:
        mine = [one for one in world.asked[since:] if "/api/v4/" in one.path and struck + 0.5 < one.at < struck + wait - 1]
        if notes:
            mine = [one for one in mine if one.method == "POST" and one.path.endswith(("/notes", "/bulk_publish", "/discussions"))]
        return [f"asked {one.at - struck:.1f} s after: {one.method} {one.path}" for one in mine]

    run.more.append(early)
    if notes:
        run.stand.wait("the verdict, which is no note", lambda: life.finished, wait / 2)
    time.sleep(max(0.0, run.since - time.monotonic()))


@fault(21, "GitLab refuses a position on the diff", steps=("one", "all"), quick=("one",), hosts=ONLY)
def gitlab_places_nothing(run: Run) -> None:
    """What has no thread stands in the note instead, and nothing is lost."""
    world = run.stand.host.world
    refusals = len(run.alike.threads) if run.step == "all" else 1
    refusal = Status(400, REFUSED_POSITION, {"content-type": "application/json"})
    world.faults.add("POST", "/draft_notes$", refusal, times=refusals)
    life = run.begin(alike=False)
    run.stand.wait("all refusals", lambda: not world.faults.open)
    run.cured()
    run.more.append(lambda: _told_elsewhere(run, life, len(run.alike.threads) - refusals))


def _told_elsewhere(run: Run, life: Life, threads: int) -> list[str]:
    there, page = {thread.path for thread in life.change.threads()}, "\n".join(life.change.pages())
    untold = [path for path, _ in run.alike.threads if path not in there and path not in page]
    return ([f"threads on {sorted(there)}, {threads} expected"] if len(there) != threads else []) + [
        f"{path} is not told" for path in untold
    ]


@fault(24, "a GitLab that never answers for one project", hosts=ONLY)
def gitlab_hangs(run: Run) -> None:
    mine, other = gitlab_project(run, "slow", "sleepers"), gitlab_project(run, "prompt", "neighbour")
    run.stand.host.world.faults.add("POST", rf"/projects/{mine.id}/statuses/", Delay(600.0))
    first = run.begin(mine, alike=False)
    run.stand.wait("a request that hangs", lambda: not run.stand.host.world.faults.open)
    begun = time.monotonic()
    neighbour = run.begin(other, alike=False)
    run.stand.wait("the neighbour's status", lambda: neighbour.finished, 20)
    assert not first.finished, "it was to hang"
    run.cured(begun + READ)  # until then it is not known to hang


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
