"""Does a patch prove itself? From facts to a proof; everything that had to be run was run by somebody else (`pipeline.stages.prove`).

The checks have a fixed order, and each says its numbers. A patch is refused by any check that fails; nothing is believed that was
not looked at; and "verified" is a word for fixes whose changed lines a test of the repository runs and guards.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pipeline.model.finding import Finding, Location
from pipeline.model.fix import ExploitRun, ExploitTest, FileEdit, Patch, Proof, ProofCheck, ProofWord, TestRun
from pipeline.model.scan import EngineInfo
from pipeline.patches import added_lines, changed_ranges, split_lines
from pipeline.phrases import plural
from pipeline.syntax import has_statements, parses
from pipeline.triage.baseline import Compared, compare
from pipeline.triage.complaints import LINT
from pipeline.triage.disguise import disguises
from pipeline.triage.escaped import only_escaped
from pipeline.triage.guards import useless_guards
from pipeline.triage.intent import emptied, kept_secret, suppressions, too_large, wrong_paths
from pipeline.triage.letters import odd_letters, odd_names
from pipeline.triage.options import other_options
from pipeline.triage.outline import outline
from pipeline.triage.passage import other_passage
from pipeline.triage.remedy import no_remedies
from pipeline.triage.steps import lost_work
from pipeline.triage.stray import stray_files, stray_statements
from pipeline.triage.survival import handed_on, lost_behaviour, sides_of
from pipeline.triage.wording import other_wording

APPLIES = "applies"
PATHS = "paths"
SIZE = "size"
PARSES = "parses"
NOT_SILENCED = "not silenced"
BEHAVIOUR = "behaviour kept"
NOT_DISGUISED = "not disguised"
GONE = "finding gone"
NO_RESIDUE = "no residue"
NOTHING_NEW = "nothing new"
OTHERS = "other scanners"
TESTS = "tests"
COVERED = "changed lines run"
BROKEN = "broken on purpose"
PUT_BACK = "old weakness put back"
ATTACKED = "attack stopped"

ORDER = (
    APPLIES,
    PATHS,
    SIZE,
    PARSES,
    NOT_SILENCED,
    BEHAVIOUR,
    NOT_DISGUISED,
    GONE,
    NO_RESIDUE,
    NOTHING_NEW,
    OTHERS,
    TESTS,
    COVERED,
    BROKEN,
    PUT_BACK,
    LINT,
    ATTACKED,
)
"""Names of the checks, in the order in which they are made and shown."""

ESSENTIAL = frozenset([APPLIES, PATHS, SIZE, PARSES, NOT_SILENCED, BEHAVIOUR, NOT_DISGUISED, GONE, NO_RESIDUE, NOTHING_NEW])
"""Without any of these nothing may be said of a patch."""


NO_HOSTILE_INPUT = "no test sends hostile input here"
ATTACK_STANDS = "an attack that was made for this place gets through with the patch as well ({attack})"
"""What is said of a patch that an attack passes."""
NONE_FAILS = "no test of the repository fails with the old weakness"
"""What is not proven until an attack was tried before and after."""


def _check(name: str, reasons: Sequence[str], said: str, before: int | None = None, after: int | None = None) -> ProofCheck:
    return ProofCheck(name, not reasons, "; ".join(reasons) if reasons else said, before, after)


# --- what the patch alone tells -------------------------------------------------------------------------------------------------------


def mended_as_well(finding: Finding, others: Sequence[Finding], after: Sequence[Finding]) -> tuple[Finding, ...]:
    """Which other findings of the same rule in the same file are gone with a patch, too: who mends by hand mends all that is alike.

    Args:
        others: what else is reported before the patch.
        after: everything that is reported in the patched file.
    """
    path, rule = finding.location.path, finding.rule.id
    before = [one for one in others if one.rule.id == rule and one.location.path == path and one.location != finding.location]
    gone = compare(before, after, covered=lambda _: True).fixed
    return tuple(one for one in before if one in gone)


def check_text(patch: Patch, finding: Finding, also: Sequence[Finding] = ()) -> list[ProofCheck]:
    """All checks that need nothing but the patch: paths, size, syntax, silencing, behaviour, disguise.

    Args:
        also: other findings that are gone with the patch (`mended_as_well`): what mends them is no stray change.
    """
    large, lines = too_large(patch, finding.location)
    files = len(patch.edits)
    broken = [f"{edit.path} does not parse any more" for edit in patch.edits if _breaks(edit)]
    sides = sides_of(patch, also)
    home = next((side for side in sides if side.edit.path == finding.location.path), None)
    kept = emptied(patch.edits)
    hidden = [*kept_secret(patch, finding), *odd_letters(patch)]
    if not broken:
        for side in sides:
            kept += lost_behaviour(side, finding)
            kept += stray_statements(side, finding)
            kept += [*other_wording(side, finding), *other_options(side, finding), *other_passage(side, finding)]
            hidden += [
                *disguises(side, home, finding),
                *handed_on(side, finding),
                *no_remedies(side, finding),
                *useless_guards(side, finding),
            ]
            hidden += odd_names(side.before, side.after)
        kept += [reason for edit in patch.edits for reason in lost_work(edit, finding)]
        kept += _lost_entries(patch, finding)
    counted = f"{files} file{'s' * (files != 1)}, {lines} line{'s' * (lines != 1)}"
    return [
        _check(PATHS, [*wrong_paths(patch, finding), *stray_files(patch, sides, finding)], "only " + ", ".join(patch.paths)),
        _check(SIZE, large, counted),
        _check(PARSES, broken, f"{_readable(patch)} of {files} changed file{'s' * (files != 1)} read, no syntax error"),
        _check(NOT_SILENCED, suppressions(patch), "no marker added"),
        _check(BEHAVIOUR, kept, "functions, routes, checks and the flagged statement's work are still there" + _told(also)),
        _check(NOT_DISGUISED, hidden, "nothing is renamed, encoded or reached by name"),
    ]


def _told(also: Sequence[Finding]) -> str:
    lines = sorted({one.location.line for one in also})
    return f"; the patch mends line{'s' * (len(lines) > 1)} {', '.join(map(str, lines))} as well" if lines else ""


def _breaks(edit: FileEdit) -> bool:
    if edit.after is None or parses(edit.path, edit.after) is not False:
        return False
    return edit.before is None or parses(edit.path, edit.before) is not False


def _readable(patch: Patch) -> int:
    return sum(edit.after is not None and parses(edit.path, edit.after) is True for edit in patch.edits)


def _lost_entries(patch: Patch, finding: Finding) -> list[str]:
    """For a secret in a file without statements (YAML, .env): what stands in front of the value must stay."""
    if finding.secret is None:
        return []
    for edit in patch.edits:
        if edit.path != finding.location.path or has_statements(edit.path):
            continue
        lines = (edit.before or b"").split(b"\n")
        line = lines[finding.location.line - 1] if finding.location.line <= len(lines) else b""
        key = line[: finding.location.column - 1].strip(b" \t\"'")
        if key and not any(key in text for _, text in added_lines(edit)):
            return [f"{edit.path}:{finding.location.line} was deleted instead of mended"]
    return []


# --- what the engines tell ------------------------------------------------------------------------------------------------------------


def check_gone(finding: Finding, compared: Compared, before: Sequence[Finding], after: Sequence[Finding], patch: Patch) -> ProofCheck:
    """The finding itself: it was there, it is not there any more, and nothing of its kind took its place."""
    name = finding.handle or finding.rule.id
    same = [f for f in before if _alike(f, finding)]
    reasons = []
    if not same:
        return ProofCheck(GONE, None, f"{name} does not fire at {finding.location.path}:{finding.location.line} before the patch")
    rule_before = sum(f.rule.id == finding.rule.id for f in before)
    rule_after = sum(f.rule.id == finding.rule.id for f in after)
    left = [f for f in after if _alike(f, finding)]
    at = mapped_line(patch, finding.location)
    if len(left) >= len(same):
        reasons.append(f"{name} still fires (line {left[0].location.line})")
    elif rule_after >= rule_before:
        reasons.append(f"{finding.rule.id} fires {rule_after} times, as often as before")
    elif any(f.rule.id == finding.rule.id and f.location.path == finding.location.path and f.location.line == at for f in after):
        reasons.append(f"{finding.rule.id} still fires at line {at}")
    elif not any(_alike(f, finding) for f in compared.fixed):
        reasons.append(f"{name} was not looked for again")
    return _check(GONE, reasons, f"{name} fires before and not after", rule_before, rule_after)


def _alike(one: Finding, other: Finding) -> bool:
    return one.rule.id == other.rule.id and one.fingerprint == other.fingerprint


def mapped_line(patch: Patch, location: Location) -> int:
    """Where the first line of a location stands after the patch; 0 when it is not there any more."""
    edit = next((e for e in patch.edits if e.path == location.path), None)
    if edit is None:
        return location.line
    shift = 0
    for first, end, _, new_end in changed_ranges(split_lines(edit.before or b""), split_lines(edit.after or b"")):
        if first <= location.line - 1 < end:
            return 0
        if end <= location.line - 1:
            shift = new_end - end
    return location.line + shift


def check_residue(before: Sequence[Location], after: Sequence[Location], patch: Patch, finding: Finding) -> ProofCheck:
    """The dangerous function in any form, dangerous or not: there must be fewer of them, and none on a line that the patch adds; unless
    the patch is nothing but an escape around what is handed to it."""
    if len(set(after)) <= len(set(before)) and only_escaped(patch, finding):
        return _check(NO_RESIDUE, [], "values are escaped where they stood, and nothing else is changed", len(set(before)), len(set(after)))
    added = {(edit.path, number) for edit in patch.edits for number, _ in added_lines(edit)}
    # An import line that loses one name is written anew with the others: they were there before. The sum below must still fall.
    added -= {(edit.path, line) for edit in patch.edits for line in _import_lines(edit)}
    old, new = sorted(set(before)), sorted(set(after))
    on_added = [place for place in new if any((place.path, line) in added for line in range(place.line, place.end_line + 1))]
    reasons = [f"the same dangerous call stands on an added line ({place.path}:{place.line})" for place in on_added]
    if not reasons and old and len(new) >= len(old):
        reasons.append(f"the dangerous call stands in {len(new)} places, as in {len(old)} before")
    return _check(NO_RESIDUE, reasons, f"dangerous calls of this kind in these files: {len(old)} -> {len(new)}", len(old), len(new))


def _import_lines(edit: FileEdit) -> set[int]:
    read = outline(edit.path, edit.after) if edit.after is not None else None
    units = read.units if read is not None else []
    return {line for unit in units if unit.imports for line in range(unit.line, unit.end_line + 1)}


def _not_rewritten(
    finding: Finding, new: Sequence[Finding], before: Sequence[Finding], after: Sequence[Finding], patch: Patch
) -> list[Finding]:
    """The new findings without those of another weakness that stood in these lines before: a finding is known by its text, so a
    statement that the fix rewrites is told of anew for what else is wrong with it. There may not be more of them than before."""
    kept = []
    for one in new:
        edit = next((e for e in patch.edits if e.path == one.location.path), None)
        hunks = changed_ranges(split_lines(edit.before or b""), split_lines(edit.after or b"")) if edit is not None else []
        hunk = next((h for h in hunks if h[2] <= one.location.line - 1 < h[3]), None)
        old = [f for f in before if f.rule.id == one.rule.id and f.location.path == one.location.path]
        now = [f for f in after if f.rule.id == one.rule.id and f.location.path == one.location.path]
        stood = hunk is not None and any(hunk[0] <= f.location.line - 1 < hunk[1] for f in old)
        # On a line that the patch leaves alone it was told of before, in a scope that has another name now.
        if (
            hunk is None
            and one.secret is None
            and len(now) <= len(old)
            and any(mapped_line(patch, f.location) == one.location.line for f in old)
        ):
            continue
        if one.rule.id == finding.rule.id or one.secret is not None or not stood or len(now) > len(old):
            kept.append(one)
    return kept


def check_new(finding: Finding, compared: Compared, before: Sequence[Finding], after: Sequence[Finding], patch: Patch) -> ProofCheck:
    """Nothing that any engine did not report before; no secret on an added line, also not one that looks like an old one."""
    others = len(before) - 1
    reasons = [
        f"{f.rule.id} is new at {f.location.path}:{f.location.line}" for f in _not_rewritten(finding, compared.new, before, after, patch)
    ]
    known = {f.fingerprint for f in compared.new}
    added = {(edit.path, number) for edit in patch.edits for number, _ in added_lines(edit)}
    old_secrets = Counter(f.fingerprint for f in before if f.secret is not None)
    new_secrets = Counter(f.fingerprint for f in after if f.secret is not None)
    for f in after:
        more = new_secrets[f.fingerprint] > old_secrets[f.fingerprint]
        if f.secret is not None and f.fingerprint not in known and more and (f.location.path, f.location.line) in added:
            reasons.append(f"a secret is added at {f.location.path}:{f.location.line}")
    left = len(after) - sum(_alike(f, finding) for f in after)
    return _check(NOTHING_NEW, reasons, f"{plural(others, 'other finding')} before, {left} after, none new", others, left)


# --- what the tests tell --------------------------------------------------------------------------------------------------------------


def check_tests(before: TestRun, after: TestRun, flaky: frozenset[str] = frozenset()) -> ProofCheck:
    """The repository's own tests: none that passed may fail or be missing now.

    Args:
        flaky: tests that were seen to pass and to fail without the patch; they say nothing.
    """
    if not before.ran:
        return ProofCheck(TESTS, None, before.said or "the repository's tests cannot run here")
    if not before.passed:
        return ProofCheck(TESTS, None, f"no test passes here even without the patch ({len(before.failed)} fail)", 0, 0)
    if not after.ran and after.said:
        return ProofCheck(TESTS, False, f"the tests no longer run: {after.said}", len(before.passed), 0)
    failing = sorted((set(before.passed) - set(after.passed)) - flaky)
    gone = [name for name in failing if name not in after.failed]
    reasons = []
    if failing:
        shown = ", ".join(failing[:3]) + (f" and {len(failing) - 3} more" if len(failing) > 3 else "")
        one = len(failing) == 1
        verb = ("is gone or fails" if one else "are gone or fail") if gone else "fails" if one else "fail"
        reasons.append(f"{plural(len(failing), 'test')} that passed {verb} now: {shown}")
    said = f"{plural(len(before.passed), 'test')} passed before, {len(after.passed)} after"
    if before.failed:
        said += f" ({len(before.failed)} failed before, {len(after.failed)} fail after)"
    return _check(TESTS, reasons, said, len(before.passed), len(after.passed))


@dataclass(frozen=True, slots=True)
class Watched:
    """One changed statement, or the part of it that changed, and whether it ran while the tests ran."""

    path: str
    line: int
    reached: bool


@dataclass(frozen=True, slots=True)
class Broken:
    """One changed statement that was broken on purpose, and what the tests said."""

    path: str
    line: int
    run: TestRun
    again: TestRun | None = None
    """The same once more, where the first time does not show that the crash is why a test fails."""
    reached: bool = True
    """False where the tests ended before they came to it."""

    @property
    def passed(self) -> frozenset[str]:
        """The tests that passed all the same."""
        return frozenset(self.run.passed) | frozenset(self.again.passed if self.again is not None else ())


def check_covered(watched: Sequence[Watched], after: TestRun, seen: TestRun) -> ProofCheck:
    """How many of the changed statements the tests run: each leaves a mark when it is reached. No coverage tool is asked, nothing is
    believed.

    Args:
        after: the tests with the patch.
        seen: the tests with the patch and the marks.
    """
    total, run = len(watched), sum(one.reached for one in watched)
    said = f"{run} of {plural(total, 'changed statement')} {'is' if run == 1 else 'are'} run by the tests"
    missed = next((one for one in watched if not one.reached), None)
    if missed is None:
        return ProofCheck(COVERED, True, said, total, run)
    said = f"no test runs {missed.path}:{missed.line} ({said})"
    if seen.said:
        said = f"whether a test runs {missed.path}:{missed.line} is not known: {seen.said}"
    elif lost := len(set(after.passed) - set(seen.passed)):
        said += f", and {plural(lost, 'test')} {'fails' if lost == 1 else 'fail'} for a mark in the text of a file"
    return ProofCheck(COVERED, None, said, total, run)


def check_broken(after: TestRun, broken: Sequence[Broken], flaky: frozenset[str] = frozenset()) -> ProofCheck:
    """Whether tests guard the changed lines: of every changed statement at least one must fail when the statement is broken.

    Args:
        flaky: tests that fail for another reason than that a statement crashes.
    """
    if not broken:
        return ProofCheck(BROKEN, None, "no changed line can be executed, so no test can guard one")
    passing = set(after.passed) - flaky
    guards: set[str] = set()
    for one in broken:
        if one.run.said and not one.run.ran:
            return ProofCheck(BROKEN, None, f"{one.path}:{one.line} broken on purpose: {one.run.said}")
        if not one.reached:
            return ProofCheck(BROKEN, None, f"with {one.path}:{one.line} broken on purpose the tests end before they run it")
        noticed = passing - one.passed
        if not noticed:
            return ProofCheck(BROKEN, None, f"no test fails when {one.path}:{one.line} is broken on purpose", len(passing), 0)
        guards |= noticed
    count = len(guards)
    lines = "the changed line" if len(broken) == 1 else f"the {len(broken)} changed statements"
    them = "it is" if len(broken) == 1 else "they are"
    return ProofCheck(
        BROKEN,
        True,
        f"{plural(count, 'test')} {'runs' if count == 1 else 'run'} {lines}, {count} of {count} fail when {them} broken on purpose",
        len(passing),
        len(passing) - count,
    )


def check_put_back(before: TestRun, after: TestRun, again: Sequence[Broken], flaky: frozenset[str] = frozenset()) -> ProofCheck:
    """Whether tests guard against the weakness itself: each changed place as it was before must make one fail that failed before.

    Args:
        before, after: the tests without and with the patch.
        again: one run for each changed place that was put back. Only what failed without the patch counts: half of a patch can also fail
            because it does not fit together.
    """
    healed = (set(after.passed) - set(before.passed)) & set(before.failed) - flaky
    if not healed:
        return ProofCheck(
            PUT_BACK,
            None,
            f"{NONE_FAILS}: none of them sends hostile input here",
            len(after.passed),
            0,
        )
    for one in again:
        if one.run.said and not one.run.ran:
            return ProofCheck(PUT_BACK, None, f"{one.path}:{one.line} as it was before: {one.run.said}")
        if not healed - set(one.run.passed):
            return ProofCheck(PUT_BACK, None, f"no test fails when {one.path}:{one.line} is as it was before", len(healed), 0)
    count, places = len(healed), max(1, len(again))
    fails = "fails" if count == 1 else "fail"
    return ProofCheck(
        PUT_BACK, True, f"{plural(count, 'test')} {fails} with the old weakness, put back in {plural(places, 'place')}", 0, count
    )


def not_proven(before: TestRun | None, after: TestRun | None, guarded: bool, put_back: bool = False) -> tuple[str, ...]:
    """What nobody should believe to be proved.

    Args:
        guarded: for every changed statement a test fails when it is broken.
        put_back: a test fails with the old weakness.
    """
    if before is None or after is None or not before.ran:
        return ("the repository's tests did not run on it",)
    sentences = []
    if not guarded:
        sentences.append("no test is known to run every changed line")
    if not put_back:
        sentences.append(NO_HOSTILE_INPUT)
    return tuple(sentences)


def with_exploit(proof: Proof, exploit: ExploitRun | None, seconds: float) -> Proof:
    """The proof with an attack that the patch stops. It is evidence on top: the word does not become better by it."""
    if exploit is None:
        return replace(proof, seconds=seconds)
    left = tuple(sentence for sentence in proof.not_proven if sentence != NO_HOSTILE_INPUT)
    made = f"the one that was made for this fix{f', {exploit.test.path},' if exploit.offered else ''} does"
    return replace(_said_of_none(proof, f"; {made}"), not_proven=left, exploit=exploit, seconds=seconds)


def with_standing(proof: Proof, test: ExploitTest | None) -> Proof:
    """The proof where an attack gets through with the patch as well. It is refused when no dangerous call of that kind is left that the
    attack could have met: then the patch mends nothing. Else the function may hold two weaknesses of which the patch mends one: nothing is
    called verified that we have seen fail, and whoever reads it is told."""
    if test is None:
        return proof
    if any(check.name == NO_RESIDUE and check.passed and check.after == 0 for check in proof.checks):
        said = ATTACK_STANDS.format(attack=test.attack)
        return replace(
            proof, word=ProofWord.REFUSED, not_proven=(), exploit=None, checks=(*proof.checks, ProofCheck(ATTACKED, False, said))
        )
    left = tuple(sentence for sentence in proof.not_proven if sentence != NO_HOSTILE_INPUT)
    word = ProofWord.RESCANNED if proof.word is ProofWord.VERIFIED else proof.word
    return replace(proof, word=word, not_proven=(*left, f"{ATTACK_STANDS.format(attack=test.attack)}: it may mend one of several"))


def without_exploit(proof: Proof) -> Proof:
    """The proof as it is when its attack cannot be shown: nothing in it knows of one."""
    if proof.exploit is None:
        return proof
    blind = any(check.name == PUT_BACK and not check.passed for check in proof.checks)
    left = (*proof.not_proven, NO_HOSTILE_INPUT) if blind else proof.not_proven
    return replace(_said_of_none(proof, ": none of them sends hostile input here"), not_proven=left, exploit=None)


def _said_of_none(proof: Proof, more: str) -> Proof:
    """Where no test of the repository fails with the old weakness: that, and more."""
    checks = tuple(
        replace(check, said=NONE_FAILS + more) if check.name == PUT_BACK and check.said.startswith(NONE_FAILS) else check
        for check in proof.checks
    )
    return replace(proof, checks=checks)


def decide_proof(
    checks: Sequence[ProofCheck], unproven: tuple[str, ...], engines: tuple[EngineInfo, ...] = (), seconds: float = 0.0
) -> Proof:
    """The word for a patch, from its checks in any order."""
    ordered = tuple(sorted(checks, key=lambda check: ORDER.index(check.name)))
    state = {check.name: check.passed for check in ordered}
    if any(passed is False for passed in state.values()):
        word = ProofWord.REFUSED
    elif any(state.get(name) is None for name in ESSENTIAL):
        word = ProofWord.UNCHECKED
    elif state.get(TESTS) and state.get(COVERED) and state.get(BROKEN):
        word = ProofWord.VERIFIED
    else:
        word = ProofWord.RESCANNED
    return Proof(word, ordered, unproven if word in (ProofWord.VERIFIED, ProofWord.RESCANNED) else (), engines, seconds)
