"""The double answers as GitHub does: signing in, permissions, pull requests, reviews, checks, objects and refs of git."""

from __future__ import annotations

import base64
import time
from typing import Any

import httpx
import jwt
import pytest

from tests.unit.worlds.conftest import Scene
from tests.worlds.github import GithubWorld

ANNOTATION = {"path": "app.py", "start_line": 20, "end_line": 20, "annotation_level": "warning", "message": "m"}


def as_app(world: GithubWorld, token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def text_of(answer: httpx.Response) -> str:
    """The message with the details of a refusal."""
    body = answer.json()
    details = [detail if isinstance(detail, str) else detail.get("message", detail["code"]) for detail in body.get("errors", [])]
    return " ".join([body["message"], *details])


# --- who is asking ---


def test_an_app_signs_in_with_its_jwt(world: GithubWorld) -> None:
    answer = httpx.get(f"{world.api_url}/app", headers=as_app(world, world.app_jwt()), timeout=60)

    assert (answer.status_code, answer.json()["id"], answer.json()["slug"]) == (200, world.app_id, "fixwright")


@pytest.mark.parametrize(("expires_in", "issued_ago"), [(-1, 60), (900, 0), (300, -120)], ids=["expired", "too long", "from the future"])
def test_a_jwt_with_impossible_times_is_refused(world: GithubWorld, expires_in: int, issued_ago: int) -> None:
    token = world.app_jwt(expires_in=expires_in, issued_ago=issued_ago)

    assert httpx.get(f"{world.api_url}/app", headers=as_app(world, token), timeout=60).status_code == 401


def test_a_jwt_of_another_key_or_app_or_algorithm_is_refused(world: GithubWorld) -> None:
    now = int(time.time())
    claims: dict[str, Any] = {"iat": now - 60, "exp": now + 300, "iss": str(world.app_id)}
    other_app = jwt.encode(claims | {"iss": "1"}, world.private_key_pem, algorithm="RS256")
    symmetric = jwt.encode(claims, "x" * 40, algorithm="HS256")
    cut = world.app_jwt()[:-6] + "AAAAAA"

    for token in (other_app, symmetric, cut, "eyJ.x.y"):
        assert httpx.get(f"{world.api_url}/app", headers=as_app(world, token), timeout=60).status_code == 401


def test_installation_tokens_have_the_long_form_with_dots_unless_the_short_one_is_asked_for(scene: Scene) -> None:
    path = f"/app/installations/{scene.installation.id}/access_tokens"
    jwt_header = as_app(scene.world, scene.world.app_jwt())

    long = scene.call("POST", path, headers=jwt_header).json()["token"]
    short = scene.call("POST", path, headers=jwt_header | {"X-GitHub-Stateless-S2S-Token": "disabled"}).json()["token"]

    assert (len(long), long.count("."), long.startswith(f"ghs_{scene.world.app_id}_eyJ")) == (520, 2, True)
    assert len(short) == 40
    assert scene.call("GET", "/pulls", headers={"authorization": f"Bearer {short}"}).status_code == 200


def test_a_token_is_narrowed_to_the_repositories_and_permissions_asked_for(scene: Scene) -> None:
    scene.world.create_repository("octo", "other", files={"a": "b"})
    body = {"repositories": ["shop"], "permissions": {"contents": "read"}}
    jwt_header = as_app(scene.world, scene.world.app_jwt())
    made = scene.call("POST", f"/app/installations/{scene.installation.id}/access_tokens", body, headers=jwt_header)
    narrow = {"authorization": f"Bearer {made.json()['token']}"}

    assert made.json()["permissions"] == {"contents": "read", "metadata": "read"}
    assert [known["name"] for known in scene.call("GET", "/installation/repositories", headers=narrow).json()["repositories"]] == ["shop"]
    assert scene.client.get("/repos/octo/other", headers=narrow).status_code == 404
    assert scene.call("GET", "/branches", headers=narrow).status_code == 200
    refused = scene.call("POST", "/check-runs", {"name": "n", "head_sha": scene.pull.head_sha}, headers=narrow)
    assert (refused.status_code, refused.json()["message"]) == (403, "Resource not accessible by integration")


@pytest.mark.parametrize("body", [{"permissions": {"administration": "write"}}, {"repositories": ["nowhere"]}])
def test_a_token_cannot_be_widened(scene: Scene, body: dict[str, Any]) -> None:
    jwt_header = as_app(scene.world, scene.world.app_jwt())

    assert scene.call("POST", f"/app/installations/{scene.installation.id}/access_tokens", body, headers=jwt_header).status_code == 422


def test_a_token_dies_after_an_hour_and_with_its_installation(scene: Scene) -> None:
    assert scene.call("GET", "").status_code == 200
    scene.world.advance(3601)
    assert scene.call("GET", "").status_code == 401
    scene.sign_in()
    assert scene.call("GET", "").status_code == 200
    scene.world.uninstall(scene.installation)
    assert scene.call("GET", "").status_code == 401


def test_a_private_repository_of_others_does_not_exist_and_a_public_one_is_read_only(scene: Scene) -> None:
    scene.world.create_repository("eve", "hidden", files={"a": "b"}, install=False)
    scene.world.create_repository("eve", "open", private=False, files={"a": "b"}, install=False)

    assert scene.client.get("/repos/eve/hidden").status_code == 404
    assert scene.client.get("/repos/eve/open").status_code == 200
    assert scene.client.post("/repos/eve/open/git/blobs", json={"content": "x"}).status_code == 403
    assert httpx.get(f"{scene.world.api_url}/repos/octo/shop", timeout=60).status_code == 404


def test_what_a_person_may_do_is_told_in_githubs_words(scene: Scene) -> None:
    scene.world.user("stranger")
    for role, word in (("triage", "read"), ("maintain", "write"), ("admin", "admin"), ("none", "none")):
        scene.world.set_permission("bob", scene.repository, role)
        answer = scene.call("GET", "/collaborators/bob/permission").json()
        assert (answer["permission"], answer["role_name"]) == (word, role)

    assert scene.call("GET", "/collaborators/stranger/permission").json()["permission"] == "none"
    assert scene.call("GET", "/collaborators/nobody-at-all/permission").status_code == 404


def test_a_request_without_user_agent_or_with_an_unknown_version_is_refused(scene: Scene) -> None:
    assert scene.call("GET", "", headers={"user-agent": ""}).status_code == 403
    assert scene.call("GET", "", headers={"x-github-api-version": "2019-01-01"}).status_code == 400


# --- the form of requests and answers ---


def test_an_unknown_key_is_recorded_as_our_mistake_though_github_drops_it(scene: Scene) -> None:
    scene.check(detials_url="https://x")

    assert ["detials_url" in str(violation) for violation in scene.world.violations] == [True]


def test_a_request_outside_the_interface_is_recorded(scene: Scene) -> None:
    assert scene.call("GET", "/no/such/thing").status_code == 404
    assert [violation.path for violation in scene.world.violations] == ["/repos/octo/shop/no/such/thing"]


def test_bytes_that_are_no_json_object_are_refused(scene: Scene) -> None:
    for content in (b"{", b"[]"):
        assert scene.client.post("/repos/octo/shop/git/blobs", content=content).status_code == 400


def test_an_unchanged_answer_is_304_and_free(scene: Scene) -> None:
    first = scene.call("GET", "/pulls/1")
    again = scene.call("GET", "/pulls/1", headers={"if-none-match": first.headers["etag"]})
    scene.world.edit_pull_request("ada", scene.pull, title="Another")
    changed = scene.call("GET", "/pulls/1", headers={"if-none-match": first.headers["etag"]})

    assert (again.status_code, again.content, changed.status_code) == (304, b"", 200)
    assert again.headers["x-ratelimit-remaining"] == first.headers["x-ratelimit-remaining"]
    assert int(changed.headers["x-ratelimit-remaining"]) == int(first.headers["x-ratelimit-remaining"]) - 1


def test_lists_come_in_pages_that_link_to_one_another(scene: Scene) -> None:
    for number in range(5):
        scene.world.comment("ada", scene.pull, f"comment {number}")

    bodies, url = [], "/repos/octo/shop/issues/1/comments?per_page=2"
    while url:
        page = scene.client.get(url)
        bodies += [comment["body"] for comment in page.json()]
        url = page.links.get("next", {}).get("url", "")

    assert bodies == [f"comment {number}" for number in range(5)]
    assert scene.client.get("/repos/octo/shop/issues/1/comments?per_page=2&page=3").links.keys() == {"prev", "first"}


def test_the_enterprise_root_and_the_number_of_a_repository_lead_to_the_same(scene: Scene) -> None:
    by_name = scene.call("GET", "").json()

    assert scene.client.get("/api/v3/repos/octo/shop").json() == by_name
    assert scene.client.get(f"/repositories/{scene.repository.id}").json() == by_name


# --- rate limits ---


def test_the_hourly_budget_ends_and_comes_back(scene: Scene) -> None:
    scene.world.limits.per_hour = int(scene.call("GET", "").headers["x-ratelimit-used"]) + 1
    assert scene.call("GET", "").status_code == 200
    refused = scene.call("GET", "")
    assert (refused.status_code, refused.headers["x-ratelimit-remaining"]) == (403, "0")
    scene.world.advance(3600)
    scene.sign_in()
    assert scene.call("GET", "").status_code == 200


def test_each_installation_has_a_budget_of_its_own(scene: Scene) -> None:
    other = scene.world.installation_of(scene.world.create_repository("acme", "tools"))
    assert other is not None
    scene.world.limits.per_hour = int(scene.call("GET", "").headers["x-ratelimit-used"])
    assert scene.call("GET", "").status_code == 403
    scene.client.headers["authorization"] = f"token {scene.world.installation_token(other)}"
    answer = scene.client.get("/repos/acme/tools")
    assert (answer.status_code, answer.headers["x-ratelimit-used"]) == (200, "1")


def test_too_many_comments_in_a_minute_meet_the_secondary_limit(scene: Scene) -> None:
    scene.world.limits.creations_a_minute = 2
    statuses = [scene.call("POST", "/issues/1/comments", {"body": "x"}).status_code for _ in range(3)]
    refused = scene.call("POST", "/issues/1/comments", {"body": "x"})
    scene.world.advance(int(refused.headers["retry-after"]))

    assert statuses == [201, 201, 403]
    assert "secondary rate limit" in refused.json()["message"]
    assert len(scene.pull.comments) == 2
    assert scene.call("POST", "/issues/1/comments", {"body": "x"}).status_code == 201


# --- pull requests ---


def test_a_pull_request_shows_its_real_diff_and_commits(scene: Scene) -> None:
    pull = scene.call("GET", "/pulls/1").json()
    files = {file["filename"]: file for file in scene.call("GET", "/pulls/1/files").json()}

    assert (pull["changed_files"], pull["additions"], pull["deletions"], pull["commits"], pull["mergeable"]) == (2, 4, 2, 1, True)
    assert (files["app.py"]["status"], files["new.py"]["status"]) == ("modified", "added")
    assert files["new.py"]["patch"] == "@@ -0,0 +1,2 @@\n+a\n+b"
    assert [commit["sha"] for commit in scene.call("GET", "/pulls/1/commits").json()] == [scene.pull.head_sha]
    assert "+line twenty" in scene.call("GET", "/pulls/1", headers={"accept": "application/vnd.github.v3.diff"}).text


def test_a_comparison_starts_at_the_merge_base_not_at_the_base(scene: Scene) -> None:
    old_main = scene.pull.base_sha
    scene.world.commit(scene.repository, "main", {"elsewhere.py": "x\n"})
    answer = scene.call("GET", "/compare/main...feature").json()

    assert answer["merge_base_commit"]["sha"] == old_main
    assert (answer["status"], answer["ahead_by"], answer["behind_by"]) == ("diverged", 1, 1)
    assert [file["filename"] for file in answer["files"]] == ["app.py", "new.py"]
    assert answer["files"][0]["sha"] == scene.repository.git.entry(scene.pull.head_sha, "app.py").sha  # type: ignore[union-attr]  # it is there


def test_a_renamed_and_a_binary_file_are_shown_as_such(scene: Scene) -> None:
    scene.world.commit(scene.repository, "feature", {"README.md": None, "READ.md": "hi\n", "logo.png": b"\x89PNG\0\1\2"})
    files = {file["filename"]: file for file in scene.call("GET", "/pulls/1/files").json()}

    assert (files["READ.md"]["status"], files["READ.md"]["previous_filename"]) == ("renamed", "README.md")
    assert "patch" not in files["logo.png"]


def test_a_second_pull_request_between_the_same_branches_is_refused(scene: Scene) -> None:
    refused = scene.call("POST", "/pulls", {"title": "t", "head": "feature", "base": "main"})

    assert (refused.status_code, text_of(refused)) == (422, "Validation Failed A pull request already exists for octo:feature.")
    scene.world.close("ada", scene.pull)
    assert scene.call("POST", "/pulls", {"title": "t", "head": "feature", "base": "main"}).status_code == 201


@pytest.mark.parametrize(
    ("body", "text"), [({"head": "none"}, "head is invalid"), ({"base": "none"}, "base is invalid"), ({"head": "main"}, "No commits")]
)
def test_a_pull_request_needs_two_branches_that_differ(scene: Scene, body: dict[str, str], text: str) -> None:
    refused = scene.call("POST", "/pulls", {"title": "t", "head": "feature", "base": "main"} | body)

    assert refused.status_code == 422
    assert text in text_of(refused)


def test_pull_requests_are_found_by_head_and_base(scene: Scene) -> None:
    def found(query: str) -> list[int]:
        return [pull["number"] for pull in scene.call("GET", f"/pulls?{query}").json()]

    assert found("head=octo:feature") == [1]
    assert found("head=octo:other") == []
    assert found("head=feature") == [1]  # without an owner GitHub ignores it
    assert found("base=develop") == []
    scene.world.close("ada", scene.pull)
    assert (found("state=open"), found("state=closed"), found("state=all")) == ([], [1], [1])


def test_a_push_through_the_api_moves_the_head_and_its_ref(scene: Scene) -> None:
    content = base64.b64encode(b"new\n").decode()
    made = scene.call("PUT", "/contents/z.txt", {"message": "m", "content": content, "branch": "feature"})
    head = made.json()["commit"]["sha"]

    assert scene.call("GET", "/pulls/1").json()["head"]["sha"] == head
    assert scene.repository.git.ref("refs/pull/1/head") == head


def test_merging_wants_the_expected_head_and_puts_the_file_on_the_base(scene: Scene) -> None:
    assert scene.call("PUT", "/pulls/1/merge", {"sha": "0" * 40}).status_code == 409
    assert scene.call("PUT", "/pulls/1/merge", {"sha": scene.pull.head_sha}).status_code == 200
    assert scene.world.read(scene.repository, "main", "new.py") == b"a\nb\n"
    assert scene.call("GET", "/pulls/1").json()["merged"] is True
    assert scene.call("PUT", "/pulls/1/merge", {}).status_code == 405


# --- reviews and threads ---


def review(*comments: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "event": "COMMENT",
        "body": "text",
        "comments": [{"body": "b", "path": "app.py", "side": "RIGHT"} | comment for comment in comments],
    } | more


@pytest.mark.parametrize(
    "comment",
    [
        {"line": 20},
        {"line": 17},
        {"line": 24},
        {"line": 20, "start_line": 18, "start_side": "RIGHT"},
        {"line": 50, "side": "LEFT"},
        {"line": 2, "path": "new.py"},
    ],
)
def test_a_comment_may_stand_on_every_line_that_a_hunk_shows(scene: Scene, comment: dict[str, Any]) -> None:
    assert scene.call("POST", "/pulls/1/reviews", review(comment)).status_code == 200


@pytest.mark.parametrize(
    ("comment", "text"),
    [
        ({"line": 16}, "Line could not be resolved"),
        ({"line": 25}, "Line could not be resolved"),
        ({"line": 50, "path": "README.md"}, "Path could not be resolved"),
        ({"line": 1, "path": "nowhere.py"}, "Path could not be resolved"),
        ({"line": 3, "path": "new.py"}, "Line could not be resolved"),
        ({"line": 1, "path": "new.py", "side": "LEFT"}, "Line could not be resolved"),
        ({"line": 20, "start_line": 20}, "Start line must precede the end line"),
        ({"line": 20, "start_line": 22}, "Start line must precede the end line"),
        ({"line": 50, "start_line": 20}, "Start line must be part of the same hunk as the line"),
        ({"line": 20, "start_line": 3}, "Start line could not be resolved"),
    ],
)
def test_one_comment_off_the_diff_refuses_the_whole_review(scene: Scene, comment: dict[str, Any], text: str) -> None:
    refused = scene.call("POST", "/pulls/1/reviews", review({"line": 20}, comment))

    assert (refused.status_code, text_of(refused)) == (422, f"Unprocessable Entity {text}")
    assert scene.call("GET", "/pulls/1/reviews").json() == []
    assert scene.call("GET", "/pulls/1/comments").json() == []
    assert scene.world.notifying_calls(scene.pull) == []


def test_a_single_comment_off_the_diff_names_the_field(scene: Scene) -> None:
    body = {"body": "b", "commit_id": scene.pull.head_sha, "path": "app.py", "line": 1, "side": "RIGHT"}
    refused = scene.call("POST", "/pulls/1/comments", body)

    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "pull_request_review_thread.line"


def test_a_review_of_a_commit_outside_the_pull_request_is_refused(scene: Scene) -> None:
    assert scene.call("POST", "/pulls/1/reviews", review({"line": 20}, commit_id=scene.pull.base_sha)).status_code == 422


def test_a_review_is_one_notification_and_edits_are_none(scene: Scene) -> None:
    made = scene.call("POST", "/pulls/1/reviews", review({"line": 20}, {"line": 21})).json()
    comment = scene.call("GET", "/pulls/1/comments").json()[0]
    scene.call("PATCH", f"/pulls/comments/{comment['id']}", {"body": "edited"})
    scene.call("PUT", f"/pulls/1/reviews/{made['id']}", {"body": "edited"})
    scene.call("POST", f"/pulls/comments/{comment['id']}/reactions", {"content": "eyes"})
    assert [effect.operation.rsplit("/", 1)[1] for effect in scene.world.notifying_calls(scene.pull)] == ["reviews"]

    scene.call("POST", f"/pulls/1/comments/{comment['id']}/replies", {"body": "r"})
    scene.call("POST", "/issues/1/comments", {"body": "c"})
    assert [effect.operation.rsplit("/", 1)[1] for effect in scene.world.notifying_calls(scene.pull)] == ["reviews", "replies", "comments"]
    assert [effect.method for effect in scene.world.effects] == ["POST", "PATCH", "PUT", "POST", "POST", "POST"]


def test_a_reply_to_a_reply_is_refused(scene: Scene) -> None:
    first = scene.world.review_comment("ada", scene.pull, "app.py", 20, "why?")
    reply = scene.call("POST", f"/pulls/1/comments/{first.id}/replies", {"body": "because"}).json()

    assert (reply["in_reply_to_id"], reply["user"]["login"], reply["user"]["type"]) == (first.id, "fixwright[bot]", "Bot")
    assert scene.call("POST", f"/pulls/1/comments/{reply['id']}/replies", {"body": "x"}).status_code == 422


def test_a_comment_follows_its_line_and_is_outdated_when_that_changes(scene: Scene) -> None:
    scene.call("POST", "/pulls/1/reviews", review({"line": 20}))
    moved = (scene.world.read(scene.repository, "feature", "app.py") or b"").decode()
    scene.world.commit(scene.repository, "feature", {"app.py": "first\n" + moved})
    comment = scene.call("GET", "/pulls/1/comments").json()[0]
    assert (comment["line"], comment["original_line"], comment["commit_id"]) == (21, 20, scene.pull.head_sha)

    scene.world.commit(scene.repository, "feature", {"app.py": "first\n" + moved.replace("line twenty", "line 20")})
    comment = scene.call("GET", "/pulls/1/comments").json()[0]
    assert (comment["line"], comment["position"], comment["original_line"]) == (None, None, 20)


def test_a_suggestion_is_applied_verbatim_and_only_where_github_has_the_button(scene: Scene) -> None:
    def post(line: int, **more: Any) -> Any:
        comment = {"line": line, "body": "Better:\n````suggestion\nfixed ``` here\n````\n"} | more
        assert scene.call("POST", "/pulls/1/reviews", review(comment)).status_code == 200
        return scene.pull.review_comments[-1]

    two_lines, deleted = post(21, start_line=20, start_side="RIGHT"), post(50, side="LEFT")
    with pytest.raises(ValueError, match="deleted lines"):
        scene.world.apply_suggestion("ada", deleted)
    scene.world.apply_suggestion("ada", two_lines)

    lines = (scene.world.read(scene.repository, "feature", "app.py") or b"").decode().splitlines()
    assert lines[18:21] == ["line 19", "fixed ``` here", "line 21"]
    with pytest.raises(ValueError, match="outdated"):
        scene.world.apply_suggestion("ada", two_lines)


@pytest.mark.parametrize("path", ["/issues/1/comments", "/pulls/1/reviews"])
def test_a_body_of_65537_characters_is_refused_and_one_of_65536_is_not(scene: Scene, path: str) -> None:
    event = {"event": "COMMENT"} if path.endswith("reviews") else {}

    assert scene.call("POST", path, {"body": "x" * 65_537} | event).status_code == 422
    assert scene.call("POST", path, {"body": "x" * 65_536} | event).status_code in (200, 201)


def test_a_reaction_is_given_once(scene: Scene) -> None:
    comment = scene.world.comment("ada", scene.pull, "/fix")
    statuses = [scene.call("POST", f"/issues/comments/{comment.id}/reactions", {"content": "eyes"}).status_code for _ in range(2)]

    assert statuses == [201, 200]
    assert [reaction["content"] for reaction in scene.call("GET", f"/issues/comments/{comment.id}/reactions").json()] == ["eyes"]


# --- checks ---


def test_annotations_are_appended_fifty_at_a_time(scene: Scene) -> None:
    run = scene.check(status="in_progress", output={"title": "t", "summary": "s", "annotations": [ANNOTATION] * 50})
    path = f"/check-runs/{run['id']}"
    refused = scene.call("PATCH", path, {"output": {"title": "t", "summary": "s", "annotations": [ANNOTATION] * 51}})
    added = scene.call("PATCH", path, {"output": {"title": "t", "summary": "s", "annotations": [ANNOTATION] * 30}})
    listed = scene.call("GET", f"{path}/annotations?per_page=100").json()

    assert (refused.status_code, text_of(refused)) == (422, "Invalid request.\n\nNo more than 50 items are allowed; 51 were supplied.")
    assert (added.status_code, added.json()["output"]["annotations_count"], len(listed)) == (200, 80, 80)


@pytest.mark.parametrize(
    "body",
    [
        {"output": {"title": "t", "summary": "s" * 65_536}},
        {"output": {"title": "t", "summary": "s", "text": "s" * 65_536}},
        {"output": {"title": "t", "summary": "s", "annotations": [ANNOTATION | {"title": "t" * 256}]}},
        {"output": {"title": "t", "summary": "s", "annotations": [ANNOTATION | {"message": "é" * 32_769}]}},
        {"output": {"title": "t", "summary": "s", "annotations": [ANNOTATION | {"end_line": 21, "start_column": 1}]}},
        {"output": {"title": "t", "summary": "s", "annotations": [ANNOTATION | {"start_line": 0, "end_line": 0}]}},
        {"actions": [{"label": "l", "description": "d", "identifier": "i"}] * 4},
        {"status": "completed"},
        {"conclusion": "stale"},
        {"conclusion": "bogus"},
    ],
)
def test_a_check_beyond_githubs_limits_is_refused(scene: Scene, body: dict[str, Any]) -> None:
    assert scene.call("POST", "/check-runs", {"name": "n", "head_sha": scene.pull.head_sha} | body).status_code == 422
    assert scene.world.checks(scene.repository) == []


def test_a_check_needs_a_commit_that_is_there(scene: Scene) -> None:
    refused = scene.call("POST", "/check-runs", {"name": "n", "head_sha": "0" * 40})

    assert (refused.status_code, refused.json()["message"]) == (422, "No commit found for SHA: " + "0" * 40)


def test_a_check_stands_on_its_commit_with_app_suite_and_pull_request(scene: Scene) -> None:
    scene.check()
    run = scene.check(conclusion="failure", output={"title": "1 blocks", "summary": "s"})
    other = scene.check(name="Other")
    listed = scene.call("GET", f"/commits/{scene.pull.head_sha}/check-runs?check_name=Fixwright&app_id={scene.world.app_id}").json()

    assert (run["status"], run["app"]["id"], [pull["number"] for pull in run["pull_requests"]]) == ("completed", scene.world.app_id, [1])
    assert (listed["total_count"], listed["check_runs"][0]["id"]) == (1, run["id"])
    assert run["check_suite"]["id"] == other["check_suite"]["id"]
    assert scene.call("GET", "/commits/feature/check-runs?filter=all&check_name=Fixwright").json()["total_count"] == 2
    assert scene.call("GET", "/commits/feature/check-runs?app_id=1").json()["total_count"] == 0


def test_only_apps_write_checks(scene: Scene) -> None:
    person = {"authorization": f"token {scene.world.token_for('octo')}"}

    assert scene.call("POST", "/check-runs", {"name": "n", "head_sha": scene.pull.head_sha}, headers=person).status_code == 403


# --- objects and refs ---


def make_commit(scene: Scene, **more: Any) -> Any:
    blob = scene.call("POST", "/git/blobs", {"content": base64.b64encode(b"fixed\n").decode(), "encoding": "base64"}).json()["sha"]
    entries = [
        {"path": "dir/new.py", "mode": "100644", "type": "blob", "sha": blob},
        {"path": "README.md", "mode": "100644", "type": "blob", "sha": None},
    ]
    tree = scene.call("POST", "/git/trees", {"base_tree": scene.pull.head_sha, "tree": entries}).json()["sha"]
    return scene.call("POST", "/git/commits", {"message": "fix: it", "tree": tree, "parents": [scene.pull.head_sha]} | more).json()


def test_a_commit_in_the_apps_name_is_signed_by_the_host_and_one_with_an_author_is_not(scene: Scene) -> None:
    signed = make_commit(scene)
    unsigned = make_commit(scene, author={"name": "Someone", "email": "s@example.com"})

    assert (signed["verification"]["verified"], signed["verification"]["reason"]) == (True, "valid")
    assert (signed["author"]["name"], signed["committer"]["name"]) == ("fixwright[bot]", "GitHub")
    assert (unsigned["verification"]["verified"], unsigned["author"]["name"]) == (False, "Someone")


def test_a_tree_is_its_base_with_the_changes(scene: Scene) -> None:
    commit = make_commit(scene)
    names = [entry["path"] for entry in scene.call("GET", f"/git/trees/{commit['tree']['sha']}?recursive=1").json()["tree"]]

    assert names == ["app.py", "dir", "dir/new.py", "new.py"]


@pytest.mark.parametrize("path", ["../x", "/x", ".git/config", "a//b", ""])
def test_a_path_that_leaves_the_tree_is_refused(scene: Scene, path: str) -> None:
    assert scene.call("POST", "/git/trees", {"tree": [{"path": path, "mode": "100644", "type": "blob", "content": "x"}]}).status_code == 422


def test_a_workflow_needs_its_own_permission(scene: Scene) -> None:
    entry = {"path": ".github/workflows/ci.yml", "mode": "100644", "type": "blob", "content": "on: push\n"}

    assert scene.call("POST", "/git/trees", {"tree": [entry]}).status_code == 403


def test_a_ref_is_made_once_and_moves_back_only_by_force(scene: Scene) -> None:
    commit = make_commit(scene)["sha"]
    body = {"ref": "refs/heads/fixwright/a", "sha": commit}

    assert scene.call("POST", "/git/refs", body).status_code == 201
    assert text_of(scene.call("POST", "/git/refs", body)) == "Reference already exists"
    back = scene.call("PATCH", "/git/refs/heads/fixwright/a", {"sha": scene.pull.base_sha})
    assert (back.status_code, text_of(back)) == (422, "Update is not a fast forward")
    assert scene.call("PATCH", "/git/refs/heads/fixwright/a", {"sha": scene.pull.base_sha, "force": True}).status_code == 200
    assert scene.call("GET", "/git/ref/heads/fixwright/a").json()["object"]["sha"] == scene.pull.base_sha
    assert scene.call("GET", "/git/ref/heads/fixwright").status_code == 404
    assert [ref["ref"] for ref in scene.call("GET", "/git/matching-refs/heads/fixwright").json()] == ["refs/heads/fixwright/a"]
    assert scene.call("DELETE", "/git/refs/heads/fixwright/a").status_code == 204
    assert scene.call("GET", "/git/ref/heads/fixwright/a").status_code == 404


@pytest.mark.parametrize(
    ("ref", "sha"), [("heads/x", None), ("refs/heads/a..b", None), ("refs/heads/x", "0" * 40), ("refs/pull/1/head", None)]
)
def test_a_ref_needs_a_good_name_and_an_object(scene: Scene, ref: str, sha: str | None) -> None:
    assert scene.call("POST", "/git/refs", {"ref": ref, "sha": sha or scene.pull.head_sha}).status_code == 422


def test_a_file_is_written_only_over_the_blob_that_the_caller_saw(scene: Scene) -> None:
    body = {"message": "m", "content": base64.b64encode(b"x").decode(), "branch": "feature"}
    shown = scene.call("GET", "/contents/README.md?ref=feature").json()

    assert base64.b64decode(shown["content"]) == b"hi\n"
    assert scene.call("PUT", "/contents/README.md", body).status_code == 422
    assert scene.call("PUT", "/contents/README.md", body | {"sha": "0" * 40}).status_code == 409
    assert scene.call("PUT", "/contents/README.md", body | {"sha": shown["sha"]}).status_code == 200
    assert scene.call("GET", "/contents/README.md?ref=feature", headers={"accept": "application/vnd.github.raw"}).content == b"x"
