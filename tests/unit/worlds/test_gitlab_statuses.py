"""Statuses of commits on the GitLab double, driven by python-gitlab: jobs of pipelines, with all that follows from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gitlab
import pytest
from gitlab.exceptions import GitlabCreateError, GitlabGetError

from tests.worlds.gitlab import GitlabWorld
from tests.worlds.gitlab.model import MergeRequest, Project

APP = "".join(f"line {number}\n" for number in range(1, 41))


@dataclass
class Scene:
    """`acme/shop` with merge request 1 from `feature`, and a bot of the project that is a developer."""

    world: GitlabWorld
    project: Project
    request: MergeRequest
    client: gitlab.Gitlab
    shop: Any
    """python-gitlab's project: it has no types worth the name."""

    def sign_in(self, token: str) -> None:
        self.client = gitlab.Gitlab(self.world.url, private_token=token)
        self.shop = self.client.projects.get(self.project.full_path)

    def post(self, state: str, sha: str = "", **more: Any) -> Any:
        return self.shop.commits.get(sha or self.request.head, lazy=True).statuses.create({"state": state, "name": "Fixwright", **more})

    def listed(self, sha: str = "", **more: Any) -> list[tuple[str, str]]:
        found = self.shop.commits.get(sha or self.request.head, lazy=True).statuses.list(get_all=True, **more)
        return [(status.name, status.status) for status in found]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitlabWorld]:
    with GitlabWorld.start(tmp_path_factory.mktemp("world"), relative="/gitlab") as world:
        yield world
        assert [violation for violation in world.violations if violation.side != "request"] == []


def staged(world: GitlabWorld) -> Scene:
    project = world.create_project("acme", f"shop-{len(world.gitlab.state.projects)}", files={"app.py": APP})
    world.rename_project(project, "shop")
    world.commit(project, "feature", {"app.py": APP.replace("line 20\n", "line twenty\n")})
    request = world.open_merge_request("ada", project, "feature", "main", "Change it")
    client = gitlab.Gitlab(world.url, private_token=world.token_of(project, "developer"))
    return Scene(world, project, request, client, client.projects.get(project.full_path))


@pytest.fixture
def scene(running: GitlabWorld) -> Iterator[Scene]:
    made = staged(running)
    yield made
    running.rename_project(made.project, f"was-{made.project.id}")


@pytest.fixture(scope="module")
def quiet(running: GitlabWorld) -> Scene:
    """One for tests that add to it what does not concern others."""
    made = staged(running)
    running.rename_project(made.project, "quiet")
    return made


def why(refused: pytest.ExceptionInfo[GitlabCreateError]) -> tuple[int | None, str]:
    return refused.value.response_code, str(refused.value.error_message)


def test_a_status_makes_a_pipeline_of_its_own_on_the_branch(scene: Scene) -> None:
    made = scene.post("running", description="Scanning", target_url="https://fixwright.example.org/1")
    assert (made.status, made.ref, made.description) == ("running", "feature", "Scanning")
    (pipeline,) = scene.shop.pipelines.list(get_all=True)
    assert (pipeline.source, pipeline.sha, pipeline.status, pipeline.id) == ("external", scene.request.head, "running", made.pipeline_id)
    scene.client.auth()
    assert scene.client.user is not None
    assert made.author["username"] == scene.client.user.username


def test_a_live_status_is_moved_and_a_finished_one_followed_by_a_new_one(scene: Scene) -> None:
    first, second = scene.post("pending"), scene.post("running")
    third = scene.post("success", description="Nothing found")
    assert first.id == second.id == third.id
    again = scene.post("running")
    assert again.id != third.id
    assert scene.listed() == [("Fixwright", "running")]
    assert scene.listed(all=True) == [("Fixwright", "success"), ("Fixwright", "running")]


@pytest.mark.parametrize(
    ("before", "after", "event"),
    [
        ("running", "running", ":run from :running"),
        ("pending", "pending", ":enqueue from :pending"),
        ("running", "pending", ":enqueue from :running"),
        ("running", "skipped", ":skip from :running"),
    ],
)
def test_a_status_that_does_not_move_is_a_bare_400_and_changes_nothing(quiet: Scene, before: str, after: str, event: str) -> None:
    name = f"{before} {after}"
    quiet.post(before, name=name, description="first")
    with pytest.raises(GitlabCreateError) as refused:
        quiet.post(after, name=name, description="second")
    code, text = why(refused)
    assert code == 400
    assert text.startswith(f"Cannot transition status via {event}")
    (kept,) = [job for job in quiet.world.statuses(quiet.project, quiet.request.head) if job.name == name]
    assert (kept.status, kept.description) == (before, "first")


@pytest.mark.parametrize("before", ["success", "failed", "canceled", "skipped"])
@pytest.mark.parametrize("after", ["pending", "running", "success", "failed", "canceled"])
def test_after_the_end_everything_may_begin_again(quiet: Scene, before: str, after: str) -> None:
    quiet.post(before, name=f"{before}, then {after}")
    assert quiet.post(after, name=f"{before}, then {after}").status == after


