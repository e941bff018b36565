"""The local provider's code host: git on the disk, the rest in `record.py`."""

from __future__ import annotations

import getpass
import hashlib
import math
import pwd
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from pipeline.branches import check_ours, moved, signed_off
from pipeline.errors import GitError, HostForbidden, HostNotFound, HostRejected, HostUnavailable, PatchRefused, UsageError
from pipeline.fence import before_a_write
from pipeline.model.event import CommentEvent, CommentRef, OpenPullRequest, Posted, Snapshot
from pipeline.model.fix import BranchCommit, PullRequestDraft
from pipeline.model.ids import CommitId
from pipeline.model.report import AdvisoryDraft, Check, CheckRef, CheckState, Thread, ThreadRef
from pipeline.model.target import (
    CommitRef,
    Permission,
    PullRequest,
    PullRequestRef,
    PullRequestState,
    SourceRepository,
    UserRef,
)
from pipeline.policy import PolicyPlaces
from pipeline.ports import Capabilities, GitCredentials, PolicyFile
from pipeline.sandbox.localgit import EMAIL, NAME, LocalRepository, is_branch_name
from providers.local.record import (
    AnnotationRecord,
    CheckRecord,
    CommentRecord,
    Conversation,
    PullRequestRecord,
    RepositoryRecord,
    ThreadRecord,
)
from providers.local.repository import describe

OURS = "fixwright[bot]"
"""Author of what we write. No account of a machine can have this name (useradd(8) allows no brackets)."""

BRANCHES = "fixwright/"

CAPABILITIES = Capabilities(redelivers=False, local_git=True, policies=PolicyPlaces((".github", ".gitlab")))
"""`policies`: such a folder often mirrors a repository of another host, whose policy lies in that host's folder."""


GONE = "\n\nGone: "
"""Stands before what is said of a finding that is gone."""


