"""What an operator does with a GitLab: the requests that it takes, and what is said of odd answers."""

from __future__ import annotations

import pytest

from pipeline.errors import (
    HostForbidden,
    HostGarbage,
    HostNotFound,
    HostRejected,
    HostUnauthorized,
    HostUnavailable,
    NotConfigured,
    RateLimited,
    UsageError,
)
from providers.gitlab.admin import DAYS, Administration
from providers.gitlab.hook_api import GitlabHooks, path_of
from providers.gitlab.hook_places import Place
from providers.gitlab.settings import Site
from tests.unit.providers.github_wire import Memory
from tests.unit.providers.gitlab_hooks import TOKEN, URL
from tests.unit.providers.gitlab_wire import SELF, Asked, Reply, Said, Wire

SETTINGS = {"WEBHOOK_SECRET": TOKEN, "TOKEN": "glpat-" + "x" * 20}
GROUP, SHOP = Place("group", 5, "acme/infra"), Place("project", 42, "acme/shop")


def _administration(wire: Wire) -> Administration:
    memory = Memory(wire.clock)
    return Administration(wire.api(memory), SETTINGS, memory)


# --- the token ---


def test_a_good_token_says_whose_it_is_and_when_it_ends() -> None:
    assert str(_administration(Wire()).who()) == "@project_42_bot_0a1b2c, token fixwright ends on 2027-06-01"


@pytest.mark.parametrize(("scopes", "said"), [(["read_api"], "it has read_api"), (["self_rotate", "read_api"], "read_api, self_rotate")])
def test_a_token_without_the_scope_api_is_refused_with_what_it_has(scopes: list[str], said: str) -> None:
    wire = Wire(lambda asked: Said({**SELF, "scopes": scopes}) if asked.path.endswith("/self") else None)
    with pytest.raises(NotConfigured, match=r"lacks the scope api") as caught:
        _administration(wire).who()
    assert said in caught.value.message


def test_an_old_gitlab_that_says_nothing_of_tokens_is_believed_until_something_is_tried() -> None:
    wire = Wire(lambda asked: Said({"message": "404"}, 404) if asked.path.endswith("/self") else None)
    assert str(_administration(wire).who()) == "@project_42_bot_0a1b2c"


def test_a_token_that_ended_and_a_gitlab_that_is_away_are_told_apart() -> None:
    with pytest.raises(HostUnauthorized):
        _administration(Wire(lambda asked: Said({"message": "401 Unauthorized"}, 401))).who()
    with pytest.raises(HostUnavailable, match=r"^https://gitlab.com does not work now: GitLab answered 502 ") as caught:
        _administration(Wire(lambda asked: Said({"message": "502"}, 502))).who()
    assert "FIXWRIGHT_GITLAB_URL" not in caught.value.hint


@pytest.mark.parametrize("answer", [Said({"message": "404"}, 404), Said(None, 200, raw=b"<html>Welcome</html>")])
def test_what_is_no_gitlab_is_called_so(answer: Said) -> None:
    with pytest.raises((HostNotFound, HostGarbage), match=r"^what answers at https://gitlab.com is no GitLab: ") as caught:
        _administration(Wire(lambda asked: answer)).who()
    assert "the path below which it lies" in caught.value.hint


@pytest.mark.parametrize("answer", [Said({"message": "502"}, 502), Said(None, 200, raw=b"<html>")])
def test_an_exchange_without_an_answer_says_that_the_old_token_may_be_void(answer: Said) -> None:
    with pytest.raises((HostUnavailable, HostGarbage)) as caught:
        _administration(Wire(lambda asked: answer if asked.method == "POST" else None)).rotate()
    assert "the old one is void then" in caught.value.hint


def test_the_token_is_asked_anew_each_time() -> None:
    wire = Wire()
    administration = _administration(wire)
    for _ in range(2):
        administration.who()
    assert wire.paths().count("/user") == 2


def test_an_exchanged_token_lives_a_year() -> None:
    wire = Wire(lambda asked: Said({**SELF, "token": "new"}, 201) if asked.method == "POST" else None)
    token, expires = _administration(wire).rotate()
    (sent,) = [asked for asked in wire.asked if asked.method == "POST"]
    assert (token, sent.path, sent.body) == ("new", "/personal_access_tokens/self/rotate", {"expires_at": expires.isoformat()})
    assert (expires - wire.api().today()).days == DAYS


