"""Branches, commits, files, merge requests and git over HTTP of the GitLab double."""

from __future__ import annotations

import base64
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from gitlab.exceptions import GitlabCreateError, GitlabDeleteError, GitlabError, GitlabGetError, GitlabUpdateError

from tests.unit.worlds.conftest import CHANGED, GitlabScene
from tests.worlds.bare import Entry, Person
from tests.worlds.gitlab.actions import Impossible


def changes(merge_request: Any) -> Any:  # python-gitlab's, whose answers have no types
    """Its files, as the interface of old shows them."""
    return merge_request.changes()["changes"]


def events(gitlab: GitlabScene, kind: str) -> list[tuple[str | None, dict[str, Any]]]:
    """What webhooks said of a kind: action and attributes."""
    return [(delivery.action, delivery.payload.get("object_attributes", {})) for delivery in gitlab.world.hooks.of(kind)]


# --- branches ---


def test_a_branch_is_made_once_from_something_that_is_there(gitlab: GitlabScene) -> None:
    made = gitlab.api.branches.create({"branch": "fix/a", "ref": "feature"})

    assert (made.commit["id"], made.merged, made.protected, made.can_push) == (gitlab.request.head, False, False, True)
    for body, word in (
        ({"branch": "fix/a", "ref": "main"}, "already exists"),
        ({"branch": "b", "ref": "nope"}, "Invalid reference name"),
        ({"branch": "a..b", "ref": "main"}, "Branch name is invalid"),
        ({"branch": "fix", "ref": "main"}, "Failed to create"),
    ):
        with pytest.raises(GitlabCreateError, match=word):
            gitlab.api.branches.create(body)
    gitlab.api.branches.delete("fix/a")
    with pytest.raises(GitlabGetError, match="404 Branch Not Found"):
        gitlab.api.branches.get("fix/a")


def test_a_protected_branch_is_not_for_developers(gitlab: GitlabScene) -> None:
    change = {"branch": "main", "commit_message": "m", "actions": [{"action": "create", "file_path": "x", "content": "x"}]}

    with pytest.raises(GitlabCreateError, match="403"):
        gitlab.api.commits.create(change)
    with pytest.raises(GitlabDeleteError, match="403"):
        gitlab.api.branches.delete("main")
    gitlab.world.protect(gitlab.project, "main", push="developer")
    assert gitlab.api.commits.create(change).parent_ids == [gitlab.request.version.refs.base]


# --- commits ---


def commit(gitlab: GitlabScene, *actions: dict[str, Any], **more: Any) -> Any:
    """A commit of the bot's."""
    return gitlab.api.commits.create({"branch": "feature", "commit_message": "m", "actions": list(actions), **more})


def test_a_commit_creates_changes_moves_and_removes_files(gitlab: GitlabScene) -> None:
    binary = base64.b64encode(b"\x00\xff").decode()
    made = commit(
        gitlab,
        {"action": "create", "file_path": "bin/a", "content": binary, "encoding": "base64"},
        {"action": "update", "file_path": "new.py", "content": "c\n"},
        {"action": "move", "file_path": "README.rst", "previous_path": "README.md"},
        author_name="Fix",
        author_email="fix@example.org",
    )

    assert (made.author_name, made.author_email, made.committer_name) == ("Fix", "fix@example.org", "fixwright")
    assert made.stats == {"additions": 1, "deletions": 2, "total": 3}
    assert gitlab.world.read(gitlab.project, "feature", "bin/a") == b"\x00\xff"
    assert gitlab.world.read(gitlab.project, "feature", "README.rst") == b"hi\n"
    assert gitlab.world.read(gitlab.project, "feature", "README.md") is None
    commit(gitlab, {"action": "chmod", "file_path": "bin/a", "execute_filemode": True}, {"action": "delete", "file_path": "new.py"})
    assert gitlab.api.files.get("bin/a", ref="feature").execute_filemode is True
    assert (gitlab.mr.sha, len(gitlab.mr.diffs.list(get_all=True))) == (gitlab.project.git.branch("feature"), 3)