class LocalHost:
    """See `pipeline.ports.CodeHost`."""

    def __init__(self, root: Path, capabilities: Capabilities = CAPABILITIES) -> None:
        self._root, self._capabilities = root, capabilities

    @property
    def capabilities(self) -> Capabilities:
        """Always the provider's."""
        return self._capabilities

    def find(self, full_name: str) -> SourceRepository:
        """Here a repository's name is its folder."""
        try:
            return describe(Path(full_name))
        except UsageError as error:
            raise HostNotFound(error.message) from error

    def snapshot(self, repository: SourceRepository, since: datetime) -> Snapshot:
        """The record keeps no times: all comments come again, as old as `since`."""
        now = self.describe(repository)
        try:
            tip: CommitId | None = self.tip(now, now.default_branch)
        except HostNotFound:
            tip = None
        pulls = tuple(self.open_pull_requests(now))
        return Snapshot(now, tip, pulls, tuple(comment for pull in pulls for comment in self._posted(pull.ref, since)))

    def threads(self, ref: PullRequestRef) -> Sequence[ThreadRef]:
        """From the record."""
        said = self.record(ref.repository).conversation(ref.number).threads
        return [ThreadRef(thread.fingerprint, thread.id) for thread in said if thread.comments[0].author == OURS]

    def record(self, repository: SourceRepository) -> RepositoryRecord:
        """Where the answers of a repository land."""
        return RepositoryRecord(self._root, repository.external_id)

    def repositories(self) -> Sequence[SourceRepository]:
        """Those that were connected are known by their records alone; nothing lists them here."""
        return ()

    def describe(self, repository: SourceRepository) -> SourceRepository:
        """The folder is what it is; its HEAD names the default branch."""
        path = Path(repository.clone_url)
        if not path.is_dir():
            raise HostNotFound(f"{repository.full_name} is gone")
        try:
            default = LocalRepository(path).default_branch()
        except GitError as error:
            raise HostUnavailable(f"the repository cannot be read: {error.message}") from error
        return replace(repository, default_branch=default or repository.default_branch)

    def tip(self, repository: SourceRepository, branch: str) -> CommitId:
        """From git itself."""
        if not is_branch_name(branch):
            raise HostNotFound(f"there is no branch that git would call so in {repository.full_name}")
        try:
            found = LocalRepository(Path(repository.clone_url)).branch(branch)
        except GitError as error:
            raise HostUnavailable(f"the repository cannot be read: {error.message}") from error
        if found is None:
            raise HostNotFound(f"there is no branch {branch} in {repository.full_name}")
        return found

    def open_pull_requests(self, repository: SourceRepository) -> Sequence[OpenPullRequest]:
        """Those of the record whose head branch is still there."""
        if not Path(repository.clone_url).is_dir():
            raise HostNotFound(f"{repository.full_name} is gone")
        git = LocalRepository(Path(repository.clone_url))
        found = []
        try:
            for pull in self.record(repository).pull_requests().pulls:
                head = git.branch(pull.head_ref) if pull.state == PullRequestState.OPEN else None
                if head is not None:
                    found.append(OpenPullRequest(PullRequestRef(repository, pull.number), head, pull.base_ref))
        except GitError as error:
            raise HostUnavailable(f"the repository cannot be read: {error.message}") from error
        return found

    def spent(self) -> int:
        """A disk has no budget."""
        return 0

    def policy_parent(self, repository: SourceRepository) -> PolicyFile | None:
        """Nobody owns several repositories here."""
        return None

    def draft_advisory(self, repository: SourceRepository, draft: AdvisoryDraft) -> str:
        """See `Capabilities.advisories`."""
        raise HostForbidden("git itself has no advisories")

    def may_propose(self) -> bool:
        """The operator's own folders."""
        return True

    def may_check(self) -> bool:
        """A check is a line in our own record."""
        return True

    def forget(self) -> None:
        """Nothing was learnt."""

    def prepare(self, repository: SourceRepository) -> None:
        """Nobody signs in to a disk."""

    def permission(self, repository: SourceRepository, user: UserRef) -> Permission:
        """The owner of the repository's folder may do everything; `git config fixwright.writer NAME` there names who may write."""
        path = Path(repository.clone_url)
        try:
            owner = pwd.getpwuid(path.stat().st_uid).pw_name
        except OSError:
            return Permission.NONE
        except KeyError:
            owner = ""
        if user.login and user.login == owner:
            return Permission.ADMIN
        try:
            writers = LocalRepository(path).config("fixwright.writer")
        except GitError:
            return Permission.NONE
        return Permission.WRITE if user.login in writers else Permission.READ

    def credentials(self, repository: SourceRepository) -> GitCredentials:
        """None are needed on our own disk."""
        return GitCredentials()

    def pull_request(self, ref: PullRequestRef) -> PullRequest:
        """Its newest state, from git itself. One of ours is merged when its branch is in its base: nobody tells us otherwise."""
        found = self._find(ref)
        git = LocalRepository(Path(ref.repository.clone_url))
        try:
            head, base = git.branch(found.head_ref), git.branch(found.base_ref)
            if head is None or base is None:
                raise HostNotFound(f"a branch of pull request {ref.number} is gone")
            merge_base = git.merge_base(base, head) or base
            commits = git.count(merge_base, head)
        except GitError as error:
            raise HostUnavailable(f"the repository cannot be read: {error.message}") from error
        return PullRequest(
            ref=ref,
            head=head,
            base_ref=found.base_ref,
            base=base,
            merge_base=merge_base,
            head_ref=found.head_ref,
            head_repository=ref.repository.full_name,
            author=UserRef(found.author, found.author, bot=found.ours),
            state=PullRequestState.MERGED if found.ours and found.state == "open" and merge_base == head else PullRequestState(found.state),
            title=found.title,
            commits=max(commits, 1),
            url=str(self.record(ref.repository).folder / "conversations" / f"{ref.number}.json"),
        )

    def authors(self, ref: PullRequestRef) -> Sequence[UserRef]:
        """Names in commits are no accounts here: anybody may write any."""
        return ()

    def written(self, event: CommentEvent) -> float | None:
        """From the record. When is not in it: a delivery whose signature is minutes old is refused, so that only new ones are told of."""
        comment = event.comment
        said = self.record(comment.pull_request.repository).conversation(comment.pull_request.number)
        place = next((t.comments for t in said.threads if t.id == comment.thread), []) if comment.thread else said.comments
        as_told = any((c.id, c.author, c.body) == (comment.id, event.sender.login, event.body) for c in place)
        return math.inf if as_told else None

    def acknowledge(self, comment: CommentRef) -> None:
        """Nobody looks at a reaction here; the answer follows."""

    def ensure_check(self, commit: CommitRef, check: Check, known: CheckState | None = None) -> CheckRef:  # the disk is read quickly
        """See the port: the check with this key is replaced or added."""
        record = self.record(commit.repository)
        wanted = CheckRecord(
            key=check.key,
            commit=commit.commit,
            status="completed" if check.conclusion else "in_progress",
            conclusion=check.conclusion.value if check.conclusion else None,
            title=check.title,
            summary=check.summary,
            text=check.text,
            annotations=[
                AnnotationRecord(path=a.path, line=a.line, end_line=a.end_line, level=a.level, title=a.title, message=a.message)
                for a in check.annotations
            ],
            actions=[action.label for action in check.actions],
        )
        with record.locked():
            stored = record.checks(commit.commit)
            others = [c for c in stored.checks if c.key != check.key]
            at = next((n for n, c in enumerate(stored.checks) if c.key == check.key), len(others))
            others.insert(at, wanted)
            if others != stored.checks:
                stored.checks = others
                record.save_checks(commit.commit, stored)
        return CheckRef(commit.commit, check.key)

    def ensure_comment(self, ref: PullRequestRef, topic: str, body: str, *, internal: bool = False) -> None:
        """See the port."""
        if internal:
            raise HostForbidden("a comment here is for everybody who may read the record")

        def change(said: Conversation) -> None:
            mine = next((c for c in said.comments if c.topic == topic and c.author == OURS), None)
            if mine is not None:
                mine.body = body
            elif body:
                said.comments.append(CommentRecord(id=_id(ref, topic), author=OURS, body=body, topic=topic))
                said.notifications += 1

        self._say(ref, change)

    def ensure_reply(self, comment: CommentRef, topic: str, body: str) -> None:
        """See the port: in the thread of the comment when it has one."""
        ref = comment.pull_request
        key = f"{topic}:{comment.id}"

        def change(said: Conversation) -> None:
            thread = next((t for t in said.threads if t.id == comment.thread), None)
            place = thread.comments if thread else said.comments
            mine = next((c for c in place if c.topic == key and c.author == OURS), None)
            if mine is not None:
                mine.body = body
            else:
                place.append(CommentRecord(id=_id(ref, key), author=OURS, body=body, topic=key))
                said.notifications += 1

        self._say(ref, change)

    def ensure_threads(self, ref: PullRequestRef, head: CommitId, threads: Sequence[Thread], introduction: str) -> Sequence[ThreadRef]:
        """See the port. What is opened together counts as one notification, as a review does on GitHub."""
        placed: list[ThreadRef] = []

        def change(said: Conversation) -> None:
            opened = False
            for thread in threads:
                mine = next((t for t in said.threads if t.fingerprint == thread.fingerprint and t.comments[0].author == OURS), None)
                if mine is not None:
                    mine.resolved = thread.resolved
                    if thread.body:
                        mine.comments[0].body = thread.body
                    mine.comments[0].body = _body(mine.comments[0].body, thread)
                    if thread.body and not thread.resolved:  # who resolves it has a text and no place
                        mine.path, mine.commit = thread.path, head
                        mine.line, mine.end_line = thread.line, thread.end_line
                elif thread.resolved or not thread.body:
                    continue
                else:
                    mine = _open(ref, head, thread)
                    said.threads.append(mine)
                    opened = True
                placed.append(ThreadRef(thread.fingerprint, mine.id))
            if opened:
                said.notifications += 1
                summary = next((c for c in said.comments if c.topic == "review" and c.author == OURS), None)
                if summary is None and introduction:
                    said.comments.append(CommentRecord(id=_id(ref, "review"), author=OURS, body=introduction, topic="review"))
                elif summary is not None:
                    summary.body = introduction

        self._say(ref, change)
        return placed

    def ensure_branch(self, repository: SourceRepository, commit: BranchCommit) -> CommitRef:
        """See the port. The same patch on the same parent gives the same commit, so a repeated call finds it there."""
        if not commit.branch.startswith(BRANCHES) or not is_branch_name(commit.branch):
            raise HostRejected(f"'{commit.branch}' is no branch of ours")
        try:
            git = LocalRepository(Path(repository.clone_url))
            message = signed_off(commit.message, NAME, EMAIL) if commit.sign_off else commit.message
            made = git.commit(commit.parent, commit.patch.edits, message)
            existing = git.branch(commit.branch)
            if existing is not None and existing != made and not git.is_ours(existing):
                raise HostRejected(f"branch {commit.branch} exists with commits of other people")
            if existing is not None:  # afterwards nobody could see any more that it was merged
                for number in self._open_from(repository, commit.branch):
                    self._is_merged(PullRequestRef(repository, number))
            before_a_write()  # what `commit` made is a commit that nothing names yet
            git.move_branch(commit.branch, made, existing)
        except PatchRefused as refused:
            raise HostRejected(refused.message) from refused
        except GitError as error:
            raise HostUnavailable(f"the branch cannot be written: {error.message}") from error
        return CommitRef(repository, made)

    def ensure_no_branch(self, repository: SourceRepository, branch: str) -> None:
        """See the port."""
        check_ours(branch)
        try:
            git = LocalRepository(Path(repository.clone_url))
            tip = git.branch(branch)
            if tip is not None and git.is_ours(tip):
                before_a_write()
                git.remove_branch(branch, tip)
        except GitError as error:
            raise HostUnavailable(f"the branch cannot be removed: {error.message}") from error

    def ensure_commit(self, repository: SourceRepository, commit: BranchCommit) -> CommitRef:
        """See the port. git itself compares the old tip; a branch that some folder shows takes no commit from outside, as with a push."""
        if not is_branch_name(commit.branch):
            raise HostNotFound(f"there is no branch that git would call so in {repository.full_name}")
        try:
            git = LocalRepository(Path(repository.clone_url))
            tip = git.branch(commit.branch)
            if tip is None:
                raise HostNotFound(f"there is no branch {commit.branch} in {repository.full_name}")
            message = signed_off(commit.message, NAME, EMAIL) if commit.sign_off else commit.message
            made = git.commit(commit.parent, commit.patch.edits, message)
            if git.merge_base(made, tip) == made:
                return CommitRef(repository, made)
            if tip != commit.parent:
                raise moved(commit.branch, tip, commit.parent)
            if git.is_checked_out(commit.branch):
                raise HostRejected(f"branch {commit.branch} is checked out in a folder, whose files would then look changed")
            before_a_write()
            git.move_branch(commit.branch, made, tip)
        except PatchRefused as refused:
            raise HostRejected(refused.message) from refused
        except GitError as error:
            raise HostUnavailable(f"the branch cannot be written: {error.message}") from error
        return CommitRef(repository, made)

    def ensure_pull_request(self, draft: PullRequestDraft) -> PullRequestRef:
        """See the port."""
        repository = draft.change.repository
        return open_pull_request(
            self.record(repository), repository, draft.branch, draft.base_ref, draft.title, draft.body, OURS, ours=True
        )

    def ensure_closed(self, ref: PullRequestRef, reason: str) -> None:
        """See the port. The reason stands there first: after a crash in between, the next call closes."""
        if self._find(ref).state != "open" or self._is_merged(ref):
            return
        self.ensure_comment(ref, "closed", reason)
        self._end(ref, "closed")

    def _open_from(self, repository: SourceRepository, branch: str) -> list[int]:
        return [one.number for one in self.record(repository).pull_requests().pulls if one.head_ref == branch and one.state == "open"]

    def _is_merged(self, ref: PullRequestRef) -> bool:
        """Whether people merged one of ours, which here is what git says; from now on the record says so too."""
        try:
            merged = self.pull_request(ref).state is PullRequestState.MERGED
        except HostNotFound:
            return False
        if merged:
            self._end(ref, "merged")
        return merged

    def _end(self, ref: PullRequestRef, state: str) -> None:
        record = self.record(ref.repository)
        with record.locked():
            known = record.pull_requests()
            for found in known.pulls:
                if found.number == ref.number and found.state == "open":
                    found.state = state
            record.save_pull_requests(known)

    def _find(self, ref: PullRequestRef) -> PullRequestRecord:
        found = next((p for p in self.record(ref.repository).pull_requests().pulls if p.number == ref.number), None)
        if found is None:
            raise HostNotFound(f"there is no pull request {ref.number}")
        return found

    def _posted(self, ref: PullRequestRef, at: datetime) -> list[Posted]:
        said = self.record(ref.repository).conversation(ref.number)
        places = [("", said.comments), *((thread.id, thread.comments) for thread in said.threads)]
        return [
            Posted(CommentRef(ref, c.id, bool(thread), thread), UserRef(c.author, c.author, bot=c.author == OURS), c.body, at, at)
            for thread, comments in places
            for c in comments
        ]

    def _say(self, ref: PullRequestRef, change: Callable[[Conversation], None]) -> None:
        record = self.record(ref.repository)
        with record.locked():
            said = record.conversation(ref.number)
            before = said.model_copy(deep=True)
            change(said)
            if said != before:
                record.save_conversation(ref.number, said)


