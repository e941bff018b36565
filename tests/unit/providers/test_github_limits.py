"""What GitHub allows, shared by all processes of an installation: pauses, the budget, what creates content, the breaker, ETags."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

import httpx
import pytest

from pipeline.errors import HostNotFound, HostUnavailable, RateLimited
from pipeline.limits import FAILURES, OPEN_SECONDS
from pipeline.model.event import CommentRef
from pipeline.model.ids import CommitId
from pipeline.model.report import Check, CheckState
from pipeline.model.target import CommitRef, PullRequestRef
from pipeline.ports import RETRY_CAP, CodeHost
from providers.github.limits import CREATED_A_MINUTE, CREATED_AN_HOUR
from providers.github.provider import GitHubProvider
from tests.unit.providers.github_wire import BOT, INSTALLATION, REPOSITORY, Memory, Reply, Seen, Wire, private_key

REF = PullRequestRef(REPOSITORY, 7)
HEAD = CommitId("e" * 40)
SECONDARY = {"message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."}


def patient_host(wire: Wire, memory: Memory) -> CodeHost:
    provider = GitHubProvider(open_client=wire.open, clock=wire.clock)
    return provider.connect(INSTALLATION, {"APP_ID": "1234", "PRIVATE_KEY": private_key()}, memory, patient=True)


def branch(seen: Seen, headers: Mapping[str, str] | None = None) -> Reply | None:
    if "/branches/" in seen.path:
        return httpx.Response(200, json={"commit": {"sha": "a" * 40}}, headers=headers or {})
    return None


def budget(wire: Wire, left: int) -> Mapping[str, str]:
    reset = str(int(wire.clock.now) + 1_200)
    return {"x-ratelimit-limit": "5000", "x-ratelimit-remaining": str(left), "x-ratelimit-reset": reset, "x-ratelimit-resource": "core"}


def test_work_for_which_nobody_waits_stops_at_a_fifth_of_the_budget_and_people_go_on() -> None:
    wire = Wire()
    memory = Memory(wire.clock)
    left = 1_001
    wire.handler = lambda seen: branch(seen, budget(wire, left))
    people, batch = wire.host(memory), patient_host(wire, memory)
    batch.tip(REPOSITORY, "main")
    left = 999
    people.tip(REPOSITORY, "main")
    asked = len(wire.seen)
    with pytest.raises(RateLimited) as told:
        batch.tip(REPOSITORY, "main")
    assert 1_150 < told.value.retry_after <= 1_201
    assert len(wire.seen) == asked
    people.tip(REPOSITORY, "main")
    wire.clock.now += 1_202
    left = 4_990
    batch.tip(REPOSITORY, "main")


def test_a_budget_that_is_more_than_half_full_is_written_nowhere() -> None:
    wire = Wire()
    memory = Memory(wire.clock)
    wire.handler = lambda seen: branch(seen, budget(wire, 2_600))
    wire.host(memory).tip(REPOSITORY, "main")
    before = dict(memory.values)
    wire.host(memory).tip(REPOSITORY, "main")
    assert memory.values == before


def test_an_enterprise_server_without_limits_says_nothing_and_is_never_reserved() -> None:
    wire = Wire()
    memory = Memory(wire.clock)
    wire.handler = branch
    for _ in range(3):
        patient_host(wire, memory).tip(REPOSITORY, "main")


def test_a_limit_that_names_no_time_is_waited_for_twice_as_long_each_time() -> None:
    wire = Wire()
    memory = Memory(wire.clock)
    wire.handler = lambda seen: httpx.Response(403, json=SECONDARY) if "/branches/" in seen.path else None
    waits = []
    for _ in range(4):
        with pytest.raises(RateLimited) as told:
            wire.host(memory).tip(REPOSITORY, "main")
        waits.append(told.value.retry_after)
        asked = len(wire.seen)
        with pytest.raises(RateLimited):  # another process, at once: it does not even ask
            wire.host(memory).tip(REPOSITORY, "main")
        assert len(wire.seen) == asked
        wire.clock.now += told.value.retry_after + 1
    assert waits == [60.0, 120.0, 240.0, 480.0]


def test_no_more_is_created_in_a_minute_and_in_an_hour_than_github_likes() -> None:
    wire = Wire()
    memory = Memory(wire.clock)
    number = 0

    def answer(seen: Seen) -> Reply | None:
        nonlocal number
        if seen.path.endswith("/comments"):
            number += 1
            return httpx.Response(200, json=[]) if seen.method == "GET" else httpx.Response(201, json={"id": number, "user": BOT})
        return None

    wire.handler = answer
    host = wire.host(memory)
    made = waited = 0
    began = wire.clock.now
    while wire.clock.now < began + 3_500:
        try:
            host.ensure_reply(CommentRef(REF, str(made)), "again", "text")
            made += 1
            wire.clock.now += 0.1
        except RateLimited as told:
            waited += 1
            last_minute = [at for at in stamps(memory) if at > wire.clock.now - 60]
            assert len(last_minute) == CREATED_A_MINUTE or made == CREATED_AN_HOUR
            wire.clock.now += told.retry_after
    assert made == CREATED_AN_HOUR
    assert waited > CREATED_AN_HOUR // CREATED_A_MINUTE


def stamps(memory: Memory) -> list[float]:
    (key,) = [key for key in memory.values if "/created/" in key]
    return [float(word) for word in (memory.get(key) or b"").split()]


def test_two_workers_of_an_installation_do_not_write_at_once_but_a_check_waits_for_nobody() -> None:
    wire = Wire()
    memory = Memory()
    at_once, most, seen_check = 0, 0, threading.Event()
    lock = threading.Lock()

    def answer(seen: Seen) -> Reply | None:
        nonlocal at_once, most
        if seen.path.endswith("/check-runs"):
            seen_check.set()
            return httpx.Response(201, json={"id": 1})
        if not seen.path.endswith("/comments"):
            return None
        if seen.method == "GET":
            return httpx.Response(200, json=[])
        with lock:
            at_once += 1
            most = max(most, at_once)
        assert seen_check.wait(5)
        time.sleep(0.02)
        with lock:
            at_once -= 1
        return httpx.Response(201, json={"id": 5, "user": BOT})

    wire.handler = answer
    writers = [threading.Thread(target=lambda n=n: wire.host(memory).ensure_reply(CommentRef(REF, str(n)), "t", "text")) for n in range(4)]
    for writer in writers:
        writer.start()
    wire.host(memory).ensure_check(CommitRef(REPOSITORY, HEAD), Check("k", "Scanning", "soon"), CheckState())
    for writer in writers:
        writer.join(10)
    assert most == 1
    assert len(wire.calls("POST", "/comments")) == 4


def test_a_host_that_does_not_answer_is_left_alone_and_one_call_tries_again() -> None:
    wire = Wire()
    memory = Memory(wire.clock)
    wire.handler = lambda seen: httpx.ConnectError("refused") if "/branches/" in seen.path else None
    for _ in range(FAILURES):
        with pytest.raises(HostUnavailable):
            wire.host(memory).tip(REPOSITORY, "main")
    asked = len(wire.seen)
    with pytest.raises(RateLimited) as told:
        wire.host(memory).tip(REPOSITORY, "main")
    assert 0 < told.value.retry_after <= OPEN_SECONDS
    assert len(wire.seen) == asked
    wire.clock.now += OPEN_SECONDS + 0.1
    with pytest.raises(RateLimited) as looked:  # one call is let through, and nobody's attempt is counted for it
        wire.host(memory).tip(REPOSITORY, "main")
    assert looked.value.away
    assert len(wire.seen) == asked + 1
    with pytest.raises(RateLimited):
        wire.host(memory).tip(REPOSITORY, "main")
    wire.clock.now += OPEN_SECONDS + 0.1
    wire.handler = branch
    for _ in range(3):
        assert wire.host(memory).tip(REPOSITORY, "main") == "a" * 40


@pytest.mark.parametrize(("cap", "most"), [({}, OPEN_SECONDS), ({RETRY_CAP: "5"}, 5.0), ({RETRY_CAP: "3600"}, OPEN_SECONDS)])
def test_the_pause_before_another_try_is_ours_and_has_jitter(cap: dict[str, str], most: float) -> None:
    waits = []
    for _ in range(20):
        wire = Wire()
        memory = Memory(wire.clock)
        wire.handler = lambda seen: httpx.ConnectError("refused") if "/branches/" in seen.path else None
        host = GitHubProvider(open_client=wire.open, clock=wire.clock).connect(
            INSTALLATION, {"APP_ID": "1234", "PRIVATE_KEY": private_key(), **cap}, memory
        )
        for _ in range(FAILURES):
            with pytest.raises(HostUnavailable):
                host.tip(REPOSITORY, "main")
        with pytest.raises(RateLimited) as told:
            host.tip(REPOSITORY, "main")
        waits.append(told.value.retry_after)
    assert most / 2 - 0.1 <= min(waits) <= max(waits) <= most
    assert len({round(wait, 1) for wait in waits}) > 5


def test_what_github_asks_for_is_never_shortened() -> None:
    wire = Wire()
    memory = Memory(wire.clock)
    host = GitHubProvider(open_client=wire.open, clock=wire.clock).connect(
        INSTALLATION, {"APP_ID": "1234", "PRIVATE_KEY": private_key(), RETRY_CAP: "5"}, memory
    )
    for headers, wait in (({"retry-after": "300"}, 300.0), ({}, 60.0)):
        refusal = httpx.Response(403, json=SECONDARY, headers=headers)

        def answer(seen: Seen, refusal: httpx.Response = refusal) -> Reply | None:
            return refusal if "/branches/" in seen.path else None

        wire.handler = answer
        with pytest.raises(RateLimited) as told:
            host.tip(REPOSITORY, "main")
        assert told.value.retry_after == wait
        wire.clock.now += wait + 1


def test_while_one_process_tries_the_others_wait() -> None:
    wire = Wire()
    memory = Memory(wire.clock)
    wire.handler = lambda seen: httpx.ConnectError("refused") if "/branches/" in seen.path else None
    for _ in range(FAILURES):
        with pytest.raises(HostUnavailable):
            wire.host(memory).tip(REPOSITORY, "main")
    wire.clock.now += OPEN_SECONDS + 0.1
    meanwhile: list[str] = []

    def probe(seen: Seen) -> Reply | None:
        if "/branches/" in seen.path and not meanwhile:
            meanwhile.append("asked")
            thread = threading.Thread(target=lambda: other(meanwhile))
            thread.start()
            thread.join(5)
        return branch(seen)

    def other(said: list[str]) -> None:
        try:
            wire.host(memory).tip(REPOSITORY, "main")
        except RateLimited:
            said.append("waits")

    wire.handler = probe
    wire.host(memory).tip(REPOSITORY, "main")
    assert meanwhile == ["asked", "waits"]


def test_an_answer_that_says_no_is_an_answer() -> None:
    wire = Wire()
    memory = Memory(wire.clock)
    for _ in range(FAILURES + 2):
        with pytest.raises(HostNotFound):
            wire.host(memory).tip(REPOSITORY, "main")


def test_a_no_to_the_one_call_that_tries_again_shows_that_the_host_answers() -> None:
    """The first call after an outage may well be for something that is nowhere, as an owner's policy is."""
    wire = Wire()
    memory = Memory(wire.clock)
    wire.handler = lambda seen: httpx.ConnectError("refused") if "/branches/" in seen.path else None
    for _ in range(FAILURES):
        with pytest.raises(HostUnavailable):
            wire.host(memory).tip(REPOSITORY, "main")
    wire.clock.now += OPEN_SECONDS + 0.1
    wire.handler = lambda seen: None
    with pytest.raises(HostNotFound):
        wire.host(memory).tip(REPOSITORY, "main")
    wire.handler = branch
    assert wire.host(memory).tip(REPOSITORY, "main") == "a" * 40


