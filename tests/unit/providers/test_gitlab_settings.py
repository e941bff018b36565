"""The operator's settings of the GitLab provider."""

from __future__ import annotations

import base64

import pytest

from pipeline.errors import NotConfigured
from pipeline.lacking import missing
from providers.gitlab.settings import SETTINGS, Site, Trust, signing_tokens, webhook_secrets

KEY = b"thirty-two bytes of a signing key"[:32]
TOKEN = "whsec_" + base64.b64encode(KEY).decode()


@pytest.mark.parametrize(
    ("url", "web", "api", "authority", "host"),
    [
        ("", "https://gitlab.com", "https://gitlab.com/api/v4", "gitlab.com", "gitlab.com"),
        ("https://GitLab.Example.org/", "https://gitlab.example.org", "https://gitlab.example.org/api/v4", "gitlab.example.org", None),
        ("https://gitlab.example.org:443", "https://gitlab.example.org", "https://gitlab.example.org/api/v4", "gitlab.example.org", None),
        (" https://git.lab:8443/dev/git ", "https://git.lab:8443/dev/git", None, "git.lab:8443/dev/git", "git.lab"),
        ("https://git.lab/gitlab/api/v4/", "https://git.lab/gitlab", "https://git.lab/gitlab/api/v4", "git.lab/gitlab", "git.lab"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080", None, "127.0.0.1:8080", "127.0.0.1"),
        ("http://[::1]:8080/x", "http://[::1]:8080/x", None, "[::1]:8080/x", "::1"),
    ],
)
def test_everything_follows_from_the_address(url: str, web: str, api: str | None, authority: str, host: str | None) -> None:
    site = Site.of({"URL": url} if url else {})
    assert site.web_url == web
    assert site.api_url == (api or f"{web}/api/v4")
    assert site.authority == authority
    assert site.host == (host or authority)
    assert site.clone_url("acme/shop") == f"{web}/acme/shop.git"
    assert web.startswith(site.origin) and site.origin.count("/") == 2


@pytest.mark.parametrize(
    "url",
    [
        "gitlab.com",
        "ftp://gitlab.com",
        "https://",
        "https://user:word@gitlab.com",
        "https://@gitlab.com",
        "https://gitlab.com?x=1",
        "https://gitlab.com/#x",
        "https://gitlab.com:port",
        "https://gitlab.com:99999",
        "https://gitlab.com/a b",
        "https://gitlab.com/../x",
        "https://gitlab.com//x",
        "https://gitläb.com",
        "https://gitlab.com/\x00",
        "https://[::1",
    ],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(NotConfigured) as refused:
        Site.of({"URL": url})
    assert "FIXWRIGHT_GITLAB_URL" in refused.value.hint


def test_no_token_travels_in_clear() -> None:
    with pytest.raises(NotConfigured, match="in clear") as refused:
        Site.of({"URL": "http://gitlab.example.org/git"})
    assert "https://gitlab.example.org/git" in refused.value.hint


@pytest.mark.parametrize(
    ("url", "inside"),
    [
        ("https://git.lab/gitlab/acme/shop", True),
        ("http://git.lab/gitlab/acme/shop", True),
        ("https://git.lab:443/gitlab/acme/shop", True),
        ("https://git.lab/gitlab", True),
        ("https://git.lab/gitlab2/acme/shop", False),
        ("https://git.lab/acme/shop", False),
        ("https://git.lab:8443/gitlab/acme/shop", False),
        ("https://git.lab.example.org/gitlab/acme/shop", False),
        ("https://git.lab:port/gitlab/acme", False),
        ("https://[/gitlab", False),
        ("", False),
    ],
)
def test_what_lies_below_it_is_known(url: str, inside: bool) -> None:
    assert Site.of({"URL": "https://git.lab/gitlab"}).holds(url) is inside


def test_a_signing_token_is_as_good_as_a_secret() -> None:
    assert missing(SETTINGS, {"WEBHOOK_SECRET": "x"}, "receive") == []
    assert missing(SETTINGS, {"SIGNING_TOKEN": TOKEN}, "receive") == []
    assert missing(SETTINGS, {"SIGNING_TOKEN_PREVIOUS": TOKEN}, "receive") == ["WEBHOOK_SECRET"]
    assert missing(SETTINGS, {"SIGNING_TOKEN": TOKEN}) == ["TOKEN"]
    assert missing(SETTINGS, {}) == ["WEBHOOK_SECRET", "TOKEN"]


def test_the_current_ones_come_first() -> None:
    older = "whsec_" + base64.b64encode(b"o" * 24).decode()
    configuration = {
        "WEBHOOK_SECRET": " one\n",
        "WEBHOOK_SECRET_PREVIOUS": "two",
        "SIGNING_TOKEN": TOKEN,
        "SIGNING_TOKEN_PREVIOUS": older,
    }
    assert webhook_secrets(configuration) == (b"one", b"two")
    assert signing_tokens(configuration) == (KEY, b"o" * 24)
    assert "one" not in repr(Trust.of(configuration))


def test_a_previous_one_alone_proves_nothing() -> None:
    for configuration in ({}, {"WEBHOOK_SECRET": " "}, {"WEBHOOK_SECRET_PREVIOUS": "x"}, {"SIGNING_TOKEN_PREVIOUS": TOKEN}):
        with pytest.raises(NotConfigured) as refused:
            Trust.of(configuration)
        assert "FIXWRIGHT_GITLAB_WEBHOOK_SECRET" in refused.value.hint


@pytest.mark.parametrize(
    "token",
    [
        TOKEN.removeprefix("whsec_"),
        "whsec_",
        "whsec_" + base64.b64encode(b"x" * 23).decode(),
        "whsec_" + base64.b64encode(b"x" * 65).decode(),
        TOKEN[:-1],
        TOKEN[:20] + "!" + TOKEN[21:],
        TOKEN + "ä",
        "WHSEC_" + TOKEN[6:],
    ],
)
@pytest.mark.parametrize("name", ["SIGNING_TOKEN", "SIGNING_TOKEN_PREVIOUS"])
def test_a_malformed_signing_token_is_named_and_never_shown(name: str, token: str) -> None:
    with pytest.raises(NotConfigured) as refused:
        Trust.of({"WEBHOOK_SECRET": "x", name: token})
    assert f"FIXWRIGHT_GITLAB_{name} " in str(refused.value)
    assert len(token) < 7 or token[6:] not in f"{refused.value}{refused.value.hint}"