def open_pull_request(
    record: RepositoryRecord,
    repository: SourceRepository,
    head_ref: str,
    base_ref: str,
    title: str,
    body: str = "",
    author: str = "",
    *,
    ours: bool = False,
) -> PullRequestRef:
    """The one open pull request from `head_ref`, made or edited."""
    with record.locked():
        known = record.pull_requests()
        found = next((p for p in known.pulls if p.head_ref == head_ref and p.state == "open"), None)
        if found is None:
            found = PullRequestRecord(
                number=len(known.pulls) + 1,
                head_ref=head_ref,
                base_ref=base_ref,
                title=title,
                author=author or getpass.getuser(),
                ours=ours,
            )
            known.pulls.append(found)
        found.base_ref, found.title, found.body = base_ref, title, body
        record.save_pull_requests(known)
    return PullRequestRef(repository, found.number)


def _body(now: str, thread: Thread) -> str:
    """Text of a thread that is there already."""
    text = now.split(GONE)[0]
    if thread.resolved and not thread.body:
        return f"{text}{GONE}{thread.note}" if thread.note else now
    return thread.body or text


def _open(ref: PullRequestRef, head: CommitId, thread: Thread) -> ThreadRecord:
    identifier = _id(ref, thread.fingerprint)
    return ThreadRecord(
        id=identifier,
        fingerprint=thread.fingerprint,
        path=thread.path,
        line=thread.line,
        end_line=thread.end_line,
        commit=head,
        comments=[CommentRecord(id=identifier, author=OURS, body=thread.body, topic="thread")],
    )


def _id(ref: PullRequestRef, key: str) -> str:
    return hashlib.sha256(f"{ref.repository.external_id}\0{ref.number}\0{key}".encode()).hexdigest()[:16]
