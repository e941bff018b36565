"""Which policy judges a change: the base's, under the owner's; and the last one that could be used while a newer one is broken."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from pydantic import ValidationError

from pipeline.errors import HostError, PolicyInvalid
from pipeline.model.ids import CommitId
from pipeline.model.review import Change, Review
from pipeline.model.scan import Gap, GapClass
from pipeline.model.target import Installation, SourceRepository
from pipeline.phrases import short
from pipeline.policy import DEFAULTS, MAX_BYTES, Effective, Policy, PolicyDocument, merge, read_above, read_document, record_of
from pipeline.ports import HostMemory, PolicyFile
from pipeline.sandbox.git import Mirror
from pipeline.stages.context import Context
from pipeline.store.work import Work

log = logging.getLogger(__name__)

PARENT_SECONDS = 60.0
"""How long an owner's policy is taken as it was read: many changes are judged in one minute."""

LAST_GOOD_SECONDS = 400 * 86_400.0
"""How long the last version of an owner's policy that could be used is kept."""


@dataclass(frozen=True, slots=True)
class InForce:
    """The policy that judges a change, and what is to be said of it."""

    effective: Effective
    notes: tuple[str, ...] = ()
    """Sentences for above the fold: which file cannot be used, and which one is in force instead."""
    gaps: tuple[Gap, ...] = ()
    """A file that cannot be used where nothing good is known: no check is green then."""
    good: PolicyDocument | None = None
    """The repository's own file when it could be read, to be remembered; `defaults` when it has none."""

    def save(self, work: Work, review: Review) -> None:
        """Keep it for the review, and as the repository's last good one where it is the default branch's."""
        effective = self.effective
        record = record_of(effective, self.notes)
        work.reviews.set_policy(review.id, effective.policy.model_dump_json(), effective.source, self.gaps, record.dump())
        change = review.change
        if self.good is None or change.base_ref != change.repository.default_branch:
            return
        repository = work.installations.identify(change.repository)
        known = None if self.good.where == DEFAULTS else self.good.policy.model_dump_json(exclude_unset=True)
        work.policies.remember(repository, known, "" if known is None else self.good.where)


def policy_in_force(context: Context, review: Review, mirror: Mirror) -> InForce:
    """Read the base's policy and the owner's.

    Raises:
        HostError: the owner's policy cannot be asked for, and none is known from before: it is tried again later.
    """
    change = review.change
    places = context.provider(review.installation).capabilities.policies
    parent = _parent(context, review.installation, change.repository)
    try:
        own = read_document(places, reader(mirror, change.policy_commit), short(change.policy_commit))
    except PolicyInvalid as error:
        return _instead(context, change, parent, error)
    return InForce(merge(own, parent.document), parent.notes, parent.gaps, own)


def policy_of(context: Context, review: Review) -> Policy:
    """The policy by which the fix of a review is judged and offered. What mends the list is judged by the policy of its own commit, which
    is read when the first fix is made. Raises HostError as `policy_in_force`."""
    with context.database.read() as work:
        known = work.reviews.policy(review.id)
        read = work.reviews.policy_source(review.id)
    if not review.change.whole or read:
        return Policy.stored(known)
    in_force = replace(policy_in_force(context, review, context.mirror_of(review)), good=None)  # a newer one may be the last good one
    with context.database.work() as work:
        in_force.save(work, review)
    return in_force.effective.policy


def ask_owner(context: Context, installation: Installation, repository: SourceRepository) -> None:
    """Read the owner's policy ahead, beside other work, so that it is remembered when it is needed. What fails here fails again there."""
    with suppress(HostError):
        _parent(context, installation, repository)


def reader(mirror: Mirror, commit: CommitId) -> Callable[[str], bytes | None]:
    """Reads the files of a commit. One that is too large to be read is there all the same: its content is no policy."""

    def read(path: str) -> bytes | None:
        if mirror.blob_at(commit, path) is None:  # of most places: one question, not two
            return None
        content = mirror.file(commit, path)
        return b" " * (MAX_BYTES + 1) if content is None else content

    return read


def _instead(context: Context, change: Change, parent: _Parent, error: PolicyInvalid) -> InForce:
    """The repository's last good policy; where there is none the defaults judge, and the ledger says why that is not enough."""
    where = f"{error.path}:{error.line}" if error.line else error.path
    own = _last_good(context, change)
    if own is not None:
        note = f"{where} in the base cannot be used: {error.message}. In force is {own.where}."
        return InForce(merge(own, parent.document), (note, *parent.notes), parent.gaps)
    line = f"line {error.line}: " if error.line else ""
    gap = Gap("policy", "", f"the policy file cannot be used ({line}{error.message})", GapClass.ERROR, "us")
    # What an owner says of what could not be checked is for the rest: the file might say `fail` itself.
    strict = PolicyDocument(Policy(on_incomplete="fail"), DEFAULTS)
    return InForce(merge(strict, parent.document), parent.notes, (gap, *parent.gaps))


