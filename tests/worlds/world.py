"""What all worlds have in common: a double behind a server, and what a test reads of it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol, Self

from tests.worlds.exchange import Response
from tests.worlds.faults import Faults
from tests.worlds.git_http import Gate
from tests.worlds.record import Asked, Effect, Ledger, Violation
from tests.worlds.sending import Sending
from tests.worlds.server import Host, Server
from tests.worlds.state import Memory


class Double(Host, Protocol):
    """What a world asks of its double, beside what the server asks."""

    @property
    def state(self) -> Memory:
        """All that it knows."""

    @property
    def hooks(self) -> Sending[Any]:
        """What it sends: the kind of delivery is the host's own affair."""


class World:
    """A running double."""

    def __init__(self, double: Double, gate: Gate, *, port: int) -> None:
        self._double = double
        self._server = Server(double, gate, port=port)

    @contextlib.contextmanager
    def running(self) -> Iterator[Self]:
        """Serves for as long as the `with` lasts."""
        self.serve()
        try:
            yield self
        finally:
            self.stop()

    def answer_control(self, control: Callable[[str, bytes], Response]) -> None:
        """Let `control` answer below `/_world/`."""
        self._server.application.control = control

    def serve(self) -> None:
        """Begin to answer."""
        self._server.start()

    def stop(self) -> None:
        """Stop answering and sending."""
        self._double.hooks.close()
        self._server.stop()

    # --- what happened ---

    @property
    def faults(self) -> Faults:
        """Failures on order."""
        return self._double.faults

    @property
    def asked(self) -> Ledger[Asked]:
        """Every request."""
        return self._double.record.asked

    @property
    def effects(self) -> Ledger[Effect]:
        """Every accepted change, in order."""
        return self._double.record.effects

    @property
    def violations(self) -> Ledger[Violation]:
        """Departures from the host's published interface, by the caller or by the double. Tests hold it against []."""
        return self._double.record.violations

    def advance(self, seconds: float) -> None:
        """Set the world's clock ahead: tokens expire, and GitLab's hooks that were switched off come back."""
        self._double.state.offset += seconds