def test_a_token_that_may_not_be_exchanged_says_what_it_needs() -> None:
    wire = Wire(lambda asked: Said({"message": "403 Forbidden"}, 403) if asked.method == "POST" else None)
    with pytest.raises(HostForbidden) as caught:
        _administration(wire).rotate()
    assert "self_rotate" in caught.value.hint


def test_connecting_without_a_secret_is_refused_before_anything_is_asked() -> None:
    wire = Wire()
    memory = Memory(wire.clock)
    with pytest.raises(NotConfigured):
        Administration(wire.api(memory), {"TOKEN": "x"}, memory).connector(URL)
    assert wire.asked == []


def test_a_life_that_the_administrator_does_not_allow_is_said_with_what_to_try() -> None:
    wire = Wire(lambda asked: Said({"message": {"expires_at": ["is too far"]}}, 400) if asked.method == "POST" else None)
    with pytest.raises(HostRejected, match="is too far") as caught:
        _administration(wire).rotate()
    assert "--days 90" in caught.value.hint


# --- groups, projects, hooks ---


def _project(path: str, **more: object) -> dict[str, object]:
    return {"id": 42, "path_with_namespace": path, "default_branch": "main", "visibility": "public", **more}


def _hooks(reply: dict[tuple[str, str], Said]) -> tuple[GitlabHooks, Wire]:
    def handler(asked: Asked) -> Reply:
        return reply.get((asked.method, asked.path))

    wire = Wire(handler)
    return GitlabHooks(wire.api()), wire


def test_a_name_is_looked_for_among_groups_then_among_projects() -> None:
    api, wire = _hooks({("GET", "/projects/acme%2Fshop"): Said(_project("acme/shop", permissions={"group_access": {"access_level": 40}}))})
    place = api.find("acme/shop")
    assert (place.kind, place.id, place.level) == ("project", 42, 40)
    assert place.repository is not None
    assert (place.repository.private, place.repository.installation, place.repository.clone_url) == (
        False,
        "acme",
        "https://gitlab.com/acme/shop.git",
    )
    assert wire.paths() == ["/groups/acme%2Fshop", "/projects/acme%2Fshop"]


def test_a_name_that_nobody_has_is_said_with_what_may_be_wrong() -> None:
    api, _ = _hooks({})
    for name in ("acme", "acme/shop"):
        with pytest.raises(HostNotFound, match=name) as caught:
            api.find(name)
        assert f"https://gitlab.com/{name}?" in caught.value.hint


def test_the_projects_of_a_group_are_those_of_its_subgroups_without_what_is_archived_or_only_shared_with_it() -> None:
    api, wire = _hooks({("GET", "/groups/5/projects"): Said([_project("acme/infra/net")])})
    assert [place.path for place in api.projects(GROUP)] == ["acme/infra/net"]
    query = wire.asked[-1].query
    assert {name: query[name] for name in ("include_subgroups", "with_shared", "archived")} == {
        "include_subgroups": ["True"],
        "with_shared": ["False"],
        "archived": ["False"],
    }


@pytest.mark.parametrize(("place", "root"), [(GROUP, "/groups/5/hooks"), (SHOP, "/projects/42/hooks")])
def test_hooks_are_asked_for_made_changed_tested_and_removed_at_their_place(place: Place, root: str) -> None:
    hook = {"id": 7, "url": URL, "push_events": True}
    api, wire = _hooks(
        {
            ("GET", root): Said([hook]),
            ("POST", root): Said(hook, 201),
            ("PUT", f"{root}/7"): Said(hook),
            ("POST", f"{root}/7/test/push_events"): Said({"message": "201 Created"}, 201),
            ("DELETE", f"{root}/7"): Said(None, 204, raw=b""),
        }
    )
    (seen,) = api.hooks(place)
    assert (seen.id, seen.url, seen.switched_off) == (7, URL, False)
    assert api.make(place, {"url": URL, "signing_token": "s"}).id == 7
    api.change(place, 7, {"url": URL, "token": "t"})
    api.test(place, 7)
    api.remove(place, 7)
    assert [(one.method, one.path) for one in wire.asked] == [
        ("GET", root),
        ("POST", root),
        ("PUT", f"{root}/7"),
        ("POST", f"{root}/7/test/push_events"),
        ("DELETE", f"{root}/7"),
    ]
    assert (wire.asked[1].body, wire.asked[2].body) == ({"url": URL, "signing_token": "s"}, {"url": URL, "token": "t"})


