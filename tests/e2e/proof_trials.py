"""Bad patches put through the gate with real engines, many at a time: for `tests/e2e/test_prove.py` and `python -m benchmarks gate`."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from pipeline.model.finding import Finding, Location
from pipeline.model.fix import Patch, Proof
from pipeline.model.scan import Tree
from pipeline.policy import Policy
from pipeline.ports import Control
from pipeline.scanners import semgrep
from pipeline.stages.prove import Engines, Residues, prove
from pipeline.syntax import language_of
from pipeline.triage.proof import check_text
from tests.e2e.proof_cases import Case, Memory, load_cases, load_plain_cases, secret_case
from tests.e2e.proof_operators import bad_patches


@dataclass(frozen=True)
class Trial:
    """One bad patch."""

    case: Case
    operator: str
    patch: Patch
    finding: Finding

    @property
    def kind(self) -> str:
        """The operator, or that a person wrote it."""
        return "written for the rule" if self.operator.startswith("written") else self.operator


def found(engines: Engines, path: str, content: bytes) -> list[Finding]:
    """What the engines report on one file."""
    return list(engines.look({path: content})[0])


def finding_of(engines: Engines, case: Case) -> Finding:
    """The case's own finding, as the engine reports it."""
    return next(f for f in found(engines, case.path, case.before) if f.rule.id.startswith(case.rule))


def put_through(
    engines: Engines, finding: Finding, patch: Patch, files: Mapping[str, bytes], *, tests: bool = False, policy: Policy | None = None
) -> Proof:
    """The gate's answer on one patch."""
    return prove(
        finding=finding,
        patch=patch,
        files=Memory(files),
        policy=policy or Policy(),
        control=engines.control,
        run_tests=tests,
        engines=engines,
    )


def all_trials(engines: Engines) -> list[Trial]:
    """Every bad patch of every case, each in a folder of its own, so that one run of an engine can look at the files of many."""
    cases = [*load_cases(), secret_case()]
    reported = engines.look({f"case{number}/{case.path}": case.before for number, case in enumerate(cases)})[0]
    made = []
    for number, case in enumerate(cases):
        finding = next(f for f in reported if f.location.path == f"case{number}/{case.path}" and f.rule.id.startswith(case.rule))
        finding = replace(finding, location=replace(finding.location, path=case.path))
        made += [Trial(case, operator, patch, finding) for operator, patch in bad_patches(case)]
    return [_apart(trial, number) for number, trial in enumerate(made)]


def plain_trials(engines: Engines) -> list[Trial]:
    """Every fix and every trick of the cases without statements; the operator says which (`good env`, `bad eval`)."""
    cases = [replace(case, path=f"case{number}/{case.path}") for number, case in enumerate(load_plain_cases())]
    found, _ = engines.look({case.path: case.before for case in cases})
    made = []
    for case in cases:
        finding = next(f for f in found if f.rule.id == case.rule and f.location.path == case.path)
        made += [Trial(case, f"good {name}", case.patch({case.path: content}), finding) for name, content in case.good.items()]
        made += [
            Trial(case, f"bad {name}", case.patch({case.path: next(iter(contents.values()))}), finding)
            for name, contents in case.bad.items()
        ]
    return [_apart(trial, number) for number, trial in enumerate(made)]


def sample(trials: Sequence[Trial], count: int, seed: int) -> list[Trial]:
    """Some of them, as many different operators as possible; the same for the same seed."""
    chance = random.Random(seed)
    shuffled = chance.sample(list(trials), len(trials))
    turns: dict[str, int] = {}
    order: list[tuple[int, int, Trial]] = []
    for trial in shuffled:
        order.append((turns.setdefault(trial.kind, 0), len(order), trial))
        turns[trial.kind] += 1
    return [trial for _, _, trial in sorted(order, key=lambda entry: entry[:2])[:count]]


def put_all_through(engines: Engines, trials: Sequence[Trial]) -> list[Proof]:
    """The gate's answer on each, in order."""
    asked = [trial for trial in trials if all(check.passed for check in check_text(trial.patch, trial.finding))]
    # Engines work file by file: what they say of many at once is what they say of each, and the gate asks for it again.
    engines.look({edit.path: edit.before for trial in asked for edit in trial.patch.edits if edit.before is not None})
    engines.look({edit.path: edit.after for trial in asked for edit in trial.patch.edits if edit.after is not None})
    knowing = replace(engines, residues=_residues_known(engines, asked))
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda t: put_through(knowing, t.finding, t.patch, t.case.files()), trials))


def _apart(trial: Trial, number: int) -> Trial:
    old, path = trial.case.path, f"part{number}/{trial.case.path}"
    edits = [replace(edit, path=path) if edit.path == old else edit for edit in trial.patch.edits]
    finding = replace(trial.finding, location=replace(trial.finding.location, path=path))
    return replace(trial, case=replace(trial.case, path=path), patch=Patch(tuple(edits)), finding=finding)


def _residues_known(engines: Engines, made: Sequence[Trial]) -> Residues:
    """What semgrep says of all these trials, asked once a rule: one run for each file of each would take a minute."""
    known: dict[tuple[str, str, str], list[Location]] = {}
    for rule in {trial.finding.rule.id for trial in made if trial.finding.secret is None}:
        sides: list[dict[str, bytes]] = [{}, {}]
        for edit in (edit for trial in made if trial.finding.rule.id == rule for edit in trial.patch.edits):
            for side, content in zip(sides, (edit.before, edit.after), strict=True):
                if content is not None and language_of(edit.path) is not None:
                    side.setdefault(edit.path, content)
        for side in sides:
            places = engines.residue(rule, side)
            for path, content in side.items():
                known[rule, path, hashlib.sha256(content).hexdigest()] = [place for place in places if place.path == path]

    def answer(rule: str, tree: Tree, control: Control, seconds: float) -> Sequence[Location]:
        found: list[Location] = []
        for file in tree.files:
            if language_of(file.path) is None:
                continue
            key = rule, file.path, hashlib.sha256((tree.root / file.on_disk).read_bytes()).hexdigest()
            if key not in known:
                return semgrep.residues(rule, tree, control, seconds)
            found += known[key]
        return sorted(found)

    return answer
