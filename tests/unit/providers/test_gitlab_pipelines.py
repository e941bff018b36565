"""Where the status of a merge request is put, on the double of GitLab: what counts is what its merge button looks at."""

from __future__ import annotations

import pytest

from pipeline.errors import HostForbidden
from pipeline.model.ids import CommitId
from pipeline.model.report import Check, CheckState
from pipeline.model.review import Conclusion
from pipeline.model.target import CommitRef
from tests.unit.providers.gitlab_place import Place, at_ease
from tests.worlds.gitlab import GitlabWorld

SCANNING = Check("k", "Scanning", "", None)
FAILED = Check("k", "1 blocks", "", Conclusion.FAILURE)
CLEAN = Check("k", "No new findings", "", Conclusion.SUCCESS)


def counts(place: Place) -> str | None:
    """State of our job in the pipeline that GitLab's merge button looks at; None when there is none."""
    with place.world.gitlab.state.lock:
        head = place.world.gitlab.pipelines.head_of(place.request)
        ours = [job.status for job in head.latest if job.user is place.me] if head else []
    return ours[0] if ours else None


def unfinished(place: Place) -> list[str]:
    """States of ours that still say that we are at work, anywhere."""
    with place.world.gitlab.state.lock:
        every = [
            pipeline for project in place.world.gitlab.state.projects.values() for pipeline in place.world.gitlab.pipelines.of(project)
        ]
        return [
            job.status for pipeline in every for job in pipeline.latest if job.user is place.me and job.status in ("pending", "running")
        ]


def test_without_any_pipeline_one_is_made_on_the_branch(place: Place) -> None:
    place.host.ensure_check(place.commit, SCANNING, CheckState())
    assert counts(place) == "running"
    place.host.ensure_check(place.commit, CLEAN)
    assert (counts(place), unfinished(place)) == ("success", [])


def test_it_joins_the_branchs_pipeline(place: Place) -> None:
    pipeline = place.world.run_pipeline(place.project, "feature")
    place.host.ensure_check(place.commit, FAILED)
    assert [job.status for job in pipeline.latest if job.external] == ["failed"]
    assert counts(place) == "failed"


def test_a_merge_request_pipeline_that_comes_late_gets_the_verdict_and_nothing_is_left_running(place: Place) -> None:
    place.host.ensure_check(place.commit, SCANNING, CheckState())
    place.world.run_merge_request_pipeline(place.request)
    assert counts(place) is None
    place.host.ensure_check(place.commit, FAILED)
    assert (counts(place), unfinished(place)) == ("failed", [])


def test_a_pipeline_that_somebody_runs_again_gets_the_verdict_the_next_time_it_is_shown(place: Place) -> None:
    place.world.run_merge_request_pipeline(place.request)
    place.host.ensure_check(place.commit, FAILED)
    place.world.run_merge_request_pipeline(place.request)
    place.host.ensure_check(place.commit, FAILED)
    assert counts(place) == "failed"


def test_a_pipeline_that_begins_between_the_verdict_and_the_note_has_the_verdict_too(place: Place) -> None:
    place.host.ensure_check(place.commit, FAILED)
    place.world.run_merge_request_pipeline(place.request)
    assert counts(place) is None
    place.host.ensure_comment(place.ref, "summary", "| table |")
    assert counts(place) == "failed"


def test_merged_results_are_met_where_they_run(place: Place) -> None:
    place.project.merge_pipelines_enabled = True
    place.push({"more.txt": "z\n"})
    pipeline = place.world.run_merge_request_pipeline(place.request, "merge")
    assert pipeline.sha != place.head
    place.host.ensure_check(place.commit, FAILED)
    assert counts(place) == "failed"


