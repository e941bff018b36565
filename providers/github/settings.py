"""The operator's settings of the GitHub provider, and the addresses that follow from them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit

from pipeline.errors import NotConfigured
from pipeline.model.loopback import refuse_plain, split_address
from pipeline.ports import Configuration, Setting

_APP_ID = re.compile(r"[0-9]{1,20}|Iv[0-9A-Za-z.]{2,60}")
"""A number, or the client id that may stand in for it (docs "Generating a JSON Web Token (JWT)": `iss`)."""
DEFAULT_API_URL = "https://api.github.com"

SETTINGS = (
    Setting("WEBHOOK_SECRET", "Webhook secret of the GitHub App.", secret=True, needed="receive"),
    Setting("WEBHOOK_SECRET_PREVIOUS", "The secret before that one, accepted while it is being changed.", secret=True),
    Setting("APP_ID", "Number of the GitHub App, from its settings page.", needed="connect"),
    Setting("PRIVATE_KEY", "Private key of the App: the PEM text, or the path of a file with it.", secret=True, needed="connect"),
    Setting("TOKEN", "Instead of an App, for `fixwright watch` and the Action: a person's token, or a job's.", secret=True),
    Setting("READ_ONLY_OK", "1: what that token may not write is left out instead of failing (what the Action does for forks)."),
    Setting(
        "API_URL",
        "Root of the REST API; https://HOST/api/v3 for GitHub Enterprise Server, https://api.SUB.ghe.com for data residency.",
        default=DEFAULT_API_URL,
    ),
    Setting("PUBLIC_URL", "Address of Fixwright as GitHub reaches it, where that is not FIXWRIGHT_URL."),
)
"""In the order in which a person sets them up. Setup also stores CLIENT_ID and SLUG of the App that it made."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where one GitHub lives: everything that follows from the address of its API."""

    api_url: str
    """Without a slash at the end."""

    @classmethod
    def of(cls, configuration: Configuration) -> Site:
        """The configured one. Raises NotConfigured when API_URL is no https address, or http to another machine."""
        url = (configuration.get("API_URL") or DEFAULT_API_URL).strip().rstrip("/")
        parts = split_address(url)
        if parts is None or parts.username or parts.query or parts.fragment:
            raise NotConfigured(
                "the address of GitHub's API is not one", hint=f"set FIXWRIGHT_GITHUB_API_URL to {DEFAULT_API_URL} or https://HOST/api/v3"
            )
        risk = "what the App's key signs and every token"
        refuse_plain(parts, named="GitHub's API", what=risk, setting="FIXWRIGHT_GITHUB_API_URL")
        return cls(url)

    @property
    def origin(self) -> str:
        """Scheme and authority of the API: our tokens never leave it."""
        parts = urlsplit(self.api_url)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def api_host(self) -> str:
        """Host name of the API, without port."""
        return urlsplit(self.api_url).hostname or ""

    @property
    def authority(self) -> str:
        """Host and port of the API: what is remembered of one server must not be taken for another's."""
        return urlsplit(self.api_url).netloc

    @property
    def web_host(self) -> str:
        """Host name that people see and git clones from: `github.com`, the GHES host, `SUB.ghe.com`."""
        host = self.api_host
        if host == "api.github.com" or (host.startswith("api.") and host.endswith(".ghe.com")):
            return host.removeprefix("api.")
        return host

    @property
    def is_server(self) -> bool:
        """True for an Enterprise Server, whose pages of Apps lie below `/github-apps`."""
        return self.api_url.endswith("/api/v3")

    def app_page(self, slug: str) -> str:
        """The public page of an App, from which it is installed (docs "Installing a GitHub App from a third party")."""
        return f"{self.web_url}/{'github-apps' if self.is_server else 'apps'}/{quote(slug)}"

    @property
    def web_url(self) -> str:
        """Root of the web pages, with the API's scheme and port."""
        parts = urlsplit(self.api_url)
        port = f":{parts.port}" if parts.port else ""
        return f"{parts.scheme}://{self.web_host}{port}"

    @property
    def graphql_url(self) -> str:
        """The GraphQL endpoint (docs "Forming calls with GraphQL"; GHES: /api/graphql beside /api/v3)."""
        if self.api_url.endswith("/api/v3"):
            return self.api_url.removesuffix("/v3") + "/graphql"
        return self.api_url + "/graphql"


@dataclass(frozen=True, slots=True)
class AppSettings:
    """Who we are on GitHub. The key never appears in a representation."""

    app_id: str
    private_key: str = field(repr=False)

    @classmethod
    def of(cls, configuration: Configuration) -> AppSettings:
        """The configured App. Raises NotConfigured with everything that is wrong; no error text holds any of the key."""
        app_id, value = configuration.get("APP_ID", "").strip(), configuration.get("PRIVATE_KEY", "").strip()
        wrong: list[NotConfigured] = []
        key = ""
        if not app_id:
            hint = "run: fixwright github setup-link; or set FIXWRIGHT_GITHUB_APP_ID"
            wrong.append(NotConfigured("the number of the App is missing", hint=hint))
        elif not _APP_ID.fullmatch(app_id):
            hint = "set FIXWRIGHT_GITHUB_APP_ID to what the App's settings page says"
            wrong.append(NotConfigured(f"'{app_id[:40]}' is neither the number of an App nor a client id", hint=hint))
        try:
            key = _key_text(value)
        except NotConfigured as error:
            wrong.append(error)
        if wrong:
            raise NotConfigured(
                f"GitHub is not set up: {'; '.join(one.message for one in wrong)}", hint="; ".join(one.hint for one in wrong)
            )
        return cls(app_id, key)


def webhook_secrets(configuration: Configuration) -> tuple[bytes, ...]:
    """All secrets that may sign a delivery now. Raises NotConfigured when there is no current one."""
    current = configuration.get("WEBHOOK_SECRET", "")
    if not current:
        raise NotConfigured(
            "GitHub's webhook secret is not set, so no delivery can be trusted",
            hint="run: fixwright github setup-link; or set FIXWRIGHT_GITHUB_WEBHOOK_SECRET",
        )
    previous = configuration.get("WEBHOOK_SECRET_PREVIOUS", "")
    return tuple(secret.encode() for secret in (current, previous) if secret)


def _key_text(value: str) -> str:
    """PEM text of a setting that is the text itself (perhaps with `\\n` written out, as environment files do) or a path."""
    if not value:
        raise NotConfigured("the App's private key is missing", hint="set FIXWRIGHT_GITHUB_PRIVATE_KEY")
    if "-----BEGIN" in value:
        return value.replace("\\n", "\n")
    try:
        text = Path(value).read_text("ascii")
    except (OSError, ValueError):  # ValueError: not text, or no path at all (a NUL in it)
        text = ""
    if "-----BEGIN" not in text:
        raise NotConfigured(
            "the App's private key cannot be read: it is neither PEM text nor the path of a PEM file",
            hint="set FIXWRIGHT_GITHUB_PRIVATE_KEY to the file that GitHub let you download",
        )
    return text
