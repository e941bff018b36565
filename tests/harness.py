"""A whole Fixwright in one process, on real git and a real database: messages are worked as soon as they are due."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from sqlalchemy import select

from bot.cli.local import write_comment
from bot.settings import engines_dir, read_settings
from bot.wiring import App, Lease, wire
from bot.worker import work_message
from pipeline.messages import AcceptEvent, Envelope
from pipeline.model.event import CommentEvent, CommentRef, Event, PullRequestAction, PullRequestEvent
from pipeline.model.ids import CommitId, InstallationId, MessageId
from pipeline.model.scan import ScanType
from pipeline.model.target import Installation, PullRequestRef, SourceRepository, UserRef
from pipeline.ports import Fixer, Scanner
from pipeline.store.tables import outbox
from providers.local.host import open_pull_request
from providers.local.record import CheckRecord, Conversation, PullRequestRecord, RepositoryRecord, ThreadRecord
from providers.local.repository import describe
from tests.databases import migrated_sqlite

INSTALLATION = Installation(InstallationId("local"), "local", "", "local", "local")
DATE = "2026-01-15T12:00:00Z"


def _never(code: int) -> None:
    raise AssertionError(f"a process would have ended with {code}")


PATIENT = Lease(seconds=3_600.0, end=_never)
"""For messages that a test works in its own process: a machine that stands still for a while takes none away, and nothing ends the process.
What would have ended it fails the test that did it."""


def git(folder: Path, *arguments: str, check: bool = True) -> str:
    """git with a fixed person and date."""
    environment = {
        **os.environ,
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        **{
            f"GIT_{role}_{k}": v for role in ("AUTHOR", "COMMITTER") for k, v in (("NAME", "T"), ("EMAIL", "t@example.org"), ("DATE", DATE))
        },
    }
    done = subprocess.run(["git", *arguments], cwd=folder, env=environment, check=check, capture_output=True, timeout=60)
    return done.stdout.decode("utf-8", "replace").strip()


class LocalRepo:
    """A repository with a working copy, seen by the local provider as a bare one would be."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        git(folder, "init", "--quiet", "--initial-branch=main")

    def commit(self, files: Mapping[str, str | bytes | None], message: str = "change", branch: str = "", start: str = "") -> CommitId:
        """Write files (None removes one) and commit them; on `branch`, made from `start` when it is new."""
        if branch:
            known = git(self.folder, "rev-parse", "--verify", "--quiet", f"refs/heads/{branch}", check=False)
            git(self.folder, "checkout", "--quiet", *(["-b"] if not known else []), branch, *([start] if start and not known else []))
        for name, content in files.items():
            path = self.folder / name
            if content is None:
                git(self.folder, "rm", "--quiet", "--", name)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
            git(self.folder, "add", "--force", "--", name)
        git(self.folder, "commit", "--quiet", "--allow-empty", "--message", message)
        return CommitId(git(self.folder, "rev-parse", "HEAD"))

    @property
    def source(self) -> SourceRepository:
        """As a delivery names it."""
        return describe(self.folder)


