"""The GitHub App that Fixwright asks for: its manifest in both modes, and the exchange of the code that comes back.

Sources: docs "Registering a GitHub App from a manifest" (fields; the three steps within an hour; the code can be exchanged once),
"Permissions required for GitHub Apps", "Webhook events and payloads" (which permission an event needs).
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import quote, urlencode, urlsplit

from pydantic import Field

from pipeline.errors import HostError, HostNotFound, HostRejected, UsageError
from pipeline.model.loopback import is_loopback
from pipeline.model.setup import Choice, Granted, Question, SetupForm, SetupRequest, SetupResult
from pipeline.ports import Configuration
from providers.github.auth import AppAnswer, AppKey, as_app
from providers.github.client import Answer, Client, OpenClient, path
from providers.github.payloads import Login
from providers.github.receive import EVENTS
from providers.github.settings import DEFAULT_API_URL, AppSettings, Site

Mode = Literal["reader", "fixer"]

READER: Final[Mapping[str, str]] = {
    "metadata": "read",
    "contents": "read",
    "checks": "write",
    "pull_requests": "write",
    "issues": "write",
    "merge_queues": "read",
}
"""Permissions of the reader: enough for checks, threads, commands, and fixes as suggestions and patches. `app.yml` is the same."""

FIXER: Final[Mapping[str, str]] = {**READER, "contents": "write"}
"""Those of the fixer: it also writes branches below `fixwright/`. `workflows` stays out, so GitHub itself refuses a changed workflow."""

PERMISSIONS: Final[Mapping[Mode, Mapping[str, str]]] = {"reader": READER, "fixer": FIXER}

OPTIONAL: Final[Mapping[str, str]] = {"repository_advisories": "write", "members": "read"}
"""What an owner may add by hand; nothing but the one thing that it is for depends on it."""

WHY: Final[Mapping[str, str]] = {
    "metadata": "which repositories there are; GitHub gives it to every App",
    "contents": "reads the commits of a change, and the policy",
    "checks": "the check Fixwright with its annotations and buttons",
    "pull_requests": "threads on lines, suggestions, who may write",
    "issues": "the one comment, answers to commands, reactions",
    "merge_queues": "hears of a merge queue's commits, so that the check is there too",
}
"""What each permission is for, as the page of setup says it; `docs/security.md` says more."""
WHY_WRITE = "as a reader, and writes branches fixwright/... for pull requests with fixes"

NEEDS: Final[Mapping[str, str]] = {
    "push": "contents",
    "pull_request": "pull_requests",
    "pull_request_review": "pull_requests",
    "pull_request_review_comment": "pull_requests",
    "pull_request_review_thread": "pull_requests",
    "issue_comment": "issues",
    "check_run": "checks",
    "check_suite": "checks",
    "merge_group": "merge_queues",
    "repository": "metadata",
    "public": "metadata",
}
"""The permission without which GitHub does not let an App ask for an event."""

LONGEST_SUGGESTION = 56
"""Characters of an instance's name that is suggested; it stands in the webhook's address."""
LONGEST_NAME = 34
"""Characters in the name of an App."""
HOME = "https://github.com/fixwright/fixwright"
DESCRIPTION = "Scans pull requests and answers /fix with fixes that prove themselves."

_ORGANIZATION = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9]|-(?=[A-Za-z0-9])){0,38}\Z")
_CODE = re.compile(r"[A-Za-z0-9_-]{1,200}\Z")


def asked_events() -> tuple[str, ...]:
    """The events that a manifest names, which are all that are understood and allowed to be named."""
    return tuple(sorted(EVENTS))


def manifest(mode: Mode, *, name: str, hook_url: str, return_url: str, installed_url: str, public_url: str) -> Mapping[str, object]:
    """The manifest as GitHub takes it."""
    return {
        "name": name,
        "url": public_url if urlsplit(public_url).scheme == "https" else HOME,
        "description": DESCRIPTION,
        "public": False,
        "hook_attributes": {"url": hook_url, "active": True},
        "redirect_url": return_url,
        "setup_url": installed_url,
        "default_permissions": dict(PERMISSIONS[mode]),
        "default_events": list(asked_events()),
    }


_ORGANIZATION_QUESTION = Question("organization", "Login of the organization", "As in its address: github.com/LOGIN.", example="acme")

QUESTIONS: Final = (
    Question(
        "owner",
        "Who will own the App?",
        choices=(
            Choice("organization", "An organization on GitHub.com", "You must be one of its owners.", asks=(_ORGANIZATION_QUESTION,)),
            Choice("person", "My own account on GitHub.com", "For the repositories of the account that you are signed in with there."),
            Choice(
                "server",
                "An organization on GitHub Enterprise Server, or on Enterprise Cloud with data residency",
                asks=(
                    Question("server", "Address of the server", "As your browser shows it.", example="https://ghe.example.com"),
                    Question("server_organization", "Login of the organization", "Empty: your own account there.", example="acme"),
                ),
            ),
        ),
    ),
    Question(
        "mode",
        "What may it do?",
        choices=(
            Choice("reader", "Reader", "Reads code; a fix is a suggestion to apply with one click, or a patch in a comment."),
            Choice("fixer", "Fixer", "Also opens pull requests with fixes, on branches of its own (fixwright/...)."),
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the App is to be made."""

    site: Site
    organization: str
    """Empty: the person's own account."""

    @property
    def owner(self) -> str:
        at = "" if self.site.api_url == DEFAULT_API_URL else f" on {self.site.web_host}"
        return (self.organization or "your own account") + at

    @property
    def new_app(self) -> str:
        """The page that takes a manifest."""
        below = f"/organizations/{quote(self.organization)}" if self.organization else ""
        return f"{self.site.web_url}{below}/settings/apps/new"