def test_failures_between_which_the_host_says_no_are_not_in_a_row() -> None:
    wire = Wire()
    memory = Memory(wire.clock)
    for _ in range(FAILURES):
        wire.handler = lambda seen: httpx.ConnectError("refused") if "/branches/" in seen.path else None
        with pytest.raises(HostUnavailable):
            wire.host(memory).tip(REPOSITORY, "main")
        wire.handler = lambda seen: None
        with pytest.raises(HostNotFound):
            wire.host(memory).tip(REPOSITORY, "main")


def open_pull(number: int, letter: str) -> dict[str, object]:
    """As the list of pull requests shows one; the rest of its 20 kB is of no interest."""
    sides = {"head": {"sha": letter * 40, "ref": "feature"}, "base": {"sha": "a" * 40, "ref": "main"}}
    return {"number": number, "draft": False, "title": "much more", **sides}


def test_what_has_not_changed_is_asked_for_with_its_etag_and_costs_nothing() -> None:
    wire = Wire()
    memory = Memory(wire.clock)
    pulls = [open_pull(1, "b")]

    def answer(seen: Seen) -> Reply | None:
        if not seen.path.endswith("/pulls"):
            return None
        if seen.query.get("page") == "2":
            etag, body = 'W/"two"', [open_pull(2, "c")]
        else:
            etag, body = f'W/"one{len(pulls)}"', pulls
        if seen.headers.get("if-none-match") == etag:
            return httpx.Response(304, headers={"etag": etag})
        link = {} if "page" in seen.query else {"link": '<https://api.github.com/repos/octo/shop/pulls?page=2>; rel="next"'}
        return httpx.Response(200, json=body, headers={"etag": etag, **link})

    wire.handler = answer
    first = wire.host(memory).open_pull_requests(REPOSITORY)
    assert [pull.ref.number for pull in first] == [1, 2]
    wire.seen.clear()
    assert wire.host(memory).open_pull_requests(REPOSITORY) == first
    assert [seen.headers.get("if-none-match") for seen in wire.calls("GET", "/pulls")] == ['W/"one1"', 'W/"two"']
    pulls.append(open_pull(3, "d"))
    assert [pull.ref.number for pull in wire.host(memory).open_pull_requests(REPOSITORY)] == [1, 3, 2]
