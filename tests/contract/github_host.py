"""GitHub for the contract suite: the double, with a repository of its own for each test."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from pipeline.model.event import CommentRef, Delivery
from pipeline.model.ids import CommitId, InstallationId
from pipeline.model.review import Conclusion
from pipeline.model.target import Installation, PullRequestRef, SourceRepository, UserRef
from pipeline.ports import CodeHost, Configuration, Provider
from providers.github.provider import GitHubProvider
from tests.contract.world import BASE, CHANGED, PREVIOUS, SECRET, Files, Kind, SeenCheck, SeenPull, SeenThread, unmarked
from tests.unit.providers.github_wire import Memory
from tests.worlds.bare import Entry
from tests.worlds.github.model import PullRequest, Repository, ReviewComment
from tests.worlds.github.world import GithubWorld

Door = Literal["job", "person"]


class GithubHost:
    """The double, with a repository of its own for each test."""

    only_in_diff = True
    signs_time = False
    signs_body = True
    proof = "x-hub-signature-256"
    shown_as: Mapping[Conclusion, Conclusion] = {}

    def __init__(self, world: GithubWorld) -> None:
        self._world = world
        self.provider: Provider = GitHubProvider(clock=world.github.state.seconds)
        self.configuration: Configuration = {
            "WEBHOOK_SECRET": SECRET,
            "WEBHOOK_SECRET_PREVIOUS": PREVIOUS,
            "APP_ID": str(world.app_id),
            "PRIVATE_KEY": world.private_key_pem,
            "API_URL": world.api_url,
        }
        self.memory = Memory(world.github.state.seconds)
        self._ours = world.app.bot
        self._repository: Repository = world.create_repository("octo", f"shop-{len(world.github.state.repositories)}", files=BASE)
        tool = self._repository.git.entry(self.tip("main"), "tool.sh")
        assert tool is not None
        self._write("main", replace(tool, path="tool.sh", mode="100755"))
        world.set_permission("walter", self._repository, "write")
        world.commit(self._repository, "feature", {"app.py": CHANGED}, author="ada")
        self._pull: PullRequest = world.open_pull_request("ada", self._repository, "feature", "main", "Change it")
        installed = world.installation_of(self._repository)
        assert installed is not None
        self.installation = Installation(InstallationId("i"), "github", "github.com", "octo", str(installed.id))
        name = self.name = self._repository.full_name
        clone = f"{world.git_url}/{name}.git"
        self.source = SourceRepository("github", "github.com", str(self._repository.id), name, "main", clone, True, str(installed.id))
        self.ref = PullRequestRef(self.source, self._pull.number)
        self.owner, self.writer, self.stranger = (self._user(login) for login in ("octo", "walter", "eve"))

    def enter(self, door: Door) -> None:
        """Sign in with a token from now on: a job's, or that of the machine's account robin. The App is not there at all."""
        world, repository = self._world, self._repository
        world.set_permission("robin", repository, "write")
        if door == "job":
            token = world.job_token(repository, contents="write", checks="write", pull_requests="write", issues="write")
            self._ours = world.github.state.account("github-actions[bot]", "Bot")
        else:
            token, self._ours = world.token_for("robin"), world.user("robin")
        self.configuration = {"TOKEN": token, "API_URL": world.api_url}
        self.installation = replace(self.installation, external_id="token:octo")
        self.memory = Memory(world.github.state.seconds)

    def _write(self, branch: str, entry: Entry) -> None:
        """Commit one entry of any mode. The double is not told of it by a push; it looks the next time."""
        bare, tip = self._repository.git, self.tip(branch)
        known = bare.commit(tip)
        tree = bare.write_tree(known.tree, [entry])
        made = bare.write_commit(tree, [tip], "by hand", known.author, known.committer)
        self._world.reset_branch(self._repository, branch, made)

    def _user(self, login: str) -> UserRef:
        return UserRef(str(self._world.user(login).id), login)

    def host(self) -> CodeHost:
        return self.provider.connect(self.installation, self.configuration, self.memory)

    def commit(self, files: Files, branch: str = "feature") -> CommitId:
        return CommitId(self._world.commit(self._repository, branch, files))

    def commit_link(self, path: str, target: str) -> None:
        self._write("feature", Entry("120000", path, self._repository.git.write_blob(target.encode())))

    def force_push(self, files: Files, branch: str = "feature") -> CommitId:
        return CommitId(self._world.force_push(self._repository, branch, files))

    def open_from_fork(self) -> PullRequestRef | None:
        fork = self._world.fork(self._repository, "mallory")
        self._world.commit(fork, "theirs", {"app.py": "theirs\n"}, author="mallory")
        pull = self._world.open_pull_request("mallory", self._repository, "theirs", "main", "From afar", fork=fork)
        return PullRequestRef(self.source, pull.number)

    def close_pull_request(self) -> None:
        self._world.close("ada", self._pull)

    def comment(self, text: str) -> CommentRef:
        return CommentRef(self.ref, str(self._world.comment("ada", self._pull, text).id))

    def answer(self, thread: str, text: str) -> CommentRef:
        made = self._world.reply_in_thread("ada", int(thread), text)
        return CommentRef(self.ref, str(made.id), True, thread)

    def tip(self, branch: str) -> CommitId:
        return CommitId(self._repository.git.branch(branch) or "")

    def parents(self, commit: str) -> list[str]:
        return list(self._repository.git.commit(commit).parents)

    def message(self, commit: str) -> tuple[str, str]:
        known = self._repository.git.commit(commit)
        return known.message, f"{known.author.name} <{known.author.email}>"

    def protect(self, branch: str) -> None:
        self._repository.protected.add(branch)

    def file(self, branch: str, path: str) -> bytes | None:
        return self._world.read(self._repository, branch, path)

    def mode(self, branch: str, path: str) -> str:
        entry = self._repository.git.entry(self.tip(branch), path)
        return entry.mode if entry else ""

    def checks(self, commit: str) -> list[SeenCheck]:
        if self._ours.type != "Bot":
            return self._status(commit)
        runs = self._world.checks(self._repository, commit)
        return [SeenCheck(r.status, r.conclusion, r.title or "", r.summary or "", len(r.annotations)) for r in runs]

    def _status(self, commit: str) -> list[SeenCheck]:
        """The newest status of our context: it stands for a check without a page."""
        ours = [status for status in self._repository.statuses if status.sha == commit and status.context == "Fixwright"]
        known = {"pending": ("in_progress", None), "success": ("completed", "success"), "failure": ("completed", "failure")}
        state = [known.get(status.state, ("completed", "action_required")) for status in ours[-1:]]
        return [SeenCheck(*one, ours[-1].description or "", "", 0) for one in state]

    def threads(self) -> list[SeenThread]:
        first = [c for c in self._pull.review_comments if c.reply_to is None and c.user is self._ours]
        return [self._seen(c) for c in first]

    def _seen(self, first: ReviewComment) -> SeenThread:
        replies = tuple(unmarked(c.body) for c in first.thread.comments[1:])
        line = first.original.start_line or first.original.line or 0
        resolved = first.thread.resolved_by is not None
        return SeenThread(str(first.id), first.original.path, line, unmarked(first.body), resolved, replies)

    def comments(self, ref: PullRequestRef | None = None) -> list[str]:
        pull = self._repository.pulls[(ref or self.ref).number]
        return [unmarked(c.body) for c in pull.comments if c.user is self._ours and c.minimized is None]

    def notifications(self) -> int:
        return len(self._world.notifying_calls(self._pull))

    def pulls(self) -> list[SeenPull]:
        found = self._repository.pulls.values()
        return [SeenPull(p.number, p.head_ref, p.base_ref, p.title, p.body or "", p.state == "open") for p in found]

    def payload(self, kind: Kind) -> bytes:
        if kind == "comment":
            self._world.comment("ada", self._pull, "/fix")
        names = {"opened": ("pull_request", "opened"), "comment": ("issue_comment", "created"), "push": ("push", None)}
        event, action = names.get(kind, ("check_suite", "requested"))
        body: bytes = self._world.hooks.of(event, action)[-1].body
        return body

    def signed(self, kind: Kind, body: bytes, secret: str = SECRET, *, age: float = 0.0) -> Delivery:
        event = {"opened": "pull_request", "comment": "issue_comment", "push": "push", "unknown": "check_suite"}[kind]
        digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        identity = hashlib.sha256(body).hexdigest()[:32]
        headers = {"x-github-event": event, "x-github-delivery": identity, "x-hub-signature-256": f"sha256={digest}"}
        return Delivery("github", "", headers | {"content-type": "application/json"}, body)
