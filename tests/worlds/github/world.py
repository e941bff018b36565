"""GitHub for a test: a server, an app, and what people do there.

with GithubWorld.start(tmp_path) as world:
    repository = world.create_repository("octo", "shop", files={"app.py": "print(1)\\n"})
    world.commit(repository, "feature", {"app.py": "print(2)\\n"}, "Change it", author="ada")
    pull = world.open_pull_request("ada", repository, "feature", "main", "Change it")
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.worlds.github.core import Github
from tests.worlds.github.git_http import Gate
from tests.worlds.github.hooks import Hooks
from tests.worlds.github.limits import Limits
from tests.worlds.github.model import App, CheckRun, Installation, PullRequest, Repository
from tests.worlds.github.owners import Owners
from tests.worlds.github.people import People
from tests.worlds.github.web import Web
from tests.worlds.record import Effect
from tests.worlds.world import World

PERMISSIONS = {"contents": "write", "checks": "write", "pull_requests": "write", "issues": "write", "statuses": "read", "metadata": "read"}
"""What the app is given unless a test says otherwise."""
EVENTS = (
    "push",
    "pull_request",
    "issue_comment",
    "pull_request_review",
    "pull_request_review_comment",
    "pull_request_review_thread",
    "check_run",
    "check_suite",
    "merge_group",
    "repository",
    "member",
)
FIRST_APP = 1_234_567
ACTIONS_APP = 15_368
"""Number of GitHub Actions on github.com (REST, "Check runs", in the examples of `app`)."""


def new_key() -> str:
    """A private RSA key in PEM, made for one world."""
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
    form = serialization.PrivateFormat.TraditionalOpenSSL
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


@cache
def public_of(private_key_pem: str) -> str:
    """The public half in PEM. Remembered: OpenSSL proves the primes of a private key whenever it reads it."""
    key = serialization.load_pem_private_key(private_key_pem.encode(), None)
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()


class GithubWorld(World, People, Owners):
    """A running double with one app. Everything that a person can do is a method; the app does its part over HTTP."""

    def __init__(
        self,
        folder: Path,
        *,
        port: int = 0,
        webhook_url: str | None = None,
        slug: str = "fixwright",
        private_key_pem: str | None = None,
        webhook_secret: str = "",
        permissions: Mapping[str, str] | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.github = Github(folder)
        super().__init__(self.github, Gate(self.github), port=port)
        self.github.shapes.api = self.github.shapes.web = self._server.url
        self._server.application.page = Web(self.github).handle
        self.github.hooks.url = webhook_url
        owner, bot = self.github.state.account("fixwright-hq", "Organization"), self.github.state.account(f"{slug}[bot]", "Bot")
        key = private_key_pem or new_key()
        secret = webhook_secret or secrets.token_hex(20)
        granted = dict(PERMISSIONS if permissions is None else permissions)
        now = self.github.state.now()
        self.app = App(FIRST_APP, slug, slug.title(), owner, bot, key, public_of(key), secret, granted, EVENTS, now)
        self.github.state.apps[self.app.id] = self.app

    @classmethod
    @contextlib.contextmanager
    def start(cls, folder: Path, *, webhook_url: str | None = None, permissions: Mapping[str, str] | None = None) -> Iterator[GithubWorld]:
        """A world that lives for one `with`, its repositories under `folder`."""
        with cls(folder / "github", webhook_url=webhook_url, permissions=permissions).running() as world:
            yield world

    # --- where things are ---

    @property
    def api_url(self) -> str:
        """Root of the API, as api.github.com. `/api/v3` below it is the same, as on an enterprise server."""
        return self._server.url

    @property
    def graphql_url(self) -> str:
        """The GraphQL end point."""
        return f"{self._server.url}/graphql"

    @property
    def git_url(self) -> str:
        """Root of git over HTTP: `{git_url}/{owner}/{name}.git`."""
        return self._server.url

    @property
    def app_id(self) -> int:
        """Number of the app."""
        return self.app.id

    @property
    def private_key_pem(self) -> str:
        """The app's private key."""
        return self.app.private_key_pem

    @property
    def webhook_secret(self) -> str:
        """What webhooks are signed with."""
        return self.app.webhook_secret

    @property
    def webhook_url(self) -> str | None:
        """Where webhooks go; None keeps them here."""
        return self.github.hooks.url

    @webhook_url.setter
    def webhook_url(self, url: str | None) -> None:
        self.github.hooks.url = url

    # --- what happened ---

    @property
    def hooks(self) -> Hooks:
        """Deliveries: `hooks.deliveries`, `redeliver`, `deliver_copies`, `wait`."""
        return self.github.hooks

    def notifying_calls(self, pull: PullRequest) -> list[Effect]:
        """Changes of a pull request for which people got a mail."""
        return self.github.record.notifying(pull.repository.full_name, pull.number)

    @property
    def limits(self) -> Limits:
        """The rate limits in force, which a test may lower."""
        return self.github.budget.limits

    def checks(self, repository: Repository, sha: str | None = None) -> list[CheckRun]:
        """Check runs, oldest first, of one commit or of all."""
        runs = [run for suite in repository.suites for run in suite.runs if sha in (None, suite.head_sha)]
        return sorted(runs, key=lambda run: run.id)

    # --- credentials ---

    def app_jwt(self, *, expires_in: int = 540, issued_ago: int = 60) -> str:
        """A JWT of the app."""
        now = int(self.github.state.seconds())
        claims = {"iat": now - issued_ago, "exp": now + expires_in, "iss": str(self.app.id)}
        return jwt.encode(claims, self.app.private_key_pem, algorithm="RS256")

    def installation_token(self, installation: Installation, **permissions: str) -> str:
        """A token of the app as it would get it itself, narrowed when permissions are named."""
        with self.github.state.lock:
            return self.github.tokens.for_installation(installation, permissions or dict(installation.permissions), None)[0]

    def job_token(self, repository: Repository, **permissions: str) -> str:
        """The `GITHUB_TOKEN` of a job: an installation token of GitHub's own app for Actions, for one repository."""
        with self.github.state.lock:
            state, now = self.github.state, self.github.state.now()
            owner, bot = state.account("github", "Organization"), state.account("github-actions[bot]", "Bot")
            actions = App(ACTIONS_APP, "github-actions", "GitHub Actions", owner, bot, "", "", "", {}, (), now)
            actions = state.apps.setdefault(actions.id, actions)
            made = Installation(state.new_id("installation"), actions, repository.owner, dict(permissions), (), now, {repository.id})
            state.installations[made.id] = made
            return self.github.tokens.for_installation(made, dict(permissions), None)[0]

    def token_for(self, user: str) -> str:
        """A personal token."""
        with self.github.state.lock:
            return self.github.tokens.for_user(self.user(user))