@pytest.mark.parametrize(
    ("action", "word"),
    [
        ({"action": "create", "file_path": "app.py", "content": "x"}, "already exists"),
        ({"action": "update", "file_path": "nope", "content": "x"}, "doesn't exist"),
        ({"action": "delete", "file_path": "nope"}, "doesn't exist"),
        ({"action": "update", "file_path": "app.py"}, "content. is missing"),
        ({"action": "burn", "file_path": "app.py"}, "does not have a valid value"),
        ({"action": "create", "file_path": "../x", "content": "x"}, "invalid path"),
        ({"action": "create", "file_path": "a/.git/config", "content": "x"}, "invalid path"),
        ({"action": "update", "file_path": "app.py", "content": "x", "last_commit_id": "0" * 40}, "has been changed since"),
    ],
)
def test_a_commit_that_cannot_be_is_refused_whole(gitlab: GitlabScene, action: dict[str, Any], word: str) -> None:
    with pytest.raises(GitlabCreateError, match=word):
        commit(gitlab, {"action": "create", "file_path": "good", "content": "x"}, action)

    assert gitlab.world.read(gitlab.project, "feature", "good") is None


def test_a_branch_is_made_by_a_commit_and_replaced_only_with_force(gitlab: GitlabScene) -> None:
    base = gitlab.request.version.refs.base
    change = {"action": "create", "file_path": "x", "content": "x"}

    first = commit(gitlab, change, branch="bot/fix", start_sha=base)
    assert first.parent_ids == [base]
    with pytest.raises(GitlabCreateError, match="already exists"):
        commit(gitlab, change, branch="bot/fix", start_sha=base)
    assert commit(gitlab, change, branch="bot/fix", start_branch="feature", force=True).parent_ids == [gitlab.request.head]
    assert commit(gitlab, change, branch="bot/more", start_branch="main").parent_ids == [base]
    with pytest.raises(GitlabCreateError, match="start_branch, start_sha"):
        commit(gitlab, change, branch="b", start_branch="main", start_sha=base)
    with pytest.raises(GitlabCreateError, match="Cannot find start_sha"):
        commit(gitlab, change, branch="b", start_sha="0" * 40)
    with pytest.raises(GitlabCreateError, match="when you are on a branch"):
        commit(gitlab, change, branch="nowhere")


def test_comparisons_start_at_the_merge_base_unless_straight(gitlab: GitlabScene) -> None:
    gitlab.world.commit(gitlab.project, "main", {"other": "1\n"}, author="mia")

    shown: Any = gitlab.api.repository_compare("main", "feature")
    straight: Any = gitlab.bot.http_get(
        f"/projects/{gitlab.project.id}/repository/compare", query_data={"from": "main", "to": "feature", "straight": True}
    )

    assert [file["new_path"] for file in shown["diffs"]] == ["app.py", "new.py"]
    assert [known["id"] for known in shown["commits"]] == [gitlab.request.head]
    assert [file["new_path"] for file in straight["diffs"]] == ["app.py", "new.py", "other"]
    base: Any = gitlab.api.repository_merge_base(["main", "feature"])
    assert base["id"] == gitlab.request.version.refs.base


def test_a_tree_is_listed_in_pages_of_both_kinds(gitlab: GitlabScene) -> None:
    gitlab.world.commit(gitlab.project, "main", {f"d/{number}": f"{number}\n" for number in range(5)}, author="mia")
    asked: dict[str, Any] = {"ref": "main", "recursive": True, "per_page": 2, "iterator": True}
    wanted = ["d", "README.md", "app.py", *(f"d/{number}" for number in range(5))]

    assert [entry["path"] for entry in gitlab.api.repository_tree(**asked)] == wanted
    assert [entry["path"] for entry in gitlab.api.repository_tree(**asked, pagination="keyset")] == wanted
    with pytest.raises(GitlabError, match="404"):
        gitlab.api.repository_tree(path="nope", ref="main", get_all=True)


