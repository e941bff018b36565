"""What a worker does with a message that fails: another try, a last one, a wait, or nothing because somebody else has it."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Row, select, update

from bot.wiring import Lease
from bot.worker import BACKOFF, LOST_LEASE_EXIT, load_hosts, retry_in
from pipeline.errors import HostForbidden, HostUnavailable, NotConfigured, ObjectsRefused, RateLimited
from pipeline.messages import Envelope, Reply
from pipeline.model.event import CommentRef
from pipeline.model.ids import InstallationId, MessageId
from pipeline.model.scan import ScanType
from pipeline.model.target import Installation, PullRequestRef
from pipeline.stopping import Stopping
from pipeline.store.columns import database_now
from pipeline.store.tables import outbox
from providers.local import LocalProvider
from tests.fakes import LineScanner
from tests.harness import Bench, LocalRepo

ATTEMPTS = len(BACKOFF) + 1
CAP = 600.0
"""Seconds; of these tests."""
ROOT = Path(__file__).parents[3]


def _raise(error: BaseException) -> Callable[[], None]:
    def before() -> None:
        raise error

    return before


class Scene:
    """A review whose one scan does what the test says at the moment when the engine would be asked to look."""

    def __init__(self, tmp_path: Path) -> None:
        self.bench = Bench(tmp_path, environment={"FIXWRIGHT_RETRY_CAP": f"{CAP}"})
        self.repo = LocalRepo(tmp_path / "work" / "shop")
        self.repo.commit({"a.txt": "fine\n", ".fixwright.yml": "engines:\n  required: [semgrep_scan]\n"})
        self.head = self.repo.commit({"b.txt": "BAD\n"}, branch="feature")
        self.ref = self.bench.pull_request(self.repo, "feature")

    def begin(self, before: Callable[[], None]) -> None:
        """Deliver, and work until the scan was tried once."""
        self.bench.use(scanners=[LineScanner(ScanType.SEMGREP, before)], fixers=[])
        self.bench.changed(self.ref)
        self.bench.work()

    def scan(self) -> Row[Any]:
        """The scan's message as it is stored."""
        with self.bench.app.database.read() as work:
            return work.transaction.execute(select(outbox).where(outbox.c.kind == "run_scan")).one()

    def again(self) -> None:
        """Try the scan once more, whenever it would be due."""
        row = self.scan()
        with self.bench.app.database.work() as work:
            work.transaction.changed(update(outbox).where(outbox.c.id == row.id).values(due_at=database_now() - 1))
        self.bench.work_key(row.key)

    def wait(self) -> float:
        """Seconds until the next attempt."""
        with self.bench.app.database.read() as work:
            return float(work.transaction.execute(select(outbox.c.due_at - database_now()).where(outbox.c.kind == "run_scan")).scalar_one())


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    yield made
    made.bench.close()


# --- when again -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("attempts", "longest"), [(1, 5.0), (2, 30.0), (3, 120.0), (4, 600.0), (5, 3600.0)])
def test_the_waits_grow_and_are_spread_over_their_upper_half(attempts: int, longest: float) -> None:
    waits = [retry_in(attempts, 3600.0) for _ in range(300)]
    known = [wait for wait in waits if wait is not None]
    assert len(known) == 300
    assert longest / 2 <= min(known) < longest * 0.6
    assert longest * 0.9 < max(known) <= longest


@pytest.mark.parametrize("attempts", [ATTEMPTS, ATTEMPTS + 1])
def test_after_the_last_wait_there_is_no_further_attempt(attempts: int) -> None:
    assert retry_in(attempts, 3600.0) is None


@pytest.mark.parametrize("attempts", range(1, ATTEMPTS))
def test_no_wait_is_longer_than_the_operator_wants(attempts: int) -> None:
    waits = [retry_in(attempts, 2.0) for _ in range(100)]
    assert all(wait is not None and 1.0 <= wait <= 2.0 for wait in waits)


# --- what a failure does --------------------------------------------------------------------------------------------------------------


def test_a_failure_that_may_pass_is_tried_after_each_wait_and_then_said(scene: Scene) -> None:
    began = time.monotonic()
    scene.begin(_raise(HostUnavailable("the host is down")))
    for longest in (min(wait, CAP) for wait in BACKOFF):
        assert scene.scan().status == "pending"
        left = scene.wait()
        assert left <= longest
        assert left + time.monotonic() - began >= longest / 2
        began = time.monotonic()
        scene.again()
    assert (scene.scan().status, scene.scan().error_code, scene.scan().attempts) == ("dead", HostUnavailable.code, ATTEMPTS)
    scene.bench.work()
    (check,) = scene.bench.checks(scene.repo, scene.head)
    assert check.conclusion == "action_required"
    assert check.title == "Could not check: the host is down"


def test_a_failure_that_stays_is_said_at_once(scene: Scene) -> None:
    scene.begin(_raise(HostForbidden("we may not")))
    assert (scene.scan().status, scene.scan().attempts) == ("dead", 1)
    (check,) = scene.bench.checks(scene.repo, scene.head)
    assert (check.status, check.conclusion) == ("completed", "action_required")


