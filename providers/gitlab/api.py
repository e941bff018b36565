"""One token's way to GitLab: who we are there, and nobody calls while GitLab asks us to wait."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, Field, ValidationError

from pipeline.errors import HostForbidden, HostNotFound
from pipeline.limits import OPEN_SECONDS, Limits
from pipeline.model.target import SourceRepository
from pipeline.ports import HostMemory
from providers.gitlab.client import MAX_ITEMS, Answer, Client, OpenLine, digest
from providers.gitlab.limits import MANNERS
from providers.gitlab.settings import Site

if TYPE_CHECKING:
    from gitlab import Gitlab
    from gitlab.v4.objects import Project

KEPT = 3_600.0
"""Seconds for which it is remembered who a token belongs to, and what it may do."""
WRITES = "api"
"""The one scope that lets a token write through the API (docs "Personal access tokens", "Scopes")."""
_Model = TypeVar("_Model", bound=BaseModel)
_Result = TypeVar("_Result")


class Account(Answer):
    """Who a token belongs to (docs "Users API", "Retrieve the current user")."""

    id: int
    username: str
    bot: bool = False
    name: str = ""
    email: str = ""
    commit_email: str = ""
    """What commits that are made with the token carry; `email` where GitLab names none (docs "Commit email")."""

    def wrote(self, author: int) -> bool:
        """True for what we wrote ourselves, by the number of its author."""
        return author == self.id


class Token(Answer):
    """What a token says of itself (docs "Personal access tokens API", "Self-inform": it works for tokens of projects and groups, too)."""

    name: str = ""
    scopes: list[str] = Field(default_factory=list)
    expires_at: date | None = None
    """The first day on which it is not valid any more, by UTC."""

    def days(self, today: date) -> int | None:
        """So many days are left; None when it never expires."""
        return None if self.expires_at is None else (self.expires_at - today).days


class _Role(Answer):
    """What is remembered of the account's roles."""

    writes: bool


class _Version(Answer):
    version: str = ""


def number_of(version: str) -> tuple[int, int]:
    """Major and minor of `16.9.2-ee`; (0, 0) for what is no version."""
    major, _, rest = version.partition(".")
    minor = rest.partition(".")[0].partition("-")[0]
    return (int(major), int(minor)) if major.isdecimal() and minor.isdecimal() and len(version) < 40 else (0, 0)


