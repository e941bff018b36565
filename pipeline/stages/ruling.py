"""What the base lets stand, and what a change of the policy would mean for the findings at hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from pipeline.model.finding import BaselineState, Finding, Judged, Standing
from pipeline.model.ids import BlobId, CommitId, Handle
from pipeline.model.review import Change, Review, Verdict
from pipeline.policy import Policy, PolicyEdit, PolicyPlaces, PolicyRecord, policy_edit, say_effect
from pipeline.sandbox.git import Changed, Mirror
from pipeline.stages.policies import reader
from pipeline.stages.sources import MAX_SOURCE
from pipeline.triage.comments import MARK, CodeIgnore, code_ignores, ignored_in_code
from pipeline.triage.gate import stand
from pipeline.triage.suppression import Suppressor, ignored_by_policy, suppressor


@dataclass(frozen=True, slots=True)
class Ruling:
    """The policy of a review and everything that was read for it, so that deciding needs no more than these."""

    policy: Policy
    record: PolicyRecord
    edit: PolicyEdit
    contents: Mapping[str, bytes]
    """Files of the head in which new findings stand and somebody wrote of ignoring."""
    is_base: bool
    """True when the head is the base itself, so that its comments count (`is_base`)."""

    def suppressed(self, waivers: Suppressor, handles: Mapping[Handle, str], today: date) -> Suppressor:
        """Every reason why a finding of this review may stand: people's waivers, the base's policy, comments in the base."""
        return self._with(waivers, ignored_by_policy(self.policy, self.record.ignores_by, today, handles))

    def _with(self, waivers: Suppressor, ignores: Suppressor) -> Suppressor:
        """Comments count where what is looked at is the base; those of a change that is yet to be merged never do."""
        code = (ignored_in_code(self.contents.get),) if self.is_base else ()
        return suppressor(waivers, ignores, *code)

    def explain(self, verdict: Verdict, waivers: Suppressor, handles: Mapping[Handle, str], today: date) -> Verdict:
        """The verdict with what is to be said of its policy: first of all what this change would do to it."""
        edited = self.edit.notes[:1]
        effect = self._effect(verdict, waivers, handles, today)
        notes = (*edited, *effect, *self.edit.notes[1:], *self.record.notes, *self._waiting(verdict))
        return replace(verdict, notes=(*notes, *verdict.notes), remarks=self.edit.mistakes, edits_policy=bool(self.edit.notes))

    def _effect(self, verdict: Verdict, waivers: Suppressor, handles: Mapping[Handle, str], today: date) -> tuple[str, ...]:
        after = self.edit.after
        if after is None:
            return ()
        suppressed = self._with(waivers, ignored_by_policy(after.policy, after.origin("ignore"), today, handles))

        def again(judged: Judged) -> Standing | None:
            if after.policy.excluded(judged.finding.location.path):
                return None
            return stand(after.policy, judged.finding, suppressed(judged.finding))

        said = say_effect([j for j in verdict.judged if j.baseline is BaselineState.NEW and not j.listed], again)
        return (f"Of what is found here: {said}.",) if said else ()

    def _waiting(self, verdict: Verdict) -> tuple[str, ...]:
        """Comments that this change brings for its own findings: they count once they are merged."""
        if self.is_base:
            return ()
        own = [j for j in (*verdict.standing(Standing.BLOCKS), *verdict.standing(Standing.WARNS)) if not j.listed]
        said = {path: code_ignores(path, content) for path, content in self.contents.items()}
        waiting = [(f, one) for f in (j.finding for j in own) for one in said.get(f.location.path, ()) if one.covers(f)]
        if not waiting:
            return ()
        more = f" (and {len(waiting) - 1} more)" if len(waiting) > 1 else ""
        return (f"The comment at {_place(*waiting[0])}{more} counts once it is in the base; it lets nothing stand here.",)


def _place(finding: Finding, said: CodeIgnore) -> str:
    return f"{finding.location.path}:{said.line}"


def read_ruling(
    review: Review,
    places: PolicyPlaces,
    policy: Policy,
    record: PolicyRecord,
    mirror: Mirror,
    changed: Sequence[Changed],
    new: Sequence[Finding],
) -> Ruling:
    """Read everything that the decision needs, before the transaction in which it is made."""
    change = review.change
    head = reader(mirror, change.head)
    edit = policy_edit(
        places=places,
        repository=change.repository.full_name,
        changed={c.path for c in changed} if not change.whole else (),
        base=reader(mirror, change.policy_commit),
        head=head,
        in_force=policy,
        parent=record.parent,
    )
    return Ruling(policy, record, edit, remarked(mirror, change.head, new), is_base(change))


def is_base(change: Change) -> bool:
    """True when the head is what pull requests are measured against: everything on the default branch, or a push to it.

    What a push brings is on the branch already, comments too: whoever may push there needs no comment to change what the branch says, and
    the next scan of everything reads them the same way. A pull request and the merge queue's commit are yet to become the base, and a push
    to another branch never says that it will.
    """
    pushed = change.pull_request is None and not change.queued
    return change.whole or (pushed and change.head_ref == change.repository.default_branch)


def remarked(mirror: Mirror, head: CommitId, new: Sequence[Finding]) -> dict[str, bytes]:
    """Contents of the files of findings in which somebody may have written of ignoring; most have a blob that is read with all others."""
    paths: dict[BlobId, set[str]] = {}
    for finding in new:
        if finding.blob is not None:
            paths.setdefault(finding.blob, set()).add(finding.location.path)
    mirror.ensure_blobs(paths)
    found = {path: content for blob, content in mirror.read(paths, max_size=MAX_SOURCE) for path in paths[blob]}
    for path in sorted({f.location.path for f in new if f.blob is None} - set(found)):
        content = mirror.file(head, path)
        if content is not None:
            found[path] = content
    return {path: content for path, content in found.items() if MARK in content}


def let_stand(policy: Policy, findings: Sequence[Finding], suppressed: Suppressor) -> tuple[Judged, ...]:
    """Of everything that a whole scan found, what somebody lets stand, or let stand until it expired."""
    judged = []
    for finding in findings:
        why = suppressed(finding)
        if why is not None:
            standing = stand(policy, finding, why)
            reason = why.reason if standing is Standing.WAIVED else ""
            judged.append(Judged(finding, BaselineState.UNCHANGED, standing, reason=reason, suppression=why))
    return tuple(judged)
