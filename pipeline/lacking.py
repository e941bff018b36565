"""Which of a provider's settings an operator still has to give."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pipeline.ports import Configuration, Setting


def missing(settings: Sequence[Setting], configuration: Configuration, purpose: Literal["receive", "connect", ""] = "") -> list[str]:
    """Names of the needed settings that are not set and that no other one stands in for.

    Args:
        purpose: only those that are needed for this; empty: all of them.
    """
    given = {setting.instead_of for setting in settings if setting.instead_of and configuration.get(setting.name)}
    needed = [setting.name for setting in settings if setting.needed and purpose in ("", setting.needed)]
    return [name for name in needed if not configuration.get(name) and name not in given]
