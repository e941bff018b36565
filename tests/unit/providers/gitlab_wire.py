"""The lowest seam of the GitLab provider, for tests: python-gitlab over a `requests` adapter that records and answers."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from requests import PreparedRequest, Response
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict
from urllib3 import HTTPResponse

from pipeline.model.ids import InstallationId
from pipeline.model.target import Installation, SourceRepository
from providers.gitlab.api import Api
from providers.gitlab.host import GitLabHost
from providers.gitlab.provider import GitLabProvider
from providers.gitlab.transport import Line, Seen, Session
from tests.unit.providers.github_wire import Clock, Memory

TOKEN = "glpat-" + "t0ken" * 4
INSTALLATION = Installation(InstallationId("i1"), "gitlab", "gitlab.com", "acme", "acme")
REPOSITORY = SourceRepository("gitlab", "gitlab.com", "42", "acme/shop", "main", "https://gitlab.com/acme/shop.git", installation="acme")
ME = {"id": 9, "username": "project_42_bot_0a1b2c", "state": "active", "bot": True}
SELF = {"id": 3, "name": "fixwright", "scopes": ["api"], "active": True, "revoked": False, "expires_at": "2027-06-01", "user_id": 9}


@dataclass
class Asked:
    """One request as it left."""

    method: str
    path: str
    """Below `/api/v4`, as it was written: with `%2F`."""
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: Mapping[str, object]
    url: str


@dataclass
class Said:
    """One answer."""

    value: object = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    """Instead of `value`."""


Reply = Said | Exception | None


class _Recorded(BaseAdapter):
    """Instead of a network."""

    def __init__(self, wire: Wire, seen: Seen) -> None:
        super().__init__()
        self._wire, self._seen = wire, seen

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:  # as in BaseAdapter
        """See `Wire`."""
        said = self._wire.answer(request)
        response = Response()
        response.status_code, response.url, response.request = said.status, str(request.url), request
        body = json.dumps(said.value).encode() if said.raw is None else said.raw
        response.headers = CaseInsensitiveDict({"content-type": "application/json", **said.headers})
        response.raw = HTTPResponse(io.BytesIO(body), headers=dict(response.headers), status=said.status, preload_content=False)
        self._seen.answered(said.status, response.headers)
        return response

    def close(self) -> None:
        """Nothing is open."""


@dataclass
class Wire:
    """Says by itself who the token belongs to, and everything else through `handler`; an unexpected request is a 404."""

    handler: Callable[[Asked], Reply] = lambda asked: None
    clock: Clock = field(default_factory=Clock)
    asked: list[Asked] = field(default_factory=list)

    def open(self, web_url: str, origin: str, token: str) -> Line:
        """A connection whose requests end here."""
        seen = Seen()
        return Line(web_url, token, Session(_Recorded(self, seen), origin), seen)

    def provider(self) -> GitLabProvider:
        """The plug-in over this wire."""
        return GitLabProvider(self.open, self.clock)

    def api(self, memory: Memory | None = None, *, patient: bool = False, settings: Mapping[str, str] | None = None) -> Api:
        """The way to GitLab over this wire."""
        configuration = {"TOKEN": TOKEN, **(settings or {})}
        return self.provider().api(configuration, memory or Memory(self.clock), account="acme", instance="gitlab.com", patient=patient)

    def host(self, memory: Memory | None = None, *, patient: bool = False, settings: Mapping[str, str] | None = None) -> GitLabHost:
        """The provider's host over this wire."""
        memory = memory or Memory(self.clock)
        return GitLabHost(self.api(memory, patient=patient, settings=settings), memory, self.provider().capabilities)

    def paths(self, method: str = "GET") -> list[str]:
        """What was asked for so."""
        return [one.path for one in self.asked if one.method == method]

    def answer(self, request: PreparedRequest) -> Said:
        """What the handler says, else what stands for itself."""
        parts = urlsplit(str(request.url))
        sent = json.loads(request.body) if isinstance(request.body, bytes) else {}
        path = parts.path.partition("/api/v4")[2]
        one = Asked(
            str(request.method),
            path,
            parse_qs(parts.query),
            {name: str(value) for name, value in request.headers.items()},
            sent,
            str(request.url),
        )
        self.asked.append(one)
        reply = self.handler(one)
        if isinstance(reply, Exception):
            raise reply
        if reply is not None:
            return reply
        match path:
            case "/user":
                return Said(ME)
            case "/personal_access_tokens/self":
                return Said(SELF)
        return Said({"message": "404 Not Found"}, 404)
