"""Bad patches put through the gate with real engines, many at a time: for `tests/e2e/test_prove.py` and `python -m benchmarks gate`."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from pipeline.model.finding import Finding, Location
from pipeline.model.fix import Patch, Proof
from pipeline.model.ids import BlobId
from pipeline.model.scan import Tree
from pipeline.policy import Policy
from pipeline.ports import Control, Fixer
from pipeline.sandbox.tree import private_folder, write_tree
from pipeline.scanners import semgrep
from pipeline.stages.ladder import make_patch
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
    others: tuple[Finding, ...] = ()
    """What else is reported in the file: the gate excuses what mends that as well."""

    @property
    def kind(self) -> str:
        """The operator, or that a person wrote it."""
        return "written for the rule" if self.operator.startswith("written") else self.operator


def found(engines: Engines, path: str, content: bytes) -> list[Finding]:
    """What the engines report on one file."""
    return list(engines.look({path: content})[0])


def put_through(
    engines: Engines,
    finding: Finding,
    patch: Patch,
    files: Mapping[str, bytes],
    *,
    tests: bool = False,
    policy: Policy | None = None,
    others: Sequence[Finding] = (),
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
        others=others,
    )


def all_trials(engines: Engines) -> list[Trial]:
    """Every bad patch of every case."""
    return _trials(engines, [*load_cases(), secret_case()], bad_patches)


def good_trials(engines: Engines) -> list[Trial]:
    """Every fix of every case."""
    return _trials(engines, [*load_cases(), secret_case()], lambda case: [(n, case.patch({case.path: c})) for n, c in case.good.items()])


def plain_trials(engines: Engines) -> list[Trial]:
    """Every fix and every trick of the cases without statements; the operator says which (`good env`, `bad eval`)."""

    def patches(case: Case) -> Iterator[tuple[str, Patch]]:
        for name, content in case.good.items():
            yield f"good {name}", case.patch({case.path: content})
        for name, contents in case.bad.items():
            yield f"bad {name}", case.patch({case.path: next(iter(contents.values()))})

    return _trials(engines, load_plain_cases(), patches)


def example_trials(engines: Engines, examples: Mapping[str, bytes], fixers: Sequence[Fixer]) -> list[Trial]:
    """What the fixers make of each finding that the engines report on these files."""
    made = []
    for finding in engines.look(examples)[0]:
        path = finding.location.path
        content = examples[path]
        patch = make_patch(fixers, finding, Memory({path: content}))
        if patch is not None:
            made.append(Trial(Case(finding.rule.id, path, content, {}, {}, finding.rule.cwe), "fixer", patch, finding))
    return [_apart(trial, number) for number, trial in enumerate(made)]


def _trials(engines: Engines, cases: Sequence[Case], patches: Callable[[Case], Iterable[tuple[str, Patch]]]) -> list[Trial]:
    """Patches of cases, each in a folder of its own, so that one run of an engine can look at the files of many."""
    reported = engines.look({f"case{number}/{case.path}": case.before for number, case in enumerate(cases)})[0]
    made = []
    for number, case in enumerate(cases):
        here = [_at(f, case.path) for f in reported if f.location.path == f"case{number}/{case.path}"]
        finding = next(f for f in here if f.rule.id.startswith(case.rule))
        made += [Trial(case, operator, patch, finding, tuple(here)) for operator, patch in patches(case)]
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
    asked = [trial for trial in trials if _is_asked(trial)]
    # Engines work file by file: what they say of many at once is what they say of each, and the gate asks for it again.
    judged = [(trial.finding.rule.id, trial.patch) for trial in asked if trial.finding.secret is None]
    engines.look({edit.path: edit.before for trial in asked for edit in trial.patch.edits if edit.before is not None})
    engines.look({edit.path: edit.after for trial in asked for edit in trial.patch.edits if edit.after is not None})
    knowing = replace(engines, residues=residues_known(engines, judged))
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda t: put_through(knowing, t.finding, t.patch, t.case.files(), others=t.others), trials))


def _is_asked(trial: Trial) -> bool:
    """Whether the gate looks at the files: the text of the patch is no reason to refuse it, or others of its rule lie in the file."""
    beside = any(one.rule.id == trial.finding.rule.id and one.location != trial.finding.location for one in trial.others)
    return beside or all(check.passed for check in check_text(trial.patch, trial.finding))


def _at(finding: Finding, path: str) -> Finding:
    return replace(finding, location=replace(finding.location, path=path))


def _apart(trial: Trial, number: int) -> Trial:
    """The same in a folder of its own."""
    old, path = trial.case.path, f"part{number}/{trial.case.path}"
    edits = [replace(edit, path=path) if edit.path == old else edit for edit in trial.patch.edits]
    others = tuple(_at(one, path) for one in trial.others)
    return replace(trial, case=replace(trial.case, path=path), patch=Patch(tuple(edits)), finding=_at(trial.finding, path), others=others)


def residues_known(engines: Engines, tried: Sequence[tuple[str, Patch]]) -> Residues:
    """What semgrep says of patches with their rules, asked once for each state of a file: a run for each file would take minutes."""
    known: dict[tuple[str, str, str], list[Location]] = {}
    wanted = sorted({rule for rule, _ in tried})
    layers: list[dict[str, bytes]] = []
    for edit in (edit for _, patch in tried for edit in patch.edits if language_of(edit.path) is not None):
        for content in (edit.before, edit.after):
            if content is not None:
                _lay(layers, edit.path, content)
    for layer in layers:
        digests = {path: _digest(content) for path, content in sorted(layer.items())}
        with private_folder("residue") as folder:
            tree = write_tree(folder / "tree", [(path, digest, layer[path]) for path, digest in digests.items()])
            answers = semgrep.residues_of(wanted, tree, engines.control, 120.0)
        known.update({(rule, path, digest): [] for path, digest in digests.items() for rule in wanted})
        for rule, places in answers.items():
            for place in places:
                known[rule, place.path, digests[place.path]].append(place)

    def answer(rule: str, tree: Tree, control: Control, seconds: float) -> Sequence[Location]:
        found: list[Location] = []
        for file in tree.files:
            if language_of(file.path) is None:
                continue
            key = rule, file.path, _digest((tree.root / file.on_disk).read_bytes())
            if key not in known:
                return semgrep.residues(rule, tree, control, seconds)
            found += known[key]
        return sorted(found)

    return answer


def _lay(layers: list[dict[str, bytes]], path: str, content: bytes) -> None:
    """Into the first layer that has no other content for the path."""
    layer = next((one for one in layers if one.get(path, content) == content), None)
    if layer is None:
        layer = {}
        layers.append(layer)
    layer[path] = content


def _digest(content: bytes) -> BlobId:
    return BlobId(hashlib.sha256(content).hexdigest())
