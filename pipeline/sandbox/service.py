"""Long-running programs of ours (the bundled Valkey, the processes of `fixwright up`): started, watched, ended together."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

PR_SET_PDEATHSIG = 1
"""prctl(2)."""


class Service:
    """A child that does not outlive us: the kernel ends it when we die, however we die."""

    def __init__(self, process: subprocess.Popen[bytes], name: str) -> None:
        self._process = process
        self.name = name

    @classmethod
    def start(
        cls,
        argv: Sequence[str],
        *,
        name: str,
        env: Mapping[str, str] | None = None,
        log: Path | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        keep: Sequence[int] = (),
    ) -> Service:
        """Start a program; must be called from the main thread, because the kernel binds its life to the calling thread.

        Args:
            log: file that gets its output; None shares ours.
            stop_signal: what it gets when we die.
            keep: descriptors that it inherits, a lock for example.
        """
        parent = os.getpid()

        def bind_life() -> None:
            die_with_parent(stop_signal)
            if os.getppid() != parent:
                os._exit(1)

        with contextlib.ExitStack() as files:
            output = None if log is None else files.enter_context(log.open("ab"))
            process = subprocess.Popen(
                list(argv),
                env=dict(env or os.environ),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                preexec_fn=bind_life,
                process_group=0,  # Ctrl-C reaches us alone, and we end them in order
                pass_fds=tuple(keep),
            )
        return cls(process, name)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def exit_code(self) -> int | None:
        """None while it runs; negative: ended by that signal."""
        return self._process.poll()

    def stop(self, seconds: float = 10.0) -> None:
        """Ask it to end, and end it after `seconds`."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


def python(*arguments: str) -> list[str]:
    """Command line that runs this interpreter with these arguments."""
    return [sys.executable, *arguments]


def die_with_parent(number: signal.Signals) -> None:
    """From now on the kernel sends us this signal when the thread that forked us ends. Source: prctl(2), PR_SET_PDEATHSIG."""
    _prctl(PR_SET_PDEATHSIG, number)


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)
