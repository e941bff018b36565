"""The repositories of `tests.e2e.suite_repositories`: what their tests really reach, and what the product says of their fixes.

What is reached is measured without the product: in a copy, every weak place leaves a mark in a file when it is run, and the suite is
started as people start it.
"""

from __future__ import annotations

import os
import random
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pipeline.fixers
from pipeline.model.finding import Finding
from pipeline.model.fix import Patch, ProofWord
from pipeline.patches import changed_ranges, split_lines
from pipeline.plugins import discover
from pipeline.policy import PolicyPlaces, read_document
from pipeline.ports import Fixer
from pipeline.stages.ladder import make_patch
from pipeline.stages.mend import Outcome, PatchedFiles, mend
from pipeline.stages.prove import Engines
from tests.e2e import suite_javascript, suite_python
from tests.e2e.proof_cases import Memory
from tests.e2e.proof_trials import residues_known
from tests.e2e.suite_repositories import Repository, made

FIXERS = tuple(discover(pipeline.fixers, "FIXER", Fixer).values())
SECONDS = 60


@dataclass
class Result:
    """What became of one finding of a repository."""

    repository: Repository
    patch: Patch | None
    word: ProofWord | None
    said: str
    """Why it is not verified."""
    reached: bool
    """Every place that the patch changes was run by the tests, as measured."""


def repositories(seed: int) -> list[Repository]:
    """All of them; the same for the same seed."""
    chance = random.Random(seed)
    return made(chance, suite_python.pairs(chance), suite_javascript.pairs(chance))


# --- what is true ---------------------------------------------------------------------------------------------------------------------


def reached(repository: Repository) -> set[int]:
    """Numbers of the weak places, in their order in the file, that run when its tests are run."""
    if not repository.command:
        return set()
    with tempfile.TemporaryDirectory(prefix="suite-") as name:
        marks, copy = Path(name, "marks"), Path(name, "copy")
        marks.mkdir()
        Memory({**repository.files, repository.path: _probed(repository, marks)}).materialise(copy)
        subprocess.run(
            repository.command,
            cwd=copy,
            env={"PATH": os.environ["PATH"], "HOME": name, "TMPDIR": name, "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
        return {int(mark.name) for mark in marks.iterdir()}


def _probed(repository: Repository, marks: Path) -> bytes:
    # On lines of their own: a suite that looks at their length first is to come to its tests.
    head, *parts = repository.texts[repository.path].split("«")
    out = [head]
    for number, part in enumerate(parts):
        inner, _, rest = part.partition("»")
        mark = str(marks / str(number))
        if repository.language == "python":
            out.append(f'(\n__import__("pathlib").Path("{mark}").touch()\nor {inner}){rest}')
        else:
            out.append(f'(\nprocess.getBuiltinModule("fs").writeFileSync("{mark}", ""),\n{inner}){rest}')
    return "".join(out).encode()


def places_of(repository: Repository, patch: Patch) -> set[int]:
    """Numbers of the weak places that a patch changes."""
    marked = repository.texts[repository.path].replace("»", "").split("\n")
    lines = {number: line.replace("«", "") for number, line in enumerate(line for line in marked if "«" in line)}
    edit = next(edit for edit in patch.edits if edit.path == repository.path)
    old = split_lines(edit.before or b"")
    changed = {
        old[at].decode().rstrip("\n")
        for first, end, _, _ in changed_ranges(old, split_lines(edit.after or b""))
        for at in range(first, end)
    }
    return {number for number, line in lines.items() if line in changed}


# --- what is said ---------------------------------------------------------------------------------------------------------------------


def put_all_through(engines: Engines, wanted: Sequence[Repository]) -> list[Result]:
    """Mend each as `fixwright fix` does; every engine starts a few times for all of them, as each has a module of another name."""
    found, _ = engines.look({one.path: one.files[one.path] for one in wanted})
    by_path = {one.path: [f for f in found if f.location.path == one.path] for one in wanted}
    knowing = replace(engines, residues=residues_known(engines, _look_ahead(engines, wanted, by_path)))
    with ThreadPoolExecutor(2) as pool:
        done = pool.map(lambda one: through(knowing, one, by_path[one.path]), wanted)
        return [result for results in done for result in results]


def _look_ahead(engines: Engines, wanted: Sequence[Repository], found: Mapping[str, list[Finding]]) -> list[tuple[str, Patch]]:
    """Let the engines look at all that the patches will leave, step by step: the second patch of a file is made on top of the first."""
    states = {one.path: Memory(dict(one.files)) for one in wanted}
    left = {path: list(findings) for path, findings in found.items()}
    made: list[tuple[str, Patch]] = []
    while any(left.values()):
        step: dict[str, bytes] = {}
        for path, findings in left.items():
            if not findings:
                continue
            finding = findings.pop(0)
            patch = make_patch(FIXERS, finding, states[path])
            if patch is None:
                continue
            made.append((finding.rule.id, patch))
            after = {edit.path: edit.after for edit in patch.edits if edit.after is not None}
            states[path] = Memory({**states[path].contents, **after})
            step |= after
        seen, _ = engines.look(step)
        for path in step:
            left[path] = [f for f in seen if f.location.path == path] if left.get(path) else []
    return made


def through(engines: Engines, repository: Repository, findings: Sequence[Finding]) -> list[Result]:
    """Mend one as `fixwright fix` does, each patch on top of those before it."""
    files = Memory(repository.files)
    policy = read_document(PolicyPlaces(), files.read).policy
    run = reached(repository)
    outcomes = list(mend(findings, PatchedFiles(files), FIXERS, policy, engines.control, engines=engines))
    return [_result(repository, outcome, run) for outcome in outcomes]


def _result(repository: Repository, outcome: Outcome, run: set[int]) -> Result:
    patch, proof = outcome.patch, outcome.proof
    if patch is None or proof is None:
        return Result(repository, patch, None, "no patch", False)
    places = places_of(repository, patch)
    assert places, f"{repository.name}: the patch changes another place than the one that is marked"
    said = "; ".join(check.said for check in proof.checks if not check.passed)
    return Result(repository, patch, proof.word, said, places <= run)
