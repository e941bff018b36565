"""Who asks: keys in both headers, scopes, and errors of the documented shape."""

from __future__ import annotations

import pytest

from bot.access import key_secret
from bot.api.edge import MAX_BODY
from pipeline.model.account import USUAL, Scope
from pipeline.store.organizations import DEFAULT
from tests.api.bench import ApiBench, Caller

ON_BOTH = pytest.mark.usefixtures("database_url")


@ON_BOTH
def test_me_tells_the_key_and_its_organization_and_never_the_key_itself(api: ApiBench) -> None:
    said = api.caller.get("/me")
    assert said["organization_slug"] == DEFAULT
    assert said["api_key"]["key_prefix"] == api.caller.key[:13]
    assert said["api_key"]["scopes"] == [*USUAL, "admin"]
    assert said["quota_period"]["period_start"] < said["quota_period"]["period_end"]
    assert api.caller.key not in str(said)
    assert api.other.get("/me")["organization_slug"] == "other"


def test_a_key_is_taken_from_either_header(api: ApiBench) -> None:
    nobody = Caller(api.client, "")
    assert nobody.ask("GET", "/me", headers={"X-API-Key": api.caller.key}).status_code == 200
    assert nobody.ask("GET", "/me", headers={"Authorization": f"bearer {api.caller.key}"}).status_code == 200


@pytest.mark.parametrize(
    "shown", ["", "fxw_live_", "fxw_live_" + "a" * 43, "other", "fxw_live_" + "a" * 9_000], ids=lambda shown: shown[:12]
)
def test_what_opens_nothing_is_401_in_the_documented_shape(api: ApiBench, shown: str) -> None:
    answer = Caller(api.client, "").ask("GET", "/me", headers={"X-API-Key": shown} if shown else {})
    assert answer.status_code == 401
    assert answer.json()["detail"]["error_code"] == "UNAUTHORIZED"
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert shown not in answer.text or not shown


def test_revoked_and_expired_keys_open_nothing(api: ApiBench) -> None:
    revoked, expired = api.key_of(DEFAULT), api.key_of(DEFAULT, expires_in=-1.0)
    with api.app.database.work() as work:
        holder = work.keys.holder(revoked.key, key_secret(api.app.settings))
        assert holder is not None
        assert work.keys.revoke(holder.id, "a test")
        assert not work.keys.revoke(holder.id, "a test")
    for caller in (revoked, expired):
        caller.get("/me", 401)


@ON_BOTH
def test_a_rotated_key_holds_as_long_as_the_two_overlap(api: ApiBench) -> None:
    old = api.key_of(DEFAULT, [Scope.READ])
    secret = key_secret(api.app.settings)
    with api.app.database.work() as work:
        holder = work.keys.holder(old.key, secret)
        assert holder is not None
        _, new = work.keys.rotate(holder.id, secret, 3_600.0, "a test")
    assert old.get("/me")["api_key"]["scopes"] == Caller(api.client, new).get("/me")["api_key"]["scopes"] == ["read"]
    with api.app.database.work() as work:
        found = work.keys.get(holder.id)
        assert found.expires_at is not None
        assert found.state == "active"
    api.caller.get("/me")


def test_a_scope_that_is_missing_is_named(api: ApiBench) -> None:
    reader = api.key_of(DEFAULT, [Scope.READ])
    said = reader.post("/repositories", {"name": "shop", "source_repository_ids": []}, 403)
    assert said["detail"]["error_code"] == "MISSING_SCOPE"
    assert said["detail"]["scope"] == "admin"


def test_every_answer_has_an_id_and_none_tells_of_the_inside(api: ApiBench) -> None:
    for path, status in (("/me", 200), ("/nothing", 404), ("/repositories/%00", 404), ("/repositories", 422)):
        answer = api.caller.ask("GET", path, limit=0)
        assert answer.status_code == status, answer.text
        assert len(answer.headers["X-Request-Id"]) == 16
    assert api.caller.ask("DELETE", "/me").json()["detail"]["error_code"] == "METHOD_NOT_ALLOWED"


def test_bodies_that_are_too_large_or_no_json_are_refused(api: ApiBench) -> None:
    large = api.client.post("/api/v1/repositories", content=b" " * (MAX_BODY + 1), headers={"X-API-Key": api.caller.key})
    assert (large.status_code, large.json()["detail"]["error_code"]) == (413, "BODY_TOO_LARGE")
    json = {"X-API-Key": api.caller.key, "Content-Type": "application/json"}
    for content in (b"{", b"[]", b"null", b'{"name": 1}', b"\xff", b'{"name": "a", "source_repository_ids": ["a"], "more": 1}'):
        answer = api.client.post("/api/v1/repositories", content=content, headers=json)
        assert answer.status_code == 422, content
        assert {"loc", "msg", "type"} <= answer.json()["detail"][0].keys()


def test_what_was_read_before_is_not_sent_again(api: ApiBench) -> None:
    first = api.caller.ask("GET", "/me")
    again = api.caller.ask("GET", "/me", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert api.other.ask("GET", "/me", headers={"If-None-Match": first.headers["ETag"]}).status_code == 200


def test_the_pages_that_show_the_api_load_nothing_from_elsewhere(api: ApiBench) -> None:
    for path in ("/docs", "/redoc"):
        page = api.client.get(path).text
        for word in ("https://", "http://", '"//'):
            assert word not in page, path
    assert api.client.get("/docs/assets/swagger-ui-bundle.js").status_code == 200
    assert api.client.get("/openapi.json").json()["openapi"].startswith("3.1")
