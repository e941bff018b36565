"""A long-running command hears of its end, whatever it is doing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]

AT_THE_WORST_MOMENT = """
import signal
from bot.cli.processes import until_told
stop = until_told()
with stop._cond:  # as while the main thread begins to wait for the event
    signal.raise_signal(signal.SIGTERM)
print(stop.wait(20))
"""


def test_a_signal_that_comes_while_the_command_begins_to_wait_is_heard() -> None:
    done = subprocess.run([sys.executable, "-c", AT_THE_WORST_MOMENT], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("True\n", "")
