"""A host that fails, loses answers, hangs, lies or forbids: rows 21, 22 and 24 to 27."""

from __future__ import annotations

import json
import re
from collections import Counter
from itertools import pairwise

from tests.faults.lives import Life
from tests.faults.matrix import Run, fault
from tests.faults.meters import Memory
from tests.faults.stand import WORKERS
from tests.worlds.faults import Abort, Action, Delay, Status, Truncate, garbage

REVIEW_CALLS = {
    "pull request": ("GET", r"/pulls/\d+$"),
    "merge base": ("GET", "/compare/"),
    "check begun": ("POST", "/check-runs$"),
    "check ended": ("PATCH", r"/check-runs/\d+$"),
    "threads read": ("GET", r"/pulls/\d+/comments$"),
    "threads opened": ("POST", "/reviews$"),
    "conversation read": ("GET", r"/issues/\d+/comments$"),
    "git": ("*", r"[.]git/"),
}
FIX_CALLS = {
    "permission": ("GET", "/permission$"),
    "reaction": ("POST", "/reactions$"),
    "token": ("POST", "/access_tokens$"),
    "commit read": ("GET", "/git/commits/"),
    "tree read": ("GET", "/git/trees/"),
    "blob": ("POST", "/git/blobs$"),
    "tree": ("POST", "/git/trees$"),
    "commit": ("POST", "/git/commits$"),
    "branch read": ("GET", "/git/ref/"),
    "branch": ("POST", "/git/refs$"),
    "pulls read": ("GET", "/pulls$"),
    "pull request made": ("POST", "/pulls$"),
    "answer": ("POST", "/replies$"),
}
WRITES = ("check begun", "check ended", "threads opened")
FIX_WRITES = ("reaction", "branch", "pull request made", "answer")
TRIES = 5
"""Times that one call may be made while it fails."""
SOONEST = 1.0
"""Seconds that lie between two tries of one call."""
MB = 1 << 20
MOST_GROWN = 100 * MB
"""For an answer of 50 MB."""


def tried(run: Run, since: int, most: int) -> None:
    """Hold that nothing was asked more than `most` times, and nothing again at once (but of git, which several scans ask).

    A walk over the heads may ask for the same as the delivery does: each message is looked at by itself.
    """
    failures = run.stand.log().splitlines()
    asked: dict[tuple[str, str, str], list[float]] = {}
    for one in run.stand.host.world.asked[since:]:
        if one.status in (0, 500, 502, 503):
            asked.setdefault((one.method, one.path, one.query), []).append(one.at)
    for call, times in asked.items():
        failed = [line for line in failures if "message.failed" in line and f"{call[0]} {call[1]}" in line]
        messages = {found[0] for line in failed if (found := re.findall(r"message_id=(\w+)", line))}
        assert len(times) <= most * max(1, len(messages)), f"{call} was tried {len(times)} times"
        if len(messages) > 1:
            assert len(times) <= len(failed), f"{call} was asked {len(times)} times in {len(failed)} tries"
            continue
        soon = ".git/" not in call[1] and any(later - earlier < SOONEST for earlier, later in pairwise(times))
        assert not soon, f"{call} was tried again at once: {times}"


@fault(21, "the host answers 5xx, call by call", steps=tuple(REVIEW_CALLS))
def fails(run: Run) -> None:
    method, path = REVIEW_CALLS[run.step]
    since = len(run.stand.world.asked)
    run.stand.world.faults.add(method, path, Status(run.random.choice((500, 502, 503))), times=3)
    run.begin()
    run.stand.wait("three failures", lambda: not run.stand.world.faults.open)
    run.cured()
    run.stand.quiet()  # only then all that was asked is written down, and all that failed is in the log
    tried(run, since, TRIES)


def asked_to_fix(run: Run) -> Life:
    """A finished review, and somebody who wrote /fix."""
    life = run.begin()
    life.alike = None  # with the answer in its thread it is not alike any more
    run.stand.wait("threads", lambda: len(life.change.threads()) == len(run.alike.threads))
    run.stand.quiet()
    run.more.append(lambda: [] if len(life.fixes) == 1 else [f"{len(life.fixes)} fix pull requests"])
    run.more.append(lambda: [] if len(answers(life)) == 1 else [f"{len(answers(life))} answers"])
    return life


def answers(life: Life) -> list[str]:
    """What we said in its threads after their first words."""
    return life.change.replies()


@fault(21, "the host answers 5xx during a fix, call by call", steps=tuple(FIX_CALLS), quick=("pull request made",))
def fails_in_a_fix(run: Run) -> None:
    method, path = FIX_CALLS[run.step]
    life = asked_to_fix(run)
    since = len(run.stand.world.asked)
    if run.step == "token":  # a kept one would be good enough
        run.stand.world.github.tokens.revoke_all()
    run.stand.world.faults.add(method, path, Status(run.random.choice((500, 502, 503))), times=1)
    life.ask("/fix")
    run.stand.wait("a failure", lambda: not run.stand.world.faults.open)
    run.cured()
    run.stand.wait("an answer", lambda: answers(life))
    tried(run, since, TRIES)


@fault(22, "the host does it and its answer is lost", steps=WRITES, quick=("threads opened",))
def lost_answer(run: Run) -> None:
    method, path = REVIEW_CALLS[run.step]
    action = run.random.choice((Status(502, after_work=True), Abort(after_work=True)))
    run.stand.world.faults.add(method, path, action)
    run.begin()
    run.stand.wait("a lost answer", lambda: not run.stand.world.faults.open)
    run.cured()


