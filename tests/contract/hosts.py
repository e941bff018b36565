"""Code hosts that a test owns: people act on them, we look at them. One adapter for each provider; the suite fails without one."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import pytest

import providers
from pipeline.model.event import CommentRef, Delivery
from pipeline.model.ids import CommitId, InstallationId
from pipeline.model.target import Installation, PullRequestRef, SourceRepository, UserRef
from pipeline.plugins import discover
from pipeline.ports import CodeHost, Configuration, Provider
from pipeline.signing import sign
from providers.github.client import close_line
from providers.github.provider import GitHubProvider
from providers.local.host import OURS, open_pull_request
from providers.local.record import CommentRecord, RepositoryRecord
from tests.contract.world import BASE, CHANGED, PREVIOUS, SECRET, Files, Kind, SeenCheck, SeenPull, SeenThread, World, unmarked
from tests.harness import LocalRepo, git
from tests.unit.providers.github_wire import Memory
from tests.worlds.bare import Entry
from tests.worlds.emulate.install import find
from tests.worlds.emulate.server import Emulate
from tests.worlds.emulate.world import EmulateHost
from tests.worlds.github.model import PullRequest, Repository, ReviewComment
from tests.worlds.github.world import GithubWorld, new_key

PROVIDERS = discover(providers, "PROVIDER", Provider)
Door = Literal["job", "person"]

# --- plain git repositories -----------------------------------------------------------------------------------------------------------


class LocalWorld:
    """Real git on the disk."""

    only_in_diff = False
    signs_time = True

    def __init__(self, folder: Path) -> None:
        self.provider = PROVIDERS["local"]
        root = folder / "record"
        self.configuration: Configuration = {"WEBHOOK_SECRET": SECRET, "WEBHOOK_SECRET_PREVIOUS": PREVIOUS, "RECORD": str(root)}
        self.installation = Installation(InstallationId("local"), "local", "", "local", "local")
        self.memory = Memory()
        self._repo = LocalRepo(folder / "shop")
        self._repo.commit(dict(BASE), "first")
        git(self._repo.folder, "update-index", "--chmod=+x", "tool.sh")
        git(self._repo.folder, "commit", "--quiet", "--message", "executable")
        git(self._repo.folder, "reset", "--quiet", "--hard")
        self.commit({"app.py": CHANGED})
        git(self._repo.folder, "config", "fixwright.writer", "walter")
        self.source = self._repo.source
        self.name = str(self._repo.folder)
        self._record = RepositoryRecord(root, self.source.external_id)
        self.ref = open_pull_request(self._record, self.source, "feature", "main", "Change it", author="ada")
        name = self._repo.folder.owner()
        self.owner, self.writer, self.stranger = UserRef(name, name), UserRef("walter", "walter"), UserRef("eve", "eve")

    def host(self) -> CodeHost:
        return self.provider.connect(self.installation, self.configuration, self.memory)

    def commit(self, files: Files, branch: str = "feature") -> CommitId:
        made = self._repo.commit(files, branch=branch)
        git(self._repo.folder, "checkout", "--quiet", "main")  # the default branch is the one that is checked out
        return made

    def commit_link(self, path: str, target: str) -> None:
        git(self._repo.folder, "checkout", "--quiet", "feature")
        (self._repo.folder / path).symlink_to(target)
        git(self._repo.folder, "add", "--", path)
        git(self._repo.folder, "commit", "--quiet", "--message", "link")

    def force_push(self, files: Files, branch: str = "feature") -> CommitId:
        git(self._repo.folder, "checkout", "--quiet", "-B", branch, "main")
        return self._repo.commit(files)

    def open_from_fork(self) -> PullRequestRef | None:
        return None

    def close_pull_request(self) -> None:
        with self._record.locked():
            known = self._record.pull_requests()
            known.pulls[0].state = "closed"
            self._record.save_pull_requests(known)

    def _write(self, thread: str, text: str) -> CommentRef:
        identity = uuid.uuid4().hex[:16]
        with self._record.locked():
            said = self._record.conversation(self.ref.number)
            place = next(t.comments for t in said.threads if t.id == thread) if thread else said.comments
            place.append(CommentRecord(id=identity, author="ada", body=text))
            self._record.save_conversation(self.ref.number, said)
        return CommentRef(self.ref, identity, bool(thread), thread)

    def comment(self, text: str) -> CommentRef:
        return self._write("", text)

    def answer(self, thread: str, text: str) -> CommentRef:
        return self._write(thread, text)

    def tip(self, branch: str) -> CommitId:
        return CommitId(git(self._repo.folder, "rev-parse", "--verify", "--quiet", f"refs/heads/{branch}", check=False))

    def parents(self, commit: str) -> list[str]:
        return git(self._repo.folder, "rev-parse", f"{commit}^@").split()

    def file(self, branch: str, path: str) -> bytes | None:
        return git(self._repo.folder, "show", f"{branch}:{path}").encode() + b"\n" if self.mode(branch, path) else None

    def mode(self, branch: str, path: str) -> str:
        return git(self._repo.folder, "ls-tree", branch, "--", path).partition(" ")[0]

    def checks(self, commit: str) -> list[SeenCheck]:
        found = self._record.checks(commit).checks
        return [SeenCheck(c.status, c.conclusion, c.title, c.summary, len(c.annotations)) for c in found]

    def threads(self) -> list[SeenThread]:
        said = self._record.conversation(self.ref.number).threads
        return [SeenThread(t.id, t.path, t.line, t.comments[0].body, t.resolved, tuple(c.body for c in t.comments[1:])) for t in said]

    def comments(self, ref: PullRequestRef | None = None) -> list[str]:
        said = self._record.conversation((ref or self.ref).number).comments
        return [c.body for c in said if c.author == OURS and c.body and c.topic != "review"]

    def notifications(self) -> int:
        return self._record.conversation(self.ref.number).notifications

    def pulls(self) -> list[SeenPull]:
        found = self._record.pull_requests().pulls
        return [SeenPull(p.number, p.head_ref, p.base_ref, p.title, p.body, p.state == "open") for p in found]

    def payload(self, kind: Kind) -> bytes:
        source = self.source
        common = {
            "repository": {
                "id": source.external_id,
                "name": source.full_name,
                "path": source.clone_url,
                "default_branch": source.default_branch,
            },
            "sender": {"id": "ada", "login": "ada"},
        }
        head = self.tip("feature")
        parts: dict[Kind, dict[str, object]] = {
            "opened": {"event": "pull_request", "action": "opened", "number": self.ref.number, "head": head},
            "comment": {"event": "comment", "number": self.ref.number, "comment": "c1", "body": "/fix"},
            "push": {"event": "push", "ref": "main", "before": "0" * 40, "after": head},
            "unknown": {"event": "ping"},
        }
        return json.dumps({**common, **parts[kind]}).encode()

    def signed(self, kind: Kind, body: bytes, secret: str = SECRET, *, age: float = 0.0) -> Delivery:
        identity, when = f"msg_{hashlib.sha256(body).hexdigest()[:16]}", int(time.time() - age)
        headers = {"webhook-id": identity, "webhook-timestamp": str(when), "webhook-signature": sign(secret.encode(), identity, when, body)}
        return Delivery("local", "", headers, body)


# --- GitHub ---------------------------------------------------------------------------------------------------------------------------


class GithubHost:
    """The double, with a repository of its own for each test."""

    only_in_diff = True
    signs_time = False

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


# --- which one for whom ---------------------------------------------------------------------------------------------------------------


@dataclass
class Ground:
    """What a module of tests shares for one provider: `new` makes a world that no other test has touched."""

    new: Callable[[Path], World]
    end: Callable[[], None] = field(default=lambda: None)


@contextmanager
def local_ground(folder: Path) -> Iterator[Ground]:
    """Nothing is shared."""
    yield Ground(LocalWorld)


@contextmanager
def github_ground(folder: Path) -> Iterator[Ground]:
    """One double for all; each test ends without a violation of GitHub's interface by us."""
    world = GithubWorld(folder / "github", private_key_pem=new_key())
    world.serve()

    def new(_: Path) -> World:
        world.faults.clear()
        world.advance(3_601)  # limits of an hour are about one test
        for ledger in (world.asked, world.effects, world.violations):
            ledger.clear()
        return GithubHost(world)

    def end() -> None:
        assert [violation for violation in world.violations if violation.side == "request"] == []

    try:
        yield Ground(new, end)
    finally:
        close_line()
        world.stop()


