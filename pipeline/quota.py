"""Plans and quotas: what an organization may use in a month. Decisions only; what is spent stands in the store."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from pipeline.errors import NotConfigured
from pipeline.model.scan import ScanType


class Counter(StrEnum):
    """What is counted (specification 000)."""

    PRS = "prs"
    """Fixes: counted when one is begun."""
    SAST_SCANS = "sast_scans"
    DEEP_AI_SCANS = "deep_ai_scans"


UNLIMITED: Final = 1_000_000_000
"""What stands for no limit on the wire: clients stop at zero."""

MOST: Final = 2**31 - 1

CALLS_PER_MINUTE: Final = 1_000
"""Of one key, where a plan says nothing else."""


def counter_of(scan_type: ScanType) -> Counter:
    """Which counter a scan is of: searching for secrets, rules and known vulnerabilities are one kind."""
    return Counter.DEEP_AI_SCANS if scan_type is ScanType.DEEP_AI else Counter.SAST_SCANS


@dataclass(frozen=True, slots=True)
class Plan:
    """What an organization may use. None: as much as it likes."""

    name: str
    counters: Mapping[Counter, int]
    """Units of a period; a counter that is not here has no limit."""
    repositories: int | None = None
    calls_per_minute: int = CALLS_PER_MINUTE

    def of(self, counter: Counter) -> int | None:
        """Units of a period; None for no limit."""
        return self.counters.get(counter)


SELF_HOSTED: Final = Plan("self_hosted", {})
"""The plan of an installation for which nobody wrote any: nothing has a limit but calls in a minute."""


@dataclass(frozen=True, slots=True)
class Plans:
    """The table of plans."""

    by_name: Mapping[str, Plan]
    default: str

    def of(self, name: str) -> Plan:
        """An organization's plan; empty, or one that is no longer in the table: the default one."""
        return self.by_name.get(name or self.default) or self.by_name[self.default]


NO_PLANS: Final = Plans({SELF_HOSTED.name: SELF_HOSTED}, SELF_HOSTED.name)


def read_plans(text: str) -> Plans:
    """The table of a file in TOML:

        default = "team"

        [plans.team]
        prs = 20
        sast_scans = 500
        deep_ai_scans = 0
        repositories = 50
        calls_per_minute = 300

    What a plan does not name has no limit.

    Raises:
        NotConfigured: it is no TOML, names something else, or a number is none.
    """
    try:
        read = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise NotConfigured(f"the table of plans is no TOML: {error}") from None
    if unknown := sorted(read.keys() - {"plans", "default"}):
        raise NotConfigured(f"the table of plans has '{unknown[0]}'; it has `default` and `[plans.NAME]`")
    tables = read.get("plans", {})
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        raise NotConfigured("the table of plans has no `[plans.NAME]`")
    plans = {SELF_HOSTED.name: SELF_HOSTED} | {name: _plan(name, table) for name, table in tables.items()}
    default = read.get("default", SELF_HOSTED.name)
    if default not in plans:
        raise NotConfigured(f"the table of plans has no plan '{default}', which is its default")
    return Plans(plans, str(default))


def _plan(name: str, table: Mapping[str, object]) -> Plan:
    known = {*Counter, "repositories", "calls_per_minute"}
    numbers: dict[str, int] = {}
    for key, value in table.items():
        if key not in known:
            raise NotConfigured(f"plan '{name}' has '{key}'; it may have {', '.join(sorted(known))}")
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= UNLIMITED:
            raise NotConfigured(f"plan '{name}': {key} is a number from 0 to {UNLIMITED}")
        numbers[key] = value
    calls = numbers.get("calls_per_minute", CALLS_PER_MINUTE)
    if calls < 1:
        raise NotConfigured(f"plan '{name}': calls_per_minute is at least 1")
    return Plan(name, {counter: numbers[counter] for counter in Counter if counter in numbers}, numbers.get("repositories"), calls)


@dataclass(frozen=True, slots=True)
class Period:
    """A month of the calendar, in UTC. Moments are seconds since 1970; the end is the beginning of the next one."""

    start: float
    end: float

    @property
    def name(self) -> str:
        """ISO date of its first day."""
        return datetime.fromtimestamp(self.start, UTC).date().isoformat()


def period_of(moment: float) -> Period:
    """The period in which a moment lies."""
    first = datetime.fromtimestamp(moment, UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    following = first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
    return Period(first.timestamp(), following.timestamp())
