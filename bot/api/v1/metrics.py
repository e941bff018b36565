"""GET /metrics/rules: how often each rule was right. Not in the original contract."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, Field

from bot.api.context import Context, Reader
from bot.api.errors import documented
from pipeline.rulebook import load, measured
from pipeline.triage.precision import BAR, ENOUGH, RuleStanding, Voice, bounds, standings

router = APIRouter(prefix="/metrics", tags=["Metrics"])


class PublicShippedOutcomes(BaseModel):
    """What was measured on public repositories before the rule was shipped."""

    right: int
    wrong: int


class PublicRuleOutcomes(BaseModel):
    """What became of a rule's findings in this organization."""

    fixed: int = Field(description="The flagged code went, or a person said that it is mended.")
    wrong: int = Field(description="A person called it a false finding.")
    let_stand: int = Field(description="Waived or ignored, and still so.")
    expired: int = Field(description="Waivers that ended by themselves; they count for nothing.")


class PublicRuleMetrics(BaseModel):
    """One rule."""

    rule_id: str
    title: str | None = Field(description="null for a rule that is not one of ours, or is not any more.")
    heard: Voice = Field(
        description="speaks: a thread on the line, also without a patch. with_a_fix: a thread beside a patch that passed the gate. "
        "quiet: no thread, because people here let its findings stand. shadow: only watched."
    )
    shipped: PublicShippedOutcomes
    here: PublicRuleOutcomes
    precision: float | None = Field(description="Share of all decided findings that were right; null while none is decided.")
    precision_low: float | None = Field(description="Lower end of its 95 % interval (Wilson).")
    precision_high: float | None


class PublicRuleMetricsList(BaseModel):
    """Every rule."""

    rules: list[PublicRuleMetrics]
    bar: float = Field(description="A rule speaks without a patch when its precision is at least this.")
    enough: int = Field(description="And when so many of its findings are decided.")


@router.get("/rules", responses=documented(), summary="Return how often each rule was right")
def rules(api: Context, principal: Reader) -> PublicRuleMetricsList:
    """Counts and bounds of each rule, of what was shipped with it and of this organization's own findings, and how it is heard in pull
    requests because of them."""
    with api.database.read() as work:
        here = work.rule_outcomes.of(principal.organization.id)
    found = standings(load().rules, measured(), here)
    return PublicRuleMetricsList(rules=[_public(one) for one in found], bar=BAR, enough=ENOUGH)


def _public(one: RuleStanding) -> PublicRuleMetrics:
    known, here = one.known, one.here
    low, high = bounds(known.fixed, known.decided) if known.decided else (None, None)
    return PublicRuleMetrics(
        rule_id=one.id,
        title=one.rule.title if one.rule else None,
        heard=one.voice,
        shipped=PublicShippedOutcomes(right=one.shipped.fixed, wrong=one.shipped.wrong),
        here=PublicRuleOutcomes(fixed=here.fixed, wrong=here.wrong, let_stand=here.let_stand, expired=here.expired),
        precision=known.precision,
        precision_low=low,
        precision_high=high,
    )
