"""Whatever a GitLab answers to whatever is read of it, nothing but an error of ours comes of it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import HostError
from pipeline.model.target import UserRef
from pipeline.ports import CodeHost
from tests.unit.providers.github_wire import Memory
from tests.unit.providers.gitlab_wire import ME, REPOSITORY, SELF, Asked, Reply, Said, Wire
from tests.unit.providers.test_gitlab_pulls import REF, Shop, discussion, said

READS: dict[str, Callable[[CodeHost], object]] = {
    "find": lambda host: host.find("acme/shop"),
    "describe": lambda host: host.describe(REPOSITORY),
    "repositories": lambda host: host.repositories(),
    "tip": lambda host: host.tip(REPOSITORY, "main"),
    "open_pull_requests": lambda host: host.open_pull_requests(REPOSITORY),
    "pull_request": lambda host: host.pull_request(REF),
    "authors": lambda host: host.authors(REF),
    "permission": lambda host: host.permission(REPOSITORY, UserRef("5", "jo")),
    "snapshot": lambda host: host.snapshot(REPOSITORY, datetime(2027, 1, 1, tzinfo=UTC)),
    "policy_parent": lambda host: host.policy_parent(REPOSITORY),
    "may_check": lambda host: host.may_check(),
    "threads": lambda host: host.threads(REF),
}
ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=True)
    | st.text(max_size=20)
    | st.sampled_from(["a" * 40, "\x00", "../x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def well(asked: Asked) -> Reply:
    """What GitLab would say."""
    shop = Shop()
    shop.discussions = [discussion("a", said(1, type="DiffNote"), said(2))]
    shop.notes = [{"system": True, "body": "added 1 commit", "author": {"id": 5, "username": "jo"}}]
    shop.addresses = [("jo@example.org", "5-jo@users.noreply.gitlab.com")]
    project = {"id": 42, "path_with_namespace": "acme/shop", "default_branch": "main", "visibility": "public"}
    match asked.path:
        case "/user":
            return Said(ME)
        case "/personal_access_tokens/self":
            return Said(SELF)
        case "/projects":
            return Said([project])
        case "/projects/acme%2Fshop":
            return Said(project)
        case "/projects/acme%2Ffixwright":
            return Said({**project, "id": 43, "path_with_namespace": "acme/fixwright"})
        case "/projects/43/repository/files/fixwright.yml":
            return Said({"size": 2, "encoding": "base64", "content": "eDoK"})
        case "/projects/42/members/all/5":
            return Said({"id": 5, "username": "jo", "access_level": 30})
        case _:
            return shop.wire.handler(asked)


def places(value: object, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The ways to everything in a value."""
    inside: list[tuple[str | int, object]] = []
    if isinstance(value, dict):
        inside = list(value.items())
    elif isinstance(value, list):
        inside = list(enumerate(value))
    return [at, *(way for key, inner in inside for way in places(inner, (*at, key)))]


def spoiled(value: object, at: tuple[str | int, ...], odd: object) -> object:
    """The value with something else in one place."""
    if not at:
        return odd
    made = copy.deepcopy(value)
    inner: object = made
    for key in at[:-1]:
        assert isinstance(inner, dict | list)
        inner = inner[key]  # type: ignore[index]  # a key of a dict, or an index of a list, as `places` found it
    assert isinstance(inner, dict | list)
    inner[at[-1]] = odd  # type: ignore[index]  # as above
    return made


@pytest.mark.parametrize("verb", READS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_an_answer_with_anything_in_any_place_is_read_or_refused(verb: str, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, 6))
    count = 0

    def handler(asked: Asked) -> Reply:
        nonlocal count
        count += 1
        reply = well(asked)
        if count - 1 != index or not isinstance(reply, Said):
            return reply
        at = data.draw(st.sampled_from(places(reply.value)))
        return Said(json.loads(json.dumps(spoiled(reply.value, at, data.draw(ODD)))))

    wire = Wire(handler)
    try:
        READS[verb](wire.host(Memory(wire.clock)))
    except HostError as error:
        assert error.message.isprintable()


@pytest.mark.parametrize("verb", READS)
def test_without_harm_everything_is_read(verb: str) -> None:
    wire = Wire(well)
    READS[verb](wire.host(Memory(wire.clock)))
    assert wire.asked
