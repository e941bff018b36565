"""What webhooks of the GitLab double say: the fields of GitLab's own examples, and the limits of what is told."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from tests.worlds.bare import NO_COMMIT
from tests.worlds.gitlab import GitlabWorld
from tests.worlds.gitlab.model import MergeRequest, Project


@dataclass
class Scene:
    """`acme/shop` with a merge request; everything that follows is told to the world's own hook."""

    world: GitlabWorld
    project: Project
    request: MergeRequest

    def told(self, event: str, action: str | None = None) -> Any:
        return self.world.hooks.of(event, action)[-1].payload


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with GitlabWorld.start(tmp_path_factory.mktemp("world"), relative="/gitlab") as world:
        world.create_group("acme", owner="olga")
        project = world.create_project("acme", "shop", files={"app.py": "".join(f"{n}\n" for n in range(30))}, creator="olga")
        world.commit(project, "feature", {"app.py": "changed\n", "new.py": "x\n"})
        yield Scene(world, project, world.open_merge_request("ada", project, "feature", "main", "Change it"))


def example(name: str) -> Any:
    """One of GitLab's documented payloads."""
    folder = os.environ.get("FIXWRIGHT_TEST_DATA")
    if folder is None:
        pytest.skip("the folder FIXWRIGHT_TEST_DATA is not there")
    return json.loads((Path(folder) / "gitlab" / "webhooks" / f"{name}.json").read_text(encoding="utf-8"))


def missing(theirs: Any, ours: Any, left_out: frozenset[str], where: str = "") -> list[str]:
    """The fields of an example that ours has not, where both have an object."""
    if not isinstance(theirs, dict) or not isinstance(ours, dict):
        return []
    found = []
    for key, value in theirs.items():
        path = f"{where}/{key}"
        if key not in ours and path not in left_out:
            found.append(path)
        elif key in ours:
            found += missing(value, ours[key], left_out, path)
    return found


def do(scene: Scene, name: str) -> Any:
    """Let what an example tells of happen; what was said of it."""
    world, project, request = scene.world, scene.project, scene.request
    match name:
        case "push":
            return scene.told("push")
        case "tag_push":
            world.push_tag(project, "v1.0.0")
            return scene.told("tag_push")
        case "merge_request":
            return scene.told("merge_request", "open")
        case "derived/merge_request_update_push":
            world.commit(project, "feature", {"more.py": "y\n"})
            return scene.told("merge_request", "update")
        case "derived/merge_request_update_draft":
            world.set_draft("ada", request, True)
            return scene.told("merge_request", "update")
        case "derived/merge_request_approved":
            world.approve("olga", request)
            return scene.told("merge_request", "approved")
        case "note_merge_request":
            world.comment("ada", request, "This needs work.")
            return scene.told("note")
        case "note_commit" | "note_issue" | "note_snippet":
            kinds: dict[str, Literal["Commit", "Issue", "Snippet"]]
            kinds = {"note_commit": "Commit", "note_issue": "Issue", "note_snippet": "Snippet"}
            world.comment_elsewhere(project, kinds[name], "Hello")
            return scene.told("note")
        case "pipeline":
            world.finish_pipeline(world.run_merge_request_pipeline(request))
            return scene.told("pipeline")
        case "job":
            world.finish_pipeline(world.run_pipeline(project, "feature"))
            return scene.told("build")
        case "deployment":
            world.deploy(project, "staging")
            return scene.told("deployment")
        case "member_add" | "member_update" | "member_remove":
            group = world.create_group("acme")
            level = {"member_add": "guest", "member_update": "developer", "member_remove": "none"}[name]
            world.set_access("test_user", group, level)
            return scene.told({"add": "user_add_to_group", "update": "user_update_for_group"}.get(name[7:], "user_remove_from_group"))
        case "project_create":
            world.create_project("acme", "other", files={"a": "b\n"})
            return scene.told("project_create")
        case "project_destroy":
            world.delete_project(world.create_project("acme", "third", files={"a": "b\n"}))
            return scene.told("project_destroy")
        case _:
            world.create_group(f"acme/sub-{len(world.hooks.deliveries)}")
            return scene.told("subgroup_create")


_NOT_TOLD = {
    # One of its three sources has them; what they say is nothing that a scanner could use.
    "note_commit": {"/object_attributes/st_diff"},
    "note_issue": {
        f"/issue/{key}" for key in ("assignee_ids", "assignee_id", "created_at", "updated_at", "position", "branch_name", "milestone_id")
    },
    "note_snippet": {
        f"/snippet/{key}" for key in ("description", "content", "created_at", "updated_at", "file_name", "type", "visibility_level", "url")
    },
    "pipeline": {"/source_pipeline"},
    "job": {f"/{key}_iso" for key in ("build_created_at", "build_started_at", "build_finished_at")}
    | {
        "/commit/started_at_iso",
        "/commit/finished_at_iso",
        "/repository/git_ssh_url",
        "/repository/git_http_url",
        "/repository/visibility_level",
    },
    "merge_request": {"/assignees", "/reviewers"},
    "derived/merge_request_update_push": {"/assignees", "/reviewers"},
    "derived/merge_request_update_draft": {"/assignees", "/reviewers"},
    "derived/merge_request_approved": {"/assignees", "/reviewers"},
    "note_merge_request": {"/merge_request/position", "/merge_request/assignee"},
}
_CHANGES = {f"/changes/{key}" for key in ("updated_by_id", "updated_at", "labels", "last_edited_at", "last_edited_by_id", "draft")}


