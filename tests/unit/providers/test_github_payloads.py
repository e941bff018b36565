"""GitHub's own example payloads: all of them, signed, through the real web application and into a real store; mangled, too."""

from __future__ import annotations

import gzip
import hashlib
import hmac
import json
import re
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from starlette.testclient import TestClient

from bot.asgi import make_asgi
from pipeline.store.tables import outbox
from providers.github.client import close_line
from providers.github.provider import GitHubProvider
from providers.github.receive import EVENTS, EXTRA, READERS, UNASKED
from tests.harness import Bench
from tests.stages.github import app_key
from tests.unit.providers.weird import WEIRD

ROOT = Path(__file__).parents[3]
SECRET = "one of " + "this test"
ACCEPTED, REFUSED = 202, 400

# Examples are JSON of another program, which the tests bend.
Payload = Any


@dataclass(frozen=True, slots=True)
class Example:
    """One payload."""

    event: str
    payload: Payload

    @property
    def name(self) -> str:
        """`pull_request.opened`."""
        action = self.payload.get("action")
        return f"{self.event}.{action}" if action else self.event


@cache
def examples() -> tuple[Example, ...]:
    """All of them (npm `@octokit/webhooks-examples` 7.6.1)."""
    with gzip.open(ROOT / "tests" / "samples" / "github" / "webhooks.json.gz", "rt", encoding="utf-8") as stream:
        return tuple(Example(**entry) for entry in json.load(stream))


def handled() -> list[Example]:
    """Those that mean something to us. Most were recorded by webhooks of repositories, so that they lack the installation."""
    found = [deepcopy(example) for example in examples() if example.name in READERS]
    for example in found:
        example.payload.setdefault("installation", {"id": 77, "node_id": "x"})
    return found


def nobody(host: str) -> httpx.AsyncClient:
    """GitHub as it answers an App that is not installed anywhere: everything is gone."""
    gone = httpx.MockTransport(lambda _: httpx.Response(404, json={"message": "Not Found", "documentation_url": ""}))
    return httpx.AsyncClient(transport=gone, base_url=f"https://{host}")


class Door:
    """The web application, and the store behind it."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.client = TestClient(make_asgi(bench.app), raise_server_exceptions=False)

    def post(self, event: str, body: bytes, identity: str) -> int:
        """One signed delivery; the status of its answer."""
        signature = "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        headers = {
            "X-GitHub-Event": event,
            "X-GitHub-Delivery": identity,
            "X-Hub-Signature-256": signature,
            "Content-Type": "application/json",
        }
        return int(self.client.post("/webhooks/github", content=body, headers=headers).status_code)

    def unfinished(self) -> list[str]:
        """Messages that are due and neither done nor dead; a purge waits for its day."""
        with self.bench.app.database.read() as work:
            waiting = work.transaction.execute(select(outbox.c.kind, outbox.c.status).where(outbox.c.kind != "purge_repository"))
            return [row.kind for row in waiting if row.status in ("pending", "running")]

    def ends(self) -> set[tuple[str, str]]:
        """Kinds and codes of messages that were given up."""
        with self.bench.app.database.read() as work:
            dead = work.transaction.execute(select(outbox.c.kind, outbox.c.error_code).where(outbox.c.status == "dead"))
            return {(row.kind, row.error_code) for row in dead}


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    folder = tmp_path_factory.mktemp("payloads")
    environment = {
        "FIXWRIGHT_GITHUB_WEBHOOK_SECRET": SECRET,
        "FIXWRIGHT_GITHUB_APP_ID": "29310",
        "FIXWRIGHT_GITHUB_PRIVATE_KEY": app_key(),
        "FIXWRIGHT_RETRY_CAP": "0.1",
    }
    bench = Bench(folder, environment=environment)
    bench.app.plugins = replace(bench.app.plugins, providers={**bench.app.plugins.providers, "github": GitHubProvider(nobody)})
    made = Door(bench)
    with made.client:
        yield made
    close_line()
    bench.close()


def test_there_are_all_329() -> None:
    assert len(examples()) == 329
    assert len({example.event for example in examples()}) == 58
    assert len({example.name for example in handled()}) >= 24


def test_every_example_is_answered_as_documented(door: Door) -> None:
    answers = {}
    for number, example in enumerate(examples()):
        answers[f"{example.name} {number}"] = door.post(example.event, json.dumps(example.payload).encode(), f"as-it-is-{number}")
    assert set(answers.values()) == {ACCEPTED}


def test_every_example_that_means_something_is_understood_worked_and_done(door: Door) -> None:
    deliveries = [(example, f"worked-{number}") for number, example in enumerate(handled())]
    for example, identity in sorted(deliveries, key=lambda one: hashlib.sha256(one[1].encode()).digest()):
        assert door.post(example.event, json.dumps(example.payload).encode(), identity) == ACCEPTED
    door.bench.work(limit=2_000)
    # Delivered again under the same ids, nothing happens.
    for example, identity in deliveries:
        assert door.post(example.event, json.dumps(example.payload).encode(), identity) == ACCEPTED
    assert door.unfinished() == []
    assert {code for _, code in door.ends()} == {"HOST_NOT_FOUND"}


# --- mangled ---

BENT = (*WEIRD, "\ud7ff\U0010ffff", "refs/heads/" + "a" * 300, "0" * 40, [[]] * 5, {"sha": None})


def places(value: Payload, here: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every place in a payload that is not too deep to matter."""
    if len(here) < 4:
        inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, below in inner:
            yield (*here, key)
            yield from places(below, (*here, key))


