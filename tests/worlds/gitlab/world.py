"""GitLab for a test: a server and what people do there.

with GitlabWorld.start(tmp_path) as world:
    project = world.create_project("acme", "shop", files={"app.py": "print(1)\\n"})
    world.commit(project, "feature", {"app.py": "print(2)\\n"}, "Change it", author="ada")
    request = world.open_merge_request("ada", project, "feature", "main", "Change it")
    token = world.token_of(project, "developer")
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tests.worlds.gitlab.core import Gitlab
from tests.worlds.gitlab.git_http import Gate
from tests.worlds.gitlab.model import Discussion, MergeRequest, Note
from tests.worlds.gitlab.people import People
from tests.worlds.gitlab.services import Services
from tests.worlds.record import Effect
from tests.worlds.world import World


class GitlabWorld(World, People, Services):
    """A running double. Everything that a person can do is a method; the bot does its part over HTTP."""

    def __init__(self, folder: Path, *, port: int = 0, webhook_url: str | None = None, relative: str = "") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.gitlab = Gitlab(folder, relative)
        super().__init__(self.gitlab, Gate(self.gitlab), port=port)
        self.gitlab.shapes.web = self._server.url + self.gitlab.root
        self.gitlab.hooks.url = webhook_url

    @classmethod
    @contextlib.contextmanager
    def start(cls, folder: Path, webhook_url: str | None = None, relative: str = "") -> Iterator[GitlabWorld]:
        """A world that lives for one `with`, its repositories under `folder`; `relative`: the path below which it lives."""
        with cls(folder / "gitlab", webhook_url=webhook_url, relative=relative).running() as world:
            yield world

    # --- where things are ---

    @property
    def url(self) -> str:
        """Root of the instance, with its relative path: what FIXWRIGHT_GITLAB_URL says."""
        return self.gitlab.shapes.web

    @property
    def api_url(self) -> str:
        """Root of the API."""
        return self.gitlab.shapes.api

    # --- what happened ---

    def notifying_calls(self, request: MergeRequest) -> list[Effect]:
        """Changes of a merge request for which people got a mail: a new note or discussion, never an edit."""
        return self.gitlab.record.notifying(request.project.full_path, request.iid)

    def let_positions_fall(self, times: int = 1) -> None:
        """The next notes with a wrong position become plain ones instead of being refused, as seen on some instances."""
        self.gitlab.talk.plain_positions = times

    # --- looking ---

    def notes(self, request: MergeRequest, *, system: bool = False) -> list[Note]:
        """What people wrote, oldest first; with what GitLab noted itself when asked."""
        with self.gitlab.state.lock:
            return [note for note in request.notes if system or not note.system]

    def discussions(self, request: MergeRequest) -> list[Discussion]:
        """Threads, without single notes, oldest first."""
        with self.gitlab.state.lock:
            return [known for known in request.discussions if not known.individual]
