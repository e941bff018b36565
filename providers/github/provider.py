"""The plug-in: verify deliveries, sign in."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime

import httpx

from pipeline.limits import pause_of
from pipeline.model.event import Delivery, MissedDelivery, Received
from pipeline.model.setup import Diagnosis, Upkeep
from pipeline.model.target import Installation
from pipeline.policy import PolicyPlaces
from pipeline.ports import Capabilities, CodeHost, Configuration, HostMemory, Setting, Setup
from pipeline.sandbox.net import async_client
from providers.github import deliveries
from providers.github.api import Api
from providers.github.auth import AppKey, SignIn
from providers.github.client import Client, OpenClient
from providers.github.diagnose import Doctor
from providers.github.host import GitHubHost
from providers.github.identity import Identity, TokenSignIn, within
from providers.github.limits import Limits
from providers.github.manifest import GitHubSetup
from providers.github.memo import Memo
from providers.github.receive import receive, signed
from providers.github.repositories import PARENT_REPOSITORY
from providers.github.settings import SETTINGS, AppSettings, Site

CAPABILITIES = Capabilities(
    pull_request_path="/pull/{number}",
    annotations=50,
    max_body=65_535,
    max_title=255,
    threads=10,
    redelivers=True,
    buttons=3,
    advisories=True,
    unwritable=(".github/workflows/",),
    policies=PolicyPlaces((".github",), owner_repository=PARENT_REPOSITORY),
    file_page="blob/{commit}/{path}#L{line}-L{end}",
)
"""Sources beside the fields of `Capabilities`."""


def _guarded(host: str) -> httpx.AsyncClient:
    """The sandbox's client. The API's host is the operator's own choice, so it may be inside of his network."""
    return async_client(allow=(host,))


class GitHubProvider:
    """GitHub.com, GitHub Enterprise Server and Enterprise Cloud with data residency, through a GitHub App.

    Args:
        open_client: makes the HTTP client for an API host; a test hands in its own transport.
        clock: seconds since the epoch.
    """

    name: str = "github"
    title: str = "GitHub"
    capabilities: Capabilities = CAPABILITIES
    settings: tuple[Setting, ...] = SETTINGS
    setup_command: str = "fixwright github setup-link"

    def __init__(self, open_client: OpenClient = _guarded, clock: Callable[[], float] = time.time) -> None:
        self._open_client, self._clock = open_client, clock

    @property
    def setup(self) -> Setup | None:
        """The manifest flow."""
        return GitHubSetup(self._open_client, self._clock)

    def diagnose(self, configuration: Configuration, memory: HostMemory, hook_url: str) -> Iterator[Diagnosis]:
        """See `providers.github.diagnose`."""
        return Doctor(self._open_client, self._clock, self.connect).diagnose(configuration, memory, hook_url)

    def tend(self, configuration: Configuration, memory: HostMemory, hook_url: str) -> Upkeep:
        """Nothing: GitHub switches no hook off, and the key of an App has no end."""
        return Upkeep()

    def missed(self, configuration: Configuration, memory: HostMemory, since: datetime) -> Iterator[MissedDelivery]:
        """See `providers.github.deliveries`. Without an App of our own nothing is delivered."""
        if not configuration.get("APP_ID", "").strip():
            return iter(())
        return deliveries.missed(*self._as_app(configuration, memory), since)

    def redeliver(self, configuration: Configuration, memory: HostMemory, delivery: MissedDelivery) -> None:
        """See `providers.github.deliveries`."""
        deliveries.redeliver(*self._as_app(configuration, memory), delivery)

    def _as_app(self, configuration: Configuration, memory: HostMemory) -> tuple[Client, AppKey, Limits, Callable[[], float]]:
        site, app = Site.of(configuration), AppSettings.of(configuration)
        client = Client(self._open_client, site.api_url, site.graphql_url)
        limits = deliveries.limits_of_app(memory, site.authority, app.app_id, self._clock, pause_of(configuration))
        return client, AppKey(app), limits, self._clock

    def load(self) -> None:
        """Nothing: all of it is loaded."""

    def receive(self, delivery: Delivery, configuration: Configuration) -> Received:
        """See `providers.github.receive`."""
        return receive(delivery, configuration)

    def signed(self, body: bytes, event: str, delivery: str, configuration: Configuration) -> Mapping[str, str]:
        """See `providers.github.receive`."""
        return signed(body, event, delivery, configuration)

    def connect(self, installation: Installation, configuration: Configuration, memory: HostMemory, *, patient: bool = False) -> CodeHost:
        """Sign in to one installation; the first request is made by the first verb. Raises NotConfigured.

        An App goes before a token: it may do more, and its token is made for each step.
        """
        site = Site.of(configuration)
        client = Client(self._open_client, site.api_url, site.graphql_url)
        # A named instance is known by its name in all that its deliveries brought; else by its web host.
        number, instance = installation.external_id, installation.instance or site.web_host
        token = configuration.get("TOKEN", "").strip()
        if token and not configuration.get("APP_ID", "").strip():
            lenient = configuration.get("READ_ONLY_OK", "") == "1"
            owner = TokenSignIn(client, token, number, memory, site=site.authority)
            api = self._api(client, owner, memory, site, number, open_seconds=pause_of(configuration))
            return GitHubHost(api, memory, site, within(self.capabilities, token), instance=instance, lenient=lenient)
        key = AppKey(AppSettings.of(configuration))
        sign_in = SignIn(client, key, number, memory, site=site.authority, clock=self._clock)
        api = self._api(client, sign_in, memory, site, number, open_seconds=pause_of(configuration), patient=patient)
        return GitHubHost(api, memory, site, self.capabilities, instance=instance)

    def _api(
        self,
        client: Client,
        sign_in: Identity,
        memory: HostMemory,
        site: Site,
        number: str,
        *,
        open_seconds: float,
        patient: bool = False,
    ) -> Api:
        limits = Limits(memory, site.authority, number, clock=self._clock, patient=patient, open_seconds=open_seconds)
        return Api(client, sign_in, limits, Memo(memory, site.authority, number))


PROVIDER = GitHubProvider()