@st.composite
def mangled(draw: st.DrawFn) -> tuple[str, bytes]:
    """An event that means something, with one to three places bent, or its bytes cut."""
    example = draw(st.sampled_from(handled()))
    payload = deepcopy(example.payload)
    for _ in range(draw(st.integers(1, 3))):
        known = list(places(payload))
        if not known:
            break
        *way, last = draw(st.sampled_from(known))
        inner = payload
        for step in way:
            inner = inner[step]
        what = draw(st.sampled_from(["remove", "replace", "nest"]))
        if what == "remove":
            del inner[last]
        elif what == "replace":
            inner[last] = draw(st.sampled_from(BENT) | st.text(max_size=20) | st.integers())
        else:
            for _ in range(draw(st.sampled_from([3, 70]))):
                inner[last] = {"a": inner[last]}
    body = json.dumps(payload).encode()
    return example.event, body[: draw(st.integers(0, len(body)))] if draw(st.integers(0, 5)) == 0 else body


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(sent=mangled())
def test_whatever_is_bent_the_answer_is_2xx_or_4xx_and_the_work_ends(door: Door, sent: tuple[str, bytes]) -> None:
    event, body = sent
    identity = hashlib.sha256(body).hexdigest()
    assert door.post(event, body, identity) in (ACCEPTED, REFUSED)
    door.bench.work(limit=50)
    assert door.unfinished() == []
    assert {code for _, code in door.ends()} <= {"HOST_NOT_FOUND"}


@pytest.mark.parametrize("event", ["push", "Push", "", "ping", "x" * 65, "push pull_request"])
def test_a_body_of_another_event_is_refused_or_ignored(door: Door, event: str) -> None:
    for number, example in enumerate(examples()[::7]):
        assert door.post(event, json.dumps(example.payload).encode(), f"other-{event[:3].strip()}-{number}") in (ACCEPTED, REFUSED)


def test_nothing_is_believed_without_our_signature(door: Door) -> None:
    body = json.dumps(handled()[0].payload).encode()
    for signature in ("", "sha256=" + "0" * 64, "sha1=" + hmac.new(SECRET.encode(), body, hashlib.sha1).hexdigest()):
        headers = {"X-GitHub-Event": "push", "X-GitHub-Delivery": "forged", "X-Hub-Signature-256": signature}
        assert door.client.post("/webhooks/github", content=body, headers=headers).status_code == 401


# --- documented ---


def test_the_page_says_of_each_event_what_follows_and_of_no_other() -> None:
    page = (ROOT / "docs" / "reference" / "webhooks.md").read_text("utf-8").partition("\n## GitLab\n")[0]
    rows = re.findall(r"^\| `([a-z_]+(?:\.[a-z_]+)?)` \| (.+) \|$", page, re.MULTILINE)
    assert sorted(name for name, _ in rows) == sorted(READERS)
    assert all(len(what.split()) >= 1 for _, what in rows)
    for mark, names in (("Unasked", UNASKED), ("Extra", EXTRA)):
        (listed,) = re.findall(rf"^{mark}: (.+?)\.(?: |$)|{mark}: (.+?)\. ", page, re.MULTILINE)[:1] or [("", "")]
        assert set(re.findall(r"`([a-z_]+)`", "".join(listed))) == names


def test_what_the_manifest_asks_for_is_what_does_not_come_by_itself() -> None:
    assert {name.partition(".")[0] for name in READERS} == EVENTS | UNASKED | EXTRA
    assert not EVENTS & (UNASKED | EXTRA)


def test_the_page_names_the_answers_that_are_given() -> None:
    page = (ROOT / "docs" / "reference" / "webhooks.md").read_text("utf-8")
    documented = set(re.findall(r"^\| (\d{3})", page, re.MULTILINE))
    assert documented == {"202", "400", "401", "404", "413", "503"}
