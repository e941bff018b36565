"""Pipelines that begin after we have spoken: whichever of them the merge button looks at has our verdict. On the double of GitLab."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from sqlalchemy import select

from bot.duties import walk_heads
from pipeline.errors import InternalFault
from pipeline.messages import BATCH, Envelope, FollowHeads
from pipeline.model.ids import MessageId, ReviewId
from pipeline.model.review import ReviewStatus
from pipeline.ports import HostMemory
from pipeline.stages.context import Context
from pipeline.stages.give_up import fail_review
from pipeline.stages.heads import PACE, group_of
from pipeline.stages.perform import perform
from pipeline.store.tables import outbox, reviews
from pipeline.store.work import Work
from tests.fakes import LineScanner
from tests.stages.gitlab import GitlabBench
from tests.stages.wired import KeyScanner
from tests.worlds import faults
from tests.worlds.gitlab.model import MergeRequest
from tests.worlds.gitlab.pipelines import Pipeline

OLD = {"a.txt": "fine\n"}
BAD = {"c.txt": "BAD new\n"}


def said(gitlab: GitlabBench, pipeline: Pipeline) -> list[str]:
    """Every status of ours that ever stood in a pipeline, oldest first."""
    bot = gitlab.world.owner_of(gitlab.token)
    with gitlab.world.gitlab.state.lock:
        return [job.status for job in pipeline.jobs if job.user is bot]


def counts(gitlab: GitlabBench, request: MergeRequest) -> str | None:
    """What our job says in the pipeline that the merge button looks at; None when there is none."""
    bot = gitlab.world.owner_of(gitlab.token)
    with gitlab.world.gitlab.state.lock:
        head = gitlab.world.gitlab.pipelines.head_of(request)
        ours = [job.status for job in head.latest if job.user is bot] if head else []
    return ours[0] if ours else None


def written(gitlab: GitlabBench, request: MergeRequest) -> tuple[int, int, int, int]:
    """What must not grow: scans, reviews of the head, notes and mails."""
    return gitlab.sent("run_scan"), gitlab.reviews(request.head), len(gitlab.our_notes(request)), len(gitlab.world.notifying_calls(request))


def test_a_pipeline_that_begins_after_the_verdict_has_it_too(gitlab: GitlabBench) -> None:
    request = gitlab.change(gitlab.project(OLD), BAD)
    gitlab.settle()
    before = written(gitlab, request)
    again = gitlab.world.run_merge_request_pipeline(request)
    assert counts(gitlab, request) is None
    gitlab.settle()
    assert counts(gitlab, request) == "failed"
    gitlab.world.finish_pipeline(again)
    for delivery in gitlab.world.hooks.of("pipeline"):
        gitlab.post(delivery)
    gitlab.settle()
    assert again.status == "failed"
    assert said(gitlab, again) == ["failed"]
    assert written(gitlab, request) == before
    assert gitlab.dead() == []


def test_so_has_one_of_the_merged_result_and_one_of_the_branch(gitlab: GitlabBench) -> None:
    project = gitlab.project(OLD)
    request = gitlab.change(project, BAD)
    gitlab.settle()
    again = gitlab.world.run_pipeline(project, "feature")
    gitlab.settle()
    assert (counts(gitlab, request), said(gitlab, again)) == ("failed", ["failed"])
    project.merge_pipelines_enabled = True
    gitlab.world.commit(project, "main", {"b.txt": "fine\n"}, author="olga")
    merged = gitlab.world.run_merge_request_pipeline(request, "merge")
    assert merged.sha != request.head
    gitlab.settle()
    assert (counts(gitlab, request), said(gitlab, merged)) == ("failed", ["failed"])
    assert gitlab.reviews(request.head) == 1


def test_one_of_a_fork_has_it_in_the_fork(gitlab: GitlabBench) -> None:
    project = gitlab.project(OLD)
    fork = gitlab.world.fork(project, "ada")
    gitlab.world.set_access(gitlab.world.owner_of(gitlab.token).username, fork, "developer")
    gitlab.world.commit(fork, "feature", BAD)
    request = gitlab.world.open_merge_request("ada", project, "feature", "main", "From a fork", fork=fork)
    gitlab.settle()
    of_branch = gitlab.world.run_pipeline(fork, "feature")
    gitlab.settle()
    assert (of_branch.project, said(gitlab, of_branch)) == (fork, ["failed"])
    own = gitlab.world.run_merge_request_pipeline(request)
    gitlab.settle()
    assert (own.project, said(gitlab, own)) == (fork, ["failed"])
    in_target = gitlab.world.run_merge_request_pipeline(request, in_target=True)
    gitlab.settle()
    assert (in_target.project, said(gitlab, in_target), counts(gitlab, request)) == (project, ["failed"], "failed")
    assert gitlab.dead() == []


def test_one_that_begins_while_we_look_says_so_until_the_verdict(gitlab: GitlabBench) -> None:
    request = gitlab.change(gitlab.project(OLD), BAD)
    seen: list[tuple[str | None, str | None]] = []

    def once() -> None:
        if not seen:
            gitlab.world.run_merge_request_pipeline(request)
            before = counts(gitlab, request)
            work_pipeline(gitlab)
            seen.append((before, counts(gitlab, request)))

    gitlab.look_with(LineScanner(before=once), KeyScanner())
    gitlab.settle()
    assert seen == [(None, "running")]
    assert counts(gitlab, request) == "failed"
    assert gitlab.reviews(request.head) == 1
    assert gitlab.dead() == []


def test_of_a_closed_merge_request_nothing_is_said_anew(gitlab: GitlabBench) -> None:
    request = gitlab.change(gitlab.project(OLD), BAD)
    gitlab.settle()
    gitlab.world.close("ada", request)
    gitlab.settle()
    again = gitlab.world.run_merge_request_pipeline(request)
    gitlab.settle()
    assert said(gitlab, again) == []


def test_a_pipeline_of_what_was_never_judged_leads_to_nothing(gitlab: GitlabBench) -> None:
    project = gitlab.project(OLD)
    gitlab.settle()
    request = gitlab.change(project, BAD)
    gitlab.delivered = len(gitlab.told())  # nothing of it reached us
    again = gitlab.world.run_merge_request_pipeline(request)
    gitlab.settle()
    assert (said(gitlab, again), gitlab.reviews(request.head), gitlab.sent("show_check")) == ([], 0, 0)


def walk(gitlab: GitlabBench, key: str) -> None:
    """What the hourly duty sends, and nothing of what follows."""
    with gitlab.app.database.work() as work:
        ((installation, _),) = work.installations.all()
        work.outbox.send(Envelope(FollowHeads(installation), key, priority=BATCH, group=group_of(installation)))
    gitlab.work_key(key)


def writes(gitlab: GitlabBench) -> int:
    return sum(asked.method != "GET" for asked in gitlab.world.asked)


def test_a_pipeline_that_nobody_told_us_of_has_the_verdict_after_the_next_look_and_then_nothing_is_written(gitlab: GitlabBench) -> None:
    request = gitlab.change(gitlab.project(OLD), BAD)
    gitlab.settle()
    before = written(gitlab, request)
    again = gitlab.world.run_merge_request_pipeline(request)
    gitlab.delivered = len(gitlab.told())  # the webhook was switched off
    assert counts(gitlab, request) is None
    assert walk_heads(gitlab.app) == 1
    gitlab.settle()
    assert counts(gitlab, request) == "failed"
    assert said(gitlab, again) == ["failed"]
    known, looks = writes(gitlab), gitlab.sent("show_check")
    walk(gitlab, "an hour later")
    gitlab.settle()
    assert gitlab.sent("show_check") == looks + 1
    assert (writes(gitlab), said(gitlab, again)) == (known, ["failed"])
    assert written(gitlab, request) == before
    assert gitlab.dead() == []


def test_open_heads_are_said_again_one_after_the_other_and_never_twice_at_once(gitlab: GitlabBench) -> None:
    project = gitlab.project(OLD)
    judged = [gitlab.change(project, {f"{n}.txt": "BAD\n"}, f"feature{n}") for n in range(3)]
    gitlab.settle()
    gitlab.world.close("ada", judged[0])
    gitlab.settle()
    sent = gitlab.sent("show_check")
    walk(gitlab, "one")
    walk(gitlab, "another, while the host is slow")
    with gitlab.app.database.read() as work:
        waiting = select(outbox.c.due_at).where(outbox.c.kind == "show_check", outbox.c.status == "pending").order_by(outbox.c.due_at)
        due = list(work.transaction.execute(waiting).scalars())
    assert gitlab.sent("show_check") == sent + 2
    assert [round(one - due[0], 1) for one in due] == [0.0, PACE]


@pytest.mark.parametrize("status", [403, 404, 422])
def test_where_the_host_does_not_let_us_into_a_new_pipeline_somebody_is_told_and_no_letter_is_dead(
    gitlab: GitlabBench, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    request = gitlab.change(gitlab.project(OLD), BAD)
    gitlab.settle()
    gitlab.world.faults.add("POST", "/statuses/", faults.Status(status), times=100)
    again = gitlab.world.run_merge_request_pipeline(request)
    gitlab.settle()
    assert said(gitlab, again) == []
    assert [record.levelname for record in caplog.records if record.message == "check.not_shown_anew"] == ["WARNING"]
    assert gitlab.dead() == []


class Interrupted(HostMemory):
    """A memory whose lock is left while something happens: as when it ran out in a call that took too long."""

    def __init__(self, inner: HostMemory, happens: Callable[[], None]) -> None:
        self._inner, self._happens = inner, happens

    def get(self, key: str) -> bytes | None:
        return self._inner.get(key)

    def put(self, key: str, value: bytes, seconds: float) -> None:
        self._inner.put(key, value, seconds)

    def compare_and_set(self, key: str, old: bytes | None, new: bytes, seconds: float) -> bool:
        return self._inner.compare_and_set(key, old, new, seconds)

    def lock(self, key: str, seconds: float) -> AbstractContextManager[None]:
        return self._locked(key, seconds)

    @contextmanager
    def _locked(self, key: str, seconds: float) -> Iterator[None]:
        with self._inner.lock(key, seconds):
            yield
        self._happens()


def superseded(work: Work, review: ReviewId) -> None:
    work.reviews.move(review, ReviewStatus.SCANNING, ReviewStatus.CANCELLED, superseded_by="f" * 40)


def given_up(work: Work, review: ReviewId) -> None:
    fail_review(work, review, InternalFault("a fault"))


@pytest.mark.parametrize(("ends", "said_at_last"), [(superseded, "canceled"), (given_up, "failed")])
def test_what_ends_while_it_is_shown_in_progress_is_not_left_so(
    gitlab: GitlabBench, ends: Callable[[Work, ReviewId], None], said_at_last: str
) -> None:
    request = gitlab.change(gitlab.project(OLD), BAD)
    seen: list[list[str]] = []

    def once() -> None:
        if seen:
            return
        again = gitlab.world.run_merge_request_pipeline(request)
        waiting = accept_pipeline(gitlab)
        with gitlab.app.database.work() as work:
            review = ReviewId(work.transaction.execute(select(reviews.c.id).where(reviews.c.head == request.head)).scalar_one())
            claimed = work.outbox.claim(waiting, "a test")
        assert claimed is not None
        happened: list[str] = []

        def happens() -> None:
            if not happened:
                happened.extend(said(gitlab, again))
                with gitlab.app.database.work() as work:
                    ends(work, review)

        app = gitlab.app
        perform(Context(app.database, Interrupted(app.memory, happens), app.plugins, app.places, claimed))
        assert happened == ["running"]
        seen.append(said(gitlab, again))

    gitlab.look_with(LineScanner(before=once), KeyScanner())
    gitlab.settle()
    assert seen == [[said_at_last]]
    assert gitlab.dead() == []


def accept_pipeline(gitlab: GitlabBench) -> MessageId:
    """Deliver the newest pipeline event; the message that follows from it."""
    gitlab.take()
    gitlab.work_key(f"accept:gitlab::{gitlab.world.hooks.of('pipeline')[-1].id}")
    with gitlab.app.database.read() as work:
        statement = select(outbox.c.id).where(outbox.c.kind == "show_check", outbox.c.status == "pending")
        return MessageId(work.transaction.execute(statement).scalar_one())


def work_pipeline(gitlab: GitlabBench) -> None:
    """The same, and do it."""
    with gitlab.app.database.read() as work:
        key = work.transaction.execute(select(outbox.c.key).where(outbox.c.id == accept_pipeline(gitlab))).scalar_one()
    gitlab.work_key(key)
