"""A host that does not take a fix: the answer says why in its words, and so does the state of the fix."""

from __future__ import annotations

import json

import pytest

from tests.stages.github import GithubBench
from tests.stages.gitlab import GitlabBench
from tests.stages.test_fix_lifecycle import checked
from tests.worlds import faults

READ_ONLY = "Repository was archived so is read-only."


def refusal(status: int, said: str) -> faults.Status:
    body = {"message": said, "documentation_url": "https://docs.github.com/rest", "status": str(status)}
    return faults.Status(status, json.dumps(body).encode(), after_work=False)


@pytest.mark.parametrize("silenced", [False, True])
def test_a_repository_that_was_archived_meanwhile(github: GithubBench, silenced: bool) -> None:
    host = checked(github)
    github.world.faults.add("POST", "/git/", refusal(403, READ_ONLY), times=100)
    if silenced:
        github.world.faults.add("POST", "/comments$", refusal(403, READ_ONLY), times=100)
    host.say("/fix")
    host.settle()
    (fix,) = host.fixes()
    assert fix.status == "pr_creation_failed"
    assert "archived" in fix.error
    assert host.branches() == []
    said = [body for body in host.answers() if "was archived so is read" in body and "+GOOD" in body]
    assert len(said) == (0 if silenced else 1)
    assert github.dead() == []


def test_a_newer_patch_that_the_host_does_not_take_is_offered_when_it_is_asked_for_again(github: GithubBench) -> None:
    host = checked(github)
    host.say("/fix")
    host.settle()
    github.world.faults.add("PATCH", "/git/refs/", refusal(422, "Repository rule violations found"), times=100)
    host.say("/refine another way")
    host.settle()
    (fix,) = host.fixes()
    assert (fix.status, host.offered()) == ("pr_update_failed", b"GOOD\n")
    assert [body for body in host.answers() if "rule violations" in body and "+FINE" in body]
    github.world.faults.clear()
    host.say("/fix")
    host.settle()
    (fix,) = host.fixes()
    assert (fix.status, fix.error, host.offered()) == ("completed", "", b"FINE\n")
    assert len(host.branches()) == 1
    assert github.dead() == []


def test_on_gitlab_a_protected_branch_and_an_archived_project(gitlab: GitlabBench) -> None:
    host = checked(gitlab)
    (project,) = gitlab.world.gitlab.state.projects.values()
    gitlab.world.protect(project, "feature")
    host.say("/fix push")
    host.settle()
    (answer,) = [body for body in host.answers() if "takes no commit of Fixwright" in body]
    assert "+GOOD" in answer
    host.say("/fix")
    project.archived = True
    host.settle()
    (fix,) = host.fixes()
    assert (fix.status, host.branches()) == ("pr_creation_failed", [])
    assert fix.error
