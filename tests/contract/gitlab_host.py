"""GitLab for the contract suite: the double, below a path, with a project of its own for each test."""

from __future__ import annotations

import base64
import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pipeline.markers import unmarked
from pipeline.model.event import CommentRef, Delivery
from pipeline.model.ids import CommitId, InstallationId
from pipeline.model.review import Conclusion
from pipeline.model.target import Installation, PullRequestRef, SourceRepository, UserRef
from pipeline.ports import CodeHost, Configuration, Provider
from providers.gitlab.notes import NOTHING_OPEN
from providers.gitlab.provider import GitLabProvider
from tests.contract.world import BASE, CHANGED, PREVIOUS, SECRET, Files, Kind, SeenCheck, SeenPull, SeenThread
from tests.unit.providers.github_wire import Memory
from tests.worlds.bare import Entry
from tests.worlds.gitlab.hooks import sign
from tests.worlds.gitlab.model import Discussion, MergeRequest, Project
from tests.worlds.gitlab.world import GitlabWorld

OWNER = "olga"
_SHOWN = {
    Conclusion.NEUTRAL: Conclusion.SUCCESS,
    Conclusion.ACTION_REQUIRED: Conclusion.FAILURE,
}
"""GitLab's jobs know neither: what was not checked lets merge and is said in the description, what somebody must do does not."""
_STATES = {"success": Conclusion.SUCCESS, "failed": Conclusion.FAILURE, "canceled": Conclusion.CANCELLED}


def signing_token(secret: str) -> str:
    """A signing token that stands for any text."""
    return "whsec_" + base64.b64encode(hashlib.sha256(secret.encode()).digest()).decode()


