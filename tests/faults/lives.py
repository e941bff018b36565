"""One pull request on a stand, what people see of it, and what must be so when a fault is over."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import select

from bot.demo import content
from pipeline.store.tables import occurrences, reviews
from tests.faults.github import GithubChange, of
from tests.faults.hosts import Change, Fix, Home, Verdict
from tests.faults.stand import Stand
from tests.worlds.github.model import PullRequest, Repository

MARKER = re.compile(r"<!-- fixwright:\S+")


@dataclass(frozen=True, slots=True)
class Seen:
    """What a pull request shows, and what the store says was found: equal for two changes alike."""

    conclusion: str | None
    threads: tuple[tuple[str, int | None], ...]
    annotations: tuple[tuple[str, int, str], ...]
    findings: tuple[tuple[str, str, int], ...]
    """Identity, path and line of each."""


@dataclass
class Life:
    """One pull request, and what is expected of it in the end.

    Args:
        alike: what a change of the same content showed without any fault; None for a life that is told by `conclusion` alone.
    """

    stand: Stand
    home: Home
    change: Change
    alike: Seen | None = None
    conclusion: str = "failure"
    """Of the newest head's check."""
    checks_wanted: int = 1
    """On the newest head: 0 when it is to have none; 2 when two reviews looked at it, the first of which was cancelled."""
    heads: list[str] = field(default_factory=list)
    """Heads that were pushed so far; of those that were overtaken a check, if there is one, must have ended."""

    @classmethod
    def begin(cls, stand: Stand, alike: Seen | None = None, repository: Home | None = None, *, draft: bool = False) -> Life:
        """A person pushes a branch and opens a pull request."""
        home = repository or stand.home
        files = stand.change()
        branch = f"change-{stand.made}"
        stand.host.commit(home, branch, files, f"Change {stand.made}")
        change = stand.host.open(home, branch, f"Change {stand.made}", draft=draft)
        return cls(stand, home, change, alike, heads=[change.head])

    def push(self, *, force: bool = False) -> str:
        """A person pushes again, the same findings at the same places."""
        host, files = self.stand.host, self.stand.change()
        write = host.force_push if force else host.commit
        self.heads.append(write(self.home, self.change.branch, files, f"Change {self.stand.made}"))
        return self.heads[-1]

    # --- as GitHub has it, for rows that know nothing else ---

    @property
    def pull(self) -> PullRequest:
        """The double's own."""
        assert isinstance(self.change, GithubChange)
        return self.change.pull

    @property
    def repository(self) -> Repository:
        """The double's own."""
        return of(self.home)

    # --- what is seen ---

    @property
    def checks(self) -> list[Verdict]:
        """Ours on the newest head."""
        return [verdict for verdict in self.change.verdicts(self.change.head) if not verdict.replaced]

    @property
    def finished(self) -> bool:
        """True when the newest head has a finished check."""
        checks = self.checks
        return bool(checks) and all(check.status == "completed" for check in checks)

    def seen(self) -> Seen:
        """As it is now. Raises StoreError."""
        checks = self.checks
        return Seen(
            checks[-1].conclusion if checks else None,
            tuple(sorted((thread.path, thread.line) for thread in self.change.threads())),
            tuple(sorted(self.change.marks())),
            self._findings(),
        )

    def _findings(self) -> tuple[tuple[str, str, int], ...]:
        with self.stand.database.read() as work:
            of_head = select(reviews.c.id).where(reviews.c.head == self.change.head, reviews.c.pull_request == self.change.number)
            newest = work.transaction.execute(of_head.order_by(reviews.c.created_at.desc(), reviews.c.attempt.desc()).limit(1)).scalar()
            statement = select(occurrences.c.finding_id, occurrences.c.path, occurrences.c.line).where(occurrences.c.review_id == newest)
            return tuple(sorted((row.finding_id, row.path, row.line) for row in work.transaction.execute(statement)))

    def problems(self) -> list[str]:
        """What is not as it must be in the end: the invariants, for this pull request. Raises StoreError."""
        name, found = f"#{self.change.number}", self._of_checks()
        if self.alike is not None and not found:
            seen = self.seen()
            if seen != self.alike:
                found.append(f"it shows {seen}, without the fault it shows {self.alike}")
        return [f"{name}: {problem}" for problem in (*found, *self._of_words())]

    def _of_checks(self) -> list[str]:
        """Exactly one finished check on the newest head, none under way anywhere, none green that may not be."""
        found, checks = [], self.checks
        if len(checks) != self.checks_wanted:
            found.append(f"{len(checks)} checks on its head {self.change.head[:8]}, {self.checks_wanted} expected")
        for head in dict.fromkeys([*self.heads, self.change.head]):
            for check in self.change.verdicts(head):
                if check.status != "completed":
                    found.append(f"the check on {head[:8]} is {check.status}")
                elif not checks or check.id != checks[-1].id:
                    if check.conclusion not in ("cancelled", self.conclusion):
                        found.append(f"a check that was overtaken says {check.conclusion}")
                elif check.conclusion != self.conclusion:
                    found.append(f"the check says {check.conclusion} ({check.title}), expected {self.conclusion}")
        return found

    def _of_words(self) -> list[str]:
        """At most one sticky comment, no thread and no fix twice."""
        ours = self.change.notes()
        sticky = [body for body in ours if "fixwright:comment:" in body]
        threads = [_key(thread.words) for thread in self.change.threads()]
        replies = [_key(body) for body in self.change.replies()]
        answers = [_key(body) for body in ours if body not in sticky]
        fixes = [fix.branch for fix in self.change.fixes()]
        found = [f"{len(some)} sticky comments" for some in (sticky, self.change.confided()) if len(some) > 1]
        for what, keys in (("threads", threads), ("replies", replies), ("answers", answers), ("fix pull requests", fixes)):
            if len(keys) != len(set(keys)):
                found.append(f"the same {what} twice: {sorted(keys)}")
        return found

    # --- what people do ---

    def ask(self, text: str, path: str = "members/web.py", who: str = "ada") -> None:
        """Answer in our thread on a file."""
        self.change.answer(who, path, text)

    @property
    def fixes(self) -> list[Fix]:
        """Pull requests of ours into the branch of this one."""
        return [fix for fix in self.change.fixes() if fix.target == self.change.branch]


def _key(body: str) -> str:
    found = MARKER.search(body)
    return found[0] if found else body


def faultless(stand: Stand) -> Seen:
    """A life without any fault: what all others are compared with. Raises AssertionError when even that does not go well."""
    life = Life.begin(stand)
    stand.wait("a finished check", lambda: life.finished, 90)
    stand.quiet()
    problems: Sequence[str] = life.problems()
    seen = life.seen()
    assert not problems, problems
    assert sorted(path for path, _ in seen.threads) == list(stand.places), seen
    assert content.SECRET_TAIL not in str(seen)
    return seen
