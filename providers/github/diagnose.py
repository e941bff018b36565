"""`fixwright doctor github`: every hop between us and GitHub, tried one after the other and said in words.

Sources: docs REST "Get the authenticated app", "Get a webhook configuration for an app", "List deliveries for an app webhook",
"List installations for the authenticated app".
"""

from __future__ import annotations

import hashlib
import hmac
import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from pydantic import Field

from pipeline.errors import FixwrightError, HostError, NotConfigured
from pipeline.model.ids import InstallationId
from pipeline.model.setup import Diagnosis
from pipeline.model.target import Installation
from pipeline.ports import CodeHost, Configuration, HostMemory
from pipeline.sandbox.hops import deliver, first_cause, way_hint, way_out
from providers.github.auth import LEVELS, TOLERATED_SKEW, AppKey, as_app
from providers.github.client import Answer, Client, OpenClient, path
from providers.github.manifest import OPTIONAL, PERMISSIONS, READER, Mode, asked_events
from providers.github.payloads import Account
from providers.github.settings import AppSettings, Site, webhook_secrets

LOOKED_AT = 10
"""Installations whose repositories are counted; each costs a token and a list."""
DELIVERIES = 30
"""Newest deliveries that are looked at."""
NAMED = 5
"""Repositories that one line names."""


class Connect(Protocol):
    """`Provider.connect`."""

    def __call__(self, installation: Installation, configuration: Configuration, memory: HostMemory) -> CodeHost:
        """Sign in to one installation."""


class _App(Answer):
    id: int
    slug: str
    owner: Account | None = None
    permissions: dict[str, str] = Field(default_factory=dict)
    events: list[str] = Field(default_factory=list)


class _Hook(Answer):
    url: str = ""
    content_type: str = ""
    insecure_ssl: str | int | float = "0"


class _Delivery(Answer):
    event: str = ""
    status_code: int = 0
    status: str = ""
    delivered_at: str = ""


class _Installation(Answer):
    id: int
    account: Account | None = None
    permissions: dict[str, str] = Field(default_factory=dict)
    suspended_at: str | None = None


@dataclass(frozen=True, slots=True)
class Doctor:
    """What the visits share."""

    open_client: OpenClient
    clock: Callable[[], float]
    connect: Connect

    def diagnose(self, configuration: Configuration, memory: HostMemory, hook_url: str) -> Iterator[Diagnosis]:
        """See `pipeline.ports.Provider.diagnose`. What depends on something that failed is left out."""
        try:
            site, settings = Site.of(configuration), AppSettings.of(configuration)
            webhook_secrets(configuration)
        except NotConfigured as error:
            yield Diagnosis("settings", error.message, False, error.hint)
            return
        yield Diagnosis("settings", f"App {settings.app_id}, private key and webhook secret are set", True)
        yield from way_out(site.api_url)
        key, client = AppKey(settings), Client(self.open_client, site.api_url, site.graphql_url)
        reached = self._reach(client, site)
        yield from reached
        if not reached[0].ok:
            return
        app, said = self._app(client, key)
        yield said
        if app is None:
            return
        yield from _compared(app)
        yield from self._hook(client, key, hook_url)
        yield from ping(configuration, hook_url)
        yield from self._deliveries(client, key)
        yield from self._installations(client, key, configuration, memory, app, site)

    def _reach(self, client: Client, site: Site) -> list[Diagnosis]:
        """DNS, TCP and TLS, through the proxy when there is one; and GitHub's clock."""
        try:
            client.get("/meta", Answer)
        except HostError as error:
            # An answer of any kind, also a refusal, shows that the way is open.
            if not client.headers():
                return [Diagnosis("connection", first_cause(error), False, way_hint(error))]
        skew = client.skew()
        far = abs(skew) > TOLERATED_SKEW
        said = f"GitHub's clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} ours" if far else "ours and GitHub's agree"
        return [
            Diagnosis("connection", f"{site.api_host} answers", True),
            Diagnosis("clock", said, not far, "set this machine's clock by NTP: GitHub refuses an App whose clock is wrong"),
        ]

    def _app(self, client: Client, key: AppKey) -> tuple[_App | None, Diagnosis]:
        try:
            app = as_app(client, key, self.clock, lambda signed: client.get("/app", _App, jwt=signed))
        except FixwrightError as error:
            return None, Diagnosis("App", error.message, False, error.hint)
        owner = f" of {app.owner.name}" if app.owner else ""
        return app, Diagnosis("App", f"{app.slug} (number {app.id}){owner} accepts the key", True)

    def _hook(self, client: Client, key: AppKey, hook_url: str) -> Iterator[Diagnosis]:
        """Whether the webhook is set as deliveries need it."""
        try:
            hook = as_app(client, key, self.clock, lambda signed: client.get("/app/hook/config", _Hook, jwt=signed))
        except FixwrightError as error:
            yield Diagnosis("webhook", error.message, False, error.hint)
            return
        same = hook.url.rstrip("/") == hook_url
        yield Diagnosis(
            "webhook address",
            hook.url if same else f"GitHub delivers to {hook.url or 'nowhere'}, Fixwright is at {hook_url}",
            same,
            "change the webhook's URL in the App's settings, or FIXWRIGHT_URL",
        )
        yield Diagnosis(
            "webhook content type", hook.content_type, hook.content_type == "json", "choose application/json in the App's settings"
        )
        verified = str(hook.insecure_ssl).partition(".")[0] == "0"
        yield Diagnosis(
            "webhook certificate", "GitHub checks it" if verified else "GitHub does not check it", verified, "enable SSL verification there"
        )

    def _deliveries(self, client: Client, key: AppKey) -> Iterator[Diagnosis]:
        """How the newest deliveries ended, as GitHub saw it."""
        try:
            address = path("app", "hook", "deliveries", per_page=DELIVERIES)
            found = as_app(client, key, self.clock, lambda signed: client.pages(address, _Delivery, jwt=signed, most=DELIVERIES))
        except FixwrightError as error:
            yield Diagnosis("deliveries", error.message, False, error.hint)
            return
        if not found:
            yield Diagnosis("deliveries", "none in the last days")
            return
        failed = [one for one in found if not 200 <= one.status_code < 300]
        newest = found[0]
        said = f"{len(found) - len(failed)} of the newest {len(found)} arrived, the last one ({newest.event}) at {newest.delivered_at}"
        if not failed:
            yield Diagnosis("deliveries", said, True)
            return
        if newest.status_code == 401:
            said = f"GitHub's secret and ours differ: the last delivery ({newest.event} at {newest.delivered_at}) was answered 401"
            yield Diagnosis("deliveries", said, False, "set the same webhook secret in the App's settings and in Fixwright")
            return
        worst = failed[0]
        hint = f"the last failure ({worst.event} at {worst.delivered_at}) ended with {worst.status_code or 'no answer'} {worst.status}"
        # Old failures are history once the newest one has arrived.
        yield Diagnosis("deliveries", f"{said}; {hint}", newest not in failed, hint)

    def _installations(
        self, client: Client, key: AppKey, configuration: Configuration, memory: HostMemory, app: _App, site: Site
    ) -> Iterator[Diagnosis]:
        try:
            address = path("app", "installations", per_page=100)
            found = as_app(client, key, self.clock, lambda signed: client.pages(address, _Installation, jwt=signed))
        except FixwrightError as error:
            yield Diagnosis("installations", error.message, False, error.hint)
            return
        if not found:
            where = f"{site.app_page(app.slug)}/installations/new"
            yield Diagnosis("installations", "none: the App may see no repository", False, f"install it: {where}")
            return
        for one in found[:LOOKED_AT]:
            yield self._installation(one, configuration, memory, site, app)
        if len(found) > LOOKED_AT:
            yield Diagnosis("installations", f"{len(found) - LOOKED_AT} more were not looked at")

    def _installation(self, one: _Installation, configuration: Configuration, memory: HostMemory, site: Site, app: _App) -> Diagnosis:
        account = one.account.name if one.account else "?"
        topic = f"installation {account}"
        if one.suspended_at:
            return Diagnosis(topic, "suspended by its owner", False, "its owner can unsuspend it in the installation's settings")
        lacking = _lacking(one.permissions, {name: level for name, level in app.permissions.items() if name in READER})
        if lacking:
            hint = "its owner must accept the App's new permissions in the installation's settings"
            return Diagnosis(topic, f"has not granted {', '.join(lacking)}", False, hint)
        installation = Installation(InstallationId(str(one.id)), "github", site.web_host, account, str(one.id))
        try:
            repositories = self.connect(installation, configuration, memory).repositories()
        except FixwrightError as error:
            return Diagnosis(topic, error.message, False, error.hint)
        public = [repository.full_name for repository in repositories if not repository.private]
        named = f"; public: {', '.join(public[:NAMED])}{' and more' if len(public) > NAMED else ''}" if public else ""
        mode = "fixer" if one.permissions.get("contents") == "write" else "reader"
        return Diagnosis(topic, f"{mode}, {_counted(len(repositories), 'repository', 'repositories')}{named}", True)


