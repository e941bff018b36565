"""What an engine found, and what it means."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from enum import IntEnum, StrEnum

from pipeline.model.ids import BlobId, CommitId, Handle


class Severity(IntEnum):
    """How bad it is when it is real. Ordered: a gate compares with `>=`."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4

    @property
    def word(self) -> str:
        """Lower-case name, as in policies and the API."""
        return self.name.lower()

    @classmethod
    def parse(cls, word: str) -> Severity:
        """Severity of a lower-case word. Raises ValueError with the allowed words."""
        try:
            return cls[word.upper()]
        except KeyError:
            raise ValueError(f"'{word}' is no severity; one of {', '.join(s.word for s in cls)}") from None


class Confidence(IntEnum):
    """How sure the engine and our triage are that it is real."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3

    @property
    def word(self) -> str:
        """Lower-case name."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Rule:
    """What a finding is an instance of. Ids are ours (`python.sql-injection`), so changing an engine keeps identities."""

    id: str
    title: str
    """What is wrong in at most eight words, for tables: `Request data becomes SQL`."""
    message: str
    """One or two sentences for the reader of the code: who can do what, and why."""
    severity: Severity
    confidence: Confidence
    cwe: int
    """The one CWE number of the rule."""
    help: str = ""
    """How to mend it, in a sentence."""
    shadow: bool = False
    """True while the rule is on trial: it is measured and reported to nobody."""


@dataclass(frozen=True, slots=True, order=True)
class Location:
    """A range of text in one file of the tree. Lines and columns are 1-based; the end is the last character's line, column exclusive."""

    path: str
    """Relative to the repository's root, `/` between parts; undecodable bytes as surrogate escapes."""
    line: int
    end_line: int
    column: int = 1
    end_column: int = 1


@dataclass(frozen=True, slots=True)
class Secret:
    """What may be kept of a secret's value: its kind, a keyed hash for equality, and four characters at most."""

    kind: str
    """Human name: `AWS access key`."""
    keyed_hash: str
    """HMAC of the value under a key that never leaves the store; empty where there is no key (command line)."""
    last_four: str = ""
    """Last four characters, only of a machine token of 20 or more characters; else empty."""
    marks: str = field(default="", repr=False)
    """By what `pipeline.leaks` knows the value again wherever it would leave; base64, empty for a plain word."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One place where one rule fires in one state of the tree."""

    rule: Rule
    location: Location
    fingerprint: str
    """`v1:` and 32 hex digits; equal for the same weakness wherever it moves. See `pipeline.triage.fingerprint`."""
    engine: str
    """Name of the engine that said it: `semgrep`, `betterleaks`."""
    scope: str = ""
    """Name of the enclosing function or class, `""` at the top of the file."""
    excerpt: str = ""
    """The flagged lines, at most 10 and 2,000 characters, a secret's value replaced by its kind. Hostile text."""
    detail: str = ""
    """What is particular here, e.g. "comes from `request.form` (line 38)"; text with code in backticks, may be empty. Hostile."""
    source: Location | None = None
    """Where the hostile data enters, when the engine knows."""
    secret: Secret | None = None
    commit: CommitId | None = None
    """For a secret that lives in the history: the commit that added it."""
    blob: BlobId | None = None
    handle: Handle | None = None
    """Given when it is stored, or by the command line over its own run."""
    built: bool = False
    """True when it stands in what a program wrote of other files: a bundle, a minified script. See `pipeline.triage.bundles`."""
    witnesses: tuple[str, ...] = ()
    """Other scanners that say the same of this place, with their rules: `Bandit B608`. Plain text. See `pipeline.triage.witnesses`."""


class BaselineState(StrEnum):
    """SARIF 2.1.0 `baselineState`, plus what could not be looked at again."""

    NEW = "new"
    UNCHANGED = "unchanged"
    FIXED = "absent"
    NOT_REEVALUATED = "not re-evaluated"


class Standing(StrEnum):
    """What a finding does to the verdict of a change."""

    BLOCKS = "blocks"
    WARNS = "warns"
    WAIVED = "waived"
    COUNTED = "counted"
    """Below what the policy wants to read about: only in the count."""


class SuppressionKind(StrEnum):
    """Where a suppression comes from. None of them can come from the change that it would help."""

    WAIVER = "waiver"
    """A person's `/waive`."""
    ROTATED = "rotated"
    """A person's `/rotated`: the secret was revoked, so that its presence in the history does no more harm."""
    POLICY = "policy"
    """An entry of the base's policy."""
    CODE = "code"
    """A comment `fixwright: ignore[rule] reason` that the base has."""


@dataclass(frozen=True, slots=True)
class Suppression:
    """Why a finding may stand, said by whom, and until when."""

    kind: SuppressionKind
    reason: str
    """Never empty. Hostile text."""
    by: str
    """Login of a person, or the file that says so: `.github/fixwright.yml`."""
    until: date | None = None
    """Last day on which it holds; None: without an end."""
    expired: bool = False
    """True when that day is over: the finding counts again, and is told as expired, not as new."""
    since: date | None = None
    """Day on which a person said so."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A finding in the light of a change and a policy."""

    finding: Finding
    baseline: BaselineState
    standing: Standing
    in_diff: bool = False
    """True when its first line is a line that the change added, so that a thread can stand there."""
    reason: str = ""
    """Why it stands so, for `waived`."""
    suppression: Suppression | None = None
    """Of a waived finding; or an expired one of a finding that counts again."""
    scopes: tuple[str, ...] = ()
    """Names of the policy's scopes in which its file lies."""
    owners: tuple[str, ...] = ()
    """Who looks after these scopes, without `@`: a person is told by the host, never by us."""
    listed: bool = False
    """True for a new finding of a pull request that the default branch has at the same place: what it brings is known there already, as
    when its base is an old branch. In a public repository it is not told of."""


@dataclass(frozen=True, slots=True)
class Advisory:
    """A published vulnerability of a package: OSV or GHSA id and its aliases."""

    id: str
    aliases: tuple[str, ...] = field(default=())
    summary: str = ""
