"""What the demo shares among the doubles: Fixwright beside one, and the story from an empty folder."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from bot.cli.demo import tell
from bot.demo.local import end_of, wait_ready
from bot.demo.story import DemoFailed, DemoHost
from pipeline.errors import FixwrightError
from pipeline.sandbox.service import Service, python

PERSON = "dana"
"""Who may write, and does."""
COPIES = 100
"""How often a delivery is sent once more, to show that it stays one review."""


class Deliveries(Protocol):
    """Webhooks of a double."""

    def wait(self) -> None:
        """Until everything that was queued so far has been tried once."""

    def deliver_copies(self, identity: str, count: int) -> Sequence[int]:
        """Send copies under the same id; the statuses."""


class Beside:
    """Fixwright, running beside a double.

    Args:
        settings: of its provider.
    """

    def __init__(self, provider: str, environment: Mapping[str, str], settings: Mapping[str, str], log: Path) -> None:
        self.environment = {**environment, **{f"FIXWRIGHT_{provider.upper()}_{name}": value for name, value in settings.items()}}
        begins = end_of(log)
        self._service = Service.start(python("-m", "bot.cli", "up"), name="fixwright", env=self.environment, log=log)
        wait_ready(self._service, environment["FIXWRIGHT_URL"], log, begins)
        self.hook_url = f"{environment['FIXWRIGHT_URL']}/webhooks/{provider}"

    def stop(self) -> None:
        """Stop it; what it knows stays in the state folder."""
        self._service.stop(30.0)


def send_copies(deliveries: Deliveries, identity: str) -> str:
    """Deliver it a hundred times more; what that was, in a few words. Raises DemoFailed when one is refused."""
    deliveries.wait()
    answers = deliveries.deliver_copies(identity, COPIES)
    if set(answers) != {202}:
        raise DemoFailed(f"copies of the delivery were answered {sorted(set(answers))}")
    return f"its delivery was sent {COPIES + 1} times, to show that it stays one review"


def main(name: str, host: Callable[[Path], DemoHost]) -> int:
    """The whole story, from an empty folder below build/."""
    folder = Path(f"build/demo-{name}").absolute()
    shutil.rmtree(folder, ignore_errors=True)
    try:
        return tell(host(folder), folder)
    except FixwrightError as error:
        print(f"fixwright: {error.message}\n  {error.hint}", file=sys.stderr)
        return 3