@fault(22, "the host does it and its answer is lost, during a fix", steps=FIX_WRITES)
def lost_answer_in_a_fix(run: Run) -> None:
    method, path = FIX_CALLS[run.step]
    life = asked_to_fix(run)
    run.stand.world.faults.add(method, path, run.random.choice((Status(502, after_work=True), Abort(after_work=True))))
    life.ask("/fix")
    run.stand.wait("a lost answer", lambda: not run.stand.world.faults.open)
    run.cured()


@fault(24, "a slow host, a cut connection, half an answer", steps=("slow", "cut", "half"))
def sick(run: Run) -> None:
    actions: dict[str, Action] = {"slow": Delay(9.0), "cut": Abort(), "half": Truncate()}
    run.stand.world.faults.add("*", f"/repos/{run.stand.shop.full_name}/", actions[run.step], times=2)
    run.begin()
    run.stand.wait("two of them", lambda: not run.stand.world.faults.open)
    run.cured()


@fault(24, "a host that never answers one installation")
def hangs(run: Run) -> None:
    other = run.stand.repository("prompt", "neighbour")
    run.stand.world.faults.add("*", f"/repos/{run.stand.shop.full_name}/check-runs$", Delay(600.0), times=1)
    first = run.begin()
    neighbour = run.begin(other, alike=False)
    run.stand.wait("the neighbour's check", lambda: neighbour.finished, 20)
    assert not first.finished, "it was to hang"
    run.cured()


LIES = {
    "html": garbage(),
    "bad json": Status(200, b'{"number": 1, "head"'),
    "wrong types": Status(200, b'{"number": "one", "head": [], "base": null, "state": 7}'),
    "huge": Status(200, b"[" + b"0," * 25_000_000 + b"0]"),
    "deep": Status(200, b"[" * 200_000 + b"]" * 200_000),
    "a list": Status(200, json.dumps([1, 2, 3]).encode()),
}


@fault(25, "a host that answers 200 with nonsense", steps=tuple(LIES))
def lies(run: Run) -> None:
    stand = run.stand
    faults = stand.log().count("message.fault")
    stand.world.faults.add("GET", r"/pulls/\d+$", LIES[run.step], times=2)
    with Memory(stand.parts[name].pid for name in WORKERS) as memory:
        run.begin()
        stand.wait("two of them", lambda: not stand.world.faults.open)
        run.cured()
        stand.quiet()
    assert memory.grew < MOST_GROWN, f"a worker grew by {memory.grew // MB} MB"
    assert stand.log().count("message.fault") == faults, "an answer of the host was taken for a fault of ours"


RENEWALS = {"once": 4, "revoked": 8, "revoked before git": 8}
"""Tokens that may be asked for: one a kind of rights (there are four in a review); when all are refused, by each of two workers."""


@fault(26, "a token that is refused in the middle", steps=tuple(RENEWALS), quick=("revoked before git",))
def refused(run: Run) -> None:
    world, since = run.stand.world, len(run.stand.world.asked)
    if run.step == "once":
        world.faults.add("PATCH", r"/check-runs/\d+$", Status(401, b'{"message": "Bad credentials", "status": "401"}'))
        run.begin()
        run.stand.wait("a refusal", lambda: not world.faults.open)
    elif run.step == "revoked before git":
        world.github.tokens.revoke_all()
        run.begin()
    else:
        run.stand.engine.hold()
        run.begin()
        run.stand.wait("an engine at work", run.stand.engine.at_work)
        world.github.tokens.revoke_all()
        run.stand.engine.release()
    run.cured()

    def renewed() -> list[str]:
        """Each right is asked for once, or by two workers at once; nobody asks again and again."""
        tokens = [one for one in world.asked[since:] if one.path.endswith("/access_tokens")]
        return [] if 0 < len(tokens) <= RENEWALS[run.step] else [f"{len(tokens)} tokens were asked for"]

    run.more.append(renewed)


@fault(26, "an App key that is refused until somebody mends it")
def locked_out(run: Run) -> None:
    world = run.stand.world
    world.github.tokens.revoke_all()
    refusal = Status(401, b'{"message": "A JSON web token could not be decoded", "status": "401"}')
    world.faults.add("POST", "/access_tokens$", refusal, times=10_000)
    since = len(world.asked)
    run.begin()
    run.stand.wait("a refusal", lambda: any(one.path.endswith("/access_tokens") for one in world.asked[since:]))
    world.faults.clear()
    run.cured()


@fault(27, "a permission that was taken away")
def forbidden(run: Run) -> None:
    world, own = run.stand.world, run.stand.repository("forbidden", "stingy")
    installation = world.installation_of(own)
    assert installation is not None
    run.stand.engine.hold()
    run.begin(own, alike=False)
    run.stand.wait("an engine at work", run.stand.engine.at_work)
    granted = world.app.permissions
    world.grant(installation, {k: v for k, v in installation.permissions.items() if k != "pull_requests"})
    world.app.permissions = granted  # of this installation only: the rows after this one make others
    since = len(world.asked)
    run.stand.world.hooks.wait()
    run.stand.engine.release()
    run.cured()
    told = run.stand.log().count("code=HOST_FORBIDDEN")
    run.given_up += 1  # what would have been said in threads; a person is told
    run.more.append(lambda: [] if run.stand.log().count("code=HOST_FORBIDDEN") > told else ["the operator is not told"])

    def stormed() -> list[str]:
        mine = [one for one in world.asked[since:] if one.path.startswith(f"/repos/{own.full_name}/") and one.status == 403]
        often = Counter((one.method, one.path) for one in mine)
        return [f"asked again and again: {often}"] if often and max(often.values()) > 2 else []

    run.more.append(stormed)
