"""One installation's way to GitHub: requests with the right token, and nobody calls while GitHub asks us to wait."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from pydantic import BaseModel

from pipeline.errors import RateLimited
from pipeline.model.target import SourceRepository
from pipeline.ports import HostMemory
from providers.github.auth import EVERY, Permissions, SignIn
from providers.github.client import Client, Json, path

_Model = TypeVar("_Model", bound=BaseModel)
_Result = TypeVar("_Result")


class Api:
    """Requests about one repository at a time, with a token for that repository and the step's permissions alone.

    When GitHub limits us, all processes of the installation learn it and stop at once: who goes on calling may be banned
    (docs "Best practices for using the REST API").
    """

    def __init__(self, client: Client, sign_in: SignIn, memory: HostMemory, *, pause: str, clock: Callable[[], float]) -> None:
        self._client, self.sign_in, self._memory, self._pause, self._clock = client, sign_in, memory, pause, clock

    def get(self, repository: SourceRepository, grant: Permissions, address: str, model: type[_Model]) -> _Model:
        """One object."""
        return self._do(repository, grant, lambda token: self._client.get(address, model, token=token))

    def pages(
        self, repository: SourceRepository, grant: Permissions, address: str, model: type[_Model], *, inside: str | None = None
    ) -> list[_Model]:
        """All items of a list; `inside` is the key of the list when an object is around it."""
        return self._do(repository, grant, lambda token: self._client.pages(address, model, token=token, inside=inside))

    def everything(self, grant: Permissions, address: str, model: type[_Model], *, inside: str) -> list[_Model]:
        """All items of a list that is about no single repository."""
        return self._patiently(
            lambda: self.sign_in.with_token(EVERY, grant, lambda token: self._client.pages(address, model, token=token, inside=inside))
        )

    def get_named(self, name: str, grant: Permissions, address: str, model: type[_Model]) -> _Model:
        """One object of a repository of the same owner of which only the name is known."""
        return self._patiently(lambda: self.sign_in.with_token(name, grant, lambda token: self._client.get(address, model, token=token)))

    def send(self, repository: SourceRepository, grant: Permissions, method: str, address: str, body: Json, model: type[_Model]) -> _Model:
        """One write."""
        return self._do(repository, grant, lambda token: self._client.send(method, address, body, model, token=token))

    def graphql(self, repository: SourceRepository, grant: Permissions, query: str, variables: Json, model: type[_Model]) -> _Model:
        """One GraphQL call; `model` is the shape of `data`."""
        return self._do(repository, grant, lambda token: self._client.graphql(query, variables, model, token=token))

    def token(self, repository: SourceRepository, grant: Permissions) -> str:
        """A token for use outside of the API (git)."""
        return self._patiently(lambda: self.sign_in.token(repository.external_id, grant))

    def bot_login(self) -> str:
        """Login of what we write."""
        return self._patiently(self.sign_in.bot_login)

    def _do(self, repository: SourceRepository, grant: Permissions, call: Callable[[str], _Result]) -> _Result:
        return self._patiently(lambda: self.sign_in.with_token(repository.external_id, grant, call))

    def _patiently(self, call: Callable[[], _Result]) -> _Result:
        """Refuse at once while a limit lasts; remember one that is met."""
        until = self._memory.get(self._pause)
        if until is not None and (wait := float(until) - self._clock()) > 0:
            raise RateLimited(f"GitHub asked us to wait; {wait:.0f} s of it are left", retry_after=wait)
        try:
            return call()
        except RateLimited as exc:
            self._memory.put(self._pause, f"{self._clock() + exc.retry_after:.0f}".encode(), exc.retry_after)
            raise


def repository_path(repository: SourceRepository, *parts: str | int, **query: str | int) -> str:
    """Address below `/repos/OWNER/NAME`."""
    owner, _, name = repository.full_name.partition("/")
    return path("repos", owner, name, *parts, **query)


def cut(text: str, most: int) -> str:
    """`text` in at most `most` bytes of UTF-8, ended by an ellipsis when something was cut: GitHub refuses longer ones whole."""
    raw = text.encode("utf-8", "replace")
    return text if len(raw) <= most else raw[: most - 3].decode("utf-8", "ignore") + "…"
