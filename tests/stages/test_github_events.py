"""Everything else that GitHub tells, on the double: the queue, drafts, installations, repositories, people, and deliveries in any order."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import select

from pipeline.messages import AcceptEvent, Envelope
from pipeline.model.event import RepositoryAction, RepositoryEvent
from pipeline.store.tables import installations, outbox, repositories, reviews, subjects, threads
from tests.fakes import LineScanner
from tests.stages.github import VALUE, GithubBench, KeyScanner
from tests.worlds.github.model import Installation, Repository
from tests.worlds.github.owners import Group

OLD = {"a.txt": "fine\nBAD old\nfine\n", "b.txt": "fine\n"}


def home(github: GithubBench, repository: Repository) -> Installation:
    """The installation that sees a repository."""
    found = next(known for known in github.world.github.state.installations.values() if known.account is repository.owner)
    assert found.app is github.world.app
    return found


def told(github: GithubBench) -> list[str]:
    """Every change that we made on GitHub: method and path."""
    return [f"{effect.method} {effect.path}" for effect in github.world.effects]


def statuses(github: GithubBench, head: str) -> list[str]:
    """How the reviews of a head stand, oldest first."""
    with github.app.database.read() as work:
        statement = select(reviews.c.status).where(reviews.c.head == head).order_by(reviews.c.id)
        return [str(status) for status in work.transaction.execute(statement).scalars()]


def looking(github: GithubBench) -> tuple[LineScanner, KeyScanner]:
    """Engines that remember what they really looked at."""
    lines, keys = LineScanner(), KeyScanner()
    github.look_with(lines, keys)
    return lines, keys


def during_the_scan(github: GithubBench, what: str, happens: Callable[[], object]) -> None:
    """Let something happen on GitHub, and its delivery be accepted, while the first scan runs."""
    done: list[bool] = []

    def once() -> None:
        if not done:
            done.append(True)
            happens()
            github.take()
            accept(github, what)

    github.look_with(LineScanner(before=once), KeyScanner())


def accept(github: GithubBench, name: str) -> None:
    """Do what the newest delivery of this name leads to by itself, without what it sends."""
    github.work_key(github_key(github, name))


def github_key(github: GithubBench, name: str) -> str:
    """Key of the message that the newest delivery of this name became."""
    delivery = github.world.hooks.of(*name.split("."))[-1]
    with github.app.database.read() as work:
        statement = select(outbox.c.key).where(outbox.c.kind == "accept_event", outbox.c.key.contains(delivery.id))
        return str(work.transaction.execute(statement).scalar_one())


def subjects_open(github: GithubBench) -> dict[str, bool]:
    """What was judged, and whether it is still open."""
    with github.app.database.read() as work:
        rows = work.transaction.execute(select(subjects.c.subject, subjects.c.open))
        return {row.subject: row.open for row in rows}


# --- the merge queue ---


def queued(github: GithubBench, files: dict[str, str]) -> tuple[Repository, Group]:
    """A reviewed pull request, and the group that the queue made of it; nothing of the group is done yet."""
    repository = github.repository(OLD)
    pull = github.change(repository, files)
    github.settle()
    return repository, github.world.queue(pull)


def test_a_queued_commit_is_judged_without_looking_at_anything_again(github: GithubBench) -> None:
    lines, keys = looking(github)
    repository, group = queued(github, {"c.txt": "fine\n"})
    looked = (list(lines.looked), list(keys.looked))
    github.settle()
    (run,) = github.runs(repository, group.head_sha)
    assert (run.name, run.status, run.conclusion) == ("Fixwright", "completed", "success")
    assert (lines.looked, keys.looked) == looked
    assert github.dead() == []


def test_a_queued_commit_that_would_bring_a_finding_is_stopped_and_only_the_check_says_so(github: GithubBench) -> None:
    repository, group = queued(github, {"c.txt": "BAD\n"})
    pull = repository.pulls[1]
    before = (len(github.world.notifying_calls(pull)), len(pull.comments), len(pull.review_comments))
    github.settle()
    (run,) = github.runs(repository, group.head_sha)
    assert run.conclusion == "failure"
    assert "1 block" in (run.title or "")
    assert (len(github.world.notifying_calls(pull)), len(pull.comments), len(pull.review_comments)) == before


def test_what_a_colleague_waived_in_the_pull_request_does_not_stop_the_queue(github: GithubBench) -> None:
    repository = github.repository(OLD)
    pull = github.change(repository, {"c.txt": "BAD\n"})
    github.settle()
    (handle,) = {found for comment in github.threads(pull) for found in re.findall(r"/waive ([A-Z0-9]+)", comment.body)}
    github.world.set_permission("bob", repository, "write")
    github.world.comment("bob", pull, f"/waive {handle} it is only shown to us")
    github.settle()
    group = github.world.queue(pull)
    github.settle()
    assert github.runs(repository, group.head_sha)[-1].conclusion == "success"


def test_a_secret_that_a_queued_commit_brings_into_the_history_stops_it(github: GithubBench) -> None:
    repository = github.repository(OLD)
    github.world.commit(repository, "feature", {"k.txt": f"key = {VALUE}\n"})
    pull = github.change(repository, {"k.txt": "key = env\n"})
    github.settle()
    # Squashed, the commit with the secret does not come along.
    for method, conclusion in (("squash", "success"), ("merge", "failure")):
        group = github.world.queue(pull, method=method)
        github.settle()
        assert github.runs(repository, group.head_sha)[-1].conclusion == conclusion
        github.world.unqueue(group)
        github.settle()


def test_the_policy_of_a_queued_commit_is_that_of_the_branch_not_of_the_group_before_it(github: GithubBench) -> None:
    repository = github.repository(OLD)
    github.world.commit(repository, "lax", {".github/fixwright.yml": "gate: {block: never}\n"})
    lax = github.world.open_pull_request("ada", repository, "lax", "main", "Lax")
    pull = github.change(repository, {"c.txt": "BAD\n"})
    github.settle()
    first = github.world.queue(lax)
    second = github.world.queue(pull, after=first)
    github.settle()
    assert github.runs(repository, first.head_sha)[-1].conclusion == "success"
    assert github.runs(repository, second.head_sha)[-1].conclusion == "failure"


@pytest.mark.parametrize("when", ["before it is looked at", "while it is looked at", "after it"])
def test_of_a_group_that_the_queue_drops_nothing_is_left_in_progress(github: GithubBench, when: str) -> None:
    repository = github.repository(OLD)
    pull = github.change(repository, {"c.txt": "BAD\n"})
    group = github.world.queue(pull)
    (requested,) = github.world.hooks.of("merge_group", "checks_requested")
    if when == "while it is looked at":
        during_the_scan(github, "merge_group.destroyed", lambda: github.world.unqueue(group))
    assert github.post(requested).status_code == 202  # before the pull request's own, so that nothing is known of its files yet
    if when == "before it is looked at":
        github.world.unqueue(group)
    github.settle()
    if when == "after it":
        github.world.unqueue(group)
        github.settle()
    conclusions = [(run.status, run.conclusion) for run in github.runs(repository, group.head_sha)]
    expected = {"while it is looked at": [("completed", "cancelled")], "after it": [("completed", "failure")]}
    assert conclusions == expected.get(when, [])
    assert github.dead() == []


def test_a_group_whose_end_is_told_before_its_beginning_is_left_alone(github: GithubBench) -> None:
    repository, group = queued(github, {"c.txt": "fine\n"})
    github.world.unqueue(group)
    ordered = github.world.hooks.deliveries[github.delivered :]
    for delivery in reversed(ordered):
        assert github.post(delivery).status_code == 202
    github.delivered += len(ordered)
    github.settle()
    assert github.runs(repository, group.head_sha) == []
    assert github.dead() == []


# --- drafts ---


def draft(github: GithubBench) -> tuple[Repository, int]:
    """A reviewed draft with one finding."""
    repository = github.repository(OLD)
    github.world.commit(repository, "feature", {"c.txt": "BAD\n"})
    pull = github.world.open_pull_request("ada", repository, "feature", "main", "Not yet", draft=True)
    github.settle()
    return repository, pull.number


def test_the_check_of_a_draft_says_the_truth_and_nobody_is_told(github: GithubBench) -> None:
    repository, number = draft(github)
    pull = repository.pulls[number]
    (run,) = github.runs(repository, pull.head_sha)
    assert (run.status, run.conclusion) == ("completed", "failure")
    assert "1 block" in (run.title or "")
    assert github.world.notifying_calls(pull) == []
    assert (pull.comments, pull.review_comments) == ([], [])


def test_ready_for_review_tells_what_was_found_without_a_second_look(github: GithubBench) -> None:
    repository, number = draft(github)
    pull = repository.pulls[number]
    github.world.set_draft("ada", pull, False)
    github.world.set_draft("ada", pull, True)
    github.world.set_draft("ada", pull, False)
    github.settle()
    assert len(github.threads(pull)) == 1
    assert len(github.world.notifying_calls(pull)) == 1
    assert (github.reviews(pull.head_sha), github.sent("run_scan")) == (1, 2)
    newest = github.runs(repository, pull.head_sha)[-1]
    assert (newest.conclusion, newest.annotations) == ("failure", [])


def test_ready_for_review_while_the_scan_runs_is_told_at_its_end(github: GithubBench) -> None:
    repository = github.repository(OLD)
    github.world.commit(repository, "feature", {"c.txt": "BAD\n"})

    def ready() -> None:
        github.world.set_draft("ada", repository.pulls[1], False)
        github.take()
        github.start("pull_request.ready_for_review")

    done: list[bool] = []

    def once() -> None:
        if not done:
            done.append(True)
            ready()

    github.look_with(LineScanner(before=once), KeyScanner())
    pull = github.world.open_pull_request("ada", repository, "feature", "main", "Soon", draft=True)
    github.settle()
    assert len(github.threads(pull)) == 1
    assert len(github.world.notifying_calls(pull)) == 1
    assert github.reviews(pull.head_sha) == 1


def test_a_change_that_becomes_a_draft_while_it_is_looked_at_is_told_when_it_is_ready(github: GithubBench) -> None:
    repository = github.repository(OLD)
    during_the_scan(github, "pull_request.converted_to_draft", lambda: github.world.set_draft("ada", repository.pulls[1], True))
    pull = github.change(repository, {"c.txt": "BAD\n"})
    github.settle()
    assert github.threads(pull) == []
    assert github.world.notifying_calls(pull) == []
    assert github.runs(repository, pull.head_sha)[-1].conclusion == "failure"
    github.world.set_draft("ada", pull, False)
    github.settle()
    assert len(github.threads(pull)) == 1
    assert github.reviews(pull.head_sha) == 1


def test_threads_stay_as_they_are_while_it_is_a_draft_and_a_head_that_moved_is_looked_at(github: GithubBench) -> None:
    repository = github.repository(OLD)
    pull = github.change(repository, {"c.txt": "BAD\n"})
    github.settle()
    github.world.set_draft("ada", pull, True)
    github.world.commit(repository, "feature", {"c.txt": "GOOD\n", "d.txt": "BAD too\n"})
    github.settle()
    (thread,) = github.threads(pull)
    assert thread.thread.resolved_by is None
    github.world.set_draft("ada", pull, False)
    github.settle()
    assert {c.original.path: c.thread.resolved_by is not None for c in github.threads(pull)} == {"c.txt": True, "d.txt": False}


# --- deliveries in any order ---


@pytest.mark.parametrize("order", ["as it happened", "backwards", "the end first"])
def test_whatever_order_deliveries_come_in_the_end_is_how_github_says_it_is(github: GithubBench, order: str) -> None:
    repository = github.repository(OLD)
    stays = github.change(repository, {"c.txt": "BAD\n"}, "stays")
    ends = github.change(repository, {"d.txt": "BAD\n"}, "ends")
    github.world.commit(repository, "stays", {"c.txt": "BAD two\n"})
    github.world.close("ada", stays)
    github.world.reopen("ada", stays)
    github.world.close("ada", ends)
    waiting = github.world.hooks.deliveries[github.delivered :]
    github.delivered += len(waiting)
    if order != "as it happened":
        waiting = waiting[::-1]
    if order == "the end first":
        waiting = [d for d in waiting if d.action == "closed"] + [d for d in waiting if d.action != "closed"]
    for delivery in waiting:
        assert github.post(delivery).status_code == 202
        github.work()
    github.settle()
    assert github.runs(repository, stays.head_sha)[-1].conclusion == "failure"
    assert len(github.threads(stays)) == 1
    assert all(run.status == "completed" for run in github.runs(repository, ends.head_sha))
    assert statuses(github, ends.head_sha)[-1:] in ([], ["done"], ["cancelled"])
    assert subjects_open(github) == {f"pull_request:{stays.number}": True, f"pull_request:{ends.number}": False}
    assert github.dead() == []


# --- installations ---


def states(github: GithubBench) -> tuple[list[str], dict[str, str]]:
    """State of every installation, and of every repository by its name."""
    with github.app.database.read() as work:
        homes = work.transaction.execute(select(installations.c.state).order_by(installations.c.created_at)).scalars()
        named = work.transaction.execute(select(repositories.c.full_name, repositories.c.state))
        return list(homes), {row.full_name: row.state for row in named}


def scans_asked(github: GithubBench) -> list[str]:
    """Names of the repositories whose default branch is to be looked at as a whole because they came."""
    with github.app.database.read() as work:
        bodies = work.transaction.execute(select(outbox.c.body).where(outbox.c.kind == "scan_repository").order_by(outbox.c.id))
        return sorted(re.findall(r'"full_name": ?"([^"]+)"', body)[0] for body in bodies.scalars())


def purges(github: GithubBench) -> int:
    """Purges that wait for their day."""
    with github.app.database.read() as work:
        statement = select(outbox.c.due_at - outbox.c.created_at).where(outbox.c.kind == "purge_repository", outbox.c.status == "pending")
        waits = list(work.transaction.execute(statement).scalars())
    assert all(wait > 86_400 for wait in waits)
    return len(waits)


def test_whoever_installs_it_gets_one_scan_of_each_repository_when_there_is_room(github: GithubBench) -> None:
    for name in ("one", "two"):
        github.world.create_repository("octo", name, files=OLD, install=False)
    github.world.install("octo")
    github.take()
    github.work_key(github_key(github, "installation.created"))
    assert scans_asked(github) == ["octo/one", "octo/two"]
    assert states(github) == (["active"], {"octo/one": "active", "octo/two": "active"})


def test_nothing_of_a_suspended_installation_is_worked_or_published_and_later_it_goes_on(github: GithubBench) -> None:
    repository = github.repository(OLD)
    installation = home(github, repository)
    during_the_scan(github, "installation.suspend", lambda: github.world.suspend(installation))
    pull = github.change(repository, {"c.txt": "BAD\n"})
    github.settle()
    assert states(github)[0] == ["suspended"]
    assert statuses(github, pull.head_sha) == ["cancelled"]
    assert [run.status for run in github.runs(repository, pull.head_sha)] == ["in_progress"]
    assert github.dead() == []
    before = told(github)
    github.work()
    assert told(github) == before

    github.world.commit(repository, "meanwhile", {"e.txt": "BAD\n"})
    unheard = github.world.open_pull_request("ada", repository, "meanwhile", "main", "Nobody is told")
    github.world.unsuspend(installation)
    github.settle()
    assert states(github)[0] == ["active"]
    assert github.runs(repository, unheard.head_sha)[-1].conclusion == "failure"
    assert {(run.status, run.conclusion) for run in github.runs(repository, pull.head_sha)} == {("completed", "failure")}
    assert len(github.threads(pull)) == 1
    assert github.dead() == []


def test_an_end_of_a_suspension_that_was_never_told_is_seen_with_the_next_event(github: GithubBench) -> None:
    repository = github.repository(OLD)
    installation = home(github, repository)
    github.world.suspend(installation)
    github.settle()
    installation.suspended_at = None
    pull = github.change(repository, {"c.txt": "BAD\n"})
    github.settle()
    assert states(github)[0] == ["active"]
    assert github.runs(repository, pull.head_sha)[-1].conclusion == "failure"


def test_a_suspension_that_is_told_after_its_end_changes_nothing(github: GithubBench) -> None:
    repository = github.repository(OLD)
    installation = home(github, repository)
    github.world.suspend(installation)
    github.world.unsuspend(installation)
    waiting = github.world.hooks.deliveries[github.delivered :]
    github.delivered += len(waiting)
    for delivery in reversed(waiting):
        github.post(delivery)
        github.work()
    assert states(github)[0] == ["active"]


def test_a_removed_installation_is_left_alone_and_forgotten_after_a_while(github: GithubBench) -> None:
    repository = github.repository(OLD)
    pull = github.change(repository, {"c.txt": "BAD\n"})
    github.settle()
    before = told(github)
    github.world.commit(repository, "feature", {"d.txt": "BAD\n"})
    github.world.uninstall(home(github, repository))
    github.settle()
    assert told(github) == before
    assert states(github) == (["deleted"], {"octo/shop": "gone"})
    assert statuses(github, pull.head_sha) in ([], ["cancelled"])
    # What is asked before we were told hears that it is gone, and is not tried again.
    assert (purges(github), set(github.dead()) - {("start_review", "HOST_NOT_FOUND")}) == (1, set())


def test_a_repository_whose_return_was_never_told_is_seen_with_its_next_event(github: GithubBench) -> None:
    repository = github.repository(OLD)
    installation = home(github, repository)
    installation.repositories = {repository.id}
    github.change(repository, {"a.txt": "fine\n"}, "first")
    github.settle()
    github.world.change_installation(installation, remove=(repository,))
    github.settle()
    assert states(github)[1] == {"octo/shop": "gone"}
    installation.repositories = {repository.id}
    pull = github.change(repository, {"c.txt": "BAD\n"})
    github.settle()
    assert states(github)[1] == {"octo/shop": "active"}
    assert github.runs(repository, pull.head_sha)[-1].conclusion == "failure"


def test_whoever_installs_it_again_finds_everything_as_it_was(github: GithubBench) -> None:
    repository = github.repository(OLD)
    pull = github.change(repository, {"c.txt": "fine\nBAD\n"})
    github.settle()
    github.world.uninstall(home(github, repository))
    github.settle()
    github.world.install("octo")
    github.take()
    github.work_key(github_key(github, "installation.created"))
    assert states(github) == (["deleted", "active"], {"octo/shop": "active"})
    github.world.comment("ada", pull, "/fix")
    github.settle()
    assert len(github.ours(repository)) == 1
    assert github.reviews(pull.head_sha) == 1


def test_a_repository_that_is_taken_out_and_added_again_is_as_it_was(github: GithubBench) -> None:
    repository = github.repository(OLD)
    other = github.repository(OLD, "other")
    installation = home(github, repository)
    installation.repositories = {repository.id, other.id}
    pull = github.change(repository, {"c.txt": "BAD\n"})
    github.settle()
    github.world.change_installation(installation, remove=(repository,))
    github.settle()
    assert states(github) == (["active"], {"octo/shop": "gone", "octo/other": "active"})
    assert purges(github) == 1
    github.world.change_installation(installation, add=(repository,))
    github.take()
    github.work_key(github_key(github, "installation_repositories.added"))
    assert states(github)[1]["octo/shop"] == "active"
    assert scans_asked(github) == ["octo/shop"]
    assert statuses(github, pull.head_sha) == ["done"]


# --- repositories ---


def test_a_renamed_repository_is_the_same_one(github: GithubBench) -> None:
    repository = github.repository(OLD)
    pull = github.change(repository, {"c.txt": "BAD\n"})
    github.settle()
    github.world.rename_repository(repository, "store")
    github.world.commit(repository, "feature", {"c.txt": "GOOD\n"})
    github.settle()
    assert states(github)[1] == {"octo/store": "active"}
    assert github.runs(repository, pull.head_sha)[-1].conclusion == "success"
    (thread,) = github.threads(pull)
    assert thread.thread.resolved_by is not None


def test_another_default_branch_is_taken_over(github: GithubBench) -> None:
    repository = github.repository(OLD)
    github.world.commit(repository, "next", {"c.txt": "fine\n"})
    github.world.set_default_branch(repository, "next")
    github.settle()
    with github.app.database.read() as work:
        assert work.transaction.execute(select(repositories.c.default_branch)).scalar_one() == "next"


def test_an_archived_repository_is_left_alone_and_taken_up_again(github: GithubBench) -> None:
    repository = github.repository(OLD)
    during_the_scan(github, "repository.archived", lambda: github.world.set_archived(repository, True))
    pull = github.change(repository, {"c.txt": "BAD\n"})
    github.settle()
    assert states(github)[1] == {"octo/shop": "archived"}
    assert statuses(github, pull.head_sha) == ["cancelled"]
    before = told(github)
    github.world.commit(repository, "feature", {"d.txt": "BAD\n"})
    github.settle()
    assert told(github) == before
    github.world.set_archived(repository, False)
    github.settle()
    assert github.runs(repository, pull.head_sha)[-1].conclusion == "failure"
    assert github.dead() == []


def changed_somehow(github: GithubBench, other: str = "") -> None:
    """What a host tells that does not say what changed: the host is asked."""
    with github.app.database.work() as work:
        ((installation, _),) = work.installations.all()
        ((_, source, _),) = work.installations.repositories_of(installation)
        event = AcceptEvent(
            uuid.uuid4().hex,
            RepositoryEvent(installation, replace(source, external_id=other or source.external_id), RepositoryAction.CHANGED),
        )
        work.outbox.send(Envelope(event, f"accept:{event.delivery}", group=f"accept:{event.delivery}"))
    github.settle()


def test_what_changed_is_found_where_the_host_does_not_say_it(github: GithubBench) -> None:
    repository = github.repository(OLD)
    head = github.world.commit(repository, "main", {"c.txt": "BAD\n"})
    github.settle()
    repository.archived = True
    changed_somehow(github)
    assert states(github)[1] == {"octo/shop": "archived"}
    repository.archived = False
    changed_somehow(github)
    assert states(github)[1] == {"octo/shop": "active"}
    before = told(github)
    changed_somehow(github)
    changed_somehow(github, "999")
    assert (told(github), states(github)[1]) == (before, {"octo/shop": "active"})
    (shown,) = github.runs(repository, head)
    assert "c.txt" in (shown.title or "") + (shown.summary or "")
    repository.private = False
    changed_somehow(github)
    newest = github.runs(repository, head)[-1]
    assert all("c.txt" not in (text or "") for text in (newest.title, newest.summary, newest.text))
    assert github.dead() == []


def test_a_repository_that_was_made_public_without_a_word_is_seen_to_be_so(github: GithubBench) -> None:
    """A host need not tell of it: the next event of the repository says that it is public."""
    repository = github.repository(OLD)
    head = github.world.commit(repository, "main", {"c.txt": "BAD\n"})
    github.settle()
    repository.private = False
    github.change(repository, {"d.txt": "fine\n"})
    github.settle()
    newest = github.runs(repository, head)[-1]
    assert all("c.txt" not in (text or "") for text in (newest.title, newest.summary, newest.text))
    assert github.dead() == []


def test_a_deleted_repository_leaves_no_retries(github: GithubBench) -> None:
    repository = github.repository(OLD)
    github.change(repository, {"c.txt": "BAD\n"})
    github.world.delete_repository(repository)
    github.settle()
    assert states(github)[1] == {"octo/shop": "gone"}
    assert (purges(github), github.unfinished()) == (1, 0)


@pytest.mark.parametrize("when", ["while it is looked at", "after it"])
def test_a_repository_that_becomes_public_shows_nothing_of_its_default_branch_any_more(github: GithubBench, when: str) -> None:
    repository = github.repository(OLD)
    if when == "while it is looked at":
        during_the_scan(github, "repository.publicized", lambda: github.world.set_private(repository, False))
    head = github.world.commit(repository, "main", {"c.txt": "BAD\n"})
    github.settle()
    if when == "after it":
        (shown,) = github.runs(repository, head)
        assert "c.txt" in (shown.title or "") + (shown.summary or "")
        github.world.set_private(repository, False)
        github.settle()
    newest = github.runs(repository, head)[-1]
    assert (newest.status, newest.annotations) == ("completed", [])
    assert all("c.txt" not in (text or "") for text in (newest.title, newest.summary, newest.text))
    assert github.dead() == []


def test_the_end_of_a_branch_ends_what_is_under_way_for_it(github: GithubBench) -> None:
    repository = github.repository(OLD)
    github.world.commit(repository, "next", {"c.txt": "fine\n"})

    def delete() -> None:
        with github.world.github.state.lock:
            repository.git.delete_ref("refs/heads/next")
            github.world.github.actions.look_at_refs(repository, github.world.user("ada"))

    github.world.set_default_branch(repository, "next")
    github.settle()
    during_the_scan(github, "push", delete)
    head = github.world.commit(repository, "next", {"c.txt": "BAD\n"})
    github.settle()
    assert statuses(github, head) == ["cancelled"]
    assert [(run.status, run.conclusion) for run in github.runs(repository, head)] == [("completed", "cancelled")]


# --- people ---


def test_whoever_loses_his_rights_while_the_fix_is_made_gets_no_branch(github: GithubBench) -> None:
    repository = github.repository(OLD)
    pull = github.change(repository, {"c.txt": "fine\nBAD\n"})
    github.settle()
    during_the_scan(github, "member.removed", lambda: github.world.remove_member(repository, "ada"))
    github.world.comment("ada", pull, "/fix")
    github.settle()
    assert (github.our_branches(repository), github.ours(repository)) == ([], [])
    (answer,) = github.answers(pull)
    assert "write permission" in answer
    # A colleague who may gets it, from the same proof.
    github.world.set_permission("bob", repository, "write")
    github.world.comment("bob", pull, "/fix")
    github.settle()
    assert len(github.ours(repository)) == 1
    assert github.sent("run_fix") == 1


def test_who_resolved_a_thread_is_remembered(github: GithubBench) -> None:
    repository = github.repository(OLD)
    pull = github.change(repository, {"c.txt": "BAD\n"})
    github.settle()
    (thread,) = github.threads(pull)

    def by() -> str:
        with github.app.database.read() as work:
            return str(work.transaction.execute(select(threads.c.resolved).where(threads.c.remote_id == str(thread.id))).scalar_one())

    assert by() == ""
    github.world.set_resolved("ada", thread, True)
    github.settle()
    assert by() == "person"
    github.world.set_resolved("ada", thread, False)
    github.settle()
    assert by() == ""
    github.world.set_resolved("tidy[bot]", thread, True)
    github.settle()
    assert by() == "person", "another machine is not us"
    github.world.commit(repository, "feature", {"d.txt": "fine\n"})
    github.settle()
    assert thread.thread.resolved_by is not None, "and is not fought"
    github.world.set_resolved("ada", thread, False)
    github.settle()
    github.world.commit(repository, "feature", {"c.txt": "GOOD\n"})
    github.settle()
    assert by() == "us"


# --- loops ---


def test_everything_we_write_may_come_back_from_us_and_quoted_by_people_and_it_settles(github: GithubBench) -> None:
    repository = github.repository(OLD)
    pull = github.change(repository, {"c.txt": f"fine\nBAD\nkey = {VALUE}\n"})
    github.settle()
    (handle,) = {found for comment in github.threads(pull) for found in re.findall(r"/fix ([A-Z0-9]+)", comment.body)}
    github.world.comment("ada", pull, f"/fix {handle}")
    github.settle()
    bot, app = github.world.app.bot, github.world.app
    for round_of in range(2):
        sent = github.sent("request_fix")
        written = [c.body for c in pull.comments if c.user is bot] + [c.body for c in pull.review_comments if c.user is bot]
        for body in written[:8]:
            with github.world.github.state.lock:
                actions = github.world.github.actions
                actions.comment(pull, bot, body, app)
                actions.reply(github.threads(pull)[0], bot, body)
                actions.comment(pull, github.world.user("ada"), body, app)
            for text in ("\n".join(f"> {line}" for line in body.splitlines()), body):
                github.world.comment("ada", pull, text)
                github.world.reply_in_thread("ada", github.threads(pull)[0].id, text)
        github.settle()
        # Nothing that we write asks for anything when it comes back, so that a round adds no answer to the next.
        assert github.sent("request_fix") == sent, round_of
    assert len(github.ours(repository)) == 1
    assert github.dead() == []


def test_our_own_fix_is_looked_at_and_offers_no_fix_of_itself(github: GithubBench) -> None:
    repository = github.repository(OLD)
    pull = github.change(repository, {"c.txt": "fine\nBAD\n"})
    github.settle()
    github.world.comment("ada", pull, "/fix")
    github.settle()
    (fix,) = github.ours(repository)
    assert github.runs(repository, fix.head_sha)[-1].conclusion == "success"
    assert (fix.comments, fix.review_comments) == ([], [])
    github.world.commit(repository, fix.head_ref, {"c.txt": "fine\nGOOD\nBAD again\n"})
    github.settle()
    assert github.runs(repository, fix.head_sha)[-1].conclusion == "failure"
    assert all("/fix" not in body for body in [c.body for c in fix.comments] + [c.body for c in fix.review_comments])


def test_a_machine_gets_a_check_run_again_once_a_commit(github: GithubBench) -> None:
    repository = github.repository(OLD)
    pull = github.change(repository, {"c.txt": "BAD\n"})
    github.settle()
    robot = github.world.github.state.account("robot[bot]", "Bot")
    for _ in range(3):
        with github.world.github.state.lock:
            github.world.github.actions.rerequest(github.runs(repository, pull.head_sha)[-1], robot)
        github.settle()
    assert github.reviews(pull.head_sha) == 2
    github.world.rerequest_check("ada", github.runs(repository, pull.head_sha)[-1])
    github.settle()
    assert github.reviews(pull.head_sha) == 3