def test_a_message_is_said_to_be_given_up_once(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    """Of a kind that leaves nothing to be done for who waits."""
    not_set_up = Installation(InstallationId("1"), "github", "", "octo", "octo")
    comment = CommentRef(PullRequestRef(scene.repo.source, 1), "1")
    with scene.bench.app.database.work() as work:
        work.outbox.send(Envelope(Reply(not_set_up, comment, "a-topic", "An answer."), "reply:nowhere"))
    scene.bench.work_key("reply:nowhere")
    with scene.bench.app.database.read() as work:
        (row,) = work.transaction.execute(select(outbox.c.status, outbox.c.error_code).where(outbox.c.key == "reply:nowhere")).all()
    assert tuple(row) == ("dead", NotConfigured.code)
    assert caplog.messages.count("message.given_up") == 1


def test_what_somebody_pushed_calls_no_operator(scene: Scene) -> None:
    scene.begin(_raise(ObjectsRefused("refused by git's own checks: a folder named .git")))
    assert (scene.scan().status, scene.scan().attempts) == ("done", 1)
    (check,) = scene.bench.checks(scene.repo, scene.head)
    assert (check.status, check.conclusion) == ("completed", "failure")


def test_a_host_that_asks_us_to_wait_is_never_given_up(scene: Scene) -> None:
    scene.begin(_raise(RateLimited("too many requests", retry_after=90.0)))
    for _ in range(ATTEMPTS + 3):
        assert scene.scan().status == "pending"
        assert 45.0 <= scene.wait() <= 90.0
        scene.again()


def test_a_fault_of_ours_names_its_kind_and_not_its_content(scene: Scene) -> None:
    scene.begin(_raise(ValueError("SOURCE TEXT OF SOMEBODY")))
    for _ in range(ATTEMPTS - 1):
        scene.again()
    scene.bench.work()
    (check,) = scene.bench.checks(scene.repo, scene.head)
    assert check.conclusion == "action_required"
    assert "ValueError" in check.title
    assert "SOURCE TEXT" not in check.title + check.summary


def test_a_failure_that_passes_leaves_no_trace_in_the_answer(scene: Scene) -> None:
    errors = [HostUnavailable("down"), ValueError("ours"), RateLimited("too many requests", retry_after=1.0)]

    def before() -> None:
        if errors:
            raise errors.pop()

    scene.begin(before)
    for _ in range(3):
        scene.again()
    assert scene.scan().status == "done"
    scene.bench.work()
    (check,) = scene.bench.checks(scene.repo, scene.head)
    assert check.conclusion == "failure"
    assert check.title.startswith("1 blocks")


def test_a_stop_gives_the_message_back_as_if_it_was_never_begun(scene: Scene) -> None:
    with pytest.raises(Stopping):
        scene.begin(_raise(Stopping()))
    row = scene.scan()
    assert (row.status, row.attempts, row.crashes, row.owner, row.lease_until) == ("pending", 0, 0, "", None)
    assert scene.wait() <= 0


# --- leases ---------------------------------------------------------------------------------------------------------------------------


def _overtake(bench: Bench) -> None:
    """Another worker takes the scan over, as it may when our lease has expired."""
    with bench.app.database.work() as work:
        found = work.transaction.execute(select(outbox.c.id).where(outbox.c.kind == "run_scan")).scalar_one()
        work.transaction.changed(update(outbox).where(outbox.c.id == found).values(lease_until=database_now() - 1))
        assert work.outbox.claim(MessageId(found), "another worker") is not None


def test_a_worker_that_was_overtaken_records_and_sends_nothing(scene: Scene) -> None:
    scene.bench.app.lease = Lease(end=lambda code: None)  # it is to be stopped by what it does next, also when that takes a while
    scene.begin(lambda: _overtake(scene.bench))
    assert (scene.scan().status, scene.scan().owner, scene.scan().epoch) == ("running", "another worker", 2)
    with scene.bench.app.database.read() as work:
        kinds = set(work.transaction.execute(select(outbox.c.kind)).scalars())
    assert "settle_review" not in kinds
    (check,) = scene.bench.checks(scene.repo, scene.head)
    assert check.status == "in_progress"


OVERTAKEN = """
import sys, time
from pathlib import Path
from bot.wiring import Lease
from tests.unit.bot.test_worker import Scene, _overtake

scene = Scene(Path(sys.argv[1]))
scene.bench.app.lease = Lease()

def before():
    _overtake(scene.bench)
    time.sleep(200)

scene.begin(before)
"""


def test_a_worker_that_was_overtaken_ends_in_the_middle_of_its_work(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", OVERTAKEN, str(tmp_path)], cwd=ROOT, capture_output=True, timeout=180, check=False)
    assert done.returncode == LOST_LEASE_EXIT, done.stderr.decode()


class Loading(LocalProvider):
    """A host that counts how often it is loaded."""

    def __init__(self) -> None:
        self.loaded = 0

    def load(self) -> None:
        """Once more."""
        self.loaded += 1


def test_a_worker_loads_what_its_hosts_need_and_nothing_of_those_that_are_not_set_up(tmp_path: Path) -> None:
    used, unused = Loading(), Loading()
    with contextlib.closing(Bench(tmp_path)) as bench:
        bench.app.plugins = replace(bench.app.plugins, providers={"local": used, "elsewhere": unused})
        load_hosts(bench.app)
    assert (used.loaded, unused.loaded) == (1, 0)
