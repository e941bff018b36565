"""What the domain asks of its plug-ins. Narrow and data-shaped: keyed verbs, so that twice is once.

A plug-in is one file that exports one constant (`PROVIDER`, `SCANNER`, `FIXER`, `RENDERER`, `COMMAND`); `pipeline.plugins.discover`
finds it. One contract suite in `tests/contract/` runs on every plug-in of a kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from pipeline.messages import Message
from pipeline.model.command import CommandCall, Mending, Situation
from pipeline.model.event import CommentEvent, CommentRef, Delivery, MissedDelivery, OpenPullRequest, Received, Snapshot
from pipeline.model.finding import Finding, Judged
from pipeline.model.fix import BranchCommit, ExploitTest, Frame, Patch, PullRequestDraft
from pipeline.model.ids import CommitId, ReviewId
from pipeline.model.report import AdvisoryDraft, Check, CheckRef, CheckState, Report, Thread, ThreadRef
from pipeline.model.review import Verdict
from pipeline.model.scan import EngineInfo, Output, ScanRequest, ScanType
from pipeline.model.setup import Diagnosis, Question, SetupForm, SetupRequest, SetupResult, Upkeep
from pipeline.model.target import (
    CommitRef,
    Installation,
    Permission,
    PullRequest,
    PullRequestRef,
    SourceRepository,
    UserRef,
)
from pipeline.policy import PolicyPlaces

# --- code hosts -----------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a host can do and its limits. Differences between hosts are these data, never `isinstance`."""

    pull_request_word: str = "pull request"
    """What people there call a pull request: every text that they read uses it."""
    pull_request_path: str = ""
    """Where the page of one is, behind the address of its repository: `/pull/{number}`. Empty: there is none."""
    reference_sign: str = "#"
    """What stands before the number of one: `#7`."""
    taken_commands: tuple[str, ...] = ()
    """Names of our commands that the host takes for its own where they begin with a slash, so that we never see them."""
    check_pages: bool = True
    """True when a check has a page of its own for tables; else the sticky comment carries them."""
    suggestions: bool = True
    """True when a thread can carry a change that the reader applies with one click."""
    suggestion_fence: str = "suggestion"
    """What the fence around such a change says. `{above}` in it: of the lines that it replaces, how many lie above the last one, under
    which the thread stands."""
    annotations: int = 50
    """How many annotations one request may carry (GitHub: 50, REST "Create a check run")."""
    max_body: int = 65_535
    """Bytes of UTF-8 in a summary, text or comment."""
    max_title: int = 255
    threads: int = 10
    """How many threads we open at most on one change; the rest stays in the check."""
    checks_by_pipeline: bool = False
    """True when a check stands in one pipeline of the host's own CI: one that begins later has none until it is said there, too."""
    redelivers: bool = False
    """True when the host keeps a refused delivery and can deliver it again."""
    tells_installations: bool = True
    """False when the host does not tell where it was let know of us: an installation is then known from its first delivery."""
    internal_comments: bool = False
    """True when a comment can be for the members of a repository alone. What would help a stranger to a secret is said there."""
    advisories: bool = False
    """True when the host has private drafts of security advisories."""
    buttons: int = 3
    """How many buttons a check may have."""
    writes: bool = True
    """False once the host has refused to let us write at all (the read-only token of a fork's job): then nothing is shown there."""
    unwritable: tuple[str, ...] = ()
    """Folders, each ending in `/`, whose files we never write through the host: a fix of them is shown as a suggestion or a patch."""
    policies: PolicyPlaces = field(default_factory=PolicyPlaces)
    """Where the policy of a repository may stand, and that of its owner."""
    local_git: bool = False
    """True when repositories are folders on our own disk: git may then read paths, which it never may for a host behind a network."""
    file_page: str = ""
    """Address of the page of a file, below that of its repository, with `{commit}`, `{path}`, `{line}` and `{end}`; empty: it has none."""

    def suggestion_on(self, line: int, end_line: int) -> str:
        """The fence of a change that replaces the lines `line`..`end_line` of a thread that stands on them."""
        return self.suggestion_fence.replace("{above}", str(max(0, end_line - line)))


