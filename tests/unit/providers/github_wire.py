"""The lowest seam of the GitHub provider, for tests: an HTTP transport that records and answers, and a memory in a dictionary."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache

import httpx
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from pipeline.model.ids import InstallationId
from pipeline.model.target import Installation, SourceRepository
from pipeline.ports import CodeHost
from providers.github.provider import GitHubProvider

INSTALLATION = Installation(InstallationId("i1"), "github", "github.com", "octo", "77")
REPOSITORY = SourceRepository("github", "github.com", "4711", "octo/shop", "main", "https://github.com/octo/shop.git")
APP_ID = "1234"
BOT = {"id": 9, "login": "fixwright-test[bot]", "type": "Bot"}


@cache
def private_key() -> str:
    """An RSA key made for this run; 2,048 bits, as GitHub's are."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = serialization.PrivateFormat.TraditionalOpenSSL
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


class Memory:
    """`HostMemory` of one process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.values: dict[str, tuple[bytes, float]] = {}
        self._clock = clock
        self._locks: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()

    def get(self, key: str) -> bytes | None:
        """See `HostMemory`; so with all methods here."""
        value, until = self.values.get(key, (b"", 0.0))
        return value if self._clock() < until else None

    def put(self, key: str, value: bytes, seconds: float) -> None:
        self.values[key] = (value, self._clock() + seconds)

    def compare_and_set(self, key: str, old: bytes | None, new: bytes, seconds: float) -> bool:
        with self._guard:
            if self.get(key) != old:
                return False
            self.put(key, new, seconds)
            return True

    @contextmanager
    def lock(self, key: str, seconds: float) -> Iterator[None]:
        with self._guard:
            lock = self._locks.setdefault(key, threading.Lock())
        assert lock.acquire(timeout=seconds)
        try:
            yield
        finally:
            lock.release()


@dataclass
class Clock:
    """Time that a test moves."""

    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Seen:
    """One request as it left."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: httpx.Headers
    body: Mapping[str, object]


Reply = httpx.Response | Exception
Handler = Callable[[Seen], Reply | None]


@dataclass
class Wire:
    """Answers signing in by itself and everything else through `handler`; an unexpected request is a 404."""

    handler: Handler = lambda seen: None
    clock: Clock = field(default_factory=Clock)
    seen: list[Seen] = field(default_factory=list)
    minted: list[Mapping[str, object]] = field(default_factory=list)
    tokens: Callable[[int], str] = lambda number: "ghs_" + f"token{number}." * 60

    def open(self, host: str) -> httpx.AsyncClient:
        """An HTTP client whose requests end here."""
        return httpx.AsyncClient(transport=httpx.MockTransport(self._answer))

    def host(self, memory: Memory | None = None, installation: Installation = INSTALLATION, **settings: str) -> CodeHost:
        """The provider's host over this wire."""
        provider = GitHubProvider(open_client=self.open, clock=self.clock)
        configuration = {"APP_ID": APP_ID, "PRIVATE_KEY": private_key(), **settings}
        return provider.connect(installation, configuration, memory or Memory(self.clock))

    def calls(self, method: str, suffix: str) -> list[Seen]:
        """What was sent with that method to a path with that end."""
        return [seen for seen in self.seen if seen.method == method and seen.path.endswith(suffix)]

    def _answer(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content) if request.content else {}
        path = request.url.raw_path.decode().partition("?")[0]
        seen = Seen(request.method, path, dict(request.url.params), request.headers, body)
        self.seen.append(seen)
        reply = self.handler(seen)
        if isinstance(reply, Exception):
            raise reply
        if reply is not None:
            return reply
        if path.endswith("/access_tokens"):
            self.minted.append(body)
            expires = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.clock.now + 3600))
            return httpx.Response(201, json={"token": self.tokens(len(self.minted)), "expires_at": expires})
        if path.endswith("/app"):
            return httpx.Response(200, json={"id": int(APP_ID), "slug": "fixwright-test"})
        return httpx.Response(404, json={"message": "Not Found"})
