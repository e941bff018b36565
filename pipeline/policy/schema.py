"""The policy file as values: every key, what it means, and its default."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from pipeline.model.finding import Confidence, Severity, Standing
from pipeline.model.fix import Grouping
from pipeline.model.scan import ScanType
from pipeline.policy.patterns import matches

SeverityWord = Literal["low", "medium", "high", "critical"]
BlockWord = Literal["low", "medium", "high", "critical", "never"]
ConfidenceWord = Literal["low", "medium", "high"]
Pattern = Annotated[str, Field(min_length=1, max_length=200)]
RuleName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,99}$")]
ScopeName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,59}$")]
Line = Annotated[str, Field(min_length=1, max_length=200)]
Loosened = Literal[
    "engines.required",
    "gate.block",
    "gate.warn",
    "gate.confidence",
    "gate.rules",
    "on_incomplete",
    "paths.exclude",
    "scopes",
    "ignore",
    "schedule",
    "waivers.days",
    "waivers.by_author",
]
"""Keys of which one value is tighter than another: only these can need a permission."""

ISOLATION: Final = "isolation"
Required = ScanType | Literal["isolation"]

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
"""Other forms of ISO 8601 (weeks, days of the year) would be read by Python and not by people."""

_STANDINGS = {"block": Standing.BLOCKS, "warn": Standing.WARNS, "count": Standing.COUNTED}


_OPEN = r"^(10|[0-9]) by (rule|file|package)$"
"""`fixes.open` where it is more than a number."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Engines(_Part):
    """Which scans run on every change, and what a green check needs."""

    required: tuple[Required, ...] = Field(
        default=(ScanType.SECRETS, ScanType.SEMGREP),
        description="Scans without which no check is green; and `isolation`: no engine is started where the sandbox has only limits.",
        min_length=1,
    )

    @field_validator("required", mode="before")
    @classmethod
    def _known(cls, value: object) -> object:
        """One sentence for a wrong word, where pydantic would tell of each kind that it could have been."""
        known = (ScanType.SECRETS.value, ScanType.SEMGREP.value, ISOLATION)
        wrong = [str(entry)[:40] for entry in value if entry not in known] if isinstance(value, list | tuple) else []
        if wrong:
            raise ValueError(f"{', '.join(wrong)} does not exist in this version; use {', '.join(known)}")
        return value

    @field_validator("required")
    @classmethod
    def _names_a_scan(cls, value: tuple[Required, ...]) -> tuple[Required, ...]:
        if set(value) == {ISOLATION}:
            raise ValueError("isolation is no scan: name the scans, too")
        return tuple(dict.fromkeys(value))

    @property
    def scans(self) -> tuple[ScanType, ...]:
        """The scans among what is required."""
        return tuple(entry for entry in self.required if isinstance(entry, ScanType))

    @property
    def isolated(self) -> bool:
        """True when nothing may be looked at where the sandbox gives engines no view of their own (`sandbox.isolation.Level.isolates`)."""
        return ISOLATION in self.required


class Gate(_Part):
    """What a new finding does to the check."""

    block: BlockWord = Field(default="high", description="New findings of this severity or worse fail the check.")
    warn: SeverityWord = Field(default="low", description="New findings of this severity or worse are listed; the rest is counted.")
    confidence: ConfidenceWord = Field(default="medium", description="Findings below this confidence never block.")
    rules: dict[RuleName, Literal["block", "warn", "count"]] = Field(
        default={},
        description="What single rules do, whatever their severity and wherever they fire: `block`, `warn` or `count`.",
        max_length=200,
    )


class Paths(_Part):
    """What is left out. Patterns are like in .gitignore without negation: `vendor/`, `*.min.js`, `docs/**`."""

    exclude: tuple[Pattern, ...] = Field(default=(), description="Files that no engine looks at.", max_length=100)


class PolicyScope(_Part):
    """A part of the repository with owners or a gate of its own."""

    paths: tuple[Pattern, ...] = Field(description="Files that belong to it, as in paths.exclude.", min_length=1, max_length=100)
    owners: tuple[Line, ...] = Field(
        default=(), description="Who looks after it. Shown beside each finding, and never mentioned with @.", max_length=20
    )
    block: BlockWord | None = Field(default=None, description="In the place of gate.block here. Of several scopes the strictest counts.")


