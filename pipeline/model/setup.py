"""Setting up a host with a browser: what is asked, what is posted, what comes back; and what a look at the host found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Question:
    """Something that setup asks a person: one of some choices, or a line of text where there are none."""

    name: str
    label: str
    help: str = ""
    choices: tuple[Choice, ...] = ()
    """The first one is chosen until another is."""
    example: str = ""
    """A possible answer, shown while there is none."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer to a question, and what is asked with it."""

    value: str
    label: str
    help: str = ""
    asks: tuple[Question, ...] = ()


@dataclass(frozen=True, slots=True)
class SetupRequest:
    """What a person answered, and the addresses that the host is to know."""

    answers: Mapping[str, str]
    public_url: str
    """Fixwright as the host reaches it; without a slash at the end."""
    hook_url: str
    """Where it is to deliver."""
    return_url: str
    """Where the person's browser is to come back to."""
    installed_url: str
    """Where it is to come to after Fixwright was let into repositories."""
    state: str
    """Comes back with the browser: a secret of this one attempt."""


@dataclass(frozen=True, slots=True)
class Granted:
    """One right that Fixwright asks for, and what for."""

    name: str
    level: str
    why: str


@dataclass(frozen=True, slots=True)
class SetupForm:
    """What the person's browser is to post to the host."""

    action: str
    fields: Mapping[str, str]
    name: str
    """What is made there."""
    owner: str
    """For whom, in words."""
    rights: tuple[Granted, ...]


@dataclass(frozen=True, slots=True)
class SetupResult:
    """What the host gave: everything that an instance needs."""

    settings: Mapping[str, str] = field(repr=False)
    name: str
    owner: str
    next_url: str
    """The host's page on which a person says which repositories Fixwright may see."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One thing that was tried. `ok` None: for information."""

    topic: str
    said: str
    ok: bool | None = None
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Upkeep:
    """What a provider found, and mended, when it looked after our standing at a host."""

    found: tuple[Diagnosis, ...] = ()
    """What a person should know: `ok` True was mended just now, False is left for the person. Nothing when all is well."""
    expires: datetime | None = None
    """When the credential that we sign in with ends; None: never, or nobody says. The first one, of several."""
