"""One request on its way to its handler, and the answer back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.worlds.exchange import Given
from tests.worlds.github.model import Account, Json, PullRequest, Repository
from tests.worlds.github.tokens import Caller

if TYPE_CHECKING:
    from tests.worlds.github.core import Github

DOCS = "https://docs.github.com/rest"


class Refused(Exception):
    """GitHub says no. `errors` are its details: objects of the long form, texts of the short one."""

    def __init__(self, status: int, message: str, errors: Sequence[Json | str] = (), headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body: Json = {"message": message, "documentation_url": DOCS, "status": str(status)} | (
            {"errors": list(errors)} if errors else {}
        )
        self.headers = dict(headers or {})


def not_found() -> Refused:
    """404, which also hides what the caller may not see."""
    return Refused(404, "Not Found")


def invalid(resource: str, field_name: str, message: str, code: str = "custom") -> Refused:
    """422 about one field."""
    return Refused(422, "Validation Failed", [{"resource": resource, "code": code, "field": field_name, "message": message}])


@dataclass(slots=True)
class Answer(Given):
    """`key`: under what the items are wrapped when GitHub does so."""

    key: str = ""
    wrapping: Json = field(default_factory=dict)


def listed(items: Sequence[Any], show: Callable[[Any], Json], key: str = "", **wrapping: object) -> Answer:
    """A page of a list."""
    return Answer(items=items, show=show, key=key, wrapping=wrapping)


@dataclass(slots=True)
class Call:
    """A request that was let in: recognized, routed, allowed and valid."""

    github: Github
    caller: Caller
    method: str
    template: str
    parameters: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Json
    found: Repository | None = None
    concerns: PullRequest | None = None
    notifies: bool = False

    @property
    def repository(self) -> Repository:
        """The repository of the path."""
        if self.found is None:
            raise not_found()
        return self.found

    @property
    def account(self) -> Account:
        """In whose name it is done. Raises Refused for nobody."""
        if self.caller.account is None:
            raise Refused(401, "Requires authentication")
        return self.caller.account

    def number(self, name: str) -> int:
        """A number of the path."""
        return int(self.parameters[name])

    def pull(self, name: str = "pull_number") -> PullRequest:
        """The pull request of the path; what is done concerns it. Raises Refused."""
        pull = self.repository.pulls.get(self.number(name))
        if pull is None:
            raise not_found()
        self.concerns = pull
        return pull

    def notify(self, pull: PullRequest) -> None:
        """Note that people get a mail for this."""
        self.concerns, self.notifies = pull, True


Handler = Callable[[Call], Answer]


@dataclass(frozen=True, slots=True)
class Route:
    """One operation of the double."""

    handler: Handler
    needs: tuple[str, ...]
    """Permissions of which one is enough: `checks:write`."""
    who: str
    """`app`, `installation` or empty for everybody."""


ROUTES: dict[tuple[str, str], Route] = {}
"""(method, documented path) -> its route; filled when the files of `routes/` are imported."""


def operation(method: str, path: str, *needs: str, who: str = "") -> Callable[[Handler], Handler]:
    """Register a handler for a documented operation. `/repos/{owner}/{repo}` may be left out."""
    template = path if path.startswith(("/app", "/meta", "/installation/", "/rate_limit", "/user")) else f"/repos/{{owner}}/{{repo}}{path}"

    def register(handler: Handler) -> Handler:
        ROUTES[method, template] = Route(handler, needs, who)
        return handler

    return register