# --- merge requests ---


def test_a_merge_request_says_between_what_its_diff_lies(gitlab: GitlabScene) -> None:
    mr, git = gitlab.mr, gitlab.project.git

    assert mr.diff_refs == {"base_sha": git.branch("main"), "start_sha": git.branch("main"), "head_sha": mr.sha}
    assert (mr.changes_count, mr.state, mr.draft, mr.detailed_merge_status) == ("2", "opened", False, "mergeable")
    assert mr.source_project_id == mr.target_project_id == mr.project_id == gitlab.project.id
    assert git.ref("refs/merge-requests/1/head") == mr.sha
    merged = git.ref("refs/merge-requests/1/merge")
    assert merged is not None
    assert git.commit(merged).parents == (git.branch("main"), mr.sha)


def test_a_version_has_its_commits_and_files(gitlab: GitlabScene) -> None:
    (listed,) = gitlab.mr.diffs.list(get_all=True)
    version = gitlab.mr.diffs.get(listed.id)

    assert (version.real_size, version.state) == ("2", "collected")
    assert [commit["id"] for commit in version.commits] == [gitlab.request.head]
    changed, came = version.diffs
    assert (changed["new_path"], changed["new_file"], came["new_path"], came["new_file"], came["a_mode"]) == (
        *("app.py", False),
        *("new.py", True, "0"),
    )
    assert changed["diff"].startswith("@@ -17,7 +17,8 @@")
    assert changes(gitlab.mr) == version.diffs
    assert [known.id for known in gitlab.mr.commits()] == [gitlab.request.head]


def test_a_large_file_is_folded_up_and_a_larger_one_never_shown(gitlab: GitlabScene) -> None:
    gitlab.world.commit(gitlab.project, "large", {"big": "y\n" * 10_000, "huge": f"{'y' * 300}\n" * 1_000, "small": "y\n"})
    iid = gitlab.world.open_merge_request("ada", gitlab.project, "large", "main", "Large").iid
    mr = gitlab.api.mergerequests.get(iid)

    def shown(found: Any) -> dict[str, tuple[bool, bool, bool]]:
        return {file["new_path"]: (file["diff"] != "", file["collapsed"], file["too_large"]) for file in found}

    huge, small = (False, False, True), (True, False, False)
    assert shown(changes(mr)) == {"big": (False, True, False), "huge": huge, "small": small}
    assert shown(mr.diffs.get(mr.diffs.list(get_all=True)[0].id).diffs) == {"big": small, "huge": huge, "small": small}


def test_of_a_thousand_files_and_more_the_rest_is_left_out(gitlab: GitlabScene) -> None:
    repository, now = gitlab.project.git, Person("a", "a@example.org", 1_800_000_000)
    base, blob = repository.branch("main"), repository.write_blob(b"x\n")
    assert base is not None
    tree = repository.write_tree(base, [Entry("100644", f"many/{number:04}", blob) for number in range(1_001)])
    gitlab.world.reset_branch(gitlab.project, "many", repository.write_commit(tree, [base], "m\n", now, now))
    mr = gitlab.api.mergerequests.get(gitlab.world.open_merge_request("ada", gitlab.project, "many", "main", "Many").iid)
    version = mr.diffs.get(mr.diffs.list(get_all=True)[0].id)

    assert (mr.changes_count, version.real_size, version.state, len(version.diffs)) == ("1000+", "1000+", "overflow", 1_000)