def _place(answers: Mapping[str, str]) -> _Place:
    """Raises UsageError for an answer that cannot be used."""
    match answers.get("owner", ""):
        case "organization":
            return _Place(Site(DEFAULT_API_URL), _organization(answers.get("organization", ""), needed=True))
        case "person":
            return _Place(Site(DEFAULT_API_URL), "")
        case "server":
            return _Place(_server(answers.get("server", "")), _organization(answers.get("server_organization", ""), needed=False))
        case _:
            raise UsageError("Nobody was chosen to own the App.", hint="Choose an organization, your own account, or a server.")


def _organization(given: str, *, needed: bool) -> str:
    login = given.strip().removeprefix("@")
    if (needed or login) and not _ORGANIZATION.match(login):
        raise UsageError(
            "That is no login of an organization.", hint="It stands in the organization's address: github.com/LOGIN, here only LOGIN."
        )
    return login


def _server(given: str) -> Site:
    """The API of the server that a person sees at this address."""
    text = given.strip().rstrip("/")
    parts = urlsplit(text if "//" in text else f"https://{text}")
    try:
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    plain = parts.scheme == "http" and is_loopback(host)
    if "." not in host and not is_loopback(host):  # a word that somebody typed into the wrong field
        host = ""
    if not re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", host) or not (parts.scheme == "https" or plain) or parts.username:
        raise UsageError(
            "That is no address of a server.", hint="It looks like https://ghe.example.com; its key must not travel unencrypted."
        )
    if host in ("github.com", "www.github.com", "api.github.com"):
        raise UsageError("GitHub.com is not a server of its own.", hint="Choose an organization, or your own account.")
    at = f":{port}" if port else ""
    if host.endswith(".ghe.com"):
        return Site(f"https://api.{host.removeprefix('api.')}")
    return Site(f"{parts.scheme}://{host}{at}/api/v3")


class _Owner(Answer):
    login: Login = ""
    slug: Login = ""


class _Conversion(Answer):
    """`POST /app-manifests/{code}/conversions`. The client secret is not read: nobody signs in through us."""

    id: int
    slug: str = Field(pattern=r"\A[A-Za-z0-9_.-]{1,100}\z")
    html_url: str = ""
    client_id: str = ""
    pem: str = Field(repr=False)
    webhook_secret: str = Field(repr=False, min_length=1)
    owner: _Owner = _Owner()