@dataclass(frozen=True, slots=True)
class Setting:
    """One operator setting of a provider: `FIXWRIGHT_<PROVIDER>_<NAME>` in the environment."""

    name: str
    """Upper case, without the prefix: `WEBHOOK_SECRET`."""
    help: str
    secret: bool = False
    default: str = ""
    """`{state}` in it stands for the state folder."""
    needed: Literal["receive", "connect", ""] = ""
    """For what it must be set: to accept deliveries, to call the host, or for neither."""
    instead_of: str = ""
    """Name of a needed setting that need not be set where this one is."""
    keeps: str = ""
    """Of a folder: name of the folder in it where the host's own hooks keep deliveries that nobody took (`pipeline.store.spool`)."""


Configuration = Mapping[str, str]
"""Values of a provider's settings by `Setting.name`, `RETRY_CAP` and `OUR_URL`; unset ones are absent."""


RETRY_CAP = "retry_cap"
"""Name, which no setting of a provider can have, of the longest wait in seconds that the operator wants where no host asks for one."""
OUR_URL = "our_url"
"""Name, likewise, of the address of Fixwright itself (FIXWRIGHT_URL)."""


class Configurations(Protocol):
    """Settings of every instance of every provider: from the environment, and what setup has stored."""

    def of(self, provider: str, instance: str) -> Configuration:
        """Those of one instance. `instance` is the name in `/webhooks/{provider}/{instance}`, or what `Installation.instance` says; a
        name that nobody stored anything for means the default one, which the environment configures. Empty when nothing is set."""

    def at_once(self, provider: str, instance: str) -> Configuration | None:
        """As `of`, without waiting for a store; None when it must be asked."""

    def instances(self, provider: str) -> Sequence[str]:
        """Names of all instances that anything is set for; `""` is the default one."""


@dataclass(frozen=True, slots=True)
class GitCredentials:
    """Short-lived and read-only. `header` is a whole HTTP header line (`Authorization: Basic ...`), empty when none is needed."""

    header: str = ""
    renew: Callable[[], str] | None = field(default=None, repr=False, compare=False)
    """Another header, when the server has refused this one: whoever gave it out may have taken it back before its time."""


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """A policy that stands elsewhere than in the repository that it rules."""

    content: bytes
    where: str
    """For people: `acme/.github: fixwright.yml at 9d1f0aa`."""
    above: PolicyFile | None = None
    """The policy of an owner in whom this one's lies, as groups do on GitLab: this one may tighten it."""


class HostMemory(Protocol):
    """Small values shared by all processes: tokens, ETags, budgets. Values are sealed at rest; keys are not secret."""

    def get(self, key: str) -> bytes | None:
        """The value, or None when it is absent or expired."""

    def put(self, key: str, value: bytes, seconds: float) -> None:
        """Store for `seconds`, replacing what was there."""

    def compare_and_set(self, key: str, old: bytes | None, new: bytes, seconds: float) -> bool:
        """Store `new` only when the live value is `old` (None: absent). True when it was stored."""

    def lock(self, key: str, seconds: float) -> AbstractContextManager[None]:
        """Wait until nobody else holds `key`, at most `seconds`; held for at most `seconds`. Raises StoreUnavailable after that."""


