"""Branches and merge requests of ours on the double of GitLab: what the suite for every host does not ask."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.errors import HostRejected, HostUnavailable
from pipeline.model.fix import BranchCommit, FileEdit, Patch, PullRequestDraft
from pipeline.model.ids import CommitId
from pipeline.model.review import Change
from tests.contract.world import BASE, CHANGED
from tests.unit.providers.github_wire import Memory
from tests.unit.providers.gitlab_place import Place
from tests.worlds.faults import Abort, Status

BRANCH = "fixwright/k7q-12345678"
MENDED = CHANGED.replace("line 10 changed\n", "line 10 mended\n").encode()
EDIT = FileEdit("app.py", CHANGED.encode(), MENDED)


def wanted(place: Place, *edits: FileEdit) -> BranchCommit:
    return BranchCommit(place.head, BRANCH, "Mend line 10\n\nIt is mended.", Patch(edits or (EDIT,), "mend line 10"))


def ensure(place: Place, *edits: FileEdit) -> CommitId:
    return place.host.ensure_branch(place.ref.repository, wanted(place, *edits)).commit


def draft(place: Place, commit: CommitId, **more: tuple[str, ...]) -> PullRequestDraft:
    change = Change(place.ref.repository, place.tip("main"), place.head, place.tip("main"), "main", "feature", place.ref)
    return PullRequestDraft(change, BRANCH, "feature", replace(place.commit, commit=commit), "Mend line 10", "What and why.", **more)


def writes(place: Place) -> int:
    return sum(asked.method == "POST" and asked.path.endswith("/repository/commits") for asked in place.world.asked)


# --- branches ---


def test_the_commit_is_in_our_name_and_says_what_it_does(place: Place) -> None:
    commit = place.project.git.commit(ensure(place))
    assert (commit.parents, commit.message.rstrip()) == ((place.head,), "Mend line 10\n\nIt is mended.")
    assert commit.author.name == place.me.name


def test_what_is_there_already_is_not_written_again_also_without_a_memory(place: Place) -> None:
    made = ensure(place)
    place.memory = Memory()
    assert ensure(place) == made
    assert writes(place) == 1


def test_an_answer_that_got_lost_makes_no_second_commit(place: Place) -> None:
    place.world.faults.add("POST", "/repository/commits$", Abort(after_work=True))
    with pytest.raises(HostUnavailable):
        ensure(place)
    there = place.tip(BRANCH)
    assert ensure(place) == there != ""


def test_our_own_commit_is_known_again_when_its_answer_got_lost_and_the_head_moved_on(place: Place) -> None:
    place.world.faults.add("POST", "/repository/commits$", Abort(after_work=True))
    with pytest.raises(HostUnavailable):
        ensure(place)
    lost = place.tip(BRANCH)
    place.push({"more.txt": "z\n"})
    moved = ensure(place)
    assert place.tip(BRANCH) == moved != lost
    assert place.project.git.commit(moved).parents == (place.head,)


def test_a_commit_that_only_looks_like_ours_is_left_alone(place: Place) -> None:
    ensure(place)
    theirs = place.push({"app.py": MENDED + b"and theirs\n"}, BRANCH)
    place.memory = Memory()
    place.push({"more.txt": "z\n"})
    with pytest.raises(HostRejected, match="not ours"):
        ensure(place)
    assert place.tip(BRANCH) == theirs


def test_a_commit_of_the_same_files_with_one_more_is_not_what_we_want(place: Place) -> None:
    theirs = place.world.commit(place.project, BRANCH, {"app.py": MENDED, "evil.py": "x\n"}, base="feature")
    with pytest.raises(HostRejected, match="not ours"):
        ensure(place)
    assert place.tip(BRANCH) == theirs


def test_a_name_that_is_taken_in_the_meantime_is_an_error_and_moves_nothing(place: Place) -> None:
    foreign = place.push({"x.txt": "x\n"}, BRANCH)
    place.world.faults.add("GET", "/repository/branches/", Status(404))
    with pytest.raises(HostRejected):
        ensure(place)
    assert place.tip(BRANCH) == foreign


def test_many_files_in_one_commit(place: Place) -> None:
    edits = [FileEdit(f"deep/er/file{n}.py", None, f"{n}\n".encode()) for n in range(30)]
    ensure(place, *edits, FileEdit("gone.py", b"x = 1\n", None))
    assert {place.world.read(place.project, BRANCH, edit.path) for edit in edits} == {edit.after for edit in edits}
    assert place.world.read(place.project, BRANCH, "gone.py") is None
    assert place.world.read(place.project, BRANCH, "tool.sh") == str(BASE["tool.sh"]).encode()


# --- merge requests ---


def test_it_has_labels_and_somebody_who_is_asked_to_review(place: Place) -> None:
    made = place.host.ensure_pull_request(
        draft(place, ensure(place), labels=("security",), reviewers=("ada", "acme/team", "nobody-at-all"))
    )
    ours = place.project.merge_requests[made.number]
    assert (ours.labels, [user.username for user in ours.reviewers]) == (["security"], ["ada"])
    assert ours.remove_source_branch


def test_who_was_asked_is_not_asked_again_nor_replaced(place: Place) -> None:
    commit = ensure(place)
    made = place.host.ensure_pull_request(draft(place, commit, reviewers=("ada",)))
    again = place.host.ensure_pull_request(draft(place, commit, reviewers=("walter",), labels=("late",)))
    ours = place.project.merge_requests[made.number]
    assert again == made
    assert ([user.username for user in ours.reviewers], ours.labels) == (["ada"], ["late"])


def test_a_forks_merge_request_from_a_branch_of_that_name_is_not_ours(place: Place) -> None:
    fork = place.world.fork(place.project, "mallory")
    place.world.commit(fork, BRANCH, {"app.py": "theirs\n"}, author="mallory")
    theirs = place.world.open_merge_request("mallory", place.project, BRANCH, "feature", "Mine", fork=fork)
    made = place.host.ensure_pull_request(draft(place, ensure(place)))
    assert made.number != theirs.iid
    assert theirs.title == "Mine"


def test_it_follows_to_another_target(place: Place) -> None:
    commit = ensure(place)
    made = place.host.ensure_pull_request(draft(place, commit))
    place.push({"x.txt": "x\n"}, "release")
    place.host.ensure_pull_request(replace(draft(place, commit), base_ref="release"))
    assert place.project.merge_requests[made.number].target_branch == "release"


def test_one_that_was_merged_is_not_closed_and_says_nothing(place: Place) -> None:
    made = place.host.ensure_pull_request(draft(place, ensure(place)))
    ours = place.project.merge_requests[made.number]
    place.world.merge("ada", ours)
    place.host.ensure_closed(made, "The change is merged.")
    assert ours.state == "merged"
    assert place.world.notes(ours) == []
