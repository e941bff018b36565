"""Which policy judges a change: the base's, under the owner's; and the last one that could be used while a newer one is broken."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from pydantic import ValidationError

from pipeline.errors import HostError, PolicyInvalid
from pipeline.model.ids import CommitId
from pipeline.model.review import Change, Review
from pipeline.model.scan import Gap, GapClass
from pipeline.model.target import Installation, SourceRepository
from pipeline.phrases import short
from pipeline.policy import DEFAULTS, MAX_BYTES, Effective, Policy, PolicyDocument, merge, parse_document, read_document, record_of, under
from pipeline.ports import PolicyFile
from pipeline.sandbox.git import Mirror
from pipeline.stages.context import Context
from pipeline.store.work import Work

log = logging.getLogger(__name__)

PARENT_SECONDS = 60.0
"""How long an owner's policy is taken as it was read: many changes are judged in one minute."""

LAST_GOOD_SECONDS = 400 * 86_400.0
"""How long the last owner's policy that could be used is kept."""


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
        repository = work.installations.upsert_repository(change.repository)
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


def ask_owner(context: Context, installation: Installation, repository: SourceRepository) -> None:
    """Read the owner's policy ahead, beside other work, so that it is remembered when it is needed. What fails here fails again there."""
    with suppress(HostError):
        _parent(context, installation, repository)


def reader(mirror: Mirror, commit: CommitId) -> Callable[[str], bytes | None]:
    """Reads the files of a commit. One that is too large to be read is there all the same: its content is no policy."""

    def read(path: str) -> bytes | None:
        content = mirror.file(commit, path)
        if content is None and mirror.blob_at(commit, path) is not None:
            return b" " * (MAX_BYTES + 1)
        return content

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
    return InForce(merge(PolicyDocument(Policy(), DEFAULTS), parent.document), parent.notes, (gap, *parent.gaps))


def _last_good(context: Context, change: Change) -> PolicyDocument | None:
    with context.database.work() as work:
        last = work.policies.last_good(work.installations.upsert_repository(change.repository))
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
    """The owner's policy; when it is broken or cannot be reached, the last good one."""
    # A group may lie in a group (`acme/web/shop`): each has a policy of its own.
    owner, _, name = repository.full_name.lower().rpartition("/")
    if name == context.provider(installation).capabilities.policies.owner_repository:
        if "/" not in owner:
            return _Parent()  # the owner's policy stands above all others, and above nothing of its own
        owner = f"{owner}/{name}"  # a group's own is ruled by what stands above that group alone
    key = f"policy-parent:{installation.provider}:{installation.instance}:{installation.external_id}:{owner}"
    try:
        found = _asked(context, installation, repository, key)
    except HostError as failure:
        last, known = context.memory.get(f"{key}:last"), _last_parent(context, key)
        if last is None or (last and known is None):
            raise
        log.warning("policy.owner_not_read", extra={"code": failure.code})
        said = "The owner's policy cannot be read now; the last one that could be is in force."
        return _Parent(known, (said,)) if known is not None else _Parent()
    if found is None:
        _remember(context, f"{key}:last", None)
        return _Parent()
    try:
        document, notes = _read(found)
    except PolicyInvalid as error:
        where = f"{error.path}:{error.line}" if error.line else error.path
        known = _last_parent(context, key)
        if known is not None:
            said = f"{where}: {error.message}. The owner's policy cannot be used; its last good version is in force."
            return _Parent(known, (said,))
        return _Parent(
            None, (), (Gap("policy", "", f"the owner's policy cannot be used ({where}: {error.message})", GapClass.ERROR, "us"),)
        )
    _remember(context, f"{key}:last", found)
    return _Parent(document, notes)


def _read(found: PolicyFile) -> tuple[PolicyDocument, tuple[str, ...]]:
    """An owner's policy under those of the owners that it lies in, and what it says and does not get. Raises PolicyInvalid, whose `path`
    says which file."""
    try:
        document = parse_document(found.content, found.where)
    except PolicyInvalid as error:
        error.path = found.where
        raise
    if found.above is None:
        return document, ()
    above, notes = _read(found.above)
    document, more = under(document, above)
    return document, (*notes, *more)


def _last_parent(context: Context, key: str) -> PolicyDocument | None:
    known = _unpack(context.memory.get(f"{key}:last") or b"")
    try:
        return None if known is None else _read(known)[0]
    except PolicyInvalid:  # this version is stricter than the one that kept it
        return None


def _asked(context: Context, installation: Installation, repository: SourceRepository, key: str) -> PolicyFile | None:
    """At most one request a minute for all repositories of an owner."""
    cached = context.memory.get(key)
    if cached is not None:
        return _unpack(cached)
    found = context.host(installation).policy_parent(repository)
    context.memory.put(key, _pack(found), PARENT_SECONDS)
    return found


def _remember(context: Context, key: str, found: PolicyFile | None) -> None:
    packed = _pack(found)
    if context.memory.get(key) != packed:
        context.memory.put(key, packed, LAST_GOOD_SECONDS)


def _pack(found: PolicyFile | None) -> bytes:
    """The nearest owner's first."""
    rows = []
    while found is not None:
        rows.append([found.where, found.content.hex()])
        found = found.above
    return json.dumps(rows).encode() if rows else b""


def _unpack(packed: bytes) -> PolicyFile | None:
    found: PolicyFile | None = None
    rows = json.loads(packed) if packed else []
    if rows and isinstance(rows[0], str):  # of a version that knew one alone
        rows = [rows]
    for where, content in reversed(rows):
        found = PolicyFile(bytes.fromhex(content), where, found)
    return found
