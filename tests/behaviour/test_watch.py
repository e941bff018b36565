"""`fixwright watch` against the double: the verdict of an App without one, by looking."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.errors import HostForbidden, HostNotFound, HostUnauthorized
from tests.behaviour.doors import JOB, OLD, change, shop, watcher
from tests.stages.github import app_key
from tests.worlds.github.world import GithubWorld


@pytest.fixture
def world(tmp_path: Path) -> Iterator[GithubWorld]:
    made = GithubWorld(tmp_path / "github", private_key_pem=app_key())
    made.serve()
    yield made
    made.stop()
    assert made.violations == []


def test_a_persons_token_says_the_verdict_in_a_status_and_the_table_in_the_comment(world: GithubWorld, tmp_path: Path) -> None:
    repository = shop(world)
    pull = change(world, repository, {"a.txt": OLD["a.txt"] + "BAD new\n"})
    with watcher(world, world.token_for("robin"), repository, tmp_path / "state") as watch:
        assert watch.once() == 1
    statuses = [(s.context, s.state, s.creator.login) for s in repository.statuses if s.sha == pull.head_sha]
    assert statuses[0] == ("Fixwright", "pending", "robin")
    assert statuses[-1] == ("Fixwright", "failure", "robin")
    newest = repository.statuses[-1]
    assert newest.description is not None
    assert newest.description.startswith("1 blocks")
    assert len(newest.description) <= 140
    (comment,) = pull.comments
    assert (comment.user.login, "a.txt:4" in comment.body) == ("robin", True)
    assert newest.target_url == world.github.shapes.issue_comment(comment)["html_url"]
    assert world.checks(repository) == []
    assert any(line.startswith("octo/shop#1 failure: 1 blocks") for line in watch.said)


def test_a_jobs_token_writes_the_same_check_as_an_app(world: GithubWorld, tmp_path: Path) -> None:
    repository = shop(world)
    pull = change(world, repository, {"c.txt": "BAD new\n"})
    with watcher(world, world.job_token(repository, **JOB), repository, tmp_path / "state") as watch:
        assert watch.once() == 1
    (run,) = world.checks(repository, pull.head_sha)
    assert (run.name, run.status, run.conclusion, run.suite.app.slug) == ("Fixwright", "completed", "failure", "github-actions")
    (comment,) = pull.review_comments
    assert comment.user.login == "github-actions[bot]"
    assert repository.statuses == []


def test_a_second_look_and_a_restart_say_nothing_new(world: GithubWorld, tmp_path: Path) -> None:
    repository = shop(world)
    change(world, repository, {"c.txt": "BAD new\n"})
    token = world.token_for("robin")
    with watcher(world, token, repository, tmp_path / "state") as watch:
        watch.once()
        written = len(world.effects)
        assert watch.once() == 1
    with watcher(world, token, repository, tmp_path / "state") as again:
        assert again.once() == 1
        assert [line for line in again.said if "opened" in line or "watched" in line] == []
    assert len(world.effects) == written


def test_a_lost_state_folder_doubles_nothing_that_people_see(world: GithubWorld, tmp_path: Path) -> None:
    repository = shop(world)
    pull = change(world, repository, {"c.txt": "BAD new\n"})
    token = world.token_for("robin")
    for folder in ("state", "another"):
        with watcher(world, token, repository, tmp_path / folder) as watch:
            watch.once()
    assert len(pull.comments) == len(pull.review_comments) == 1
    assert len(world.notifying_calls(pull)) == 2  # one for the thread, one for the comment with the table
    world.commit(repository, "feature", {"c.txt": "fine\n"})
    with watcher(world, token, repository, tmp_path / "third") as watch:
        assert watch.once() == 0
    (thread,) = pull.threads
    assert thread.resolved_by is not None


def test_two_watchers_at_once_double_nothing(world: GithubWorld, tmp_path: Path) -> None:
    repository = shop(world)
    pull = change(world, repository, {"c.txt": "BAD new\n"})
    token = world.token_for("robin")
    codes: list[int] = []

    def watch() -> None:
        with watcher(world, token, repository, tmp_path / "state") as one:
            codes.append(one.once())

    with watcher(world, token, repository, tmp_path / "state"):
        pass  # the schema is there before they meet
    threads = [threading.Thread(target=watch) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(codes)[-1] == 1
    assert len(pull.comments) == len(pull.review_comments) == 1
    assert [status.state for status in repository.statuses].count("failure") <= 2


def test_a_push_a_new_base_and_an_end_are_seen(world: GithubWorld, tmp_path: Path) -> None:
    repository = shop(world)
    pull = change(world, repository, {"c.txt": "BAD new\n"})
    world.commit(repository, "other", {"x.txt": "fine\n"}, base="main")
    with watcher(world, world.token_for("robin"), repository, tmp_path / "state") as watch:
        assert watch.once() == 1
        head = world.commit(repository, "feature", {"c.txt": "fine\n"})
        assert watch.once() == 0
        world.edit_pull_request("ada", pull, base="other")
        watch.once()
        world.close("ada", pull)
        watch.once()
    happened = [line for line in watch.said if line.startswith("octo/shop#1 ") and ":" not in line]
    assert happened == [
        f"octo/shop#1 opened at {world.github.state.repositories[repository.id].pulls[1].reviews[0].commit_id[:7]}",
        f"octo/shop#1 updated at {head[:7]}",
        f"octo/shop#1 retargeted at {head[:7]}",
        "octo/shop#1 closed",
    ]
    assert repository.statuses[-1].state in ("success", "error")


def test_a_command_is_answered_once_and_only_when_its_writer_may(world: GithubWorld, tmp_path: Path) -> None:
    repository = shop(world)
    pull = change(world, repository, {"c.txt": "BAD new\n"})
    world.comment("ada", pull, "/fix written before anybody watched")
    token = world.token_for("robin")
    with watcher(world, token, repository, tmp_path / "state") as watch:
        watch.once()
        first = pull.review_comments[0]
        world.advance(2)
        world.reply_in_thread("ada", first.id, "/fix")
        world.comment("ada", pull, "no command at all")
        world.comment("eve", pull, "/fix")
        watch.once()
        answers = [c.body for c in pull.review_comments if c.user.login == "robin" and c is not first]
        assert len(answers) == 1
        refused = [c.body for c in pull.comments if "permission" in c.body]
        assert len(refused) == 1
        written = len(world.effects)
        watch.once()
    with watcher(world, token, repository, tmp_path / "state") as again:
        again.once()
    assert len(world.effects) == written
    assert [line for line in watch.said if "wrote a command" in line] == [
        "octo/shop#1 ada wrote a command",
        "octo/shop#1 eve wrote a command",
    ]


def test_an_idle_look_is_five_requests_that_cost_nothing(world: GithubWorld, tmp_path: Path) -> None:
    repository = shop(world)
    change(world, repository, {"c.txt": "BAD new\n"})
    with watcher(world, world.token_for("robin"), repository, tmp_path / "state") as watch:
        for _ in range(3):  # it works, sees what it wrote itself, and asks from there on
            watch.once()
        world.asked.clear()
        watch.once()
        assert [asked.status for asked in world.asked] == [304] * 5


def test_one_pull_request_alone_is_watched_when_asked(world: GithubWorld, tmp_path: Path) -> None:
    repository = shop(world)
    change(world, repository, {"c.txt": "BAD new\n"})
    second = change(world, repository, {"d.txt": "fine\n"}, "second")
    with watcher(world, world.token_for("robin"), repository, tmp_path / "state", second.number) as watch:
        assert watch.once() == 0
    assert {status.sha for status in repository.statuses} == {second.head_sha}
    with watcher(world, world.token_for("robin"), repository, tmp_path / "state", 99) as watch, pytest.raises(HostNotFound):
        watch.once()


def test_a_pull_request_from_a_fork_is_judged_like_any_other(world: GithubWorld, tmp_path: Path) -> None:
    repository = shop(world, private=False)
    fork = world.fork(repository, "mallory")
    world.commit(fork, "theirs", {"c.txt": "BAD new\n"}, author="mallory")
    pull = world.open_pull_request("mallory", repository, "theirs", "main", "From afar", fork=fork)
    with watcher(world, world.token_for("robin"), repository, tmp_path / "state") as watch:
        assert watch.once() == 1
    assert [(s.sha, s.state) for s in repository.statuses][-1] == (pull.head_sha, "failure")
    assert len(pull.review_comments) == 1


def test_a_draft_has_its_verdict_and_no_threads_before_it_is_ready(world: GithubWorld, tmp_path: Path) -> None:
    repository = shop(world)
    pull = change(world, repository, {"c.txt": "BAD new\n"})
    world.set_draft("ada", pull, True)
    with watcher(world, world.token_for("robin"), repository, tmp_path / "state") as watch:
        assert watch.once() == 1
        assert (len(pull.comments), pull.review_comments, repository.statuses[-1].state) == (1, [], "failure")
        world.set_draft("ada", pull, False)
        assert watch.once() == 1
    assert len(pull.review_comments) == 1
    assert f"octo/shop#1 ready at {pull.head_sha[:7]}" in watch.said


def test_a_default_branch_of_a_public_repository_is_not_told(world: GithubWorld, tmp_path: Path) -> None:
    repository = shop(world, private=False)
    with watcher(world, world.token_for("robin"), repository, tmp_path / "state") as watch:
        watch.once()
        world.commit(repository, "main", {"c.txt": "BAD new\n"})
        watch.once()
    assert repository.statuses == []
    assert not any("BAD" in line or "blocks" in line for line in watch.said)


def test_a_wrong_token_a_strangers_token_and_a_wrong_name_end_the_watch_in_words(world: GithubWorld, tmp_path: Path) -> None:
    repository = shop(world)
    with pytest.raises(HostUnauthorized) as wrong, watcher(world, "ghp_" + "0" * 36, repository, tmp_path / "state"):
        pass
    assert "FIXWRIGHT_GITHUB_TOKEN" in wrong.value.hint
    with pytest.raises(HostNotFound), watcher(world, world.token_for("mallory"), repository, tmp_path / "state"):
        pass
    with watcher(world, world.token_for("robin"), repository, tmp_path / "state") as watch:
        world.set_permission("robin", repository, "none")
        with pytest.raises((HostNotFound, HostForbidden)):
            watch.once()


def test_a_host_that_is_away_is_waited_out_and_the_watch_ends_when_asked(world: GithubWorld, tmp_path: Path) -> None:
    from tests.worlds import faults

    repository = shop(world)
    change(world, repository, {"c.txt": "fine\n"})
    stop = threading.Event()
    with watcher(world, world.token_for("robin"), repository, tmp_path / "state") as watch:
        world.faults.add("GET", "/repos/octo/shop/pulls", faults.Status(503), times=1)
        threading.Timer(3.0, stop.set).start()
        before = time.monotonic()
        watch.session.run(stop, 1.0)
        assert time.monotonic() - before < 30
    assert any(line.startswith("cannot look: GitHub answered 503") for line in watch.said)
    assert any("success" in line for line in watch.said)