class Api:
    """Requests with the operator's token. What GitLab allows is shared with all processes, see `pipeline.limits`.

    Args:
        account: path of the top-level namespace that is worked for.
        instance: what its repositories are known under, as in `Installation.instance`.
        patient: for work for which nobody waits.
        hook_url: where GitLab delivers to us, and asks us; empty where that is not known.
    """

    def __init__(
        self,
        open_line: OpenLine,
        site: Site,
        token: str,
        memory: HostMemory,
        *,
        account: str,
        instance: str,
        clock: Callable[[], float],
        patient: bool = False,
        open_seconds: float = OPEN_SECONDS,
        hook_url: str = "",
    ) -> None:
        self.site, self.account, self.instance, self.hook_url = site, account, instance, hook_url
        self._client, self._memory, self._clock = Client(open_line, site, token), memory, clock
        self._secret = token
        whose = digest(token)
        self._limits, self._notes = (
            Limits(MANNERS, memory, site.authority, who, clock=clock, patient=patient, open_seconds=open_seconds)
            for who in (whose, f"{whose}/notes")
        )
        self._known = f"gitlab/{site.authority}/token/{whose}/{{}}"

    # --- of one project ---

    def get(self, repository: SourceRepository, call: Callable[[Project], object], model: type[_Model], *, what: str) -> _Model:
        """One object of a project. `what`: `branch main`."""
        return self.ask(_of(repository, call), model, what=f"{what} of {repository.full_name}")

    def pages(
        self,
        repository: SourceRepository,
        call: Callable[[Project], Iterable[object]],
        model: type[_Model],
        *,
        what: str,
        most: int = MAX_ITEMS,
    ) -> list[_Model]:
        """All items of a list of a project, at most `most`. `call` must ask for an iterator (`iterator=True`)."""
        return self.ask_all(_of(repository, call), model, what=f"{what} of {repository.full_name}", most=most)

    def send(
        self,
        repository: SourceRepository,
        call: Callable[[Project], object],
        model: type[_Model],
        *,
        what: str,
        speaks: bool = False,
    ) -> _Model:
        """One write to a project. `speaks`: it makes a note; GitLab limits these by themselves (docs "Rate limits on note creation"), so
        that being told to wait with them keeps nobody from anything else."""
        asked = f"{what} of {repository.full_name}"
        if not speaks:
            return self.ask(_of(repository, call), model, what=asked)
        self._limits.refuse()
        return self._notes.guarded(lambda: self._client.one(_of(repository, call), model, asked), self._client.headers)

    # --- of everything ---

    def ask(self, call: Callable[[Gitlab], object], model: type[_Model], *, what: str) -> _Model:
        """One object."""
        return self._limits.guarded(lambda: self._client.one(call, model, what), self._client.headers)

    def ask_all(self, call: Callable[[Gitlab], Iterable[object]], model: type[_Model], *, what: str, most: int = MAX_ITEMS) -> list[_Model]:
        """All items of a list, at most `most`. `call` must ask for an iterator (`iterator=True`)."""
        return self._limits.guarded(lambda: self._client.many(call, model, what, most), self._client.headers)

    def total(self, repository: SourceRepository, call: Callable[[Project], object], *, what: str) -> int | None:
        """How many items a list has, by its first page; None when GitLab does not say (docs "REST API": more than 10,000)."""

        def counted() -> str:
            self._client.run(_of(repository, call), f"{what} of {repository.full_name}")
            return self._client.headers().get("x-total", "")

        said = self._limits.guarded(counted, self._client.headers)
        return int(said) if said.isdecimal() and len(said) < 10 else None

    def answered(self) -> bool:
        """True when there was an answer of any kind to this thread's last call."""
        return bool(self._client.headers())

    def skew(self) -> float:
        """Seconds by which GitLab's clock is ahead of ours, as of this thread's last answer."""
        return self._client.skew()

    def version(self) -> tuple[int, int]:
        """Major and minor number of this GitLab; (0, 0) when it does not say."""

        def fetch() -> _Version:
            try:
                return self.ask(lambda gl: gl.http_get("/version"), _Version, what="its version")
            except (HostForbidden, HostNotFound):
                return _Version()

        return number_of(self._remembered("version", _Version, fetch).version)

    # --- who we are ---

    def me(self) -> Account:
        """Who the token belongs to: what we write appears under that name."""
        return self._remembered("me", Account, self._ask_me)

    def token(self) -> Token | None:
        """What the token says of itself; None when it may not ask (a scope that allows no such question)."""
        found = self._remembered("self", Token, self._ask_token)
        return found if found.name or found.scopes else None

    def secret(self) -> str:
        """The token itself, for git."""
        return self._secret

    def may_write(self) -> bool:
        """False when the token has not the scope for writing. True when nobody says: it is then tried."""
        token = self.token()
        return token is None or not token.scopes or WRITES in token.scopes

    def writes_here(self, look: Callable[[], bool]) -> bool:
        """Whether the account has a role that writes in the namespace; `look` asks, and its answer is remembered."""

        def fetch() -> _Role:
            return _Role(writes=look())

        return self._remembered(f"writes/{self.account}", _Role, fetch).writes

    def forget(self) -> None:
        """What is remembered of the token is asked anew."""
        for name in ("me", "self", f"writes/{self.account}"):
            self._memory.put(self._known.format(name), b"", 1.0)

    def today(self) -> date:
        """By UTC, as tokens expire."""
        return datetime.fromtimestamp(self._clock(), UTC).date()

    def _ask_me(self) -> Account:
        def call(gl: Gitlab) -> object:
            gl.auth()  # GET /user
            return gl.user

        return self.ask(call, Account, what="the question whose token it is")

    def _ask_token(self) -> Token:
        try:
            return self.ask(lambda gl: gl.personal_access_tokens.get("self"), Token, what="the question what the token may do")
        except HostNotFound:  # before GitLab 15.5
            return Token()

    def _remembered(self, name: str, model: type[_Model], fetch: Callable[[], _Model]) -> _Model:
        key = self._known.format(name)
        known = self._memory.get(key)
        if known:
            try:
                return model.model_validate_json(known)
            except ValidationError:  # written by another version
                pass
        found = fetch()
        self._memory.put(key, found.model_dump_json().encode(), KEPT)
        return found


def _of(repository: SourceRepository, call: Callable[[Project], _Result]) -> Callable[[Gitlab], _Result]:
    """`call` for a project that is named by its number: a path can meanwhile belong to another one."""
    return lambda gl: call(gl.projects.get(int(repository.external_id), lazy=True))
