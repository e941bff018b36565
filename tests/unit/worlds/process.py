"""A double in a process of its own, as the demonstration runs it."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from tests.worlds.control import ROOT as VERBS

ROOT = Path(__file__).parents[3]


class Process:
    """A running double: what it printed, and its persons. `world`: `github` or `gitlab`."""

    def __init__(self, world: str, state: Path, *options: str) -> None:
        command = [sys.executable, "-m", f"tests.worlds.{world}", "--state", str(state), *options]
        self._running = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self._running.stdout is not None
        self.facts: dict[str, Any] = json.loads(self._running.stdout.readline())
        self._verbs = self.facts.get("control_url") or self.facts["api_url"] + VERBS

    def ask(self, verb: str, **arguments: Any) -> httpx.Response:
        """One verb."""
        return httpx.post(f"{self._verbs}{verb}", json=arguments, timeout=60, trust_env=False)

    def do(self, verb: str, **arguments: Any) -> Any:
        """One verb that works; its answer."""
        answer = self.ask(verb, **arguments)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def end(self) -> None:
        """Ask it to end, which it does without complaint."""
        self._running.send_signal(signal.SIGTERM)
        assert self._running.wait(60) == 0
        assert self._running.stdout is not None
        self._running.stdout.close()


@contextlib.contextmanager
def process_of(world: str, state: Path, *options: str) -> Iterator[Process]:
    """A double that runs for one `with`."""
    made = Process(world, state, *options)
    try:
        yield made
    finally:
        made.end()
