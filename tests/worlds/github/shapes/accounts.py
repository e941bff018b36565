"""Accounts, the app, installations and repositories."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.worlds.github.model import Account, App, Installation, Json, Repository, Role
from tests.worlds.github.state import State
from tests.worlds.github.tokens import client_id

_USER_LINKS = {
    "followers_url": "/followers",
    "following_url": "/following{/other_user}",
    "gists_url": "/gists{/gist_id}",
    "starred_url": "/starred{/owner}{/repo}",
    "subscriptions_url": "/subscriptions",
    "organizations_url": "/orgs",
    "repos_url": "/repos",
    "events_url": "/events{/privacy}",
    "received_events_url": "/received_events",
}
_REPOSITORY_LINKS = {
    "archive": "/{archive_format}{/ref}",
    "assignees": "/assignees{/user}",
    "blobs": "/git/blobs{/sha}",
    "branches": "/branches{/branch}",
    "collaborators": "/collaborators{/collaborator}",
    "comments": "/comments{/number}",
    "commits": "/commits{/sha}",
    "compare": "/compare/{base}...{head}",
    "contents": "/contents/{+path}",
    "contributors": "/contributors",
    "deployments": "/deployments",
    "downloads": "/downloads",
    "events": "/events",
    "forks": "/forks",
    "git_commits": "/git/commits{/sha}",
    "git_refs": "/git/refs{/sha}",
    "git_tags": "/git/tags{/sha}",
    "hooks": "/hooks",
    "issue_comment": "/issues/comments{/number}",
    "issue_events": "/issues/events{/number}",
    "issues": "/issues{/number}",
    "keys": "/keys{/key_id}",
    "labels": "/labels{/name}",
    "languages": "/languages",
    "merges": "/merges",
    "milestones": "/milestones{/number}",
    "notifications": "/notifications{?since,all,participating}",
    "pulls": "/pulls{/number}",
    "releases": "/releases{/id}",
    "stargazers": "/stargazers",
    "statuses": "/statuses/{sha}",
    "subscribers": "/subscribers",
    "subscription": "/subscription",
    "tags": "/tags",
    "teams": "/teams",
    "trees": "/git/trees{/sha}",
}


def when(moment: datetime | None) -> str | None:
    """A moment as GitHub writes it."""
    return None if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class AccountShapes:
    """Accounts, apps, installations, repositories.

    Args:
        state: what is shown.
        api: root of the API without a slash at the end.
        web: root of the web site and of git.
    """

    def __init__(self, state: State, api: str = "", web: str = "") -> None:
        self.state = state
        self.api = api
        self.web = web

    def user(self, account: Account) -> Json:
        """`simple-user`."""
        url = f"{self.api}/users/{account.login}"
        return {
            "login": account.login,
            "id": account.id,
            "node_id": f"U_kgDO{account.id}",
            "avatar_url": f"{self.web}/avatars/u/{account.id}?v=4",
            "gravatar_id": "",
            "url": url,
            "html_url": f"{self.web}/apps/{account.login.removesuffix('[bot]')}"
            if account.type == "Bot"
            else f"{self.web}/{account.login}",
            **{name: url + path for name, path in _USER_LINKS.items()},
            "type": account.type,
            "user_view_type": "public",
            "site_admin": False,
        }

    def public_user(self, account: Account) -> Json:
        """`public-user`: the page of an account."""
        empty = dict.fromkeys(("name", "company", "location", "email", "hireable", "bio", "twitter_username"))
        numbers = dict.fromkeys(("public_repos", "public_gists", "followers", "following"), 0)
        return (
            self.user(account) | empty | numbers | {"blog": "", "created_at": "2020-01-01T00:00:00Z", "updated_at": when(self.state.now())}
        )

    def app(self, app: App) -> Json:
        """`integration`."""
        return {
            "id": app.id,
            "client_id": client_id(app),
            "slug": app.slug,
            "node_id": f"A_kwHO{app.id}",
            "owner": self.user(app.owner),
            "name": app.name,
            "description": "",
            "external_url": f"{self.web}/{app.owner.login}",
            "html_url": f"{self.web}/apps/{app.slug}",
            "created_at": when(app.created_at),
            "updated_at": when(app.created_at),
            "permissions": {"metadata": "read"} | app.permissions,
            "events": list(app.events),
        }

    def installation(self, installation: Installation) -> Json:
        """`installation`."""
        url = f"{self.api}/app/installations/{installation.id}"
        return {
            "id": installation.id,
            "client_id": client_id(installation.app),
            "account": self.user(installation.account),
            "repository_selection": "all" if installation.repositories is None else "selected",
            "access_tokens_url": f"{url}/access_tokens",
            "repositories_url": f"{self.api}/installation/repositories",
            "html_url": f"{self.web}/settings/installations/{installation.id}",
            "app_id": installation.app.id,
            "app_slug": installation.app.slug,
            "target_id": installation.account.id,
            "target_type": installation.account.type,
            "permissions": {"metadata": "read"} | installation.permissions,
            "events": list(installation.events),
            "created_at": when(installation.created_at),
            "updated_at": when(installation.created_at),
            "single_file_name": None,
            "has_multiple_single_files": False,
            "single_file_paths": [],
            "suspended_by": None,
            "suspended_at": when(installation.suspended_at),
        }

    def repository(self, repository: Repository, login: str | None = None) -> Json:
        """`repository` and `minimal-repository`; with `login` also what that account may do."""
        url = f"{self.api}/repos/{repository.full_name}"
        html = f"{self.web}/{repository.full_name}"
        shape: Json = {
            "id": repository.id,
            "node_id": f"R_kgDO{repository.id}",
            "name": repository.name,
            "full_name": repository.full_name,
            "private": repository.private,
            "owner": self.user(repository.owner),
            "html_url": html,
            "description": None,
            "fork": repository.parent is not None,
            "url": url,
            **{f"{name}_url": url + path for name, path in _REPOSITORY_LINKS.items()},
            "created_at": when(repository.created_at),
            "updated_at": when(repository.pushed_at or repository.created_at),
            "pushed_at": when(repository.pushed_at or repository.created_at),
            "git_url": f"git://{self.web.partition('://')[2]}/{repository.full_name}.git",
            "ssh_url": f"git@{self.web.partition('://')[2]}:{repository.full_name}.git",
            "clone_url": f"{html}.git",
            "svn_url": html,
            **dict.fromkeys(("homepage", "language", "mirror_url", "license")),
            **dict.fromkeys(("size", "stargazers_count", "watchers_count", "forks_count", "watchers", "forks"), 0),
            **dict.fromkeys(("has_issues", "has_projects", "has_downloads", "has_wiki", "has_pull_requests", "allow_forking"), True),
            **dict.fromkeys(("has_pages", "has_discussions", "disabled", "is_template", "web_commit_signoff_required"), False),
            "archived": repository.archived,
            "open_issues_count": sum(pull.state == "open" for pull in repository.pulls.values()),
            "open_issues": sum(pull.state == "open" for pull in repository.pulls.values()),
            "topics": [],
            "visibility": "private" if repository.private else "public",
            "default_branch": repository.default_branch,
        }
        if login is not None:
            role = repository.role(login)
            levels = {"admin": Role.ADMIN, "maintain": Role.MAINTAIN, "push": Role.WRITE, "triage": Role.TRIAGE, "pull": Role.READ}
            shape["permissions"] = {name: role >= level for name, level in levels.items()}
        return shape

    def full_repository(self, repository: Repository) -> Json:
        """`full-repository`: what one GET of it gives."""
        shape = self.repository(repository) | {"network_count": 0, "subscribers_count": 0, "temp_clone_token": None}
        merges = dict.fromkeys(("allow_squash_merge", "allow_merge_commit", "allow_rebase_merge"), True)
        shape |= merges | {"allow_auto_merge": False, "delete_branch_on_merge": False, "allow_update_branch": False}
        if repository.owner.type == "Organization":
            shape["organization"] = self.user(repository.owner)
        if repository.parent is not None:
            shape |= {"parent": self.repository(repository.parent), "source": self.repository(repository.parent)}
        return shape