def test_a_hook_that_is_gone_already_is_removed() -> None:
    api, _ = _hooks({})
    api.remove(SHOP, 7)


def test_what_is_no_hook_is_an_answer_that_cannot_be_read() -> None:
    for odd in ([{"url": URL}], [7], [{"id": "x", "url": URL}], [{"id": 1, "url": ["a"]}]):
        api, _ = _hooks({("GET", "/projects/42/hooks"): Said(odd)})
        with pytest.raises(HostGarbage):
            api.hooks(SHOP)


def test_a_status_check_is_made_or_gets_its_secret_again() -> None:
    root = "/projects/42/external_status_checks"
    check = {"id": 3, "name": "Fixwright", "external_url": URL}
    api, wire = _hooks({("GET", root): Said([check]), ("POST", root): Said(check, 201), ("PUT", f"{root}/3"): Said(check)})
    assert api.status_checks(SHOP) == [(3, URL)]
    api.write_status_check(SHOP, 0, URL, TOKEN)
    api.write_status_check(SHOP, 3, URL, TOKEN)
    given = {"name": "Fixwright", "external_url": URL, "shared_secret": TOKEN}
    assert [(one.method, one.path, one.body) for one in wire.asked[1:]] == [("POST", root, given), ("PUT", f"{root}/3", given)]


def test_somebody_who_connects_many_projects_waits_out_the_limits_and_a_test_is_not_waited_for() -> None:
    slept: list[float] = []
    answers = [Said({"message": "429"}, 429, {"retry-after": "7"}), Said([{"id": 7, "url": URL}])]
    wire = Wire(lambda asked: answers.pop(0) if asked.method == "GET" else Said({"message": "429"}, 429, {"retry-after": "60"}))

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        wire.clock.now += seconds

    api = GitlabHooks(wire.api(), sleep)
    assert [hook.id for hook in api.hooks(SHOP)] == [7]
    assert slept == [7.0]
    with pytest.raises(RateLimited):
        api.test(SHOP, 7)
    assert slept == [7.0]


@pytest.mark.parametrize("seconds", ["7", "600"])
def test_without_patience_or_with_too_long_a_wait_a_limit_is_an_error(seconds: str) -> None:
    wire = Wire(lambda asked: Said({"message": "429"}, 429, {"retry-after": seconds}))
    slept: list[float] = []
    with pytest.raises(RateLimited):
        GitlabHooks(wire.api(), slept.append if seconds == "600" else None).hooks(SHOP)
    assert slept == []


# --- names ---


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("acme", "acme"),
        ("acme/infra/net", "acme/infra/net"),
        ("acme/shop.git", "acme/shop"),
        ("https://git.example.org/gitlab/acme/shop", "acme/shop"),
        ("https://git.example.org/gitlab/acme/shop/-/merge_requests/7", "acme/shop"),
        ("https://git.example.org/gitlab/groups/acme/-/hooks", "acme"),
        ("https://GIT.example.org/gitlab/acme/", "acme"),
    ],
)
def test_a_place_is_named_by_its_path_or_by_the_address_of_its_page(given: str, path: str) -> None:
    assert path_of(given, Site("https://git.example.org/gitlab")) == path


@pytest.mark.parametrize(
    "given",
    ["", "acme//shop", "acme/../shop", "a b", "acme?x=1", "https://gitlab.com/acme", "https://git.example.org/gitlab", "acme/\u202eshop"],
)
def test_what_names_no_place_is_refused(given: str) -> None:
    with pytest.raises(UsageError):
        path_of(given, Site("https://git.example.org/gitlab"))
