"""An adversary of our own: known findings written otherwise, by rule and by way of writing. What is not seen any more has slipped.

The findings are those of the rules' bad examples and of the fixers' tables, so a new rule is taken in by itself. The rewriting keeps what
the code does: other names, one statement as several, a block around it, a text put together in another way, other names for what is
imported.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from pathlib import Path

from benchmarks.table import Shares
from pipeline.errors import EngineError
from pipeline.rulebook import load
from pipeline.stages.examine import RunControl
from pipeline.stages.prove import Engines
from tests.e2e.variant_trials import AS_IT_IS, SAMPLE, rewritten
from tests.engines import INSTALLED

MAY_NOT_BLOCK = 0.3
"""A rule that misses more than this share of what says the same in other words is too easily got around to hold a change up."""


def run(quick: bool) -> Shares:
    """By rule: how many of the rewritten findings it does not see. With FIXWRIGHT_EVASION=FOLDER each of them is written there."""
    shares = Shares("known findings written otherwise", "slipped")
    engines = Engines(RunControl(INSTALLED, lambda: True), seconds=900)
    try:
        engines.infos()
    except EngineError as missing:
        shares.notes.append(f"nothing was tried: {missing.message}")
        return shares
    seed = int(os.environ.get("FIXWRIGHT_SEED", random.randrange(1_000_000)))
    made = rewritten(seed, sorted(load().rules), SAMPLE if quick else None)
    seen = {(one.location.path, one.rule.id) for one in engines.look({v.path: v.text.encode() for v in made})[0]}
    # What the rule does not see as it stands (a fixer is tried on more than that) says nothing of rewriting.
    known = {(v.seed.rule, v.seed.name) for v in made if v.kind == AS_IT_IS and (v.path, v.seed.rule) in seen}
    made = [v for v in made if v.kind != AS_IT_IS and (v.seed.rule, v.seed.name) in known]
    slipped = [one for one in made if (one.path, one.seed.rule) not in seen]
    tried, missed = Counter(v.seed.rule for v in made), Counter(v.seed.rule for v in slipped)
    kinds, missed_kinds = Counter(v.kind for v in made), Counter(v.kind for v in slipped)
    for rule in sorted(tried):
        shares.rows[rule] = (missed[rule], tried[rule])
    shares.notes.append(f"seed {seed}; by way of writing: {', '.join(f'{k} {missed_kinds[k]} of {n}' for k, n in sorted(kinds.items()))}")
    above = sorted(rule for rule, number in tried.items() if missed[rule] > MAY_NOT_BLOCK * number)
    shares.notes.append(f"above {MAY_NOT_BLOCK:.0%}, and so may not block: {', '.join(above) or 'none'}")
    untried = sorted(set(load().rules) - set(tried))
    shares.notes.append(f"not tried, for want of a way to rewrite them: {', '.join(untried) or 'none'}")
    if folder := os.environ.get("FIXWRIGHT_EVASION"):
        for number, one in enumerate(slipped):
            case = Path(folder) / one.seed.rule / f"{number:04d}-{one.kind}{Path(one.path).suffix or '.txt'}"
            case.parent.mkdir(parents=True, exist_ok=True)
            case.write_text(one.text, "utf-8")
        shares.notes.append(f"{len(slipped)} cases written to {folder}")
    return shares
