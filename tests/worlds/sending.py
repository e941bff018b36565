"""The way of webhooks out of a double: in order by a thread, every attempt remembered.

Sources: GitHub, "Best practices for using webhooks" (10 seconds, no automatic redelivery); GitLab docs, "Webhooks" (`webhook_timeout`, 10
seconds by default).
"""

from __future__ import annotations

import contextlib
import queue
import ssl
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Generic, Protocol, TypeVar

import httpx

PATIENCE = 10.0
"""Seconds that a host waits for an answer."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try. `status` 0: nobody answered in time."""

    at: float
    status: int


class Identified(Protocol):
    """An event on its way. Every attempt carries the same id."""

    @property
    def id(self) -> str:
        """As the receiver gets it."""


Sent = TypeVar("Sent", bound=Identified)


class Sending(ABC, Generic[Sent]):
    """A queue of deliveries, and all that ever were in it."""

    def __init__(self) -> None:
        self.paused = False
        """True: events are kept until somebody delivers them, as when the machine of the receiver is down."""
        self.deliveries: list[Sent] = []
        self._waiting: queue.Queue[Sent | None] = queue.Queue()
        self._client = httpx.Client(timeout=PATIENCE, trust_env=False, verify=_certificates())
        self._thread = threading.Thread(target=self._run, name="world-hooks", daemon=True)
        self._thread.start()

    @abstractmethod
    def attempt(self, delivery: Sent) -> int:
        """Send it now and note that; returns the status, 0 when nobody answered."""

    def is_due(self, delivery: Sent) -> bool:
        """False for what is no longer sent when its turn comes."""
        return True

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """The status of the answer, 0 when nobody answered in time or there is no address."""
        if url:
            with contextlib.suppress(httpx.HTTPError):
                return self._client.post(url, content=body, headers=dict(headers)).status_code
        return 0

    def _run(self) -> None:
        while (delivery := self._waiting.get()) is not None:
            try:
                if self.is_due(delivery):
                    self.attempt(delivery)
            finally:
                self._waiting.task_done()
        self._waiting.task_done()

    # --- what tests do with it ---

    def find(self, identity: str) -> Sent:
        """A delivery by its id. Raises KeyError."""
        found = next((delivery for delivery in self.deliveries if delivery.id == identity), None)
        if found is None:
            raise KeyError(identity)
        return found

    def redeliver(self, identity: str) -> int:
        """Send it once more under the same id, now; returns the status."""
        return self.attempt(self.find(identity))

    def again(self, delivery: Sent) -> None:
        """Queue it once more under the same id."""
        self._waiting.put(delivery)

    def deliver_copies(self, identity: str, count: int, *, at_once: int = 16) -> list[int]:
        """Send `count` copies under the same id, `at_once` of them in parallel; returns the statuses."""
        delivery = self.find(identity)
        with ThreadPoolExecutor(at_once) as pool:
            return list(pool.map(lambda _: self.attempt(delivery), range(count)))

    def wait(self) -> None:
        """Until everything that was queued so far has been tried once."""
        self._waiting.join()

    def close(self) -> None:
        """Stop sending; what still waits is dropped."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._waiting.get_nowait()
                self._waiting.task_done()
        self._waiting.put(None)
        self._thread.join(PATIENCE + 5)
        self._client.close()


@cache
def _certificates() -> ssl.SSLContext:
    """For all worlds of a process: reading the certificates takes longer than starting a world."""
    return httpx.create_ssl_context(trust_env=False)
