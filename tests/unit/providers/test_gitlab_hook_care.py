"""The hourly look at webhooks of GitLab, against a GitLab that is only its hooks."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pipeline.errors import HostForbidden, HostNotFound, RateLimited
from pipeline.model.setup import Diagnosis
from providers.gitlab.hook_care import LOOKED_THROUGH, REFUSALS, Caretaker, Known
from providers.gitlab.hook_places import Place
from providers.gitlab.hooks import HookAnswer
from providers.gitlab.settings import Site
from tests.unit.providers.github_wire import Clock, Memory
from tests.unit.providers.gitlab_hooks import NET, PLACES, SHOP, SIGNING, TOKEN, URL, FakeGitlab, a_project

SITE = Site("https://gitlab.com")
SECRETS = {"WEBHOOK_SECRET": TOKEN, "SIGNING_TOKEN": SIGNING}
RIGHT = {"signing_token": SIGNING, "alert_status": "executable"}


def _caretaker(api: FakeGitlab, memory: Memory, **secrets: str) -> Caretaker:
    return Caretaker(api, memory, SITE, secrets or SECRETS, URL)


def _said(found: Sequence[Diagnosis]) -> list[tuple[str, bool | None]]:
    return [(one.topic, one.ok) for one in found]


def test_a_hook_that_gitlab_switched_off_is_on_again_after_the_look_wherever_it_hangs() -> None:
    api, memory = FakeGitlab(dict(PLACES)), Memory()
    for path in ("acme", "acme/shop"):
        api.put(path, **{**RIGHT, "alert_status": "disabled"})
    found = list(_caretaker(api, memory).tend())
    assert _said(found) == [("webhook of acme", True), ("webhook of acme/shop", True)]
    assert [hook["alert_status"] for path in ("acme", "acme/shop") for hook in api.stands(path)] == ["executable", "executable"]
    assert list(_caretaker(api, memory).tend()) == []


def test_a_hook_that_was_switched_off_for_its_wrong_secret_has_the_right_one_before_it_is_tried() -> None:
    api = FakeGitlab(dict(PLACES), signs=None)
    api.put("acme/shop", token="somebody-guessed-it", alert_status="temporarily_disabled")
    list(_caretaker(api, Memory()).tend())
    (hook,) = api.stands("acme/shop")
    assert (hook["token"], hook["alert_status"]) == (TOKEN, "executable")
    assert api.calls.index("change acme/shop") < api.calls.index("test acme/shop")


def test_a_hook_that_cannot_be_switched_on_is_told_of_with_what_to_do() -> None:
    api = FakeGitlab(dict(PLACES), accepted=False)
    api.put("acme/shop", **{**RIGHT, "alert_status": "temporarily_disabled"})
    (found,) = _caretaker(api, Memory()).tend()
    assert (found.ok, "the hook was answered 401" in found.said, URL in found.hint) == (False, True, True)


def test_an_hour_costs_one_request_a_place_and_everything_is_looked_through_once_a_day() -> None:
    clock = Clock()
    api, memory = FakeGitlab(dict(PLACES)), Memory(clock)
    api.put("acme/shop", **RIGHT)
    list(_caretaker(api, memory).tend())
    assert len(api.calls) == len(PLACES) + 1
    api.calls.clear()
    assert list(_caretaker(api, memory).tend()) == []
    assert api.calls == ["list acme/shop"]
    clock.now += LOOKED_THROUGH + 1
    api.put("acme/infra/net", **{**RIGHT, "alert_status": "disabled"})
    assert _said(list(_caretaker(api, memory).tend())) == [("webhook of acme/infra/net", True)]


def test_a_look_through_everything_that_a_limit_ended_is_tried_again_within_the_hour_and_keeps_nobody_from_what_is_known() -> None:
    class Busy(FakeGitlab):
        busy = True

        def owned(self, most: int) -> Sequence[Place]:
            if self.busy:
                raise RateLimited("429", retry_after=60)
            return super().owned(most)

    clock, found = Clock(), []
    api = Busy(dict(PLACES))
    caretaker = _caretaker(api, Memory(clock))
    for path in ("acme/shop", "acme/infra/net"):
        api.put(path, **{**RIGHT, "alert_status": "disabled"})
    caretaker.known.add([SHOP])
    with pytest.raises(RateLimited):
        for one in caretaker.tend():
            found.append(one.topic)
    assert found == ["webhook of acme/shop"]
    api.busy = False
    assert list(caretaker.tend()) == []
    clock.now += 3_600
    assert _said(list(caretaker.tend())) == [("webhook of acme/infra/net", True)]


def test_what_was_found_is_remembered_also_when_a_limit_ends_the_question_for_plans() -> None:
    class Busy(FakeGitlab):
        def plan(self, group: Place) -> str:
            raise RateLimited("429", retry_after=60)

    api, memory = Busy(dict(PLACES)), Memory()
    for path in ("acme", "acme/shop"):
        api.put(path, **RIGHT)
    with pytest.raises(RateLimited):
        list(_caretaker(api, memory).tend())
    api.put("acme/infra/net", **RIGHT)
    api.calls.clear()
    assert list(_caretaker(api, memory).tend()) == []
    assert api.calls == ["list acme", "list acme/shop"], "within half an hour nothing is looked through again"


def test_a_hook_that_somebody_removed_is_told_of_once_and_not_made_again() -> None:
    api, memory = FakeGitlab(dict(PLACES)), Memory()
    number = api.put("acme/shop", **RIGHT)
    caretaker = _caretaker(api, memory)
    assert list(caretaker.tend()) == []
    api.remove(SHOP, number)
    (found,) = caretaker.tend()
    assert (found.ok, found.hint) == (False, "if it is to be told of: fixwright gitlab connect acme/shop")
    assert list(caretaker.tend()) == []
    assert api.stands("acme/shop") == []


def test_a_project_that_is_gone_is_told_of_once() -> None:
    class Gone(FakeGitlab):
        def hooks(self, place: Place) -> Sequence[HookAnswer]:
            raise HostNotFound("404 Project Not Found")

    memory = Memory()
    caretaker = _caretaker(Gone(dict(PLACES)), memory)
    caretaker.known.add([SHOP])
    assert _said(list(caretaker.tend())) == [("webhook of acme/shop", False)]
    assert list(caretaker.tend()) == []


def test_a_token_that_may_not_see_webhooks_asks_for_few_and_says_nothing_every_hour() -> None:
    class Developer(FakeGitlab):
        def hooks(self, place: Place) -> Sequence[HookAnswer]:
            self.calls.append(f"list {place.path}")
            raise HostForbidden("403 Forbidden")

        def owned(self, most: int) -> Sequence[Place]:
            return []

    api = Developer({})
    caretaker = _caretaker(api, Memory())
    caretaker.known.add([a_project(number, f"acme/p{number}") for number in range(20)])
    assert list(caretaker.tend()) == []
    assert len(api.calls) == REFUSALS
    assert {one.ok for one in caretaker.diagnose()} == {None}


def test_a_signing_token_alone_where_gitlab_takes_none_is_said_without_a_secret() -> None:
    api = FakeGitlab(dict(PLACES), signs=False)
    api.put("acme/shop", alert_status="disabled")
    (found,) = _caretaker(api, Memory(), SIGNING_TOKEN=SIGNING).tend()
    assert (found.ok, "takes no signing token" in found.said) == (False, True)
    assert found.hint == "set FIXWRIGHT_GITLAB_WEBHOOK_SECRET, too"


@pytest.mark.parametrize(
    ("changes", "ok", "said"),
    [
        ({}, True, "on, deliveries are signed"),
        ({"signing_token": "", "token": TOKEN}, True, "on, with the secret token"),
        ({"note_events": False}, False, "note_events"),
        ({"alert_status": "disabled"}, False, "GitLab has switched it off, because deliveries failed"),
        (
            {"alert_status": "temporarily_disabled", "disabled_until": "2026-01-15T13:00:00Z"},
            False,
            "GitLab has switched it off until 2026-01-15T13:00:00Z, because deliveries failed",
        ),
    ],
)
def test_doctor_says_how_each_of_our_hooks_stands_and_changes_nothing(changes: dict[str, object], ok: bool, said: str) -> None:
    api = FakeGitlab(dict(PLACES))
    api.put("acme/shop", **{**RIGHT, **changes})
    before = api.stands("acme/shop")[0].copy()
    (found,) = _caretaker(api, Memory()).diagnose()
    assert (found.topic, found.ok, found.said) == ("webhook of acme/shop", ok, said)
    assert api.stands("acme/shop") == [before]


@pytest.mark.parametrize(
    ("plan", "ok", "said"),
    [
        ("premium", True, "on, deliveries are signed"),
        ("free", False, "nothing is delivered from it: webhooks of groups need Premium, the plan is free"),
        ("ultimate_trial", None, "on, deliveries are signed until the trial ends (ultimate_trial): webhooks of groups need Premium"),
        ("default", None, "on, deliveries are signed; GitLab does not say whether it has Premium"),
        ("", None, "on, deliveries are signed; GitLab does not say whether it has Premium"),
    ],
)
def test_a_groups_hook_is_well_only_where_the_plan_delivers_from_it(plan: str, ok: bool | None, said: str) -> None:
    class Planned(FakeGitlab):
        def plan(self, group: Place) -> str:
            return plan

    api, memory = Planned(dict(PLACES)), Memory()
    api.put("acme", **RIGHT)
    tended = list(_caretaker(api, memory).tend())
    (found,) = _caretaker(api, memory).diagnose()
    assert (found.ok, found.said[: len(said)]) == (ok, said)
    assert ("fixwright gitlab connect acme --projects-only" in found.hint) is (ok is not True)
    assert [one.said for one in tended] == ([said] if ok is False else []), "what only may be so is no trouble of every day"
    assert list(_caretaker(api, memory).tend()) == []


def test_a_projects_hook_needs_no_plan() -> None:
    api = FakeGitlab(dict(PLACES), premium=False)
    api.put("acme/shop", **RIGHT)
    (found,) = _caretaker(api, Memory()).diagnose()
    assert found.ok


@pytest.mark.parametrize(("kept", "ok"), [(False, True), (True, False)])
def test_a_template_of_somebodys_is_taken_back_and_else_told_of(kept: bool, ok: bool) -> None:
    class Keeping(FakeGitlab):
        def change(self, place: Place, hook: int, attributes: dict[str, object]) -> HookAnswer:
            return super().change(place, hook, {name: value for name, value in attributes.items() if not kept or name == "url"})

    api, memory = Keeping(dict(PLACES)), Memory()
    api.put("acme/shop", **RIGHT, custom_webhook_template='{"object_kind":"push"}')
    (found,) = _caretaker(api, memory).tend()
    assert (found.topic, found.ok) == ("webhook of acme/shop", ok)
    assert bool(api.stands("acme/shop")[0]["custom_webhook_template"]) is kept
    assert (list(_caretaker(api, memory).tend()) == []) is ok


def test_doctor_says_that_no_hook_is_known_and_how_one_is_made() -> None:
    (found,) = _caretaker(FakeGitlab(dict(PLACES)), Memory()).diagnose()
    assert (found.ok, "fixwright gitlab connect" in found.hint) == (None, True)


def test_what_is_remembered_is_of_one_gitlab_and_one_address() -> None:
    memory = Memory()
    Known(memory, SITE, URL).add([SHOP])
    Known(memory, SITE, URL).add([NET, SHOP])
    assert [place.path for place in Known(memory, SITE, URL).places()] == ["acme/infra/net", "acme/shop"]
    assert Known(memory, Site("https://git.example.org"), URL).places() == []
    assert Known(memory, SITE, f"{URL}/own").places() == []


@pytest.mark.parametrize("stored", [b"no JSON", b'{"a": 1}', b'[["group"]]', b'[["group", "x", "y"]]', b"7"])
def test_what_another_version_remembered_is_left_behind(stored: bytes) -> None:
    class Other(Memory):
        def get(self, key: str) -> bytes | None:
            return stored

    assert Known(Other(), SITE, URL).places() == []
