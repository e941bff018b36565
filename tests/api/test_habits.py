"""What every route has: limits of calls, requests that are sent twice, quotas."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline.errors import NotConfigured
from pipeline.model.account import Scope
from pipeline.quota import Counter, Period, Plan, period_of, read_plans
from pipeline.store.organizations import DEFAULT
from tests.api.bench import ApiBench

ON_BOTH = pytest.mark.usefixtures("database_url")

PLANS = """
default = "small"
[plans.small]
prs = 1
sast_scans = 2
repositories = 3
calls_per_minute = 5
"""


@pytest.fixture
def small(tmp_path: Path) -> ApiBench:
    table = tmp_path / "plans.toml"
    table.write_text(PLANS)
    return ApiBench(tmp_path, environment={"FIXWRIGHT_PLANS": str(table)})


# --- calls ----------------------------------------------------------------------------------------------------------------------------


def test_every_answer_tells_how_many_calls_are_left(api: ApiBench) -> None:
    api.caller.get("/me")
    before = api.caller.ask("GET", "/me").headers
    after = api.caller.ask("GET", "/nothing").headers
    assert int(after["X-RateLimit-Remaining"]) in (int(before["X-RateLimit-Remaining"]) - 1, int(after["X-RateLimit-Limit"]) - 1)
    assert int(after["X-RateLimit-Reset"]) >= int(before["X-RateLimit-Reset"])


def test_more_calls_than_the_plan_allows_are_429_and_another_key_is_not_held_up(small: ApiBench) -> None:
    try:
        small.caller.get("/me")  # by its address: nobody knows it yet
        answers = [small.caller.ask("GET", "/me") for _ in range(12)]
        refused = [answer for answer in answers if answer.status_code == 429]
        assert refused
        assert refused[0].json()["detail"]["error_code"] == "RATE_LIMIT_EXCEEDED"
        assert 1 <= int(refused[0].headers["Retry-After"]) <= 60
        assert refused[0].headers["X-RateLimit-Remaining"] == "0"
        assert small.other.ask("GET", "/me").status_code == 200
    finally:
        small.close()


# --- sent twice -----------------------------------------------------------------------------------------------------------------------


@ON_BOTH
def test_a_request_that_is_sent_twice_is_done_once_and_answered_alike(api: ApiBench) -> None:
    ids = [api.connect("shop", {"a.txt": "fine\n"})[1]]
    body = {"name": "One", "source_repository_ids": ids}
    first = api.caller.ask("POST", "/repositories", body, {"Idempotency-Key": "k1"})
    again = api.caller.ask("POST", "/repositories", body, {"Idempotency-Key": "k1"})
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    assert again.headers["Idempotent-Replayed"] == "true"
    assert api.caller.get("/repositories")["total"] == 1
    other = api.caller.ask("POST", "/repositories", {**body, "name": "Two"}, {"Idempotency-Key": "k1"})
    assert (other.status_code, other.json()["detail"][0]["loc"]) == (422, ["header", "Idempotency-Key"])
    # Another organization's keys are its own.
    foreign = api.other.ask("POST", "/repositories", {"name": "Mine", "source_repository_ids": []}, {"Idempotency-Key": "k1"})
    assert (foreign.status_code, foreign.json()["name"]) == (201, "Mine")


@ON_BOTH
def test_many_who_send_the_same_at_once_have_it_done_once(api: ApiBench) -> None:
    def send(_: int) -> int:
        return api.caller.ask("POST", "/api-keys", {"name": "a key"}, {"Idempotency-Key": "together"}).status_code

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(send, range(16)))
    assert set(answers) <= {201, 409}
    assert 201 in answers
    assert [key["name"] for key in api.caller.get("/api-keys")["items"]].count("a key") == 1


def test_what_was_refused_may_be_sent_again_with_the_same_key(api: ApiBench) -> None:
    body = {"name": "One", "source_repository_ids": ["nothing"]}
    for _ in range(2):
        assert api.caller.ask("POST", "/repositories", body, {"Idempotency-Key": "k2"}).status_code == 404
    assert api.caller.ask("POST", "/repositories", body, {"Idempotency-Key": "k" * 256}).status_code == 422
    good = api.caller.ask("POST", "/repositories", {**body, "source_repository_ids": []}, {"Idempotency-Key": "k2"})
    assert good.status_code == 201


# --- quotas ---------------------------------------------------------------------------------------------------------------------------


def test_a_self_hosted_installation_has_no_limits_and_says_so_in_positive_numbers(api: ApiBench) -> None:
    said = api.caller.get("/quotas/balance")
    assert said["unlimited"]
    for counter in Counter:
        assert said[counter]["remaining"] > 0
        assert said[counter]["unlimited"]
    assert said["repositories"] == {"max": None, "current": 0}


def test_a_plan_of_the_table_is_counted(small: ApiBench) -> None:
    try:
        small.connect("shop", {"a.txt": "fine\n"})
        said = small.caller.get("/quotas/balance")
        assert said["plan"] == "small"
        assert said["sast_scans"] == {"plan": 2, "topup": 0, "used": 0, "remaining": 2, "unlimited": False}
        assert said["deep_ai_scans"]["unlimited"]
        assert said["repositories"] == {"max": 3, "current": 1}
    finally:
        small.close()


@ON_BOTH
def test_the_last_unit_is_spent_once(api: ApiBench) -> None:
    plan, period = Plan("p", {Counter.PRS: 3}), Period(0.0, 1.0)
    with api.app.database.read() as work:
        organization = work.organizations.named(DEFAULT).id

    def take(number: int) -> bool:
        with api.app.database.work() as work:
            return work.quotas.reserve(organization, plan, Counter.PRS, period, f"fix:{number}")

    with ThreadPoolExecutor(8) as threads:
        taken = list(threads.map(take, range(12)))
    assert sum(taken) == 3
    first = taken.index(True)
    with api.app.database.work() as work:
        assert work.quotas.reserve(organization, plan, Counter.PRS, period, f"fix:{first}"), "the same subject takes nothing more"
        work.quotas.refund(f"fix:{first}")
        work.quotas.refund(f"fix:{first}")
        assert work.quotas.balance(organization, plan, period)[Counter.PRS].used == 2
        work.quotas.top_up(organization, Counter.PRS, period, 2)
        assert work.quotas.balance(organization, plan, period)[Counter.PRS].remaining == 3
    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(take, [first] * 8)), "what was given back is taken once more, by one"
    with api.app.database.read() as work:
        assert work.quotas.balance(organization, plan, period)[Counter.PRS].remaining == 2


def test_a_period_is_a_month_of_the_calendar() -> None:
    december = period_of(1_798_675_200.0)  # 2026-12-31
    assert (december.name, period_of(december.end).name) == ("2026-12-01", "2027-01-01")


@pytest.mark.parametrize(
    "text",
    [
        *("plans = 1", "[plans.a]\nprs = -1", "[plans.a]\nprs = true", "[plans.a]\nmore = 1", "default = 'b'", "x = 1", "="),
        "[plans.a]\ncalls_per_minute = 0",
    ],
)
def test_a_table_of_plans_that_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(NotConfigured):
        read_plans(text)


# --- keys through the API -------------------------------------------------------------------------------------------------------------


@ON_BOTH
def test_keys_are_made_rotated_and_revoked_with_the_admin_scope_alone(api: ApiBench) -> None:
    wanted = {"name": "ci", "scopes": ["read"], "expires_in_days": 7}
    made = api.caller.post("/api-keys", wanted, 201, Idempotency_Key="once")
    again = api.caller.post("/api-keys", wanted, 201, Idempotency_Key="once")
    assert again == {**made, "key": None}, "what opens something is nowhere, so nobody can be shown it again"
    assert made["key"].startswith(made["key_prefix"])
    api.key_of(DEFAULT, [Scope.READ, Scope.SCAN_WRITE]).get("/api-keys", 403)
    listed = {key["id"]: key for key in api.caller.get("/api-keys")["items"]}
    assert "key" not in listed[made["id"]]
    assert made["key"] not in str(listed)
    rotated = api.caller.post(f"/api-keys/{made['id']}/rotate", {"overlap_days": 0}, 201)
    assert rotated["scopes"] == ["read"]
    api.caller.post(f"/api-keys/{made['id']}/rotate", None, 409)
    api.other.post(f"/api-keys/{rotated['id']}/rotate", None, 404)
    assert api.other.ask("DELETE", f"/api-keys/{rotated['id']}").status_code == 404
    for _ in range(2):
        assert api.caller.ask("DELETE", f"/api-keys/{rotated['id']}").json()["state"] == "revoked"
    api.caller.post("/api-keys", {"name": "x", "scopes": ["all"]}, 422)