class Bench:
    """An app and what a test does to it."""

    def __init__(self, tmp_path: Path, database_url: str = "", environment: Mapping[str, str] | None = None) -> None:
        state = tmp_path / "state"
        settings = read_settings(
            {
                "FIXWRIGHT_STATE_DIR": str(state),
                "FIXWRIGHT_ENGINES_DIR": str(engines_dir()),
                "FIXWRIGHT_LOCAL_WEBHOOK_SECRET": "a test's secret",
                "FIXWRIGHT_SECRET_KEY": "uoS9uWLySP1wpG9tHrxgudwVTmH5bLz7f8fQ2YDadrE=",
                **({"DATABASE_URL": database_url} if database_url else {}),
                **(environment or {}),
            }
        )
        self.state = state
        # No queue: the bench itself does what is due.
        self.app: App = wire(settings, f"unix://{tmp_path / 'no-queue.sock'}")
        self.app.lease = PATIENT
        if not database_url:
            migrated_sqlite(self.app.database)
        self.app.database.migrate()

    def use(self, *, scanners: Sequence[Scanner] | None = None, fixers: Sequence[Fixer] | None = None) -> None:
        """Put other plug-ins in the place of the real ones."""
        plugins = self.app.plugins
        if scanners is not None:
            by_type: dict[ScanType, Scanner] = {scanner.scan_type: scanner for scanner in scanners}
            plugins = replace(plugins, scanners=by_type)
        if fixers is not None:
            plugins = replace(plugins, fixers=tuple(fixers))
        self.app.plugins = plugins

    def deliver(self, event: Event, delivery: str = "") -> None:
        """What the web process writes for a delivery."""
        identity = delivery or uuid.uuid4().hex
        with self.app.database.work() as work:
            work.outbox.send(Envelope(AcceptEvent(identity, event), f"accept:{identity}", group=f"accept:{identity}"))

    def work(self, limit: int = 200) -> int:
        """Work until nothing is due; how many messages that took."""
        for done in range(limit):
            with self.app.database.work() as work:
                due = work.outbox.publishable(1)
            if not due:
                return done
            work_message(self.app, due[0].message_id)
        raise AssertionError(f"still busy after {limit} messages")

    def work_key(self, key: str) -> None:
        """Work one message, whatever else is due."""
        with self.app.database.read() as work:
            (found,) = work.transaction.execute(select(outbox.c.id).where(outbox.c.key == key)).scalars()
        work_message(self.app, MessageId(found))

    def record(self, repo: LocalRepo) -> RepositoryRecord:
        """What the local provider shows of a repository."""
        return RepositoryRecord(self.state / "local", repo.source.external_id)

    def pull_request(self, repo: LocalRepo, branch: str, base: str = "main", title: str = "A change") -> PullRequestRef:
        """Open a pull request, or find it."""
        return open_pull_request(self.record(repo), repo.source, branch, base, title, author="author")

    def pull_request_again(self, repo: LocalRepo, branch: str, base: str) -> PullRequestRef:
        """A second open pull request from the same branch, into another base."""
        record = self.record(repo)
        with record.locked():
            known = record.pull_requests()
            number = len(known.pulls) + 1
            known.pulls.append(PullRequestRecord(number=number, head_ref=branch, base_ref=base, title="Again", author="author"))
            record.save_pull_requests(known)
        return PullRequestRef(repo.source, number)

    def close_pull_request(self, repo: LocalRepo, ref: PullRequestRef, delivery: str = "") -> None:
        """Close it, and deliver that."""
        self._set_state(repo, ref, "closed")
        self.changed(ref, PullRequestAction.CLOSED, delivery)

    def reopen_pull_request(self, repo: LocalRepo, ref: PullRequestRef) -> None:
        """Open it again, and deliver that."""
        self._set_state(repo, ref, "open")
        self.changed(ref, PullRequestAction.REOPENED)

    def _set_state(self, repo: LocalRepo, ref: PullRequestRef, state: str) -> None:
        record = self.record(repo)
        with record.locked():
            known = record.pull_requests()
            next(p for p in known.pulls if p.number == ref.number).state = state
            record.save_pull_requests(known)

    def changed(self, ref: PullRequestRef, action: PullRequestAction = PullRequestAction.OPENED, delivery: str = "") -> None:
        """Deliver that something happened to a pull request."""
        head = CommitId("0" * 40)
        sender = UserRef("author", "author")
        self.deliver(PullRequestEvent(INSTALLATION, ref, sender, action, head), delivery)

    def review(self, repo: LocalRepo, branch: str, base: str = "main") -> PullRequestRef:
        """Open a pull request, deliver it, and work until it is answered."""
        ref = self.pull_request(repo, branch, base)
        self.changed(ref)
        self.work()
        return ref

    def comment(self, repo: LocalRepo, ref: PullRequestRef, text: str, thread: ThreadRecord | None = None, who: str = "") -> None:
        """A person writes a comment."""
        record = self.record(repo)
        owner = who or Path(repo.folder).owner()
        identifier = write_comment(record, ref.number, text, thread.id if thread else "", owner)
        place = CommentRef(ref, identifier, thread is not None, thread.id if thread else "")
        event = CommentEvent(INSTALLATION, place, UserRef(owner, owner), text, thread.fingerprint if thread else "")
        self.deliver(event)

    def checks(self, repo: LocalRepo, commit: str) -> list[CheckRecord]:
        """Our checks on a commit."""
        return self.record(repo).checks(commit).checks

    def said(self, repo: LocalRepo, ref: PullRequestRef) -> Conversation:
        """Everything on a pull request."""
        return self.record(repo).conversation(ref.number)

    def close(self) -> None:
        """Let go of the database."""
        self.app.database.dispose()
