"""`make demo PROVIDER=gitlab`: the story of the demo against the double of GitLab."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bot.demo import content
from bot.demo.story import DemoFailed, FixAnswer, git, make_repository
from tests.worlds.demo import PERSON, Beside, main, send_copies
from tests.worlds.gitlab.model import Discussion, MergeRequest, Note, Project, User
from tests.worlds.gitlab.world import GitlabWorld


class GitlabDemo:
    """A private project on the double, with a token of its own for Fixwright."""

    name = "gitlab"
    word = "merge request"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._world = GitlabWorld(folder / "gitlab")
        self._project: Project | None = None
        self._request: MergeRequest | None = None
        self._beside: Beside | None = None
        self._ours: User | None = None
        self.server = folder

    @property
    def project(self) -> Project:
        """On the double."""
        assert self._project is not None
        return self._project

    @property
    def request(self) -> MergeRequest:
        """The change."""
        assert self._request is not None
        return self._request

    def open(self, repository: Path) -> None:
        """Start the double; what an earlier one knew is gone with it, so everything begins anew."""
        self._world.serve()
        self._world.create_group(content.OWNER, owner="olga")
        self._project = self._world.create_project(content.OWNER, content.NAME, creator="olga")
        self._world.set_access(PERSON, self.project, "developer")
        self.server = self.project.git.path
        make_repository(repository, self.server)
        self._look()

    def _look(self) -> None:
        with self._world.gitlab.state.lock:
            self._world.gitlab.actions.look_at_refs(self.project, self._world.user(PERSON))

    def start(self, environment: Mapping[str, str], log: Path) -> None:
        """`fixwright up` with a group access token and the secret of the webhook."""
        token = self._world.token_of(self.project.namespace, "maintainer")
        self._ours = self._world.owner_of(token)
        settings = {"URL": self._world.url, "TOKEN": token, "WEBHOOK_SECRET": self._world.webhook_secret}
        self._beside = Beside(self.name, environment, settings, log)
        self._world.webhook_url = self._beside.hook_url

    def push(self) -> str:
        """Push, open the merge request, and deliver it a hundred times more: it stays one review."""
        git(self._folder / "repository", "push", "--quiet", "origin", content.BRANCH)
        self._look()
        self._request = self._world.open_merge_request(PERSON, self.project, content.BRANCH, "main", content.TITLE)
        self._world.hooks.wait()
        opened = self._world.hooks.of("merge_request", "open")[-1]
        return f"merge request !{self.request.iid}; {send_copies(self._world.hooks, opened.id)}"

    def checks(self) -> list[dict[str, Any]]:
        """The status of the head; the one note of the merge request is the page behind it, without which it is not whole."""
        done = {"success": "success", "failed": "failure", "canceled": "cancelled"} if self._notes() else {}
        return [
            {
                "name": job.name,
                "status": "completed" if job.status in done else "in_progress",
                "conclusion": done.get(job.status),
                "title": job.description or "",
                "summary": "\n\n".join(note.body for note in self._notes()),
                "annotations": 0,
            }
            for job in self._world.statuses(self.project, self.request.head)
        ]

    def _notes(self) -> list[Note]:
        """What we wrote in the conversation, outside of threads."""
        return [note for note in self._world.notes(self.request) if note.author is self._ours and note.type is None]

    def _threads(self) -> list[Discussion]:
        found = self._world.discussions(self.request)
        return [known for known in found if known.first.author is self._ours and known.first.type == "DiffNote"]

    def threads(self) -> list[dict[str, Any]]:
        """First notes of our threads."""
        return [_thread(known.first) for known in self._threads()]

    def ask(self, path: str, text: str) -> None:
        """Answer in the thread on a file."""
        thread = next(known for known in self._threads() if _thread(known.first)["path"] == path)
        self._world.reply_in_discussion(PERSON, thread, text)

    def fix(self) -> FixAnswer | None:
        """Our merge request, once the thread has its answer."""
        ours = [known for known in self.project.merge_requests.values() if known.author is self._ours]
        replies = [note.body for known in self._threads() for note in known.notes[1:] if note.author is self._ours]
        if not ours or not replies:
            return None
        return FixAnswer(ours[0].iid, ours[0].title, ours[0].description or "", ours[0].source_branch, replies[-1])

    def counts(self) -> Mapping[str, int]:
        """What an impatient reader would count, and whether we broke a rule of GitLab's."""
        violations = self._world.violations
        if violations:
            raise DemoFailed(f"a request or an answer broke GitLab's own description: {violations[0]}")
        ours = [known for known in self.project.merge_requests.values() if known.author is self._ours]
        return {"checks": len(self.checks()), "threads": len(self.threads()), "fixes": len(ours)}

    def close(self) -> None:
        """Stop Fixwright, then the double."""
        if self._beside is not None:
            self._beside.stop()
        self._world.stop()


def _thread(first: Note) -> dict[str, Any]:
    at = first.original_position
    assert at is not None
    return {"path": at.new_path, "line": at.new_line, "body": first.body, "id": first.id}


if __name__ == "__main__":
    sys.exit(main("gitlab", GitlabDemo))