def _last_good(context: Context, change: Change) -> PolicyDocument | None:
    with context.database.work() as work:
        last = work.policies.last_good(work.installations.identify(change.repository))
    if last is None:
        return None
    try:
        return PolicyDocument(Policy.model_validate_json(last[0]), last[1])
    except ValidationError:  # another version wrote it, with keys that this one does not know
        return None


# --- the owner's policy ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Parent:
    document: PolicyDocument | None = None
    notes: tuple[str, ...] = ()
    gaps: tuple[Gap, ...] = ()


def _parent(context: Context, installation: Installation, repository: SourceRepository) -> _Parent:
    """The owner's policy; in the place of what is broken or cannot be reached, the last good one."""
    # A group may lie in a group (`acme/web/shop`): each has a policy of its own.
    owner, _, name = repository.full_name.lower().rpartition("/")
    if name == context.provider(installation).capabilities.policies.owner_repository:
        if "/" not in owner:
            return _Parent()  # the owner's policy stands above all others, and above nothing of its own
        owner = f"{owner}/{name}"  # a group's own is ruled by what stands above that group alone
    scope = f"{installation.provider}:{installation.instance}:{installation.external_id}"
    key = f"policy-parent:{scope}:{owner}"
    kept = _Kept(context.memory, f"{key}:last", f"policy-good:{scope}:")
    try:
        found = _asked(context, installation, repository, key)
    except HostError as failure:
        last = kept.last()
        above = None if last is None else read_above(last, kept.good)
        if above is None or above.mistakes:
            raise
        log.warning("policy.owner_not_read", extra={"code": failure.code})
        if above.document is None:
            return _Parent()
        said = "The owner's policy cannot be read now; the last one that could be is in force."
        return _Parent(above.document, (said, *above.notes))
    above = read_above([(file.where, file.content) for file in _from_nearest(found)], kept.good)
    kept.keep(found, above.used)
    gaps = [Gap("policy", "", f"the owner's policy cannot be used ({mistake})", GapClass.ERROR, "us") for mistake in above.mistakes]
    return _Parent(above.document, above.notes, tuple(gaps))


class _Kept:
    """What is remembered of owners' policies: the files that stood above an owner's repositories, and of each file by itself its last good
    version, which a group finds too that is new."""

    def __init__(self, memory: HostMemory, last: str, good: str) -> None:
        self._memory, self._last, self._good = memory, last, good

    def last(self) -> list[tuple[str, bytes]] | None:
        """Where each file stood, and its content as it was in force, the nearest owner's first; None when nobody ever asked."""
        packed = self._memory.get(self._last)
        return None if packed is None else [(file.where, file.content) for file in _from_nearest(_unpack(packed))]

    def good(self, where: str) -> bytes | None:
        """The content of a file when it could last be used."""
        packed = self._memory.get(self._good_key(where))
        if packed is None:
            return dict(self.last() or ()).get(where)
        known = _unpack(packed)
        return None if known is None else known.content

    def keep(self, found: PolicyFile | None, used: Mapping[str, bytes]) -> None:
        """Remember what is in force. A file that is gone has no last good version any more."""
        for where, _ in self.last() or ():
            if all(file.where != where for file in _from_nearest(found)):
                self._put(self._good_key(where), None)
        for file in _from_nearest(found):
            if file.where in used:
                self._put(self._good_key(file.where), PolicyFile(used[file.where], file.where))
        self._put(self._last, _with(found, used))

    def _good_key(self, where: str) -> str:
        return f"{self._good}{where.lower()}"

    def _put(self, key: str, file: PolicyFile | None) -> None:
        packed = _pack(file)
        if self._memory.get(key) != packed:
            self._memory.put(key, packed, LAST_GOOD_SECONDS)


def _from_nearest(file: PolicyFile | None) -> Iterator[PolicyFile]:
    while file is not None:
        yield file
        file = file.above


def _with(file: PolicyFile | None, used: Mapping[str, bytes]) -> PolicyFile | None:
    """The same files with the contents that are in force."""
    return file and PolicyFile(used.get(file.where, file.content), file.where, _with(file.above, used))


def _asked(context: Context, installation: Installation, repository: SourceRepository, key: str) -> PolicyFile | None:
    """At most one request a minute for all repositories of an owner."""
    cached = context.memory.get(key)
    if cached is not None:
        return _unpack(cached)
    found = context.host(installation).policy_parent(repository)
    context.memory.put(key, _pack(found), PARENT_SECONDS)
    return found


def _pack(found: PolicyFile | None) -> bytes:
    """The nearest owner's first."""
    rows = [[file.where, file.content.hex()] for file in _from_nearest(found)]
    return json.dumps(rows).encode() if rows else b""


def _unpack(packed: bytes) -> PolicyFile | None:
    found: PolicyFile | None = None
    rows = json.loads(packed) if packed else []
    if rows and isinstance(rows[0], str):  # of a version that knew one alone
        rows = [rows]
    for where, content in reversed(rows):
        found = PolicyFile(bytes.fromhex(content), where, found)
    return found
