"""Webhooks of GitLab: which steps lead from what stands there to what must."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from providers.gitlab.hooks import EVENTS, GROUP_EVENTS, Act, HookAnswer, Wanted, drift, is_signed, plan, repairs, same_address

ROOT = Path(__file__).parents[3]
URL = "https://fixwright.example.com/webhooks/gitlab"
TOKEN = "-".join(("a", "secret", "token"))
SIGNING = "whsec_" + "A" * 43 + "="
WANTED = Wanted("project", URL, TOKEN, SIGNING)


def _hook(number: int = 1, **changes: object) -> HookAnswer:
    """One of ours as it must be, but for `changes`."""
    right = {**EVENTS, "url": URL, "token_present": False, "signing_token_present": True, "push_events_branch_filter": "", "id": number}
    return HookAnswer.model_validate({**right, **changes})


def _steps(*found: HookAnswer, wanted: Wanted = WANTED) -> list[tuple[str, int, tuple[str, ...]]]:
    return [(step.act.value, step.hook, step.why) for step in plan(found, wanted)]


@pytest.mark.parametrize(
    ("found", "steps"),
    [
        ([], [("make", 0, ())]),
        ([{}], [("repair", 1, ())]),
        ([{"push_events": False}], [("repair", 1, ("push_events",))]),
        ([{"job_events": True, "note_events": False}], [("repair", 1, ("note_events", "job_events"))]),
        ([{"enable_ssl_verification": False}], [("repair", 1, ("enable_ssl_verification",))]),
        ([{"push_events_branch_filter": "main"}], [("repair", 1, ("push_events_branch_filter",))]),
        ([{"custom_webhook_template": '{"event":"push"}'}], [("repair", 1, ("custom_webhook_template",))]),
        ([{"signing_token_present": False}], [("repair", 1, ("token",))]),
        ([{"signing_token_present": None}], [("repair", 1, ("token",))]),
        ([{"signing_token_present": False, "token_present": True}], [("repair", 1, ())]),
        ([{"alert_status": "disabled"}], [("repair", 1, ()), ("switch on", 1, ("disabled",))]),
        (
            [{"alert_status": "temporarily_disabled", "disabled_until": "2026-01-15T13:00:00Z"}],
            [("repair", 1, ()), ("switch on", 1, ("temporarily disabled",))],
        ),
        ([{"note_events": False}, {}], [("repair", 2, ()), ("remove", 1, ("a second one",))]),
        ([{}, {}, {}], [("repair", 1, ()), ("remove", 2, ("a second one",)), ("remove", 3, ("a second one",))]),
        ([{"alert_status": "disabled"}, {"note_events": False}], [("repair", 2, ("note_events",)), ("remove", 1, ("a second one",))]),
        ([{"url": "https://ci.example.com/webhooks/gitlab"}], [("make", 0, ())]),
        ([{"url": f"{URL}/other"}], [("make", 0, ())]),
    ],
)
def test_the_steps_lead_to_one_hook_of_ours_and_leave_those_of_others(
    found: list[dict[str, object]], steps: list[tuple[str, int, tuple[str, ...]]]
) -> None:
    hooks = [_hook(number, **changes) for number, changes in enumerate(found, 1)]
    assert _steps(*hooks) == steps


def test_a_hook_of_others_is_in_no_step_also_beside_ours() -> None:
    foreign = _hook(1, url="https://ci.example.com/hook", push_events=False, alert_status="disabled")
    assert {step.hook for step in plan([foreign, _hook(2), _hook(3)], WANTED)} == {2, 3}


def test_what_an_instance_does_not_know_is_not_missed() -> None:
    old = HookAnswer.model_validate({"id": 1, "url": URL, "push_events": True, "merge_requests_events": True, "note_events": True})
    assert drift(old, WANTED) == []


@pytest.mark.parametrize(
    ("there", "ours"),
    [
        (f"{URL}/", True),
        (URL.replace("fixwright.example.com", "FIXWRIGHT.example.com:443"), True),
        (URL.replace("https", "http"), False),
        (f"{URL}?x=1", False),
        (f"{URL}/acme", False),
        ("https://fixwright.example.com:8443/webhooks/gitlab", False),
        ("https://fixwright.example.com:port/webhooks/gitlab", False),
        ("", False),
    ],
)
def test_a_hook_is_ours_by_where_it_delivers(there: str, ours: bool) -> None:
    assert same_address(there, URL) is ours


def test_repairs_write_what_has_drifted_and_always_the_secrets() -> None:
    assert repairs(_hook(), WANTED) == {"url": URL, "token": TOKEN, "signing_token": SIGNING}
    changed = repairs(_hook(push_events=False, push_events_branch_filter="main", custom_webhook_template="x"), WANTED)
    assert changed == {
        "url": URL,
        "token": TOKEN,
        "signing_token": SIGNING,
        "push_events": True,
        "push_events_branch_filter": "",
        "branch_filter_strategy": "all_branches",
        "custom_webhook_template": "",
    }


def test_the_spelling_of_our_address_is_left_because_another_address_takes_the_secret_away() -> None:
    assert repairs(_hook(url=f"{URL}/"), WANTED)["url"] == f"{URL}/"


def test_a_new_hook_listens_to_what_we_understand_and_a_groups_hook_also_to_people_and_projects() -> None:
    project, group = WANTED.whole(), Wanted("group", URL, TOKEN).whole()
    heard = {name for name, value in project.items() if value is True}
    assert heard == {
        *("push_events", "merge_requests_events", "note_events", "confidential_note_events", "deployment_events"),
        *("pipeline_events", "enable_ssl_verification"),
    }
    assert {name for name, value in group.items() if value is True} - heard == {"member_events", "subgroup_events", "project_events"}
    assert "signing_token" not in group
    assert set(GROUP_EVENTS) > set(EVENTS)


@pytest.mark.parametrize(
    ("present", "signing", "signed"), [(True, SIGNING, True), (False, SIGNING, False), (None, SIGNING, False), (True, "", False)]
)
def test_a_hook_is_signed_when_gitlab_says_that_it_took_our_token(present: bool | None, signing: str, signed: bool) -> None:
    assert is_signed(_hook(signing_token_present=present), Wanted("project", URL, TOKEN, signing)) is signed


def test_no_secret_is_in_a_representation() -> None:
    assert TOKEN not in repr(WANTED)
    assert SIGNING not in repr(WANTED)


def test_the_steps_do_not_depend_on_the_order_of_the_list() -> None:
    hooks = [_hook(1, note_events=False), _hook(2), _hook(3, alert_status="disabled")]
    forward, backward = plan(hooks, WANTED), plan(hooks[::-1], WANTED)
    assert forward[0] == backward[0]
    assert {step.hook for step in forward if step.act is Act.REMOVE} == {1, 3}
    assert {step.hook for step in backward if step.act is Act.REMOVE} == {1, 3}


def test_the_reference_lists_exactly_the_switches_that_are_on_and_whose_they_are() -> None:
    rows = re.findall(r"^\| `(\w+_events)` \| (each|groups) \|", (ROOT / "docs/reference/webhooks.md").read_text("utf-8"), re.MULTILINE)
    of_groups = {name: "each" if name in EVENTS else "groups" for name, on in GROUP_EVENTS.items() if on and name.endswith("_events")}
    assert dict(rows) == of_groups
    assert len(rows) == len(of_groups)
