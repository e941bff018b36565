"""GitLab's example payloads and our own: proven in both ways, mangled, repeated and reordered, through the real web application too.

GitLab's own are taken from the folder that FIXWRIGHT_TEST_DATA names; they are none of the project's.
"""

from __future__ import annotations

import json
import os
import random
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from starlette.testclient import TestClient

from bot.asgi import make_asgi
from pipeline.errors import MalformedDelivery
from pipeline.model.event import Delivery, Received
from pipeline.store.spool import Spool
from pipeline.store.tables import outbox
from providers.gitlab.receive import READERS, receive
from tests.harness import Bench
from tests.unit.providers import gitlab_payloads as made
from tests.unit.providers.gitlab_mangled import OBJECTS, REFUSED
from tests.unit.providers.gitlab_payloads import NOW, PROOFS, Payload

ROOT = Path(__file__).parents[3]
HOME = "https://git.example.org/gitlab"
_ELSEWHERE = re.compile(r"https?://[a-z0-9.]+(?::\d+)?(?=/[a-z0-9_-]+/[A-Za-z0-9_-]+\")")
"""Roots under which examples say that their projects lie; each was taken from another server."""


def of_gitlab() -> dict[str, Payload]:
    """GitLab's examples by their names, as if all of them came from one server."""
    folder = Path(os.environ["FIXWRIGHT_TEST_DATA"]) / "gitlab" / "webhooks"
    files = sorted(path for path in folder.rglob("*.json") if path.name != "headers.json")
    return {str(path.relative_to(folder)): json.loads(_ELSEWHERE.sub(HOME, path.read_text("utf-8"))) for path in files}


SAMPLES = pytest.mark.skipif("FIXWRIGHT_TEST_DATA" not in os.environ, reason="FIXWRIGHT_TEST_DATA names no folder with GitLab's examples")
SOURCES = [pytest.param("ours"), pytest.param("gitlab", marks=SAMPLES)]


@pytest.fixture(scope="module", params=SOURCES)
def examples(request: pytest.FixtureRequest) -> dict[str, Payload]:
    return made.known() if request.param == "ours" else of_gitlab()


def taken(payload: object, proof: str) -> Received:
    return receive(made.delivery(payload, proof=PROOFS[proof]), made.CONFIGURATION, clock=lambda: NOW)


# --- as they are ---

UNDERSTOOD = {
    "push.json": "push",
    "pipeline.json": "pipeline",
    "note_merge_request.json": "comment",
    "merge_request.json": "pull_request",
    "derived/merge_request_update_push.json": "pull_request",
    "derived/merge_request_close.json": "pull_request",
    "derived/merge_request_reopen.json": "pull_request",
    "derived/merge_request_merge.json": "pull_request",
    "derived/merge_request_update_draft.json": "pull_request",
    "other/merge_request_update_oldrev.json": "pull_request",
    "deployment.json": "deployment",
    "project_create.json": "installation",
    "project_destroy.json": "repository",
    "subgroup_destroy.json": "installation",
}
"""What GitLab's examples are to us; of the others nothing follows."""


@SAMPLES
@pytest.mark.parametrize("proof", PROOFS)
def test_gitlabs_own_examples_mean_what_they_say(proof: str) -> None:
    found = {name: taken(payload, proof) for name, payload in of_gitlab().items()}
    assert len(found) >= 39
    assert {name: one.event.kind for name, one in found.items() if one.event is not None} == UNDERSTOOD
    assert [f"{name}: {one.odd}" for name, one in found.items() if one.odd] == []
    assert [name for name, one in found.items() if one.name == "unknown"] == []


# --- mangled ---


def test_there_are_twenty_ways() -> None:
    assert len(OBJECTS) == 20


@pytest.mark.parametrize("proof", PROOFS)
@pytest.mark.parametrize("way", OBJECTS)
def test_whatever_is_bent_a_json_object_is_acknowledged(examples: dict[str, Payload], way: str, proof: str) -> None:
    for payload in examples.values():
        one = taken(OBJECTS[way](payload), proof)
        assert one.delivery_id
        assert len(one.odd) < 500


@pytest.mark.parametrize("proof", PROOFS)
@pytest.mark.parametrize("way", REFUSED)
def test_what_is_no_object_of_json_is_refused(examples: dict[str, Payload], way: str, proof: str) -> None:
    for payload in examples.values():
        with pytest.raises(MalformedDelivery):
            taken(REFUSED[way](payload), proof)


Plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20)
Json = st.recursive(
    Plain | st.sampled_from([made.NEW, "acme/shop", "main"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def bent(draw: st.DrawFn) -> Payload:
    """An event that concerns us with up to four places bent, at any depth."""
    payload: Payload = json.loads(json.dumps(draw(st.sampled_from(list(made.known().values())))))
    for _ in range(draw(st.integers(1, 4))):
        inner = payload
        while True:
            key = draw(st.sampled_from(sorted(inner)))
            if not isinstance(inner[key], dict) or not inner[key] or draw(st.booleans()):
                break
            inner = inner[key]
        if draw(st.booleans()):
            inner[key] = draw(Json)
        elif len(inner) > 1:
            del inner[key]
    return payload


@settings(max_examples=200, deadline=None)
@given(payload=bent())
def test_an_event_is_as_documented_or_none(payload: Payload) -> None:
    one = taken(payload, "token")
    assert one.event is None or one.odd == ""
    assert one.event is None or one.name in READERS


@settings(max_examples=100, deadline=None)
@given(body=st.binary(max_size=200) | st.recursive(Json, st.lists).map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_acknowledged_or_refused(body: bytes) -> None:
    try:
        assert taken(body, "signature").delivery_id
    except MalformedDelivery as refused:
        assert len(refused.message) < 200


# --- through the web application ---


class Door:
    """The web application, and the store behind it."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.client = TestClient(make_asgi(bench.app), raise_server_exceptions=False)

    def post(self, payload: object, identity: str, proof: str) -> tuple[int, str]:
        """One proven delivery: status and word of its answer."""
        body = made.body_of(payload)
        headers = made.with_signature(body, identity, at=int(time.time())) if proof == "signature" else made.with_token(body, identity)
        return self.send(body, headers)

    def send(self, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
        """Anything."""
        answer = self.client.post("/webhooks/gitlab", content=body, headers={"content-type": "application/json", **headers})
        return answer.status_code, str(answer.json().get("status") or answer.json().get("error"))

    def messages(self) -> int:
        """How many there are."""
        with self.bench.app.database.read() as work:
            return int(work.transaction.execute(select(func.count()).select_from(outbox)).scalar_one())


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    environment = {f"FIXWRIGHT_GITLAB_{name}": value for name, value in made.CONFIGURATION.items()}
    bench = Bench(tmp_path_factory.mktemp("payloads"), environment=environment)
    opened = Door(bench)
    with opened.client:
        yield opened
    bench.close()


def test_each_comes_twice_and_counts_once_in_whatever_order(door: Door, examples: dict[str, Payload]) -> None:
    # A status check asks anew each minute; new projects have one id, whichever webhook tells of them.
    odd = ("status_check", "project_create", "project_create.json")
    sent = [(name, payload, proof) for name, payload in examples.items() for proof in PROOFS if name not in odd]
    answers = {
        (name, proof): door.post(payload, f"{len(examples)}-{proof}-{name.replace('/', '.')}", proof) for name, payload, proof in sent
    }
    assert {status for status, _ in answers.values()} == {202}
    assert {word for _, word in answers.values()} <= {"accepted", "ignored"}
    before = door.messages()
    random.Random(5).shuffle(sent)
    for name, payload, proof in sent:
        word = door.post(payload, f"{len(examples)}-{proof}-{name.replace('/', '.')}", proof)
        known = "ignored" if answers[name, proof][1] == "ignored" else "repeated"
        assert word == (202, known), name
    assert door.messages() == before


@pytest.mark.parametrize("proof", PROOFS)
def test_gitlab_is_never_told_that_something_went_wrong_with_an_object(door: Door, proof: str) -> None:
    payloads = list(made.known().values())
    for number, (way, mangle) in enumerate(OBJECTS.items()):
        assert door.post(mangle(payloads[number % len(payloads)]), f"mangled-{proof}-{number}", proof)[0] == 202, way
    for way, mangle in REFUSED.items():
        assert door.post(mangle(payloads[0]), f"none-{proof}", proof) == (400, "MALFORMED_DELIVERY"), way


def test_what_is_not_proven_is_refused_before_anything_else(door: Door) -> None:
    body = made.body_of(made.push())
    old = made.with_signature(body, "old", at=int(time.time()) - 3_600)
    for headers in ({}, made.with_token(body, "x", "another"), made.with_signature(body, "x", b"k" * 32), made.with_token(body, "x") | old):
        assert door.send(body, headers) == (401, "BAD_SIGNATURE")
    assert door.send(b"no JSON", made.with_token(b"", "x", "another")) == (401, "BAD_SIGNATURE")


def test_the_operator_is_told_of_what_was_acknowledged_and_leads_to_nothing(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    elsewhere = made.push(project={**made.PROJECT, "web_url": "https://gitlab.com/acme/web/shop"})
    assert door.post(elsewhere, "elsewhere", "token") == (202, "ignored")
    (told,) = (record for record in caplog.records if record.getMessage() == "delivery.odd")
    assert (told.levelname, vars(told)["error"]) == ("WARNING", "push: the project is not on git.example.org/gitlab")


@pytest.mark.parametrize("proof", PROOFS)
def test_what_came_while_the_database_was_away_is_proven_later(tmp_path: Path, proof: str) -> None:
    spool = Spool(tmp_path, 1_000_000)
    spool.keep(replace(made.delivery(made.push(), proof=PROOFS[proof]), at=float(NOW)))
    ids: list[str] = []

    def take(found: Sequence[Delivery]) -> Sequence[bool]:
        ids.extend(receive(one, made.CONFIGURATION).delivery_id for one in found)
        return [True] * len(found)

    assert spool.drain(take) == 1
    assert ids == ["key-1"]


# --- documented ---


def test_the_page_says_of_each_event_what_follows_and_of_no_other() -> None:
    page = (ROOT / "docs" / "reference" / "webhooks.md").read_text("utf-8").partition("\n## GitLab\n")[2]
    page = page.partition("\n| event of GitLab |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| `([a-z_]+(?:\.[a-z_]+)?)` \| (.+) \|$", page, re.MULTILINE)
    assert sorted(name for name, _ in rows) == sorted(READERS)
