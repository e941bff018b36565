"""What GitLab allows, shared by all processes of a token: pauses, the budget of a minute, notes by themselves, the breaker."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
import requests

from pipeline.errors import HostError, HostNotFound, HostUnavailable, RateLimited
from pipeline.limits import FAILURES, OPEN_SECONDS
from pipeline.ports import RETRY_CAP
from pipeline.tally import TALLY
from providers.gitlab.api import Api
from providers.gitlab.client import Answer, Nothing
from tests.unit.providers.github_wire import Memory
from tests.unit.providers.gitlab_wire import REPOSITORY, Asked, Reply, Said, Wire

LIMITED = Said({"message": "This endpoint has been requested too many times. Try again later."}, 429, {"retry-after": "40"})


class Branch(Answer):
    name: str


def branch(api: Api) -> None:
    api.get(REPOSITORY, lambda project: project.branches.get("main"), Branch, what="branch main")


def note(api: Api) -> None:
    api.send(
        REPOSITORY,
        lambda project: project.mergerequests.get(7, lazy=True).notes.create({"body": "x"}),
        Nothing,
        what="a note",
        speaks=True,
    )


def budget(wire: Wire, left: int) -> Mapping[str, str]:
    return {"ratelimit-limit": "2000", "ratelimit-remaining": str(left), "ratelimit-reset": str(int(wire.clock.now) + 50)}


def test_a_pause_counts_for_every_process_and_nobody_asks_meanwhile() -> None:
    wire = Wire(lambda asked: LIMITED)
    memory = Memory(wire.clock)
    with pytest.raises(RateLimited) as told:
        branch(wire.api(memory))
    assert told.value.retry_after == 40
    wire.handler = lambda asked: Said({"name": "main"})
    with pytest.raises(RateLimited):
        branch(wire.api(memory))
    assert len(wire.asked) == 1
    wire.clock.now += 41
    branch(wire.api(memory))


def test_another_token_is_not_kept_waiting() -> None:
    wire = Wire(lambda asked: LIMITED)
    memory = Memory(wire.clock)
    with pytest.raises(RateLimited):
        branch(wire.api(memory))
    wire.handler = lambda asked: Said({"name": "main"})
    branch(wire.api(memory, settings={"TOKEN": "glpat-" + "other" * 4}))


def test_too_many_notes_keep_nobody_from_a_status() -> None:
    def handler(asked: Asked) -> Reply:
        return LIMITED if asked.method == "POST" else Said({"name": "main"})

    wire = Wire(handler)
    memory = Memory(wire.clock)
    with pytest.raises(RateLimited):
        note(wire.api(memory))
    branch(wire.api(memory))
    with pytest.raises(RateLimited):
        note(wire.api(memory))
    assert [asked.method for asked in wire.asked] == ["POST", "GET"]


def test_a_pause_for_everything_holds_notes_back_too() -> None:
    wire = Wire(lambda asked: LIMITED)
    memory = Memory(wire.clock)
    with pytest.raises(RateLimited):
        branch(wire.api(memory))
    with pytest.raises(RateLimited):
        note(wire.api(memory))
    assert len(wire.asked) == 1


def test_a_limit_that_names_no_time_is_waited_for_longer_each_time() -> None:
    wire = Wire(lambda asked: Said({}, 429))
    memory = Memory(wire.clock)
    waits = []
    for _ in range(4):
        with pytest.raises(RateLimited) as told:
            branch(wire.api(memory))
        waits.append(told.value.retry_after)
        wire.clock.now += told.value.retry_after + 1
    assert waits == [60, 120, 240, 480]


def test_work_for_which_nobody_waits_leaves_a_fifth_of_the_minute_to_people() -> None:
    wire = Wire()
    memory = Memory(wire.clock)
    wire.handler = lambda asked: Said({"name": "main"}, headers=budget(wire, 399))
    people, batch = wire.api(memory), wire.api(memory, patient=True)
    branch(people)
    with pytest.raises(RateLimited) as told:
        branch(batch)
    assert 40 < told.value.retry_after <= 51
    branch(people)
    wire.clock.now += 52
    branch(batch)


@pytest.mark.parametrize("odd", ["", "many", "-5", "nan", "9" * 40])
def test_headers_that_are_no_numbers_are_passed_over(odd: str) -> None:
    wire = Wire(lambda asked: Said({"name": "main"}, headers={f"ratelimit-{name}": odd for name in ("limit", "remaining", "reset")}))
    branch(wire.api(patient=True))
    branch(wire.api(patient=True))


def test_after_several_failures_one_looks_for_all() -> None:
    wire = Wire(lambda asked: requests.ConnectionError("no"))
    memory = Memory(wire.clock)
    for _ in range(FAILURES):
        with pytest.raises(HostUnavailable):
            branch(wire.api(memory))
    with pytest.raises(RateLimited) as told:
        branch(wire.api(memory))
    assert told.value.away
    assert len(wire.asked) == FAILURES
    wire.clock.now += OPEN_SECONDS + 1
    wire.handler = lambda asked: Said({"name": "main"})
    branch(wire.api(memory))
    branch(wire.api(memory))


def test_an_operator_may_make_the_look_come_sooner() -> None:
    wire = Wire(lambda asked: requests.ConnectionError("no"))
    memory = Memory(wire.clock)
    for _ in range(FAILURES):
        with pytest.raises(HostUnavailable):
            branch(wire.api(memory, settings={RETRY_CAP: "2"}))
    wire.clock.now += 2.1
    with pytest.raises(RateLimited):
        branch(wire.api(memory, settings={RETRY_CAP: "2"}))
    assert len(wire.asked) == FAILURES + 1


def test_a_refusal_is_an_answer_and_opens_no_breaker() -> None:
    wire = Wire(lambda asked: Said({"message": "404 Not Found"}, 404))
    memory = Memory(wire.clock)
    for _ in range(2 * FAILURES):
        with pytest.raises(HostNotFound):
            branch(wire.api(memory))
    assert len(wire.asked) == 2 * FAILURES


def test_what_is_remembered_of_a_token_is_remembered_of_that_token_only() -> None:
    wire = Wire()
    memory = Memory(wire.clock)
    assert wire.api(memory).me().username == "project_42_bot_0a1b2c"
    assert wire.api(memory).me().id == 9
    assert wire.paths() == ["/user"]
    wire.handler = lambda asked: Said({"id": 10, "username": "jo"}) if asked.path == "/user" else None
    assert wire.api(memory, settings={"TOKEN": "glpat-" + "rotated" * 3}).me().username == "jo"
    assert wire.api(memory).me().id == 9
    wire.api(memory).forget()
    assert wire.api(memory).me().id == 10


def test_the_token_stands_in_no_key_and_no_value_of_the_memory() -> None:
    wire = Wire()
    memory = Memory(wire.clock)
    api = wire.api(memory)
    api.me()
    api.token()
    with pytest.raises(HostError):
        branch(api)
    assert api.secret() not in repr(memory.values)


def test_the_metrics_know_how_gitlab_answers_and_how_much_is_left() -> None:
    TALLY.drain()
    wire = Wire(
        lambda asked: Said({"name": "main"}, headers={"ratelimit-remaining": "1997", "ratelimit-name": "throttle_authenticated_api"})
    )
    branch(wire.api())
    sums, latest = TALLY.drain()
    assert [(name, json.loads(labels)) for name, labels in sums] == [
        ("fixwright_host_calls_total", {"provider": "gitlab", "status": "200"})
    ]
    assert [(name, json.loads(labels), left) for (name, labels), left in latest.items()] == [
        ("fixwright_host_rate_limit_remaining", {"provider": "gitlab", "resource": "throttle_authenticated_api"}, 1997.0)
    ]
