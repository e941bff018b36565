"""All that the double knows, and the lock under which it changes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from tests.worlds.bare import BareRepository
from tests.worlds.github.model import (
    Account,
    App,
    CheckRun,
    CheckSuite,
    Installation,
    IssueComment,
    PullRequest,
    Repository,
    Review,
    ReviewComment,
    Role,
    Thread,
)
from tests.worlds.state import Memory

Found = TypeVar("Found")

# Where the numbers of each kind start: as large as on github.com, where several no longer fit into 32 bits.
_FIRST = {
    "account": 41_000_000,
    "repository": 780_000_000,
    "installation": 52_000_000,
    "pull": 1_900_000_000,
    "comment": 2_500_000_000,
    "review": 2_400_000_000,
    "run": 31_000_000_000,
    "suite": 33_000_000_000,
    "thread": 5_000_000_000,
    "reaction": 250_000_000,
    "status": 29_000_000_000,
}


class State(Memory):
    """Accounts, repositories and what hangs on them. Read and change it with `lock` held."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, _FIRST)
        self.accounts: dict[str, Account] = {}
        self.repositories: dict[int, Repository] = {}
        self.installations: dict[int, Installation] = {}
        self.apps: dict[int, App] = {}

    def now(self) -> datetime:
        """Now by the world's clock, to the second as GitHub shows it."""
        return datetime.fromtimestamp(int(self.seconds()), UTC)

    def account(self, login: str, kind: str = "User") -> Account:
        """The account of that name, made when new."""
        if login.lower() not in self.accounts:
            self.accounts[login.lower()] = Account(self.new_id("account"), login, kind)
        return self.accounts[login.lower()]

    def repository(self, owner: str, name: str) -> Repository | None:
        """A repository by name, as GitHub without regard to case."""
        wanted = f"{owner}/{name}".lower()
        return next((repository for repository in self.repositories.values() if repository.full_name.lower() == wanted), None)

    def add_repository(self, owner: str, name: str, *, private: bool, parent: Repository | None = None) -> Repository:
        """Make a repository, a fork when it has a `parent`."""
        number = self.new_id("repository")
        git = BareRepository.create(self.folder / f"{number}.git", own=["refs/pull"], borrowing=parent.git if parent else None)
        repository = Repository(number, self.account(owner), name, private, git, self.now(), parent=parent)
        if parent is not None:
            repository.default_branch = parent.default_branch
            repository.roles = dict.fromkeys(parent.roles, Role.READ)
            for ref, sha in parent.git.refs().items():
                git.set_ref(ref, sha)
            repository.refs = git.refs()
        self.repositories[number] = repository
        return repository

    def installation_of(self, repository: Repository, app: App | None = None) -> Installation | None:
        """The live installation through which an app sees a repository."""
        candidates = (known for known in self.installations.values() if known.suspended_at is None and app in (None, known.app))
        return next((known for known in candidates if known.covers(repository)), None)

    def pulls(self, repository: Repository) -> list[PullRequest]:
        """Pull requests, newest first."""
        return sorted(repository.pulls.values(), key=lambda pull: -pull.number)

    def issue_comment(self, repository: Repository, number: int) -> IssueComment | None:
        """A comment of a conversation by its number."""
        return _first(comment for pull in repository.pulls.values() for comment in pull.comments if comment.id == number)

    def review_comment(self, repository: Repository, number: int) -> ReviewComment | None:
        """A comment on lines by its number."""
        return _first(comment for pull in repository.pulls.values() for comment in pull.review_comments if comment.id == number)

    def review(self, pull: PullRequest, number: int) -> Review | None:
        """A review by its number."""
        return _first(review for review in pull.reviews if review.id == number)

    def thread(self, node: str) -> Thread | None:
        """A thread by the id that GraphQL knows."""
        pulls = (pull for repository in self.repositories.values() for pull in repository.pulls.values())
        return _first(thread for pull in pulls for thread in pull.threads if thread.node_id == node)

    def suite(self, repository: Repository, app: App, sha: str) -> CheckSuite | None:
        """The suite of an app on a commit."""
        return _first(suite for suite in repository.suites if suite.app is app and suite.head_sha == sha)

    def check_run(self, repository: Repository, number: int) -> CheckRun | None:
        """A check run by its number."""
        return _first(run for suite in repository.suites for run in suite.runs if run.id == number)


def _first(found: Iterator[Found]) -> Found | None:
    return next(found, None)
