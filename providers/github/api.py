"""One installation's way to GitHub: requests with the right token, and nobody calls while GitHub asks us to wait."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from pydantic import BaseModel

from pipeline.model.target import SourceRepository
from providers.github.auth import EVERY, Permissions
from providers.github.client import Client, Json, path
from providers.github.identity import Identity
from providers.github.limits import Limits
from providers.github.memo import Memo

_Model = TypeVar("_Model", bound=BaseModel)
_Result = TypeVar("_Result")
_UNSEEN = re.compile(r"/(check-runs|git/(blobs|trees|commits))(/|$)")
"""Writes that do not wait for others."""


class Api:
    """Requests about one repository at a time, with a token for that repository and the step's permissions alone.

    What GitHub allows is shared with all processes of the installation, see `Limits`. A GET that is `repeats`-ed is conditional: its last
    answer is remembered, and an answer "not changed" costs none of the budget.
    """

    def __init__(self, client: Client, sign_in: Identity, limits: Limits, memo: Memo) -> None:
        self._client, self.sign_in, self._limits, self._memo = client, sign_in, limits, memo

    def get(self, repository: SourceRepository, grant: Permissions, address: str, model: type[_Model], *, repeats: bool = False) -> _Model:
        """One object."""
        memo = self._memo if repeats else None
        return self._do(repository, grant, lambda token: self._client.get(address, model, token=token, memo=memo))

    def pages(
        self,
        repository: SourceRepository,
        grant: Permissions,
        address: str,
        model: type[_Model],
        *,
        inside: str | None = None,
        repeats: bool = False,
    ) -> list[_Model]:
        """All items of a list; `inside` is the key of the list when an object is around it."""
        memo = self._memo if repeats else None
        return self._do(repository, grant, lambda token: self._client.pages(address, model, token=token, inside=inside, memo=memo))

    def everything(self, grant: Permissions, address: str, model: type[_Model], *, inside: str | None) -> list[_Model]:
        """All items of a list that is about no single repository; conditional, as it grows slowly and is asked for every hour."""

        def call(token: str) -> list[_Model]:
            return self._client.pages(address, model, token=token, inside=inside, memo=self._memo)

        return self._patiently(lambda: self.sign_in.with_token(EVERY, grant, call))

    def get_named(self, name: str, grant: Permissions, address: str, model: type[_Model]) -> _Model:
        """One object of a repository of the same owner of which only the name is known."""
        return self._patiently(
            lambda: self.sign_in.with_token(name, grant, lambda token: self._client.get(address, model, token=token, memo=self._memo))
        )

    def send(self, repository: SourceRepository, grant: Permissions, method: str, address: str, body: Json, model: type[_Model]) -> _Model:
        """One write. What people see waits until nobody else of the installation writes, as GitHub asks; a check does not wait, because it
        must be visible at once, nor does what no reference points to."""
        return self._do(repository, grant, lambda token: self._client.send(method, address, body, model, token=token), (method, address))

    def graphql(self, repository: SourceRepository, grant: Permissions, query: str, variables: Json, model: type[_Model]) -> _Model:
        """One GraphQL call; `model` is the shape of `data`."""
        write = ("POST", "graphql") if query.lstrip().startswith("mutation") else None
        return self._do(repository, grant, lambda token: self._client.graphql(query, variables, model, token=token), write)

    def token(self, repository: SourceRepository, grant: Permissions, *, not_this: str = "") -> str:
        """A token for use outside of the API (git). `not_this`: one that was refused there."""
        return self._patiently(lambda: self.sign_in.token(repository.external_id, grant, not_this=not_this))

    def warm(self, repository: SourceRepository, grants: Sequence[Permissions]) -> None:
        """Mint the tokens that the next steps need, all at once. What fails here fails again where it is needed, and is said there."""
        missing = [grant for grant in grants if not self.sign_in.has(repository.external_id, grant)]
        if len(missing) > 1:
            with ThreadPoolExecutor(len(missing)) as pool:
                for done in [pool.submit(self.token, repository, grant) for grant in missing]:
                    done.exception()

    def spent(self) -> int:
        """How many requests of this thread GitHub has counted (docs "Best practices for using the REST API": a 304 is not)."""
        return self._client.spent()

    def bot_login(self) -> str:
        """Login of what we write."""
        return self._patiently(self.sign_in.bot_login)

    def _do(
        self,
        repository: SourceRepository,
        grant: Permissions,
        call: Callable[[str], _Result],
        write: tuple[str, str] | None = None,
    ) -> _Result:
        def signed() -> _Result:
            return self.sign_in.with_token(repository.external_id, grant, call)

        if write is None or _UNSEEN.search(write[1]):
            return self._patiently(signed)
        with self._limits.writing(*write):
            return self._patiently(signed)

    def _patiently(self, call: Callable[[], _Result]) -> _Result:
        return self._limits.guarded(call, self._client.headers)


def repository_path(repository: SourceRepository, *parts: str | int, **query: str | int) -> str:
    """Address below `/repos/OWNER/NAME`."""
    owner, _, name = repository.full_name.partition("/")
    return path("repos", owner, name, *parts, **query)


def cut(text: str, most: int) -> str:
    """`text` in at most `most` bytes of UTF-8, ended by an ellipsis when something was cut: GitHub refuses longer ones whole."""
    raw = text.encode("utf-8", "replace")
    return text if len(raw) <= most else raw[: most - 3].decode("utf-8", "ignore") + "…"
