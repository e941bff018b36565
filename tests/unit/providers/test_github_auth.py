"""Signing in: the App's own token, installation tokens, and who shares them."""

from __future__ import annotations

import base64
import logging
import threading
import time
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from pipeline.errors import HostForbidden, HostNotFound, HostRejected, HostUnauthorized, NotConfigured, RateLimited
from pipeline.model.target import PullRequestRef
from pipeline.ports import CodeHost
from providers.github import PROVIDER
from tests.unit.providers.github_wire import APP_ID, INSTALLATION, REPOSITORY, Memory, Reply, Seen, Wire, private_key

REF = PullRequestRef(REPOSITORY, 3)


def public_key() -> object:
    return load_pem_private_key(private_key().encode(), None).public_key()


def missing_pull(host: CodeHost) -> None:
    """One request with a token; the wire knows no pull request."""
    with pytest.raises(HostNotFound):
        host.pull_request(REF)


def test_the_app_signs_for_at_most_nine_minutes_and_a_minute_back() -> None:
    wire = Wire()
    missing_pull(wire.host())
    mint = wire.calls("POST", "/access_tokens")[0]
    kind, _, token = mint.headers["authorization"].partition(" ")
    claims = jwt.decode(token, public_key(), algorithms=["RS256"], options={"verify_exp": False, "verify_iat": False})  # type: ignore[arg-type]  # the key's type is wider than the library's
    assert kind.lower() == "bearer"
    assert claims == {"iss": APP_ID, "iat": int(wire.clock.now) - 60, "exp": int(wire.clock.now) - 60 + 540}
    assert mint.path == "/app/installations/77/access_tokens"


def test_a_token_is_for_one_repository_and_the_steps_permissions() -> None:
    wire = Wire()
    missing_pull(wire.host())
    assert wire.minted == [
        {"repository_ids": [4711], "permissions": {"metadata": "read", "contents": "read", "pull_requests": "read"}},
    ]


def test_git_gets_a_token_that_can_only_read_contents() -> None:
    wire = Wire()
    header = wire.host().credentials(REPOSITORY).header
    name, _, value = header.partition(": Basic ")
    assert name == "Authorization"
    assert base64.b64decode(value).decode() == "x-access-token:" + wire.tokens(1)
    assert wire.minted == [{"repository_ids": [4711], "permissions": {"contents": "read"}}]


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/octo/shop.git",
        "https://github.com.evil.example/x.git",
        "/srv/git/x.git",
        "https://github.com@evil.example/x",
        "http://github.com/octo/shop.git",
    ],
)
def test_git_credentials_are_only_for_githubs_own_host(address: str) -> None:
    wire = Wire()
    with pytest.raises(HostRejected):
        wire.host().credentials(type(REPOSITORY)("github", "github.com", "4711", "octo/shop", "main", address))
    assert wire.minted == []


@pytest.mark.parametrize("length", [40, 520, 5_000])
def test_a_token_is_used_as_it_is_whatever_its_length_and_form(length: int) -> None:
    wire = Wire(tokens=lambda number: ("ghs_1234_" + "eyJ.x-_" * length)[:length])
    missing_pull(wire.host())
    assert wire.calls("GET", "/pulls/3")[0].headers["authorization"].partition(" ")[2] == wire.tokens(1)


def test_all_processes_share_a_token_until_five_minutes_before_its_end() -> None:
    wire = Wire()
    memory = Memory(wire.clock)
    for _ in range(3):
        missing_pull(wire.host(memory))
    assert len(wire.minted) == 1
    wire.clock.now += 3600 - 301
    missing_pull(wire.host(memory))
    assert len(wire.minted) == 1
    wire.clock.now += 2
    missing_pull(wire.host(memory))
    assert len(wire.minted) == 2


def test_a_host_that_lives_long_does_not_keep_a_token_too_long() -> None:
    wire = Wire()
    host = wire.host()
    missing_pull(host)
    wire.clock.now += 3600
    missing_pull(host)
    assert len(wire.minted) == 2


