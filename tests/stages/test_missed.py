"""Deliveries that came while nobody was there: each change gets its verdict after the start, once."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from sqlalchemy import select

from bot.asgi import make_asgi
from bot.duties import ask_for_missed
from bot.jobs import NoQueue, Relay
from bot.worker import work_message
from pipeline.messages import BATCH, Envelope, Reconcile
from pipeline.store.publishing import RELEASE_SECONDS
from pipeline.store.tables import outbox
from tests.stages.github import GithubBench, app_key
from tests.worlds import faults
from tests.worlds.github.faults import secondary_limit
from tests.worlds.github.world import GithubWorld

CHANGES = 10


@contextmanager
def web(github: GithubBench) -> Iterator[None]:
    """Our web process answers, at an address that GitHub knows."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(make_asgi(github.app), log_level="critical"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.005)
    github.world.webhook_url = f"http://127.0.0.1:{listener.getsockname()[1]}/webhooks/github"
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()


def nobody(github: GithubBench) -> None:
    """Our web process is down: its port is closed."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as closed:
        closed.bind(("127.0.0.1", 0))
        github.world.webhook_url = f"http://127.0.0.1:{closed.getsockname()[1]}/webhooks/github"


def reconcile(github: GithubBench) -> None:
    """What the relay does at its start, and all that follows."""
    ask_for_missed(github.app)
    quiet = False
    while not quiet:
        quiet = not github.work_some()
        github.world.hooks.wait()
        quiet = quiet and not github.unfinished()


def test_what_came_while_we_were_down_is_delivered_again_and_judged_once(github: GithubBench) -> None:
    nobody(github)
    repository = github.repository({"a.txt": "fine\n"})
    pulls = [github.change(repository, {f"{n}.txt": "BAD\n" if n % 2 else "fine\n"}, f"feature{n}") for n in range(CHANGES)]
    github.world.hooks.wait()
    lost = list(github.world.hooks.deliveries)
    assert len(lost) >= 2 * CHANGES
    assert {attempt.status for delivery in lost for attempt in delivery.attempts} == {0}
    with web(github):
        reconcile(github)
        for n, pull in enumerate(pulls):
            (run,) = github.runs(repository, pull.head_sha)
            assert (run.status, run.conclusion) == ("completed", "failure" if n % 2 else "success")
            assert github.reviews(pull.head_sha) == 1
        assert [[attempt.status for attempt in delivery.attempts] for delivery in lost] == [[0, 202]] * len(lost)
        # Nothing is asked for that has arrived, also when everything is looked at again.
        github.app.memory.put("reconciled/github/", b"", 0.0)
        with github.app.database.work() as work:
            work.outbox.send(Envelope(Reconcile("github", ""), "reconcile:again", priority=BATCH))
        reconcile(github)
        assert {len(delivery.attempts) for delivery in lost} == {2}
    assert github.dead() == []


def test_a_clock_of_ours_that_was_ahead_at_the_last_look_hides_nothing(github: GithubBench) -> None:
    ahead = time.time() + 40 * 60
    github.app.memory.put("reconciled/github/", f"{ahead:.0f}".encode(), 3600.0)
    repository = github.repository({"a.txt": "fine\n"})
    nobody(github)
    github.change(repository, {"b.txt": "fine\n"})
    github.world.hooks.wait()
    with web(github):
        reconcile(github)
    assert {delivery.attempts[-1].status for delivery in github.world.hooks.deliveries if delivery.attempts[0].status == 0} == {202}


def test_a_delivery_whose_answer_was_lost_is_not_asked_for_because_we_know_it(github: GithubBench) -> None:
    repository = github.repository({"a.txt": "fine\n"})
    nobody(github)
    github.change(repository, {"b.txt": "fine\n"})
    github.world.hooks.wait()
    for delivery in github.world.hooks.deliveries:  # it arrived; only GitHub believes otherwise
        assert github.post(delivery).status_code == 202
    with web(github):
        reconcile(github)
    assert {len(delivery.attempts) for delivery in github.world.hooks.deliveries if delivery.attempts[0].status == 0} == {1}


def test_a_limit_of_the_app_is_waited_for_and_costs_no_attempt(github: GithubBench) -> None:
    github.world.faults.add("GET", "/app/hook/deliveries", secondary_limit(1))
    ask_for_missed(github.app)
    while github.work_some():
        pass
    assert github.dead() == []
    assert [a.status for a in github.world.asked if a.path == "/app/hook/deliveries"] == [403, 200]


def test_a_host_that_answers_again_releases_all_that_waited_for_it(tmp_path: Path) -> None:
    world = GithubWorld(tmp_path / "github", private_key_pem=app_key())
    world.serve()
    github = GithubBench(tmp_path, world, "", {"FIXWRIGHT_RETRY_CAP": "3600"})
    try:
        repository = github.repository({"a.txt": "fine\n"})
        pulls = [github.change(repository, {f"{n}.txt": "fine\n"}, f"feature{n}") for n in range(4)]
        world.faults.add("*", "^/(repos|app)", faults.Status(502), times=10_000)
        github.take()
        for _ in range(3):
            github.work_some()
        assert all(github.runs(repository, pull.head_sha) == [] for pull in pulls)
        waiting = due_in(github)
        assert len(waiting) == len(pulls)
        assert min(waiting) > 1.0
        asked, tried = len(world.asked), attempts(github)
        # Nobody's time has come: the relay lets one of them try, which is charged to nobody while there is no answer.
        breaker = f"github/{world.api_url.partition('//')[2]}/breaker"
        probe(github, breaker)
        assert len(world.asked) > asked
        assert sorted(attempts(github)) == sorted(tried)
        assert min(due_in(github)) > 0.5, "it waits as long as before"
        asked = len(world.asked)
        world.faults.clear()
        probe(github, breaker)
        assert len(world.asked) > asked
        assert max(due_in(github)) <= RELEASE_SECONDS
        time.sleep(RELEASE_SECONDS)
        github.settle()
        assert [github.runs(repository, pull.head_sha)[-1].conclusion for pull in pulls] == ["success"] * len(pulls)
        assert github.dead() == []
    finally:
        github.close()
        world.stop()


def probe(github: GithubBench, breaker: str) -> None:
    """What the relay does every few seconds; GitHub's own breaker has let enough time pass."""
    time.sleep(RELEASE_SECONDS)
    github.app.memory.put(breaker, b"0 0", 1.0)
    (one,) = Relay(github.app.database, NoQueue()).probes()
    assert one.early
    work_message(github.app, one.message_id)
    work_message(github.app, one.message_id, early=True)


def attempts(github: GithubBench) -> list[int]:
    """How often each message that begins a review was tried."""
    with github.app.database.read() as work:
        return list(work.transaction.execute(select(outbox.c.attempts).where(outbox.c.kind == "start_review")).scalars())


def due_in(github: GithubBench) -> list[float]:
    """Seconds until each message that begins a review is due; negative when it is."""
    with github.app.database.read() as work:
        statement = select(outbox.c.due_at).where(outbox.c.kind == "start_review", outbox.c.status == "pending")
        moments = [float(due) for due in work.transaction.execute(statement).scalars()]
    return [due - github.app.database.now() for due in moments]
