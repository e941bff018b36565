"""Variants of what the rules find, put through fixer and gate: for `tests/e2e/test_variants.py` and `python -m benchmarks variants`.

The seeds are the rules' own bad examples and the tables of the fixers, found in the rulebook, so that a new rule is taken in by itself. A
variant counts when its rule still fires on it.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import pipeline.fixers
from pipeline import rulebook
from pipeline.model.finding import Finding, Location
from pipeline.model.fix import Patch, ProofWord
from pipeline.patches import added_lines
from pipeline.plugins import discover
from pipeline.ports import Fixer
from pipeline.stages.ladder import make_patch
from pipeline.stages.prove import Engines
from tests.e2e import evasions_python, variants_go, variants_javascript, variants_plain, variants_python
from tests.e2e.proof_cases import Memory
from tests.e2e.proof_trials import put_through, residues_known
from tests.unit.fixers import cases

AS_IT_IS = "as it is"
"""Kind of what was not rewritten."""
SAMPLE = 4
"""Variants of each rule in a quick run."""

FIXERS = tuple(discover(pipeline.fixers, "FIXER", Fixer).values())
PASSED = frozenset({ProofWord.VERIFIED, ProofWord.RESCANNED})


@dataclass(frozen=True)
class Seed:
    """One finding that a fixer mends."""

    rule: str
    name: str
    path: str
    text: str
    where: Location
    beside: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Variant:
    """The finding, written otherwise, in a folder of its own."""

    seed: Seed
    kind: str
    path: str
    text: str

    @property
    def files(self) -> dict[str, bytes]:
        """The repository around it."""
        return {**{path: text.encode() for path, text in self.seed.beside.items()}, self.path: self.text.encode()}


@dataclass
class Result:
    """What became of one variant."""

    variant: Variant
    fired: bool
    said: str = ""
    """Why it failed, empty when the patch passed and a second run changed nothing."""


_PLACES = {".py": "app.py", ".js": "app.js", ".yml": ".github/workflows/app.yml", ".dockerfile": "Dockerfile", ".go": "app.go"}
"""Ending of an example -> where such a file stands in a repository."""


def rules() -> list[str]:
    """Every rule of ours that a fixer answers."""
    return sorted(rule for rule in rulebook.load().rules if any(f.answers(rule) for f in FIXERS))


def seeds(rule: str) -> list[Seed]:
    """The findings of a rule's bad example and its table."""
    language, _, name = rule.partition(".")
    found: list[Seed] = []
    for file in sorted(rulebook.FOLDER.glob(f"{language}/{name}.bad.*")):
        text = file.read_text("utf-8")
        expected = [n for n, one in enumerate(text.split("\n"), start=1) if re.search(rf"expect: .*{re.escape(rule)}\b", one)]
        path = _PLACES.get(file.suffix)
        if path is not None:  # of a file without statements there are variants of the whole
            expected = expected[:1] if file.suffix in (".yml", ".dockerfile") else expected
            found += [Seed(rule, f"{file.name}:{number}", path, text, Location(path, number, number)) for number in expected]
    if (cases.TABLES / f"{rule}.txt").exists():
        for case in cases.table(rule):
            if case.after is not None and case.path.endswith((".py", ".js", ".yml", "Dockerfile", ".go")):
                where = cases.location(case.path, case.before, case.at)
                found.append(Seed(rule, case.name, case.path, case.before, where, case.files))
    return found


def mended(seed: Seed) -> bool:
    """True when a fixer has a patch for it as it stands."""
    files = Memory({seed.path: seed.text.encode(), **{path: text.encode() for path, text in seed.beside.items()}})
    return make_patch(FIXERS, cases.finding(seed.rule, seed.where), files) is not None


def all_variants(chance_seed: int, wanted: Sequence[str]) -> list[Variant]:
    """Up to four variants of every seed of these rules that is mended; the same for the same seed of chance."""
    made: list[Variant] = []
    for rule in wanted:
        for seed in seeds(rule):
            if mended(seed):
                made += _variants(seed, chance_seed, len(made))
    return made


