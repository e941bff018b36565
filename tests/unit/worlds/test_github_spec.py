"""The judge: GitHub's OpenAPI as requests and answers are held against it."""

from __future__ import annotations

import pytest

from tests.worlds.github.call import ROUTES
from tests.worlds.github.slice_openapi import EVENTS, OPERATIONS, slice_rest
from tests.worlds.github.spec import GithubSpec, WebhookSpec, load

SPEC = GithubSpec.load()
RUNS = "/repos/octo/shop/check-runs"
RUN = {"name": "Fixwright", "head_sha": "a" * 40}


def keywords(body: object, path: str = RUNS, method: str = "POST") -> set[str]:
    return {problem.keyword for problem in SPEC.check_request(method, path, {}, body)}


def test_every_sliced_operation_has_a_route_and_every_route_is_documented() -> None:
    documented = {(method.upper(), path) for path, methods in OPERATIONS.items() for method in methods.split()}

    assert set(ROUTES) == documented


def test_the_committed_slice_is_closed_under_references_and_free_of_prose() -> None:
    document = load("api.github.com.json.gz")

    assert slice_rest(document | {"info": {"version": document["info"]["version"]}}) == document


def test_the_webhook_slice_has_every_event_of_the_script() -> None:
    assert sorted(load("webhooks.json.gz")["webhooks"]) == sorted(EVENTS)


@pytest.mark.parametrize(
    ("path", "template", "name", "value"),
    [
        ("/repos/o/r/commits/heads%2Fx/check-runs", "/repos/{owner}/{repo}/commits/{ref}/check-runs", "ref", "heads/x"),
        ("/repos/o/r/commits/a/b", "/repos/{owner}/{repo}/commits/{ref}", "ref", "a/b"),
        ("/repos/o/r/pulls/comments/7", "/repos/{owner}/{repo}/pulls/comments/{comment_id}", "comment_id", "7"),
        ("/repos/o/r/pulls/7/comments", "/repos/{owner}/{repo}/pulls/{pull_number}/comments", "pull_number", "7"),
        ("/repos/o/r/compare/main...a/b", "/repos/{owner}/{repo}/compare/{basehead}", "basehead", "main...a/b"),
        ("/repos/o/r/contents/a%20b/c.py", "/repos/{owner}/{repo}/contents/{path}", "path", "a b/c.py"),
    ],
)
def test_the_most_literal_path_wins_and_parameters_are_decoded(path: str, template: str, name: str, value: str) -> None:
    matched = SPEC.match(path)

    assert matched is not None
    assert (matched.template, matched.parameters[name]) == (template, value)


@pytest.mark.parametrize("path", ["/repos/o/r/pulls/seven", "/repos/o", "/nothing", "/repos/o/r/check-runs/1/2"])
def test_an_undocumented_path_is_not_matched(path: str) -> None:
    assert SPEC.match(path) is None


def test_a_good_request_has_no_problem() -> None:
    assert SPEC.check_request("POST", RUNS, {}, RUN | {"output": {"title": "t", "summary": "s"}}) == []


@pytest.mark.parametrize(
    ("body", "keyword"),
    [
        (RUN | {"detail_url": "x"}, "unevaluatedProperties"),
        (RUN | {"output": {"title": "t", "summary": "s", "txt": "x"}}, "unevaluatedProperties"),
        ({"name": "x"}, "required"),
        (RUN | {"conclusion": "bogus"}, "enum"),
        (RUN | {"external_id": 7}, "type"),
        (RUN | {"output": {"title": "t", "summary": "s" * 65_536}}, "maxLength"),
        (RUN | {"actions": [{"label": "l" * 21, "description": "d", "identifier": "i"}]}, "maxLength"),
        (RUN | {"actions": [{"label": "l", "description": "d" * 41, "identifier": "i"}]}, "maxLength"),
        (RUN | {"actions": [{"label": "l", "description": "d", "identifier": "i" * 21}]}, "maxLength"),
        (RUN | {"actions": [{"label": "l", "description": "d", "identifier": "i"}] * 4}, "maxItems"),
    ],
)
def test_a_bad_request_is_named_by_the_keyword_that_failed(body: object, keyword: str) -> None:
    assert keywords(body) == {keyword}


def test_a_closed_composition_still_knows_the_keys_of_all_its_parts() -> None:
    update = f"{RUNS}/5"

    assert keywords({"status": "completed", "conclusion": "success", "output": {"summary": "s"}}, update, "PATCH") == set()
    assert keywords({"status": "completed"}, update, "PATCH") == {"anyOf"}
    assert keywords({"conclusion": "success", "concluson": "x"}, update, "PATCH") == {"unevaluatedProperties"}


def test_a_nullable_key_takes_null_and_another_does_not() -> None:
    trees = "/repos/octo/shop/git/trees"

    assert keywords({"tree": [{"path": "a", "sha": None}]}, trees) == set()
    assert keywords({"tree": [{"path": None}]}, trees) == {"type"}


@pytest.mark.parametrize(
    ("query", "bad"),
    [({"state": "all", "per_page": "100"}, False), ({"state": "opened"}, True), ({"per_page": "x"}, True), ({"foo": "1"}, True)],
)
def test_queries_are_held_against_their_parameters(query: dict[str, str], bad: bool) -> None:
    assert bool(SPEC.check_request("GET", "/repos/o/r/pulls", query, None)) is bad


def test_a_missing_and_an_unasked_body_are_problems() -> None:
    assert SPEC.check_request("POST", RUNS, {}, None)
    assert SPEC.check_request("GET", "/repos/o/r/pulls", {}, {"state": "open"})


def test_an_incomplete_answer_is_a_problem_and_an_undocumented_refusal_is_not() -> None:
    assert any("node_id" in problem.text for problem in SPEC.check_response("POST", RUNS, 201, {"id": 1}))
    assert SPEC.check_response("POST", RUNS, 418, {"message": "x"}) == []
    assert SPEC.check_response("POST", RUNS, 418, {"message": 7}) != []
    assert SPEC.check_response("POST", RUNS, 299, {}) != []


def test_a_problem_never_repeats_the_content_that_was_sent() -> None:
    secret = "do not show " * 6000

    assert not any(
        "do not show" in str(problem)
        for problem in SPEC.check_request("POST", RUNS, {}, RUN | {"output": {"title": "t", "summary": secret}})
    )


def test_an_incomplete_webhook_payload_is_a_problem() -> None:
    hooks = WebhookSpec.load()

    assert any("before" in problem for problem in hooks.check("push", {"ref": "refs/heads/main"}))
    assert hooks.check("pull_request", {"action": "teleported"}) == ["pull-request-teleported is not in the slice"]
