"""What the tests of the doubles share: worlds with one pull request; an app that talks with httpx, a bot that does with python-gitlab."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from gitlab import Gitlab
from gitlab.v4.objects import Project as ApiProject
from gitlab.v4.objects import ProjectMergeRequest as ApiMergeRequest

from tests.worlds.github import GithubWorld
from tests.worlds.github.model import Installation, PullRequest, Repository
from tests.worlds.gitlab import GitlabWorld
from tests.worlds.gitlab.model import MergeRequest, Project

APP = "".join(f"line {number}\n" for number in range(1, 61))
CHANGED = APP.replace("line 20\n", "line twenty\nline 20a\n").replace("line 50\n", "")


class Scene:
    """A repository `octo/shop` with pull request 1 from `feature`: line 20 became two lines, line 50 went, `new.py` came."""

    def __init__(self, world: GithubWorld) -> None:
        self.world = world
        self.repository: Repository = world.create_repository("octo", "shop", files={"app.py": APP, "README.md": "hi\n"})
        world.set_permission("ada", self.repository, "write")
        world.commit(self.repository, "feature", {"app.py": CHANGED, "new.py": "a\nb\n"}, "Change it", "ada")
        self.pull: PullRequest = world.open_pull_request("ada", self.repository, "feature", "main", "Change it")
        installation = world.installation_of(self.repository)
        assert installation is not None
        self.installation: Installation = installation
        self.client = httpx.Client(base_url=world.api_url, trust_env=False, timeout=60)
        self.sign_in()

    def sign_in(self, **permissions: str) -> None:
        """As the app, with a fresh token."""
        self.client.headers["authorization"] = f"token {self.world.installation_token(self.installation, **permissions)}"

    def call(self, method: str, path: str, body: Any = None, **options: Any) -> httpx.Response:
        """A request; `path` below the repository unless it begins with `/app`, `/installation` or `/graphql`."""
        whole = path if path.startswith(("/app/", "/app", "/installation", "/graphql")) else f"/repos/octo/shop{path}"
        return self.client.request(method, whole, json=body, **options)

    def check(self, **more: Any) -> Any:
        """A new check run on the head; its JSON."""
        answer = self.call("POST", "/check-runs", {"name": "Fixwright", "head_sha": self.pull.head_sha} | more)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def graphql(self, query: str, **variables: Any) -> Any:
        """Answer to a GraphQL document."""
        return self.call("POST", "/graphql", {"query": query, "variables": variables}).json()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[GithubWorld]:
    """An empty world. After the test no answer or webhook of the double may have departed from GitHub's schemas."""
    with GithubWorld.start(tmp_path) as made:
        yield made
        made.hooks.wait()
        assert [violation for violation in made.violations if violation.side != "request"] == []


@pytest.fixture
def scene(world: GithubWorld) -> Iterator[Scene]:
    """A world with a pull request."""
    made = Scene(world)
    yield made
    made.client.close()


class GitlabScene:
    """A project `acme/shop` with merge request 1 of ada's: the same change. A bot of the project is Developer."""

    def __init__(self, world: GitlabWorld) -> None:
        self.world = world
        self.project: Project = world.create_project("acme", "shop", files={"app.py": APP, "README.md": "hi\n"}, creator="mia")
        world.set_access("ada", self.project, "developer")
        world.commit(self.project, "feature", {"app.py": CHANGED, "new.py": "a\nb\n"}, "Change it", "ada")
        self.request: MergeRequest = world.open_merge_request("ada", self.project, "feature", "main", "Change it")
        self.token = world.token_of(self.project, "developer")
        self.bot = self.client(self.token)

    def client(self, token: str = "", **more: Any) -> Gitlab:
        """python-gitlab with a token, or without one."""
        made = Gitlab(self.world.url, private_token=token or None, timeout=60, **more)
        made.session.trust_env = False
        return made

    def by(self, login: str) -> Gitlab:
        """python-gitlab as somebody."""
        return self.client(self.world.token_for(login))

    @property
    def api(self) -> ApiProject:
        """The project as the bot sees it, not asked for."""
        return self.bot.projects.get("acme/shop", lazy=True)

    @property
    def mr(self) -> ApiMergeRequest:
        """The merge request as the bot sees it now."""
        return self.api.mergerequests.get(1)

    def position(self, *, path: str = "app.py", **lines: Any) -> dict[str, Any]:
        """A position in the newest version."""
        return {"position_type": "text", "old_path": path, "new_path": path, **self.mr.diff_refs, **lines}


@pytest.fixture
def gitlab_world(tmp_path: Path) -> Iterator[GitlabWorld]:
    """An empty world. After the test no answer of the double may have departed from what GitLab documents."""
    with GitlabWorld.start(tmp_path) as made:
        yield made
        made.hooks.wait()
        assert [violation for violation in made.violations if violation.side != "request"] == []


@pytest.fixture
def gitlab(gitlab_world: GitlabWorld) -> GitlabScene:
    """A world with a merge request."""
    return GitlabScene(gitlab_world)
