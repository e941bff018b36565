"""What is done on the host with a patch that has proven itself: branch, commit, pull request, and nothing left behind."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import select

from pipeline.messages import Envelope, ProposeFix
from pipeline.model.event import CommentRef
from pipeline.model.ids import FixId, ReviewId
from pipeline.model.target import PullRequestRef, UserRef
from pipeline.store.tables import fixes
from tests.stages.github import GithubBench
from tests.stages.gitlab import GitlabBench
from tests.worlds import faults
from tests.worlds.github.model import PullRequest, Repository

NO_PULLS = faults.Status(
    422, b'{"message": "Validation Failed", "documentation_url": "https://docs.github.com/rest", "status": "422"}', after_work=False
)


def test_a_commit_is_written_as_the_people_of_the_repository_write_theirs(github: GithubBench) -> None:
    repository = github.repository({"c.txt": "fine\n"})
    for number in range(3):
        message = f"fix(menu): thing {number}\n\nSigned-off-by: Ada <ada@example.org>\n"
        github.world.commit(repository, "main", {"d.txt": f"{number}\n"}, message)
    pull = github.change(repository, {"c.txt": "BAD\n"})
    github.settle()
    github.world.comment("ada", pull, "/fix")
    github.settle()
    (ours,) = github.ours(repository)
    assert ours.title == "fix(c): say GOOD"
    made = repository.git.commit(ours.head_sha)
    author = f"{made.author.name} <{made.author.email}>"
    assert made.message == f"fix(c): say GOOD\n\nThe line says GOOD now.\n\nSigned-off-by: {author}\n"
    assert ours.head_sha in repository.verified


def test_asked_again_after_a_push_the_same_pull_request_moves_onto_it(github: GithubBench) -> None:
    repository = github.repository({"c.txt": "fine\n"})
    pull = github.change(repository, {"c.txt": "BAD\n"})
    github.settle()
    github.world.comment("ada", pull, "/fix")
    github.settle()
    (first,) = github.ours(repository)
    pushed = github.world.commit(repository, "feature", {"more.txt": "x\n"})
    github.settle()
    github.world.comment("ada", pull, "/fix")
    github.settle()
    (ours,) = github.ours(repository)
    assert (ours.number, ours.state) == (first.number, "open")
    assert repository.git.commit(ours.head_sha).parents == (pushed,)
    assert github.our_branches(repository) == [ours.head_ref]


def test_a_pull_request_that_cannot_be_made_leaves_no_branch(github: GithubBench) -> None:
    repository = github.repository({"c.txt": "fine\n"})
    pull = github.change(repository, {"c.txt": "BAD\n"})
    github.settle()
    github.world.faults.add("POST", "/pulls$", NO_PULLS, times=10)
    github.world.comment("ada", pull, "/fix")
    github.settle()
    assert (github.ours(repository), github.our_branches(repository)) == ([], [])
    (answer,) = [body for body in github.answers(pull) if "git apply" in body]
    assert "+GOOD" in answer
    assert github.dead() == []


def asked_to_push(github: GithubBench) -> tuple[Repository, PullRequest, str]:
    """A fix that is offered as a pull request, and is about to be asked for as a commit."""
    repository = github.repository({"c.txt": "fine\n"})
    pull = github.change(repository, {"c.txt": "BAD\n"})
    github.settle()
    github.world.comment("ada", pull, "/fix")
    github.settle()
    assert len(github.ours(repository)) == 1
    with github.app.database.read() as work:
        (fix,) = work.fixes.of_review(newest(github))
    return repository, pull, fix.id


def newest(github: GithubBench) -> ReviewId:
    with github.app.database.read() as work:
        return ReviewId(work.transaction.execute(select(fixes.c.review_id)).scalar_one())


def push(github: GithubBench, pull: PullRequest, fix: str, who: str = "ada") -> None:
    """Ask for the fix as a commit."""
    made = github.world.comment("ada", pull, "asked for a commit")
    with github.app.database.work() as work:
        source = work.reviews.get(newest(github)).change.repository
        asked = CommentRef(PullRequestRef(source, pull.number), str(made.id))
        sender = UserRef(str(github.world.user(who).id), who)
        work.outbox.send(Envelope(ProposeFix(FixId(fix), asked, sender, "push"), f"push:{made.id}", group=f"fix:{fix}"))
    github.settle()


def test_a_pushed_fix_is_one_commit_and_what_offered_it_is_closed(github: GithubBench) -> None:
    repository, pull, fix = asked_to_push(github)
    before = pull.head_sha
    for _ in range(2):
        push(github, pull, fix)
    assert repository.git.commit(pull.head_sha).parents == (before,)
    assert github.world.read(repository, "feature", "c.txt") == b"GOOD\n"
    assert pull.head_sha in repository.verified
    # In the same second the same commit is made once more, and then the host counts what offered it as merged.
    assert [ours.state for ours in github.ours(repository)] == ["closed"]
    assert github.our_branches(repository) == []
    answers = [body for body in github.answers(pull) if f"`{pull.head_sha[:7]}` on `feature`" in body]
    assert len(answers) == 2
    assert github.dead() == []


def test_what_a_branch_does_not_take_is_answered_as_a_patch_with_the_reason(github: GithubBench) -> None:
    repository, pull, fix = asked_to_push(github)
    head = pull.head_sha
    repository.protected.add("feature")
    push(github, pull, fix)
    repository.protected.clear()
    push(github, pull, fix, who="eve")
    moved = github.world.commit(repository, "feature", {"more.txt": "x\n"})
    push(github, pull, fix)
    assert (pull.head_sha, repository.git.commit(moved).parents) == (moved, (head,))
    said = github.answers(pull)
    assert [body for body in said if "Changes must be made through a pull request" in body and "+GOOD" in body]
    assert [body for body in said if "write permission" in body]
    assert [body for body in said if "has newer commits" in body and "+GOOD" in body]
    assert [ours.state for ours in github.ours(repository)] == ["open"]
    assert github.dead() == []


def test_a_host_that_fails_after_the_push_gets_one_commit_and_one_answer(github: GithubBench) -> None:
    repository, pull, fix = asked_to_push(github)
    before = pull.head_sha
    github.world.faults.add("PATCH", "/git/refs/heads/feature$", faults.Status(500, after_work=True))
    github.world.faults.add("POST", "/comments$", faults.Status(500, after_work=True), skip=1)
    push(github, pull, fix)
    assert repository.git.commit(pull.head_sha).parents == (before,)
    (said,) = [body for body in github.answers(pull) if "on `feature`" in body]
    assert "`fixwright fix receipt " in said
    assert json.loads(said.split("```json\n")[1].split("\n```")[0])["payloadType"] == "application/vnd.in-toto+json"
    assert github.dead() == []


@pytest.mark.parametrize("merged", [False, True])
def test_what_is_for_a_change_is_closed_with_it(github: GithubBench, merged: bool) -> None:
    repository, pull, _ = asked_to_push(github)
    if merged:
        github.world.merge("ada", pull)
    else:
        github.world.close("ada", pull)
    github.settle()
    (ours,) = github.ours(repository)
    assert (ours.state, ours.merged_at, github.our_branches(repository)) == ("closed", None, [])
    assert [c.body for c in ours.comments if f"is for was {'merged' if merged else 'closed'}" in c.body]
    assert github.dead() == []


def test_what_mends_a_finding_that_is_gone_otherwise_is_closed_and_no_other(github: GithubBench) -> None:
    repository = github.repository({"c.txt": "fine\n", "d.txt": "fine\n"})
    pull = github.change(repository, {"c.txt": "BAD one\n", "d.txt": "BAD two\n"})
    github.settle()
    github.world.comment("ada", pull, "/fix all")
    github.settle()
    opened = github.ours(repository)
    github.world.commit(repository, "feature", {"c.txt": "fine again\n"})
    github.settle()
    gone = [ours for ours in opened if ours.state == "closed"]
    assert len(opened) == 2
    assert [ours.title for ours in gone] == ["Say GOOD"]
    assert [c.body for c in gone[0].comments if "does not bring the finding any more" in c.body]
    assert len(github.our_branches(repository)) == 1
    assert github.dead() == []


def test_the_command_puts_the_fix_on_the_branch(github: GithubBench) -> None:
    repository = github.repository({"c.txt": "fine\n"})
    pull = github.change(repository, {"c.txt": "BAD\n"})
    github.settle()
    before = pull.head_sha
    github.world.comment("ada", pull, "/fix push")
    github.settle()
    assert repository.git.commit(pull.head_sha).parents == (before,)
    assert (github.ours(repository), github.our_branches(repository)) == ([], [])
    assert [run.conclusion for run in github.runs(repository, pull.head_sha)] == ["success"]
    (said,) = [body for body in github.answers(pull) if "on `feature`" in body]
    assert "`fixwright fix receipt " in said
    assert json.loads(said.split("```json\n")[1].split("\n```")[0])["payloadType"] == "application/vnd.in-toto+json"


def test_on_gitlab_a_fix_is_pushed_and_what_is_for_a_closed_change_is_closed(gitlab: GitlabBench) -> None:
    project = gitlab.project({"c.txt": "fine\n"})
    pushed = gitlab.change(project, {"c.txt": "BAD\n"})
    other = gitlab.change(project, {"d.txt": "BAD\n"}, "other")
    gitlab.settle()
    before = project.git.branch("feature") or ""
    gitlab.world.comment("ada", pushed, "/fix push")
    gitlab.world.comment("ada", other, "/fix")
    gitlab.settle()
    assert project.git.commit(project.git.branch("feature") or "").parents == (before,)
    assert gitlab.world.read(project, "feature", "c.txt") == b"GOOD\n"
    (ours,) = [made for made in project.merge_requests.values() if made.iid not in (pushed.iid, other.iid)]
    assert (ours.target_branch, ours.state) == ("other", "opened")
    gitlab.world.close("ada", other)
    gitlab.settle()
    assert ours.state == "closed"
    assert [ref for ref in project.git.refs() if "/fixwright/" in ref] == []
    assert gitlab.dead() == []
