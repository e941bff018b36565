"""The commit status that carries a verdict where no check run can be written, and who writes what with which token."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.errors import HostForbidden, HostUnauthorized
from pipeline.model.ids import CommitId, InstallationId
from pipeline.model.report import Check
from pipeline.model.review import Conclusion
from pipeline.model.target import CommitRef, Installation, PullRequestRef, SourceRepository
from pipeline.ports import CodeHost
from providers.github.client import close_line
from providers.github.identity import within
from providers.github.provider import CAPABILITIES, GitHubProvider
from providers.github.statuses import DESCRIPTION, STATES, shortened
from tests.unit.providers.github_wire import Memory, private_key
from tests.worlds.github.model import Repository
from tests.worlds.github.world import GithubWorld

CHECK = Check("review-1", "1 blocks: SQL injection at app/db.py:41", "| a |", Conclusion.FAILURE)


class Desk:
    """A repository, its only commit, and a host signed in with somebody's token."""

    def __init__(self, world: GithubWorld) -> None:
        self.world = world
        self.repository: Repository = world.create_repository("octo", "shop", files={"a.txt": "a\n"}, install=False)
        world.set_permission("robin", self.repository, "write")
        clone = f"{world.git_url}/octo/shop.git"
        self.source = SourceRepository("github", "127.0.0.1", str(self.repository.id), "octo/shop", "main", clone)
        self.commit = CommitRef(self.source, CommitId(self.repository.git.branch("main") or ""))

    def host(self, token: str, **more: str) -> CodeHost:
        """A new one, with a memory of its own."""
        configuration = {"TOKEN": token, "API_URL": self.world.api_url, **more}
        installation = Installation(InstallationId("i"), "github", "127.0.0.1", "octo", "token:octo")
        return GitHubProvider().connect(installation, configuration, Memory())

    def person(self) -> CodeHost:
        """Signed in as the machine's account."""
        return self.host(self.world.token_for("robin"))

    def states(self) -> list[str]:
        """Of our statuses, oldest first."""
        return [status.state for status in self.repository.statuses]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    world = GithubWorld(tmp_path / "github", private_key_pem=private_key())
    world.serve()
    yield Desk(world)
    close_line()
    world.stop()
    assert world.violations == []


@pytest.mark.parametrize("conclusion", [None, *Conclusion])
def test_every_conclusion_has_a_state_that_is_not_greener_than_it(desk: Desk, conclusion: Conclusion | None) -> None:
    desk.person().ensure_check(desk.commit, replace(CHECK, conclusion=conclusion))
    assert desk.states() == [STATES[conclusion]]
    # GitHub lets `success` and `neutral` merge, and nothing else.
    assert (STATES[conclusion] == "success") == (conclusion in (Conclusion.SUCCESS, Conclusion.NEUTRAL))


def test_the_same_twice_is_once_and_another_verdict_is_another_status(desk: Desk) -> None:
    for check in (CHECK, CHECK, replace(CHECK, conclusion=Conclusion.SUCCESS), replace(CHECK, conclusion=Conclusion.SUCCESS)):
        desk.person().ensure_check(desk.commit, check)
    assert desk.states() == ["failure", "success"]


def test_somebody_elses_status_of_our_name_is_not_ours(desk: Desk) -> None:
    desk.world.set_permission("eve", desk.repository, "write")
    desk.world.post_status("eve", desk.repository, desk.commit.commit, "failure", "Fixwright")
    desk.repository.statuses[-1].description = CHECK.title
    desk.person().ensure_check(desk.commit, CHECK)
    assert [status.creator.login for status in desk.repository.statuses] == ["eve", "robin"]


@pytest.mark.parametrize("title", ["x" * 500, "\u2603" * 200, "two\nlines", "\ud800 lone", ""])
def test_a_title_of_any_form_becomes_a_description_that_github_takes(desk: Desk, title: str) -> None:
    desk.person().ensure_check(desk.commit, replace(CHECK, title=title))
    said = desk.repository.statuses[-1].description or ""
    assert said == shortened(title)
    assert len(said) <= DESCRIPTION
    assert "\n" not in said


def test_the_status_leads_to_the_comment_from_then_on(desk: Desk) -> None:
    desk.world.set_permission("ada", desk.repository, "write")
    head = desk.world.commit(desk.repository, "feature", {"a.txt": "b\n"})
    pull = desk.world.open_pull_request("ada", desk.repository, "feature", "main", "Change it")
    commit, ref = CommitRef(desk.source, CommitId(head)), PullRequestRef(desk.source, pull.number)
    host = desk.person()
    host.ensure_check(commit, CHECK)
    for _ in range(2):
        host.ensure_comment(ref, "summary", "| the table |")
    host.ensure_comment(ref, "another topic", "Nothing of that.")
    host.ensure_check(commit, replace(CHECK, conclusion=Conclusion.SUCCESS))
    address = desk.world.github.shapes.issue_comment(pull.comments[0])["html_url"]
    assert [(status.state, status.target_url) for status in desk.repository.statuses] == [
        ("failure", None),
        ("failure", address),
        ("success", address),
    ]


def test_what_a_token_can_do_shows_its_prefix_and_is_data(desk: Desk) -> None:
    for token, pages in {"ghs_" + "a" * 36: True, "ghp_" + "a" * 36: False, "github_pat_" + "a" * 50: False, "a" * 40: False}.items():
        made = within(CAPABILITIES, token)
        assert (made.check_pages, made.annotations > 0, made.buttons > 0) == (pages, pages, pages)
    assert desk.host(desk.world.job_token(desk.repository)).capabilities == CAPABILITIES
    assert not desk.person().capabilities.check_pages


def test_a_token_that_may_not_write_fails_in_words_unless_that_was_expected(desk: Desk) -> None:
    token = desk.world.job_token(desk.repository, contents="read", checks="read", pull_requests="read")
    with pytest.raises(HostForbidden) as refused:
        desk.host(token).ensure_check(desk.commit, CHECK)
    assert "checks: write" in refused.value.hint
    lenient = desk.host(token, READ_ONLY_OK="1")
    before, made = lenient.capabilities, lenient.ensure_check(desk.commit, CHECK)
    assert (before.writes, made.id, lenient.capabilities) == (True, "", replace(before, writes=False))
    assert desk.world.checks(desk.repository) == []


def test_a_token_never_stands_in_an_error_or_in_the_memory_of_the_host(desk: Desk) -> None:
    token = "ghp_" + "z9" * 18
    memory = Memory()
    installation = Installation(InstallationId("i"), "github", "127.0.0.1", "octo", "token:octo")
    host = GitHubProvider().connect(installation, {"TOKEN": token, "API_URL": desk.world.api_url}, memory)
    with pytest.raises(HostUnauthorized) as refused:
        host.find("octo/shop")
    assert token not in f"{refused.value!r} {refused.value.__cause__!r}"
    known = desk.world.token_for("robin")
    host = GitHubProvider().connect(installation, {"TOKEN": known, "API_URL": desk.world.api_url}, memory)
    host.ensure_check(desk.commit, CHECK)
    assert known.encode() not in repr(memory.values).encode()


def test_a_jobs_token_is_known_by_what_graphql_says_or_by_its_usual_name(desk: Desk) -> None:
    token = desk.world.job_token(desk.repository, pull_requests="write", checks="write")
    pull_free = desk.host(token)
    pull_free.repositories()
    asked = [(asked.path, asked.status) for asked in desk.world.asked]
    assert ("/user", 403) in asked
    assert ("/graphql", 200) in asked
