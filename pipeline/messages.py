"""Every message on one page: what is to be done, as data. A stage does one message (`pipeline/stages/`).

A message is written to the outbox in the same transaction as the decision that made it necessary. `key` makes it unique: sending the
same key twice is once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

from pipeline.model.event import ButtonEvent, CommentEvent, CommentRef, Event
from pipeline.model.finding import SuppressionKind
from pipeline.model.ids import CommitId, FixId, RepositoryId, ReviewId, ScanId
from pipeline.model.review import Conclusion
from pipeline.model.target import Installation, PullRequestRef, SourceRepository, UserRef

COMMAND, INTERACTIVE, NORMAL, BATCH = -1, 0, 1, 2
"""Priorities: what a person said is understood and answered, in moments; somebody is waiting at a keyboard; a push; nobody waits. What has
the first is never behind what takes long: a lane of its own works it (`bot.worker`)."""

PURGE_AFTER: Final = 7 * 86_400.0
"""Seconds between the removal of a repository and its purge, unless the operator sets FIXWRIGHT_PURGE_DAYS: who removed the app by
mistake adds it back within days and finds everything as it was."""


@dataclass(frozen=True, slots=True)
class AcceptEvent:
    """A verified event arrived: decide what it means."""

    delivery: str
    event: Event
    kind: Literal["accept_event"] = "accept_event"


@dataclass(frozen=True, slots=True)
class StartReview:
    """Judge the newest state of a pull request, or one push to a branch."""

    installation: Installation
    repository: SourceRepository
    pull_request: PullRequestRef | None = None
    before: CommitId | None = None
    after: CommitId | None = None
    ref: str = ""
    again: str = ""
    """Unique text when somebody asked for a fresh run of the same head; empty otherwise."""
    queued: bool = False
    """True for a merge queue's commit `after` on the branch `ref`, whose base is `before`; `base_ref` is where it would go."""
    base_ref: str = ""
    asked: bool = False
    """True when the host waits for an answer: of a head that is judged already the verdict is shown once more."""
    kind: Literal["start_review"] = "start_review"


@dataclass(frozen=True, slots=True)
class ScanRepository:
    """Look at everything on a repository's default branch: after it was added, by its schedule, or because rules or engines changed."""

    installation: Installation
    repository: SourceRepository
    why: Literal["added", "schedule", "rules", "asked"] = "added"
    scan: ScanId | None = None
    """Of a batch that was asked for through the API: what this scan is about, and nothing else, is looked at."""
    waited: int = 0
    """How often it could not begin yet: another scan of everything was under way, or too many were."""
    kind: Literal["scan_repository"] = "scan_repository"


@dataclass(frozen=True, slots=True)
class RunScan:
    """Run one scan of a review."""

    scan: ScanId
    review: ReviewId
    part: int = 0
    """Of a scan of everything: with which slice of the files it goes on."""
    kind: Literal["run_scan"] = "run_scan"


@dataclass(frozen=True, slots=True)
class SettleReview:
    """All scans of a review ended: decide the verdict."""

    review: ReviewId
    again: bool = False
    """True when a review that has its verdict is judged anew, from the scans it has: a waiver was given, ended or expired."""
    kind: Literal["settle_review"] = "settle_review"


@dataclass(frozen=True, slots=True)
class PublishCheck:
    """Show the verdict as a check."""

    review: ReviewId
    kind: Literal["publish_check"] = "publish_check"


@dataclass(frozen=True, slots=True)
class Speak:
    """Open, edit and resolve threads and the sticky comment of a review."""

    review: ReviewId
    kind: Literal["speak"] = "speak"