def test_many_at_once_mint_one_token() -> None:
    wire = Wire()
    memory = Memory(wire.clock)
    start = threading.Barrier(8)

    def work() -> None:
        host = wire.host(memory)
        start.wait(30)
        missing_pull(host)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(wire.minted) == 1
    assert len(wire.calls("GET", "/pulls/3")) == 8


def refusing(tokens: Callable[[str], bool]) -> Callable[[Seen], Reply | None]:
    """401 for requests with a token that `tokens` names."""

    def handle(seen: Seen) -> Reply | None:
        token = seen.headers["authorization"].partition(" ")[2]
        refused = token.startswith("ghs_") and tokens(token)
        return httpx.Response(401, json={"message": "Bad credentials"}) if refused else None

    return handle


def test_a_refused_token_is_made_anew_once() -> None:
    wire = Wire(refusing(lambda token: "token1." in token))
    memory = Memory(wire.clock)
    missing_pull(wire.host(memory))
    missing_pull(wire.host(memory))
    assert len(wire.minted) == 2
    assert len(wire.calls("GET", "/pulls/3")) == 3


def test_when_the_new_one_is_refused_too_it_is_over() -> None:
    wire = Wire(refusing(lambda token: True))
    with pytest.raises(HostUnauthorized) as caught:
        wire.host().pull_request(REF)
    assert len(wire.calls("GET", "/pulls/3")) == 2
    assert caught.value.retryable  # people change keys within minutes


def test_a_clock_that_goes_wrong_is_corrected_by_githubs() -> None:
    ahead = 600

    def handle(seen: Seen) -> Reply | None:
        if seen.path.endswith("/access_tokens"):
            claims = jwt.decode(seen.headers["authorization"].partition(" ")[2], options={"verify_signature": False})
            theirs = time.time() + ahead
            if not theirs - 600 < claims["iat"] <= theirs or not theirs < claims["exp"] <= theirs + 600:
                return httpx.Response(
                    401,
                    json={"message": "'Expiration time' claim is too far in the future"},
                    headers={"date": formatdate(theirs, usegmt=True)},
                )
        return None

    wire = Wire(handle)
    wire.clock.now = time.time()
    missing_pull(wire.host())
    assert len(wire.calls("POST", "/access_tokens")) == 2


def test_where_only_the_date_of_the_answers_is_wrong_our_own_clock_is_tried() -> None:
    now, ahead = time.time(), 3600

    def handle(seen: Seen) -> Reply | None:
        wrong = {"date": formatdate(time.time() + ahead, usegmt=True)}
        if not seen.path.endswith("/access_tokens"):
            return httpx.Response(404, json={"message": "Not Found"}, headers=wrong)
        claims = jwt.decode(seen.headers["authorization"].partition(" ")[2], options={"verify_signature": False})
        return None if claims["iat"] <= now < claims["exp"] <= now + 600 else httpx.Response(401, json={"message": "no"}, headers=wrong)

    wire = Wire(handle)
    wire.clock.now = now
    host = wire.host()
    missing_pull(host)  # its answer shows the wrong clock
    wire.clock.now += 3600  # the token is over
    now += 3600
    missing_pull(host)
    assert len(wire.calls("POST", "/access_tokens")) == 3


def test_a_permission_that_was_never_granted_is_named_in_one_call() -> None:
    message = "The permissions requested are not granted to this installation."
    wire = Wire(lambda seen: httpx.Response(422, json={"message": message}) if seen.path.endswith("/access_tokens") else None)
    with pytest.raises(HostForbidden) as caught:
        wire.host().pull_request(REF)
    assert "pull_requests:read" in caught.value.message
    assert len(wire.seen) == 1


def test_when_github_says_wait_nobody_of_the_installation_calls_before_the_time() -> None:
    limited = [True]
    answer = httpx.Response(403, json={"message": "You have exceeded a secondary rate limit"}, headers={"retry-after": "90"})
    wire = Wire(lambda seen: answer if limited[0] and seen.path.endswith("/pulls/3") else None)
    memory = Memory(wire.clock)
    with pytest.raises(RateLimited) as caught:
        wire.host(memory).pull_request(REF)
    assert caught.value.retry_after == 90
    limited[0] = False
    sent = len(wire.seen)
    wire.clock.now += 60
    with pytest.raises(RateLimited) as caught:
        wire.host(memory).pull_request(REF)
    assert caught.value.retry_after == 30
    assert len(wire.seen) == sent
    wire.clock.now += 31
    missing_pull(wire.host(memory))


