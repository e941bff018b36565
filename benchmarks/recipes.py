"""Good patches at the gate: fixes that other people published, taken from the packages in which they were released.

`recipes.json` names them: package, the two versions, file, line and rule of the finding. The text is fetched by name with pip and npm when
the benchmark runs, and never kept here. Of the released change only what concerns the finding is tried: the changes in its function, the
imports and definitions that these use, and who used an import that went; a release does other things, too. Where it does them in the same
function, the recipe names the lines of the fix. A published change that is no good fix stays with the reason (`left_out`): it is tried and
counted by itself. `FIXWRIGHT_BENCH_CACHE` names a folder in which the packages stay.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter

from benchmarks.table import Shares
from pipeline.errors import EngineError
from pipeline.model.finding import Finding
from pipeline.model.fix import FileEdit, Patch, Proof, ProofWord
from pipeline.patches import changed_ranges, split_lines
from pipeline.policy import Policy
from pipeline.stages.examine import RunControl
from pipeline.stages.prove import Engines, prove
from pipeline.syntax import parses, scope_at
from tests.e2e.proof_cases import Memory
from tests.engines import INSTALLED

QUICK = ("whereis", "tablib")
"""Small packages, one of each registry."""
SOURCE = (".py", ".js", ".mjs", ".cjs", ".ts", ".json")
MAX_FILE = 400_000
SECONDS = 120
_NAME = re.compile(r"[A-Za-z_$][\w$]*")
_IMPORT = re.compile(rb"\s*(?:import\b|from\b.*\bimport\b|(?:const|let|var)\b.*\brequire\(|[\w$]+\s*=\s*require\()")
_DEFINES = re.compile(rb"\s*(?:def|class|function|(?:const|let|var))\s+([A-Za-z_$][\w$]*)|\s*([A-Za-z_$][\w$]*)\s*=[^=]")


class Recipe(BaseModel):
    """One published fix of one finding."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ecosystem: str
    package: str
    before: str
    after: str
    path: str
    line: int
    rule: str
    lines: tuple[int, ...] = ()
    """Where the fix stands in the old file, when the release changes other things in the same function; empty: all of the function."""
    left_out: str = ""
    """Why the published change is no good fix of this finding, in one sentence; empty for one that is."""


RECIPES: Sequence[Recipe] = TypeAdapter(tuple[Recipe, ...]).validate_json(Path(__file__).with_name("recipes.json").read_bytes())


def run(quick: bool) -> Shares:
    """Every refusal is named with its reason; what could not be had is counted."""
    shares = Shares("published good fixes", "refused")
    engines = Engines(RunControl(INSTALLED, lambda: True))
    try:
        engines.infos()
    except EngineError as missing:
        shares.notes.append(f"nothing was tried: {missing.message}")
        return shares
    wanted = [recipe for recipe in RECIPES if not quick or recipe.package in QUICK]
    lacking: set[str] = set()
    absent = 0
    left_out = [0, 0]
    with tempfile.TemporaryDirectory(prefix="fixwright-recipes-") as folder:
        cache = Path(os.environ.get("FIXWRIGHT_BENCH_CACHE") or folder)
        for recipe in wanted:
            before, after = (sources(cache, recipe, version) for version in (recipe.before, recipe.after))
            if not before or not after:
                lacking.add(f"{recipe.package} {recipe.after if before else recipe.before}")
                continue
            proof = tried(engines, recipe, before, after)
            if proof is None:
                absent += 1
                shares.notes.append(f"no such finding: {_named(recipe)}")
                continue
            accepted = proof.word in (ProofWord.VERIFIED, ProofWord.RESCANNED)
            if recipe.left_out:
                left_out[accepted] += 1
                shares.notes.append(f"left out ({'let through' if accepted else proof.word}): {_named(recipe)}: {recipe.left_out}")
                continue
            refused, number = shares.rows.get(recipe.rule, (0, 0))
            shares.rows[recipe.rule] = (refused + (not accepted), number + 1)
            if not accepted:
                shares.notes.append(f"{proof.word}: {_named(recipe)}: {'; '.join(proof.reasons)[:300]}")
    packages = len({recipe.package for recipe in wanted})
    shares.notes.append(f"{len(wanted)} recipes of {packages} packages{' (quick)' if quick else ''}, {absent} without the finding")
    shares.notes.append(f"{sum(left_out)} are left out of the figures, as they are no good fixes: {left_out[True]} of them let through")
    if lacking:
        shares.notes.append(f"could not be had ({len(lacking)}): {', '.join(sorted(lacking))}")
    return shares


def _named(recipe: Recipe) -> str:
    return f"{recipe.package} {recipe.before} to {recipe.after}, {recipe.path}:{recipe.line}, {recipe.rule}"


def tried(engines: Engines, recipe: Recipe, before: Mapping[str, bytes], after: Mapping[str, bytes]) -> Proof | None:
    """The gate's word on a recipe, without tests; None when the finding is not there or nothing concerns it."""
    found = _found(engines, recipe, before)
    finding = next((f for f in found if f.rule.id == recipe.rule and f.location.line == recipe.line), None)
    if finding is None or recipe.path not in after:
        return None
    content = concerning(recipe, before[recipe.path], after[recipe.path], finding)
    patch = Patch((FileEdit(recipe.path, before[recipe.path], content),), title="published fix")
    return prove(
        finding=finding,
        patch=patch,
        files=Memory(before),
        policy=Policy(),
        control=engines.control,
        run_tests=False,
        engines=engines,
        others=found,
    )


