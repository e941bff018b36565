"""Small repositories with strong, weak and blind tests: is "verified" ever said of a fix whose changed lines no test reaches?"""

from __future__ import annotations

import os
import random
from collections import Counter

from benchmarks.table import Tally
from pipeline.errors import EngineError
from pipeline.model.fix import ProofWord
from pipeline.stages.examine import RunControl
from pipeline.stages.prove import Engines
from tests.e2e.suite_trials import Result, put_all_through, repositories
from tests.engines import INSTALLED

SAMPLE = 8
COLUMNS = ("fixes", "reached", "verified", "re-scanned", "refused", "FALSE")


def run(quick: bool) -> Tally:
    """By suite; FALSE counts what is called verified where the tests do not run every place that the patch changes."""
    tally = Tally("the words for fixes in repositories of known tests", COLUMNS)
    engines = Engines(RunControl(INSTALLED, lambda: True), seconds=600)
    try:
        engines.infos()
    except EngineError as missing:
        tally.notes.append(f"nothing was tried: {missing.message}")
        return tally
    seed = int(os.environ.get("FIXWRIGHT_SEED", random.randrange(1_000_000)))
    wanted = repositories(seed)
    if quick:
        wanted = random.Random(seed).sample(wanted, SAMPLE)
    results = put_all_through(engines, wanted)
    counted: dict[str, Counter[str]] = {}
    for result in results:
        suite = result.repository.suite
        counted.setdefault(f"{suite.kind}: {suite.words}", Counter()).update(_count(result))
        tally.notes += _notes(result)
    kinds: dict[str, Counter[str]] = {}
    for what, counts in counted.items():
        kinds.setdefault(f"all {what.partition(':')[0]}", Counter()).update(counts)
    for what, counts in sorted(counted.items(), key=lambda row: ("strong", "weak", "half", "blind").index(row[0].partition(":")[0])):
        tally.rows[what] = tuple(counts[column] for column in COLUMNS)
    for what, counts in kinds.items():
        tally.rows[what] = tuple(counts[column] for column in COLUMNS)
    languages = Counter(one.language for one in wanted)
    rules = {one.subject.rule for one in wanted}
    tally.notes.append(f"seed {seed}: {len(wanted)} repositories {dict(languages)}, {len(rules)} rules")
    return tally


def _count(result: Result) -> Counter[str]:
    counts = Counter(fixes=1, reached=int(result.reached))
    if result.word is not None:
        counts[result.word.value] += 1
    counts["FALSE"] += result.word is ProofWord.VERIFIED and not result.reached
    return counts


def _notes(result: Result) -> list[str]:
    kind = result.repository.suite.kind
    notes = []
    if result.word is ProofWord.VERIFIED and not result.reached:
        notes.append(f"FALSE: {result.repository.name}")
    if (
        result.word is None
        or result.word in (ProofWord.REFUSED, ProofWord.UNCHECKED)
        or (kind == "strong" and result.word is not ProofWord.VERIFIED)
    ):
        notes.append(f"{result.repository.name}: {result.word or 'nothing'}: {result.said}")
    if kind != "half" and result.reached != (kind != "blind"):
        notes.append(f"NOT AS MADE: {result.repository.name}: the tests {'reach' if result.reached else 'do not reach'} it")
    return notes
