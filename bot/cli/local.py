"""`fixwright local`: plain git repositories on this machine as a code host."""

from __future__ import annotations

import argparse
import getpass
import json
import os
import secrets
import shlex
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import httpx

from bot.settings import Settings, read_settings
from bot.wiring import discover_plugins
from pipeline.errors import GitUnavailable, HostUnavailable, NotConfigured, StoreUnavailable, UsageError
from pipeline.escaping import visible
from pipeline.model.event import Delivery
from pipeline.model.ids import CommitId
from pipeline.model.target import SourceRepository
from pipeline.sandbox.gitrun import Transport
from pipeline.sandbox.localgit import ZERO, LocalRepository
from pipeline.signing import sign
from pipeline.store.spool import Spool
from providers.local.host import open_pull_request
from providers.local.record import KEPT, Checks, CommentRecord, Conversation, PullRequestRecord, RepositoryRecord
from providers.local.repository import describe

KEPT_BYTES = 256 * 1024 * 1024
"""What hooks keep while the web process is away; some 200,000 pushes."""

HOOK = """#!/bin/sh
# Tells Fixwright what was pushed. Written by `fixwright local connect`.
exec {command} local deliver --connection {connection}
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command and its parts."""
    parser = commands.add_parser("local", help="plain git repositories on this machine as a code host")
    parts = parser.add_subparsers(metavar="ACTION", required=True)
    connect = _part(parts, "connect", "install the post-receive hook in a repository", _connect)
    connect.add_argument("repository", type=Path)
    show = _part(parts, "show", "what Fixwright answered", _show)
    show.add_argument("repository", type=Path)
    show.add_argument("--number", type=int, help="only this pull request")
    show.add_argument("--json", action="store_true")
    comment = _part(parts, "comment", "write a comment, for example `/fix`", _comment)
    comment.add_argument("repository", type=Path)
    comment.add_argument("number", type=int)
    comment.add_argument("text")
    comment.add_argument("--thread", default="", help="id of the thread that it answers")
    close = _part(parts, "close", "close a pull request", _close)
    close.add_argument("repository", type=Path)
    close.add_argument("number", type=int)
    deliver = _part(parts, "deliver", "what the hook calls", _deliver)
    deliver.add_argument("--connection", type=Path, required=True)


def _part(parts: argparse._SubParsersAction[argparse.ArgumentParser], name: str, text: str, run: Any) -> argparse.ArgumentParser:
    parser = parts.add_parser(name, help=text)
    parser.set_defaults(run=run)
    return parser


# --- repositories ---------------------------------------------------------------------------------------------------------------------