def some_variants(chance_seed: int, wanted: Sequence[str], each: int) -> list[Variant]:
    """Some of each of these rules, of as many kinds as possible."""
    chance = random.Random(chance_seed)
    made: list[Variant] = []
    for rule in wanted:
        of_rule: list[Variant] = []
        for seed in chance.sample(found := seeds(rule), len(found)):
            written = _variants(seed, chance_seed, len(made) + len(of_rule)) if mended(seed) else []
            kinds = {one.kind for one in of_rule}
            of_rule += sorted(chance.sample(written, len(written)), key=lambda one: one.kind in kinds)[:2]
            if len(of_rule) >= each:
                break
        made += of_rule[:each]
    return made


def rewritten(chance_seed: int, wanted: Sequence[str], each: int | None = None) -> list[Variant]:
    """Every seed of these rules as it stands (`AS_IT_IS`) and its variants, whether a fixer mends it or not; of at most `each` of a rule,
    drawn by chance."""
    chance = random.Random(chance_seed)
    made: list[Variant] = []
    for rule in wanted:
        found = seeds(rule)
        for seed in found if each is None else chance.sample(found, min(each, len(found))):
            number = len(made)
            made += [Variant(seed, AS_IT_IS, f"part{number}_original/{seed.path}", seed.text), *_variants(seed, chance_seed, number + 1)]
            if seed.path.endswith(".py"):
                others = evasions_python.evasions(seed.text, seed.where.line, random.Random(f"{chance_seed}:{seed.rule}:{seed.name}"))
                made += [Variant(seed, kind, f"part{number}_{kind}/{seed.path}", text) for kind, text in others]
    return made


def _variants(seed: Seed, chance_seed: int, number: int) -> list[Variant]:
    chance = random.Random(f"{chance_seed}:{seed.rule}:{seed.name}")
    if seed.path.endswith(".py"):
        written = variants_python.variants(seed.text, seed.where.line, chance)
    elif seed.path.endswith(".js"):
        written = variants_javascript.variants(seed.path, seed.text, seed.where.line, chance)
    elif seed.path.endswith(".go"):
        written = variants_go.variants(seed.text, chance)
    else:
        written = variants_plain.variants(seed.path, seed.text, chance)
    return [Variant(seed, kind, f"part{number}_{kind}/{seed.path}", text) for kind, text in written]


def put_all_through(engines: Engines, made: Sequence[Variant]) -> list[Result]:
    """Scan all, mend all, judge all, and scan what was mended once more: each engine starts a few times for everything."""
    found = _by_path(engines.look({v.path: v.text.encode() for v in made})[0])
    results, tries = [], []
    for variant in made:
        findings = [f for f in found.get(variant.path, []) if f.rule.id == variant.seed.rule]
        result = Result(variant, bool(findings))
        results.append(result)
        patches = [(f, make_patch(FIXERS, f, Memory(variant.files))) for f in findings]
        patched = [(f, p) for f, p in patches if p is not None]
        if findings and not patched:
            result.said = "no patch"
        elif patched:
            tries.append((result, *patched[0]))
    engines.look({edit.path: edit.after for _, _, patch in tries for edit in patch.edits if edit.after is not None})
    knowing = replace(engines, residues=residues_known(engines, [(f.rule.id, p) for _, f, p in tries]))
    with ThreadPoolExecutor(2) as pool:
        done = pool.map(lambda t: put_through(knowing, t[1], t[2], t[0].variant.files), tries)
        for (result, finding, patch), proof in zip(tries, done, strict=True):
            if proof.word not in PASSED:
                result.said = f"{proof.word.value}: {'; '.join(proof.reasons) or proof.checks[-1].said}"
            elif again := _again(finding, patch, result.variant):
                result.said = f"a second run changes it again: {again}"
    return results


def _again(finding: Finding, patch: Patch, variant: Variant) -> str:
    """What the fixer would change at the same place once more."""
    after = Memory({**variant.files, **{edit.path: edit.after for edit in patch.edits if edit.after is not None}})
    for edit in patch.edits:
        for number, _ in added_lines(edit) if edit.path == variant.path else ():
            changed = make_patch(FIXERS, replace(finding, location=Location(edit.path, number, number)), after)
            if changed is not None:
                return changed.title
    return ""


def _by_path(findings: Sequence[Finding]) -> dict[str, list[Finding]]:
    found: dict[str, list[Finding]] = {}
    for finding in findings:
        found.setdefault(finding.location.path, []).append(finding)
    return found
