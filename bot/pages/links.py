"""Who may set up: a link that works once, the browser that followed it, and each of its attempts at the host.

All of it lies in `HostMemory`, for a time. Of links, browsers and attempts only hashes are kept: a copy of the database opens nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from pipeline.ports import HostMemory

LINK_SECONDS = 24 * 3600.0
"""For which a link can be followed, unless a newer one was made."""
SESSION_SECONDS = 2 * 3600.0
"""For which the browser that followed it may go on."""
ATTEMPT_SECONDS = 3600.0
"""For which an attempt is known; a code that a host gives lives no longer."""
EXCHANGE_SECONDS = 90.0
"""How long one callback may keep a repeated one waiting."""

_LINK = "setup/link"
_Kept = TypeVar("_Kept")


@dataclass(frozen=True, slots=True)
class Target:
    """What a link may set up."""

    instance: str | None = None
    """Name of the instance, which may exist and is then replaced; None: the default one while it is free, else a new one."""
    provider: str = ""
    """Whose instance; empty for the only host that is set up with a browser."""
    first: bool = False
    """Made because nothing was set up: worth nothing once something is, by whatever way."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an attempt."""

    name: str
    owner: str
    next_url: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """One way to the host and back."""

    browser: str
    """Hash of the session that began it."""
    provider: str
    instance: str
    public_url: str
    hook_url: str
    return_url: str
    installed_url: str
    answers: Mapping[str, str] = field(default_factory=dict)
    outcome: Outcome | None = None


_TARGET = TypeAdapter(Target)
_ATTEMPT = TypeAdapter(Attempt)


class SetupLinks:
    """See the module."""

    def __init__(self, memory: HostMemory) -> None:
        self._memory = memory

    def make(self, target: Target) -> str:
        """A new link's token; the link before it is worth nothing any more."""
        token = secrets.token_urlsafe(32)
        self._memory.put(_LINK, json.dumps({"hash": _hashed(token), "target": asdict(target)}).encode(), LINK_SECONDS)
        return token

    def leads_to(self, token: str) -> Target | None:
        """What a link is for; None for what is no live link. A look that changes nothing."""
        found = self._live(token)
        return found[1] if found is not None else None

    def follow(self, token: str) -> str | None:
        """The session of the browser that follows the link first; None for every other one, and for what is no live link."""
        found = self._live(token)
        if found is None or not self._memory.compare_and_set(_LINK, found[0], b"{}", LINK_SECONDS):
            return None
        session = secrets.token_urlsafe(32)
        self._memory.put(_session(session), _TARGET.dump_json(found[1]), SESSION_SECONDS)
        return session

    def _live(self, token: str) -> tuple[bytes, Target] | None:
        """The link of that token as it is kept, and what it is for."""
        known = self._memory.get(_LINK)
        link = json.loads(known) if known else {}
        if known is None or not hmac.compare_digest(str(link.get("hash", "")), _hashed(token)):
            return None
        return known, _TARGET.validate_python(link["target"])

    def target(self, session: str) -> Target | None:
        """What this browser may set up; None when it may not."""
        return _read(_TARGET, self._memory.get(_session(session))) if session else None

    def begin(self, session: str, attempt: Attempt) -> str:
        """The state that goes to the host and comes back."""
        state = secrets.token_urlsafe(32)
        self._put(state, replace(attempt, browser=_hashed(session)))
        return state

    @contextmanager
    def returning(self, session: str, state: str) -> Iterator[Attempt | None]:
        """The attempt of that state and that browser, nobody else working on it meanwhile; None when there is none."""
        if self._of(session, state) is None:  # strangers do not get as far as a lock
            yield None
            return
        with self._memory.lock(_attempt(state), EXCHANGE_SECONDS):
            yield self._of(session, state)

    def _of(self, session: str, state: str) -> Attempt | None:
        attempt = _read(_ATTEMPT, self._memory.get(_attempt(state)))
        return attempt if attempt is not None and hmac.compare_digest(attempt.browser, _hashed(session)) else None

    def end(self, session: str, state: str, attempt: Attempt, outcome: Outcome) -> None:
        """It is done: the browser may set up nothing more, but see again what came of it."""
        self._put(state, replace(attempt, outcome=outcome))
        self._memory.put(_session(session), b"ended", 1.0)

    def _put(self, state: str, attempt: Attempt) -> None:
        self._memory.put(_attempt(state), _ATTEMPT.dump_json(attempt), ATTEMPT_SECONDS)


def _hashed(value: str) -> str:
    """High entropy goes in, so that a plain hash gives nothing away."""
    return hashlib.sha256(value.encode("utf-8", "replace")).hexdigest()


def _session(session: str) -> str:
    return f"setup/session/{_hashed(session)}"


def _attempt(state: str) -> str:
    return f"setup/attempt/{_hashed(state)}"


def _read(adapter: TypeAdapter[_Kept], value: bytes | None) -> _Kept | None:
    if value is None:
        return None
    try:
        return adapter.validate_json(value)
    except ValidationError:  # another version's, or ended
        return None
