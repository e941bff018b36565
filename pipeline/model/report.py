"""What people and machines are shown. Hosts render nothing: they are handed these, already escaped and cut to their limits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pipeline.model.ids import CommitId
from pipeline.model.review import Conclusion, Verdict


@dataclass(frozen=True, slots=True)
class Report:
    """Input of every renderer: a verdict and the facts about the run."""

    verdict: Verdict
    head: str = ""
    base: str = ""
    seconds: float = 0.0
    tool_version: str = ""
    policy_source: str = ""
    """`.github/fixwright.yml at 9d1f0aa`, or `defaults`."""
    whole: bool = False
    """True for a scan without a base: every finding is reported and none is new."""
    fixes: dict[str, str] = field(default_factory=dict)
    """Fingerprint -> what is offered ("fix suggested in the thread")."""
    excerpts: dict[str, tuple[tuple[int, str], ...]] = field(default_factory=dict)
    """`path:line:column`, or fingerprint where it is the only one -> numbered source lines for the terminal; hostile text."""
    color: bool = False
    """True when the reader is a terminal that shows colours (and NO_COLOR is not set)."""
    started: float = 0.0
    """When the run began, in seconds since 1970-01-01 UTC; 0.0 where nobody wrote it down."""


@dataclass(frozen=True, slots=True)
class Annotation:
    """A note on lines of a file in the check."""

    path: str
    line: int
    end_line: int
    level: Literal["notice", "warning", "failure"]
    title: str
    message: str


@dataclass(frozen=True, slots=True)
class CheckAction:
    """A button of the check (GitHub: at most three; label 20, description 40, identifier 20 characters)."""

    label: str
    description: str
    identifier: str


@dataclass(frozen=True, slots=True)
class Check:
    """The state of our check on a commit. `conclusion` None means in progress."""

    key: str
    """Deterministic: the same check is edited, never doubled."""
    title: str
    summary: str
    conclusion: Conclusion | None = None
    text: str = ""
    annotations: tuple[Annotation, ...] = ()
    actions: tuple[CheckAction, ...] = ()
    details_url: str = ""


@dataclass(frozen=True, slots=True)
class CheckRef:
    """Our check on the host."""

    commit: CommitId
    id: str


@dataclass(frozen=True, slots=True)
class CheckState:
    """What we know for sure of a check, because nobody but us writes it: then the host need not be asked.

    `id` empty: nobody ever tried to make it. Else it is in progress, without annotations, under this number.
    """

    id: str = ""


@dataclass(frozen=True, slots=True)
class Thread:
    """A conversation on a line of the diff. Key: the fingerprint, in a marker that only counts when we wrote it."""

    fingerprint: str
    path: str
    line: int
    end_line: int
    body: str
    """Markdown, already escaped, without the marker (the host adds its own)."""
    resolved: bool = False
    """True when the finding is gone: an existing thread is resolved, none is opened."""
    note: str = ""
    """A sentence under the text that stands there, for one that is resolved (`Gone in 7bc90d1.`); taken away again with `back`."""
    back: bool = False
    """True when the finding was gone and is here again: its thread is opened again, whoever resolved it. With an empty `body` the text that
    stands there is kept."""


@dataclass(frozen=True, slots=True)
class ThreadRef:
    """A thread on the host. `outside` is True when the host could not place it on its line, so it was not opened."""

    fingerprint: str
    id: str
    outside: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """Everything that is to be seen of a review on the host, decided once and then carried out keyed."""

    check: Check
    threads: tuple[Thread, ...] = ()
    comment: str | None = None
    """Body of the sticky comment; None leaves things as they are, `""` means nothing is open any more."""


@dataclass(frozen=True, slots=True)
class AdvisoryDraft:
    """What a private draft of a security advisory says. Plain Markdown, escaped already."""

    summary: str
    """At most 1,024 characters (GitHub, REST "Create a repository security advisory")."""
    description: str
    severity: Literal["low", "medium", "high", "critical"]
    cwe: tuple[str, ...] = ()
    """`CWE-89`."""
