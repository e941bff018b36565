"""Random lives of pull requests, on whatever host: what people do in git and in the conversation, and what it has to look like afterwards.

A `Place` is a repository with one pull request on the double of a host; `tests/stages/places.py` has one for each host. The same seed is
the same life on all of them.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from tests.worlds.bare import BareRepository, Entry, Person

STEPS = 10
ALWAYS = 5
"""As many findings get a thread whatever else there is: so many fixes are tried ahead (`pipeline.stages.ahead.AHEAD_FINDINGS`)."""
Content = dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class Opened:
    """A thread of ours. `line`: the text of the line that it was opened on."""

    id: str
    line: str
    resolved: bool


@dataclass(frozen=True, slots=True)
class Said:
    """What is said of the head outside of threads. `conclusion`: `success` or `failure`, empty while it is not finished."""

    conclusion: str
    lines: Sequence[str]
    """Text of each line that is named there, as often as it is."""
    referred: Sequence[str] = ()
    """Of those that are named there only to say that they have a thread."""


class Place(ABC):
    """One repository, one pull request from `feature` to `main`, and a Fixwright that is told of both. Its author is ada."""

    git: BareRepository

    @abstractmethod
    def settle(self) -> None:
        """Deliver and work until both sides are quiet."""

    @abstractmethod
    def lock(self) -> AbstractContextManager[object]:
        """Nobody else changes the world meanwhile."""

    @abstractmethod
    def now(self) -> int:
        """The world's clock."""

    @abstractmethod
    def pushed(self, person: str) -> None:
        """Refs were moved in `git` by somebody: the host sees it and tells of it. Called with the lock."""

    @abstractmethod
    def open(self) -> None:
        """Open the pull request."""

    @abstractmethod
    def set_draft(self, draft: bool) -> None:
        """Not ready after all, or ready."""

    @abstractmethod
    def close(self) -> None:
        """Close it."""

    @abstractmethod
    def reopen(self) -> None:
        """Open it again."""

    @abstractmethod
    def comment(self, text: str) -> None:
        """Eve talks in the conversation."""

    @abstractmethod
    def reply(self, thread: str, text: str) -> None:
        """Eve answers in a thread."""

    @abstractmethod
    def resolve(self, thread: str) -> None:
        """Ada resolves a thread."""

    @abstractmethod
    def is_open(self) -> bool:
        """False while it is closed."""

    @abstractmethod
    def is_draft(self) -> bool:
        """As of now."""

    @abstractmethod
    def threads(self) -> list[Opened]:
        """Ours, in any order."""

    @abstractmethod
    def replies(self) -> list[str]:
        """What people wrote in threads, oldest first."""

    @abstractmethod
    def said(self) -> Said:
        """Outside of threads, of the newest commit."""

    @abstractmethod
    def mails(self) -> int:
        """How often we have sent mail so far."""

    @abstractmethod
    def mails_beside(self) -> int:
        """Which of them were for a comment that the host needs because it has no check page: at most one in a life."""

    @abstractmethod
    def dead(self) -> Sequence[object]:
        """Work that was given up."""

    @abstractmethod
    def violations(self) -> Sequence[object]:
        """What was against the host's interface."""


