"""The persons' side over HTTP, for a double that runs in a process of its own: `POST /_world/VERB` with a JSON object.

Only there when asked for (`python -m tests.worlds.github` does), because nothing guards it but the loopback address.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from tests.worlds.bare import GitFailed
from tests.worlds.exchange import Response
from tests.worlds.world import World

ROOT = "/_world/"
Arguments = dict[str, Any]
Verb = Callable[[Arguments], Any]


class Verbs:
    """Carries out one verb after the other on a world. `refusals`: with what the world says no, beside what every world does."""

    def __init__(self, world: World, verbs: Mapping[str, Verb], *refusals: type[Exception]) -> None:
        self._verbs: Mapping[str, Verb] = {
            **verbs,
            "effects": lambda _: [asdict(effect) for effect in world.effects],
            "violations": lambda _: [str(violation) for violation in world.violations],
        }
        self._refusals: tuple[type[Exception], ...] = (TypeError, ValueError, LookupError, GitFailed, *refusals)

    def handle(self, path: str, body: bytes) -> Response:
        """404 for an unknown verb, 400 with the reason for what the world refuses."""
        work = self._verbs.get(path.removeprefix(ROOT))
        if work is None:
            return _answer(404, {"message": f"verbs: {', '.join(self._verbs)}"})
        try:
            made = work(json.loads(body or b"{}"))
        except self._refusals as error:
            return _answer(400, {"message": f"{type(error).__name__}: {error}"})
        return _answer(200, {} if made is None else made)


def serve_until_a_signal(world: World, verbs: Verbs, facts: Mapping[str, object]) -> None:
    """Answer with `verbs` in force, print one line of JSON with `facts` when it is ready, and end with SIGINT or SIGTERM."""
    # Not an Event: its lock is not to be taken twice, and a handler runs in the very thread that waits.
    stopped, stop = os.pipe()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: os.write(stop, b"."))
    world.answer_control(verbs.handle)
    world.serve()
    print(json.dumps(facts), flush=True)
    os.read(stopped, 1)
    world.stop()


def _answer(status: int, body: object) -> Response:
    return Response(status, json.dumps(body).encode(), {"content-type": "application/json"})
