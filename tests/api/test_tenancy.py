"""Every route, by its document: with another organization's ids, without a key, with a revoked one, and with one that may do nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from bot.access import key_secret
from pipeline.model.account import Scope
from pipeline.store.organizations import DEFAULT
from tests.api.bench import ApiBench, Caller
from tests.api.stocked import BODIES, Stock, stock

FREE = ("/oauth/",)
"""Who asks here has no key yet."""


def _routes(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for path, methods in document["paths"].items():
        if not path.startswith(FREE):
            for method in methods:
                yield method.upper(), path


def _filled(path: str, ids: dict[str, str]) -> str:
    for name, value in ids.items():
        path = path.replace(f"{{{name}}}", value)
    assert "{" not in path, f"no id for {path}: give it one in tests/api/stocked.py"
    return path.removeprefix("/api/v1")


@pytest.fixture
def stocked(api: ApiBench) -> Stock:
    return stock(api)


def test_what_is_another_organizations_is_not_there(api: ApiBench, stocked: Stock) -> None:
    walked = 0
    for method, path in _routes(api.client.get("/openapi.json").json()):
        if "{" not in path:
            continue
        for what, ids in stocked.foreign(path):
            answer = api.caller.ask(method, _filled(path, ids), BODIES.get((method, path)))
            assert answer.status_code == 404, (method, path, what, answer.text)
            assert answer.json()["detail"]["error_code"] == "NOT_FOUND"
            walked += 1
    assert walked > 10
    assert stocked.unchanged()


def test_no_list_shows_what_is_another_organizations(api: ApiBench, stocked: Stock) -> None:
    for method, path in _routes(api.client.get("/openapi.json").json()):
        if method == "GET":
            answer = api.caller.ask("GET", _filled(path, stocked.own))
            assert answer.status_code == 200, (path, answer.text)
            for foreign in stocked.others.values():
                assert foreign not in answer.text, path


def test_without_a_key_with_a_revoked_one_and_with_too_few_scopes(api: ApiBench, stocked: Stock) -> None:
    revoked = api.key_of(DEFAULT)
    with api.app.database.work() as work:
        holder = work.keys.holder(revoked.key, key_secret(api.app.settings))
        assert holder is not None
        work.keys.revoke(holder.id, "a test")
    nobody = Caller(api.client, "")
    every = [scope for scope in Scope if scope is not Scope.ADMIN]
    for method, path in _routes(api.client.get("/openapi.json").json()):
        body, filled = BODIES.get((method, path)), _filled(path, stocked.own)
        for caller in (nobody, revoked):
            answer = caller.ask(method, filled, body)
            assert (answer.status_code, answer.json()["detail"]["error_code"]) == (401, "UNAUTHORIZED"), (method, path)
        refused = []
        for scope in every:
            answer = api.key_of(DEFAULT, [scope]).ask(method, filled, body)
            if answer.status_code == 403 and answer.json()["detail"]["error_code"] == "MISSING_SCOPE":
                refused.append(scope)
                assert answer.json()["detail"]["scope"] in answer.json()["detail"]["detail"]
        assert len(refused) >= len(every) - 1, (method, path, "one scope opens a route at most")