class History:
    """What people do to the pull request of a place, and what it has to look like afterwards."""

    def __init__(self, place: Place, seed: int) -> None:
        self.place, self.git, self.random = place, place.git, random.Random(seed)  # repeatable
        self.main: Content = first_content()
        self.base: Content = _copy(self.main)
        """Of the merge base."""
        self.head: Content = _copy(self.main)
        self.count = 0
        self.fixed: list[tuple[str, str]] = []
        self.kept: set[str] = set()
        """Lines whose thread a person resolved, as long as they stand."""
        self.replies: list[str] = []
        self.states: dict[str, tuple[Content, Content]] = {}
        """Head and base of each commit that the branch ever stood on."""

    def begin(self) -> None:
        """Open it with one finding."""
        self.add_bad()
        self.place.open()

    # --- what people do ---

    def act(self) -> str:
        """One step; its name."""
        acts: list[Callable[[], None]] = (
            [self.reopen]
            if not self.place.is_open()
            else [
                *[self.add_bad, self.fix, self.revert] * 3,
                *[self.edit, self.rename, self.move, self.rebase, self.merge_base, self.squash] * 2,
                *[self.go_back, self.toggle_draft, self.close, self.comment, self.reply, self.resolve],
            ]
        )
        chosen = self.random.choice(acts)
        chosen()
        return chosen.__name__

    def add_bad(self) -> None:
        """A new finding, in a file that there is or in one of its own."""
        self.count += 1
        path = self.random.choice([*sorted(self.head), f"new/{self.count}.txt"])
        lines = self.head.setdefault(path, ["first"])
        lines.insert(self.random.randint(0, len(lines)), f"BAD number {self.count}")
        self.push()

    def fix(self) -> None:
        """Mend a finding of the change."""
        found = sorted((path, line) for path, lines in self.head.items() for line in lines if line in self.live())
        if not found:
            self.edit()
            return
        path, line = self.random.choice(found)
        self.head[path][self.head[path].index(line)] = line.replace("BAD", "GOOD")
        self.fixed.append((path, line))
        self.push()

    def revert(self) -> None:
        """Bring back what was mended."""
        back = [(path, line) for path, line in self.fixed if line.replace("BAD", "GOOD") in self.head.get(path, [])]
        if not back:
            self.add_bad()
            return
        path, line = self.random.choice(back)
        self.head[path][self.head[path].index(line.replace("BAD", "GOOD"))] = line
        self.push()

    def edit(self) -> None:
        """Something harmless, above whatever there is."""
        self.count += 1
        self.head[self.random.choice(sorted(self.head))].insert(0, f"harmless {self.count}")
        self.push()

    def rename(self) -> None:
        """A file moves."""
        self.count += 1
        path = self.random.choice(sorted(self.head))
        self.head[f"moved/{self.count}.txt"] = self.head.pop(path)
        self.fixed = [(f"moved/{self.count}.txt" if old == path else old, line) for old, line in self.fixed]
        self.push()

    def move(self) -> None:
        """Some lines, a finding among them where there is one, move within their file or into another one."""
        self.count += 1
        holders = sorted(path for path, lines in self.head.items() if any(line.startswith("BAD") for line in lines)) or sorted(self.head)
        source, target = self.random.choice(holders), self.random.choice(sorted(self.head))
        lines = self.head[source]
        at = next((number for number, line in enumerate(lines) if line.startswith("BAD")), 0)
        start = max(0, at - self.random.randint(0, 2))
        taken = lines[start : at + 1 + self.random.randint(0, 2)]
        del lines[start : start + len(taken)]
        if not lines:
            lines.append(f"rest {self.count}")
        place = self.random.randint(0, len(self.head[target]))
        self.head[target][place:place] = taken
        self.fixed = [(target if old == source and line.replace("BAD", "GOOD") in taken else old, line) for old, line in self.fixed]
        self.push()

    def squash(self) -> None:
        """All in one commit, by force."""
        self.push(onto=self.merge_base_commit, force=True)

    def rebase(self) -> None:
        """The base moved on; the change is put on top of it, by force."""
        self._move_main()
        self.base = _copy(self.main)
        self.push(onto=self.tip("main"), force=True)

    def merge_base(self) -> None:
        """The base moved on and is merged into the change."""
        self._move_main()
        self.base = _copy(self.main)
        self.push(second_parent=self.tip("main"))

    def go_back(self) -> None:
        """The branch is forced to a commit that it stood on before: we judged some of them already."""
        self.return_to(self.random.choice(list(self.states)))

    def return_to(self, sha: str) -> None:
        """The branch is forced to this one of its commits."""
        with self.place.lock():
            self.head, self.base = (_copy(content) for content in self.states[sha])
            self.git.set_ref("refs/heads/feature", sha)
            self.place.pushed("ada")

    def _move_main(self) -> None:
        """Others add a file; in it there may be a finding, which is theirs."""
        self.count += 1
        path, line = f"theirs/{self.count}.txt", self.random.choice(["fine", f"BAD of others {self.count}"])
        self.main[path] = [line]
        self.head[path] = [line]
        with self.place.lock():
            made = self._commit(self.main, [self.tip("main")], "Theirs", "eve")
            self.git.set_ref("refs/heads/main", made)
            self.place.pushed("eve")

    def toggle_draft(self) -> None:
        """Not ready after all, or ready."""
        self.place.set_draft(not self.place.is_draft())

    def close(self) -> None:
        """And the next step opens it again."""
        self.place.close()

    def reopen(self) -> None:
        """See `close`."""
        self.place.reopen()

    def comment(self) -> None:
        """Somebody talks."""
        self.place.comment("Looks odd to me.")

    def reply(self) -> None:
        """Somebody answers in one of our threads."""
        threads = self._threads()
        if threads:
            self.replies.append(f"I think so too ({len(self.replies)}).")
            self.place.reply(self.random.choice(threads).id, self.replies[-1])

    def resolve(self) -> None:
        """Somebody resolves one of our threads, though its finding stands."""
        standing = [thread for thread in self._threads() if not thread.resolved]
        if standing:
            chosen = self.random.choice(standing)
            self.place.resolve(chosen.id)
            self.kept.add(chosen.line)

    def _threads(self) -> list[Opened]:
        """In an order that is the same on every host."""
        return sorted(self.place.threads(), key=lambda thread: thread.line)

    # --- git ---

    def tip(self, branch: str) -> str:
        """Newest commit of a branch."""
        found = self.git.branch(branch)
        assert found is not None
        return found

    @property
    def merge_base_commit(self) -> str:
        """Where the change begins."""
        found = self.git.merge_base(self.tip("main"), self.tip("feature"))
        assert found is not None
        return found

    def push(self, *, onto: str = "", second_parent: str = "", force: bool = False) -> None:
        """One commit with all of `head` in it."""
        with self.place.lock():
            parent = onto or self.git.branch("feature") or self.tip("main")
            parents = [parent, second_parent] if second_parent else [parent]
            made = self._commit(self.head, parents, f"Step {self.count}{' again' if force else ''}", "ada")
            self.git.set_ref("refs/heads/feature", made)
            self.place.pushed("ada")
            self.states[made] = _copy(self.head), _copy(self.base)

    def _commit(self, content: Content, parents: list[str], message: str, who: str) -> str:
        git = self.git
        there = {entry.path for entry in git.entries(git.commit(parents[0]).tree, recursive=True) if entry.type == "blob"}
        entries = [Entry("100644", path, git.write_blob(text(lines).encode())) for path, lines in sorted(content.items())]
        entries += [Entry("100644", path, None) for path in sorted(there - set(content))]
        person = Person(who, f"{who}@example.com", self.place.now())
        return git.write_commit(git.write_tree(parents[0], entries), parents, f"{message}\n", person, person)

    # --- what has to be ---

    def live(self) -> set[str]:
        """Lines that are findings of the change."""
        old = {line for lines in self.base.values() for line in lines}
        return {line for lines in self.head.values() for line in lines if line.startswith("BAD") and line not in old}

    def check(self, step: str, mails: int, beside: int) -> None:
        """After a step and all that follows from it.

        Args:
            mails, beside: `Place.mails` and `Place.mails_beside` before it.
        """
        sent, extra = self.place.mails() - mails, self.place.mails_beside() - beside
        assert sent - extra <= 1, f"{step}: {sent} mails, {extra} of them for the comment that is a page"
        assert self.place.mails_beside() <= 1, f"{step}: a second comment that is a page"
        assert self.place.replies() == self.replies, step
        assert list(self.place.dead()) == []
        assert list(self.place.violations()) == []
        opened = self.place.threads()
        threads = {thread.line: thread for thread in opened}
        assert len(threads) == len(opened), f"{step}: a thread twice"
        if not self.place.is_open() or self.place.is_draft():
            assert sent == extra, f"{step}: said while nobody asked"
            return
        live = self.live()
        self.kept &= live
        for line, thread in threads.items():
            wanted = line not in live or line in self.kept
            assert thread.resolved == wanted, f"{step}: {line}"
        if len(live) <= ALWAYS:
            assert live <= set(threads), f"{step}: a finding that may speak has no thread"
        self._everything_is_told(step, live, set(threads))

    def _everything_is_told(self, step: str, live: set[str], threads: set[str]) -> None:
        """Each finding has a thread or stands in the newest check, and no other one does."""
        said = self.place.said()
        assert said.conclusion == ("failure" if live else "success"), step
        noted, named = set(said.lines), [*said.lines, *said.referred]
        assert len(named) == len(set(named)), f"{step}: named twice outside of threads"
        assert set(said.referred) <= threads & live, f"{step}: a thread that is not there"
        assert live == (threads & live) | noted, step
        assert not threads & noted, f"{step}: told twice"