def test_a_head_that_is_superseded_leaves_nothing_running_wherever_it_was_begun(place: Place) -> None:
    place.project.merge_pipelines_enabled = True
    place.push({"more.txt": "z\n"})
    pipeline = place.world.run_merge_request_pipeline(place.request, "merge")
    old = place.commit
    place.host.ensure_check(old, SCANNING, CheckState())
    assert [job.status for job in pipeline.latest if job.external] == ["running"]
    place.push({"most.txt": "z\n"})
    place.host.ensure_check(old, Check("k", "Superseded", "", Conclusion.CANCELLED))
    assert [job.status for job in pipeline.latest if job.external] == ["canceled"]
    assert place.statuses(old.commit) == [], "no other pipeline is told of it"


def test_one_that_was_begun_in_a_fork_ends_there_after_the_head_moved_on(place: Place) -> None:
    fork = place.world.fork(place.project, "mallory")
    place.world.set_access(place.me.username, fork, "developer")
    head = place.world.commit(fork, "theirs", {"app.py": "theirs\n"}, author="mallory")
    place.world.open_merge_request("mallory", place.project, "theirs", "main", "From afar", fork=fork)
    commit = CommitRef(place.ref.repository, CommitId(head))
    place.host.ensure_check(commit, SCANNING, CheckState())
    place.world.commit(fork, "theirs", {"app.py": "theirs again\n"}, author="mallory")
    place.host.ensure_check(commit, FAILED)
    assert [job.status for job in place.world.statuses(fork, head)] == ["failed"]
    assert unfinished(place) == []


def test_a_merge_trains_commit_has_its_own(place: Place) -> None:
    place.project.merge_trains_enabled = place.project.merge_pipelines_enabled = True
    sha = place.world.board_train("ada", place.request)
    pipeline = place.world.run_merge_request_pipeline(place.request, "train")
    place.host.ensure_check(CommitRef(place.ref.repository, CommitId(sha)), FAILED)
    assert [job.status for job in pipeline.latest if job.external] == ["failed"]


def test_a_finished_one_goes_back_to_work_and_ends_again(place: Place) -> None:
    for check, state in ((FAILED, "failed"), (SCANNING, "running"), (SCANNING, "running"), (CLEAN, "success"), (CLEAN, "success")):
        place.host.ensure_check(place.commit, check)
        assert counts(place) == state
    assert len(place.statuses(every=True)) == 2


def test_what_somebody_cancelled_with_the_pipeline_is_said_all_the_same(place: Place) -> None:
    pipeline = place.world.run_pipeline(place.project, "feature")
    place.host.ensure_check(place.commit, SCANNING)
    with place.world.gitlab.state.lock:
        for job in pipeline.latest:
            place.world.gitlab.pipelines.move(job, "canceled")
    place.host.ensure_check(place.commit, CLEAN)
    assert counts(place) == "success"


def test_of_a_fork_it_stands_in_the_fork_when_we_may_write_there_and_else_beside(place: Place) -> None:
    fork = place.world.fork(place.project, "mallory")
    head = place.world.commit(fork, "theirs", {"app.py": "theirs\n"}, author="mallory")
    request = place.world.open_merge_request("mallory", place.project, "theirs", "main", "From afar", fork=fork)
    commit = CommitRef(place.ref.repository, CommitId(head))
    place.host.ensure_check(commit, SCANNING, CheckState())
    place.host.ensure_check(commit, FAILED)
    assert place.world.statuses(fork, head) == []
    assert [(job.status, job.ref) for job in place.statuses(head)] == [("failed", f"refs/merge-requests/{request.iid}/head")]
    place.world.set_access(place.me.username, fork, "developer")
    place.host.ensure_check(commit, CLEAN)
    assert [job.status for job in place.world.statuses(fork, head)] == ["success"]


