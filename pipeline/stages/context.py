"""What a stage may touch: the store, the plug-ins, the host of its installation, and its own lease."""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path

from pipeline.errors import HostNotFound, InternalFault, NotConfigured, Superseded, Undisclosed
from pipeline.leaks import Filter, marker_of
from pipeline.messages import BATCH, PURGE_AFTER
from pipeline.model.event import CommentEvent, CommentRef, OpenPullRequest, Snapshot
from pipeline.model.finding import Finding
from pipeline.model.fix import BranchCommit, PullRequestDraft
from pipeline.model.ids import CommitId, ReviewId
from pipeline.model.report import AdvisoryDraft, Check, CheckRef, CheckState, Thread, ThreadRef
from pipeline.model.review import Change, Review, ReviewStatus
from pipeline.model.scan import ScanType
from pipeline.model.target import CommitRef, Installation, Permission, PullRequest, PullRequestRef, SourceRepository, UserRef
from pipeline.ports import (
    Capabilities,
    CodeHost,
    Command,
    Configurations,
    Fixer,
    GitCredentials,
    HostMemory,
    PolicyFile,
    Provider,
    Scanner,
)
from pipeline.receipts import Signer
from pipeline.sandbox.git import Mirror
from pipeline.sandbox.process import Level, best_level
from pipeline.scanners import semgrep
from pipeline.stages.disclosure import may_offer, may_tell
from pipeline.stages.examine import RunControl
from pipeline.stages.outbound import Outbound
from pipeline.stages.prove import Engines, Residues
from pipeline.store.engine import Database
from pipeline.store.outbox import Claimed
from pipeline.store.work import Work

log = logging.getLogger(__name__)

HISTORY = 250
"""Commits of one change that are searched for secrets; more is a gap. GitHub lists 250 too (REST "List commits on a pull request")."""


@dataclass(frozen=True, slots=True)
class Plugins:
    """Everything that was discovered at start, by name."""

    providers: Mapping[str, Provider]
    scanners: Mapping[ScanType, Scanner]
    fixers: Sequence[Fixer]
    commands: Mapping[str, Command]
    residues: Residues = semgrep.residues
    """Finds what is left of a rule's dangerous function; the gate of a fix asks it."""


def today_in_utc() -> date:
    """The day that it is now in UTC, wherever the machine stands."""
    return datetime.now(UTC).date()


@dataclass(frozen=True, slots=True)
class Places:
    """Folders and keys that stages need; decided by the edge."""

    mirrors: Path
    engines: Path
    hash_key: bytes
    """Key of the keyed hashes of secret values."""
    signer: Callable[[], Signer]
    """Makes or loads the key that signs receipts."""
    configurations: Configurations
    """Settings of each instance of each provider."""
    version: str
    engine_seconds: float = 120.0
    """Wall-clock limit of one run of one engine."""
    slice_seconds: float = 10.0
    """After so long a message of a scan of everything ends, and another one goes on: what is more urgent overtakes."""
    level: Callable[[], Level] = best_level
    """The sandbox's level on this machine."""
    today: Callable[[], date] = today_in_utc
    """The day by which waivers and ignores expire."""
    mentions: frozenset[str] = frozenset({"fixwright"})
    """Names under which people speak to us in comments (`pipeline.stages.accept.lines`)."""
    purge_after: float = PURGE_AFTER
    """Seconds between the removal of a repository and its purge."""