class Ignore(_Part):
    """A finding that may stand, why, and until when. All of `rule`, `path` and `finding` that are given must fit."""

    rule: RuleName | None = Field(default=None, description="Id of a rule: `python.sql-injection`.")
    path: Pattern | None = Field(default=None, description="Files, as in paths.exclude.")
    finding: str | None = Field(
        default=None,
        description="One finding: its handle (`K7Q`), or its fingerprint (`v1:` and at least 16 hex digits).",
        pattern=r"^([A-Za-z][A-Za-z0-9]{2,23}|v1:[0-9a-f]{16,32})$",
    )
    reason: Annotated[str, Field(pattern=r"\S")] = Field(description="Why it may stand.", max_length=500)
    until: str = Field(
        description="Last day on which it holds: `2027-01-31`. What is no date is over already.",
        min_length=1,
        max_length=40,
        json_schema_extra={"format": "date"},
    )

    @model_validator(mode="after")
    def _aimed(self) -> Ignore:
        if self.rule is None and self.path is None and self.finding is None:
            raise ValueError("says nothing of what is ignored: it needs a rule, a path or a finding")
        return self

    @property
    def last_day(self) -> date | None:
        """`until` as a day, None when it is no date: such an entry ignores nothing."""
        try:
            return date.fromisoformat(self.until) if _DAY.fullmatch(self.until) else None
        except ValueError:
            return None

    def holds(self, today: date) -> bool:
        """True until the last day is over."""
        return self.last_day is not None and today <= self.last_day


class Fixes(_Part):
    """Pull requests of fixes: what they carry, and how many are opened by themselves."""

    open: Annotated[int, Field(ge=0, le=10)] | Annotated[str, Field(pattern=_OPEN)] = Field(
        default=0,
        description=(
            "How many fixes of what the default branch of a private repository has are offered at a time without being asked for; and"
            " which findings of it are mended together, asked for or not: `3 by rule`, `3 by file`, `3 by package`."
        ),
    )
    labels: tuple[Annotated[str, Field(min_length=1, max_length=50)], ...] = Field(
        default=(), description="Labels; the host makes missing ones.", max_length=20
    )
    reviewers: tuple[Annotated[str, Field(pattern=r"^@?[A-Za-z0-9][A-Za-z0-9-]{0,38}(/[A-Za-z0-9._-]{1,100})?$")], ...] = Field(
        default=(), description="Who is asked to review it: a login, or a team as `owner/team`.", max_length=15
    )

    @field_validator("open", mode="before")
    @classmethod
    def _understood(cls, value: object) -> object:
        """One sentence for a wrong value, where pydantic would tell of both kinds that it could have been."""
        number = isinstance(value, int | float) and not isinstance(value, bool) and value in range(11)
        if not number and not (isinstance(value, str) and re.fullmatch(_OPEN, value, re.ASCII)):
            raise ValueError("a number from 0 to 10, alone or with `by rule`, `by file` or `by package`")
        return value

    @property
    def at_once(self) -> int:
        """How many are kept open without being asked for."""
        return int(str(self.open).partition(" ")[0])

    @property
    def by(self) -> Grouping:
        """What findings of the default branch have in common that are mended together."""
        match str(self.open).rpartition(" ")[2]:
            case "rule" | "file" | "package" as word:
                return word
            case _:
                return "none"


class Speak(_Part):
    """What may take a reader's attention. The check always has everything."""

    threads: int = Field(default=10, ge=0, le=10, description="How many threads one change gets at most, the worst findings first.")


class Waivers(_Part):
    """What a person may let stand with `/waive`."""

    days: int = Field(default=90, ge=1, le=730, description="How long one holds at most, and when no date is given.")
    by_author: bool = Field(default=False, description="Whether the author of a change may waive a finding of his own.")


class Tests(_Part):
    """How the repository tests itself: run in a sandbox, without network, when a fix must prove itself."""

    command: tuple[Annotated[str, Field(min_length=1, max_length=1000)], ...] = Field(
        default=(), description="Program and arguments, no shell. Empty: plain convention (unittest, pytest, node --test).", max_length=50
    )
    timeout: int = Field(default=300, ge=1, le=3600, description="Seconds for one run.")


