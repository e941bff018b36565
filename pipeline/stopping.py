"""Being asked to end in the middle of a message: SIGTERM to a worker's child, Ctrl-C to a command that works by itself."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Stopping(KeyboardInterrupt):
    """The process is to end. Not an `Exception`: no stage may take it for a fault and go on, the message would fail instead of being given
    back."""


class Held:
    """A stretch that a stop does not cut in two."""

    asked = False
    """True when a stop came meanwhile."""
    wake: Callable[[], object] | None = None
    """Called by the signal's handler, to make the stretch end early. It runs between any two steps of the stretch."""


_HELD: list[Held] = []


def stop() -> None:
    """For a signal's handler. Raises Stopping here and now; inside of `held`, at its end."""
    if not _HELD:
        raise Stopping
    for one in _HELD:
        one.asked = True
        if one.wake is not None:
            one.wake()


@contextmanager
def held() -> Iterator[Held]:
    """Around code that must not be interrupted anywhere: an event loop, whose tasks would be left half way. Handlers run in the main thread
    alone; in any other this does nothing. Raises Stopping at its end, whatever the block raises, when a stop came."""
    one = Held()
    if threading.current_thread() is not threading.main_thread():
        yield one
        return
    _HELD.append(one)
    try:
        yield one
    finally:
        _HELD.remove(one)
        if one.asked and not _HELD:
            raise Stopping from None