def test_a_push_after_the_target_went_is_no_failure(gitlab: GitlabScene) -> None:
    gitlab.world.commit(gitlab.project, "release", {"r": "1\n"}, author="mia")
    gitlab.world.retarget("ada", gitlab.request, "release")
    start = gitlab.mr.diff_refs["start_sha"]
    gitlab.world.delete_branch(gitlab.project, "release")
    gitlab.world.commit(gitlab.project, "feature", {"new.py": "z\n"})

    assert gitlab.mr.diff_refs == {"base_sha": gitlab.request.version.refs.base, "start_sha": start, "head_sha": gitlab.request.head}
    assert gitlab.mr.detailed_merge_status == "broken_status"


def test_a_name_that_is_no_utf_8_does_not_break_an_answer(gitlab: GitlabScene) -> None:
    repository, now = gitlab.project.git, Person("a", "a@example.org", 1_800_000_000)
    base = repository.branch("main")
    assert base is not None
    tree = repository.write_tree(base, [Entry("100644", "caf\udce9.py", repository.write_blob(b"x\n"))])
    gitlab.world.reset_branch(gitlab.project, "odd", repository.write_commit(tree, [base], "m\n", now, now))

    assert "caf\ufffd.py" in [entry["path"] for entry in gitlab.api.repository_tree(ref="odd", iterator=True)]


def test_a_title_makes_a_draft_and_each_change_is_one_event(gitlab: GitlabScene) -> None:
    gitlab.world.set_draft("ada", gitlab.request, True)
    assert (gitlab.mr.title, gitlab.mr.draft, gitlab.mr.detailed_merge_status) == ("Draft: Change it", True, "draft_status")
    gitlab.world.set_draft("ada", gitlab.request, False)

    assert gitlab.mr.title == "Change it"
    updates = [delivery.payload["changes"] for delivery in gitlab.world.hooks.of("merge_request", "update")]
    assert [set(changes) >= {"title", "draft"} for changes in updates] == [True, True]
    assert "oldrev" not in gitlab.world.hooks.of("merge_request", "update")[0].payload["object_attributes"]


def test_labels_and_reviewers_of_one_change_are_one_event(gitlab: GitlabScene) -> None:
    mia = gitlab.world.user("mia")
    gitlab.api.mergerequests.update(1, {"add_labels": "security", "reviewer_ids": [mia.id]})
    gitlab.api.mergerequests.update(1, {"add_labels": "security"})

    (update,) = gitlab.world.hooks.of("merge_request", "update")
    assert [label["title"] for label in update.payload["changes"]["labels"]["current"]] == ["security"]
    assert [user["username"] for user in update.payload["changes"]["reviewers"]["current"]] == ["mia"]
    assert (gitlab.mr.labels, gitlab.mr.reviewers[0]["id"]) == (["security"], mia.id)


def test_a_push_is_an_update_with_the_old_head(gitlab: GitlabScene) -> None:
    old = gitlab.request.head
    gitlab.world.commit(gitlab.project, "feature", {"new.py": "z\n"}, author="ada")

    ((action, attributes),) = events(gitlab, "merge_request")[1:]
    assert (action, attributes["oldrev"], attributes["last_commit"]["id"]) == ("update", old, gitlab.request.head)


def test_another_target_makes_another_version(gitlab: GitlabScene) -> None:
    gitlab.world.commit(gitlab.project, "release", {"r": "1\n"}, author="mia")
    gitlab.world.retarget("ada", gitlab.request, "release")

    assert gitlab.mr.target_branch == "release"
    assert gitlab.mr.diff_refs["start_sha"] == gitlab.project.git.branch("release")
    assert len(gitlab.mr.diffs.list(get_all=True)) == 2
    assert gitlab.world.hooks.of("merge_request", "update")[-1].payload["changes"]["target_branch"] == {
        "previous": "main",
        "current": "release",
    }


