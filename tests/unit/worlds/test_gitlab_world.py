"""The GitLab double answers as GitLab does: signing in, scopes and levels, paths, pages, projects and groups."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from gitlab.exceptions import GitlabAuthenticationError, GitlabError, GitlabGetError, GitlabHttpError

from tests.unit.worlds.conftest import GitlabScene
from tests.worlds.gitlab import GitlabWorld


def ask(world: GitlabWorld, path: str, *, method: str = "GET", body: Any = None, **headers: str) -> httpx.Response:
    """A request as python-gitlab would not make it."""
    with httpx.Client(trust_env=False, timeout=60) as client:
        return client.request(method, f"{world.api_url}{path}", json=body, headers=headers)


# --- who is asking ---


def test_a_token_signs_in_by_either_header(gitlab: GitlabScene) -> None:
    for headers in ({"PRIVATE-TOKEN": gitlab.token}, {"Authorization": f"Bearer {gitlab.token}"}):
        answer = ask(gitlab.world, "/user", **headers)
        assert (answer.status_code, answer.json()["id"]) == (200, gitlab.world.owner_of(gitlab.token).id)


def test_nobody_and_a_wrong_token_are_401(gitlab: GitlabScene) -> None:
    assert ask(gitlab.world, "/user").json() == {"message": "401 Unauthorized"}
    assert ask(gitlab.world, "/user", **{"PRIVATE-TOKEN": "glpat-" + "x" * 20}).status_code == 401
    with pytest.raises(GitlabAuthenticationError):
        gitlab.client("glpat-" + "y" * 20).auth()


def test_an_expired_token_and_a_revoked_one_say_so(gitlab: GitlabScene) -> None:
    world = gitlab.world
    short, other = world.token_for("ada", days=3), world.token_for("ada")
    world.revoke(other)
    world.advance(4 * 86_400)

    for token, word in ((short, "expired"), (other, "revoked")):
        answer = ask(world, "/user", **{"PRIVATE-TOKEN": token})
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
        assert word in answer.json()["error_description"]


def test_a_blocked_person_does_not_get_in(gitlab: GitlabScene) -> None:
    token = gitlab.world.token_for("ada")
    gitlab.world.block("ada")

    assert ask(gitlab.world, "/user", **{"PRIVATE-TOKEN": token}).status_code == 401


def test_a_project_token_makes_a_bot_that_is_a_member(gitlab: GitlabScene) -> None:
    gitlab.bot.auth()

    user = gitlab.bot.user
    assert user is not None
    assert (user.bot, user.name) == (True, "fixwright")
    assert re.fullmatch(rf"project_{gitlab.project.id}_bot_[0-9a-f]{{32}}", user.username)
    assert gitlab.project.level(gitlab.world.owner_of(gitlab.token)) == 30


@pytest.mark.parametrize(
    ("scopes", "reads", "writes", "knows_itself"),
    [(("api",), True, True, True), (("read_api",), True, False, False), (("read_repository",), False, False, False)],
)
def test_a_token_does_what_its_scopes_allow(
    gitlab: GitlabScene, scopes: tuple[str, ...], reads: bool, writes: bool, knows_itself: bool
) -> None:
    headers = {"PRIVATE-TOKEN": gitlab.world.token_for("ada", scopes)}
    base = f"/projects/{gitlab.project.id}/merge_requests/1"

    read = ask(gitlab.world, base, **headers)
    written = ask(gitlab.world, f"{base}/notes", method="POST", body={"body": "x"}, **headers)

    assert (read.status_code == 200, written.status_code == 201) == (reads, writes)
    assert ask(gitlab.world, "/user", **headers).status_code == (200 if knows_itself or "read_api" in scopes else 403)
    if not writes:
        assert written.json()["error"] == "insufficient_scope"


# --- who may do what ---


@pytest.mark.parametrize(
    ("level", "sees", "code", "status", "branch"),
    [
        ("none", 404, 404, 404, 404),
        ("guest", 200, 403, 403, 403),
        ("reporter", 200, 200, 403, 403),
        ("developer", 200, 200, 201, 201),
        ("maintainer", 200, 200, 201, 201),
    ],
)
def test_each_level_may_do_what_gitlab_says(gitlab: GitlabScene, level: str, sees: int, code: int, status: int, branch: int) -> None:
    if level != "none":
        gitlab.world.set_access("bob", gitlab.project, level)
    headers, base = {"PRIVATE-TOKEN": gitlab.world.token_for("bob")}, f"/projects/{gitlab.project.id}"

    def answered(method: str, path: str, body: Any = None) -> int:
        return ask(gitlab.world, base + path, method=method, body=body, **headers).status_code

    assert answered("GET", "") == sees
    assert answered("GET", "/repository/branches") == code
    assert answered("POST", f"/statuses/{gitlab.request.head}", {"state": "success", "name": "n"}) == status
    assert answered("POST", "/repository/branches", {"branch": "b", "ref": "main"}) == branch


def test_a_public_project_is_read_by_everybody_and_written_by_members(gitlab: GitlabScene) -> None:
    gitlab.world.set_visibility(gitlab.project, "public")
    base = f"/projects/{gitlab.project.id}"

    assert ask(gitlab.world, f"{base}/repository/branches/main").status_code == 200
    assert ask(gitlab.world, f"{base}/merge_requests/1/notes", method="POST", body={"body": "x"}).status_code == 401
    stranger = {"PRIVATE-TOKEN": gitlab.world.token_for("bob")}
    assert ask(gitlab.world, f"{base}/merge_requests/1/notes", method="POST", body={"body": "x"}, **stranger).status_code == 201
    assert (
        ask(gitlab.world, f"{base}/repository/branches", method="POST", body={"branch": "b", "ref": "main"}, **stranger).status_code == 403
    )


def test_a_level_comes_from_the_groups_above_too(gitlab_world: GitlabWorld) -> None:
    project = gitlab_world.create_project("acme/tools/inner", "shop", files={"a": "b"}, creator="mia")
    top = gitlab_world.gitlab.state.namespace("acme")
    assert top is not None
    gitlab_world.set_access("bob", top, "maintainer")
    gitlab_world.set_access("bob", project, "guest")

    shown = ask(gitlab_world, f"/projects/{project.id}", **{"PRIVATE-TOKEN": gitlab_world.token_for("bob")}).json()

    assert shown["permissions"]["project_access"]["access_level"] == 10
    assert shown["permissions"]["group_access"]["access_level"] == 40
    assert project.level(gitlab_world.user("bob")) == 40


# --- paths ---


def test_a_project_is_found_by_its_path_in_one_segment_whatever_its_case(gitlab_world: GitlabWorld) -> None:
    project = gitlab_world.create_project("acme/tools", "shop", files={"a": "b"})
    headers = {"PRIVATE-TOKEN": gitlab_world.token_for("ada")}

    assert ask(gitlab_world, "/projects/acme%2Ftools%2Fshop", **headers).json()["id"] == project.id
    assert ask(gitlab_world, "/projects/Acme%2fTools%2FSHOP", **headers).json()["id"] == project.id
    assert ask(gitlab_world, "/projects/acme/tools/shop", **headers).status_code == 404


def test_a_branch_and_a_file_with_slashes_and_spaces_are_one_segment(gitlab: GitlabScene) -> None:
    gitlab.world.commit(gitlab.project, "fix/é-1", {"src/a b/ü.py": "x = 1\n"})

    assert gitlab.api.branches.get("fix/é-1").name == "fix/é-1"
    assert gitlab.api.files.get("src/a b/ü.py", ref="fix/é-1").decode() == b"x = 1\n"
    assert gitlab.api.files.raw("src/a b/ü.py", ref="fix/é-1") == b"x = 1\n"


def test_the_whole_instance_may_live_below_a_path(tmp_path: Path) -> None:
    with GitlabWorld.start(tmp_path, relative="/gitlab") as world:
        scene = GitlabScene(world)

        assert world.url.endswith("/gitlab")
        assert scene.mr.web_url.startswith(f"{world.url}/acme/shop/-/merge_requests/1")
        assert scene.bot.projects.get("acme/shop").http_url_to_repo == f"{world.url}/acme/shop.git"
        outside = httpx.get(world.url.removesuffix("/gitlab") + "/api/v4/version", trust_env=False, timeout=60)
        assert outside.status_code == 302
        names = [project.path for project in scene.bot.projects.list(membership=True, per_page=1, iterator=True)]
        assert names == ["shop"]


def test_what_is_no_operation_is_404_and_a_violation_and_a_wrong_method_405(gitlab: GitlabScene) -> None:
    answer = ask(gitlab.world, "/projects/1/nothing", **{"PRIVATE-TOKEN": gitlab.token})

    assert (answer.status_code, answer.json()) == (404, {"error": "404 Not Found"})
    assert "is not an operation" in str(gitlab.world.violations)
    assert ask(gitlab.world, "/user", method="DELETE", **{"PRIVATE-TOKEN": gitlab.token}).status_code == 405


def test_a_moved_project_is_found_at_its_old_path_by_get_alone(gitlab: GitlabScene) -> None:
    gitlab.world.rename_project(gitlab.project, "store")
    headers, old = {"PRIVATE-TOKEN": gitlab.token}, "/projects/acme%2Fshop"

    redirect = ask(gitlab.world, f"{old}/merge_requests?state=opened", **headers)
    assert redirect.status_code == 302
    assert redirect.headers["location"] == f"{gitlab.world.api_url}/projects/{gitlab.project.id}/merge_requests?state=opened"
    assert ask(gitlab.world, f"{old}/merge_requests/1/notes", method="POST", body={"body": "x"}, **headers).status_code == 405
    assert gitlab.bot.projects.get("acme/store").id == gitlab.project.id


def test_a_project_that_went_is_404_and_an_archived_one_is_read_only(gitlab: GitlabScene) -> None:
    gitlab.world.archive_project(gitlab.project)

    assert gitlab.mr.title == "Change it"
    with pytest.raises(GitlabHttpError) as refused:
        gitlab.bot.http_post(f"/projects/{gitlab.project.id}/merge_requests/1/notes", post_data={"body": "x"})
    assert refused.value.response_code == 403
    gitlab.world.delete_project(gitlab.project)
    with pytest.raises(GitlabGetError, match="404 Project Not Found"):
        gitlab.bot.projects.get(gitlab.project.id)


# --- pages ---


def test_a_list_is_cut_into_pages_and_says_where_the_others_are(gitlab: GitlabScene) -> None:
    for number in range(5):
        gitlab.world.comment("ada", gitlab.request, f"note {number}")
    headers, path = {"PRIVATE-TOKEN": gitlab.token}, f"/projects/{gitlab.project.id}/merge_requests/1/notes"

    answer = ask(gitlab.world, f"{path}?per_page=2&page=2&sort=asc", **headers)

    assert [note["body"] for note in answer.json()] == ["note 2", "note 3"]
    told = {name: answer.headers[f"x-{name}"] for name in ("page", "per-page", "next-page", "prev-page", "total", "total-pages")}
    assert told == {"page": "2", "per-page": "2", "next-page": "3", "prev-page": "1", "total": "5", "total-pages": "3"}
    following = re.search(r'<([^>]+)>; rel="next"', answer.headers["link"])
    assert following is not None
    assert [note["body"] for note in httpx.get(following[1], headers=headers, trust_env=False).json()] == ["note 4"]
    assert [note.body for note in gitlab.mr.notes.list(iterator=True, per_page=2, sort="asc")] == [f"note {number}" for number in range(5)]


def test_projects_go_by_keyset_too(gitlab: GitlabScene) -> None:
    for name in "abcd":
        gitlab.world.create_project("acme", name, creator="mia")
    mia = gitlab.by("mia")

    found = list(mia.projects.list(membership=True, pagination="keyset", order_by="id", sort="asc", per_page=2, iterator=True))

    assert [project.path for project in found] == ["shop", "a", "b", "c", "d"]
    asked = [request.query for request in gitlab.world.asked if request.path == "/api/v4/projects"]
    assert len(asked) == 3
    assert "id_after=" in asked[1]
    with pytest.raises(GitlabHttpError, match="Keyset"):
        mia.http_get("/projects", query_data={"pagination": "keyset", "order_by": "name"})


def test_projects_are_narrowed_as_asked(gitlab: GitlabScene) -> None:
    world = gitlab.world
    world.create_project("acme/inner", "deep", creator="mia")
    world.archive_project(world.create_project("acme", "old", creator="mia"))
    world.create_project("other", "public", creator="eve", visibility="public")
    mia = gitlab.by("mia")

    def names(**more: Any) -> list[str]:
        return sorted(project.path for project in mia.projects.list(get_all=True, **more))

    assert names() == ["deep", "old", "public", "shop"]
    assert names(membership=True, archived=False) == ["deep", "shop"]
    assert names(min_access_level=40) == ["deep", "old", "shop"]
    group = mia.groups.get("acme")
    assert sorted(project.path for project in group.projects.list(get_all=True, include_subgroups=True)) == ["deep", "old", "shop"]
    assert sorted(project.path for project in group.projects.list(get_all=True)) == ["old", "shop"]
    assert [known.full_path for known in group.descendant_groups.list(get_all=True)] == ["acme/inner"]


def test_a_group_of_others_is_404(gitlab: GitlabScene) -> None:
    with pytest.raises(GitlabGetError, match="404 Group Not Found"):
        gitlab.by("eve").groups.get("acme")
    assert gitlab.bot.groups.get("acme").full_path == "acme"


# --- what is judged ---


def test_a_parameter_that_gitlab_does_not_know_is_a_violation(gitlab: GitlabScene) -> None:
    gitlab.mr.notes.create({"body": "x", "boddy": "y"})

    (violation,) = gitlab.world.violations
    assert (violation.side, violation.text) == ("request", "parameter boddy is not documented")


def test_effects_tell_what_was_done_in_order_and_what_sent_a_mail(gitlab: GitlabScene) -> None:
    note = gitlab.mr.notes.create({"body": "x"})
    note.body = "y"
    note.save()
    discussion = gitlab.mr.discussions.create({"body": "thread"})
    discussion.notes.create({"body": "answer"})
    discussion.resolved = True
    discussion.save()
    with pytest.raises(GitlabError):
        gitlab.mr.notes.create({"body": " "})

    done = [effect.operation.rpartition("/:iid")[2] for effect in gitlab.world.effects]
    assert done == ["/notes", "/notes/:note", "/discussions", "/discussions/:discussion/notes", "/discussions/:discussion"]
    mailed = [effect.operation.rpartition("/:iid")[2] for effect in gitlab.world.notifying_calls(gitlab.request)]
    assert mailed == ["/notes", "/discussions", "/discussions/:discussion/notes"]


def test_a_body_that_is_no_object_is_refused_and_forms_are_read(gitlab: GitlabScene) -> None:
    url = f"{gitlab.world.api_url}/projects/{gitlab.project.id}/merge_requests/1/notes"
    headers = {"PRIVATE-TOKEN": gitlab.token}
    with httpx.Client(trust_env=False, headers=headers, timeout=60) as client:
        for body in ("[]", "{", '"x"'):
            assert client.post(url, content=body, headers={"content-type": "application/json"}).status_code == 400
        assert client.post(url, data={"body": "from a form"}).json()["body"] == "from a form"
        assert client.post(url, content=json.dumps({"body": "x"}), headers={"content-type": "text/plain"}).status_code == 415
