"""The operator's way out: a real proxy, a private authority, for our clients and for git; and nobody else goes that way."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from pipeline.errors import GitUnavailable, NotConfigured
from pipeline.model.ids import CommitId
from pipeline.ports import GitCredentials
from pipeline.sandbox.git import Mirror
from pipeline.sandbox.net import AddressRefused, async_client, client
from pipeline.sandbox.outward import ca_bundle, proxy_for, tls, without_password
from tests.proxies import Authority, Proxy, connect_proxy, make_authority, tls_before
from tests.worlds.github.world import GithubWorld

HOST = "ghe.test"
"""Known to the proxy alone (RFC 6761: no resolver knows it)."""

both = pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])


@dataclass
class Company:
    """A GitHub behind a proxy, with a certificate of the company's own."""

    world: GithubWorld
    proxy: Proxy
    authority: Authority


@pytest.fixture
def company(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Company]:
    proxies = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy")
    for name in (*proxies, "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO"):
        monkeypatch.delenv(name, raising=False)
    authority = make_authority(tmp_path / "ca", HOST)
    with ExitStack() as stack:
        world = stack.enter_context(GithubWorld.start(tmp_path))
        at = urlsplit(world.api_url)
        front = stack.enter_context(tls_before((str(at.hostname), int(at.port or 0)), authority))
        proxy = stack.enter_context(connect_proxy({HOST: front}))
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("FIXWRIGHT_CA_BUNDLE", str(authority.bundle))
        yield Company(world, proxy, authority)


def get(url: str, *, allow: tuple[str, ...] = (HOST,), asynchronous: bool = False) -> httpx.Response:
    if not asynchronous:
        with client(allow=allow) as http:
            return http.get(url)

    async def fetch() -> httpx.Response:
        async with async_client(allow=allow) as http:
            return await http.get(url)

    return asyncio.run(fetch())


# --- our clients ---


@both
def test_a_configured_host_is_reached_through_the_proxy_with_the_private_authority(company: Company, asynchronous: bool) -> None:
    answer = get(f"https://{HOST}/api/v3/meta", asynchronous=asynchronous)
    assert answer.status_code == 200
    assert answer.json() == {"verifiable_password_authentication": True}
    assert company.proxy.asked == [f"{HOST}:443"]


@both
@pytest.mark.parametrize("url", ["https://elsewhere.test/", "https://169.254.169.254/latest/", "https://10.0.0.1/", "https://example.com/"])
def test_no_other_host_goes_through_the_proxy(company: Company, url: str, asynchronous: bool) -> None:
    """The proxy looks names up where nobody checks the address: a payload's address could lead anywhere in there."""
    with pytest.raises(AddressRefused, match="was not configured"):
        get(url, asynchronous=asynchronous)
    assert company.proxy.asked == []


@both
def test_without_the_authority_the_certificate_is_refused(company: Company, monkeypatch: pytest.MonkeyPatch, asynchronous: bool) -> None:
    monkeypatch.delenv("FIXWRIGHT_CA_BUNDLE")
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        get(f"https://{HOST}/api/v3/meta", asynchronous=asynchronous)


