"""A fork of ours that goes on beside us: started when all is loaded, so that it shares nearly all of its memory with us; started again when
it falls; ended with us."""

from __future__ import annotations

import ctypes
import gc
import logging
import os
import signal
import time
from collections.abc import Callable
from typing import Final

from pipeline.sandbox.service import die_with_parent

log = logging.getLogger(__name__)

AGAIN_SECONDS: Final = 1.0
"""Between a fall and the next start, at least."""
STOP_SECONDS: Final = 10.0
PR_SET_NAME: Final = 15
"""prctl(2): at most 15 bytes."""
ORPHAN_EXIT: Final = 77
_TOLD: Final = (signal.SIGTERM, signal.SIGINT)


class Fork:
    """One child of this process that does `work` in a copy of it.

    Args:
        name: shown as the command's name by ps(1) and /proc/PID/comm; at most 15 bytes.
        work: called in the child, with the handlers of SIGTERM and SIGINT as at the start of a program; the child ends when it returns.
    """

    def __init__(self, name: str, work: Callable[[], object]) -> None:
        self._name, self._work = name, work
        self._pid = 0
        self._owner = os.getpid()
        self._not_before = float("-inf")
        self._asked_at: float | None = None

    @property
    def pid(self) -> int:
        """Of the child as it was last seen; 0 when there is none."""
        return self._pid

    def keep(self) -> None:
        """Start it, unless it lives or was asked to end; must be called from the main thread, because the kernel binds its life to the
        calling thread. Does nothing in a fork of ours, which has no children."""
        if os.getpid() != self._owner or self._asked_at is not None or (self._pid and not self._ended()):
            return
        if time.monotonic() >= self._not_before:
            self._start()

    def ask_to_end(self) -> None:
        """SIGTERM, once. It is not started again."""
        if os.getpid() != self._owner or self._asked_at is not None:
            return
        self._asked_at = time.monotonic()
        if self._pid:
            os.kill(self._pid, signal.SIGTERM)  # its number is its own until we have asked for its end

    def stop(self) -> None:
        """Wait for its end, for STOP_SECONDS since it was asked to; then it is killed."""
        self.ask_to_end()
        while os.getpid() == self._owner and self._pid and not self._ended():
            if self._asked_at is not None and time.monotonic() > self._asked_at + STOP_SECONDS:
                os.kill(self._pid, signal.SIGKILL)
            time.sleep(0.02)

    def _start(self) -> None:
        # What a collector looks at in the child is copied: it is not to look at what was there before.
        gc.collect()
        gc.freeze()
        # A signal that came between the fork and the child's first line would be handled there by our handlers.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _TOLD)
        try:
            child = os.fork()
        except OSError as error:
            log.error("fork.not_started", extra={"name_of_process": self._name, "error": error.strerror})
            self._not_before = time.monotonic() + AGAIN_SECONDS
            return
        finally:
            if os.getpid() == self._owner:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if child == 0:
            self._live(before)
        self._pid = child

    def _live(self, before: set[signal.Signals | int]) -> None:
        """In the child, which never comes back."""
        code = 1
        try:
            for number in _TOLD:
                signal.signal(number, signal.SIG_DFL)
            die_with_parent(signal.SIGTERM)
            ctypes.CDLL(None, use_errno=True).prctl(PR_SET_NAME, self._name.encode(), 0, 0, 0)
            if os.getppid() != self._owner:
                os._exit(ORPHAN_EXIT)
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            self._work()
            code = 0
        except Exception:  # the boundary of this process (docs/decisions/0003-boundaries.md): it may not go on in its parent's frames
            log.exception("fork.fault", extra={"name_of_process": self._name})
        finally:
            os._exit(code)

    def _ended(self) -> bool:
        """Ask the kernel, once: a child that ended is forgotten."""
        try:
            pid, status = os.waitpid(self._pid, os.WNOHANG)
        except ChildProcessError:  # somebody else heard of its end
            pid, status = self._pid, 0
        if pid == 0:
            return False
        log.info("fork.ended", extra={"name_of_process": self._name, "exit_code": os.waitstatus_to_exitcode(status)})
        self._pid, self._not_before = 0, time.monotonic() + AGAIN_SECONDS
        return True
