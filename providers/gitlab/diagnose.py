"""`fixwright doctor gitlab`: every hop between us and GitLab, tried one after the other and said in words.

Sources: docs "Version API", "Users API", "Personal access tokens API" ("Self-inform"), "Project access tokens" and "Group access tokens"
(their users), "Projects API" (`permissions`), "Webhooks".
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pipeline.errors import FixwrightError, HostError, HostGarbage, HostNotFound, NotConfigured
from pipeline.model.setup import Diagnosis
from pipeline.ports import Configuration, HostMemory
from pipeline.sandbox.hops import deliver, first_cause, way_hint, way_out
from pipeline.signing import sign
from providers.gitlab.api import WRITES, Account, Api, Token, number_of
from providers.gitlab.client import Answer
from providers.gitlab.failures import ANOTHER
from providers.gitlab.hook_api import GitlabHooks
from providers.gitlab.hook_care import Caretaker
from providers.gitlab.people import is_bot
from providers.gitlab.projects import DEVELOPER, REPORTER, listed
from providers.gitlab.settings import Site, Trust

WARN_DAYS = 14
"""So long before its end a token is warned of: time for somebody who is away for a week."""
TOLERATED_SKEW = 60.0
"""Seconds that our clock may differ: signed deliveries allow for five minutes in all."""
LOOKED_AT = 500
"""Projects whose roles are looked at."""
NAMED = 5
"""Projects that one line names."""
TOO_MUCH = frozenset({"sudo", "admin_mode"})
"""Scopes that reach beyond everything that Fixwright does."""
OLDEST = (15, 5)
"""The first version that lets a token of any kind tell when it ends."""

NO_GITLAB = "set FIXWRIGHT_GITLAB_URL to the address of GitLab, with the path below which it lies if there is one"


class _Version(Answer):
    version: str = ""


@dataclass(frozen=True, slots=True)
class Doctor:
    """One visit.

    Args:
        sign_in: the way to GitLab with the configured token. Raises NotConfigured.
        clock: seconds since the epoch.
    """

    sign_in: Callable[[Configuration, HostMemory], Api]
    clock: Callable[[], float]

    def diagnose(self, configuration: Configuration, memory: HostMemory, hook_url: str) -> Iterator[Diagnosis]:
        """See `pipeline.ports.Provider.diagnose`. What depends on something that failed is left out."""
        try:
            site, api = Site.of(configuration), self.sign_in(configuration, memory)
            trust = Trust.of(configuration)
        except NotConfigured as error:
            yield Diagnosis("settings", error.message, False, error.hint)
            return
        proof = " and ".join(word for word, given in (("webhook secret", trust.secrets), ("signing token", trust.keys)) if given)
        yield Diagnosis("settings", f"access token and {proof} are set", True)
        api.forget()
        try:
            yield from way_out(site.web_url)
            reached = list(_reach(api, site))
        except NotConfigured as error:  # a proxy or an authority that cannot be used
            yield Diagnosis("connection", error.message, False, error.hint)
            return
        yield from reached
        if not reached[0].ok:
            return
        try:
            me = api.me()
        except FixwrightError as error:
            yield _failed("token", error)
            return
        yield Diagnosis("token", f"{kind_of(me)} is accepted", True)
        yield from _token(api)
        yield from _roles(api)
        yield from _hooks(Caretaker(GitlabHooks(api), memory, site, configuration, hook_url))
        yield ping(trust, hook_url, self.clock())


def kind_of(account: Account) -> str:
    """Whose a token is, by the user that stands behind it."""
    name = account.username
    for start, word in (("project_", "the access token of a project"), ("group_", "the access token of a group")):
        if is_bot(name) and name.lower().startswith(start):
            return f"{word} ({name})"
    if is_bot(name) or account.bot:
        return f"the token of the service account {name}"
    return f"the personal token of {name}"


def ping(trust: Trust, hook_url: str, now: float) -> Diagnosis:
    """A delivery to ourselves, proven as GitLab would prove it."""
    body = json.dumps({"object_kind": "doctor"}).encode()
    identity = f"doctor-{uuid.uuid4()}"
    headers = {
        "content-type": "application/json",
        "user-agent": "GitLab/fixwright-doctor",
        "x-gitlab-event": "Doctor Hook",
        "x-gitlab-event-uuid": identity,
        "idempotency-key": identity,
    }
    if trust.keys:
        headers |= {"webhook-id": identity, "webhook-timestamp": f"{now:.0f}"}
        headers["webhook-signature"] = sign(trust.keys[0], identity, int(headers["webhook-timestamp"]), body)
    else:
        headers["x-gitlab-token"] = trust.secrets[0].decode()
    return deliver(hook_url, body, headers, differs="has another signing token" if trust.keys else "has another webhook secret")


def _reach(api: Api, site: Site) -> Iterator[Diagnosis]:
    """DNS, TCP and TLS, through the proxy when there is one; that it is a GitLab; and its clock."""
    version = ""
    try:
        version = api.ask(lambda gl: gl.http_get("/version"), _Version, what="the question for its version").version
    except HostError as error:
        if not api.answered():
            yield Diagnosis("connection", first_cause(error), False, error.hint or way_hint(error))
            return
        if isinstance(error, (HostGarbage, HostNotFound)):
            hint = error.hint if isinstance(error, HostGarbage) else ""
            yield Diagnosis("connection", f"what answers there is no GitLab: {error.message}", False, hint or NO_GITLAB)
            return
        # A refusal of any kind shows that the way is open.
    yield Diagnosis("connection", f"{site.authority} answers", True)
    if version:
        old = number_of(version) < OLDEST
        hint = "with GitLab 15.5 or newer, it is known when the token ends"
        yield Diagnosis("version", f"GitLab {version[:40]}", None if old else True, hint if old else "")
    skew = api.skew()
    far = abs(skew) > TOLERATED_SKEW
    said = f"GitLab's clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} ours" if far else "ours and GitLab's agree"
    yield Diagnosis("clock", said, not far, "set this machine's clock by NTP: signed deliveries of another time are refused")


def _token(api: Api) -> Iterator[Diagnosis]:
    """Scopes and end of the token, as it tells itself."""
    try:
        token = api.token()
    except FixwrightError as error:
        yield _failed("scopes", error)
        return
    if token is None:
        yield Diagnosis("scopes", "GitLab does not tell what the token may do, nor when it ends")
        return
    scopes = ", ".join(sorted(token.scopes)) or "none"
    if WRITES not in token.scopes:
        yield Diagnosis("scopes", f"{scopes}; the scope `{WRITES}` is missing, without which nothing can be written", False, ANOTHER)
    elif more := sorted(TOO_MUCH & set(token.scopes)):
        yield Diagnosis("scopes", f"{scopes}; more than Fixwright uses: {', '.join(more)}", False, ANOTHER)
    else:
        yield Diagnosis("scopes", scopes, True)
    yield ending(token, api)


def ending(token: Token, api: Api) -> Diagnosis:
    """When the token ends."""
    days = token.days(api.today())
    if days is None or token.expires_at is None:
        return Diagnosis("expiry", "the token does not expire")
    said = f"the token expires on {token.expires_at.isoformat()}, in {days} day{'' if days == 1 else 's'}"
    if days <= 0:
        return Diagnosis("expiry", f"the token expired on {token.expires_at.isoformat()}", False, ANOTHER)
    return Diagnosis("expiry", said, days > WARN_DAYS, f"before that day run: fixwright gitlab rotate; or {ANOTHER}")


def _roles(api: Api) -> Iterator[Diagnosis]:
    """Where the token's account may read code, and where it may write."""
    try:
        found = listed(api, REPORTER, most=LOOKED_AT)
    except FixwrightError as error:
        yield _failed("projects", error)
        return
    if not found:
        hint = "give its account the role Developer in the group or project that is to be scanned"
        yield Diagnosis("projects", "none: the token's account is a member of no project with the role Reporter or above", False, hint)
        return
    many = f"{LOOKED_AT:,} or more" if len(found) >= LOOKED_AT else f"{len(found):,}"
    below = [one.path_with_namespace for one in found if 0 < one.level < DEVELOPER]
    if not below:
        yield Diagnosis("projects", f"{many} project{'' if len(found) == 1 else 's'}, with the role Developer or above", True)
        return
    named = f"{', '.join(below[:NAMED])}{' and more' if len(below) > NAMED else ''}"
    hint = "give its account the role Developer there: without it, no status and no fix can be written"
    yield Diagnosis("projects", f"{many}; in {len(below):,} of them the role is below Developer: {named}", False, hint)


def _hooks(caretaker: Caretaker) -> Iterator[Diagnosis]:
    try:
        yield from caretaker.diagnose()
    except FixwrightError as error:
        yield _failed("webhooks", error)


def _failed(topic: str, error: FixwrightError) -> Diagnosis:
    """What could not be asked for."""
    return Diagnosis(topic, error.message, False, error.hint or "try again in a minute; does GitLab itself work?")