def mode_of(permissions: Mapping[str, str]) -> Mode:
    """Which of our manifests an App follows."""
    return "fixer" if permissions.get("contents") == "write" else "reader"


def _compared(app: _App) -> Iterator[Diagnosis]:
    """The App's permissions and events against the manifest of its mode: what is missing, and what is more than we use."""
    mode = mode_of(app.permissions)
    wanted = PERMISSIONS[mode]
    lacking = _lacking(app.permissions, wanted)
    unasked = {name: level for name, level in app.permissions.items() if LEVELS.get(OPTIONAL.get(name, ""), 0) < LEVELS.get(level, 9)}
    more = _lacking(wanted, unasked)
    said = [f"those of a {mode}"]
    if lacking:
        said = [f"missing for a {mode}: {', '.join(lacking)}"]
    if more:
        said.append(f"more than Fixwright uses: {', '.join(more)}")
    yield Diagnosis("permissions", "; ".join(said), not lacking and not more, "compare the App's settings with docs/security.md")
    events = set(asked_events()) - set(app.events)
    yield Diagnosis(
        "events",
        f"missing: {', '.join(sorted(events))}" if events else "all that Fixwright understands",
        not events,
        "subscribe to them in the App's settings: Permissions & events",
    )


def _lacking(have: Mapping[str, str], wanted: Mapping[str, str]) -> list[str]:
    return [f"{name}: {level}" for name, level in wanted.items() if LEVELS.get(have.get(name, ""), 0) < LEVELS.get(level, 9)]


def ping(configuration: Configuration, hook_url: str) -> Iterator[Diagnosis]:
    """A signed delivery to ourselves, as GitHub would send it: it proves that what answers there has the same secret."""
    body = json.dumps({"zen": "Keep it logically awesome.", "hook_id": 0}).encode()
    secret = webhook_secrets(configuration)[0]
    headers = {
        "content-type": "application/json",
        "user-agent": "GitHub-Hookshot/fixwright-doctor",
        "x-github-event": "ping",
        "x-github-delivery": f"doctor-{uuid.uuid4()}",
        "x-hub-signature-256": "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest(),
    }
    yield deliver(hook_url, body, headers, differs="has another webhook secret")


def _counted(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"