@pytest.mark.parametrize("visibility", ["private", "public"])
def test_beside_a_fork_it_leads_to_the_note_too(world: GitlabWorld, visibility: str) -> None:
    place = Place(world, visibility=visibility)
    fork = world.fork(place.project, "mallory")
    head = world.commit(fork, "theirs", {"app.py": "theirs\n"}, author="mallory")
    request = world.open_merge_request("mallory", place.project, "theirs", "main", "From afar", fork=fork)
    place.host.ensure_check(CommitRef(place.ref.repository, CommitId(head)), FAILED)
    place.host.ensure_comment(place.ref_of(request), "summary", "| table |")
    assert [(job.status, "#note_" in (job.target_url or "")) for job in place.statuses(head)] == [("failed", True)]
    assert world.statuses(fork, head) == []
    at_ease(world)


def test_of_a_fork_that_was_deleted_it_stands_beside(place: Place) -> None:
    fork = place.world.fork(place.project, "mallory")
    head = place.world.commit(fork, "theirs", {"app.py": "theirs\n"}, author="mallory")
    place.world.open_merge_request("mallory", place.project, "theirs", "main", "From afar", fork=fork)
    place.world.delete_project(fork)
    place.host.ensure_check(CommitRef(place.ref.repository, CommitId(head)), FAILED)
    assert [job.status for job in place.statuses(head)] == ["failed"]


def test_a_branchs_commit_stands_on_that_branch_and_on_none_that_only_holds_it(place: Place) -> None:
    place.sign_in(place.world.token_of(place.project, "maintainer"))
    place.push({"x.txt": "x\n"}, "a-branch-that-comes-first")
    tip = place.push({"y.txt": "y\n"}, "zone")
    for sha, branch in ((place.tip("main"), "main"), (tip, "zone")):
        place.host.ensure_check(CommitRef(place.ref.repository, CommitId(sha)), FAILED)
        assert [job.ref for job in place.statuses(sha)] == [branch]


def test_a_commit_of_a_protected_branch_is_refused_with_what_to_do(place: Place) -> None:
    assert "main" in place.project.protected, "as GitLab does it with every default branch"
    with pytest.raises(HostForbidden) as caught:
        place.host.ensure_check(CommitRef(place.ref.repository, place.tip("main")), CLEAN)
    assert "protected" in caught.value.hint


def test_who_only_reads_is_told_so(world: GitlabWorld) -> None:
    place = Place(world)
    place.sign_in(world.token_of(place.project, "reporter"))
    with pytest.raises(HostForbidden):
        place.host.ensure_check(place.commit, CLEAN)
    at_ease(world)


# --- external status checks ---


def test_who_is_asked_answers_the_verdict_and_only_for_itself(world: GitlabWorld) -> None:
    place = Place(world)
    place.project.namespace.plan = "ultimate"
    ours = world.add_status_check(place.project, "Fixwright", "https://fixwright.example.org/webhooks/gitlab")
    others = [
        world.add_status_check(place.project, name, url)
        for name, url in (
            ("Another instance", "https://fixwright.example.org/webhooks/gitlab/eu"),
            ("Another Fixwright", "https://fixwright.elsewhere.example/webhooks/gitlab"),
            ("Compliance", "https://fixwright.example.org/webhooks/gitlab-audit"),
        )
    ]
    for check, said in ((SCANNING, "pending"), (FAILED, "failed"), (CLEAN, "passed")):
        place.host.ensure_check(place.commit, check)
        states = [world.gitlab.status_checks.status(one, place.request) for one in (ours, *others)]
        assert states == [said, "pending", "pending", "pending"]
    answers = len(world.gitlab.status_checks.responses[place.request.id])
    place.host.ensure_check(place.commit, CLEAN)
    assert len(world.gitlab.status_checks.responses[place.request.id]) == answers
    place.project.namespace.plan = "premium"
    at_ease(world)


def test_where_nobody_can_ask_it_is_looked_for_once_an_hour(place: Place) -> None:
    for _ in range(3):
        place.host.ensure_check(place.commit, CLEAN)
    assert sum(asked.path.endswith("/status_checks") for asked in place.world.asked) == 1
