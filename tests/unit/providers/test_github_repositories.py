"""What GitHub says of repositories, against the double: the owner's policy, drafts of advisories, what is renamed, empty or gone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from pipeline.errors import HostForbidden, HostGarbage, HostNotFound
from pipeline.model.ids import InstallationId
from pipeline.model.report import AdvisoryDraft
from pipeline.model.target import Installation, PullRequestRef, SourceRepository
from pipeline.ports import CodeHost
from providers.github.client import close_line
from providers.github.provider import GitHubProvider
from providers.github.repositories import MAX_POLICY, NO_POLICY
from tests.unit.providers.github_wire import REPOSITORY, Memory, Reply, Seen, Wire, private_key
from tests.worlds.github.model import Repository
from tests.worlds.github.world import PERMISSIONS, GithubWorld

POLICY = "gate: {block: high}\n"
DRAFT = AdvisoryDraft("SQL injection in the shop", "Request data becomes SQL.", "high", ("CWE-89",))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[GithubWorld]:
    granted = PERMISSIONS | {"repository_advisories": "write"}
    made = GithubWorld(tmp_path / "github", private_key_pem=private_key(), permissions=granted)
    made.serve()
    yield made
    close_line()
    made.stop()
    assert made.violations == []


def source(world: GithubWorld, repository: Repository) -> SourceRepository:
    """As a delivery names it."""
    clone = f"{world.git_url}/{repository.full_name}.git"
    return SourceRepository("github", "127.0.0.1", str(repository.id), repository.full_name, "main", clone, repository.private)


def app(world: GithubWorld, repository: Repository) -> CodeHost:
    """Signed in as the App."""
    installed = world.installation_of(repository)
    assert installed is not None
    configuration = {"APP_ID": str(world.app_id), "PRIVATE_KEY": world.private_key_pem, "API_URL": world.api_url}
    return _connect(configuration, str(installed.id))


def person(world: GithubWorld, login: str) -> CodeHost:
    """Signed in with somebody's token."""
    return _connect({"TOKEN": world.token_for(login), "API_URL": world.api_url}, "token:octo")


def _connect(configuration: dict[str, str], number: str) -> CodeHost:
    installation = Installation(InstallationId("i"), "github", "127.0.0.1", "octo", number)
    return GitHubProvider().connect(installation, configuration, Memory())


@pytest.mark.parametrize("private", [True, False])
def test_the_owners_policy_is_read_where_the_app_is_installed(world: GithubWorld, private: bool) -> None:
    shop = world.create_repository("octo", "shop", files={"a": "a\n"})
    world.create_repository("octo", ".github", private=private, files={"fixwright.yml": POLICY})
    found = app(world, shop).policy_parent(source(world, shop))
    assert found is not None
    assert found.content == POLICY.encode()
    assert "octo/.github" in found.where


def test_a_public_owners_policy_is_read_also_where_the_app_is_not_installed(world: GithubWorld) -> None:
    shop = world.create_repository("octo", "shop", files={"a": "a\n"})
    world.create_repository("octo", ".github", private=False, files={"fixwright.yml": POLICY}, install=False)
    found = app(world, shop).policy_parent(source(world, shop))
    assert found is not None
    assert found.content == POLICY.encode()


def test_an_owners_policy_that_we_may_not_read_is_none(world: GithubWorld) -> None:
    shop = world.create_repository("octo", "shop", files={"a": "a\n"})
    world.create_repository("octo", ".github", private=True, files={"fixwright.yml": POLICY}, install=False)
    assert app(world, shop).policy_parent(source(world, shop)) is None


def test_an_owners_repository_without_that_file_has_no_policy(world: GithubWorld) -> None:
    shop = world.create_repository("octo", "shop", files={"a": "a\n"})
    world.create_repository("octo", ".github", files={"README.md": "# octo\n"})
    assert app(world, shop).policy_parent(source(world, shop)) is None


@pytest.mark.parametrize("size", [MAX_POLICY + 1, 1_200_000], ids=["over our limit", "over GitHub's"])
def test_an_owners_policy_that_is_too_large_is_no_policy_that_parses(world: GithubWorld, size: int) -> None:
    shop = world.create_repository("octo", "shop", files={"a": "a\n"})
    world.create_repository("octo", ".github", files={"fixwright.yml": "#" * size})
    found = app(world, shop).policy_parent(source(world, shop))
    assert found is not None
    assert found.content == NO_POLICY


def test_a_folder_in_the_place_of_the_owners_policy_is_no_policy_that_parses(world: GithubWorld) -> None:
    shop = world.create_repository("octo", "shop", files={"a": "a\n"})
    world.create_repository("octo", ".github", files={"fixwright.yml/inside": "x\n"})
    found = app(world, shop).policy_parent(source(world, shop))
    assert found is not None
    assert found.content == NO_POLICY


@pytest.mark.parametrize("content", ["%%%", "A", "\u00e9", "QUJD\x00"], ids=["other signs", "half", "no ASCII", "NUL"])
def test_an_owners_policy_that_arrives_broken_is_asked_for_again(content: str) -> None:
    def handler(seen: Seen) -> Reply | None:
        if not seen.path.endswith("/contents/fixwright.yml"):
            return None
        return httpx.Response(200, json={"type": "file", "encoding": "base64", "content": content, "size": 3})

    with pytest.raises(HostGarbage) as caught:
        Wire(handler).host().policy_parent(REPOSITORY)
    assert caught.value.retryable
    assert content not in caught.value.message