class CodeHost(Protocol):
    """One code host, signed in to one installation. What goes wrong there is raised as `HostError` subclasses; what writes raises besides
    LeaseLost and StoreUnavailable, of `pipeline.fence.before_a_write`. Every `ensure_` reads before it writes: called twice with the same
    arguments, also after a crash in the middle, it leaves one effect."""

    @property
    def capabilities(self) -> Capabilities:
        """What the host lets us do as we are signed in: the provider's, or less."""

    def find(self, full_name: str) -> SourceRepository:
        """The repository that people call so. Raises HostNotFound."""

    def snapshot(self, repository: SourceRepository, since: datetime) -> Snapshot:
        """How it is now, with the comments that were written or edited at or after `since`; older ones may come again."""

    def threads(self, ref: PullRequestRef) -> Sequence[ThreadRef]:
        """Our own threads that stand on a pull request, for whoever has not opened them himself."""

    def repositories(self) -> Sequence[SourceRepository]:
        """Every repository that the installation may see."""

    def describe(self, repository: SourceRepository) -> SourceRepository:
        """How it is now: name, default branch, visibility. Raises HostNotFound when it is gone or no longer ours to see."""

    def tip(self, repository: SourceRepository, branch: str) -> CommitId:
        """Newest commit of a branch. Raises HostNotFound when there is no such branch, or it has no commit yet."""

    def open_pull_requests(self, repository: SourceRepository) -> Sequence[OpenPullRequest]:
        """The open pull requests as they are now; unchanged answers cost no budget."""

    def spent(self) -> int:
        """A count of the requests that an hourly budget of the host was charged for; two readings tell what was spent in between. It
        stands still where there is no budget."""

    def policy_parent(self, repository: SourceRepository) -> PolicyFile | None:
        """The owner's own policy above this repository's; None when there is none or it is not ours to read."""

    def draft_advisory(self, repository: SourceRepository, draft: AdvisoryDraft) -> str:
        """Make a private draft of a security advisory, and give its address. Raises HostForbidden when we may not."""

    def may_propose(self) -> bool:
        """False when this installation lets us read code but not write branches: fixes are then shown, not pushed."""

    def may_check(self) -> bool:
        """False when this installation lets us write no checks: code is scanned for the operator, and nothing is shown on the host."""

    def forget(self) -> None:
        """The installation's rights changed: what was learnt of them is asked anew."""

    def prepare(self, repository: SourceRepository) -> None:
        """A review of it begins: what its steps need for signing in is fetched at once. What fails here fails again where it is needed."""

    def permission(self, repository: SourceRepository, user: UserRef) -> Permission:
        """What `user` may do, asked now. NONE for an unknown user; never an exception for that."""

    def credentials(self, repository: SourceRepository) -> GitCredentials:
        """Read-only credentials for fetching `repository`."""

    def pull_request(self, ref: PullRequestRef) -> PullRequest:
        """Its newest state with its merge base. Raises HostNotFound."""

    def authors(self, ref: PullRequestRef) -> Sequence[UserRef]:
        """Who wrote or committed its commits, as far as the host knows accounts for them; each once. May be empty."""

    def written(self, event: CommentEvent) -> float | None:
        """When the comment was written, in seconds since 1970 by the host's clock; infinite where only new ones are told of. Asked before a
        command is done, as a delivery may be proven and yet say what somebody made up, or what was done long ago.

        None when it does not stand there now, its sender did not write it, or it says something else: also one that was edited since, one
        that we may not see, and one whose age nobody says.
        """

    def acknowledge(self, comment: CommentRef) -> None:
        """Show that a command was seen (a reaction). Failure to do so is not an error of the command."""

    def ensure_check(self, commit: CommitRef, check: Check, known: CheckState | None = None) -> CheckRef:
        """Make or edit the one check with `check.key` on `commit`. It is looked for first, unless `known` says how it stands."""

    def ensure_comment(self, ref: PullRequestRef, topic: str, body: str, *, internal: bool = False) -> None:
        """Make or edit the one comment of ours about `topic`. `body` empty: minimize or empty an existing one, make none.

        Args:
            internal: only the members of the repository may read it; never asked for without `Capabilities.internal_comments`. What the
                host would show to others is not written, and HostForbidden raised.
        """

    def ensure_reply(self, comment: CommentRef, topic: str, body: str) -> None:
        """Make or edit our one answer about `topic` to a comment, in its thread when it has one."""

    def ensure_threads(self, ref: PullRequestRef, head: CommitId, threads: Sequence[Thread], introduction: str) -> Sequence[ThreadRef]:
        """Bring our threads to the wanted state: open the missing ones in one notifying call (with `introduction` as its text),
        edit changed ones, resolve those that are `resolved`. A thread that the host refuses comes back with `outside=True`."""

    def ensure_branch(self, repository: SourceRepository, commit: BranchCommit) -> CommitRef:
        """Make branch `commit.branch` point to a commit on `commit.parent` with the patch applied. Only a branch of ours
        (`fixwright/...`) is ever moved. Raises HostRejected when the branch exists with foreign content."""

    def ensure_no_branch(self, repository: SourceRepository, branch: str) -> None:
        """Remove a branch of ours (`fixwright/...`), when there is one and we put there what is at its tip; else it is left alone."""

    def ensure_commit(self, repository: SourceRepository, commit: BranchCommit) -> CommitRef:
        """Add one commit with the patch to somebody else's branch, whose tip must be `commit.parent`: HeadMoved when it is not. One of ours
        that is there already, also below newer ones, is not made again. A host that cannot compare the tip while it writes compares the
        files that the patch touches. HostRejected or HostForbidden: it does not fit, or the branch takes none of ours."""

    def ensure_pull_request(self, draft: PullRequestDraft) -> PullRequestRef:
        """The one open pull request from `draft.branch`, made or edited."""

    def ensure_closed(self, ref: PullRequestRef, reason: str) -> None:
        """Close it with a comment, unless it is closed."""