@dataclass(frozen=True, slots=True)
class WithdrawReview:
    """A review ends without a verdict of its own (superseded, closed, given up): end its check honestly."""

    review: ReviewId
    title: str
    conclusion: Conclusion = Conclusion.CANCELLED
    hide: bool = False
    """True when also a finished check may no longer say what it says: the repository became public."""
    kind: Literal["withdraw_review"] = "withdraw_review"


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer a comment."""

    installation: Installation
    comment: CommentRef
    topic: str
    body: str
    """Markdown, escaped already."""
    kind: Literal["reply"] = "reply"


@dataclass(frozen=True, slots=True)
class Waive:
    """Somebody with write permission says that a finding may stand, or that a secret was revoked."""

    installation: Installation
    review: ReviewId
    fingerprint: str
    handle: str
    suppression: SuppressionKind
    """WAIVER or ROTATED."""
    reason: str
    sender: UserRef
    until: date | None = None
    comment: CommentRef | None = None
    place: str = ""
    """`FILE:LINE` of the one that is meant when the identity has several places; else empty."""
    end: bool = False
    """True when an earlier word is taken back; `reason` is empty then."""
    kind: Literal["waive"] = "waive"


@dataclass(frozen=True, slots=True)
class PurgeRepository:
    """Forget a repository: its findings, reviews, cached results and mirror. Sent with a delay when it or its installation is gone;
    does nothing when it was added back meanwhile."""

    repository: RepositoryId
    kind: Literal["purge_repository"] = "purge_repository"


@dataclass(frozen=True, slots=True)
class RequestFix:
    """Somebody wants a finding fixed: make the fix run, unless one exists."""

    installation: Installation
    review: ReviewId
    fingerprint: str
    handle: str
    sender: UserRef
    comment: CommentRef | None = None
    place: str = ""
    """`FILE:LINE` of the one that is meant when the identity has several places; else empty."""
    how: Literal["", "push"] = ""
    """`push`: a commit on the branch of the change is wanted; empty: whatever is least work to take."""
    instructions: str = ""
    """What is wished of the patch. Hostile text."""
    refine: bool = False
    """True: another patch is wanted than the one that stands, see `instructions`."""
    offered: bool = False
    """True: it was said on the pull request that offers the fix, which gets the new patch."""
    kind: Literal["request_fix"] = "request_fix"


@dataclass(frozen=True, slots=True)
class FixAll:
    """Somebody wants everything fixed that a fixer knows: a request for each, the worst first, at most so many at a time."""

    installation: Installation
    review: ReviewId
    sender: UserRef
    comment: CommentRef | None = None
    """None: a button asked."""
    kind: Literal["fix_all"] = "fix_all"


@dataclass(frozen=True, slots=True)
class CancelFix:
    """Somebody calls off what is being made for a pull request."""

    installation: Installation
    comment: CommentRef
    sender: UserRef
    name: str = ""
    """Handle or `FILE:LINE` of the only one that is meant. Hostile text."""
    fingerprint: str = ""
    """Of the finding in whose thread it was said; with neither, everything is called off."""
    kind: Literal["cancel_fix"] = "cancel_fix"


@dataclass(frozen=True, slots=True)
class RunFix:
    """Make the patch and let it prove itself."""

    fix: FixId
    comment: CommentRef | None = None
    sender: UserRef | None = None
    """Who asked."""
    how: Literal["", "push", "openly", "held"] = ""
    """As in `RequestFix`; `openly`: somebody said yes to a pull request that everybody can read, for what a default branch has; `held`: a
    caller of the API asked, and the patch is offered when he says so."""
    attempt: int = 1
    """Which attempt it is: a newer one makes this message void."""
    kind: Literal["run_fix"] = "run_fix"


@dataclass(frozen=True, slots=True)
class ProposeFix:
    """Offer the proven patch: suggestion, or branch and pull request; and answer who asked."""

    fix: FixId
    comment: CommentRef | None = None
    """Where the answer goes, when a comment asked."""
    sender: UserRef | None = None
    """Who asked: what he may do is asked again before a branch is made."""
    how: Literal["", "push", "openly"] = ""
    """As in `RunFix`."""
    refined: bool = False
    """True when another patch is to take the place of what was offered before."""
    kind: Literal["propose_fix"] = "propose_fix"


@dataclass(frozen=True, slots=True)
class FollowList:
    """The list of a default branch moved on: pull requests of fixes for it that are moot are closed, those that collide with what was
    pushed are made anew on its commit, and as many are begun as the policy wants open."""

    review: ReviewId
    """What brought the list up to date."""
    kind: Literal["follow_list"] = "follow_list"


@dataclass(frozen=True, slots=True)
class ShowFixes:
    """Say in one comment what became of the fixes that a button asked for."""

    review: ReviewId
    kind: Literal["show_fixes"] = "show_fixes"


@dataclass(frozen=True, slots=True)
class Reconcile:
    """Ask a host what it could not deliver to us, and let it deliver that again."""

    provider: str
    instance: str
    kind: Literal["reconcile"] = "reconcile"


@dataclass(frozen=True, slots=True)
class FollowHeads:
    """Compare some repositories of an installation with what was judged: open pull requests, and the tip of the default branch. The rest
    is for the next one; the numbers count what the walk has done so far."""

    installation: Installation
    after: str = ""
    """Our id of the last repository that was looked at; empty at the beginning."""
    repositories: int = 0
    heads: int = 0
    begun: int = 0
    spent: int = 0
    kind: Literal["follow_heads"] = "follow_heads"


@dataclass(frozen=True, slots=True)
class Tend:
    """Look after our own standing at a host: its hooks, and how long our credential holds."""

    provider: str
    instance: str
    hook_url: str
    """Where the host is to deliver for this instance."""
    kind: Literal["tend"] = "tend"


@dataclass(frozen=True, slots=True)
class EndCheck:
    """The verdict of a review could not be shown: end its check with as little as possible, so that it is not in progress for ever."""

    review: ReviewId
    kind: Literal["end_check"] = "end_check"


@dataclass(frozen=True, slots=True)
class ShowCheck:
    """What is said of the head of a review is to be said once more, as the host may have a new place for it: a pipeline began. Nothing is
    looked at again, and nothing else is written."""

    review: ReviewId
    kind: Literal["show_check"] = "show_check"


Message = (
    AcceptEvent
    | StartReview
    | ScanRepository
    | RunScan
    | SettleReview
    | PublishCheck
    | Speak
    | WithdrawReview
    | Reply
    | Waive
    | PurgeRepository
    | RequestFix
    | FixAll
    | CancelFix
    | RunFix
    | ProposeFix
    | ShowFixes
    | FollowList
    | Reconcile
    | FollowHeads
    | Tend
    | EndCheck
    | ShowCheck
)
"""Told apart by `kind`."""


MOMENTS: Final = (Reply, Waive, RequestFix, FixAll, CancelFix, ShowFixes)
"""What takes a look into the database and a few calls of a host at most: no engine, no git, no test."""


def asked(message: Message) -> int:
    """The priority of what follows from a word of a person."""
    return COMMAND if isinstance(message, MOMENTS) else INTERACTIVE


def arrived(event: Event) -> int:
    """The priority of an event. What a bot writes, ourselves first of all, is no command and takes no command's place."""
    return COMMAND if isinstance(event, CommentEvent | ButtonEvent) and not event.sender.bot else NORMAL


@dataclass(frozen=True, slots=True)
class Envelope:
    """A message on its way into the outbox."""

    message: Message
    key: str
    """Unique: `settle_review:<review id>`."""
    priority: int = NORMAL
    delay: float = 0.0
    """Seconds before it is due."""
    group: str = ""
    """Messages of one review share it: a worker goes on with the next one of the same group itself."""
    hold: float = 0.0
    """Seconds before anybody else is woken for it: the worker that sends it is about to go on with it itself."""


HOLD = 2.0
"""For a message that its sender goes on with. If the sender dies meanwhile, the others are woken after so long."""