@contextmanager
def emulate_ground(folder: Path) -> Iterator[Ground]:
    """One process for all; each test has a repository of its own."""
    installed = find()
    if installed is None:
        pytest.skip("emulate is not installed: python -m tests.worlds.emulate.install")
    key = new_key()
    server = Emulate(installed, folder / "emulate", key)
    numbers = itertools.count(1)
    try:
        yield Ground(lambda place: EmulateHost(server, key, place, next(numbers)))
    finally:
        close_line()
        server.stop()


@contextmanager
def token_ground(folder: Path, door: Door) -> Iterator[Ground]:
    """As `github_ground`, without an App."""
    with github_ground(folder) as ground:

        def new(place: Path) -> World:
            made = ground.new(place)
            assert isinstance(made, GithubHost)
            made.enter(door)
            return made

        yield Ground(new, ground.end)


GROUNDS: Mapping[str, Callable[[Path], AbstractContextManager[Ground]]] = {
    "github": github_ground,
    "github: a job's token": lambda folder: token_ground(folder, "job"),
    "github: a person's token": lambda folder: token_ground(folder, "person"),
    "github: emulate": emulate_ground,
    "local": local_ground,
}
"""`PROVIDER` or `PROVIDER: WHAT IS DIFFERENT`. A provider that is not here fails the suite: write its adapter."""


@contextmanager
def ground_of(name: str, folder: Path) -> Iterator[Ground]:
    """A ground by name; a failure when nobody wrote one."""
    if name not in GROUNDS:
        pytest.fail(f"provider {name!r} has no world in tests/contract/hosts.py: write one, and the suite holds it to the port")
    with GROUNDS[name](folder) as ground:
        yield ground