def _found(engines: Engines, recipe: Recipe, before: Mapping[str, bytes]) -> Sequence[Finding]:
    return engines.look({recipe.path: before[recipe.path]})[0] if recipe.path in before else ()


def concerning(recipe: Recipe, before: bytes, after: bytes, finding: Finding) -> bytes:
    """The file before with those changes that concern the finding; the whole new file when these do not parse by themselves."""
    old, new = split_lines(before), split_lines(after)
    scope = scope_at(recipe.path, before, finding.location.line)
    ranges = [r for r in changed_ranges(old, new) if _words(old[r[0] : r[1]]) != _words(new[r[2] : r[3]])]
    if recipe.lines:
        taken = [r for r in ranges if any(r[0] < line <= max(r[1], r[0] + 1) for line in recipe.lines)]
    else:
        taken = [r for r in ranges if _in_scope(recipe.path, before, after, r, scope) and not _imports(old[r[0] : r[1]], new[r[2] : r[3]])]
    while True:
        used = {name for _, _, first, end in taken for line in new[first:end] for name in _named_in(line)}
        # Whoever used what an import brought until now is changed with it.
        freed = {name for first, end, *_ in taken for line in old[first:end] if _IMPORT.match(line) for name in _defined([line])}
        more = [
            r
            for r in ranges
            if r not in taken
            and (not recipe.lines or _imports(old[r[0] : r[1]], new[r[2] : r[3]]))
            and (
                any(n in used for n in _defined(new[r[2] : r[3]])) or any(n in freed for line in old[r[0] : r[1]] for n in _named_in(line))
            )
        ]
        if not more:
            break
        taken += more
    out: list[bytes] = []
    at = 0
    for first_old, end_old, first, end in sorted(taken):
        out += [*old[at:first_old], *new[first:end]]
        at = end_old
    content = b"".join([*out, *old[at:]])
    return content if taken and parses(recipe.path, content) is not False else after


def _words(lines: Sequence[bytes]) -> bytes:
    """Lines without their blanks: other formatting is no part of a fix."""
    return b"".join(b"".join(lines).split())


def _in_scope(path: str, before: bytes, after: bytes, changed: tuple[int, int, int, int], scope: str) -> bool:
    """Whether a change lies in the function of the finding, before or after; at the top of a file everything that lies there does."""
    first_old, end_old, first, end = changed
    scopes = [scope_at(path, before, line + 1) for line in range(first_old, end_old)]
    scopes += [scope_at(path, after, line + 1) for line in range(first, end)]
    return any(found == scope or (scope and found.startswith(f"{scope}.")) for found in scopes)


def _named_in(line: bytes) -> Sequence[str]:
    return _NAME.findall(line.decode("utf-8", "replace"))


def _imports(old: Sequence[bytes], new: Sequence[bytes]) -> bool:
    """Whether a change is one of imports alone: it belongs to the fix only when the fix uses what they bring."""
    lines = [line for line in (*old, *new) if line.strip()]
    return bool(lines) and all(_IMPORT.match(line) for line in lines)


def _defined(lines: Sequence[bytes]) -> Iterator[str]:
    for line in lines:
        if named := re.match(rb"\s*(?:from\b.*?\bimport\b|import\b)(.*)", line):
            yield from (part.rsplit(b" as ", 1)[-1].strip(b" ()\r\n").decode("utf-8", "replace") for part in named[1].split(b","))
        elif match := _DEFINES.match(line):
            yield (match[1] or match[2]).decode("utf-8", "replace")


# --- packages -------------------------------------------------------------------------------------------------------------------------


def sources(cache: Path, recipe: Recipe, version: str) -> dict[str, bytes]:
    """Source files of a released package by their path in it; empty when it cannot be had."""
    place = cache / re.sub(r"[^\w.-]", "_", f"{recipe.ecosystem}-{recipe.package}-{version}")
    place.mkdir(parents=True, exist_ok=True)
    if not any(place.iterdir()):
        if recipe.ecosystem == "npm":
            _fetched(["npm", "pack", "--silent", "--ignore-scripts", f"{recipe.package}@{version}"], place)
        else:
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--disable-pip-version-check"]
            # Nothing of it is run, so it need not fit this Python.
            pip += ["--ignore-requires-python", "--dest", str(place)]
            pinned = f"{recipe.package}=={version}"
            # A wheel needs nothing to be run; an old release may have none.
            _fetched([*pip, "--only-binary=:all:", pinned], place) or _fetched([*pip, "--no-binary=:all:", pinned], place)
    archive = next(iter(sorted(place.iterdir())), None)
    return {} if archive is None else dict(_members(archive))


def _fetched(command: Sequence[str], place: Path) -> bool:
    try:
        done = subprocess.run(command, cwd=place, capture_output=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and any(place.iterdir())


def _members(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Name without the release's own folder, and content; nothing is written to the disk."""
    content = archive.read_bytes()
    if zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            for info in packed.infolist():
                if info.filename.endswith(SOURCE) and info.file_size <= MAX_FILE:
                    yield info.filename, packed.read(info)
        return
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        for member in tar:
            name = member.name.partition("/")[2]
            if member.isfile() and name.endswith(SOURCE) and member.size <= MAX_FILE:
                file = tar.extractfile(member)
                yield name, file.read() if file is not None else b""
