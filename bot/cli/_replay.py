"""`fixwright verify RECEIPT --repo PATH --again`: the checks of a receipt made once more, with the engines of this installation.

Offline, and nothing of the repository is executed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bot import __version__
from bot.cli import FOUND, OK, UNCHECKED
from pipeline.errors import EngineError, PatchRefused
from pipeline.escaping import visible
from pipeline.model.finding import Finding
from pipeline.model.fix import Patch, Proof
from pipeline.model.ids import Handle
from pipeline.model.scan import EngineInfo
from pipeline.patches import is_concealed, parse_diff
from pipeline.policy import Policy
from pipeline.stages.mend import PatchedFiles
from pipeline.stages.prove import Engines, RepositoryFiles, prove
from pipeline.stages.select import found_beside
from pipeline.statements import CheckNote, FindingNote, Predicate, digest_of
from pipeline.triage.proof import ESSENTIAL


def replay(told: Predicate, base: RepositoryFiles | None, engines: Engines) -> int:
    """Make the checks again and say of each whether it says the same: 0 they do, 1 one differs, 3 one could not be made.

    Args:
        told: what a genuine receipt says.
        base: the state that its patch was proved on; None where it is not here.

    Raises:
        EngineError, SandboxUnavailable, SandboxBusy: an engine is missing or cannot look.
    """
    diff = told.patch.diff()
    if is_concealed(diff):
        return _not_replayed("the diff is concealed")
    if base is None:
        return _not_replayed("the state that the patch was proved on is not here")
    try:
        whole = parse_diff(diff, base)
    except PatchRefused as refused:
        return _differs(refused.message)
    if {edit.path: digest_of(edit.after) for edit in whole.edits} != {note.path: note.after for note in told.files}:
        return _differs("the diff does not make the files that the receipt names")
    parts = _parts(told, whole)
    if parts is None:
        return _not_replayed("the receipt has the patch for all of its findings together, not the part of each")
    _tell_engines(told, engines.infos())
    state, codes = PatchedFiles(base), set()
    for note, checks, patch in parts:
        if len(parts) > 1:
            print(visible(f"{note.handle or note.rule} at {note.path}:{note.line}"))
        codes.add(_again(note, checks, patch, state, engines))
        state.apply(patch)
    if FOUND in codes:
        print("replayed: not everything says the same")
        return FOUND
    if UNCHECKED in codes:
        print("could not check: not every check could be made again")
        return UNCHECKED
    print("replayed: everything that was made again says the same")
    return OK


def _not_replayed(why: str) -> int:
    print(f"not replayed: {why}")
    return UNCHECKED


def _differs(why: str) -> int:
    print(visible(f"differs  {why}"))
    return FOUND


Part = tuple[FindingNote, Sequence[CheckNote], Patch]


def _parts(told: Predicate, whole: Patch) -> list[Part] | None:
    """The patch of each finding; None when they cannot be told apart: only what changes a file of its own can."""
    if not told.findings:
        return [(told.finding, told.checks, replace(whole, fixer=told.fixer))]
    own = [one for one in told.findings if not one.along]
    edits = {edit.path: edit for edit in whole.edits}
    if sorted(one.path for one in own) != sorted(edits):
        return None
    return [(one, one.checks, Patch((edits[one.path],), fixer=one.fixer)) for one in own]


def _tell_engines(told: Predicate, here: Sequence[EngineInfo]) -> None:
    if told.tool != f"fixwright {__version__}":
        print(visible(f"made by {told.tool}, replayed by fixwright {__version__}"))
    found = {info.name: info for info in here}
    for note in told.engines:
        now = found.get(note.name)
        if now is None:
            print(visible(f"engine {note.name} of the receipt is not here"))
        elif (now.version, now.rules_digest) != (note.version, note.rules):
            print(
                visible(
                    f"engine {note.name} is {now.version} with rules {now.rules_digest} here, {note.version} with rules {note.rules} "
                    "in the receipt"
                )
            )


def _again(note: FindingNote, checks: Sequence[CheckNote], patch: Patch, state: RepositoryFiles, engines: Engines) -> int:
    finding = _find(note, state, engines)
    if finding is None:
        return _differs(f"the engines report no {note.rule} at {note.path}:{note.line} here")
    # Who mends by hand may mend what is alike beside it; a fixer's patch has no such excuse. See `prove`.
    others = () if patch.fixer else found_beside(finding, state, engines)
    proof = prove(
        finding=finding,
        patch=patch,
        files=state,
        policy=Policy(),
        control=engines.control,
        run_tests=False,
        engines=engines,
        others=others,
    )
    return _compare(checks, proof)


def _find(note: FindingNote, state: RepositoryFiles, engines: Engines) -> Finding | None:
    content = state.read(note.path)
    found, coverage = engines.look({note.path: content} if content is not None else {})
    same = [one for one in found if (one.rule.id, one.fingerprint) == (note.rule, note.fingerprint)]
    same = same or [one for one in found if (one.rule.id, one.location.line) == (note.rule, note.line)]
    if not same and coverage.breaking:
        gap = coverage.breaking[0]
        raise EngineError(f"{gap.engine} did not look at {note.path}: {gap.reason}", engine=gap.engine)
    nearest = min(same, key=lambda one: abs(one.location.line - note.line), default=None)
    return replace(nearest, handle=Handle(note.handle) if note.handle else None) if nearest is not None else None


def _compare(checks: Sequence[CheckNote], proof: Proof) -> int:
    here = {check.name: check for check in proof.checks}
    differ = unable = False
    for check in checks:
        now = here.pop(check.name, None)
        if now is None and check.name not in ESSENTIAL:
            print(visible(f"not replayed  {check.name}: nothing of the repository is run here"))
        elif now is None or now.passed is None:
            unable = True
            print(visible(f"not replayed  {check.name}: {now.said if now else 'a check before it did not pass'}"))
        elif (now.passed, now.before, now.after) == (check.passed, check.before, check.after):
            print(visible(f"same  {check.name}: {now.said}"))
        else:
            differ = True
            print(visible(f"differs  {check.name}: {now.said}; the receipt says: {check.said}"))
    for now in here.values():
        differ = differ or now.passed is False
        unable = unable or now.passed is None
        print(visible(f"{'not in the receipt' if now.passed else 'differs'}  {now.name}: {now.said}"))
    return FOUND if differ else UNCHECKED if unable else OK
