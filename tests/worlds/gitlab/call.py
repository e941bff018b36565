"""One request on its way to its handler, and the answer back.

A handler is registered by `operation(METHOD, "/projects/:id/...", level=...)`. It gets a `Call` (what was asked, by whom, about which
project) and gives an `Answer` (`Answer(201, json)`, `listed(items, show)`), or raises `Refused`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.worlds.exchange import Given
from tests.worlds.gitlab.limits import Exceeded
from tests.worlds.gitlab.model import Discussion, Json, Level, MergeRequest, Namespace, Note, Project, User
from tests.worlds.gitlab.state import find_discussion, find_note
from tests.worlds.gitlab.tokens import Caller

if TYPE_CHECKING:
    from tests.worlds.gitlab.core import Gitlab


class Refused(Exception):
    """GitLab says no. `body` is JSON as GitLab sends it, or a text for the answers that are none."""

    def __init__(self, status: int, body: Json | str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(str(body))
        self.status = status
        self.body = body
        self.headers = dict(headers or {})


def refused(status: int, message: object) -> Refused:
    """A refusal with a `message`, as the application sends it."""
    return Refused(status, {"message": message})


def invalid(text: str) -> Refused:
    """400 with an `error`: parameters that are missing or of the wrong form."""
    return Refused(400, {"error": text})


def bad_request(text: str) -> Refused:
    """400 with a `message`: parameters that the application refuses."""
    return refused(400, f"400 Bad request - {text}")


def not_found(what: str = "") -> Refused:
    """404, which also hides what the caller may not see. `what`: `Project`, `Merge Request`."""
    return refused(404, f"404 {what} Not Found" if what else "404 Not found")


def forbidden() -> Refused:
    """403: it may be seen, but not done."""
    return refused(403, "403 Forbidden")


def unauthorized() -> Refused:
    """401: nobody is signed in."""
    return refused(401, "401 Unauthorized")


def too_many(exceeded: Exceeded) -> Refused:
    """429 in the form that the limit has."""
    if exceeded.json:
        return Refused(429, {"message": {"error": exceeded.text}}, exceeded.headers)
    return Refused(429, exceeded.text, exceeded.headers)


@dataclass(slots=True)
class Answer(Given):
    """`key`: the number of an item, of lists that GitLab also pages by keyset."""

    key: Callable[[Any], int] | None = None


def listed(items: Iterable[Any], show: Callable[[Any], Json], *, key: Callable[[Any], int] | None = None) -> Answer:
    """A page of a list."""
    return Answer(items=list(items), show=show, key=key)


def truth(value: object) -> bool | None:
    """A boolean of a query or body; None when it is none."""
    if isinstance(value, bool):
        return value
    return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}.get(str(value).lower())


@dataclass(slots=True)
class Call:
    """A request that was let in: recognized, routed, allowed and of a documented form."""

    gitlab: Gitlab
    caller: Caller
    method: str
    template: str
    parameters: Mapping[str, str]
    """The parts of the path, decoded."""
    given: Json
    """Query and body together."""
    headers: Mapping[str, str]
    found: Project | None = None
    group_found: Namespace | None = None
    concerns: MergeRequest | None = None
    notifies: bool = False

    @property
    def project(self) -> Project:
        """The project of the path."""
        if self.found is None:
            raise not_found("Project")
        return self.found

    @property
    def group(self) -> Namespace:
        """The group of the path."""
        if self.group_found is None:
            raise not_found("Group")
        return self.group_found

    @property
    def user(self) -> User:
        """In whose name it is done. Raises Refused for nobody."""
        if self.caller.user is None:
            raise unauthorized()
        return self.caller.user

    @property
    def level(self) -> Level:
        """What the caller may do on the project."""
        return self.caller.level(self.project)

    def at_least(self, level: Level) -> None:
        """Raise Refused (403) for a caller below a level."""
        if self.level < level:
            raise forbidden()

    def number(self, name: str) -> int:
        """A number of the path. Raises Refused."""
        value = self.parameters[name]
        if not value.isdigit():
            raise invalid(f"{name} is invalid")
        return int(value)

    def text(self, name: str, default: str | None = None) -> str:
        """A text that was given. Raises Refused when there is none and no default."""
        value = self.given.get(name, default)
        if value is None:
            raise invalid(f"{name} is missing")
        return value if isinstance(value, str) else str(value)

    def truth(self, name: str, default: bool = False) -> bool:
        """A boolean that was given. Raises Refused."""
        if self.given.get(name) is None:
            return default
        value = truth(self.given[name])
        if value is None:
            raise invalid(f"{name} is invalid")
        return value

    def integer(self, name: str) -> int | None:
        """A number that was given. Raises Refused."""
        value = self.given.get(name)
        if value is None or value == "":
            return None
        if isinstance(value, bool) or not str(value).lstrip("-").isdigit():
            raise invalid(f"{name} is invalid")
        return int(value)

    def chosen(self, name: str, words: Sequence[str], default: str | None = None) -> str:
        """One of some words. Raises Refused."""
        value = self.text(name, default)
        if value not in words:
            raise invalid(f"{name} does not have a valid value")
        return value

    def need(self, *names: str) -> None:
        """Raise Refused when one of these is missing."""
        missing = [f"{name} is missing" for name in names if self.given.get(name) is None]
        empty = [f"{name} is empty" for name in names if self.given.get(name) == ""]
        if missing or empty:
            raise invalid(", ".join(missing + empty))

    def merge_request(self) -> MergeRequest:
        """The merge request of the path; what is done concerns it. Raises Refused."""
        found = self.project.merge_requests.get(self.number("iid"))
        if found is None:
            raise not_found()
        self.concerns = found
        return found

    def discussion(self) -> Discussion:
        """The discussion of the path. Raises Refused."""
        found = find_discussion(self.merge_request(), self.parameters["discussion"])
        if found is None or not self.sees(found.first):
            raise not_found("Discussion")
        return found

    def note(self) -> Note:
        """The note of the path. Raises Refused."""
        found = find_note(self.merge_request(), self.number("note"))
        if found is None or not self.sees(found):
            raise not_found("Note")
        return found

    def sees(self, note: Note) -> bool:
        """False for an internal note and a caller below Planner (docs, "Internal notes")."""
        return not note.internal or self.level >= Level.PLANNER

    def notify(self, merge_request: MergeRequest) -> None:
        """Note that people get a mail for this."""
        self.concerns, self.notifies = merge_request, True


Handler = Callable[[Call], Answer]


@dataclass(frozen=True, slots=True)
class Route:
    """One operation of the double."""

    method: str
    template: str
    handler: Handler
    level: Level | None
    """What the caller must be on the project or group; None: whoever may see it."""
    signed_in: bool
    """False: nobody may ask too."""
    scopes: tuple[str, ...]
    """Scopes of a token of which one is enough, beside `api`."""

    @property
    def segments(self) -> tuple[str, ...]:
        """The parts of the template."""
        return tuple(self.template.strip("/").split("/"))


ROUTES: dict[tuple[str, str], Route] = {}
"""(method, template) -> its route; filled when the files of `routes/` are imported."""


def operation(
    method: str, template: str, *, level: Level | None = None, signed_in: bool | None = None, scopes: tuple[str, ...] = ()
) -> Callable[[Handler], Handler]:
    """Register a handler for a documented operation: `/projects/:id/hooks/:hook`.

    Everything but a GET needs somebody who is signed in, unless told otherwise. A GET is open to `read_api` too.
    """

    def register(handler: Handler) -> Handler:
        needs_user = signed_in if signed_in is not None else (method != "GET" or level is not None)
        allowed = (*scopes, "read_api") if method == "GET" else scopes
        ROUTES[method, template] = Route(method, template, handler, level, needs_user, allowed)
        return handler

    return register


def route_of(method: str, segments: Sequence[str]) -> tuple[Route | None, dict[str, str], bool]:
    """(route, parts of the path, whether the path is known by any method). Literal segments win over parameters."""
    best: tuple[tuple[bool, ...], Route, dict[str, str]] | None = None
    known = False
    for route in ROUTES.values():
        parts = route.segments
        if len(parts) != len(segments):
            continue
        if not all(part == given or (part.startswith(":") and given) for part, given in zip(parts, segments, strict=True)):
            continue
        known = True
        rank = tuple(not part.startswith(":") for part in parts)
        if route.method == method and (best is None or rank > best[0]):
            best = (rank, route, {part[1:]: given for part, given in zip(parts, segments, strict=True) if part.startswith(":")})
    return (best[1], best[2], True) if best else (None, {}, known)
