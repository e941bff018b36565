"""Projects as GitLab describes them, the policy of their groups, and what git is given."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import replace

import pytest

from pipeline.errors import HostForbidden, HostGarbage, HostNotFound, HostRejected, HostUnauthorized, NotConfigured
from pipeline.model.report import AdvisoryDraft
from pipeline.model.target import Installation
from pipeline.ports import PolicyFile
from providers.gitlab.projects import NO_POLICY
from providers.gitlab.transport import MAX_CALLS
from tests.unit.providers.github_wire import Memory
from tests.unit.providers.gitlab_wire import INSTALLATION, REPOSITORY, SELF, TOKEN, Asked, Reply, Said, Wire

PROJECT: Mapping[str, object] = {
    "id": 42,
    "path_with_namespace": "acme/shop",
    "default_branch": "main",
    "visibility": "private",
    "http_url_to_repo": "https://elsewhere.example/acme/shop.git",
}


def project(**changed: object) -> Mapping[str, object]:
    return {**PROJECT, **changed}


def only(path: str, value: object, status: int = 200) -> Wire:
    return Wire(lambda asked: Said(value, status) if asked.path == path else None)


# --- which there are ---


def test_a_project_is_found_by_its_path_with_all_its_groups() -> None:
    wire = only("/projects/acme%2Fweb%2Fshop", project(id=7, path_with_namespace="acme/web/shop", visibility="public"))
    found = wire.host().find("acme/web/shop")
    assert (found.provider, found.instance, found.external_id, found.full_name) == ("gitlab", "gitlab.com", "7", "acme/web/shop")
    assert found.installation == "acme"
    assert not found.private


def test_git_fetches_from_the_configured_gitlab_whatever_address_an_answer_names() -> None:
    wire = only("/projects/acme%2Fshop", project())
    assert (
        wire.host(settings={"URL": "https://git.example.org/scm"}).find("acme/shop").clone_url
        == "https://git.example.org/scm/acme/shop.git"
    )


@pytest.mark.parametrize("name", ["", "shop", "/", "acme/", "acme/..", "../acme/shop", "acme/./shop", "acme//shop"])
def test_what_is_no_path_of_a_project_is_not_asked_for(name: str) -> None:
    wire = Wire()
    with pytest.raises(HostNotFound) as told:
        wire.host().find(name)
    assert "GROUP/PROJECT" in told.value.hint
    assert wire.asked == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": "shop"},
        {"id": 0},
        {"id": None},
        {"path_with_namespace": "shop"},
        {"path_with_namespace": "acme/../shop"},
        {"path_with_namespace": "acme/sh op"},
        {"path_with_namespace": 7},
        {"default_branch": ["main"]},
        {"default_branch": "ma\x00in"},
        {"visibility": None},
    ],
)
def test_a_description_that_cannot_be_is_garbage(wrong: Mapping[str, object]) -> None:
    wire = only("/projects/42", project(**wrong))
    with pytest.raises(HostGarbage):
        wire.host().describe(REPOSITORY)


def test_a_moved_project_is_known_by_its_number() -> None:
    wire = only("/projects/42", project(path_with_namespace="acme/store", default_branch="trunk", visibility="internal"))
    now = wire.host().describe(REPOSITORY)
    assert (now.external_id, now.full_name, now.default_branch) == ("42", "acme/store", "trunk")
    assert now.private, "what only those see who are signed in is not public"
    assert now.clone_url == "https://gitlab.com/acme/store.git"


@pytest.mark.parametrize(
    ("changed", "archived"),
    [({}, False), ({"archived": True}, True), ({"marked_for_deletion_on": "2027-02-01"}, True), ({"marked_for_deletion_on": None}, False)],
)
def test_one_that_is_archived_or_about_to_be_deleted_takes_no_more_writes(changed: Mapping[str, object], archived: bool) -> None:
    assert only("/projects/42", project(**changed)).host().describe(REPOSITORY).archived is archived


def test_an_empty_project_has_no_default_branch_and_no_tip() -> None:
    wire = only("/projects/42", project(default_branch=None))
    host = wire.host()
    assert host.describe(REPOSITORY).default_branch == ""
    with pytest.raises(HostNotFound):
        host.tip(REPOSITORY, "")


def test_one_that_is_gone_is_not_found() -> None:
    with pytest.raises(HostNotFound):
        Wire().host().describe(REPOSITORY)


def test_those_of_the_namespace_are_listed_page_by_page_and_no_others() -> None:
    def handler(asked: Asked) -> Reply:
        if asked.path != "/projects":
            return None
        assert asked.query["pagination"] == ["keyset"]
        assert asked.query["membership"] == ["True"]
        if "id_after" not in asked.query:
            link = '<https://gitlab.com/api/v4/projects?id_after=43&membership=True&pagination=keyset&order_by=id&per_page=100>; rel="next"'
            return Said([project(), project(id=43, path_with_namespace="acme-old/shop")], headers={"link": link})
        return Said([project(id=44, path_with_namespace="Acme/web/site"), project(id=45, path_with_namespace="jo/acme")])

    wire = Wire(handler)
    assert [found.external_id for found in wire.host().repositories()] == ["42", "44"]
    assert len(wire.asked) == 2


def test_a_list_without_an_end_is_cut_off() -> None:
    link = '<https://gitlab.com/api/v4/projects?id_after=1&pagination=keyset&per_page=100>; rel="next"'
    wire = Wire(lambda asked: Said([project()] * 2_500, headers={"link": link}))
    assert len(wire.host().repositories()) == 10_000
    assert len(wire.asked) <= 5


def test_pages_without_anything_on_them_come_to_an_end() -> None:
    link = '<https://gitlab.com/api/v4/projects?id_after=1&pagination=keyset&per_page=100>; rel="next"'
    wire = Wire(lambda asked: Said([], headers={"link": link}))
    with pytest.raises(HostGarbage) as told:
        wire.host().repositories()
    assert "does not end" in told.value.message
    assert len(wire.asked) == MAX_CALLS


def test_the_tip_of_a_branch_is_a_commit() -> None:
    wire = only("/projects/42/repository/branches/fix%2Fa", {"name": "fix/a", "commit": {"id": "a" * 40}})
    assert wire.host().tip(REPOSITORY, "fix/a") == "a" * 40


@pytest.mark.parametrize("commit", [{"id": "HEAD"}, {"id": "a" * 39}, {}, {"id": "--upload-pack=x"}])
def test_a_commit_that_is_none_is_garbage(commit: Mapping[str, object]) -> None:
    with pytest.raises(HostGarbage):
        only("/projects/42/repository/branches/main", {"commit": commit}).host().tip(REPOSITORY, "main")


# --- what the token may do ---


@pytest.mark.parametrize(
    ("scopes", "listed", "may"),
    [
        (["api"], [project()], True),
        (["api", "read_user"], [project(id=7, path_with_namespace="other/x"), project()], True),
        (["api"], [], False),
        (["api"], [project(id=7, path_with_namespace="other/x")], False),
        (["read_api", "write_repository"], [project()], False),
        ([], [project()], True),
    ],
)
def test_who_writes_needs_the_scope_and_a_role(scopes: list[str], listed: list[object], may: bool) -> None:
    def handler(asked: Asked) -> Reply:
        if asked.path == "/personal_access_tokens/self":
            return Said({**SELF, "scopes": scopes})
        if asked.path == "/projects":
            assert asked.query["min_access_level"] == ["30"]
            return Said(listed)
        return None

    wire = Wire(handler)
    host = wire.host()
    assert (host.may_propose(), host.may_check()) == (may, may)
    before = len(wire.asked)
    host.may_check()
    assert len(wire.asked) == before, "it is remembered"


def test_rights_that_changed_are_asked_anew() -> None:
    rights: list[object] = []
    wire = Wire(lambda asked: Said(rights) if asked.path == "/projects" else None)
    host = wire.host()
    assert not host.may_check()
    rights.append(project())
    assert not host.may_check()
    host.forget()
    assert host.may_check()


def test_a_refused_token_is_an_error_and_no_missing_right() -> None:
    wire = Wire(lambda asked: Said({"message": "401 Unauthorized"}, 401))
    with pytest.raises(HostUnauthorized) as told:
        wire.host().may_check()
    assert "FIXWRIGHT_GITLAB_TOKEN" in told.value.hint


def test_an_old_gitlab_that_tells_nothing_of_tokens_is_tried() -> None:
    wire = Wire(lambda asked: Said({}, 404) if "tokens" in asked.path else Said([project()]) if asked.path == "/projects" else None)
    assert wire.host().may_check()


def test_without_a_token_nobody_connects() -> None:
    with pytest.raises(NotConfigured) as told:
        Wire().provider().connect(INSTALLATION, {"TOKEN": " "}, Memory())
    assert "FIXWRIGHT_GITLAB_TOKEN" in told.value.hint


@pytest.mark.parametrize("token", ["glpat-x\ny", "glpat-\u00e9", "two words", "glpat-\x00"])
def test_what_cannot_be_a_token_is_said_without_being_shown(token: str) -> None:
    with pytest.raises(NotConfigured) as told:
        Wire().provider().connect(INSTALLATION, {"TOKEN": token}, Memory())
    assert "FIXWRIGHT_GITLAB_TOKEN" in told.value.message
    assert token not in str(told.value)


def test_repositories_are_known_under_the_name_of_their_instance() -> None:
    for instance, known in (("", "git.example.org:8443/scm"), ("second", "second")):
        wire = only("/projects/acme%2Fshop", project())
        installation = Installation(INSTALLATION.id, "gitlab", instance, "acme", "acme")
        configuration = {"TOKEN": TOKEN, "URL": "https://git.example.org:8443/scm/"}
        assert wire.provider().connect(installation, configuration, Memory()).find("acme/shop").instance == known


# --- credentials ---


def test_git_signs_in_with_the_token() -> None:
    header = Wire().host().credentials(REPOSITORY).header
    assert header == "Authorization: Basic " + b64encode(f"oauth2:{TOKEN}".encode()).decode()


@pytest.mark.parametrize(
    "address",
    [
        "https://gitlab.com.evil.example/acme/shop.git",
        "https://evil.example/gitlab.com/acme/shop.git",
        "https://gitlab.com:8443/acme/shop.git",
        "https://gitlab.com@evil.example/acme/shop.git",
        "http://gitlab.com/acme/shop.git",
        "/srv/git/acme.git",
        "",
    ],
)
def test_the_token_goes_to_no_other_address(address: str) -> None:
    with pytest.raises(HostRejected) as told:
        Wire().host().credentials(replace(REPOSITORY, clone_url=address))
    assert TOKEN not in str(told.value)


def test_a_gitlab_below_a_path_is_not_its_neighbour() -> None:
    host = Wire().host(settings={"URL": "https://git.example.org/scm"})
    assert host.credentials(replace(REPOSITORY, clone_url="https://git.example.org/scm/acme/shop.git")).header
    with pytest.raises(HostRejected):
        host.credentials(replace(REPOSITORY, clone_url="https://git.example.org/scm-evil/acme/shop.git"))


def test_there_are_no_drafts_of_advisories() -> None:
    with pytest.raises(HostForbidden):
        Wire().host().draft_advisory(REPOSITORY, AdvisoryDraft("s", "d", "low"))


# --- the policy of a group ---


def parents(places: Mapping[str, object]) -> Wire:
    """`path of a project -> content of its policy, None for a project without one`."""
    numbers = {name: number for number, name in enumerate(places, 100)}

    def handler(asked: Asked) -> Reply:
        for name, number in numbers.items():
            if asked.path == f"/projects/{name.replace('/', '%2F')}":
                return Said(project(id=number, path_with_namespace=name))
            content = places[name]
            if asked.path == f"/projects/{number}/repository/files/fixwright.yml" and content is not None:
                assert asked.query == {"ref": ["HEAD"]}
                return Said(content)
        return None

    return Wire(handler)


def file(text: bytes, **changed: object) -> Mapping[str, object]:
    return {"file_name": "fixwright.yml", "size": len(text), "encoding": "base64", "content": b64encode(text).decode(), **changed}


DEEP = replace(REPOSITORY, full_name="acme/web/shop/cart")


def test_the_nearest_group_with_a_policy_rules_below_those_around_it() -> None:
    wire = parents({"acme/fixwright": file(b"top"), "acme/web/fixwright": file(b"near")})
    top = PolicyFile(b"top", "acme/fixwright: fixwright.yml")
    assert wire.host().policy_parent(DEEP) == PolicyFile(b"near", "acme/web/fixwright: fixwright.yml", top)


def test_a_project_without_the_file_lets_the_group_above_rule() -> None:
    wire = parents({"acme/fixwright": file(b"top"), "acme/web/fixwright": None})
    assert wire.host().policy_parent(DEEP) == PolicyFile(b"top", "acme/fixwright: fixwright.yml")


def test_the_policys_own_project_is_ruled_from_above() -> None:
    wire = parents({"acme/fixwright": file(b"top"), "acme/web/fixwright": file(b"near")})
    assert wire.host().policy_parent(replace(REPOSITORY, full_name="acme/web/fixwright")) == PolicyFile(
        b"top", "acme/fixwright: fixwright.yml"
    )
    assert wire.host().policy_parent(replace(REPOSITORY, full_name="acme/Fixwright")) is None


def test_without_any_there_is_no_policy() -> None:
    wire = Wire()
    assert wire.host().policy_parent(DEEP) is None
    assert wire.paths() == [f"/projects/{name}%2Ffixwright" for name in ("acme", "acme%2Fweb", "acme%2Fweb%2Fshop")]


def test_a_project_that_was_moved_away_rules_no_more() -> None:
    """GitLab leads from the old path to wherever it is now."""
    wire = only("/projects/acme%2Ffixwright", project(id=7, path_with_namespace="mallory/fixwright"))
    assert wire.host().policy_parent(REPOSITORY) is None


@pytest.mark.parametrize(
    "content",
    [
        file(b"x" * 70_000),
        file(b"x", size=70_000),
        file(b"x", encoding="text"),
        file(b"x", content="%%%"),
        file(b"x", content="\u00e9"),
        file(b"x", content="A" * 200_000),
    ],
)
def test_what_cannot_be_a_policy_is_in_force_and_said_to_be_wrong(content: object) -> None:
    found = parents({"acme/fixwright": content}).host().policy_parent(REPOSITORY)
    assert found is not None
    assert found.content == NO_POLICY


def test_a_failure_is_no_missing_policy() -> None:
    wire = Wire(lambda asked: Said({"message": "401 Unauthorized"}, 401))
    with pytest.raises(HostUnauthorized):
        wire.host().policy_parent(REPOSITORY)