class GitHubSetup:
    """See `pipeline.ports.Setup`."""

    word = "GitHub App"
    host_word = "GitHub"
    questions: tuple[Question, ...] = QUESTIONS

    def __init__(self, open_client: OpenClient, clock: Callable[[], float] = time.time) -> None:
        self._open_client, self._clock = open_client, clock

    def suggest(self, answers: Mapping[str, str]) -> str:
        """The organization, with the server where there is one."""
        place = _place(answers)
        parts = [place.organization, "" if place.site.api_url == DEFAULT_API_URL else place.site.web_host]
        return "-".join(part for part in parts if part).lower().replace(".", "-")[:LONGEST_SUGGESTION].rstrip("-") or "personal"

    def form(self, request: SetupRequest) -> SetupForm:
        """GitHub shows what the manifest asks for, lets the person change the name, and makes the App."""
        place, mode = _place(request.answers), _mode(request.answers)
        name = f"Fixwright {place.organization}".strip()[:LONGEST_NAME]
        content = manifest(
            mode,
            name=name,
            hook_url=request.hook_url,
            return_url=request.return_url,
            installed_url=request.installed_url,
            public_url=request.public_url,
        )
        return SetupForm(
            action=f"{place.new_app}?{urlencode({'state': request.state})}",
            fields={"manifest": json.dumps(content)},
            name=name,
            owner=place.owner,
            rights=rights(mode),
        )

    def complete(self, request: SetupRequest, code: str) -> SetupResult:
        """GitHub answers once: a second time, or after an hour, the code is unknown to it."""
        place = _place(request.answers)
        if not _CODE.match(code):
            raise HostRejected("what came back is no code of GitHub's", hint="start again from the setup page")
        client = Client(self._open_client, place.site.api_url, place.site.graphql_url)
        try:
            made = client.send("POST", path("app-manifests", code, "conversions"), {}, _Conversion)
        except HostNotFound as error:
            raise HostNotFound(
                "GitHub does not know this code: it is valid for one hour, and once",
                hint="start again from the setup page; when the App was made, delete it in GitHub's settings first",
            ) from error
        except HostError as error:
            # After a failure of GitHub's the code may still be good for a key: it must not end in a log.
            error.message = error.message.replace(code, "CODE")
            error.args = (error.message,)
            raise
        settings = {
            "APP_ID": str(made.id),
            "PRIVATE_KEY": made.pem,
            "WEBHOOK_SECRET": made.webhook_secret,
            "API_URL": place.site.api_url,
            "PUBLIC_URL": request.public_url,
            "CLIENT_ID": made.client_id,
            "SLUG": made.slug,
        }
        AppSettings.of(settings)  # a key that is none must not be stored
        owner = made.owner.login or made.owner.slug or place.owner
        return SetupResult(settings=settings, name=made.slug, owner=owner, next_url=f"{_page(place.site, made)}/installations/new")

    def verify(self, configuration: Configuration) -> None:
        """`GET /app` with the App's own key."""
        site = Site.of(configuration)
        key = AppKey(AppSettings.of(configuration))
        client = Client(self._open_client, site.api_url, site.graphql_url)
        as_app(client, key, self._clock, lambda signed: client.get("/app", AppAnswer, jwt=signed))


def _page(site: Site, made: _Conversion) -> str:
    """The App's public page: as GitHub says, when that is on the same server; else where such pages are."""
    if made.html_url.startswith(f"{site.web_url}/"):
        return made.html_url.rstrip("/")
    return site.app_page(made.slug)


def _mode(answers: Mapping[str, str]) -> Mode:
    match answers.get("mode", ""):
        case "reader":
            return "reader"
        case "fixer":
            return "fixer"
        case _:
            raise UsageError("It was not said what the App may do.", hint="Choose reader or fixer.")


def rights(mode: Mode) -> tuple[Granted, ...]:
    """What a mode asks for, with reasons."""
    return tuple(
        Granted(name, level, WHY_WRITE if (name, level) == ("contents", "write") else WHY[name])
        for name, level in PERMISSIONS[mode].items()
    )
