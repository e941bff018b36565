"""A repository of emulate as the contract suite wants it. Its commits are those of a real git repository, object by object."""

from __future__ import annotations

import base64
import hashlib
import hmac
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.model.event import CommentRef, Delivery
from pipeline.model.ids import CommitId, InstallationId
from pipeline.model.review import Conclusion
from pipeline.model.target import Installation, PullRequestRef, SourceRepository, UserRef
from pipeline.ports import CodeHost, Configuration, Provider
from providers.github.provider import GitHubProvider
from tests.contract.world import BASE, CHANGED, PREVIOUS, SECRET, Files, Kind, SeenCheck, SeenPull, SeenThread, unmarked
from tests.harness import DATE, LocalRepo, git
from tests.unit.providers.github_wire import Memory
from tests.worlds.emulate.server import APP, INSTALLATION, OWNER, SLUG, Emulate

BOT = f"{SLUG}[bot]"


class EmulateHost:
    """The foreign GitHub, with a repository of its own for each test."""

    only_in_diff = True
    signs_time = False
    signs_body = True
    proof = "x-hub-signature-256"
    shown_as: Mapping[Conclusion, Conclusion] = {}

    def __init__(self, server: Emulate, private_key_pem: str, folder: Path, number: int, change: Files | None = None) -> None:
        self._server = server
        self.provider: Provider = GitHubProvider()
        self.configuration: Configuration = {
            "WEBHOOK_SECRET": SECRET,
            "WEBHOOK_SECRET_PREVIOUS": PREVIOUS,
            "APP_ID": str(APP),
            "PRIVATE_KEY": private_key_pem,
            "API_URL": server.url,
        }
        self.memory = Memory()
        self.installation = Installation(InstallationId("i"), "github", "127.0.0.1", OWNER, str(INSTALLATION))
        self.name = f"{OWNER}/shop-{number}"
        made = server.call("POST", "/user/repos", {"name": f"shop-{number}", "private": True, "auto_init": True})
        clone = made["clone_url"]
        self.source = SourceRepository("github", "127.0.0.1", str(made["id"]), self.name, "main", clone, True, str(INSTALLATION))
        for login in ("ada", "walter"):
            server.call("PUT", f"/repos/{self.name}/collaborators/{login}", {"permission": "push"})
        self._repo = LocalRepo(folder / "shop")
        self._copied: set[str] = set()
        self._repo.commit(dict(BASE), "first")
        git(self._repo.folder, "update-index", "--chmod=+x", "tool.sh")
        git(self._repo.folder, "commit", "--quiet", "--message", "executable")
        git(self._repo.folder, "reset", "--quiet", "--hard")
        self._push("main", force=True)
        self._repo.commit({"app.py": CHANGED, **(change or {})}, branch="feature")
        self._push("feature")
        pull = server.call("POST", f"/repos/{self.name}/pulls", {"title": "Change it", "head": "feature", "base": "main"}, who="ada")
        self.ref = PullRequestRef(self.source, pull["number"])
        self.owner, self.writer, self.stranger = (self._user(login) for login in (OWNER, "walter", "eve"))

    def _user(self, login: str) -> UserRef:
        return UserRef(str(self._server.call("GET", f"/users/{login}")["id"]), login)

    def _get(self, path: str) -> Any:  # JSON of another program
        return self._server.call("GET", f"/repos/{self.name}{path}")

    def _push(self, branch: str, *, force: bool = False) -> CommitId:
        """Bring a branch of the real repository over. emulate must come to the same names of all objects."""
        head = git(self._repo.folder, "rev-parse", f"refs/heads/{branch}")
        for commit in git(self._repo.folder, "rev-list", "--reverse", head).split():
            if commit not in self._copied:
                self._copy(commit)
                self._copied.add(commit)
        if self._server.ask("GET", f"/repos/{self.name}/git/ref/heads/{branch}").is_success:
            self._server.call("PATCH", f"/repos/{self.name}/git/refs/heads/{branch}", {"sha": head, "force": force}, who="ada")
        else:
            self._server.call("POST", f"/repos/{self.name}/git/refs", {"ref": f"refs/heads/{branch}", "sha": head}, who="ada")
        return CommitId(head)

    def _copy(self, commit: str) -> None:
        entries = []
        for line in git(self._repo.folder, "ls-tree", "-r", commit).splitlines():
            state, _, path = line.partition("\t")
            mode, kind, sha = state.split()
            blob = {"content": self._blob(sha), "encoding": "base64"}
            made = self._server.call("POST", f"/repos/{self.name}/git/blobs", blob, who="ada")
            assert made["sha"] == sha
            entries.append({"path": path, "mode": mode, "type": kind, "sha": sha})
        tree = self._server.call("POST", f"/repos/{self.name}/git/trees", {"tree": entries}, who="ada")["sha"]
        assert tree == git(self._repo.folder, "rev-parse", f"{commit}^{{tree}}")
        person = {"name": "T", "email": "t@example.org", "date": DATE}
        message = git(self._repo.folder, "log", "-1", "--format=%B", commit)
        body = {"message": message + "\n", "tree": tree, "parents": self.parents(commit), "author": person, "committer": person}
        made = self._server.call("POST", f"/repos/{self.name}/git/commits", body, who="ada")
        assert made["sha"] == commit

    def _blob(self, sha: str) -> str:
        # Not through `git()`: that one strips.
        done = subprocess.run(["git", "cat-file", "blob", sha], cwd=self._repo.folder, check=True, capture_output=True, timeout=60)
        return base64.b64encode(done.stdout).decode()

    def host(self) -> CodeHost:
        return self.provider.connect(self.installation, self.configuration, self.memory)

    # people

    def commit(self, files: Files, branch: str = "feature") -> CommitId:
        here = git(self._repo.folder, "rev-parse", "--verify", "--quiet", f"refs/heads/{branch}", check=False)
        if self.tip(branch) not in ("", here):
            return self._put(files, branch)
        self._repo.commit(files, branch=branch)
        return self._push(branch)

    def _put(self, files: Files, branch: str) -> CommitId:
        """On a branch that the other side alone has, or has more of."""
        for path, content in files.items():
            encoded = base64.b64encode(str(content).encode()).decode()
            body = {"message": "Theirs", "content": encoded, "branch": branch}
            self._server.call("PUT", f"/repos/{self.name}/contents/{path}", body, who="ada")
        return self.tip(branch)

    def commit_link(self, path: str, target: str) -> None:
        (self._repo.folder / path).symlink_to(target)
        git(self._repo.folder, "add", "--", path)
        git(self._repo.folder, "commit", "--quiet", "--message", "link")
        self._push("feature")

    def force_push(self, files: Files, branch: str = "feature") -> CommitId:
        git(self._repo.folder, "checkout", "--quiet", "-B", branch, "main")
        self._repo.commit(files)
        return self._push(branch, force=True)

    def open_from_fork(self) -> PullRequestRef | None:
        return None

    def close_pull_request(self) -> None:
        self._server.call("PATCH", f"/repos/{self.name}/pulls/{self.ref.number}", {"state": "closed"}, who="ada")

    def comment(self, text: str) -> CommentRef:
        made = self._server.call("POST", f"/repos/{self.name}/issues/{self.ref.number}/comments", {"body": text}, who="ada")
        return CommentRef(self.ref, str(made["id"]))

    def answer(self, thread: str, text: str) -> CommentRef:
        body = {"body": text, "in_reply_to_id": int(thread)}
        made = self._server.call("POST", f"/repos/{self.name}/pulls/{self.ref.number}/comments", body, who="ada")
        return CommentRef(self.ref, str(made["id"]), True, thread)

    # what there is

    def tip(self, branch: str) -> CommitId:
        answer = self._server.ask("GET", f"/repos/{self.name}/git/ref/heads/{branch}")
        return CommitId(answer.json()["object"]["sha"] if answer.is_success else "")

    def parents(self, commit: str) -> list[str]:
        known = git(self._repo.folder, "rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}", check=False)
        if known:
            return git(self._repo.folder, "rev-parse", f"{commit}^@").split()
        return [parent["sha"] for parent in self._get(f"/git/commits/{commit}")["parents"]]

    def message(self, commit: str) -> tuple[str, str]:
        known = self._get(f"/git/commits/{commit}")
        return str(known["message"]), f"{known['author']['name']} <{known['author']['email']}>"

    def protect(self, branch: str) -> None:
        rules: dict[str, object] = {
            "required_status_checks": None,
            "enforce_admins": True,
            "required_pull_request_reviews": {},
            "restrictions": None,
        }
        self._server.call("PUT", f"/repos/{self.name}/branches/{branch}/protection", rules)

    def _entry(self, branch: str, path: str) -> dict[str, Any] | None:
        found = [entry for entry in self._get(f"/git/trees/{self.tip(branch)}?recursive=1")["tree"] if entry["path"] == path]
        return found[0] if found else None

    def file(self, branch: str, path: str) -> bytes | None:
        entry = self._entry(branch, path)
        return base64.b64decode(self._get(f"/git/blobs/{entry['sha']}")["content"]) if entry else None

    def mode(self, branch: str, path: str) -> str:
        entry = self._entry(branch, path)
        return str(entry["mode"]) if entry else ""

    def checks(self, commit: str) -> list[SeenCheck]:
        runs = self._get(f"/commits/{commit}/check-runs?filter=all&per_page=100")["check_runs"]
        shown = sorted(runs, key=lambda run: run["id"])
        return [
            SeenCheck(r["status"], r["conclusion"], r["output"]["title"], r["output"]["summary"], r["output"]["annotations_count"])
            for r in shown
        ]

    def threads(self) -> list[SeenThread]:
        said = sorted(self._get(f"/pulls/{self.ref.number}/comments?per_page=100"), key=lambda comment: comment["id"])
        first = [c for c in said if not c["in_reply_to_id"] and c["user"]["login"] == BOT]
        return [
            SeenThread(
                str(c["id"]),
                c["path"],
                c["line"] or 0,
                unmarked(c["body"]),
                False,
                tuple(unmarked(reply["body"]) for reply in said if reply["in_reply_to_id"] == c["id"]),
            )
            for c in first
        ]

    def comments(self, ref: PullRequestRef | None = None) -> list[str]:
        said = self._get(f"/issues/{(ref or self.ref).number}/comments?per_page=100")
        return [unmarked(c["body"]) for c in said if c["user"]["login"] == BOT]

    def notifications(self) -> int:
        """emulate sends no mail: what would have sent one is counted."""
        threads, reviews = self._get(f"/pulls/{self.ref.number}/comments"), self._get(f"/pulls/{self.ref.number}/reviews")
        return len(self.comments()) + len(reviews) + sum(1 for c in threads if not c["pull_request_review_id"])

    def pulls(self) -> list[SeenPull]:
        found = sorted(self._get("/pulls?state=all&per_page=100"), key=lambda pull: pull["number"])
        return [SeenPull(p["number"], p["head"]["ref"], p["base"]["ref"], p["title"], p["body"] or "", p["state"] == "open") for p in found]

    # deliveries: `tests/behaviour/test_foreign_github.py` lets emulate send real ones

    def payload(self, kind: Kind) -> bytes:
        raise NotImplementedError(kind)

    def signed(self, kind: Kind, body: bytes, secret: str = SECRET, *, age: float = 0.0) -> Delivery:
        digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        return Delivery("github", "", {"x-hub-signature-256": f"sha256={digest}"}, body)