def test_no_token_and_no_key_reaches_a_log_or_an_error(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    wire = Wire(refusing(lambda token: True))
    with pytest.raises(HostUnauthorized) as caught:
        wire.host().pull_request(REF)
    said = repr(caught.value) + str(caught.value.hint) + caplog.text + repr([record.__dict__ for record in caplog.records])
    assert "token1" not in said
    assert "token2" not in said
    assert private_key().splitlines()[1] not in said


def test_the_private_key_may_be_text_escaped_text_or_a_path(tmp_path: Path) -> None:
    file = tmp_path / "app.pem"
    file.write_text(private_key())
    for value in (private_key(), private_key().replace("\n", "\\n"), str(file)):
        wire = Wire()
        missing_pull(wire.host(PRIVATE_KEY=value))


@pytest.mark.parametrize("value", ["", "no key", "/does/not/exist", "a\x00b", "/etc/hostname"])
def test_a_private_key_that_is_none_is_not_configured(value: str) -> None:
    with pytest.raises(NotConfigured) as caught:
        PROVIDER.connect(INSTALLATION, {"APP_ID": APP_ID, "PRIVATE_KEY": value}, Memory())
    assert "FIXWRIGHT_GITHUB_PRIVATE_KEY" in caught.value.hint


def test_a_damaged_key_is_not_configured_and_not_shown() -> None:
    lines = private_key().splitlines()
    damaged = "\n".join([lines[0], lines[1], *lines[5:]])
    with pytest.raises(NotConfigured) as caught:
        Wire().host(PRIVATE_KEY=damaged).pull_request(REF)
    assert lines[1] not in str(caught.value)
    assert caught.value.__cause__ is None


def test_without_the_apps_number_it_is_not_configured() -> None:
    with pytest.raises(NotConfigured) as caught:
        PROVIDER.connect(INSTALLATION, {"PRIVATE_KEY": private_key()}, Memory())
    assert "FIXWRIGHT_GITHUB_APP_ID" in caught.value.hint


@pytest.mark.parametrize("url", ["ftp://x", "api.github.com", "https://", "https://user:pw@host", "https://host:port", "https://h/?x=1"])
def test_an_api_address_that_is_none_is_not_configured(url: str) -> None:
    with pytest.raises(NotConfigured) as caught:
        Wire().host(API_URL=url)
    assert "FIXWRIGHT_GITHUB_API_URL" in caught.value.hint
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["http://ghe.example.com/api/v3", "http://api.github.com", "http://10.0.0.7", "http://localhost.example.com"]
)
def test_an_api_that_would_be_asked_in_clear_is_refused_before_anything_is_sent(url: str) -> None:
    wire = Wire()
    with pytest.raises(NotConfigured) as caught:
        wire.host(API_URL=url)
    assert "travel in clear" in caught.value.message
    assert url.replace("http:", "https:") in caught.value.hint


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/api/v3", "http://[::1]:8080", "http://localhost:8080", "http://LOCALHOST"])
def test_on_this_machine_itself_nothing_travels(url: str) -> None:
    Wire().host(API_URL=url)


@pytest.mark.parametrize(
    ("api", "clone", "graphql"),
    [
        ("https://api.github.com/", "https://github.com/o/r.git", "/graphql"),
        ("https://api.acme.ghe.com", "https://acme.ghe.com/o/r.git", "/graphql"),
        ("https://ghe.example.org/api/v3", "https://ghe.example.org/o/r.git", "/api/graphql"),
    ],
)
def test_every_edition_has_its_own_addresses(api: str, clone: str, graphql: str) -> None:
    from providers.github.settings import Site

    wire = Wire()
    wire.host(API_URL=api).credentials(type(REPOSITORY)("github", "x", "4711", "o/r", "main", clone))
    assert Site.of({"API_URL": api}).graphql_url.endswith(graphql)
