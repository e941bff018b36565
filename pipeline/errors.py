"""Everything that can go wrong, as one tree.

Each class has a stable `code` (part of the public contract: it appears in logs, in checks and in the API) and says whether trying
again can help (`retryable`). Foreign exceptions are translated at the border of the package that owns the foreign library.

    FixwrightError
    +- UsageError                what a person asked for cannot be done as asked (exit 2)
    +- NotConfigured             a setting is missing; the hint names it
    +- DeliveryRefused
    |  +- BadSignature           401
    |  +- MalformedDelivery      400
    |  +- DeliveryTooLarge       413
    |  +- DeliveryPutOff         503: too many large ones at once
    +- HostError                 a code host did not do what we asked
    |  +- RateLimited            with `retry_after` in seconds
    |  +- HostUnavailable        no answer, 5xx, broken connection
    |  +- HostGarbage            an answer that is not what the host documents
    |  +- HostUnauthorized       401: the credentials are wrong or expired
    |  +- HostForbidden          403: a permission is missing
    |  +- HostNotFound           404, 410
    |  +- HostRejected           409, 422: the request itself is wrong
    |     +- HeadMoved           the branch is not where we looked any more
    +- GitError
    |  +- GitUnavailable         the server cannot be reached
    |  |  +- GitUnauthorized     it refuses our credentials
    |  +- CommitMissing          the server does not have that commit
    |  +- ObjectsRefused         the objects fail git's own checks: hostile or damaged
    |  +- MirrorDamaged          our copy is unusable; it was dropped
    +- EngineError               with `blame`: the change, or us
    |  +- EngineMissing          not installed, or fails its self-test (us)
    |  +- EngineNotIsolated      the policy requires a better sandbox than there is here (us)
    |  +- EngineTimedOut         (the change)
    |  +- EngineOutOfMemory      (the change)
    |  +- EngineCrashed          (the change)
    |  +- EngineGarbage          its answer cannot be read (the change)
    +- SandboxUnavailable        the isolation that was asked for cannot be had here
    |  +- SandboxBusy            a program could not be started just now
    +- PolicyInvalid             with the line of the policy file
    +- PatchRefused              with the reasons
    +- ReceiptRefused            with the reason
    +- StoreError
    |  +- StoreUnavailable       the database does not answer, or is full or locked
    |  +- StaleWrite             the row is not in the state that we expected
    |  +- LeaseLost              another worker has taken this message over
    |  +- SchemaTooNew           a newer Fixwright has used this database
    +- QueueUnavailable          Redis does not answer
    +- IllegalMove               a state machine has no such move
    +- PluginInvalid             a plug-in file does not export what its kind asks for
    +- WorkerCrashed             a worker died three times on the same message
    +- InternalFault             a bug of ours
    +- Undisclosed               it may not be told where everybody would read it
    +- Superseded                the change that we work on is no longer the newest
"""

from __future__ import annotations

from typing import ClassVar, Literal

Blame = Literal["change", "us"]


class FixwrightError(Exception):
    """Base of all errors that Fixwright raises on purpose.

    Args:
        message: one sentence that stands alone: what went wrong, and with what.
        hint: what the reader can do about it, as one sentence or command; may be empty.
    """

    code: ClassVar[str] = "INTERNAL"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(FixwrightError):
    """What was asked cannot be done as it was asked; the command line answers with exit code 2."""

    code = "USAGE"


class NotConfigured(FixwrightError):
    """A setting is missing; `hint` names the environment variable."""

    code = "NOT_CONFIGURED"


class DeliveryRefused(FixwrightError):
    """A webhook delivery was not accepted; nothing of it was stored."""

    code = "DELIVERY_REFUSED"


class BadSignature(DeliveryRefused):
    """The signature is missing, malformed, too old, or does not match any active secret."""

    code = "BAD_SIGNATURE"


class MalformedDelivery(DeliveryRefused):
    """The body is not the JSON object that the host documents, or a header is missing."""

    code = "MALFORMED_DELIVERY"


class DeliveryTooLarge(DeliveryRefused):
    """The body is larger than the host would ever send (GitHub: 25 MB, docs "Webhook events and payloads")."""

    code = "DELIVERY_TOO_LARGE"


class DeliveryPutOff(DeliveryRefused):
    """There is no room for another large body just now."""

    code, retryable = "DELIVERY_PUT_OFF", True


class HostError(FixwrightError):
    """A code host did not do what we asked."""

    code = "HOST_ERROR"