@dataclass
class Played:
    """One life, from beginning to end."""

    steps: list[str] = field(default_factory=list)
    mails: list[int] = field(default_factory=list)
    """Of each step, without the comment that is a page."""
    threads: int = 0
    live: int = 0


def play(place: Place, seed: int, steps: int = STEPS) -> Played:
    """Live it; each step is judged. Raises AssertionError, which names all the steps so far."""
    history, played = History(place, seed), Played()
    for number in range(steps + 1):
        mails = beside = 0
        if number:
            mails, beside = place.mails(), place.mails_beside()
            played.steps.append(history.act())
        else:
            history.begin()
            played.steps.append("open")
        place.settle()
        history.check(" > ".join(played.steps), mails, beside)
        played.mails.append(place.mails() - mails - (place.mails_beside() - beside))
    played.threads, played.live = len(place.threads()), len(history.live())
    return played


def first_content() -> Content:
    """What `main` begins with: a finding in it is nobody's."""
    made = {f"lib/{name}.txt": [f"{name} line {n}" for n in range(12)] for name in "abc"}
    made["lib/a.txt"].insert(3, "BAD from the beginning")
    return made


def text(lines: Sequence[str]) -> str:
    """A file of these lines."""
    return "".join(f"{line}\n" for line in lines)


def files_of(content: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """What a commit of `content` has."""
    return {path: text(lines) for path, lines in content.items()}


def _copy(content: Content) -> Content:
    return {path: list(lines) for path, lines in content.items()}