class GitlabHost:
    """The double of GitLab. `signed`: deliveries carry signatures; else the plain secret token."""

    only_in_diff = True
    shown_as: Mapping[Conclusion, Conclusion] = _SHOWN

    def __init__(self, world: GitlabWorld, template: Path, *, signed: bool = True) -> None:
        self._world = world
        self.signs_time = self.signs_body = signed
        self.proof = "webhook-signature" if signed else "x-gitlab-token"
        self.provider: Provider = GitLabProvider(clock=world.gitlab.state.seconds)
        self.memory = Memory(world.gitlab.state.seconds)
        group = world.create_group("acme", owner=OWNER)
        self._project: Project = world.create_project("acme", f"shop-{len(world.gitlab.state.projects)}", creator=OWNER)
        if not template.exists():
            self._begin(template)
        self._push(template)
        world.set_access("walter", self._project, "developer")
        self._request: MergeRequest = world.open_merge_request("ada", self._project, "feature", "main", "Change it")
        token = world.token_of(group, "maintainer")
        self._ours = world.owner_of(token)
        secret = signing_token(SECRET) if signed else SECRET
        previous = signing_token(PREVIOUS) if signed else PREVIOUS
        name = "SIGNING_TOKEN" if signed else "WEBHOOK_SECRET"
        self.configuration: Configuration = {"URL": world.url, "TOKEN": token, name: secret, f"{name}_PREVIOUS": previous}
        instance = world.url.partition("//")[2]
        self.installation = Installation(InstallationId("i"), "gitlab", instance, "acme", "acme")
        self.name = self._project.full_path
        clone = f"{world.url}/{self.name}.git"
        self.source = SourceRepository("gitlab", instance, str(self._project.id), self.name, "main", clone, True, "acme")
        self.ref = PullRequestRef(self.source, self._request.iid)
        self.owner, self.writer, self.stranger = (self._user(login) for login in (OWNER, "walter", "eve"))

    def _begin(self, template: Path) -> None:
        """Make both branches once for all tests: their repositories are copies of this one."""
        world, made = self._world, self._world.create_project("acme", "template", files=BASE, creator=OWNER)
        bare, tip = made.git, made.git.branch("main") or ""
        tool, known = bare.entry(tip, "tool.sh"), bare.commit(tip)
        assert tool is not None
        tree = bare.write_tree(known.tree, [replace(tool, path="tool.sh", mode="100755")])
        bare.set_ref("refs/heads/main", bare.write_commit(tree, [tip], "executable", known.author, known.committer))
        world.commit(made, "feature", {"app.py": CHANGED}, author="ada")
        for part in ("objects", "refs/heads"):
            shutil.copytree(bare.path / part, template / part)

    def _push(self, template: Path) -> None:
        """Have both branches; of `feature` the hooks are told, `main` was always there."""
        project, gitlab = self._project, self._world.gitlab
        shutil.copytree(template, project.git.path, dirs_exist_ok=True)
        with gitlab.state.lock:
            project.refs = {"refs/heads/main": self.tip("main")}
            gitlab.actions.look_at_refs(project, gitlab.state.user("ada"))

    def enter(self) -> None:
        """Sign in as robin from now on: an account of a machine that is a Developer of this one project, with a personal token."""
        self._world.set_access("robin", self._project, "developer")
        self._ours = self._world.user("robin")
        self.configuration = {**self.configuration, "TOKEN": self._world.token_for("robin")}
        self.memory = Memory(self._world.gitlab.state.seconds)

    def _write(self, branch: str, entry: Entry) -> None:
        """Commit one entry of any mode."""
        bare, tip = self._project.git, self.tip(branch)
        known = bare.commit(tip)
        made = bare.write_commit(bare.write_tree(known.tree, [entry]), [tip], "by hand", known.author, known.committer)
        self._world.reset_branch(self._project, branch, made)

    def _user(self, login: str) -> UserRef:
        return UserRef(str(self._world.user(login).id), login)

    def host(self) -> CodeHost:
        return self.provider.connect(self.installation, self.configuration, self.memory)

    # --- people ---

    def commit(self, files: Files, branch: str = "feature") -> CommitId:
        return CommitId(self._world.commit(self._project, branch, files))

    def commit_link(self, path: str, target: str) -> None:
        self._write("feature", Entry("120000", path, self._project.git.write_blob(target.encode())))

    def force_push(self, files: Files, branch: str = "feature") -> CommitId:
        return CommitId(self._world.force_push(self._project, branch, files))

    def open_from_fork(self) -> PullRequestRef | None:
        fork = self._world.fork(self._project, "mallory")
        self._world.commit(fork, "theirs", {"app.py": "theirs\n"}, author="mallory")
        request = self._world.open_merge_request("mallory", self._project, "theirs", "main", "From afar", fork=fork)
        return PullRequestRef(self.source, request.iid)

    def close_pull_request(self) -> None:
        self._world.close("ada", self._request)

    def comment(self, text: str) -> CommentRef:
        note = self._world.comment("ada", self._request, text)
        return CommentRef(self.ref, str(note.id), False, note.discussion.id)

    def answer(self, thread: str, text: str) -> CommentRef:
        home = next(known for known in self._request.discussions if known.id == thread)
        note = self._world.reply_in_discussion("ada", home, text)
        return CommentRef(self.ref, str(note.id), True, thread)

    # --- what there is ---

    def tip(self, branch: str) -> CommitId:
        return CommitId(self._project.git.branch(branch) or "")

    def parents(self, commit: str) -> list[str]:
        return list(self._project.git.commit(commit).parents)

    def message(self, commit: str) -> tuple[str, str]:
        known = self._project.git.commit(commit)
        return known.message, f"{known.author.name} <{known.author.email}>"

    def protect(self, branch: str) -> None:
        self._world.protect(self._project, branch, push="none")

    def file(self, branch: str, path: str) -> bytes | None:
        return self._world.read(self._project, branch, path)

    def mode(self, branch: str, path: str) -> str:
        entry = self._project.git.entry(self.tip(branch), path)
        return entry.mode if entry else ""

    def checks(self, commit: str) -> list[SeenCheck]:
        ours = [job for job in self._world.statuses(self._project, commit) if job.user is self._ours]
        return [self._seen_check(job.status, job.description or "") for job in ours]

    def _seen_check(self, status: str, description: str) -> SeenCheck:
        conclusion = _STATES.get(status)
        return SeenCheck("completed" if conclusion else "in_progress", conclusion.value if conclusion else None, description, "", 0)

    def threads(self) -> list[SeenThread]:
        found = self._world.discussions(self._request)
        return [self._seen(known) for known in found if known.first.author is self._ours and known.first.type == "DiffNote"]

    def _seen(self, home: Discussion) -> SeenThread:
        at = home.first.original_position
        assert at is not None
        line = at.range[0].new_line if at.range else at.new_line
        replies = tuple(unmarked(note.body) for note in home.notes[1:] if not note.system)
        return SeenThread(home.id, at.new_path, line or 0, unmarked(home.first.body), home.resolved, replies)

    def comments(self, ref: PullRequestRef | None = None) -> list[str]:
        request = self._project.merge_requests[(ref or self.ref).number]
        ours = [note for note in self._world.notes(request) if note.author is self._ours and note.type != "DiffNote"]
        # No note can be hidden here: one that has nothing to say says that, and comes back to life with the next finding.
        return [text for text in (unmarked(note.body) for note in ours) if text != NOTHING_OPEN]

    def notifications(self) -> int:
        return len(self._world.notifying_calls(self._request))

    def pulls(self) -> list[SeenPull]:
        found = self._project.merge_requests.values()
        return [SeenPull(p.iid, p.source_branch, p.target_branch, p.title, p.description or "", p.state == "opened") for p in found]

    # --- deliveries ---

    def payload(self, kind: Kind) -> bytes:
        if kind == "comment":
            self._world.comment("ada", self._request, "/fix")
        if kind == "unknown":
            self._world.push_tag(self._project, f"v{len(self._world.hooks.deliveries)}")
        names = {"opened": ("merge_request", "open"), "comment": ("note", "create"), "push": ("push", None), "unknown": ("tag_push", None)}
        event, action = names[kind]
        body: bytes = [known for known in self._world.hooks.of(event, action) if known.project == self._project.id][-1].body
        return body

    def signed(self, kind: Kind, body: bytes, secret: str = SECRET, *, age: float = 0.0) -> Delivery:
        event = {"opened": "Merge Request Hook", "comment": "Note Hook", "push": "Push Hook", "unknown": "Tag Push Hook"}[kind]
        identity, when = hashlib.sha256(body).hexdigest()[:32], int(self._world.gitlab.seconds() - age)
        headers = {"x-gitlab-event": event, "idempotency-key": identity, "content-type": "application/json"}
        if not self.signs_body:
            return Delivery("gitlab", "", headers | {"x-gitlab-token": secret}, body)
        proof = sign(signing_token(secret), identity, when, body)
        return Delivery("gitlab", "", headers | {"webhook-id": identity, "webhook-timestamp": str(when), "webhook-signature": proof}, body)
