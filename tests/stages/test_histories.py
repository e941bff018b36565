"""Random lives of pull requests: at most one mail a push, no thread twice, resolved when the finding is gone, opened again when it is back.

Real git, the double of GitHub, instant engines. `FIXWRIGHT_HISTORIES=50` runs so many of them (`make bench` does); the default is a sample.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable

import pytest

from tests.stages.github import GithubBench
from tests.worlds.bare import Entry, Person
from tests.worlds.github.model import PullRequest, ReviewComment

HISTORIES = int(os.environ.get("FIXWRIGHT_HISTORIES", "2"))
STEPS = 10
Content = dict[str, list[str]]


class History:
    """One pull request, what its people do to it, and what it has to look like afterwards."""

    def __init__(self, github: GithubBench, seed: int) -> None:
        self.github, self.world, self.random = github, github.world, random.Random(seed)  # repeatable
        self.main: Content = {f"lib/{name}.txt": [f"{name} line {n}" for n in range(12)] for name in "abc"}
        self.main["lib/a.txt"].insert(3, "BAD from the beginning")
        self.base: Content = {path: list(lines) for path, lines in self.main.items()}
        """Of the merge base."""
        self.head: Content = {path: list(lines) for path, lines in self.main.items()}
        self.repository = github.repository({path: _text(lines) for path, lines in self.main.items()}, f"shop{seed}")
        self.count = 0
        self.fixed: list[tuple[str, str]] = []
        self.kept: set[str] = set()
        """Lines whose thread a person resolved, as long as they stand."""
        self.replies: dict[int, str] = {}
        self.add_bad()
        self.pull: PullRequest = self.world.open_pull_request("ada", self.repository, "feature", "main", "Change it")

    # --- what people do ---

    def act(self) -> str:
        """One step; its name."""
        acts: list[Callable[[], None]] = (
            [self.reopen]
            if self.pull.state != "open"
            else [
                *[self.add_bad, self.fix, self.revert] * 3,
                *[self.edit, self.rename, self.rebase, self.merge_base, self.squash] * 2,
                *[self.toggle_draft, self.close, self.comment, self.reply, self.resolve],
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

    def squash(self) -> None:
        """All in one commit, by force."""
        self.push(onto=self.merge_base_commit, force=True)

    def rebase(self) -> None:
        """The base moved on; the change is put on top of it, by force."""
        self._move_main()
        self.base = {path: list(lines) for path, lines in self.main.items()}
        self.push(onto=self.tip("main"), force=True)

    def merge_base(self) -> None:
        """The base moved on and is merged into the change."""
        self._move_main()
        self.base = {path: list(lines) for path, lines in self.main.items()}
        self.push(second_parent=self.tip("main"))

    def _move_main(self) -> None:
        """Others add a file; in it there may be a finding, which is theirs."""
        self.count += 1
        path, line = f"theirs/{self.count}.txt", self.random.choice(["fine", f"BAD of others {self.count}"])
        self.main[path] = [line]
        self.head[path] = [line]
        self.world.commit(self.repository, "main", {path: _text([line])}, "Theirs", "eve")

    def toggle_draft(self) -> None:
        """Not ready after all, or ready."""
        self.world.set_draft("ada", self.pull, not self.pull.draft)

    def close(self) -> None:
        """And the next step opens it again."""
        self.world.close("ada", self.pull)

    def reopen(self) -> None:
        """See `close`."""
        self.world.reopen("ada", self.pull)

    def comment(self) -> None:
        """Somebody talks."""
        self.world.comment("eve", self.pull, "Looks odd to me.")

    def reply(self) -> None:
        """Somebody answers in one of our threads."""
        threads = self.github.threads(self.pull)
        if threads:
            made = self.world.reply_in_thread("eve", self.random.choice(threads).id, f"I think so too ({len(self.replies)}).")
            self.replies[made.id] = made.body

    def resolve(self) -> None:
        """Somebody resolves one of our threads, though its finding stands."""
        standing = [thread for thread in self.github.threads(self.pull) if thread.thread.resolved_by is None]
        if standing:
            chosen = self.random.choice(standing)
            self.world.resolve_thread("ada", chosen)
            self.kept.add(self.line_of(chosen))

    # --- git ---

    def tip(self, branch: str) -> str:
        """Newest commit of a branch."""
        found = self.repository.git.branch(branch)
        assert found is not None
        return found

    @property
    def merge_base_commit(self) -> str:
        """Where the change begins."""
        found = self.repository.git.merge_base(self.tip("main"), self.tip("feature"))
        assert found is not None
        return found

    def push(self, *, onto: str = "", second_parent: str = "", force: bool = False) -> None:
        """One commit with all of `head` in it."""
        git = self.repository.git
        with self.world.github.state.lock:
            old = git.branch("feature") or self.tip("main")
            parent = onto or old
            there = {entry.path for entry in git.entries(git.commit(parent).tree, recursive=True) if entry.type == "blob"}
            entries = [Entry("100644", path, git.write_blob(_text(lines).encode())) for path, lines in sorted(self.head.items())]
            entries += [Entry("100644", path, None) for path in sorted(there - set(self.head))]
            person = Person("ada", "ada@example.com", int(self.world.github.state.seconds()))
            parents = [parent, second_parent] if second_parent else [parent]
            made = git.write_commit(
                git.write_tree(parent, entries), parents, f"Step {self.count}{' again' if force else ''}\n", person, person
            )
            git.set_ref("refs/heads/feature", made)
            self.world.github.actions.look_at_refs(self.repository, self.world.user("ada"))

    # --- what has to be ---

    def live(self) -> set[str]:
        """Lines that are findings of the change."""
        old = {line for lines in self.base.values() for line in lines}
        return {line for lines in self.head.values() for line in lines if line.startswith("BAD") and line not in old}

    def line_of(self, comment: ReviewComment) -> str:
        """What a thread of ours was opened on."""
        content = self.world.read(self.repository, comment.original_commit, comment.original.path) or b""
        return content.decode().splitlines()[(comment.original.line or 0) - 1]

    def check(self, step: str, mails: int) -> None:
        """After a step and all that follows from it."""
        assert len(self.world.notifying_calls(self.pull)) - mails <= 1, step
        said = {comment.id: comment.body for comment in self.pull.review_comments}
        assert {number: said.get(number) for number in self.replies} == self.replies, step
        threads = {self.line_of(comment): comment for comment in self.github.threads(self.pull)}
        assert len(threads) == len(self.github.threads(self.pull)), f"{step}: a thread twice"
        assert self.github.dead() == []
        if self.pull.state != "open" or self.pull.draft:
            assert len(self.world.notifying_calls(self.pull)) == mails, f"{step}: said while nobody asked"
            return
        self.kept &= self.live()
        for line, comment in threads.items():
            wanted = line not in self.live() or line in self.kept
            assert (comment.thread.resolved_by is not None) == wanted, f"{step}: {line}"
        self.everything_is_told(step, set(threads))

    def everything_is_told(self, step: str, threads: set[str]) -> None:
        """Each finding has a thread, or a note in the newest check."""
        run = self.github.runs(self.repository, self.pull.head_sha)[-1]
        assert run.status == "completed"
        assert run.conclusion == ("failure" if self.live() else "success"), step
        noted = {self.head[a["path"]][a["start_line"] - 1] for a in run.annotations}
        assert self.live() == (threads & self.live()) | noted, step
        assert not threads & noted, f"{step}: told twice"


def _text(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


@pytest.mark.parametrize("seed", range(HISTORIES))
def test_whatever_happens_to_a_pull_request_people_are_told_once(github: GithubBench, seed: int) -> None:
    history = History(github, seed)
    github.settle()
    history.check("open", 0)
    steps: list[str] = []
    for _ in range(STEPS):
        mails = len(github.world.notifying_calls(history.pull))
        steps.append(history.act())
        github.settle()
        history.check(" > ".join(steps), mails)