@dataclass
class FencedHost:
    """A code host whose every effect is preceded by a look at our lease: a worker that was overtaken does nothing more. And nothing is
    shown there that has not gone through `pipeline.stages.outbound`."""

    host: CodeHost
    fence: Callable[[], None]
    permit: Callable[[], None]
    """Called before anything is shown of a review. Raises Undisclosed: see `pipeline.stages.disclosure`."""
    known: Callable[[SourceRepository], Filter]
    """What must not leave, of one repository."""

    def _outbound(self, repository: SourceRepository) -> Outbound:
        return Outbound(self.known(repository), self.host.capabilities)

    @property
    def capabilities(self) -> Capabilities:
        """See `CodeHost.capabilities`."""
        return self.host.capabilities

    def find(self, full_name: str) -> SourceRepository:
        """See `CodeHost.find`."""
        return self.host.find(full_name)

    def snapshot(self, repository: SourceRepository, since: datetime) -> Snapshot:
        """See `CodeHost.snapshot`."""
        return self.host.snapshot(repository, since)

    def threads(self, ref: PullRequestRef) -> Sequence[ThreadRef]:
        """See `CodeHost.threads`."""
        return self.host.threads(ref)

    def repositories(self) -> Sequence[SourceRepository]:
        """See `CodeHost.repositories`."""
        return self.host.repositories()

    def describe(self, repository: SourceRepository) -> SourceRepository:
        """See `CodeHost.describe`."""
        return self.host.describe(repository)

    def tip(self, repository: SourceRepository, branch: str) -> CommitId:
        """See `CodeHost.tip`."""
        return self.host.tip(repository, branch)

    def open_pull_requests(self, repository: SourceRepository) -> Sequence[OpenPullRequest]:
        """See `CodeHost.open_pull_requests`."""
        return self.host.open_pull_requests(repository)

    def spent(self) -> int:
        """See `CodeHost.spent`."""
        return self.host.spent()

    def policy_parent(self, repository: SourceRepository) -> PolicyFile | None:
        """See `CodeHost.policy_parent`."""
        return self.host.policy_parent(repository)

    def draft_advisory(self, repository: SourceRepository, draft: AdvisoryDraft) -> str:
        """See `CodeHost.draft_advisory`."""
        self.fence()
        return self.host.draft_advisory(repository, self._outbound(repository).advisory(draft))

    def may_propose(self) -> bool:
        """See `CodeHost.may_propose`."""
        return self.host.may_propose()

    def may_check(self) -> bool:
        """See `CodeHost.may_check`."""
        return self.host.may_check()

    def forget(self) -> None:
        """See `CodeHost.forget`."""
        self.host.forget()

    def prepare(self, repository: SourceRepository) -> None:
        """See `CodeHost.prepare`."""
        self.host.prepare(repository)

    def permission(self, repository: SourceRepository, user: UserRef) -> Permission:
        """See `CodeHost.permission`."""
        return self.host.permission(repository, user)

    def credentials(self, repository: SourceRepository) -> GitCredentials:
        """See `CodeHost.credentials`."""
        return self.host.credentials(repository)

    def pull_request(self, ref: PullRequestRef) -> PullRequest:
        """See `CodeHost.pull_request`."""
        return self.host.pull_request(ref)

    def authors(self, ref: PullRequestRef) -> Sequence[UserRef]:
        """See `CodeHost.authors`."""
        return self.host.authors(ref)

    def written(self, event: CommentEvent) -> float | None:
        """See `CodeHost.written`."""
        return self.host.written(event)

    def acknowledge(self, comment: CommentRef) -> None:
        """See `CodeHost.acknowledge`."""
        self.fence()
        self.host.acknowledge(comment)

    def ensure_check(self, commit: CommitRef, check: Check, known: CheckState | None = None) -> CheckRef:
        """See `CodeHost.ensure_check`."""
        self.permit()
        self.fence()
        return self.host.ensure_check(commit, self._outbound(commit.repository).check(check), known)

    def ensure_comment(self, ref: PullRequestRef, topic: str, body: str, *, internal: bool = False) -> None:
        """See `CodeHost.ensure_comment`."""
        self.permit()
        self.fence()
        self.host.ensure_comment(ref, topic, self._outbound(ref.repository).body(body), internal=internal)

    def ensure_reply(self, comment: CommentRef, topic: str, body: str) -> None:
        """See `CodeHost.ensure_reply`."""
        self.fence()
        self.host.ensure_reply(comment, topic, self._outbound(comment.pull_request.repository).body(body))

    def ensure_threads(self, ref: PullRequestRef, head: CommitId, threads: Sequence[Thread], introduction: str) -> Sequence[ThreadRef]:
        """See `CodeHost.ensure_threads`."""
        self.permit()
        self.fence()
        outbound = self._outbound(ref.repository)
        return self.host.ensure_threads(ref, head, [outbound.thread(thread) for thread in threads], outbound.body(introduction))

    def ensure_branch(self, repository: SourceRepository, commit: BranchCommit) -> CommitRef:
        """See `CodeHost.ensure_branch`."""
        self.permit()
        self.fence()
        return self.host.ensure_branch(repository, self._outbound(repository).commit(commit))

    def ensure_no_branch(self, repository: SourceRepository, branch: str) -> None:
        """See `CodeHost.ensure_no_branch`."""
        self.fence()
        self.host.ensure_no_branch(repository, branch)

    def ensure_commit(self, repository: SourceRepository, commit: BranchCommit) -> CommitRef:
        """See `CodeHost.ensure_commit`."""
        self.permit()
        self.fence()
        return self.host.ensure_commit(repository, self._outbound(repository).commit(commit))

    def ensure_pull_request(self, draft: PullRequestDraft) -> PullRequestRef:
        """See `CodeHost.ensure_pull_request`."""
        self.permit()
        self.fence()
        return self.host.ensure_pull_request(self._outbound(draft.change.repository).pull_request(draft))

    def ensure_closed(self, ref: PullRequestRef, reason: str) -> None:
        """See `CodeHost.ensure_closed`."""
        self.fence()
        self.host.ensure_closed(ref, self._outbound(ref.repository).body(reason))


