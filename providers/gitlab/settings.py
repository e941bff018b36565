"""The operator's settings of the GitLab provider, and the addresses that follow from them."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from pipeline.errors import NotConfigured
from pipeline.model.loopback import refuse_plain, split_address
from pipeline.ports import Configuration, Setting

DEFAULT_URL = "https://gitlab.com"
SIGNING_PREFIX = "whsec_"
SIGNING_BYTES = range(24, 65)
"""How long a signing key may be (Standard Webhooks, "Signature scheme"); GitLab makes keys of 32 bytes."""

SETTINGS = (
    Setting("WEBHOOK_SECRET", "Secret token of the webhooks (X-Gitlab-Token).", secret=True, needed="receive"),
    Setting("WEBHOOK_SECRET_PREVIOUS", "The secret token before that one, accepted while it is being changed.", secret=True),
    Setting(
        "SIGNING_TOKEN",
        "Signing token of the webhooks (whsec_...), where GitLab has them. It can stand in for the secret token.",
        secret=True,
        instead_of="WEBHOOK_SECRET",
    ),
    Setting("SIGNING_TOKEN_PREVIOUS", "The signing token before that one, accepted while it is being changed.", secret=True),
    Setting("TOKEN", "Access token of a project, a group or a person, with the scope `api`.", secret=True, needed="connect"),
    Setting("URL", "Address of GitLab, with the path below which it lies if there is one.", default=DEFAULT_URL),
    Setting("PUBLIC_URL", "Address of Fixwright as GitLab reaches it, where that is not FIXWRIGHT_URL."),
)
"""In the order in which a person sets them up."""

_URL = re.compile(r"https?://[A-Za-z0-9.:_\[\]-]+(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)*\Z", re.IGNORECASE)
"""No name or word before the host, no question, no anchor; no step of the path begins with a dot."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where one GitLab lives: everything that follows from its address."""

    web_url: str
    """Root of its pages, of git and of the API, without a slash at the end: `https://git.example.org:8443/gitlab`."""

    @classmethod
    def of(cls, configuration: Configuration) -> Site:
        """The configured one. Raises NotConfigured when URL is no https address, or http to another machine."""
        url = (configuration.get("URL") or DEFAULT_URL).strip().rstrip("/").removesuffix("/api/v4")
        parts = split_address(url)
        if parts is None or not _URL.match(url):
            raise NotConfigured(
                "the address of GitLab is not one", hint=f"set FIXWRIGHT_GITLAB_URL to {DEFAULT_URL} or the address of your own GitLab"
            )
        refuse_plain(parts, named="GitLab", what="every token", setting="FIXWRIGHT_GITLAB_URL")
        return cls(f"{parts.scheme}://{_authority(url)}")

    @property
    def api_url(self) -> str:
        """Root of the REST API (docs "REST API": it lies below the path of the pages)."""
        return f"{self.web_url}/api/v4"

    @property
    def authority(self) -> str:
        """Host, port where it is not the usual one, and path: the name of this instance, `gitlab.com`, `git.example.org:8443/gitlab`."""
        return self.web_url.partition("://")[2]

    @property
    def origin(self) -> str:
        """Scheme, host and port: our token never leaves it."""
        parts = urlsplit(self.web_url)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def host(self) -> str:
        """Host name without port, lower case; an address of IPv6 without brackets."""
        return urlsplit(self.web_url).hostname or ""

    def clone_url(self, full_name: str) -> str:
        """Where git fetches a project. Made here and not taken from a payload or an answer: administrators can give out another address
        (docs "Customize Git clone URL for HTTP(S)"), and our token goes nowhere but here."""
        return f"{self.web_url}/{full_name}.git"

    def holds(self, url: str) -> bool:
        """True for an address below this one. The scheme does not count: behind a proxy GitLab may take itself for http."""
        try:
            there = _authority(url)
        except ValueError:
            return False
        return there == self.authority or there.startswith(f"{self.authority}/")


@dataclass(frozen=True, slots=True)
class Trust:
    """What proves that a delivery came from GitLab. Never in a representation."""

    secrets: tuple[bytes, ...] = field(repr=False)
    """Secret tokens, the current one first."""
    keys: tuple[bytes, ...] = field(repr=False)
    """Keys of the signing tokens, the current one first."""

    @classmethod
    def of(cls, configuration: Configuration) -> Trust:
        """The configured one. Raises NotConfigured when neither a secret token nor a signing token is current, or one is malformed."""
        if not any(configuration.get(name, "").strip() for name in ("WEBHOOK_SECRET", "SIGNING_TOKEN")):
            raise NotConfigured(
                "GitLab's webhook secret is not set, so no delivery can be trusted",
                hint="run: fixwright gitlab connect; or set FIXWRIGHT_GITLAB_WEBHOOK_SECRET or FIXWRIGHT_GITLAB_SIGNING_TOKEN",
            )
        return cls(webhook_secrets(configuration), signing_tokens(configuration))


def webhook_secrets(configuration: Configuration) -> tuple[bytes, ...]:
    """All secret tokens that a delivery may carry now, the current one first; may be empty."""
    named = (configuration.get(name, "").strip() for name in ("WEBHOOK_SECRET", "WEBHOOK_SECRET_PREVIOUS"))
    return tuple(secret.encode() for secret in named if secret)


def signing_tokens(configuration: Configuration) -> tuple[bytes, ...]:
    """The keys of all signing tokens that may sign a delivery now, the current one first; may be empty. Raises NotConfigured for a token
    that is none, never with any of it."""
    named = ((name, configuration.get(name, "").strip()) for name in ("SIGNING_TOKEN", "SIGNING_TOKEN_PREVIOUS"))
    return tuple(_key(name, token) for name, token in named if token)


def _key(name: str, token: str) -> bytes:
    try:
        key = base64.b64decode(token.removeprefix(SIGNING_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not token.startswith(SIGNING_PREFIX) or len(key) not in SIGNING_BYTES:
        raise NotConfigured(
            f"FIXWRIGHT_GITLAB_{name} is no signing token",
            hint=f"set it to the signing token that GitLab shows once, {SIGNING_PREFIX} and what follows; or run: fixwright gitlab connect",
        )
    return key


def _authority(url: str) -> str:
    """Host, port where it is not the scheme's own, and path of an address. Raises ValueError for a port that is no number."""
    parts = urlsplit(url)
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    port = f":{parts.port}" if parts.port not in (None, usual) else ""
    return f"{host}{port}{parts.path.rstrip('/')}"
