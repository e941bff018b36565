"""Large and odd changes on GitHub, an enterprise server, an App that may only read, and what each token may do."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import delete, select

from bot.worker import work_message
from pipeline.errors import EngineTimedOut
from pipeline.messages import Envelope, PublishCheck
from pipeline.model.ids import MessageId, ReviewId
from pipeline.store.tables import host_locks, outbox, reviews
from tests.fakes import FailingScanner, LineScanner
from tests.stages.github import VALUE, GithubBench, KeyScanner, app_key
from tests.worlds import faults
from tests.worlds.bare import Entry, Person
from tests.worlds.github.model import CheckRun, PullRequest, Repository
from tests.worlds.github.world import PERMISSIONS, GithubWorld

OLD = {"a.txt": "fine\nBAD old\nfine\n", "b.txt": "fine\n"}
READER = PERMISSIONS | {"contents": "read"}
Open = Callable[..., GithubBench]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Open]:
    """Starts a world with these permissions and our address of its API."""
    made: list[GithubBench] = []

    def open_world(permissions: dict[str, str] | None = None, mount: str = "") -> GithubBench:
        world = GithubWorld(tmp_path / "github", private_key_pem=app_key(), permissions=permissions)
        world.serve()
        made.append(GithubBench(tmp_path, world, "", {"FIXWRIGHT_GITHUB_API_URL": f"{world.api_url}{mount}"}))
        return made[0]

    yield open_world
    for bench in made:
        bench.close()
        bench.world.stop()
        assert bench.world.violations == []


def last(github: GithubBench, repository: Repository, pull: PullRequest) -> CheckRun:
    """The newest of our runs on the head."""
    return github.runs(repository, pull.head_sha)[-1]


def test_three_thousand_files_are_read_by_git_and_githubs_diff_is_never_asked_for(start: Open) -> None:
    github = start()
    repository = github.repository({"a.txt": "fine\n"})
    git = repository.git
    with github.world.github.state.lock:
        base = git.branch("main") or ""
        fine, bad = git.write_blob(b"fine\n"), git.write_blob(b"fine\nBAD\n")
        entries = [Entry("100644", f"part{n % 60}/file{n}.txt", bad if n == 1_234 else fine) for n in range(3_000)]
        person = Person("ada", "ada@example.com", 1_800_000_000)
        git.set_ref("refs/heads/feature", git.write_commit(git.write_tree(base, entries), [base], "Much\n", person, person))
        github.world.github.actions.look_at_refs(repository, github.world.user("ada"))
    for path in (r"/pulls/\d+/files", r"/pulls/\d+\.diff"):
        github.world.faults.add(
            "GET", path, faults.Status(422, b'{"message": "Sorry, this diff is taking too long to generate."}'), times=99
        )
    pull = github.world.open_pull_request("ada", repository, "feature", "main", "Much")
    github.settle()
    run = last(github, repository, pull)
    assert (run.status, run.conclusion) == ("completed", "failure")
    assert "3000 of 3000 files" in (run.summary or "").replace(",", "")
    assert [(c.original.path, c.original.line) for c in github.threads(pull)] == [("part34/file1234.txt", 2)]
    assert [asked for asked in github.world.asked if "/files" in asked.path] == []
    assert github.dead() == []


def test_a_line_that_github_does_not_take_stands_in_the_check_and_in_one_comment(start: Open) -> None:
    github = start()
    unresolved = b'{"message": "Unprocessable Entity", "errors": ["Line could not be resolved"]}'
    github.world.faults.add("POST", r"/pulls/\d+/reviews$", faults.Status(422, unresolved), times=99)
    github.world.faults.add("GET", r"/pulls/\d+/files", faults.Status(406, b'{"message": "Sorry, the diff exceeded its limit."}'), times=99)
    repository = github.repository(OLD)
    pull = github.change(repository, {"c.txt": "fine\nBAD\n"})
    github.settle()
    run = last(github, repository, pull)
    assert (run.status, run.conclusion) == ("completed", "failure")
    assert [(noted["path"], noted["start_line"]) for noted in run.annotations] == [("c.txt", 2)]
    assert pull.review_comments == []
    (comment,) = pull.comments
    assert "1 blocks" in comment.body
    assert github.dead() == []


def test_a_thread_stays_open_while_its_engine_could_not_look_again(start: Open) -> None:
    github = start()
    repository = github.repository(OLD)
    pull = github.change(repository, {"c.txt": "fine\nBAD\n"})
    github.settle()
    (thread,) = github.threads(pull)
    github.look_with(FailingScanner(lambda name: EngineTimedOut(f"{name} timed out after 60 s", engine=name)), KeyScanner())
    github.world.commit(repository, "feature", {"c.txt": "fine\nGOOD\n"})
    github.settle()
    assert (last(github, repository, pull).title or "").startswith("Could not check")
    assert thread.thread.resolved_by is None
    github.look_with(LineScanner(), KeyScanner())
    github.world.rerequest_check("ada", last(github, repository, pull))
    github.settle()
    assert last(github, repository, pull).conclusion == "success"
    assert thread.thread.resolved_by is github.world.app.bot


def test_a_pull_request_has_at_most_ten_threads_however_often_it_is_pushed(start: Open) -> None:
    github = start()
    repository = github.repository(OLD)
    pull = github.change(repository, {"z.txt": "".join(f"{VALUE[:-2]}{n} of the first push in line {n}\n" for n in range(10, 18))})
    github.settle()
    assert len(github.threads(pull)) == 8
    github.world.commit(repository, "feature", {"a.txt": "".join(f"{VALUE[:-2]}{n} of the second in line {n}\n" for n in range(10, 18))})
    github.settle()
    places = [(thread.original.path, thread.original.line) for thread in github.threads(pull)]
    places += [(noted["path"], noted["start_line"]) for noted in last(github, repository, pull).annotations]
    assert len(github.threads(pull)) == 10
    assert sorted(places) == [(path, line) for path in ("a.txt", "z.txt") for line in range(1, 9)]


def test_an_enterprise_server_is_the_same_below_its_own_address(start: Open) -> None:
    github = start(mount="/api/v3")
    repository = github.repository(OLD)
    pull = github.change(repository, {"c.txt": "fine\nBAD\n"})
    github.settle()
    assert last(github, repository, pull).conclusion == "failure"
    (thread,) = github.threads(pull)
    github.world.comment("ada", pull, "/fix")
    github.settle()
    (proposal,) = github.ours(repository)
    assert proposal.base_ref == "feature"
    github.world.commit(repository, "feature", {"c.txt": "fine\n"})
    github.settle()
    assert thread.thread.resolved_by is github.world.app.bot
    assert last(github, repository, pull).conclusion == "success"
    assert github.dead() == []


def test_an_app_that_may_only_read_folds_its_comment_where_it_may_not_resolve(start: Open) -> None:
    github = start(READER)
    repository = github.repository(OLD)
    pull = github.change(repository, {"c.txt": "fine\nBAD\n"})
    github.settle()
    (thread,) = github.threads(pull)
    reply = github.world.reply_in_thread("ada", thread.id, "On it.")
    gone = github.world.commit(repository, "feature", {"c.txt": "fine\n"})
    github.settle()
    assert (thread.minimized, thread.thread.resolved_by) == ("resolved", None)
    assert f"Gone from this change in `{gone[:7]}`." in thread.body
    assert mints(github, 422) == 1, "for the owner's policy, which is nowhere; never for what a reader was not granted"
    said = len(github.world.effects)
    github.world.commit(repository, "feature", {"d.txt": "fine\n"})
    github.settle()
    assert [e.operation for e in github.world.effects[said:] if "comment" in e.operation.lower() or "Thread" in e.operation] == []
    assert mints(github, 422) == 1
    github.world.commit(repository, "feature", {"c.txt": "fine\nBAD\n"})
    github.settle()
    assert thread.minimized is None
    assert "Gone from" not in thread.body
    assert reply.body == "On it."
    assert len(github.world.notifying_calls(pull)) == 1
    assert github.dead() == []


def mints(github: GithubBench, status: int) -> int:
    """How often we asked for a token and were answered so."""
    return sum(asked.path.endswith("/access_tokens") and asked.status == status for asked in github.world.asked)


SPOKEN = {"issues:write", "pull_requests:write"}
READ = {"contents:read", "pull_requests:read"}
OF_A_REPOSITORY = "/repos/[^/]+/[^/]+"
NEEDS = [
    (r"(GET|POST) .*\.git/.*", {"contents:read"}),
    (rf"\w+ {OF_A_REPOSITORY}/(check-runs|commits/[^/]+/check-runs).*", {"checks:write"}),
    (rf"GET {OF_A_REPOSITORY}/(pulls/\d+|compare/.*|collaborators/.*|branches/.*|pulls/\d+/commits)", READ),
    (r"GET /repos/[^/]+/\.github/contents/fixwright\.yml", READ),  # a public one may be read with any token
    (rf"\w+ {OF_A_REPOSITORY}/(issues|pulls/\d+/(comments|reviews|files)|pulls/comments).*|POST /graphql", SPOKEN),
    (rf"\w+ {OF_A_REPOSITORY}/(git/.*|pulls)", {"contents:write", "pull_requests:write"}),
]
"""What each kind of request needs at most."""


def test_no_token_reaches_further_than_its_step_from_the_review_to_the_fix(start: Open) -> None:
    github = start()
    github.repository({"other.txt": "fine\n"}, "other")
    repository = github.repository(OLD)
    pull = github.change(repository, {"c.txt": "fine\nBAD\n"})
    github.settle()
    github.world.comment("ada", pull, "/fix")
    github.settle()
    assert github.ours(repository)
    used = [asked for asked in github.world.asked if asked.granted is not None and not asked.path.startswith("/app")]
    assert len(used) > 20
    for asked in used:
        what = f"{asked.method} {asked.path}"
        needed = next((needed for pattern, needed in NEEDS if re.fullmatch(pattern, what)), None)
        assert needed is not None, what
        assert asked.reach == frozenset({repository.id}), what
        assert set(asked.granted or ()) - {"metadata:read"} <= needed, what


def test_annotations_that_arrived_though_github_said_otherwise_are_not_sent_again(start: Open) -> None:
    github = start()
    github.use(fixers=[])
    repository = github.repository(OLD)
    for skip in (0, 1):
        github.world.faults.add("PATCH", "/check-runs/", faults.Status(502, after_work=True), skip=skip)
    pull = github.change(repository, {"many.txt": "".join(f"BAD number {n}\n" for n in range(160))})
    github.settle()
    run = last(github, repository, pull)
    assert sorted(a["start_line"] for a in run.annotations) == list(range(1, 161))
    assert (run.status, run.conclusion) == ("completed", "failure")
    assert len(github.runs(repository, pull.head_sha)) == 1


def test_a_writer_whose_call_took_too_long_does_not_cover_a_newer_verdict(start: Open) -> None:
    github = start()
    repository = github.repository(OLD)
    github.world.commit(repository, "lax", {".github/fixwright.yml": "gate: {block: never}\n"})
    strict = github.change(repository, {"c.txt": "BAD\n"})
    github.world.open_pull_request("ada", repository, "feature", "lax", "Around the gate")
    github.settle()
    runs = github.runs(repository, strict.head_sha)
    assert {run.conclusion for run in runs} == {"failure"}
    for run in runs:
        run.title = "so that there is something to write"
    with github.app.database.work() as work:
        judged = work.transaction.execute(select(reviews.c.id).where(reviews.c.pull_request == strict.number)).scalar_one()
        work.outbox.send(Envelope(PublishCheck(ReviewId(judged)), "publish:again"))
    github.world.faults.add("PATCH", "/check-runs/", faults.Delay(4.0))
    slow = threading.Thread(target=work_kind, args=(github, "publish_check"))
    slow.start()
    github.world.wait_until(lambda: not github.world.faults.open)
    with github.app.database.work() as work:  # our minute is over
        work.transaction.execute(delete(host_locks))
    github.world.close("ada", strict)
    (closed,) = github.world.hooks.of("pull_request", "closed")
    github.post(closed)
    work_kind(github, "accept_event")
    work_kind(github, "withdraw_review")
    assert {run.conclusion for run in runs} == {"success"}
    assert slow.is_alive(), "this machine is too slow for this test to show anything"
    slow.join(30)
    assert {run.conclusion for run in runs} == {"success"}
    assert github.dead() == []


def work_kind(github: GithubBench, kind: str) -> None:
    """Work the waiting messages of one kind."""
    with github.app.database.read() as work:
        statement = select(outbox.c.id).where(outbox.c.kind == kind, outbox.c.status == "pending")
        waiting = [MessageId(found) for found in work.transaction.execute(statement).scalars()]
    for message in waiting:
        work_message(github.app, message)