@pytest.mark.parametrize(
    ("given", "code", "text"),
    [
        ({"state": "failed", "description": "x" * 256}, 400, "is too long (maximum is 255 characters)"),
        ({"state": "failed", "target_url": "javascript:alert(1)"}, 400, "Only allowed schemes are http, https"),
        ({"state": "failed", "target_url": "ftp://example.org/"}, 400, "Only allowed schemes are http, https"),
        ({"state": "failed", "name": " "}, 400, "can't be blank"),
        ({"state": "failed", "ref": "r" * 256}, 400, "is too long"),
        ({"state": "failure"}, 400, "state does not have a valid value"),
        ({"state": "failed", "pipeline_id": 1}, 404, "Pipeline for pipeline_id, sha and ref"),
    ],
)
def test_what_gitlab_refuses_is_refused(quiet: Scene, given: dict[str, Any], code: int, text: str) -> None:
    before = quiet.listed()
    with pytest.raises(GitlabCreateError) as refused:
        quiet.post(**given)
    assert (why(refused)[0], text in why(refused)[1]) == (code, True)
    assert quiet.listed() == before


@pytest.mark.parametrize("sha", ["0" * 40, "not-there", "main..feature", "--all"])
def test_a_status_of_an_unknown_commit_is_not_found(quiet: Scene, sha: str) -> None:
    with pytest.raises(GitlabCreateError) as refused:
        quiet.post("running", sha)
    assert why(refused) == (404, "404 Commit Not Found")


def test_a_commit_that_no_branch_contains_needs_a_ref(scene: Scene) -> None:
    old = scene.request.head
    scene.world.force_push(scene.project, "feature", {"app.py": "new\n"})
    with pytest.raises(GitlabCreateError) as refused:
        scene.post("running", old)
    assert why(refused) == (404, "404 References for commit Not Found")
    assert scene.post("running", old, ref="feature").ref == "feature"


def test_without_a_number_a_status_lands_on_the_newest_pipeline_of_the_commit(scene: Scene) -> None:
    branch = scene.world.run_pipeline(scene.project, "feature")
    merge_request = scene.world.run_merge_request_pipeline(scene.request)
    assert scene.post("success").pipeline_id == merge_request.id
    assert scene.post("success", ref="feature").pipeline_id == branch.id
    assert scene.post("failed", pipeline_id=branch.id).pipeline_id == branch.id
    shown = scene.shop.mergerequests.get(scene.request.iid).head_pipeline
    assert (shown["id"], shown["ref"]) == (merge_request.id, f"refs/merge-requests/{scene.request.iid}/head")


def test_a_ref_without_a_pipeline_gets_one_of_its_own_which_the_merge_request_does_not_show(scene: Scene) -> None:
    scene.world.run_merge_request_pipeline(scene.request)
    astray = scene.post("failed", ref="elsewhere")
    assert astray.ref == "elsewhere"
    listed = scene.shop.mergerequests.get(scene.request.iid).pipelines.list(get_all=True)
    assert astray.pipeline_id not in {pipeline.id for pipeline in listed}


def test_a_merged_result_has_a_commit_of_its_own(scene: Scene) -> None:
    scene.project.merge_pipelines_enabled = True
    scene.world.commit(scene.project, "feature", {"more.py": "x\n"})
    merged = scene.world.run_merge_request_pipeline(scene.request, "merge")
    assert merged.sha != scene.request.head == merged.source_sha
    assert scene.post("failed").pipeline_id != merged.id, "the head is not what that pipeline runs for"
    assert scene.post("failed", merged.sha, pipeline_id=merged.id, ref=merged.ref).pipeline_id == merged.id
    assert scene.shop.mergerequests.get(scene.request.iid).head_pipeline["status"] == "running"
    scene.world.finish_pipeline(merged)
    assert scene.shop.mergerequests.get(scene.request.iid).head_pipeline["status"] == "failed"


def test_the_pipelines_of_a_forks_merge_request_are_the_forks(scene: Scene) -> None:
    world = scene.world
    fork = world.fork(scene.project, "mallory")
    world.commit(fork, "theirs", {"app.py": "theirs\n"}, author="mallory")
    request = world.open_merge_request("mallory", scene.project, "theirs", "main", "From afar", fork=fork)
    pipeline = world.run_merge_request_pipeline(request, user="mallory")
    assert pipeline.project is fork
    listed = scene.shop.mergerequests.get(request.iid).pipelines.list(get_all=True)
    assert listed == [], "what runs in a project that one may not see is not shown"
    world.set_visibility(fork, "public")
    (seen,) = scene.shop.mergerequests.get(request.iid).pipelines.list(get_all=True)
    assert (seen.project_id, seen.id) == (fork.id, pipeline.id)
    with pytest.raises(GitlabCreateError) as refused:
        scene.post("running", request.head)
    assert why(refused) == (404, "404 References for commit Not Found")
    theirs: Any = scene.client.projects.get(fork.id)
    with pytest.raises(GitlabCreateError) as forbidden:
        theirs.commits.get(request.head, lazy=True).statuses.create({"state": "running"})
    assert why(forbidden) == (403, "403 Forbidden")