def test_the_owners_own_repository_has_nobody_above_it(world: GithubWorld) -> None:
    above = world.create_repository("octo", ".github", files={"fixwright.yml": POLICY})
    assert app(world, above).policy_parent(source(world, above)) is None


def test_a_renamed_repository_is_described_by_its_number(world: GithubWorld) -> None:
    shop = world.create_repository("octo", "shop", files={"a": "a\n"})
    known = source(world, shop)
    shop.name, shop.default_branch, shop.private = "store", "trunk", False
    now = app(world, shop).describe(known)
    assert (now.full_name, now.default_branch, now.private, now.external_id) == ("octo/store", "trunk", False, known.external_id)
    assert now.clone_url.endswith("/octo/store.git")


def test_a_repository_that_was_deleted_or_taken_from_us_is_not_found(world: GithubWorld) -> None:
    shop = world.create_repository("octo", "shop", files={"a": "a\n"})
    other = world.create_repository("octo", "other", files={"a": "a\n"})
    installation = world.installation_of(shop)
    assert installation is not None
    installation.repositories = {other.id}
    with pytest.raises(HostNotFound):
        app(world, other).describe(source(world, shop))
    del world.github.state.repositories[shop.id]
    with pytest.raises(HostNotFound):
        app(world, other).describe(source(world, shop))


def test_an_empty_repository_has_no_tip(world: GithubWorld) -> None:
    empty = world.create_repository("octo", "empty")
    host = app(world, empty)
    with pytest.raises(HostNotFound):
        host.tip(source(world, empty), "main")


def test_an_advisory_is_drafted_in_a_public_repository_and_nowhere_else(world: GithubWorld) -> None:
    public = world.create_repository("octo", "public", private=False, files={"a": "a\n"})
    address = app(world, public).draft_advisory(source(world, public), DRAFT)
    (made,) = public.advisories
    assert address == made["html_url"]
    assert (made["state"], made["summary"], made["severity"], made["cwe_ids"]) == ("draft", DRAFT.summary, "high", ["CWE-89"])
    private = world.create_repository("octo", "private", files={"a": "a\n"})
    with pytest.raises(HostForbidden):
        app(world, private).draft_advisory(source(world, private), DRAFT)


def test_repositories_of_an_app_are_its_installations_and_of_a_person_those_with_a_role(world: GithubWorld) -> None:
    shop = world.create_repository("octo", "shop", files={"a": "a\n"})
    hers = world.create_repository("ada", "notes", files={"a": "a\n"}, install=False)
    world.create_repository("eve", "secret", files={"a": "a\n"}, install=False)
    world.set_permission("ada", shop, "write")
    assert [found.full_name for found in app(world, shop).repositories()] == ["octo/shop"]
    found = person(world, "ada").repositories()
    assert {one.full_name for one in found} == {"octo/shop", "ada/notes"}
    assert {one.external_id for one in found} == {str(shop.id), str(hers.id)}


def test_a_name_that_is_none_is_not_found_without_a_request(world: GithubWorld) -> None:
    host = person(world, "ada")
    for name in ("shop", "octo/", "/shop", "octo/shop/more", ""):
        with pytest.raises(HostNotFound):
            host.find(name)
    assert world.asked == []


def test_what_is_not_ours_does_not_become_ours_by_its_marks(world: GithubWorld) -> None:
    shop = world.create_repository("octo", "shop", files={"a.txt": "a\n"})
    world.set_permission("ada", shop, "write")
    world.set_permission("robin", shop, "write")
    world.commit(shop, "feature", {"a.txt": "b\n"})
    pull = world.open_pull_request("ada", shop, "feature", "main", "Change it")
    host = person(world, "robin")
    where = PullRequestRef(source(world, shop), pull.number)
    forged = "Nothing to see.\n\n<!-- fixwright:comment:v1:summary -->"
    world.comment("eve", pull, forged)
    host.ensure_comment(where, "summary", "One finding.")
    assert [(comment.user.login, comment.body.partition("\n")[0]) for comment in pull.comments] == [
        ("eve", "Nothing to see."),
        ("robin", "One finding."),
    ]


def test_that_the_owners_repository_is_not_ours_is_asked_once_until_something_changes(world: GithubWorld) -> None:
    shop = world.create_repository("octo", "shop", files={"a": "a\n"})
    hidden = world.create_repository("octo", ".github", private=True, files={"fixwright.yml": POLICY}, install=False)
    host = app(world, shop)

    def refused() -> int:
        return sum(asked.path.endswith("/access_tokens") and asked.status == 422 for asked in world.asked)

    for _ in range(3):
        assert host.policy_parent(source(world, shop)) is None
    assert refused() == 1
    installation = world.installation_of(shop)
    assert installation is not None
    installation.repositories = {shop.id, hidden.id}
    host.forget()  # what `installation_repositories.added` leads to
    found = host.policy_parent(source(world, shop))
    assert (found is not None, refused()) == (True, 1)
