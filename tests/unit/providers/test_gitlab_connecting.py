"""`fixwright gitlab connect`, against a GitLab that is only its hooks: what is made, repaired, left, and said."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pipeline.errors import HostForbidden, HostRejected, HostUnauthorized, HostUnavailable, NotConfigured, RateLimited
from providers.gitlab.connecting import Connector, Row
from providers.gitlab.hook_places import Place
from providers.gitlab.hook_writing import new_secret, new_signing_token, switch_on
from providers.gitlab.hooks import HookAnswer, Wanted
from providers.gitlab.settings import signing_tokens
from tests.unit.providers.gitlab_hooks import PLACES, SHOP, SIGNING, TOKEN, URL, FakeGitlab, a_project


def _connector(api: FakeGitlab, *, dry_run: bool = False, token: str = TOKEN, signing: str = SIGNING) -> Connector:
    return Connector(api, URL, token=token, signing_token=signing, dry_run=dry_run)


def _rows(rows: Sequence[Row]) -> list[tuple[str, str, str]]:
    return [(row.place, row.kind, row.state) for row in rows]


def _connect(api: FakeGitlab, *names: str, projects_only: bool = False, group_hook: bool = False) -> tuple[list[Row], Connector]:
    connector = _connector(api)
    return list(connector.connect(names, projects_only=projects_only, group_hook=group_hook)), connector


def test_a_group_on_premium_gets_one_hook_and_its_projects_are_told_of() -> None:
    api = FakeGitlab(dict(PLACES))
    rows, connector = _connect(api, "acme")
    assert _rows(rows) == [("acme", "group", "made")]
    assert [(place.path, bool(number)) for place, number in connector.result.hooks] == [("acme", True)]
    assert [repository.full_name for repository in connector.result.repositories] == ["acme/shop", "acme/infra/net"]
    assert api.stands("acme/shop") == []


def test_a_group_on_free_leads_to_a_hook_for_each_project_that_is_not_archived() -> None:
    api = FakeGitlab(dict(PLACES), premium=False)
    rows, connector = _connect(api, "acme")
    assert _rows(rows) == [("acme", "group", "left"), ("acme/shop", "project", "made"), ("acme/infra/net", "project", "made")]
    assert "Premium" in rows[0].said
    assert [repository.full_name for repository in connector.result.repositories] == ["acme/shop", "acme/infra/net"]
    assert api.stands("acme/old") == []


@pytest.mark.parametrize(("tells_plan", "said"), [(True, "its plan is free"), (False, "its plan is default")])
def test_a_group_hook_that_gitlab_would_make_and_never_fire_is_not_relied_on(tells_plan: bool, said: str) -> None:
    api = FakeGitlab(dict(PLACES), premium=False, tells_plan=tells_plan)
    standing = api.put("acme/shop")
    api.put("acme")  # of a time with Premium, or made by hand
    rows, _ = _connect(api, "acme", "acme/shop")
    assert _rows(rows) == [
        ("acme", "group", "left"),
        ("acme/shop", "project", "repaired"),
        ("acme/infra/net", "project", "made"),
        ("acme/shop", "project", "kept"),
    ]
    assert said in rows[0].said
    assert (list(api.standing["project", SHOP.id]), len(api.stands("acme"))) == ([standing], 1)
    assert not [call for call in api.calls if call in ("make acme", "change acme", "remove acme/shop")]


def test_a_group_hook_that_the_operator_asks_for_is_made_and_takes_no_projects_hook_away() -> None:
    api = FakeGitlab(dict(PLACES), tells_plan=False)
    standing = api.put("acme/shop")
    rows, connector = _connect(api, "acme", "acme/infra/net", group_hook=True)
    assert _rows(rows) == [("acme", "group", "made"), ("acme/shop", "project", "left"), ("acme/infra/net", "project", "covered")]
    assert "its own hook stays" in rows[1].said
    assert (list(api.standing["project", SHOP.id]), api.stands("acme/infra/net")) == ([standing], [])
    assert [repository.full_name for repository in connector.result.repositories] == ["acme/shop", "acme/infra/net"]


def test_without_the_role_owner_a_groups_projects_get_hooks() -> None:
    class NoOwner(FakeGitlab):
        def hooks(self, place: Place) -> Sequence[HookAnswer]:
            if place.kind == "group":
                raise HostForbidden("403 Forbidden")
            return super().hooks(place)

    rows, _ = _connect(NoOwner(dict(PLACES)), "acme")
    assert [row.state for row in rows] == ["left", "made", "made"]
    assert "Owner" in rows[0].said


def test_a_second_run_changes_nothing_that_can_be_seen_and_says_so() -> None:
    api = FakeGitlab(dict(PLACES))
    _connect(api, "acme", "acme/shop")
    before = api.stands("acme")
    rows, connector = _connect(api, "acme", "acme/shop")
    assert _rows(rows) == [("acme", "group", "kept"), ("acme/shop", "project", "covered")]
    assert (api.stands("acme"), api.stands("acme/shop")) == (before, [])
    assert len(connector.result.repositories) == 2


def test_hooks_of_others_are_never_touched() -> None:
    api = FakeGitlab(dict(PLACES), premium=False)
    api.put("acme/shop", url="https://ci.example.com/hook", push_events=False, alert_status="disabled")
    foreign = dict(api.stands("acme/shop")[0])
    rows, _ = _connect(api, "acme/shop")
    assert foreign in api.stands("acme/shop")
    assert "1 of others left alone" in rows[0].said


def test_a_hook_set_by_hand_gets_the_secret_and_the_events_that_it_lacked() -> None:
    api = FakeGitlab(dict(PLACES))
    api.put("acme/shop", token="somebody-guessed-it", note_events=False, enable_ssl_verification=False, push_events_branch_filter="main")
    rows, _ = _connect(api, "acme/shop")
    (hook,) = api.stands("acme/shop")
    assert (rows[0].state, rows[0].said.split("; ")[-2:]) == ("repaired", ["signing_token", "signed"])
    assert (hook["signing_token"], hook["token"]) == (SIGNING, "")
    assert (hook["note_events"], hook["enable_ssl_verification"], hook["push_events_branch_filter"]) == (True, True, "")


def test_a_wrong_secret_token_is_written_over_although_nobody_can_see_it() -> None:
    api = FakeGitlab(dict(PLACES), signs=None)
    api.put("acme/shop", token="somebody-guessed-it", push_events=True)
    _connect(api, "acme/shop")
    assert api.stands("acme/shop")[0]["token"] == TOKEN


@pytest.mark.parametrize(("signs", "stays"), [(True, ""), (False, TOKEN), (None, TOKEN)])
def test_the_secret_token_stands_in_where_signing_is_switched_off_or_unknown(signs: bool | None, stays: str) -> None:
    api = FakeGitlab(dict(PLACES), signs=signs)
    rows, _ = _connect(api, "acme")
    (hook,) = api.stands("acme")
    assert hook["token"] == stays
    assert rows[0].said == ("signed" if signs else "with the secret token")


def test_a_signing_token_alone_is_refused_where_gitlab_takes_none_and_no_open_hook_stays_behind() -> None:
    api = FakeGitlab(dict(PLACES), signs=False)
    with pytest.raises(NotConfigured, match="takes no signing token") as caught:
        list(_connector(api, token="").connect(["acme"]))
    assert "FIXWRIGHT_GITLAB_WEBHOOK_SECRET=" in caught.value.hint
    assert api.stands("acme") == []


def test_second_hooks_of_ours_are_removed() -> None:
    api = FakeGitlab(dict(PLACES), premium=False)
    for _ in range(3):
        api.put("acme/shop")
    rows, _ = _connect(api, "acme/shop")
    assert len(api.stands("acme/shop")) == 1
    assert rows[0].said.count("removed a second one") == 2


def test_what_a_groups_new_hook_tells_is_not_told_by_older_ones_below_it() -> None:
    api = FakeGitlab(dict(PLACES))
    api.put("acme/shop")
    api.put("acme/infra")
    api.put("acme/infra/net", url="https://ci.example.com/hook")
    rows, _ = _connect(api, "acme")
    assert _rows(rows) == [("acme", "group", "made"), ("acme/infra", "group", "covered"), ("acme/shop", "project", "covered")]
    assert (api.stands("acme/shop"), api.stands("acme/infra"), len(api.stands("acme/infra/net"))) == ([], [], 1)


def test_a_subgroup_below_a_group_with_our_hook_needs_none() -> None:
    api = FakeGitlab(dict(PLACES))
    _connect(api, "acme")
    rows, connector = _connect(api, "acme/infra")
    assert _rows(rows) == [("acme/infra", "group", "covered")]
    assert [repository.full_name for repository in connector.result.repositories] == ["acme/infra/net"]


def test_projects_only_makes_no_group_hook() -> None:
    rows, _ = _connect(api := FakeGitlab(dict(PLACES)), "acme", projects_only=True)
    assert _rows(rows) == [("acme", "group", "left"), ("acme/shop", "project", "made"), ("acme/infra/net", "project", "made")]
    assert api.stands("acme") == []


def test_a_dry_run_says_what_it_would_do_and_does_nothing() -> None:
    api = FakeGitlab(dict(PLACES))
    api.put("acme/shop", alert_status="disabled", note_events=False)
    before = api.stands("acme/shop")
    connector = _connector(api, dry_run=True)
    rows = list(connector.connect(["acme/shop", "acme"]))
    assert [row.said for row in rows][:2] == [
        "would be repaired: note_events, token; would be switched on (disabled)",
        "would be made",
    ]
    assert api.stands("acme/shop") == before
    assert connector.result.hooks == []
    assert {call.split()[0] for call in api.calls} == {"list"}


@pytest.mark.parametrize("status", ["disabled", "temporarily_disabled"])
def test_a_hook_that_gitlab_switched_off_is_on_again_after_a_test(status: str) -> None:
    api = FakeGitlab(dict(PLACES))
    number = api.put("acme/shop", alert_status=status, signing_token=SIGNING)
    rows, connector = _connect(api, "acme/shop")
    assert api.stands("acme/shop")[0]["alert_status"] == "executable"
    assert (rows[0].state, rows[0].said) == ("repaired", f"was {status.replace('_', ' ')}, is on again; signed")
    assert connector.result.hooks == [(SHOP, number)]


@pytest.mark.parametrize(("tests", "accepted"), [(False, True), (True, False)])
def test_a_hook_that_stays_off_for_good_is_made_anew(tests: bool, accepted: bool) -> None:
    api = FakeGitlab(dict(PLACES), tests=tests, accepted=accepted)
    number = api.put("acme/shop", alert_status="disabled")
    rows, connector = _connect(api, "acme/shop")
    (hook,) = api.stands("acme/shop")
    assert "alert_status" not in hook
    assert hook["token"] == ""
    assert connector.result.hooks[0][1] != number
    assert "made anew" in rows[0].said


def test_a_hook_that_comes_back_by_itself_is_left_when_its_test_does_not_arrive() -> None:
    api = FakeGitlab(dict(PLACES), accepted=False)
    number = api.put("acme/shop", alert_status="temporarily_disabled")
    rows, _ = _connect(api, "acme/shop")
    assert rows[0].state == "failed"
    assert "the hook was answered 401" in rows[0].said
    assert URL in rows[0].hint
    assert list(api.standing["project", SHOP.id]) == [number]


def test_five_tests_a_minute_are_waited_for_by_the_next_look() -> None:
    api = FakeGitlab(dict(PLACES), refused={"test acme/shop": RateLimited("429", retry_after=60)})
    number = api.put("acme/shop", alert_status="disabled")
    (shown,) = api.hooks(SHOP)
    hook, said = switch_on(api, SHOP, shown, Wanted("project", URL, TOKEN, SIGNING))
    assert (hook.id, "five tests a minute" in said) == (number, True)


@pytest.mark.parametrize(
    ("level", "said"), [(30, "the token's role there is below Maintainer"), (40, "403 Forbidden"), (0, "403 Forbidden")]
)
def test_a_place_where_the_token_may_not_is_said_and_the_others_go_on(level: int, said: str) -> None:
    places = {**PLACES, "acme/shop": a_project(10, "acme/shop", level=level)}

    class Closed(FakeGitlab):
        def hooks(self, place: Place) -> Sequence[HookAnswer]:
            if place.path == "acme/shop":
                raise HostForbidden("403 Forbidden")
            return super().hooks(place)

    connector = _connector(Closed(places, premium=False))
    rows = list(connector.connect(["acme/shop", "acme/infra/net", "acme/nothing"]))
    assert [(row.state, row.said) for row in rows if row.place == "acme/shop"] == [("failed", said)]
    assert [row.state for row in rows] == ["failed", "made", "failed"]
    assert [repository.full_name for repository in connector.result.repositories] == ["acme/infra/net"]


def test_a_token_that_is_refused_ends_the_run() -> None:
    api = FakeGitlab(dict(PLACES), refused={"acme": HostUnauthorized("401 Unauthorized")})
    with pytest.raises(HostUnauthorized):
        list(_connector(api).connect(["acme", "acme/shop"]))


@pytest.mark.parametrize("premium", [True, False])
def test_an_address_that_gitlab_does_not_deliver_to_says_who_can_allow_it(premium: bool) -> None:
    class Guarded(FakeGitlab):
        def make(self, place: Place, attributes: dict[str, object]) -> HookAnswer:
            raise HostRejected("GitLab answered 422 to a new webhook: Invalid url given")

    rows, connector = _connect(Guarded(dict(PLACES), premium=premium), "acme")
    failed = [row for row in rows if row.state == "failed"]
    assert {row.hint for row in failed} == {"its administrator must allow our address: Admin, Settings, Network, Outbound requests"}
    assert len(failed) == (1 if premium else 2)
    assert connector.result.repositories == []


def test_a_project_that_moved_is_connected_where_it_is_now() -> None:
    api = FakeGitlab({**PLACES, "acme/old-shop": SHOP})
    rows, _ = _connect(api, "acme/old-shop")
    assert _rows(rows) == [("acme/old-shop", "project", "left"), ("acme/shop", "project", "made")]
    assert "moved to acme/shop" in rows[0].said


def test_an_archived_project_is_left() -> None:
    rows, _ = _connect(api := FakeGitlab(dict(PLACES)), "acme/old")
    assert (rows[0].state, rows[0].said, api.stands("acme/old")) == ("left", "archived", [])


def test_a_setting_that_gitlab_does_not_take_is_a_failure_and_not_believed() -> None:
    class Deaf(FakeGitlab):
        def change(self, place: Place, hook: int, attributes: dict[str, object]) -> HookAnswer:
            return super().change(place, hook, {name: value for name, value in attributes.items() if name != "note_events"})

    api = Deaf(dict(PLACES))
    api.put("acme/shop", note_events=False)
    rows, _ = _connect(api, "acme/shop")
    assert (rows[0].state, rows[0].said) == ("failed", "GitLab has not taken note_events")


def test_secrets_that_are_made_are_long_and_are_what_settings_take() -> None:
    assert len(new_secret()) >= 43
    assert new_secret() != new_secret()
    assert [len(key) for key in signing_tokens({"SIGNING_TOKEN": new_signing_token()})] == [32]


def test_gitlab_asks_for_the_verdict_of_each_connected_project_once() -> None:
    api = FakeGitlab(dict(PLACES))
    api.asking["acme/shop"] = {7: ("https://gate.example.com", "theirs")}
    states = []
    for _ in range(2):
        _, connector = _connect(api, "acme")
        states += [(row.place, row.state) for row in connector.status_checks()]
    assert states == [("acme/shop", "made"), ("acme/infra/net", "made"), ("acme/shop", "kept"), ("acme/infra/net", "kept")]
    assert sorted(api.asking["acme/shop"].values()) == [(URL, TOKEN), ("https://gate.example.com", "theirs")]


def test_without_ultimate_there_is_no_status_check_and_the_token_is_not_blamed() -> None:
    api = FakeGitlab(dict(PLACES), refused={"status acme/shop": HostUnauthorized("401 Unauthorized")})
    _, connector = _connect(api, "acme/shop")
    (row,) = connector.status_checks()
    assert (row.state, "Ultimate" in row.said, api.asking) == ("left", True, {})


def test_a_status_check_without_a_secret_token_is_not_made() -> None:
    connector = _connector(api := FakeGitlab(dict(PLACES)), token="")
    list(connector.connect(["acme/shop"]))
    (row,) = connector.status_checks()
    assert (row.state, row.hint, api.asking) == ("left", "set FIXWRIGHT_GITLAB_WEBHOOK_SECRET", {})


class Breaking(FakeGitlab):
    """Breaks the connection at one call, before or after it has had its effect."""

    breaks_at: int = 0
    after: bool = False
    asked: int = 0

    def _break(self, *, now: bool) -> None:
        if self.asked == self.breaks_at and now:
            raise HostUnavailable("GitLab did not answer")

    def hooks(self, place: Place) -> Sequence[HookAnswer]:
        self.asked += 1
        self._break(now=True)
        return super().hooks(place)

    def make(self, place: Place, attributes: dict[str, object]) -> HookAnswer:
        self.asked += 1
        self._break(now=not self.after)
        made = super().make(place, attributes)
        self._break(now=self.after)
        return made

    def change(self, place: Place, hook: int, attributes: dict[str, object]) -> HookAnswer:
        self.asked += 1
        self._break(now=not self.after)
        changed = super().change(place, hook, attributes)
        self._break(now=self.after)
        return changed

    def remove(self, place: Place, hook: int) -> None:
        self.asked += 1
        self._break(now=not self.after)
        super().remove(place, hook)
        self._break(now=self.after)

    def test(self, place: Place, hook: int) -> None:
        self.asked += 1
        self._break(now=not self.after)
        super().test(place, hook)
        self._break(now=self.after)


def _odd_shop(api: FakeGitlab) -> None:
    api.put("acme/shop", url="https://ci.example.com/hook", token="theirs")
    api.put("acme/shop", alert_status="disabled", note_events=False, token="wrong")
    api.put("acme/shop", alert_status="disabled")


@pytest.mark.parametrize("tests", [True, False], ids=["switched on", "made anew"])
@pytest.mark.parametrize("after", [True, False], ids=["after", "before"])
def test_wherever_the_connection_breaks_the_next_run_leaves_one_right_hook(tests: bool, after: bool) -> None:
    broken = 0
    for breaks_at in range(1, 60):
        api = Breaking(dict(PLACES), premium=False, tests=tests)
        _odd_shop(api)
        api.breaks_at, api.after = breaks_at, after
        rows, _ = _connect(api, "acme/shop")
        broken += rows[0].state == "failed"
        api.breaks_at = 0
        again, connector = _connect(api, "acme/shop")
        assert again[0].state in ("kept", "repaired"), (breaks_at, again)
        theirs, ours = ([hook for hook in api.stands("acme/shop") if (hook["url"] == URL) is mine] for mine in (False, True))
        assert theirs == [{"url": "https://ci.example.com/hook", "token": "theirs"}]
        assert [(hook["signing_token"], hook.get("token", ""), hook.get("alert_status", "executable")) for hook in ours] == [
            (SIGNING, "", "executable")
        ], breaks_at
        assert [number for _, number in connector.result.hooks] == [
            number for number, hook in api.standing["project", SHOP.id].items() if hook["url"] == URL
        ]
    assert broken >= 5


def test_disconnecting_removes_our_hooks_from_a_group_and_all_below_it_and_nobody_elses() -> None:
    api = FakeGitlab(dict(PLACES))
    for path in ("acme", "acme/infra", "acme/shop", "acme/shop"):
        api.put(path)
    api.put("acme/shop", url="https://ci.example.com/hook")
    connector = _connector(api)
    rows = list(connector.disconnect(["acme"]))
    assert _rows(rows) == [("acme", "group", "removed"), ("acme/infra", "group", "removed"), ("acme/shop", "project", "removed")]
    assert [hook["url"] for path in ("acme", "acme/infra", "acme/shop") for hook in api.stands(path)] == ["https://ci.example.com/hook"]
    assert {place.path for place in connector.result.cleared} == {"acme", "acme/infra", "acme/shop", "acme/infra/net"}


def test_disconnecting_what_is_not_connected_says_so() -> None:
    rows = list(_connector(FakeGitlab(dict(PLACES))).disconnect(["acme", "acme/shop", "acme/nothing"]))
    assert _rows(rows) == [("acme", "group", "left"), ("acme/shop", "project", "left"), ("acme/nothing", "project", "failed")]