def test_a_certificate_of_another_host_is_refused(company: Company, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = make_authority(tmp_path / "other", "other.test")
    at = urlsplit(company.world.api_url)
    with tls_before((str(at.hostname), int(at.port or 0)), other) as front, connect_proxy({HOST: front}) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("FIXWRIGHT_CA_BUNDLE", str(other.bundle))
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            get(f"https://{HOST}/api/v3/meta")


def test_a_proxy_gets_its_user_and_password_and_nobody_else_does(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    word = "hush" + "hush"
    monkeypatch.setenv("HTTPS_PROXY", company.proxy.url.replace("//", f"//ada:{word}@"))
    assert get(f"https://{HOST}/api/v3/meta").status_code == 200
    assert company.proxy.credentials[0].startswith("basic ")
    assert word not in without_password(proxy_for(f"https://{HOST}/"))


def test_no_proxy_leads_directly_and_then_the_address_guard_holds(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "169.254.169.254")
    with pytest.raises(AddressRefused, match="public address"):
        get("https://169.254.169.254/latest/", allow=())
    assert company.proxy.asked == []


def test_the_public_authorities_stay_trusted_beside_the_private_one(company: Company) -> None:
    names = [str(one["subject"]) for one in tls().get_ca_certs()]
    assert len(names) > 50
    assert sum("A private authority" in name for name in names) == 1


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_a_bundle_that_is_none_is_said_with_its_variable(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "bundle.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(NotConfigured, match="FIXWRIGHT_CA_BUNDLE"):
        tls({"FIXWRIGHT_CA_BUNDLE": str(path)})


# --- git ---


def test_git_goes_the_same_way(company: Company, tmp_path: Path) -> None:
    repository = company.world.create_repository("octo", "shop", private=False, files={"a.txt": "a\n"})
    sha = CommitId(str(repository.git.branch("main")))
    mirror = Mirror.open(tmp_path / "m.git", f"https://{HOST}/octo/shop.git", GitCredentials())
    mirror.fetch([(sha, 1)])
    found = subprocess.run(["git", "-C", str(tmp_path / "m.git"), "cat-file", "-t", sha], check=True, capture_output=True, timeout=20)
    assert found.stdout == b"commit\n"
    assert set(company.proxy.asked) == {f"{HOST}:443"}


def test_git_refuses_a_certificate_that_nobody_vouches_for(company: Company, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FIXWRIGHT_CA_BUNDLE")
    repository = company.world.create_repository("octo", "shop", private=False, files={"a.txt": "a\n"})
    sha = CommitId(str(repository.git.branch("main")))
    mirror = Mirror.open(tmp_path / "m.git", f"https://{HOST}/octo/shop.git", GitCredentials())
    with pytest.raises(GitUnavailable, match="certificate"):
        mirror.fetch([(sha, 1)])


# --- what the variables mean ---


PROXY = {"HTTPS_PROXY": "http://proxy.test:3128"}


@pytest.mark.parametrize(
    ("url", "environment", "proxy"),
    [
        ("https://a.test/", {}, ""),
        ("https://a.test/", PROXY, "http://proxy.test:3128"),
        ("https://a.test/", {"https_proxy": "http://low.test:1", **PROXY}, "http://low.test:1"),
        ("https://a.test/", {"ALL_PROXY": "proxy.test:8080"}, "http://proxy.test:8080"),
        ("http://a.test/", PROXY, ""),
        ("http://a.test/", {"HTTP_PROXY": "http://proxy.test:1"}, "http://proxy.test:1"),
        ("https://a.test/", {**PROXY, "NO_PROXY": "a.test"}, ""),
        ("https://sub.a.test/", {**PROXY, "NO_PROXY": ".a.test"}, ""),
        ("https://sub.a.test/", {**PROXY, "no_proxy": "b.test, a.test"}, ""),
        ("https://nota.test/", {**PROXY, "NO_PROXY": "a.test"}, "http://proxy.test:3128"),
        ("https://a.test/", {**PROXY, "NO_PROXY": "*"}, ""),
        ("https://a.test:8443/", {**PROXY, "NO_PROXY": "a.test:8443"}, ""),
        ("https://a.test/", {**PROXY, "NO_PROXY": "a.test:8443"}, "http://proxy.test:3128"),
        ("https://10.1.2.3/", {**PROXY, "NO_PROXY": "10.0.0.0/8"}, ""),
        ("https://11.1.2.3/", {**PROXY, "NO_PROXY": "10.0.0.0/8"}, "http://proxy.test:3128"),
        ("https://127.0.0.1:8080/", PROXY, ""),
        ("https://localhost/", PROXY, ""),
    ],
)
def test_proxies_mean_what_they_mean_to_curl(url: str, environment: dict[str, str], proxy: str) -> None:
    assert proxy_for(url, environment) == proxy


def test_a_proxy_of_another_kind_is_said() -> None:
    with pytest.raises(NotConfigured, match="does not speak HTTP") as refused:
        proxy_for("https://a.test/", {"ALL_PROXY": "socks5://ada:word@proxy.test"})
    assert "word" not in refused.value.message


def test_no_bundle_is_none() -> None:
    assert ca_bundle({}) is None
