"""Plain git repositories for the contract suite."""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Mapping
from pathlib import Path

from pipeline.model.event import CommentRef, Delivery
from pipeline.model.ids import CommitId, InstallationId
from pipeline.model.review import Conclusion
from pipeline.model.target import Installation, PullRequestRef, UserRef
from pipeline.ports import CodeHost, Configuration, Provider
from pipeline.signing import sign
from providers.local import PROVIDER
from providers.local.host import OURS, open_pull_request
from providers.local.record import CommentRecord, RepositoryRecord
from tests.contract.world import BASE, CHANGED, PREVIOUS, SECRET, Files, Kind, SeenCheck, SeenPull, SeenThread
from tests.harness import LocalRepo, git
from tests.unit.providers.github_wire import Memory


class LocalWorld:
    """Real git on the disk."""

    only_in_diff = False
    signs_time = signs_body = True
    proof = "webhook-signature"
    shown_as: Mapping[Conclusion, Conclusion] = {}

    def __init__(self, folder: Path) -> None:
        self.provider: Provider = PROVIDER
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

    def message(self, commit: str) -> tuple[str, str]:
        author, _, message = git(self._repo.folder, "log", "-1", "--format=%an <%ae>%n%B", commit).partition("\n")
        return message + "\n", author

    def protect(self, branch: str) -> None:
        git(self._repo.folder, "checkout", "--quiet", branch)

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