# --- setting up -----------------------------------------------------------------------------------------------------------------------


class Setup(Protocol):
    """How a person makes the host know Fixwright, with a browser: questions, a form for the host, and a code that comes back."""

    word: str
    """What is made on the host: `GitHub App`."""
    host_word: str
    """Name of the host: `GitHub`."""
    questions: tuple[Question, ...]

    def suggest(self, answers: Mapping[str, str]) -> str:
        """A name for the new instance, of letters, digits and hyphens. It has no dot: host names do."""

    def form(self, request: SetupRequest) -> SetupForm:
        """What to post where. Raises UsageError for an answer that cannot be used."""

    def complete(self, request: SetupRequest, code: str) -> SetupResult:
        """Exchange the code for settings; it can be done once. Raises HostError."""

    def verify(self, configuration: Configuration) -> None:
        """Sign in with stored settings. Raises HostError or NotConfigured."""


@runtime_checkable
class Provider(Protocol):
    """A kind of code host."""

    name: str
    """In addresses, settings and the store: a letter in lower case, then letters and digits."""
    title: str
    """What people call it: `GitHub`."""
    capabilities: Capabilities
    settings: tuple[Setting, ...]
    setup_command: str
    """The command with which a person begins to set it up, for hints; empty where there is none."""

    @property
    def setup(self) -> Setup | None:
        """How a person sets it up with a browser; None where there is nothing to set up so."""

    def load(self) -> None:
        """Load what connecting needs and receiving does not. A process that forks a child for each piece of work calls it first, so that no
        child has to."""

    def receive(self, delivery: Delivery, configuration: Configuration) -> Received:
        """Verify, then parse; pure. Raises BadSignature, MalformedDelivery; NotConfigured when the secret is not set."""

    def signed(self, body: bytes, event: str, delivery: str, configuration: Configuration) -> Mapping[str, str]:
        """Headers with which the host would deliver `body` now, so that a saved delivery can be handed in again: `receive` takes them.
        Raises NotConfigured when there is nothing to sign with. `event`: the host's own name of it, as its header has it; "" where the
        body says it."""

    def connect(self, installation: Installation, configuration: Configuration, memory: HostMemory, *, patient: bool = False) -> CodeHost:
        """Sign in. Raises NotConfigured; makes no request yet. `patient`: for work for which nobody waits, which must leave a part of the
        host's budget to the rest; it is told to wait by RateLimited."""

    def missed(self, configuration: Configuration, memory: HostMemory, since: datetime) -> Iterator[MissedDelivery]:
        """What the host could not deliver since then, oldest first; nothing where it does not keep it (`Capabilities.redelivers`).
        Raises HostError, NotConfigured."""

    def redeliver(self, configuration: Configuration, memory: HostMemory, delivery: MissedDelivery) -> None:
        """Let the host try once more, soon, under the same id. Raises HostError."""

    def tend(self, configuration: Configuration, memory: HostMemory, hook_url: str) -> Upkeep:
        """Look after our own standing at the host, once an hour: mend what we may mend (hooks that it switched off), and tell the rest.
        Makes few requests. Raises HostError, NotConfigured. `hook_url`: where the host is to deliver for this instance."""

    def diagnose(self, configuration: Configuration, memory: HostMemory, hook_url: str) -> Iterator[Diagnosis]:
        """Try each hop between us and the host, in the order in which they depend on each other; what fails is said, never raised.

        Args:
            hook_url: where the host is to deliver for this instance.
        """


# --- scanning -------------------------------------------------------------------------------------------------------------------------


