"""Variants of the findings of the rules' examples and of the fixers' tables: does the patch pass, and does a second run change nothing?"""

from __future__ import annotations

import os
import random
from collections import Counter

from benchmarks.table import Shares
from pipeline.errors import EngineError
from pipeline.stages.examine import RunControl
from pipeline.stages.prove import Engines
from tests.e2e.variant_trials import all_variants, put_all_through, rules, some_variants
from tests.engines import INSTALLED

SAMPLE = 4
"""Of each rule."""


def run(quick: bool) -> Shares:
    """By rule: how many of the variants that count have no patch that passes. Each of them is named, with its text when VERBOSE is set."""
    shares = Shares("variants", "failed")
    engines = Engines(RunControl(INSTALLED, lambda: True), seconds=600)
    try:
        engines.infos()
    except EngineError as missing:
        shares.notes.append(f"nothing was tried: {missing.message}")
        return shares
    seed = int(os.environ.get("FIXWRIGHT_SEED", random.randrange(1_000_000)))
    wanted = rules()
    made = some_variants(seed, wanted, SAMPLE) if quick else all_variants(seed, wanted)
    results = put_all_through(engines, made)
    counted = Counter(result.variant.seed.rule for result in results if result.fired)
    passed = Counter(result.variant.seed.rule for result in results if result.fired and not result.said)
    kinds = Counter(result.variant.kind for result in results if result.fired)
    shares.notes.append(f"seed {seed}: {len(made)} variants of {len(wanted)} rules, the rule fires on {counted.total()}: {dict(kinds)}")
    for rule in wanted:
        shares.rows[rule] = (counted[rule] - passed[rule], counted[rule])
        if passed[rule] < 3:
            shares.notes.append(f"FEW: {rule} has {passed[rule]} variants that count and pass")
    for result in results:
        if result.said:
            shares.notes.append(f"{result.variant.seed.rule}, {result.variant.kind} of {result.variant.seed.name!r}: {result.said}")
            if os.environ.get("VERBOSE"):
                shares.notes.append("\n" + result.variant.text)
    return shares