def test_the_api_opens_lists_changes_and_closes(gitlab: GitlabScene) -> None:
    gitlab.api.branches.create({"branch": "fix", "ref": "feature"})
    made = gitlab.api.mergerequests.create({"source_branch": "fix", "target_branch": "main", "title": "T", "labels": ["b", "a"]})

    assert (made.iid, made.labels, made.author["username"]) == (2, ["a", "b"], gitlab.world.owner_of(gitlab.token).username)
    for body, word, status in (
        ({"source_branch": "fix", "target_branch": "main", "title": "T"}, "Another open merge request", 409),
        ({"source_branch": "nope", "target_branch": "main", "title": "T"}, "does not exist", 422),
        ({"source_branch": "main", "target_branch": "main", "title": "T"}, "same project/branch", 422),
    ):
        with pytest.raises(GitlabCreateError, match=word) as refused:
            gitlab.api.mergerequests.create(body)
        assert refused.value.response_code == status

    def opened(**more: Any) -> list[int]:
        return [known.iid for known in gitlab.api.mergerequests.list(state="opened", get_all=True, **more)]

    assert opened() == [2, 1]
    assert opened(source_branch="fix") == [2]
    assert opened(labels="a,b") == [2]
    made.state_event = "close"
    made.save()
    assert opened() == [1]
    assert [action for action, _ in events(gitlab, "merge_request")] == ["open", "open", "close"]
    gitlab.api.mergerequests.update(2, {"state_event": "reopen", "title": "Draft: T"})
    assert opened(wip="yes") == [2]


def test_a_merge_wants_the_right_level_head_and_state(gitlab: GitlabScene) -> None:
    with pytest.raises(GitlabError, match="401"):
        gitlab.mr.merge()
    gitlab.world.set_access("mia", gitlab.project, "maintainer")
    mia = gitlab.by("mia").projects.get("acme/shop").mergerequests.get(1)
    with pytest.raises(GitlabError, match="SHA does not match"):
        gitlab.by("mia").http_put(f"/projects/{gitlab.project.id}/merge_requests/1/merge", query_data={"sha": "0" * 40})
    gitlab.world.set_draft("ada", gitlab.request, True)
    with pytest.raises(GitlabError, match="405"):
        mia.merge()
    gitlab.world.set_draft("ada", gitlab.request, False)
    merged: Any = mia.merge()

    assert (merged["state"], merged["merge_user"]["username"]) == ("merged", "mia")
    assert merged["merge_commit_sha"] == gitlab.project.git.branch("main")
    assert gitlab.project.git.commit(merged["merge_commit_sha"]).parents[1] == gitlab.request.head
    assert [action for action, _ in events(gitlab, "merge_request")][-1] == "merge"


def test_a_conflict_is_seen_and_cannot_be_merged(gitlab: GitlabScene) -> None:
    gitlab.world.commit(gitlab.project, "main", {"app.py": CHANGED.replace("line twenty", "line XX")}, author="mia")

    assert (gitlab.mr.has_conflicts, gitlab.mr.detailed_merge_status, gitlab.mr.merge_status) == (True, "conflict", "cannot_be_merged")
    assert gitlab.project.git.ref("refs/merge-requests/1/merge") is None
    with pytest.raises(Impossible):
        gitlab.world.merge("mia", gitlab.request)


def test_what_reached_the_target_by_a_push_counts_as_merged(gitlab: GitlabScene) -> None:
    gitlab.world.reset_branch(gitlab.project, "main", gitlab.request.head, "mia")

    assert (gitlab.mr.state, gitlab.mr.merge_commit_sha) == ("merged", None)


def test_a_merge_request_has_no_diff_in_its_first_moments(gitlab: GitlabScene) -> None:
    gitlab.world.unprepare(gitlab.request)
    fresh = gitlab.mr

    assert (fresh.diff_refs, fresh.changes_count, fresh.detailed_merge_status, fresh.prepared_at) == (None, None, "preparing", None)
    assert fresh.diffs.list(get_all=True) == []
    gitlab.world.unprepare(gitlab.request, prepared=True)
    assert gitlab.mr.diff_refs is not None