def _connect(args: argparse.Namespace) -> int:
    settings = read_settings()
    secret = _secret(settings)
    repository = describe(args.repository)
    _ensure_fetchable(repository)
    git_dir = Path(repository.clone_url)
    git_dir = git_dir / ".git" if (git_dir / ".git").is_dir() else git_dir
    connection = git_dir / "fixwright.json"
    content = {"url": settings.url, "secret": secret, "record": str(_record_root(settings))}
    descriptor = os.open(connection, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(content, file)
    hook = git_dir / "hooks" / "post-receive"
    hook.parent.mkdir(exist_ok=True)
    if hook.exists() and "Written by `fixwright local connect`" not in hook.read_text("utf-8", "replace"):
        raise UsageError(f"{hook} exists and is not ours", hint=f"add this line to it: fixwright local deliver --connection {connection}")
    command = f"{shlex.quote(sys.executable)} -m bot.cli"
    hook.write_text(HOOK.format(command=command, connection=shlex.quote(str(connection))), "utf-8")
    hook.chmod(0o755)
    print(f"{visible(repository.full_name)} is connected: pushes are delivered to {settings.url}")
    _announce(Connection(settings.url, secret, _record_root(settings)), repository)
    return 0


def _ensure_fetchable(repository: SourceRepository) -> None:
    """Raises UsageError for a folder whose pushes would be delivered and never be scanned."""
    try:
        Transport(repository.clone_url, allow_local=True).config()
    except GitUnavailable:
        text = f"{visible(repository.clone_url)} cannot be fetched from: its path has characters other than ASCII letters, digits and signs"
        raise UsageError(text, hint="rename the folder, then connect it again") from None


def _announce(connection: Connection, repository: SourceRepository) -> None:
    """Everything on the default branch is new to Fixwright: that makes its first scan, as soon as somebody listens."""
    tip = LocalRepository(Path(repository.clone_url)).branch(repository.default_branch)
    if tip is None:
        return
    connection.send(repository, "push", ref=repository.default_branch, before=ZERO, after=tip)


def _secret(settings: Settings) -> str:
    provider = discover_plugins().providers["local"]
    secret = settings.provider(provider).get("WEBHOOK_SECRET", "")
    if not secret:
        made = secrets.token_urlsafe(24)
        raise NotConfigured("the local provider has no webhook secret", hint=f"export FIXWRIGHT_LOCAL_WEBHOOK_SECRET={made}")
    return secret


def _record_root(settings: Settings) -> Path:
    return Path(settings.provider(discover_plugins().providers["local"])["RECORD"])


# --- deliveries -----------------------------------------------------------------------------------------------------------------------


class Connection:
    """How to reach the web process, and as whom."""

    def __init__(self, url: str, secret: str, record: Path) -> None:
        self.url = url
        self._secret = secret
        self.record_root = record

    @classmethod
    def read(cls, path: Path) -> Connection:
        """From the file that `connect` wrote. Raises UsageError."""
        try:
            content = json.loads(path.read_bytes())
            return cls(content["url"], content["secret"], Path(content["record"]))
        except (OSError, ValueError, KeyError):
            raise UsageError(f"{path} cannot be used", hint="run: fixwright local connect REPOSITORY") from None

    def send(self, repository: SourceRepository, event: str, **fields: object) -> bool:
        """Deliver one event. When the web process is away, or cannot take it now, it is kept in a folder beside the record, where the
        web process looks as soon as it runs.

        Returns:
            True when it was delivered, False when it was kept.

        Raises:
            HostUnavailable: the web process refuses it for good, or it can be kept nowhere.
        """
        login = getpass.getuser()
        payload = {
            "event": event,
            "repository": {
                "id": repository.external_id,
                "name": repository.full_name,
                "path": repository.clone_url,
                "default_branch": repository.default_branch,
            },
            "sender": {"id": login, "login": login},
            **fields,
        }
        body = json.dumps(payload).encode()
        identifier, timestamp = f"msg_{uuid.uuid4().hex}", int(time.time())
        headers = {
            "webhook-id": identifier,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": sign(self._secret.encode(), identifier, timestamp, body),
            "content-type": "application/json",
        }
        try:
            answer = httpx.post(f"{self.url}/webhooks/local", content=body, headers=headers, timeout=10)
        except httpx.HTTPError as error:
            self._keep(Delivery("local", "", headers, body, float(timestamp)), f"does not answer ({type(error).__name__})")
            return False
        if answer.status_code >= 500:
            self._keep(Delivery("local", "", headers, body, float(timestamp)), f"answered {answer.status_code}")
            return False
        if answer.status_code != 202:
            raise HostUnavailable(f"{self.url} answered {answer.status_code}", hint=visible(answer.text[:300]))
        return True

    def _keep(self, delivery: Delivery, why: str) -> None:
        spool = Spool(self.record_root / KEPT, KEPT_BYTES)
        try:
            spool.keep(delivery)
        except StoreUnavailable as error:
            raise HostUnavailable(f"{self.url} {why}, and {error.message}", hint="is `fixwright up` running?") from None
        finally:
            spool.close()
        print(f"fixwright: {self.url} {why}; kept, and taken when `fixwright up` runs", file=sys.stderr)


def _connection_of(repository: SourceRepository) -> Connection:
    folder = Path(repository.clone_url)
    inside = folder / ".git" / "fixwright.json"
    return Connection.read(inside if inside.exists() else folder / "fixwright.json")


def _deliver(args: argparse.Namespace) -> int:
    connection = Connection.read(args.connection)
    repository = describe(args.connection.parent if args.connection.parent.name != ".git" else args.connection.parent.parent)
    git = LocalRepository(Path(repository.clone_url))
    missed: list[HostUnavailable] = []
    for line in sys.stdin:
        try:
            _deliver_ref(connection, repository, git, line)
        except HostUnavailable as error:
            missed.append(error)
            print(f"fixwright: not delivered: {visible(line.split()[2])}", file=sys.stderr)
    if missed:
        raise missed[0]
    return 0


def _deliver_ref(connection: Connection, repository: SourceRepository, git: LocalRepository, line: str) -> None:
    before, after, name = line.split()
    branch = name.removeprefix("refs/heads/")
    if name == branch or branch.startswith("fixwright/"):
        return
    if branch == repository.default_branch:
        connection.send(repository, "push", ref=branch, before=before, after=after)
    elif after == ZERO:
        _close_of_branch(connection, repository, branch)
    else:
        _pushed(connection, repository, git, branch, CommitId(after))


def _pushed(connection: Connection, repository: SourceRepository, git: LocalRepository, branch: str, head: CommitId) -> None:
    """A branch is a pull request; its base is `git config branch.<name>.fixwright-base`, else the default branch."""
    record = RepositoryRecord(connection.record_root, repository.external_id)
    known = [p for p in record.pull_requests().pulls if p.head_ref == branch and p.state == "open"]
    configured = git.config(f"branch.{branch}.fixwright-base")
    base = configured[-1] if configured else repository.default_branch
    title = known[0].title if known else git.subject(head)
    ref = open_pull_request(record, repository, branch, base, title)
    action = "updated" if known else "opened"
    connection.send(repository, "pull_request", action=action, number=ref.number, head=head)
    print(visible(f"fixwright: pull request {ref.number} ({branch} into {base}) {action}"))


def _close_of_branch(connection: Connection, repository: SourceRepository, branch: str) -> None:
    record = RepositoryRecord(connection.record_root, repository.external_id)
    for pull in record.pull_requests().pulls:
        if pull.head_ref == branch and pull.state == "open":
            _close_one(connection, repository, record, pull.number)


def _close_one(connection: Connection, repository: SourceRepository, record: RepositoryRecord, number: int) -> None:
    with record.locked():
        known = record.pull_requests()
        found = _pull(known.pulls, number)
        found.state = "closed"
        record.save_pull_requests(known)
    head = LocalRepository(Path(repository.clone_url)).branch(found.head_ref) or ZERO
    connection.send(repository, "pull_request", action="closed", number=number, head=head)


def _close(args: argparse.Namespace) -> int:
    repository = describe(args.repository)
    connection = _connection_of(repository)
    _close_one(connection, repository, RepositoryRecord(connection.record_root, repository.external_id), args.number)
    return 0


def _comment(args: argparse.Namespace) -> int:
    repository = describe(args.repository)
    connection = _connection_of(repository)
    record = RepositoryRecord(connection.record_root, repository.external_id)
    identifier = write_comment(record, args.number, args.text, args.thread)
    fields = {"number": args.number, "comment": identifier, "body": args.text, "thread": args.thread}
    fingerprint = next((t.fingerprint for t in record.conversation(args.number).threads if t.id == args.thread), "")
    connection.send(repository, "comment", **fields, fingerprint=fingerprint)
    print(f"delivered; the answer appears in: fixwright local show {shlex.quote(str(args.repository))} --number {args.number}")
    return 0


def write_comment(record: RepositoryRecord, number: int, text: str, thread: str = "", author: str = "") -> str:
    """Put a person's comment into the record, of `author` or whoever runs this; its id. Raises UsageError for a thread or pull request
    that is not there."""
    with record.locked():
        _pull(record.pull_requests().pulls, number)
        said = record.conversation(number)
        comment = CommentRecord(id=uuid.uuid4().hex[:16], author=author or getpass.getuser(), body=text)
        found = next((t for t in said.threads if t.id == thread), None)
        if thread and found is None:
            raise UsageError(f"pull request {number} has no thread {thread}", hint="fixwright local show REPOSITORY --json")
        (found.comments if found else said.comments).append(comment)
        record.save_conversation(number, said)
    return comment.id


def _pull(pulls: list[PullRequestRecord], number: int) -> PullRequestRecord:
    found = next((p for p in pulls if p.number == number), None)
    if found is None:
        raise UsageError(f"there is no pull request {number}", hint="fixwright local show REPOSITORY")
    return found


# --- show -----------------------------------------------------------------------------------------------------------------------------


def _show(args: argparse.Namespace) -> int:
    settings = read_settings()
    repository = describe(args.repository)
    record = RepositoryRecord(_record_root(settings), repository.external_id)
    pulls = [p for p in record.pull_requests().pulls if args.number in (None, p.number)]
    git = LocalRepository(Path(repository.clone_url))
    shown = [(p, _checks(record, git, p), record.conversation(p.number)) for p in pulls]
    if args.json:
        print(json.dumps([{**p.model_dump(), **c.model_dump(), **s.model_dump()} for p, c, s in shown], indent=1))
        return 0
    for pull, checks, said in shown:
        _print(pull, checks, said)
    if not shown:
        print("no pull requests yet")
    return 0


def _checks(record: RepositoryRecord, git: LocalRepository, pull: PullRequestRecord) -> Checks:
    head = git.branch(pull.head_ref)
    return record.checks(head) if head else Checks()


def _print(pull: PullRequestRecord, checks: Checks, said: Conversation) -> None:
    print(visible(f"#{pull.number} {pull.title} ({pull.head_ref} into {pull.base_ref}, {pull.state})"))
    for check in checks.checks:
        print(f"  check    {check.conclusion or check.status}: {visible(check.title)}")
    for thread in said.threads:
        state, count = "resolved" if thread.resolved else "open", len(thread.comments)
        print(f"  thread   {visible(thread.path)}:{thread.line} {state}, {thread.id}, {count} comment{'' if count == 1 else 's'}")
    for comment in said.comments:
        first = comment.body.splitlines()[0] if comment.body else ""
        print(f"  comment  {visible(comment.author)}: {visible(first)}")