class RateLimited(HostError):
    """The host asked us to wait; `retry_after` is in seconds."""

    code, retryable = "RATE_LIMIT_EXCEEDED", True

    def __init__(self, message: str, *, retry_after: float, hint: str = "", away: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after
        self.away = away
        """True when nobody asked it: it did not answer others just now, and one of us looks whether it does again."""


class HostUnavailable(HostError):
    """The host did not answer, answered 5xx, or broke the connection."""

    code, retryable = "HOST_UNAVAILABLE", True


class HostGarbage(HostError):
    """The host's answer is not what it documents (wrong type, not JSON, too large)."""

    code, retryable = "HOST_GARBAGE", True


class HostUnauthorized(HostError):
    """The host refuses our credentials (401), also after they were made anew once."""

    # A key is changed by people, within minutes: what waits for it must not be lost meanwhile.
    code, retryable = "HOST_UNAUTHORIZED", True


class HostForbidden(HostError):
    """The host says that we lack a permission (403)."""

    code = "HOST_FORBIDDEN"


class HostNotFound(HostError):
    """The thing does not exist there, or is not shown to us (404, 410)."""

    code = "HOST_NOT_FOUND"


class HostRejected(HostError):
    """The host understood the request and finds it wrong (409, 422)."""

    code = "HOST_REJECTED"


class HeadMoved(HostRejected):
    """Somebody else moved a branch that we were to add a commit to; nothing was written."""

    code = "HEAD_MOVED"


class GitError(FixwrightError):
    """git failed in a way that none of the subclasses names."""

    code = "GIT_ERROR"


class GitUnavailable(GitError):
    """The git server cannot be reached, or hangs."""

    code, retryable = "GIT_UNAVAILABLE", True


class GitUnauthorized(GitUnavailable):
    """The git server refuses our credentials: they are wrong, revoked or expired."""

    code = "GIT_UNAUTHORIZED"


class CommitMissing(GitError):
    """The server does not have the commit (force-pushed away, deleted), or the repository is empty."""

    code = "COMMIT_MISSING"


class ObjectsRefused(GitError):
    """The objects fail git's own checks: the repository is hostile or damaged."""

    code = "OBJECTS_REFUSED"


class MirrorDamaged(GitError):
    """Our bare mirror is unusable; it was dropped and the next try makes it anew."""

    code, retryable = "MIRROR_DAMAGED", True


class EngineError(FixwrightError):
    """An engine did not finish its work. `blame` decides the conclusion: the change's files, or our installation."""

    code = "ENGINE_ERROR"
    blame: ClassVar[Blame] = "change"

    def __init__(self, message: str, *, engine: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.engine = engine


class EngineMissing(EngineError):
    """The engine is not installed, or fails its own self-test."""

    code, blame = "ENGINE_MISSING", "us"


class EngineNotIsolated(EngineError):
    """The policy requires engines to be isolated, and the sandbox of this machine has limits only."""

    code, blame = "ENGINE_NOT_ISOLATED", "us"


class EngineTimedOut(EngineError):
    """The engine did not finish within its wall-clock or CPU limit."""

    code = "ENGINE_TIMED_OUT"


class EngineOutOfMemory(EngineError):
    """The engine asked for more memory than its limit."""

    code = "ENGINE_OUT_OF_MEMORY"


class EngineCrashed(EngineError):
    """The engine ended by a signal or with an exit code that it does not document."""

    code = "ENGINE_CRASHED"


class EngineGarbage(EngineError):
    """The engine ended well, but its answer is not what it documents."""

    code = "ENGINE_GARBAGE"


class SandboxUnavailable(FixwrightError):
    """The isolation that was asked for cannot be had on this machine."""

    code = "SANDBOX_UNAVAILABLE"


class SandboxBusy(SandboxUnavailable):
    """A program that is there could not be started, or its isolation not be made: no process, memory or descriptor was left."""

    # What fails so is a matter of load, mostly; where it is not, the attempts end it.
    code, retryable = "SANDBOX_BUSY", True


class PolicyInvalid(FixwrightError):
    """The repository's policy file cannot be used; `line` and `column` are 1-based, 0 when unknown; `path` is empty before it is known.

    `others` is what else is wrong in the same file.
    """

    code = "POLICY_INVALID"

    def __init__(self, message: str, *, line: int = 0, column: int = 0, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.line = line
        self.column = column
        self.path = ""
        self.others: tuple[PolicyInvalid, ...] = ()


class PatchRefused(FixwrightError):
    """A patch cannot be read or applied; `reasons` has one sentence for each."""

    code = "PATCH_REFUSED"

    def __init__(self, message: str, *, reasons: tuple[str, ...] = (), hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.reasons = reasons or (message,)


class ReceiptRefused(FixwrightError):
    """A receipt is malformed, altered, signed by another key, or speaks of another patch."""

    code = "RECEIPT_REFUSED"


class StoreError(FixwrightError):
    """The database refused something."""

    code = "STORE_ERROR"


class StoreUnavailable(StoreError):
    """The database does not answer, is locked, full or read-only."""

    code, retryable = "STORE_UNAVAILABLE", True


class StaleWrite(StoreError):
    """The row has left the state from which we wanted to move it."""

    # A lost race: the next attempt sees the new state and stops, or goes on from there.
    code, retryable = "STALE_WRITE", True


class LeaseLost(StoreError):
    """Another worker took this message over; what we were doing must stop without an effect."""

    code = "LEASE_LOST"


class SchemaTooNew(StoreError):
    """A newer Fixwright has used this database; this version must not write to it."""

    code = "SCHEMA_TOO_NEW"


class QueueUnavailable(FixwrightError):
    """Redis does not answer; work waits in the outbox."""

    code, retryable = "QUEUE_UNAVAILABLE", True


class IllegalMove(FixwrightError):
    """A state machine has no such move; a bug of ours or a lost race."""

    code = "ILLEGAL_MOVE"


class PluginInvalid(FixwrightError):
    """A plug-in file does not export what its kind asks for."""

    code = "PLUGIN_INVALID"


class WorkerCrashed(FixwrightError):
    """A worker died on the same message again and again."""

    code = "WORKER_CRASHED"


class InternalFault(FixwrightError):
    """A bug of ours; the log has the traceback."""

    code, retryable = "INTERNAL", True


class Undisclosed(FixwrightError):
    """What would be shown on a host is not for everybody there: a default branch's finding in a public repository."""

    code = "UNDISCLOSED"


class Superseded(FixwrightError):
    """The change that we work on is no longer the newest of its pull request, or the pull request was closed."""

    code = "SUPERSEDED"