def test_a_pipeline_that_must_succeed_holds_a_merge_back(gitlab: GitlabScene) -> None:
    gitlab.project.only_merge_if_pipeline_succeeds = True
    assert gitlab.mr.detailed_merge_status == "ci_must_pass"
    status = {"name": "Fixwright", "ref": "feature"}
    gitlab.api.commits.get(gitlab.request.head).statuses.create(status | {"state": "running"})
    assert gitlab.mr.detailed_merge_status == "ci_still_running"
    gitlab.api.commits.get(gitlab.request.head).statuses.create(status | {"state": "success"})

    assert (gitlab.mr.detailed_merge_status, gitlab.mr.head_pipeline["status"]) == ("mergeable", "success")
    head = gitlab.api.commits.get(gitlab.request.head)
    assert (head.status, head.last_pipeline["id"]) == ("success", gitlab.mr.head_pipeline["id"])


def test_a_branch_that_goes_leaves_the_merge_request_open(gitlab: GitlabScene) -> None:
    gitlab.world.delete_branch(gitlab.project, "feature")

    assert (gitlab.mr.state, gitlab.mr.detailed_merge_status) == ("opened", "broken_status")
    assert gitlab.project.git.ref("refs/merge-requests/1/head") == gitlab.mr.sha


def test_squash_and_fast_forward_merge_as_the_project_says(gitlab: GitlabScene) -> None:
    gitlab.project.merge_method = "ff"
    gitlab.world.commit(gitlab.project, "main", {"other": "1\n"}, author="mia")
    assert gitlab.mr.detailed_merge_status == "need_rebase"
    with pytest.raises(Impossible):
        gitlab.world.merge("mia", gitlab.request)
    gitlab.world.rebase("ada", gitlab.request)
    assert gitlab.mr.detailed_merge_status == "mergeable"
    assert gitlab.world.merge("mia", gitlab.request) == gitlab.request.head
    assert gitlab.world.read(gitlab.project, "main", "other") == b"1\n"


def test_a_train_stands_each_car_on_the_one_before(gitlab: GitlabScene) -> None:
    world, project = gitlab.world, gitlab.project
    world.commit(project, "second", {"second": "1\n"})
    second = world.open_merge_request("ada", project, "second", "main", "Second")

    first_car, second_car = world.board_train("mia", gitlab.request), world.board_train("mia", second)

    assert project.git.ref("refs/merge-requests/1/train") == first_car
    assert project.git.commit(second_car).parents == (first_car, second.head)


def test_a_fork_opens_a_merge_request_whose_head_is_fetched_from_the_target(gitlab: GitlabScene) -> None:
    world = gitlab.world
    fork = world.fork(gitlab.project, "eve")
    world.commit(fork, "theirs", {"eve.py": "1\n"}, author="eve")
    request = world.open_merge_request("eve", gitlab.project, "theirs", "main", "Theirs", fork=fork)
    mr = gitlab.api.mergerequests.get(request.iid)

    assert (mr.source_project_id, mr.target_project_id) == (fork.id, gitlab.project.id)
    assert gitlab.project.git.ref(f"refs/merge-requests/{mr.iid}/head") == mr.sha == fork.git.branch("theirs")
    with pytest.raises(GitlabGetError, match="404 Project Not Found"):
        gitlab.bot.projects.get(fork.id)
    world.commit(fork, "theirs", {"eve.py": "2\n"}, author="eve")
    assert gitlab.api.mergerequests.get(mr.iid).sha == fork.git.branch("theirs")
    world.delete_project(fork)
    assert gitlab.api.mergerequests.get(mr.iid).source_project_id is None


def test_a_title_too_long_is_refused(gitlab: GitlabScene) -> None:
    with pytest.raises(GitlabUpdateError, match="too long"):
        gitlab.api.mergerequests.update(1, {"title": "x" * 256})


# --- git over HTTP ---