class Control(Protocol):
    """What a running scan may know of the world."""

    engines_dir: Path
    """Root of the engine environments (FIXWRIGHT_ENGINES_DIR)."""

    def cancelled(self) -> bool:
        """True when nobody wants the result any more: the scanner stops soon."""

    def isolated(self) -> bool:
        """True when the sandbox in which engines are started gives them a view of their own, and not only limits."""


@runtime_checkable
class Scanner(Protocol):
    """One kind of scan. An engine that fails raises `EngineError`; it never yields "no findings" instead."""

    name: str
    """Name of the engine, as the coverage ledger shows it."""
    scan_type: ScanType

    def info(self, control: Control) -> EngineInfo:
        """The engine that would run now. Raises EngineMissing."""

    def concerns(self, path: str) -> bool:
        """True when the engine has something to say about files of this name. The others are class n/a in the ledger."""

    def scan(self, request: ScanRequest, control: Control) -> Iterator[Output]:
        """Look at `request.tree`. Every file ends in `Covered` or in a `GapSeen`; raises EngineError when the run as a whole failed."""


# --- fixing ---------------------------------------------------------------------------------------------------------------------------


class SourceFiles(Protocol):
    """Read access to one state of a repository."""

    def read(self, path: str) -> bytes | None:
        """Content of a regular file, None when there is none or it is too large to be source."""

    def paths(self) -> Sequence[str]:
        """Names of the files that can be read, sorted; may be only those near the finding."""


@runtime_checkable
class Fixer(Protocol):
    """Makes a patch for one finding. Pure: it runs nothing, and its patch must still pass the gate."""

    name: str

    def answers(self, rule_id: str) -> bool:
        """True when it knows how to mend this rule."""

    def fix(self, finding: Finding, files: SourceFiles) -> Patch | None:
        """The patch, or None when this particular place cannot be mended mechanically."""


@runtime_checkable
class Exploit(Protocol):
    """Writes a test that attacks one finding. Pure: it runs nothing, and whether the test is worth anything is seen when it is run."""

    name: str
    """One word for the weakness: `sql`."""
    weaknesses: frozenset[int]
    """The CWE numbers that it knows."""

    def write(self, finding: Finding, files: SourceFiles, frame: Frame) -> ExploitTest | None:
        """The test, or None when nothing that a test can call leads to this place."""


@runtime_checkable
class Alternatives(Protocol):
    """What a fixer has besides that knows more than one way to mend a place."""

    def alternatives(self, finding: Finding, files: SourceFiles) -> Sequence[Patch]:
        """Other patches than the one of `Fixer.fix`, the better ones first; asked for when somebody wants another one."""


@runtime_checkable
class Reasoned(Protocol):
    """What a fixer has besides that can tell why it has no patch."""

    def why_not(self, finding: Finding, files: SourceFiles) -> str:
        """One sentence without its full stop, in words of ours only; "" when it does not know."""


# --- speaking -------------------------------------------------------------------------------------------------------------------------


@runtime_checkable
class Renderer(Protocol):
    """One report format."""

    name: str
    media_type: str

    def render(self, report: Report) -> bytes:
        """The whole document. Everything that came from a repository is escaped for this format."""


@dataclass(frozen=True, slots=True)
class ReviewView:
    """What a command may know of the newest review of the pull request."""

    review: ReviewId | None
    """None when there is none yet."""
    settled: bool = False
    judged: tuple[Judged, ...] = ()
    situation: Situation | None = None
    """None when there is no review yet."""
    verdict: Verdict | None = None
    """None while it is not settled."""
    commands: tuple[tuple[str, str], ...] = ()
    """Usage and one sentence of every command that exists."""
    capabilities: Capabilities = Capabilities()
    """Of the host, for its words."""
    mends: Mending | None = None
    """The fix that the pull request offers; None when it is not one of ours."""


@runtime_checkable
class Command(Protocol):
    """One slash command. Decides only: what is done leaves as messages."""

    name: str
    """Without the slash."""
    usage: str
    """One line: `/fix [HANDLE]`."""
    about: str
    """One sentence: what it does, for `/help`."""
    permission: Permission
    """What the sender must be allowed on the repository."""

    def run(self, call: CommandCall, view: ReviewView) -> tuple[Message, ...]:
        """What is to be done; a `Reply` where nothing else answers."""
