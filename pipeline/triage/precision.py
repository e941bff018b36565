"""How often a rule is right, and whether it may open threads for that. Pure.

Two sources, counted apart: what is shipped with the rules (places of public repositories that two people looked at), and what people here
made of its findings. A rule speaks when it is known to be right; it goes quiet when people here were shown to want it gone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from pipeline.model.finding import Rule

BAR = 0.9
"""Of what a rule says in a thread of its own, so much has to be right (ARCHITECTURE, "Attention")."""
ENOUGH = 20
"""Decided findings that a figure needs before a rule may speak because of it. Of fewer, 0.9 is a matter of luck."""
NINETY_FIVE, FOR_SURE = 1.96, 3.29
"""Standard deviations of a two-sided bound: of 95 %, which is shown, and of 99.9 %, below which a rule goes quiet. It is looked at after
each answer, so a bound of 95 % would silence a right rule sooner or later."""


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What became of a rule's findings. A finding counts once for each end that it came to, in the order of the event log."""

    fixed: int = 0
    """The flagged code went, by whatever hand, or a person said that it is mended; a change that was given up is not counted."""
    wrong: int = 0
    """A person called it a false finding."""
    let_stand: int = 0
    """Waived or ignored, and still so: maybe right, but nobody wanted to read it."""
    expired: int = 0
    """Waivers that ended by themselves; they say nothing."""

    @property
    def decided(self) -> int:
        """Findings to which somebody answered by doing something."""
        return self.fixed + self.wrong + self.let_stand

    @property
    def precision(self) -> float | None:
        """Share of the decided ones that were fixed; None while there is none."""
        return self.fixed / self.decided if self.decided else None

    def __add__(self, other: Outcomes) -> Outcomes:
        return Outcomes(self.fixed + other.fixed, self.wrong + other.wrong, self.let_stand + other.let_stand, self.expired + other.expired)


class Voice(StrEnum):
    """How a rule may be heard in a pull request. Its findings are in the check and the lists whatever it is."""

    SPEAKS = "speaks"
    """A thread on the line, also without a patch."""
    WITH_A_FIX = "with_a_fix"
    """A thread only beside a patch that passed the gate."""
    QUIET = "quiet"
    """No thread: people here let its findings stand."""
    SHADOW = "shadow"
    """Nothing is shown; it is only watched."""


def bounds(right: int, of: int, deviations: float = NINETY_FIVE) -> tuple[float, float]:
    """The interval in which a share lies: Wilson's (E. B. Wilson, JASA 22, 1927), which holds for few and for extreme shares, too.

    Args:
        of: how many there were; 0 gives (0.0, 1.0): nothing is known.
    """
    if not of:
        return 0.0, 1.0
    square, share = deviations * deviations, right / of
    middle = (share + square / (2 * of)) / (1 + square / of)
    half = deviations / (1 + square / of) * math.sqrt(share * (1 - share) / of + square / (4 * of * of))
    return max(0.0, middle - half), min(1.0, middle + half)


def voice_of(shipped: Outcomes, here: Outcomes, *, shadow: bool = False) -> Voice:
    """How a rule may be heard.

    Args:
        shipped: what was measured before the rule was shipped.
        here: of this organization's own findings.
        shadow: the rule is only watched as it is shipped.
    """
    if shadow:
        return Voice.SHADOW
    if here.decided and bounds(here.fixed, here.decided, FOR_SURE)[1] < BAR:
        return Voice.QUIET
    known = shipped + here
    speaks = known.decided >= ENOUGH and known.fixed >= BAR * known.decided
    return Voice.SPEAKS if speaks else Voice.WITH_A_FIX


@dataclass(frozen=True, slots=True)
class RuleStanding:
    """A rule as it is heard in one organization."""

    id: str
    rule: Rule | None
    """None: this version does not have it any more, or an engine has it of its own."""
    shipped: Outcomes
    here: Outcomes
    voice: Voice

    @property
    def known(self) -> Outcomes:
        """Both together."""
        return self.shipped + self.here


def shipped_of(measured: Mapping[str, tuple[int, int]], rule: str) -> Outcomes:
    """What is shipped with a rule, as outcomes.

    Args:
        measured: by rule, how many of its findings were right and how many wrong.
    """
    right, wrong = measured.get(rule, (0, 0))
    return Outcomes(fixed=right, wrong=wrong)


def standings(rules: Mapping[str, Rule], measured: Mapping[str, tuple[int, int]], here: Mapping[str, Outcomes]) -> list[RuleStanding]:
    """Every rule that is known or was heard of, sorted by its id."""
    found = []
    for name in sorted({*rules, *here}):
        rule, shipped, mine = rules.get(name), shipped_of(measured, name), here.get(name, Outcomes())
        found.append(RuleStanding(name, rule, shipped, mine, voice_of(shipped, mine, shadow=rule is not None and rule.shadow)))
    return found
