"""Bad input, by the document of the API: every list, every body; and what every answer has beside its body."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.api.edge import MAX_BODY
from tests.api.bench import ApiBench
from tests.api.stocked import BODIES, Stock, stock
from tests.api.test_tenancy import _filled, _routes

TEN_MB = b'{"name": "' + b"x" * 10_000_000 + b'"}'


@pytest.fixture
def stocked(api: ApiBench) -> Stock:
    return stock(api)


def _lists(document: dict[str, Any]) -> Iterator[str]:
    for method, path in _routes(document):
        names = {one["name"] for one in document["paths"][path][method.lower()].get("parameters", [])}
        if method == "GET" and {"limit", "skip"} <= names:
            yield path


def test_a_page_that_cannot_be_is_422_and_one_behind_the_end_is_empty(api: ApiBench, stocked: Stock) -> None:
    lists = list(_lists(api.client.get("/openapi.json").json()))
    assert len(lists) >= 5
    for path in lists:
        filled = _filled(path, stocked.own)
        wrong: list[dict[str, Any]] = [{"limit": 0}, {"limit": 201}, {"limit": "x"}, {"skip": -1}, {"skip": 10**30}, {"cursor": "x"}]
        for query in wrong:
            answer = api.caller.ask("GET", filled, **query)
            assert answer.status_code == 422, (path, query)
            assert {"loc", "msg", "type"} <= answer.json()["detail"][0].keys()
        whole, beyond = api.caller.get(filled), api.caller.get(filled, skip=2_000_000_000)
        assert (beyond["items"], beyond["has_next"], beyond["total"]) == ([], False, whole["total"]), path


def test_bodies_of_the_wrong_type_and_of_ten_megabytes_are_refused_and_change_nothing(api: ApiBench, stocked: Stock) -> None:
    document = api.client.get("/openapi.json").json()
    key, walked = {"X-API-Key": api.caller.key}, 0
    for method, path in _routes(document):
        wanted = document["paths"][path][method.lower()].get("requestBody")
        if wanted is None:
            continue
        filled = f"/api/v1{_filled(path, stocked.own)}"
        wrong: list[Any] = [[], "text", 7, True, {"never heard of": 1}]
        properties = BODIES.get((method, path))
        if isinstance(properties, dict):
            wrong.append({name: {"a": []} for name in properties})
        for body in wrong:
            answer = api.client.request(method, filled, json=body, headers=key)
            assert answer.status_code == 422, (method, path, body, answer.text)
            assert {"loc", "msg", "type"} <= answer.json()["detail"][0].keys()
        large = api.client.request(method, filled, content=TEN_MB, headers={**key, "Content-Type": "application/json"})
        assert (large.status_code, large.json()["detail"]["error_code"]) == (413, "BODY_TOO_LARGE"), path
        walked += 1
    assert walked >= 6
    assert len(TEN_MB) > MAX_BODY
    assert stocked.unchanged()


def test_a_long_answer_is_packed_and_known_again_however_it_was_sent(api: ApiBench) -> None:
    plain = api.client.get("/openapi.json", headers={"Accept-Encoding": "identity"})
    packed = api.client.get("/openapi.json", headers={"Accept-Encoding": "gzip"})
    assert ("Content-Encoding" in plain.headers, packed.headers["Content-Encoding"]) == (False, "gzip")
    assert plain.json() == packed.json()
    assert "Accept-Encoding" in packed.headers["Vary"]
    for encoding in ("gzip", "identity"):
        again = api.client.get("/openapi.json", headers={"Accept-Encoding": encoding, "If-None-Match": packed.headers["ETag"]})
        assert (again.status_code, again.content) == (304, b""), encoding


def test_a_foreign_page_may_read_answers_only_where_the_operator_says_so(tmp_path: Path) -> None:
    for origins, allowed in (("", None), ("https://app.example.com", "https://app.example.com")):
        (tmp_path / f"with{origins[:5]}").mkdir()
        api = ApiBench(tmp_path / f"with{origins[:5]}", environment={"FIXWRIGHT_CORS_ORIGINS": origins} if origins else {})
        try:
            for origin in ("https://app.example.com", "https://evil.example.com"):
                answer = api.caller.ask("GET", "/me", headers={"Origin": origin})
                assert answer.status_code == 200
                assert answer.headers.get("Access-Control-Allow-Origin") == (allowed if origin == allowed else None)
                asked = {"Origin": origin, "Access-Control-Request-Method": "PATCH"}
                before = api.client.options("/api/v1/me", headers=asked)
                assert ("Access-Control-Allow-Methods" in before.headers and before.status_code == 200) == (origin == allowed)
        finally:
            api.close()
