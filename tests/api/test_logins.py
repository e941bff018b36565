"""People and devices: tokens of an issuer, and programs that show a code."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from sqlalchemy import update

from bot.oidc import Issuer
from pipeline.model.account import Scope
from pipeline.store.columns import database_now
from pipeline.store.logins import WAITING_AT_MOST
from pipeline.store.organizations import DEFAULT
from pipeline.store.tables import device_logins
from tests.api.bench import ApiBench, Caller

ON_BOTH = pytest.mark.usefixtures("database_url")
GRANT = "urn:ietf:params:oauth:grant-type:device_code"


# --- devices --------------------------------------------------------------------------------------------------------------------------


def _begin(api: ApiBench, name: str = "a program") -> dict[str, Any]:
    answer = api.client.post("/oauth/device/code", json={"client_name": name})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def _ask(api: ApiBench, device: str) -> dict[str, Any]:
    return dict(api.client.post("/oauth/token", data={"grant_type": GRANT, "device_code": device}).json())


@ON_BOTH
def test_a_program_has_a_key_after_a_persons_yes_and_once(api: ApiBench) -> None:
    begun = _begin(api)
    assert begun["verification_uri_complete"].endswith(begun["user_code"])
    assert _ask(api, begun["device_code"])["error"] == "authorization_pending"
    assert _ask(api, begun["device_code"])["error"] == "slow_down"
    form = {"user_code": begun["user_code"].lower().replace("-", " "), "key": api.caller.key}
    page = api.client.post("/device", data=form)
    assert "a program" in page.text
    assert api.caller.key not in page.text
    assert _ask(api, begun["device_code"])["error"] in ("authorization_pending", "slow_down"), "a look is no yes"
    assert api.client.post("/device", data={**form, "answer": "yes"}).status_code == 200
    granted = _ask(api, begun["device_code"])
    assert (granted["token_type"], "admin" in granted["scope"]) == ("bearer", False)
    me = Caller(api.client, granted["access_token"]).get("/me")
    assert (me["api_key"]["name"], me["organization_slug"]) == ("a program", DEFAULT)
    assert _ask(api, begun["device_code"])["error"] == "invalid_grant"


def test_a_program_has_no_more_than_the_key_that_said_yes(api: ApiBench) -> None:
    begun = _begin(api)
    reader = api.key_of("other", [Scope.READ])
    api.client.post("/device", data={"user_code": begun["user_code"], "key": reader.key, "answer": "yes"})
    granted = _ask(api, begun["device_code"])
    assert granted["scope"] == "read"
    assert Caller(api.client, granted["access_token"]).get("/me")["organization_slug"] == "other"


def test_a_no_is_a_no_and_what_is_unknown_is_said_only_to_who_has_a_key(api: ApiBench) -> None:
    begun = _begin(api)
    stranger = api.client.post("/device", data={"user_code": begun["user_code"], "key": "fxw_live_x", "answer": "yes"})
    assert stranger.status_code == 403
    assert api.client.post("/device", data={"user_code": "BBBB-BBBB", "key": api.caller.key}).status_code == 404
    api.client.post("/device", data={"user_code": begun["user_code"], "key": api.caller.key, "answer": "no"})
    assert _ask(api, begun["device_code"])["error"] == "access_denied"


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "\x1b[2J", "x" * 100])
def test_the_name_of_a_program_is_only_text_on_the_page(api: ApiBench, name: str) -> None:
    begun = _begin(api, name)
    page = api.client.post("/device", data={"user_code": begun["user_code"], "key": api.caller.key})
    assert "<script" not in page.text
    assert "script-src" not in page.headers["content-security-policy"]
    assert "default-src 'none'" in page.headers["content-security-policy"]


def test_errors_of_these_routes_are_those_of_oauth(api: ApiBench) -> None:
    words: tuple[tuple[dict[str, str], str], ...] = (
        ({}, "invalid_request"),
        ({"grant_type": "password", "device_code": "x"}, "unsupported_grant_type"),
        ({"grant_type": GRANT, "device_code": "x"}, "invalid_grant"),
    )
    for form, word in words:
        answer = api.client.post("/oauth/token", data=form)
        assert answer.status_code == 400
        assert answer.json().keys() == {"error", "error_description"}
        assert answer.json()["error"] == word
    bodies: tuple[object, ...] = ({}, {"client_name": ""}, {"client_name": "x" * 101}, [])
    for body in bodies:
        assert api.client.post("/oauth/device/code", json=body).json()["error"] == "invalid_request"


def test_a_thousand_programs_may_wait_and_those_that_gave_up_do_not_count(api: ApiBench) -> None:
    with api.app.database.work() as work:
        rows = [
            {
                "digest": f"d{number}",
                "user_code": f"AAAA-{number:04}",
                "client_name": "x",
                "status": "pending",
                "interval": 5,
                "created_at": database_now(),
                "expires_at": database_now() + 60,
            }
            for number in range(WAITING_AT_MOST)
        ]
        work.transaction.add(device_logins, rows)
    assert api.client.post("/oauth/device/code", json={"client_name": "mine"}).json()["error"] == "temporarily_unavailable"
    with api.app.database.work() as work:
        work.transaction.changed(update(device_logins).values(expires_at=database_now() - 1))
    assert api.client.post("/oauth/device/code", json={"client_name": "mine"}).status_code == 200


# --- an issuer ------------------------------------------------------------------------------------------------------------------------


class Published:
    """An issuer on this machine: what it publishes, and the tokens that it signs."""

    def __init__(self) -> None:
        self.keys = {"one": rsa.generate_private_key(public_exponent=65_537, key_size=2_048)}
        self.asked = 0
        self.says: Any = None
        """Instead of its list of keys, if anything."""
        self.raw: bytes | None = None
        """Instead of every document, if anything."""
        self.held, self.answers = threading.Event(), threading.Event()
        self.answers.set()
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked += 1
                issuer.held.set()
                issuer.answers.wait(30)
                about = {"issuer": issuer.address, "jwks_uri": f"{issuer.address}/keys"}
                body = json.dumps(about if self.path.startswith("/.well-known") else {"keys": issuer.says or issuer.published()}).encode()
                body = body if issuer.raw is None else issuer.raw
                self.send_response(200)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Nothing is said."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def published(self) -> list[dict[str, Any]]:
        made = [jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True) | {"kid": name} for name, key in self.keys.items()]
        return [*made, {"kid": "odd", "kty": "no such"}]

    def token(self, kid: str = "one", **claims: Any) -> str:
        said = {
            "iss": self.address,
            "aud": "fixwright",
            "sub": "u1",
            "exp": time.time() + 60,
            "name": "Ada",
            "scope": "openid read",
            **claims,
        }
        return jwt.encode({name: value for name, value in said.items() if value is not None}, self.keys[kid], "RS256", headers={"kid": kid})


@pytest.fixture
def issuer() -> Iterator[Published]:
    made = Published()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def trusting(tmp_path: Path, issuer: Published) -> Iterator[ApiBench]:
    made = ApiBench(tmp_path, environment={"FIXWRIGHT_OIDC_ISSUER": issuer.address})
    yield made
    made.close()


def test_whom_the_issuer_vouches_for_is_in_the_organization_that_the_token_names(trusting: ApiBench, issuer: Published) -> None:
    ada = Caller(trusting.client, issuer.token(organization="other"))
    said = ada.get("/me")
    assert (said["organization_slug"], said["api_key"]["name"], said["api_key"]["scopes"]) == ("other", "Ada", ["read"])
    assert ada.post("/repositories", {"name": "x", "source_repository_ids": []}, 403)["detail"]["scope"] == "admin"
    trusting.caller.get("/me")


def test_tokens_that_do_not_hold_open_nothing(trusting: ApiBench, issuer: Published) -> None:
    good = issuer.token(organization=DEFAULT)
    Caller(trusting.client, good).get("/me")
    stranger = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    curve = ec.generate_private_key(ec.SECP256R1())
    said = jwt.decode(good, options={"verify_signature": False})
    bad = {
        "expired": issuer.token(organization=DEFAULT, exp=time.time() - 120),
        "of another audience": issuer.token(organization=DEFAULT, aud="another"),
        "of another issuer": issuer.token(organization=DEFAULT, iss="https://issuer.example"),
        "of no organization here": issuer.token(organization="nowhere"),
        "of one of several organizations": issuer.token(),
        "without an end": issuer.token(organization=DEFAULT, exp=None),
        "without a subject": issuer.token(organization=DEFAULT, sub=None),
        "not yet": issuer.token(organization=DEFAULT, nbf=time.time() + 120),
        "signed by a stranger": jwt.encode(said, stranger, "RS256", headers={"kid": "one"}),
        "with another kind of key": jwt.encode(said, curve, "ES256", headers={"kid": "one"}),
        "with the public key as a secret": jwt.encode(said, "one" * 20, "HS256", headers={"kid": "one"}),
        "unsigned": jwt.encode(said, "", "none", headers={"kid": "one"}),
        "cut": good[:-4],
        "no token": "a.b.c",
        "of brackets": f"{base64.urlsafe_b64encode(b'[' * 5_000).decode()}.b.c",
    }
    for what, token in bad.items():
        assert Caller(trusting.client, token).ask("GET", "/me").status_code == 401, what
    skewed = issuer.token(organization=DEFAULT, exp=time.time() - 30)
    assert Caller(trusting.client, skewed).ask("GET", "/me").status_code == 200, "a minute of difference is forgiven"


def test_a_new_key_of_the_issuer_is_asked_for_and_unknown_ones_do_not_make_us_ask_all_the_time(issuer: Published) -> None:
    now = [0.0]
    known = Issuer(issuer.address, "fixwright", "organization", clock=lambda: now[0])
    assert known.claims(issuer.token()) is not None
    asked = issuer.asked
    issuer.keys["two"] = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    for _ in range(5):
        assert known.claims(issuer.token("two")) is None
    assert issuer.asked == asked
    now[0] += 31
    assert known.claims(issuer.token("two")) is not None
    assert issuer.asked == asked + 2
    issuer.server.shutdown()
    now[0] += 700
    assert known.claims(issuer.token()) is not None, "what is known holds while the issuer is away"
    now[0] += 3_000
    assert known.claims(issuer.token()) is None, "for an hour: a key that was withdrawn meanwhile ends then"


@pytest.mark.parametrize("says", ["null", {"keys": []}, 7])
def test_what_is_no_list_of_keys_changes_nothing(issuer: Published, says: object) -> None:
    now = [0.0]
    known = Issuer(issuer.address, "fixwright", "organization", clock=lambda: now[0])
    assert known.claims(issuer.token()) is not None
    issuer.says = says
    now[0] += 700
    assert known.claims(issuer.token()) is not None
    fresh = Issuer(issuer.address, "fixwright", "organization")
    assert fresh.claims(issuer.token()) is None


def test_a_document_of_brackets_changes_nothing(issuer: Published) -> None:
    now = [0.0]
    known = Issuer(issuer.address, "fixwright", "organization", clock=lambda: now[0])
    assert known.claims(issuer.token()) is not None
    issuer.raw = b"[" * 100_000
    now[0] += 700
    assert known.claims(issuer.token()) is not None


def test_nobody_whose_key_is_known_waits_for_a_slow_issuer(issuer: Published) -> None:
    now = [0.0]
    known = Issuer(issuer.address, "fixwright", "organization", clock=lambda: now[0])
    assert known.claims(issuer.token()) is not None
    issuer.answers.clear()
    issuer.held.clear()
    now[0] += 700
    with ThreadPoolExecutor(1) as threads:
        asking = threads.submit(known.claims, issuer.token())
        assert issuer.held.wait(20)
        try:
            assert known.claims(issuer.token()) is not None
            assert not asking.done(), "the one who asks still waits"
        finally:
            issuer.answers.set()
        assert asking.result(20) is not None
