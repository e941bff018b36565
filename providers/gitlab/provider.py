"""The plug-in: verify deliveries, sign in."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from datetime import time as midnight

from pipeline.errors import HostError, NotConfigured
from pipeline.limits import pause_of
from pipeline.model.event import Delivery, MissedDelivery, Received
from pipeline.model.setup import Diagnosis, Upkeep
from pipeline.model.target import Installation
from pipeline.policy import PolicyPlaces
from pipeline.ports import OUR_URL, Capabilities, CodeHost, Configuration, HostMemory, Setting, Setup
from providers.gitlab.api import Api
from providers.gitlab.client import OpenLine, guarded, load
from providers.gitlab.diagnose import Doctor
from providers.gitlab.hook_api import GitlabHooks
from providers.gitlab.hook_care import Caretaker
from providers.gitlab.host import GitLabHost
from providers.gitlab.projects import PARENT_PROJECT
from providers.gitlab.receive import receive, signed
from providers.gitlab.settings import SETTINGS, Site, Trust

CAPABILITIES = Capabilities(
    pull_request_word="merge request",
    pull_request_path="/-/merge_requests/{number}",
    reference_sign="!",
    taken_commands=("status",),
    check_pages=False,
    suggestions=True,
    suggestion_fence="suggestion:-{above}+0",
    annotations=0,
    max_body=65_535,
    max_title=255,
    threads=10,
    checks_by_pipeline=True,
    redelivers=False,
    tells_installations=False,
    internal_comments=True,
    advisories=False,
    buttons=0,
    policies=PolicyPlaces((".gitlab",), owner_repository=PARENT_PROJECT),
    file_page="-/blob/{commit}/{path}#L{line}-{end}",
)
"""Sources beside the fields of `Capabilities`.

- `max_body`: a note takes 1,000,000 characters (docs "Instance limits", "Size of comments"); nobody reads more than what other hosts take.
- `max_title`: the description of a commit status (docs REST "Commits").
- `checks_by_pipeline`: a commit status belongs to one pipeline (docs REST "Commits", "Set commit pipeline status").
- `redelivers`: a delivery can be sent again by number, but nobody lists those of a project without the role Maintainer, and what a hook
  lost while it was switched off was never made: reconciliation finds it.
- `unwritable`: nothing; GitLab keeps no file from a token with the scope `api`, and a pipeline of a branch runs whatever stands there.
- `taken_commands`: `/status` sets the status of an issue (docs "GitLab quick actions", 18.2 and later); GitLab takes such a line out of any
  note, also where it does nothing.
"""


class GitLabProvider:
    """GitLab.com and self-managed GitLab, also below a path, with an access token of a project, a group or a person.

    Args:
        open_line: makes the connection to an API; a test hands in its own.
        clock: seconds since the epoch.
    """

    name: str = "gitlab"
    title: str = "GitLab"
    capabilities: Capabilities = CAPABILITIES
    settings: tuple[Setting, ...] = SETTINGS
    setup_command: str = "fixwright gitlab setup"

    def __init__(self, open_line: OpenLine = guarded, clock: Callable[[], float] = time.time) -> None:
        self._open_line, self._clock = open_line, clock

    @property
    def setup(self) -> Setup | None:
        """Nothing for a browser: a token is made on GitLab's page, and `fixwright gitlab connect` does the rest."""
        return None

    def load(self) -> None:
        """python-gitlab, and how its answers are read."""
        load()

    def receive(self, delivery: Delivery, configuration: Configuration) -> Received:
        """See `providers.gitlab.receive`."""
        return receive(delivery, configuration, clock=self._clock)

    def signed(self, body: bytes, event: str, delivery: str, configuration: Configuration) -> Mapping[str, str]:
        """See `providers.gitlab.receive`."""
        return signed(body, event, delivery, configuration, now=self._clock())

    def connect(self, installation: Installation, configuration: Configuration, memory: HostMemory, *, patient: bool = False) -> CodeHost:
        """Sign in to one top-level namespace; the first request is made by the first verb. Raises NotConfigured."""
        # A named instance is known by its name in all that its deliveries brought; else by its web address.
        api = self.api(configuration, memory, account=installation.account, instance=installation.instance, patient=patient)
        return GitLabHost(api, memory, self.capabilities)

    def api(self, configuration: Configuration, memory: HostMemory, *, account: str = "", instance: str = "", patient: bool = False) -> Api:
        """The way to GitLab with the configured token; `account` is the namespace that is worked for. Raises NotConfigured."""
        site, token = Site.of(configuration), configuration.get("TOKEN", "").strip()
        if not token:
            raise NotConfigured(
                "GitLab's access token is not set",
                hint="make one with the scope `api` for the group or project (role Developer, or Maintainer to connect webhooks), "
                "and set FIXWRIGHT_GITLAB_TOKEN",
            )
        if not token.isascii() or not token.isprintable() or " " in token:
            raise NotConfigured("FIXWRIGHT_GITLAB_TOKEN is no access token", hint="set it to the token alone, as GitLab showed it once")
        return Api(
            self._open_line,
            site,
            token,
            memory,
            account=account,
            instance=instance or site.authority,
            clock=self._clock,
            patient=patient,
            open_seconds=pause_of(configuration),
            hook_url=_hook_url(configuration, "" if instance == site.authority else instance),
        )

    def missed(self, configuration: Configuration, memory: HostMemory, since: datetime) -> Iterator[MissedDelivery]:
        """Nothing: see `CAPABILITIES`."""
        return iter(())

    def redeliver(self, configuration: Configuration, memory: HostMemory, delivery: MissedDelivery) -> None:
        """There is nothing to deliver again."""

    def tend(self, configuration: Configuration, memory: HostMemory, hook_url: str) -> Upkeep:
        """Switch our hooks on again (`providers.gitlab.hook_care`), and say when the token ends."""
        api = self.api(configuration, memory, patient=True)
        api.forget()
        token = api.token()
        found: list[Diagnosis] = []
        try:
            Trust.of(configuration)
            found.extend(Caretaker(GitlabHooks(api), memory, api.site, configuration, hook_url).tend())
        except NotConfigured:  # without a secret no delivery is believed: there is no webhook of ours to look after
            pass
        except HostError as error:  # the end of the token is told all the same
            found.append(Diagnosis("webhooks", error.message, False, error.hint))
        ends = token.expires_at if token is not None else None
        return Upkeep(tuple(found), None if ends is None else datetime.combine(ends, midnight.min, UTC))

    def diagnose(self, configuration: Configuration, memory: HostMemory, hook_url: str) -> Iterator[Diagnosis]:
        """See `providers.gitlab.diagnose`."""
        return Doctor(self.api, self._clock).diagnose(configuration, memory, hook_url)


def _hook_url(configuration: Configuration, name: str) -> str:
    """Where GitLab delivers for the instance of that name; empty where our own address is not known."""
    base = (configuration.get("PUBLIC_URL") or configuration.get(OUR_URL, "")).rstrip("/")
    return f"{base}/webhooks/{GitLabProvider.name}" + (f"/{name}" if name else "") if base else ""


PROVIDER = GitLabProvider()
