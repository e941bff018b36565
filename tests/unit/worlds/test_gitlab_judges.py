"""What the GitLab double judges requests and answers by, and how much it allows."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.worlds.gitlab import answers, parameters
from tests.worlds.gitlab.call import ROUTES
from tests.worlds.gitlab.limits import Budget

STATUS = ("POST", "/projects/:id/statuses/:sha")
DISCUSSION = ("POST", "/projects/:id/merge_requests/:iid/discussions")
COMMIT = ("POST", "/projects/:id/repository/commits")


@pytest.mark.parametrize(
    ("call", "given", "wrong"),
    [
        (STATUS, {"state": "running", "name": "Fixwright", "ref": "main", "pipeline_id": 7, "description": "x" * 255}, ""),
        (STATUS, {"state": "running", "pipeline_id": "7"}, ""),
        (STATUS, {"name": "x"}, "state is required"),
        (STATUS, {"state": "failure"}, "is none of"),
        (STATUS, {"state": "failed", "description": "x" * 256}, "256 characters, 255 are allowed"),
        (STATUS, {"state": "failed", "pipeline_id": "seven"}, "not of type int"),
        (STATUS, {"state": "failed", "target": "http://x"}, "target is not documented"),
        (DISCUSSION, {"body": "x", "position": {"base_sha": "a", "new_line": 3, "position_type": "text"}}, ""),
        (DISCUSSION, {"body": "x", "position": {"line": 3}}, "position[line] is not documented"),
        (DISCUSSION, {"body": "x", "position": {"line_range": {"start": {"line_code": "a", "type": "new"}}}}, ""),
        (DISCUSSION, {"position": {}}, "body is required"),
        (COMMIT, {"branch": "b", "commit_message": "m", "actions": [{"action": "update", "file_path": "a", "content": "x"}]}, ""),
        (COMMIT, {"branch": "b", "commit_message": "m", "actions": [{"action": "patch", "file_path": "a"}]}, "is none of"),
        (COMMIT, {"branch": "b", "commit_message": "m", "actions": [{"action": "update", "path": "a"}]}, "[path] is not documented"),
        (("GET", "/projects/:project/merge_requests"), {"state": "opened", "page": "2", "per_page": "100"}, ""),
        (("GET", "/projects/:project/merge_requests"), {"status": "opened"}, "status is not documented"),
        (("PATCH", "/projects/:id"), {}, "is not documented here"),
    ],
)
@pytest.mark.parametrize("published", [True, False], ids=["published", "our slice"])
def test_a_request_is_held_against_the_documented_parameters(
    call: tuple[str, str], given: dict[str, Any], wrong: str, published: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if published and "FIXWRIGHT_TEST_DATA" not in os.environ:
        pytest.skip("the folder FIXWRIGHT_TEST_DATA is not there")
    if not published:
        monkeypatch.delenv("FIXWRIGHT_TEST_DATA", raising=False)
    found = parameters.check(*call, given)
    assert [wrong in problem for problem in found] == ([True] if wrong else [])


def test_every_call_that_gitlab_publishes_and_the_double_answers_has_its_published_words() -> None:
    folder = os.environ.get("FIXWRIGHT_TEST_DATA")
    if folder is None:
        pytest.skip("the folder FIXWRIGHT_TEST_DATA is not there")
    text = (Path(folder) / "gitlab" / "requests.json").read_text(encoding="utf-8")
    whole = parameters.documented(folder)
    for call in json.loads(text)["requests"]:
        known = whole[f"{call['method']} {parameters.shape(call['path'])}"]
        for name, facts in call["params"].items():
            if facts.get("in") != "path":
                assert known[name.removesuffix("[]")].words == tuple(facts.get("enum", ()))


def test_every_call_that_the_double_answers_is_documented_and_its_answer_described() -> None:
    known = parameters.documented(None)
    calls = {f"{method} {parameters.shape(template)}" for method, template in ROUTES}
    assert calls <= set(known)
    described = {call for call in calls if call in answers.ANSWERS}
    assert {call for call in calls - described if call.startswith("GET")} == {
        f"GET /projects/*/{rest}"
        for rest in ("merge_requests/*/raw_diffs", "repository/archive.tar.gz", "repository/blobs/*/raw", "repository/files/*/raw")
    }


@pytest.mark.parametrize(
    ("call", "status", "body", "wrong"),
    [
        (("GET", "/version"), 200, {"version": "19.4.1", "revision": "abc"}, ""),
        (("GET", "/version"), 200, {"version": "19.4.1"}, "revision"),
        (("GET", "/version"), 404, {"message": "404 Not Found"}, ""),
        (("GET", "/version"), 404, {"reason": "gone"}, "without message"),
        (("POST", "/projects/:id/hooks"), 200, {}, "GitLab answers 201"),
        (("DELETE", "/projects/:id/hooks/:hook"), 204, None, ""),
        (("DELETE", "/projects/:id/hooks/:hook"), 204, {}, "204 with a body"),
        (("GET", "/projects/:id/repository/tree"), 200, [{"id": "a" * 40, "name": "x", "type": "blob", "path": "x", "mode": "100644"}], ""),
        (("GET", "/projects/:id/repository/tree"), 200, [{"id": "a", "name": "x", "type": "blob", "path": "x", "mode": "1"}], "/0/id"),
    ],
)
def test_an_answer_is_held_against_what_gitlab_documents(call: tuple[str, str], status: int, body: Any, wrong: str) -> None:
    found = answers.check(*call, status, body)
    assert [wrong in problem for problem in found] == ([True] if wrong else [])


@dataclass
class Clock:
    now: float = 1_800_000_000.0

    def seconds(self) -> float:
        return self.now


def test_requests_beyond_the_limit_are_refused_until_the_next_minute() -> None:
    clock = Clock()
    budget = Budget(clock)
    budget.limits.requests = 2
    assert [budget.spend("ada"), budget.spend("ada"), budget.spend("bob")] == [None, None, None]
    refused = budget.spend("ada")
    assert refused is not None
    assert (refused.text, refused.json) == ("Retry later\n", False)
    assert refused.headers["retry-after"] == str(60 - int(clock.now) % 60)
    assert refused.headers["ratelimit-remaining"] == "0"
    clock.now += 60
    assert budget.spend("ada") is None
    assert budget.headers("ada")["ratelimit-remaining"] == "1"


def test_who_is_not_signed_in_has_a_smaller_budget() -> None:
    budget = Budget(Clock())
    budget.limits.unauthenticated = 1
    assert budget.spend("") is None
    assert budget.spend("") is not None
    assert budget.spend("ada") is None


def test_notes_and_tests_of_hooks_have_limits_of_their_own() -> None:
    budget = Budget(Clock())
    budget.limits.notes = 1
    assert budget.note("ada") is None
    refused = budget.note("ada")
    assert refused is not None
    assert (refused.json, refused.headers) == (True, {}), "nothing says how long to wait"
    assert [budget.hook("ada", 1) is None for _ in range(6)] == [True] * 5 + [False]
    assert budget.hook("ada", 2) is None
