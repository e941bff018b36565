"""Where the histories of `tests/stages/histories.py` are played: a repository with one pull request on the double of each host."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from tests.stages.github import GithubBench, app_key
from tests.stages.gitlab import GitlabBench
from tests.stages.histories import Opened, Place, Said, files_of, first_content
from tests.worlds.github.world import GithubWorld
from tests.worlds.gitlab.model import Discussion, MergeRequest, Note
from tests.worlds.gitlab.world import GitlabWorld

PATIENCE = 300.0
"""Seconds for one step: what is judged here is what it comes to, on however busy a machine."""
NAMED = re.compile(r"\b((?:lib|new|moved|theirs)/\w+\.txt):(\d+)")
"""A place in the text of a comment."""


def _line(content: bytes | None, number: int) -> str:
    return (content or b"").decode().splitlines()[number - 1]


class GithubPlace(Place):
    """A check page has what is not in threads, as annotations."""

    def __init__(self, bench: GithubBench) -> None:
        self.bench, self.world = bench, bench.world
        self.repository = bench.repository(files_of(first_content()))
        self.git = self.repository.git

    def settle(self) -> None:
        self.bench.settle(PATIENCE)

    def lock(self) -> AbstractContextManager[object]:
        return self.world.github.state.lock

    def now(self) -> int:
        return int(self.world.github.state.seconds())

    def pushed(self, person: str) -> None:
        self.world.github.actions.look_at_refs(self.repository, self.world.user(person))

    def open(self) -> None:
        self.pull = self.world.open_pull_request("ada", self.repository, "feature", "main", "Change it")

    def set_draft(self, draft: bool) -> None:
        self.world.set_draft("ada", self.pull, draft)

    def close(self) -> None:
        self.world.close("ada", self.pull)

    def reopen(self) -> None:
        self.world.reopen("ada", self.pull)

    def comment(self, text: str) -> None:
        self.world.comment("eve", self.pull, text)

    def reply(self, thread: str, text: str) -> None:
        self.world.reply_in_thread("eve", int(thread), text)

    def resolve(self, thread: str) -> None:
        (comment,) = [known for known in self.bench.threads(self.pull) if known.id == int(thread)]
        self.world.resolve_thread("ada", comment)

    def is_open(self) -> bool:
        return self.pull.state == "open"

    def is_draft(self) -> bool:
        return self.pull.draft

    def threads(self) -> list[Opened]:
        made = []
        for comment in self.bench.threads(self.pull):
            content = self.world.read(self.repository, comment.original_commit, comment.original.path)
            made.append(Opened(str(comment.id), _line(content, comment.original.line or 0), comment.thread.resolved_by is not None))
        return made

    def replies(self) -> list[str]:
        return [comment.body for comment in self.pull.review_comments if comment.user is not self.world.app.bot]

    def said(self) -> Said:
        run = self.bench.runs(self.repository, self.pull.head_sha)[-1]
        read = {a["path"]: self.world.read(self.repository, self.pull.head_sha, a["path"]) for a in run.annotations}
        return Said(run.conclusion or "", [_line(read[a["path"]], a["start_line"]) for a in run.annotations])

    def mails(self) -> int:
        return len(self.world.notifying_calls(self.pull))

    def mails_beside(self) -> int:
        return 0

    def dead(self) -> Sequence[object]:
        return self.bench.dead()

    def violations(self) -> Sequence[object]:
        return self.world.violations


class GitlabPlace(Place):
    """No check page: the note has every finding, and of each whether it stands in a thread."""

    def __init__(self, bench: GitlabBench) -> None:
        self.bench, self.world = bench, bench.world
        self.project = bench.project(files_of(first_content()))
        self.git = self.project.git

    def settle(self) -> None:
        self.bench.settle(PATIENCE)

    def lock(self) -> AbstractContextManager[object]:
        return self.world.gitlab.state.lock

    def now(self) -> int:
        return int(self.world.gitlab.state.seconds())

    def pushed(self, person: str) -> None:
        self.world.gitlab.actions.look_at_refs(self.project, self.world.user(person))

    def open(self) -> None:
        self.request: MergeRequest = self.world.open_merge_request("ada", self.project, "feature", "main", "Change it")

    def set_draft(self, draft: bool) -> None:
        self.world.set_draft("ada", self.request, draft)

    def close(self) -> None:
        self.world.close("ada", self.request)

    def reopen(self) -> None:
        self.world.reopen("ada", self.request)

    def comment(self, text: str) -> None:
        self.world.comment("eve", self.request, text)

    def reply(self, thread: str, text: str) -> None:
        self.world.reply_in_discussion("eve", self._discussion(thread), text)

    def resolve(self, thread: str) -> None:
        self.world.resolve("ada", self._discussion(thread))

    def _discussion(self, identity: str) -> Discussion:
        (found,) = [known for known in self.world.discussions(self.request) if known.id == identity]
        return found

    def is_open(self) -> bool:
        return self.request.state == "opened"

    def is_draft(self) -> bool:
        return self.request.draft

    def threads(self) -> list[Opened]:
        bot = self.world.owner_of(self.bench.token)
        made = []
        for known in self.world.discussions(self.request):
            at = known.first.original_position
            if known.first.author is not bot:
                continue
            assert at is not None, f"a thread of ours that is not on the diff: {known.first.body}"
            content = self.world.read(self.project, at.refs.head, at.new_path)
            made.append(Opened(known.id, _line(content, at.new_line or 0), known.resolved))
        return made

    def replies(self) -> list[str]:
        bot = self.world.owner_of(self.bench.token)
        notes = [note for note in self.world.notes(self.request) if note.author is not bot and not note.discussion.individual]
        return [note.body for note in notes]

    def _page(self) -> list[Note]:
        return [note for note in self.bench.our_notes(self.request) if note.discussion.individual]

    def said(self) -> Said:
        (status,) = self.bench.statuses(self.project, self.request.head)
        page = "".join(note.body for note in self._page())
        lines: dict[bool, list[str]] = {False: [], True: []}
        for row in page.splitlines():
            for path, number in NAMED.findall(row):
                content = self.world.read(self.project, self.request.head, path)
                lines["in the thread" in row].append(_line(content, int(number)))
        return Said({"failed": "failure"}.get(status.status, status.status), lines[False], lines[True])

    def mails(self) -> int:
        return len(self.world.notifying_calls(self.request))

    def mails_beside(self) -> int:
        return len(self._page())

    def dead(self) -> Sequence[object]:
        return self.bench.dead()

    def violations(self) -> Sequence[object]:
        return self.world.violations


@contextmanager
def github_place(folder: Path) -> Iterator[Place]:
    """A new one on the double of GitHub."""
    world = GithubWorld(folder / "github", private_key_pem=app_key())
    world.serve()
    bench = GithubBench(folder, world, "")
    try:
        yield GithubPlace(bench)
    finally:
        bench.close()
        world.stop()


@contextmanager
def gitlab_place(folder: Path) -> Iterator[Place]:
    """A new one on the double of GitLab."""
    with GitlabWorld.start(folder) as world:
        bench = GitlabBench(folder, world)
        try:
            yield GitlabPlace(bench)
        finally:
            bench.close()


PLACES: Mapping[str, Callable[[Path], AbstractContextManager[Place]]] = {"github": github_place, "gitlab": gitlab_place}