def test_a_protected_branch_takes_no_status_of_who_may_not_write_to_it(scene: Scene) -> None:
    tip = scene.project.git.branch("main") or ""
    with pytest.raises(GitlabCreateError) as refused:
        scene.post("running", tip, ref="main")
    assert why(refused) == (403, "403 Forbidden")
    scene.world.protect(scene.project, "main", push="maintainer", merge="developer")
    assert scene.post("running", tip, ref="main").status == "running"


def test_a_reporter_reads_statuses_and_posts_none_and_a_guest_sees_none(scene: Scene) -> None:
    scene.post("success")
    scene.sign_in(scene.world.token_of(scene.project, "reporter"))
    assert scene.listed() == [("Fixwright", "success")]
    with pytest.raises(GitlabCreateError) as refused:
        scene.post("running")
    assert why(refused) == (403, "403 Forbidden")
    scene.sign_in(scene.world.token_of(scene.project, "guest"))
    with pytest.raises(gitlab.GitlabError, match="403"):
        scene.listed()


def test_another_users_status_of_the_same_name_is_another_one(scene: Scene) -> None:
    first = scene.post("running")
    scene.sign_in(scene.world.token_of(scene.project, "developer"))
    second = scene.post("running")
    assert first.id != second.id
    assert scene.listed() == [("Fixwright", "running")]


def test_jobs_of_a_runner_are_jobs_and_statuses_of_others_are_not(scene: Scene) -> None:
    pipeline = scene.world.run_pipeline(scene.project, "feature", jobs=("lint", "test"))
    scene.post("failed")
    scene.world.finish_pipeline(pipeline, "success")
    found = scene.shop.pipelines.get(pipeline.id)
    assert found.status == "failed"
    assert sorted(job.name for job in found.jobs.list(get_all=True)) == ["lint", "test"]
    assert sorted(scene.listed()) == [("Fixwright", "failed"), ("lint", "success"), ("test", "success")]
    assert scene.listed(name="lint") == [("lint", "success")]
    with pytest.raises(GitlabGetError):
        scene.shop.jobs.get(next(job.id for job in pipeline.jobs if job.external))


def test_pipelines_tell_their_hooks_when_their_status_changes(scene: Scene) -> None:
    before, builds = len(scene.world.hooks.of("pipeline")), len(scene.world.hooks.of("build"))
    scene.post("running")
    scene.post("success")
    told = scene.world.hooks.of("pipeline")[before:]
    assert [delivery.payload["object_attributes"]["status"] for delivery in told] == ["running", "success"]
    assert len(scene.world.hooks.of("build")) == builds, "a status that somebody posted is no build"


def test_external_status_checks_are_for_ultimate(scene: Scene) -> None:
    world, request = scene.world, scene.request
    check = world.add_status_check(scene.project, "Fixwright", "", "a shared secret")
    merge_request = scene.shop.mergerequests.get(request.iid)
    with pytest.raises(gitlab.GitlabError) as refused:
        merge_request.status_checks.list(get_all=True)
    assert refused.value.response_code == 401
    scene.project.namespace.plan = "ultimate"
    world.commit(scene.project, "feature", {"more.txt": "x\n"})
    asked = world.status_check_deliveries[-1]
    assert asked.payload["external_approval_rule"]["id"] == check.id
    assert len(asked.headers["X-Gitlab-Signature"]) == 64
    assert [one.status for one in merge_request.status_checks.list(get_all=True)] == ["pending"]
    path = f"/projects/{scene.project.id}/merge_requests/{request.iid}/status_check_responses"
    answer = {"external_status_check_id": check.id, "status": "passed"}
    with pytest.raises(gitlab.GitlabHttpError) as stale:
        scene.client.http_post(path, post_data=answer | {"sha": "0" * 40})
    assert stale.value.response_code == 409
    scene.client.http_post(path, post_data=answer | {"sha": request.head})
    assert [one.status for one in merge_request.status_checks.list(get_all=True)] == ["passed"]
    world.commit(scene.project, "feature", {"more.txt": "y\n"})
    assert [one.status for one in merge_request.status_checks.list(get_all=True)] == ["pending"]
    world.advance(121)
    assert [one.status for one in merge_request.status_checks.list(get_all=True)] == ["failed"]
    scene.project.namespace.plan = "premium"


def test_a_request_that_departs_from_the_documentation_is_a_violation(scene: Scene) -> None:
    known = len(scene.world.violations)
    scene.post("success", sumary="misspelt")
    assert [str(one) for one in scene.world.violations[known:]] == [
        f"request POST /projects/{scene.project.id}/statuses/{scene.request.head}: parameter sumary is not documented"
    ]


def test_a_world_lives_below_a_path(scene: Scene, tmp_path: Path) -> None:
    assert scene.world.url.endswith("/gitlab")
    assert scene.shop.web_url == f"{scene.world.url}/acme/shop"