def _unasked() -> None:
    raise InternalFault("a stage shows something without having asked whether it may")


def mirror_name(repository: SourceRepository) -> str:
    """Name of the folder of a repository's mirror; it tells nothing of the repository."""
    identity = f"{repository.provider}\0{repository.instance}\0{repository.external_id}"
    return f"{hashlib.sha256(identity.encode()).hexdigest()[:32]}.git"


@dataclass
class Context:
    """One message in one worker."""

    database: Database
    memory: HostMemory
    plugins: Plugins
    places: Places
    claimed: Claimed
    hosts: dict[str, FencedHost] = field(default_factory=dict)
    told: dict[ReviewId, bool] = field(default_factory=dict)
    """What `may_tell` has answered: the host is asked once a message."""
    fetched: set[tuple[Path, int, Change]] = field(default_factory=set)
    """Changes that this process has brought to a mirror: a worker that goes on with a review need not ask git again."""
    filters: dict[str, Filter] = field(default_factory=dict)
    """What must not leave, by the folder of the repository's mirror: it is read once a message."""
    asked: set[str] = field(default_factory=set)
    """Hosts that this message had to do with, as the outbox names what waits for them."""
    _opened: list[tuple[Mirror, int]] = field(default_factory=list)
    """Mirrors that this message had to do with, as they were."""
    finished: bool = False
    follow: str = ""
    """Group with which this worker goes on when the message is done; its own group unless the stage says otherwise."""

    def fence(self) -> None:
        """Raise LeaseLost when another worker has taken this message over."""
        with self.database.read() as work:
            work.outbox.check(self.claimed.id, self.claimed.epoch)

    @contextmanager
    def finish(self) -> Iterator[Work]:
        """The transaction in which a stage records what it did and sends what follows; it ends the message with it, or nothing at all."""
        with self.database.work() as work:
            yield work
            work.outbox.finish(self.claimed.id, self.claimed.epoch)
        self.finished = True

    def known(self, repository: SourceRepository) -> Filter:
        """What must not leave of a repository: our own secrets, and what its scans have found so far."""
        name = mirror_name(repository)
        if name not in self.filters:
            with self.database.read() as work:
                number = work.installations.find_repository(repository)
                marks = work.marks.of(number) if number else []
            self.filters[name] = Filter(marks=marks, marker=marker_of(self.places.hash_key))
        return self.filters[name]

    def found(self, repository: SourceRepository, findings: Iterable[Finding]) -> Filter:
        """As `known`, after a scan of it: what these have of secrets is remembered before anything else is said of them."""
        findings = list(findings)
        if any(finding.secret for finding in findings):
            with self.database.work() as work:
                work.marks.add(work.installations.identify(repository), findings)
            self.filters.pop(mirror_name(repository), None)
        return self.known(repository)

    def provider(self, installation: Installation) -> Provider:
        """The plug-in of an installation. Raises NotConfigured when this version does not have it."""
        try:
            return self.plugins.providers[installation.provider]
        except KeyError:
            raise NotConfigured(f"there is no provider '{installation.provider}' in this version") from None

    def capabilities(self, installation: Installation) -> Capabilities:
        """What the host of an installation can do, as we are signed in there."""
        return self.host(installation).capabilities

    def host(self, installation: Installation) -> FencedHost:
        """The code host of an installation, fenced by our lease; for reading and answering. To show something of a review: `teller`."""
        self.asked.add(f"{installation.provider}:{installation.instance}")
        if installation.id not in self.hosts:
            configuration = self.places.configurations.of(installation.provider, installation.instance)
            patient = self.claimed.priority >= BATCH
            connected = self.provider(installation).connect(installation, configuration, self.memory, patient=patient)
            self.hosts[installation.id] = FencedHost(connected, self.fence, _unasked, self.known)
        return self.hosts[installation.id]

    def teller(self, review: Review, *, blank: bool = False) -> CodeHost:
        """The host for whatever is shown of a review: checks, threads, comments, branches, pull requests. Its verbs raise Undisclosed
        when nothing of this review may be told there; who can end quietly asks `may_tell` first.

        Args:
            blank: nothing of what was found is told, only that nothing is told.
        """

        def permit() -> None:
            if not blank and not self.may_tell(review):
                raise Undisclosed(f"nothing of review {review.id} may be shown on the host")

        return replace(self.host(review.installation), permit=permit)

    def may_tell(self, review: Review) -> bool:
        """Whether anything of a review may be shown on its host; see `pipeline.stages.disclosure`."""
        if review.id not in self.told:
            self.told[review.id] = may_tell(review.change, lambda: self._now(review))
        return self.told[review.id]

    def may_offer(self, review: Review, *, openly: bool) -> bool:
        """Whether what mends a finding of the default branch may be offered on the host, asked now; `may_tell` says so from then on.

        Args:
            openly: a person said yes to telling everybody who may read the repository.
        """
        self.told[review.id] = may_offer(review.change, lambda: self._now(review), openly=openly)
        return self.told[review.id]

    def _now(self, review: Review) -> SourceRepository:
        try:
            return self.host(review.installation).describe(review.change.repository)
        except HostNotFound:
            return replace(review.change.repository, private=False)

    def mirror(self, installation: Installation, repository: SourceRepository) -> Mirror:
        """Our bare mirror of a source repository, with fresh credentials for fetching."""
        capabilities = self.capabilities(installation)
        credentials = self.host(installation).credentials(repository)
        mirror = Mirror.open(
            self.places.mirrors / mirror_name(repository), repository.clone_url, credentials, allow_local=capabilities.local_git
        )
        self._opened.append((mirror, mirror.incarnation()))
        return mirror

    def drop_damaged(self) -> None:
        """A mirror that this message reads is damaged, which only reading has shown: the next try fetches anew. Raises GitUnavailable."""
        for mirror, seen in self._opened:
            if mirror.drop_damaged(seen):
                log.warning("mirror.dropped", extra={"mirror": mirror.git.git_dir.parent.name, "reason": "what was read of it is damaged"})
            self.fetched.difference_update({known for known in self.fetched if known[0] == mirror.git.git_dir})

    def mirror_of(self, review: Review) -> Mirror:
        """A mirror that has exactly what a review reads: both ends, the policy's commit, and the commits between.

        Raises:
            CommitMissing: one of them is gone from the host.
        """
        change = review.change
        mirror = self.mirror(review.installation, change.repository)
        if (mirror.git.git_dir, mirror.incarnation(), change) not in self.fetched:
            # How many commits a merge queue put together nobody says; most of them are here already.
            depth = HISTORY + 1 if change.queued else min(change.commits, HISTORY) + 1
            mirror.fetch(list({change.policy_commit: 1, change.base: 1, change.head: depth}.items()))
            if change.pull_request is not None and not change.queued and change.commits <= HISTORY:
                mirror.separate(change.base, change.head, change.commits)
            now = mirror.incarnation()  # it may be a new one
            self.fetched.add((mirror.git.git_dir, now, change))
            self._opened.append((mirror, now))
        return mirror

    def control(self, review: ReviewId | None = None) -> RunControl:
        """What a scanner may know; it is cancelled when the review is no longer wanted."""

        def wanted() -> bool:
            if review is None:
                return True
            with self.database.read() as work:
                return work.reviews.get(review).status not in (ReviewStatus.CANCELLED, ReviewStatus.FAILED)

        return RunControl(self.places.engines, wanted, self.places.level)

    def engines(self, control: RunControl, most: float = math.inf) -> Engines:
        """The same engines that judge changes, for the gate of a fix; `most`: seconds that one run may take, if that is less than usual."""
        scanners = tuple(self.plugins.scanners.values())
        return Engines(control, scanners, self.plugins.residues, seconds=min(self.places.engine_seconds, most))

    def wanted(self, review: ReviewId, *expected: ReviewStatus) -> Review:
        """The review, when it is in one of the expected states.

        Raises:
            Superseded: it was cancelled, or this message was worked before: there is nothing to do.
        """
        with self.database.read() as work:
            found = work.reviews.get(review)
        if found.status not in expected:
            raise Superseded(f"review {review} is {found.status}")
        return found