@dataclass(frozen=True, slots=True)
class Decision:
    """What a policy makes of a new finding, and by which of its keys."""

    standing: Standing
    keys: tuple[str, ...]
    """Dotted keys that decided, the weightiest first: `scopes.tests.block`, `gate.warn`."""


class Policy(_Part):
    """The whole policy file. Everything has a default: a repository without the file is checked with these."""

    engines: Engines = Engines()
    gate: Gate = Gate()
    on_incomplete: Literal["fail", "warn"] = Field(
        default="fail", description='`warn` turns "could not check, and it is Fixwright\'s fault" into a neutral check.'
    )
    paths: Paths = Paths()
    scopes: dict[ScopeName, PolicyScope] = Field(
        default={}, description="Parts of the repository, by name: who owns them, and what blocks there.", max_length=100
    )
    ignore: tuple[Ignore, ...] = Field(default=(), description="Findings that may stand, with a reason and a last day.", max_length=200)
    fixes: Fixes = Fixes()
    schedule: Literal["never", "daily", "weekly"] = Field(
        default="weekly", description="How often everything on the default branch is looked at again."
    )
    speak: Speak = Speak()
    waivers: Waivers = Waivers()
    tests: Tests = Tests()
    allow: tuple[Loosened, ...] = Field(
        default=(),
        description="Only in the owner's policy: what the repositories below may loosen. They may always tighten.",
        max_length=20,
    )

    @classmethod
    def stored(cls, document: str) -> Policy:
        """What a review keeps of its policy, as JSON; a key that only another version knew says nothing here. Raises ValidationError."""
        return cls.model_validate_json(document, extra="ignore")

    def excluded(self, path: str) -> bool:
        """True when the policy leaves this file out."""
        return any(matches(pattern, path) for pattern in self.paths.exclude)

    def blocks(self, severity: Severity, confidence: Confidence) -> bool:
        """True when the gate fails the check for a new finding of this kind; `decide` knows the exceptions for paths and rules."""
        return _reaches(severity, self.gate.block) and confidence >= Confidence[self.gate.confidence.upper()]

    def warns(self, severity: Severity) -> bool:
        """True when a new finding of this kind is listed in the check."""
        return severity >= Severity.parse(self.gate.warn)

    def scopes_of(self, path: str) -> tuple[str, ...]:
        """Names of the scopes to which a file belongs, in the order of the file."""
        return tuple(name for name, scope in self.scopes.items() if any(matches(pattern, path) for pattern in scope.paths))

    def owners_of(self, path: str) -> tuple[str, ...]:
        """Who looks after a file, without `@`."""
        owners = (owner.removeprefix("@") for name in self.scopes_of(path) for owner in self.scopes[name].owners)
        return tuple(dict.fromkeys(owners))

    def decide(self, path: str, rule: str, severity: Severity, confidence: Confidence) -> Decision:
        """What a new finding does: first the word for its rule, then that of its scopes, then the gate's."""
        word = self.gate.rules.get(rule)
        if word is not None:
            return Decision(_STANDINGS[word], (f"gate.rules.{rule}",))
        block, key = self._mark(path)
        if _reaches(severity, block):
            if confidence >= Confidence[self.gate.confidence.upper()]:
                return Decision(Standing.BLOCKS, (key,))
            key = "gate.confidence"
        return Decision(Standing.WARNS if self.warns(severity) else Standing.COUNTED, (key, "gate.warn"))

    def _mark(self, path: str) -> tuple[BlockWord, str]:
        own: list[tuple[BlockWord, str]] = []
        for name in self.scopes_of(path):
            block = self.scopes[name].block
            if block is not None:
                own.append((block, f"scopes.{name}.block"))
        return min(own, key=lambda mark: laxness(mark[0])) if own else (self.gate.block, "gate.block")


def laxness(block: BlockWord) -> int:
    """Place of a word of `gate.block` from the strictest (1: `low`) to `never`."""
    words: Sequence[str] = ("low", "medium", "high", "critical", "never")
    return words.index(block) + 1


def _reaches(severity: Severity, block: BlockWord) -> bool:
    return block != "never" and severity >= Severity.parse(block)
