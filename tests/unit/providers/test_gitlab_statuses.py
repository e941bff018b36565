"""The commit status: where it is put, what it says, and every way in which GitLab refuses one. The pipelines of the double are in
`test_gitlab_writing.py`; here are answers that it does not give."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from pipeline.errors import HostForbidden, HostRejected, HostUnavailable
from pipeline.model.ids import CommitId
from pipeline.model.report import Check, CheckState
from pipeline.model.review import Conclusion
from pipeline.model.target import CommitRef
from providers.gitlab.statuses import DESCRIPTION, STATES, UNFINISHED, shortened
from tests.unit.providers.github_wire import Memory
from tests.unit.providers.gitlab_wire import ME, REPOSITORY, Asked, Said, Wire

HEAD = "e" * 40
MERGED = "f" * 40
COMMIT = CommitRef(REPOSITORY, CommitId(HEAD))
MERGE_REQUEST = {"iid": 7, "sha": HEAD, "source_branch": "feature", "source_project_id": 42, "project_id": 42}
STATUSES = f"/projects/42/repository/commits/{HEAD}/statuses"
POST = f"/projects/42/statuses/{HEAD}"
CANNOT = 'Cannot transition status via :run from :running (Reason(s): Status cannot transition via "run")'


def check(conclusion: Conclusion | None = Conclusion.FAILURE, title: str = "1 blocks") -> Check:
    return Check("key", title, "| a |", conclusion)


def status(number: int, state: str, pipeline: int = 5, title: str = "1 blocks", author: int = 9, **more: object) -> dict[str, object]:
    return {
        "id": number,
        "sha": HEAD,
        "ref": "feature",
        "status": state,
        "name": "Fixwright",
        "description": title,
        "target_url": None,
        "pipeline_id": pipeline,
        "author": {"id": author},
        **more,
    }


def pipeline(number: int, ref: str = "feature", sha: str = HEAD, project: int = 42) -> dict[str, object]:
    return {"id": number, "ref": ref, "sha": sha, "project_id": project}


def answering(answers: Mapping[str, object], posts: Callable[[Asked], Said] | None = None) -> Wire:
    """A GitLab of a few fixed lists. What is posted is answered as number 100, unless `posts` does."""

    def handler(asked: Asked) -> Said | None:
        if asked.method == "POST":
            if posts is not None:
                return posts(asked)
            return Said(status(100, str(asked.body["state"])), 201)
        found = answers.get(asked.path)
        return found if isinstance(found, Said) else None if found is None else Said(found)

    return Wire(handler)


LISTS: Mapping[str, object] = {
    f"/projects/42/repository/commits/{HEAD}/merge_requests": [MERGE_REQUEST],
    "/projects/42/merge_requests/7/pipelines": [],
    STATUSES: [],
    "/projects/42/pipelines": [],
}


def posted(wire: Wire) -> list[tuple[str, Mapping[str, object]]]:
    return [(asked.path, asked.body) for asked in wire.asked if asked.method == "POST"]


def test_every_conclusion_has_a_state_and_none_of_them_stays_unfinished() -> None:
    assert set(STATES) == {None, *Conclusion}
    assert {conclusion for conclusion, state in STATES.items() if state in UNFINISHED} == {None}
    assert {STATES[Conclusion.SUCCESS], STATES[Conclusion.NEUTRAL]} == {"success"}
    assert {STATES[Conclusion.FAILURE], STATES[Conclusion.ACTION_REQUIRED]} == {"failed"}
    assert STATES[Conclusion.CANCELLED] == "canceled"


def test_a_title_becomes_one_line_within_the_limit() -> None:
    assert shortened("a\n  b\tc") == "a b c"
    assert shortened("x" * DESCRIPTION) == "x" * DESCRIPTION
    assert len(shortened("☃" * 300)) == DESCRIPTION
    assert shortened("☃" * 300).endswith("…")


def test_the_first_one_is_written_without_a_look_at_what_nobody_made() -> None:
    wire = answering(LISTS)
    wire.host().ensure_check(COMMIT, check(None, "Scanning"), CheckState())
    assert posted(wire) == [(POST, {"state": "running", "name": "Fixwright", "description": "Scanning", "ref": "feature"})]
    assert STATUSES not in wire.paths()


def test_the_newest_pipeline_of_the_merge_request_is_the_one_that_counts() -> None:
    own = [pipeline(6, "refs/merge-requests/7/head"), pipeline(5, "refs/merge-requests/7/head"), pipeline(8)]
    wire = answering({**LISTS, "/projects/42/merge_requests/7/pipelines": own})
    wire.host().ensure_check(COMMIT, check())
    assert [(path, body["pipeline_id"]) for path, body in posted(wire)] == [(POST, 6)]
    assert "ref" not in posted(wire)[0][1]


def test_an_older_head_and_another_merge_request_are_not_looked_at() -> None:
    older = [pipeline(9, "refs/merge-requests/7/head", "1" * 40), pipeline(8, "refs/merge-requests/70/head"), pipeline(3)]
    wire = answering({**LISTS, "/projects/42/merge_requests/7/pipelines": older})
    wire.host().ensure_check(COMMIT, check())
    # The one of the other merge request is on this very commit: better a pipeline that exists than another one.
    assert [body["pipeline_id"] for _, body in posted(wire)] == [8]


def test_a_merged_results_pipeline_is_met_on_the_commit_that_gitlab_made() -> None:
    own = [pipeline(9, "refs/merge-requests/7/merge", MERGED), pipeline(5)]
    answers = {
        **LISTS,
        "/projects/42/merge_requests/7/pipelines": own,
        f"/projects/42/repository/commits/{MERGED}": {"id": MERGED, "parent_ids": ["b" * 40, HEAD]},
        f"/projects/42/repository/commits/{MERGED}/statuses": [],
    }
    wire = answering(answers)
    wire.host().ensure_check(COMMIT, check())
    assert [(path, body["pipeline_id"]) for path, body in posted(wire)] == [(f"/projects/42/statuses/{MERGED}", 9)]


def test_a_merged_results_pipeline_of_an_older_head_does_not_count() -> None:
    own = [pipeline(9, "refs/merge-requests/7/merge", MERGED), pipeline(5)]
    commit = {"id": MERGED, "parent_ids": ["b" * 40, "1" * 40]}
    answers = {**LISTS, "/projects/42/merge_requests/7/pipelines": own, f"/projects/42/repository/commits/{MERGED}": commit}
    wire = answering(answers)
    wire.host().ensure_check(COMMIT, check())
    assert [(path, body["pipeline_id"]) for path, body in posted(wire)] == [(POST, 5)]


def test_a_commit_without_a_merge_request_has_its_branchs_newest_pipeline_or_none() -> None:
    lists = {**LISTS, f"/projects/42/repository/commits/{HEAD}/merge_requests": []}
    both = [pipeline(5, "main"), pipeline(6, "refs/merge-requests/7/head")]
    for listed, expected in ((both, {"pipeline_id": 5}), ([], {}), ([both[1]], {"pipeline_id": 6})):
        wire = answering({**lists, "/projects/42/pipelines": listed})
        wire.host().ensure_check(COMMIT, check())
        ((_, body),) = posted(wire)
        assert {name: body[name] for name in ("pipeline_id", "ref") if name in body} == expected


def test_what_is_said_already_is_not_said_again() -> None:
    lists = {**LISTS, "/projects/42/merge_requests/7/pipelines": [pipeline(5)], STATUSES: [status(10, "failed")]}
    wire = answering(lists)
    assert wire.host().ensure_check(COMMIT, check()).id == "10"
    assert posted(wire) == []


@pytest.mark.parametrize(
    "there",
    [
        status(10, "failed", author=1),
        status(10, "failed", name="fixwright-other"),
        status(10, "failed", title="2 block"),
        status(9, "success"),
        {**status(10, "failed"), "pipeline_id": None},
        status(10, "failed", pipeline=4),
    ],
    ids=["somebody else's", "another name", "another title", "another state", "in nobody knows which pipeline", "in another pipeline"],
)
def test_what_says_something_else_is_replaced(there: dict[str, object]) -> None:
    lists = {**LISTS, "/projects/42/merge_requests/7/pipelines": [pipeline(5)], STATUSES: [there]}
    wire = answering(lists)
    assert wire.host().ensure_check(COMMIT, check()).id == "100"
    assert [body["state"] for _, body in posted(wire)] == ["failed"]


def test_where_gitlab_does_not_tell_the_pipeline_what_was_said_there_is_not_said_again_and_in_a_newer_one_once() -> None:
    there: list[dict[str, object]] = []
    pipelines = [pipeline(5)]

    def handler(asked: Asked) -> Said | None:
        if asked.method == "POST":
            there.append({**status(100 + len(there), str(asked.body["state"])), "pipeline_id": None})
            return Said(there[-1], 201)
        lists = {**LISTS, "/projects/42/merge_requests/7/pipelines": pipelines, STATUSES: there}
        return Said(lists[asked.path]) if asked.path in lists else None

    wire, memory = Wire(handler), Memory()
    assert [wire.host(memory).ensure_check(COMMIT, check()).id for _ in range(3)] == ["100"] * 3
    pipelines.append(pipeline(6))
    assert [wire.host(memory).ensure_check(COMMIT, check()).id for _ in range(3)] == ["101"] * 3
    assert [body["pipeline_id"] for _, body in posted(wire)] == [5, 6]
    assert wire.host(memory).ensure_check(COMMIT, check(Conclusion.SUCCESS)).id == "102"


def test_running_twice_is_once_whatever_gitlab_says_to_the_second() -> None:
    seen = iter([[], [status(10, "running")]])

    def handler(asked: Asked) -> Said | None:
        if asked.method == "POST":
            return Said({"message": CANNOT}, 400)
        if asked.path == STATUSES:
            return Said(next(seen))
        return Said(LISTS[asked.path]) if asked.path in LISTS else None

    assert Wire(handler).host().ensure_check(COMMIT, check(None)).id == "10"


def test_what_gitlab_would_not_move_is_there_though_it_does_not_say_in_which_pipeline() -> None:
    lists = {**LISTS, "/projects/42/merge_requests/7/pipelines": [pipeline(5)]}
    lists[STATUSES] = [{**status(10, "running"), "pipeline_id": None}]
    wire = answering(lists, lambda asked: Said({"message": CANNOT}, 400))
    assert wire.host().ensure_check(COMMIT, check(None)).id == "10"
    wire = answering(lists, lambda asked: Said({"message": {"target_url": ["is blocked"]}}, 400))
    with pytest.raises(HostRejected, match="target_url is blocked"):
        wire.host().ensure_check(COMMIT, check(None))


def test_a_status_that_somebody_moved_meanwhile_is_tried_again() -> None:
    def handler(asked: Asked) -> Said | None:
        if asked.method == "POST":
            return Said({"message": CANNOT}, 400)
        if asked.path == STATUSES:
            return Said([status(10, "running")])
        return Said(LISTS[asked.path]) if asked.path in LISTS else None

    with pytest.raises(HostUnavailable):
        Wire(handler).host().ensure_check(COMMIT, check())


def test_another_update_under_way_is_tried_again() -> None:
    wire = answering(LISTS, lambda asked: Said({"message": "Another update to this commit status is in progress"}, 409))
    with pytest.raises(HostUnavailable):
        wire.host().ensure_check(COMMIT, check())


@pytest.mark.parametrize(
    ("code", "said"), [(422, "The number of jobs has exceeded the limit"), (404, "404 Pipeline for pipeline_id Not Found")]
)
def test_a_pipeline_that_is_full_or_gone_is_left_for_one_that_gitlab_finds(code: int, said: str) -> None:
    def posts(asked: Asked) -> Said:
        return Said({"message": said}, code) if "pipeline_id" in asked.body else Said(status(101, "failed"), 201)

    wire = answering({**LISTS, "/projects/42/merge_requests/7/pipelines": [pipeline(5)]}, posts)
    assert wire.host().ensure_check(COMMIT, check()).id == "101"
    assert [body.get("pipeline_id") for _, body in posted(wire)] == [5, None]


def test_another_400_is_an_error() -> None:
    wire = answering(LISTS, lambda asked: Said({"message": {"target_url": ["is blocked"]}}, 400))
    with pytest.raises(HostRejected, match="target_url is blocked"):
        wire.host().ensure_check(COMMIT, check())


def test_a_protected_branch_that_is_closed_to_us_is_told_with_what_to_do() -> None:
    wire = answering(LISTS, lambda asked: Said({"message": "403 Forbidden"}, 403))
    with pytest.raises(HostForbidden) as caught:
        wire.host().ensure_check(COMMIT, check())
    assert "Developer" in caught.value.hint


def test_a_fork_that_is_closed_to_us_has_the_status_beside_the_merge_request() -> None:
    fork = {**MERGE_REQUEST, "source_project_id": 99}
    lists = {**LISTS, f"/projects/42/repository/commits/{HEAD}/merge_requests": [fork]}
    lists["/projects/42/merge_requests/7/pipelines"] = [pipeline(5, project=99)]

    def posts(asked: Asked) -> Said:
        return Said({"message": "404 Project Not Found"}, 404) if "/99/" in asked.path else Said(status(101, "failed"), 201)

    wire = answering(lists, posts)
    assert wire.host().ensure_check(COMMIT, check(), CheckState()).id == "101"
    assert [(path, body.get("ref")) for path, body in posted(wire)][-1] == (POST, "refs/merge-requests/7/head")


def test_what_was_begun_in_a_pipeline_that_does_not_count_any_more_is_finished_too() -> None:
    lists = {**LISTS, "/projects/42/merge_requests/7/pipelines": [pipeline(6, "refs/merge-requests/7/head"), pipeline(5)]}
    lists[STATUSES] = [status(10, "running", 5, "Scanning"), status(9, "running", 5, author=1)]
    wire = answering(lists)
    wire.host().ensure_check(COMMIT, check(Conclusion.SUCCESS, "No new findings"))
    assert [(body["pipeline_id"], body["state"]) for _, body in posted(wire)] == [(6, "success"), (5, "success")]


def test_two_merge_requests_of_one_head_have_it_each_and_one_pipeline_of_both_once() -> None:
    other = {**MERGE_REQUEST, "iid": 8}
    lists = {
        **LISTS,
        f"/projects/42/repository/commits/{HEAD}/merge_requests": [MERGE_REQUEST, other, {**other, "iid": 9, "sha": "1" * 40}],
    }
    lists["/projects/42/merge_requests/8/pipelines"] = []
    wire = answering(lists)
    wire.host().ensure_check(COMMIT, check(None), CheckState())
    assert len(posted(wire)) == 1
    lists["/projects/42/merge_requests/8/pipelines"] = [pipeline(6, "refs/merge-requests/8/head")]
    wire = answering(lists)
    wire.host().ensure_check(COMMIT, check(None), CheckState())
    assert [body.get("pipeline_id") for _, body in posted(wire)] == [None, 6]


def test_a_status_of_ours_is_known_by_its_author_and_not_by_its_name() -> None:
    assert ME["id"] == 9
    lists = {**LISTS, STATUSES: [status(10, "success", author=1), {**status(11, "success"), "author": None}]}
    wire = answering(lists)
    wire.host().ensure_check(COMMIT, check(Conclusion.SUCCESS))
    assert len(posted(wire)) == 1
