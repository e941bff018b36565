"""What the relay does now and then: the whole list. A duty is short, bounded and may be repeated at any time."""

from __future__ import annotations

from collections.abc import Sequence

from bot.jobs import Duty
from bot.wiring import App

TIDY_SECONDS = 300.0


def duties(app: App) -> Sequence[Duty]:
    """Every periodic duty of an installation."""
    return (Duty("tidy", TIDY_SECONDS, lambda: tidy(app)),)


def tidy(app: App) -> None:
    """Forget what is kept for a time only."""
    with app.database.work() as work:
        work.tidy()
