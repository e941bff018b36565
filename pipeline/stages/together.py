"""What one fix run mends, be it one place or several: patch upon patch, each proven on top of those before it, and all of them as one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import count

from pipeline.errors import EngineError, SandboxBusy, SandboxUnavailable
from pipeline.model.finding import Finding, Judged
from pipeline.model.fix import Fix, FixStatus, Member, MemberState, Patch, Proof, ProofWord, Receipt
from pipeline.model.review import Review
from pipeline.patches import diff_of_all
from pipeline.phrases import where
from pipeline.policy import Policy
from pipeline.ports import Fixer
from pipeline.sandbox.process import ended_when
from pipeline.stages.context import Context
from pipeline.stages.exploits import may_show
from pipeline.stages.heartbeat import Heartbeat
from pipeline.stages.ladder import RUNGS, make_patch, why_none
from pipeline.stages.mend import Outcome, PatchedFiles, mend_by
from pipeline.stages.outbound import leak_in
from pipeline.stages.prove import CommitFiles, RowOfRuns, prove
from pipeline.stages.sources import RepositoryFiles
from pipeline.statements import Mended
from pipeline.triage.proof import without_exploit
from pipeline.triage.together import one_patch, one_proof
from pipeline.wishes import Wish

MOST_FILES = 10
"""Files that a fix of several findings changes; of each finding the gate lets at most five through."""


@dataclass
class Made:
    """What came of one attempt."""

    error: str = ""
    wish: Wish | None = None
    """Which patch of the first finding it is."""
    patch: Patch | None = None
    proof: Proof | None = None
    diff: str = ""
    receipt: Receipt | None = None
    base: str = ""
    members: tuple[Member, ...] = ()
    """What became of each place."""
    mended: tuple[Mended, ...] = field(default=())
    """Every finding that the patch mends, with its own proof."""

    @property
    def proven(self) -> bool:
        """True when there is a patch and the gate let it through."""
        return self.patch is not None and self.proof is not None and self.proof.word in (ProofWord.VERIFIED, ProofWord.RESCANNED)


def wanted_finding(fix: Fix, judged: Sequence[Judged]) -> Finding | None:
    """The finding of its review that a fix run is called by: the first of those that it mends; None when none is there any more."""
    return next((found for member in fix.mends if (found := _find(member, judged)) is not None), None)


def is_undecided(fix: Fix) -> bool:
    """Whether a run came to nothing without a patch that was refused: an engine failed, a worker died, the host was away. Asked again, it
    is made again."""
    return fix.status is FixStatus.FAILED and (fix.proof is None or fix.proof.word is ProofWord.UNCHECKED)


def mended_findings(fix: Fix, judged: Sequence[Judged]) -> list[tuple[Member, Finding]]:
    """Every finding of its review that the patch of a fix run mends; while there is none, those that it is to mend."""
    return [(member, found) for member in fix.mends if (found := _find(member, judged)) is not None]


def left_out(members: Sequence[Member]) -> list[tuple[str, str]]:
    """What the patch of a fix run is without: how each is called, and why."""
    return [(_called(one, members), one.why) for one in members if one.state is MemberState.LEFT_OUT]


def is_meant(finding: Finding, handle: str, place: str) -> bool:
    """Whether a finding is the one of this handle, at this place where it has several."""
    return finding.handle == handle and place in ("", where(finding))


def _find(member: Member, judged: Sequence[Judged]) -> Finding | None:
    return next((one.finding for one in judged if is_meant(one.finding, member.handle, member.place)), None)


def _called(member: Member, members: Sequence[Member]) -> str:
    alone = sum(one.handle == member.handle for one in members) == 1
    return member.handle if alone or not member.place else member.place


def make_together(
    context: Context, review: Review, fix: Fix, judged: Sequence[Judged], policy: Policy, wish: Wish, heart: Heartbeat
) -> Made:
    """Mend what can be mended, one after the other. What no patch passes for is left out; when that is everything, the first is told of."""
    found = [_find(member, judged) for member in fix.members]
    wanted = [finding for finding in found if finding is not None]
    if not wanted:
        return Made("the finding is not open any more")
    maker = _Maker(context, review, policy, wish if found[0] is not None else Wish(), heart)
    engines = context.engines(maker.control)
    files = PatchedFiles(CommitFiles(context.mirror_of(review), review.change.head))
    with ended_when(heart.over):
        outcomes = iter(list(mend_by(maker.make, wanted, files, engines)))
    rows = [(member, finding, None if finding is None else next(outcomes)) for member, finding in zip(fix.members, found, strict=True)]
    members = tuple(_became(*row) for row in rows)
    mended = tuple(
        Mended(finding, outcome.patch if outcome else None, outcome.proof if outcome else None)
        for member, (_, finding, outcome) in zip(members, rows, strict=True)
        if member.mended and finding is not None
    )
    if not any(one.patch is not None for one in mended):
        return _in_vain(rows, members)
    lost = [now for before, now in zip(fix.members, members, strict=True) if before.mended and not now.mended]
    if lost:  # what stands mends more than this would
        return Made("; ".join(f"{_called(one, members)}: {one.why}" for one in lost), members=members)
    patch = one_patch([(one.finding, one.patch) for one in mended], files.combined("").edits)
    diff = diff_of_all([one.finding for one in mended], patch)
    if len(mended) > 1 and (error := leak_in(maker.clean, patch, diff)):
        return Made(error)  # nothing of it is kept
    proof = one_proof([(one.finding.handle or where(one.finding), one.proof) for one in mended if one.proof is not None])
    return Made("", Wish.read(members[0].choice), patch, proof, diff, members=members, mended=mended)


def _became(member: Member, finding: Finding | None, outcome: Outcome | None) -> Member:
    if finding is None:
        return replace(member, state=MemberState.LEFT_OUT, choice="", at=None, why="it is not open any more")
    if outcome is None:
        return replace(member, state=MemberState.ALONG, choice="", at=None, why="")
    if not outcome.accepted:
        return replace(member, state=MemberState.LEFT_OUT, choice=outcome.choice, at=None, why=why_not(outcome.proof, outcome.error))
    at = None if outcome.finding.location == finding.location else outcome.finding.location
    return replace(member, state=MemberState.MENDED, choice=outcome.choice, at=at, why="")


def why_not(proof: Proof | None, error: str) -> str:
    """Why there is no patch that may be offered, a clause."""
    return error or "; ".join(proof.why if proof else ()) or "the patch could not be checked"


def _in_vain(rows: Sequence[tuple[Member, Finding | None, Outcome | None]], members: tuple[Member, ...]) -> Made:
    first = next(outcome for _, _, outcome in rows if outcome is not None)
    finding = next(finding for _, finding, outcome in rows if outcome is first and finding is not None)
    if len(rows) > 1:
        return Made("; ".join(f"{_called(one, members)}: {one.why}" for one in members), members=members)
    if first.patch is None:
        return Made(first.error, Wish.read(first.choice) if first.choice else None, members=members)
    return Made(first.error, Wish.read(first.choice), first.patch, first.proof, diff_of_all([finding], first.patch), members=members)


class _Maker:
    """Makes and proves one patch after the other, as the attempt of a fix run wants it."""

    def __init__(self, context: Context, review: Review, policy: Policy, wish: Wish, heart: Heartbeat) -> None:
        self._context, self._policy, self._wish, self._heart = context, policy, wish, heart
        self.control = replace(context.control(), wanted=heart.wanted)
        self.engines = context.engines(self.control)
        self.clean: Callable[[str], str] = context.known(review.change.repository).clean

    def make(self, number: int, finding: Finding, files: PatchedFiles, tests: RowOfRuns) -> Outcome:
        """Patch after patch until one passes. Of several that do not, the first is told of: it is what was asked for."""
        wish = self._wish if number == 1 else Wish()
        first: Outcome | None = None
        for rung in count():
            this = replace(wish, alternative=wish.alternative + rung)
            patch = make_patch(self._context.plugins.fixers, finding, files, this) if rung < RUNGS else None
            if patch is None:
                if first is None:
                    none = "the fixers have no such patch" if wish.text() else why_none(self._context.plugins.fixers, finding, files)
                    first = Outcome(finding, None, None, error=none)
                return first
            tried = self._prove(finding, patch, files, tests, this)
            if tried.patch is not None and (tried.proof is None or tried.proof.word is not ProofWord.REFUSED):
                return tried
            first = first or tried
        raise AssertionError

    def _prove(self, finding: Finding, patch: Patch, files: PatchedFiles, tests: RowOfRuns, wish: Wish) -> Outcome:
        choice = wish.text()
        if error := leak_in(self.clean, patch, diff_of_all([finding], patch)):
            return Outcome(finding, None, None, choice, error)  # nothing of it is kept
        if len(files.changed.union(patch.paths)) > max(MOST_FILES, len(patch.paths)):
            return Outcome(finding, None, None, choice, f"with it more than {MOST_FILES} files would be changed at once")
        try:
            proof = prove(
                finding=finding,
                patch=patch,
                files=files,
                policy=self._policy,
                control=self.control,
                cancelled=self._heart.step,
                engines=self.engines,
                tests=tests,
            )
        except SandboxBusy:
            raise  # the fix stays running, and the next attempt begins its proof anew
        except (EngineError, SandboxUnavailable) as failure:
            return Outcome(finding, patch, None, choice, failure.message)
        if proof.exploit is not None and not may_show(self.clean, proof.exploit):
            proof = without_exploit(proof)
        if proof.exploit is not None and proof.exploit.offered:
            files.take([proof.exploit.test.path])
        return Outcome(finding, patch, proof, choice)


def made_again(fixers: Sequence[Fixer], fix: Fix, judged: Sequence[Judged], files: RepositoryFiles) -> Patch | None:
    """The patch that was proved, made again: a patch that takes a secret out is never kept. None when another one is made now."""
    state = PatchedFiles(files)
    mended: list[tuple[Finding, Patch | None]] = []
    for member in fix.mends:
        finding = _find(member, judged)
        if finding is None:
            return None
        patch = None
        if member.state is not MemberState.ALONG:
            there = finding if member.at is None else replace(finding, location=member.at)
            patch = make_patch(fixers, there, state, Wish.read(member.choice))
            if patch is None:
                return None
            state.apply(patch)
        mended.append((finding, patch))
    patch = one_patch(mended, state.combined("").edits)
    return patch if diff_of_all([finding for finding, _ in mended], patch) == fix.diff else None