def git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """git without the machine's settings."""
    settings = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0", "PATH": os.environ["PATH"]}
    identity = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    return subprocess.run(["git", *identity, *arguments], cwd=folder, env=settings, capture_output=True, text=True, check=False)


def url(gitlab: GitlabScene, token: str = "") -> str:
    """Address for git, with the token as people put it there."""
    whole = f"{gitlab.world.url}/acme/shop.git"
    return whole.replace("://", f"://oauth2:{token}@") if token else whole


def test_git_clones_with_a_token_and_pushes_as_its_owner(gitlab: GitlabScene, tmp_path: Path) -> None:
    token = gitlab.world.token_for("ada", ("write_repository",))
    assert git(tmp_path, "clone", "-q", url(gitlab), "anonymous").returncode != 0
    assert git(tmp_path, "clone", "-q", url(gitlab, "glpat-wrong"), "wrong").returncode != 0
    assert git(tmp_path, "clone", "-q", "-b", "feature", url(gitlab, token), "work").returncode == 0
    work = tmp_path / "work"
    (work / "new.py").write_text("pushed\n")
    git(work, "commit", "-qam", "m")

    assert git(work, "push", "-q", "origin", "feature").returncode == 0
    assert gitlab.mr.sha == git(work, "rev-parse", "HEAD").stdout.strip()
    assert gitlab.world.hooks.of("merge_request", "update")[-1].payload["user"]["username"] == "ada"
    assert "git push" in [effect.operation for effect in gitlab.world.effects]
    refused = git(work, "push", "-q", "origin", "HEAD:refs/merge-requests/1/head")
    assert (refused.returncode != 0, "hidden ref" in refused.stderr) == (True, True)


def test_a_protected_branch_is_not_pushed_by_developers(gitlab: GitlabScene, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", url(gitlab, gitlab.token), "work")
    git(tmp_path / "work", "commit", "-q", "--allow-empty", "-m", "m")

    assert git(tmp_path / "work", "push", "-q", "origin", "HEAD:main").returncode != 0
    assert git(tmp_path / "work", "push", "-q", url(gitlab, gitlab.world.token_for("mia")), "HEAD:main").returncode == 0


def test_git_gives_a_head_of_a_merge_request_and_refuses_who_may_not(gitlab: GitlabScene, tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    assert git(tmp_path, "fetch", "-q", "--depth=1", url(gitlab, gitlab.token), "refs/merge-requests/1/head").returncode == 0
    assert git(tmp_path, "rev-parse", "FETCH_HEAD").stdout.strip() == gitlab.request.head

    gitlab.world.set_access("rita", gitlab.project, "reporter")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "x")
    pushed = git(tmp_path, "push", "-q", url(gitlab, gitlab.world.token_for("rita")), "HEAD:refs/heads/x")
    assert "403" in pushed.stderr
    stranger = git(tmp_path, "fetch", "-q", url(gitlab, gitlab.world.token_for("eve")), "main")
    assert "not found" in stranger.stderr
    narrow = git(tmp_path, "fetch", "-q", url(gitlab, gitlab.world.token_for("ada", ("read_user",))), "main")
    assert "403" in narrow.stderr


def test_a_link_and_a_submodule_are_shown_as_what_they_are(gitlab: GitlabScene) -> None:
    repository, now = gitlab.project.git, Person("a", "a@example.org", 1_800_000_000)
    base = repository.branch("main")
    assert base is not None
    tree = repository.write_tree(
        base, [Entry("120000", "link", repository.write_blob(b"app.py")), Entry("160000", "sub", "1" * 40, "commit")]
    )
    gitlab.world.reset_branch(gitlab.project, "odd", repository.write_commit(tree, [base], "m\n", now, now))

    shown = {entry["path"]: (entry["type"], entry["mode"]) for entry in gitlab.api.repository_tree(ref="odd", iterator=True)}
    assert (shown["link"], shown["sub"]) == (("blob", "120000"), ("commit", "160000"))
