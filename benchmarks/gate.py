"""Bad patches at the gate: each operator of `tests/e2e/proof_operators.py` on each case of `tests/samples/proof`, with real engines."""

from __future__ import annotations

import random
from collections import defaultdict

from benchmarks.table import Shares
from pipeline.errors import EngineError
from pipeline.model.fix import ProofWord
from pipeline.patches import render_diff
from pipeline.stages.examine import RunControl
from pipeline.stages.prove import Engines
from tests.e2e.proof_trials import all_trials, put_all_through, sample
from tests.engines import INSTALLED

SAMPLE = 60


def run(quick: bool) -> Shares:
    """Every patch that the gate lets through is named."""
    shares = Shares("bad patches", "let through")
    engines = Engines(RunControl(INSTALLED, lambda: True))
    try:
        engines.infos()
    except EngineError as missing:
        shares.notes.append(f"nothing was tried: {missing.message}")
        return shares
    trials = all_trials(engines)
    if quick:
        seed = random.randrange(1_000_000)
        shares.notes.append(f"a sample of {len(trials)}, seed {seed}")
        trials = sample(trials, SAMPLE, seed)
    unchecked = 0
    through_by: dict[str, list[str]] = defaultdict(list)
    for trial, proof in zip(trials, put_all_through(engines, trials), strict=True):
        wrong, tried = shares.rows.get(trial.kind, (0, 0))
        through = proof.word in (ProofWord.VERIFIED, ProofWord.RESCANNED)
        unchecked += proof.word is ProofWord.UNCHECKED
        shares.rows[trial.kind] = (wrong + through, tried + 1)
        if proof.word is not ProofWord.REFUSED:
            through_by[f"{proof.word.value}: {trial.case.rule}, {trial.operator}"].append(render_diff(trial.patch))
    shares.notes += [f"{len(diffs)} {what}, e.g.\n{diffs[0][:2000]}" for what, diffs in through_by.items()]
    shares.notes.append(f"{len({t.case.rule for t in trials})} rules, {len(shares.rows)} kinds; {unchecked} could not be checked")
    return shares