@pytest.mark.parametrize(
    "name",
    [
        "push",
        "tag_push",
        "merge_request",
        "derived/merge_request_update_push",
        "derived/merge_request_update_draft",
        "derived/merge_request_approved",
        "note_merge_request",
        "note_commit",
        "note_issue",
        "note_snippet",
        "pipeline",
        "job",
        "deployment",
        "member_add",
        "member_update",
        "member_remove",
        "project_create",
        "project_destroy",
        "subgroup_create",
    ],
)
def test_a_payload_has_the_fields_of_gitlabs_example(scene: Scene, name: str) -> None:
    theirs, ours = example(name), do(scene, name)
    left_out = _NOT_TOLD.get(name, set()) | (_CHANGES if name != "derived/merge_request_update_draft" else set())
    assert missing(theirs, ours, frozenset(left_out)) == []
    same = ("object_kind", "event_type", "event_name")
    assert {key: theirs[key] for key in same if key in theirs} == {key: ours[key] for key in same if key in ours}


def test_a_push_of_code_says_what_was_the_head_before_and_an_edit_does_not(scene: Scene) -> None:
    before = scene.request.head
    scene.world.commit(scene.project, "feature", {"again.py": "z\n"})
    assert scene.told("merge_request", "update")["object_attributes"]["oldrev"] == before
    was = scene.request.title
    scene.world.edit_merge_request("ada", scene.request, title="Better said")
    edited = scene.told("merge_request", "update")
    assert "oldrev" not in edited["object_attributes"]
    assert edited["changes"]["title"] == {"previous": was, "current": "Better said"}


def test_a_push_lists_twenty_commits_and_counts_all(scene: Scene) -> None:
    world, project = scene.world, scene.project
    with world.gitlab.state.lock:
        known = project.git.commit(project.git.branch("feature") or "")
        tip = known.sha
        for number in range(22):
            tip = project.git.write_commit(known.tree, [tip], f"commit {number}\n", known.author, known.committer)
    world.reset_branch(project, "feature", tip)
    told = scene.told("push")
    assert (len(told["commits"]), told["total_commits_count"], told["after"]) == (20, 22, tip)
    assert [commit["title"] for commit in told["commits"]] == [f"commit {number}" for number in range(2, 22)]


@pytest.mark.parametrize(("branches", "told"), [(3, 3), (4, 0)])
def test_a_push_of_more_than_three_branches_is_not_told_at_all(scene: Scene, branches: int, told: int) -> None:
    world, project = scene.world, scene.project
    tip = project.git.branch("main") or ""
    before = len(world.hooks.of("push"))
    with world.gitlab.state.lock:
        for number in range(branches):
            project.git.set_ref(f"refs/heads/many-{branches}-{number}", tip)
        world.gitlab.actions.look_at_refs(project, world.user("ada"))
    assert len(world.hooks.of("push")) - before == told
    assert (project.git.branch(f"many-{branches}-0") or "") == tip


def test_a_deleted_branch_has_no_commit_after_it(scene: Scene) -> None:
    scene.world.commit(scene.project, "short-lived", {"x": "y\n"})
    scene.world.delete_branch(scene.project, "short-lived")
    told = scene.told("push")
    assert (told["after"], told["checkout_sha"], told["commits"]) == (NO_COMMIT, None, [])


def test_an_internal_note_is_told_only_to_hooks_that_want_such_notes(scene: Scene) -> None:
    plain = scene.world.add_hook(scene.project, "", events=("note_events",))
    trusted = scene.world.add_hook(scene.project, "", events=("confidential_note_events",))
    scene.world.comment("olga", scene.request, "between us", internal=True)
    assert scene.world.hooks.of("note", hook=plain) == []
    (told,) = scene.world.hooks.of("note", hook=trusted)
    assert (told.payload["event_type"], told.payload["object_attributes"]["internal"]) == ("confidential_note", True)
    assert told.headers["X-Gitlab-Event"] == "Confidential Note Hook"


def test_what_gitlab_notes_down_itself_is_told_to_nobody(scene: Scene) -> None:
    before = len(scene.world.hooks.of("note"))
    scene.world.retarget("ada", scene.request, "main")
    scene.world.close("ada", scene.request)
    scene.world.reopen("ada", scene.request)
    assert scene.world.notes(scene.request, system=True)[-1].system
    assert len(scene.world.hooks.of("note")) == before
    assert [delivery.action for delivery in scene.world.hooks.of("merge_request")][-2:] == ["close", "reopen"]


def test_names_and_places_that_change_are_told_to_the_instance(scene: Scene) -> None:
    world = scene.world
    project = world.create_project("acme", "moving", files={"a": "b\n"})
    root = world.add_hook(None, "")
    group = world.add_hook(world.create_group("acme"), "")
    world.rename_project(project, "moved")
    world.move_project(project, "elsewhere")
    world.archive_project(project)
    world.delete_project(project)
    system = [delivery.payload for delivery in world.hooks.deliveries if delivery.hook is root]
    assert [told["event_name"] for told in system if told.get("project_id") == project.id] == [
        "project_rename",
        "project_transfer",
        "project_update",
        "project_destroy",
    ]
    assert [told.get("old_path_with_namespace") for told in system if "old_path_with_namespace" in told] == ["acme/moving", "acme/moved"]
    assert [d.event for d in world.hooks.deliveries if d.hook is group] == [], "by then it lay in another group"
