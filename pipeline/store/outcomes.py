"""What became of findings, by organization and rule: counted when an event gets its place in the log, by its only writer, so that each is
counted once and reading needs no history."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from sqlalchemy import Select, and_, case, func, literal, not_, select

from pipeline.model.account import DEFAULT
from pipeline.model.ids import OrganizationId
from pipeline.model.target import Installation
from pipeline.model.waiver import OF_A_KEY
from pipeline.store.tables import finding_events, findings, installations, organizations, rule_outcomes
from pipeline.store.transaction import Transaction
from pipeline.triage.precision import Outcomes

NOBODY_MENDED = ("the change was closed", "the branch was deleted")
"""Details of a `resolved_auto` that says nothing about the rule."""
OPENED_AGAIN = "the change was opened again"

_MOVES: dict[str, dict[str, int]] = {
    "fixed": {"fixed": 1},
    "back": {"fixed": -1},
    "wrong": {"wrong": 1},
    "not_wrong": {"wrong": -1},
    "let_stand": {"let_stand": 1},
    "not_let_stand": {"let_stand": -1},
    "expired": {"let_stand": -1, "expired": 1},
    "wrong_after_all": {"let_stand": -1, "wrong": 1},
    "right_after_all": {"wrong": -1, "let_stand": 1},
}
"""What an event changes in the counts."""


class RuleOutcomes:
    """Rows of `rule_outcomes`. Part of a `Work`."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def count(self, after: int, last: int) -> None:
        """Take in the events with the numbers `after` + 1 to `last`, once: to be called in the transaction that gives them."""
        changed: Counter[tuple[str, str, str]] = Counter()
        for row in self._transaction.execute(_moved(after, last)):
            for outcome, step in _MOVES[row.move].items():
                changed[row.organization_id, row.rule_id, outcome] += step * int(row.total)
        rows = [
            {"organization_id": organization, "rule_id": rule, "outcome": outcome, "count": count}
            for (organization, rule, outcome), count in sorted(changed.items())
            if count
        ]
        if not rows:
            return
        statement = self._transaction.insert(rule_outcomes)
        sums = {"count": rule_outcomes.c.count + statement.excluded.count}
        statement = statement.on_conflict_do_update(index_elements=["organization_id", "rule_id", "outcome"], set_=sums)
        self._transaction.connection.execute(statement, rows)

    def of(self, organization: OrganizationId, rules: Collection[str] | None = None) -> dict[str, Outcomes]:
        """What became of an organization's findings, by rule, sorted; without rules of which nothing is known.

        Args:
            rules: these alone.
        """
        mine = [rule_outcomes.c.organization_id == organization]
        if rules is not None:
            mine.append(rule_outcomes.c.rule_id.in_(sorted(rules)))
        found: dict[str, dict[str, int]] = {}
        for row in self._transaction.execute(select(rule_outcomes).where(*mine).order_by(rule_outcomes.c.rule_id)):
            # One that came back, or was taken back, may have been counted before there were counts.
            found.setdefault(row.rule_id, {})[row.outcome] = max(0, int(row._mapping["count"]))
        return {rule: Outcomes(**counts) for rule, counts in found.items()}

    def near(self, installation: Installation, rules: Collection[str]) -> dict[str, Outcomes]:
        """Likewise, of the organization that an installation is in."""
        fallback = select(organizations.c.id).where(organizations.c.slug == DEFAULT).scalar_subquery()
        same = (
            installations.c.provider == installation.provider,
            installations.c.instance == installation.instance,
            installations.c.external_id == installation.external_id,
        )
        home = self._transaction.execute(select(func.coalesce(installations.c.organization_id, fallback)).where(*same)).scalar_one_or_none()
        return self.of(OrganizationId(home), rules) if home else {}


def _moved(after: int, last: int) -> Select[tuple[str, str, str, int]]:
    """How many findings of each organization and rule made which move; one with several branches makes it once."""
    event = finding_events.c
    person = event.actor != ""
    # A waiver that came with a status is said by the event of that.
    alone = not_(event.actor.endswith(OF_A_KEY))
    gone = event.kind.in_(("resolved_auto", "resolved_manual", "resolved_pr_merged", "rotated"))
    said = event.kind.in_(("status_changed", "resolved_manual", "reopened"))
    move = case(
        (and_(said, event.previous == "ignored", event.now == "false_positive"), literal("wrong_after_all")),
        (and_(said, event.previous == "false_positive", event.now == "ignored"), literal("right_after_all")),
        (and_(said, event.now == "false_positive"), literal("wrong")),
        (and_(said, event.now == "ignored"), literal("let_stand")),
        (and_(said, event.previous == "false_positive", event.now != "resolved"), literal("not_wrong")),
        (and_(said, event.previous == "ignored", event.now != "resolved", person), literal("not_let_stand")),
        (and_(said, event.previous == "ignored", event.now != "resolved"), literal("expired")),
        (and_(gone, event.previous.in_(("ignored", "false_positive"))), literal("")),
        (and_(gone, event.detail.not_in(NOBODY_MENDED)), literal("fixed")),
        (and_(event.kind == "reopened", event.detail != OPENED_AGAIN), literal("back")),
        (and_(event.kind == "waived", alone), literal("let_stand")),
        (and_(event.kind == "waiver_ended", alone), literal("not_let_stand")),
        (and_(event.kind == "waiver_expired", not_(event.detail.endswith(OF_A_KEY))), literal("expired")),
        else_=literal(""),
    ).label("move")
    new = (
        select(event.organization_id, findings.c.rule_id, move, event.finding_id)
        .select_from(finding_events.join(findings, findings.c.id == event.finding_id))
        .where(event.sequence > after, event.sequence <= last)
        .subquery()
    )
    total = func.count(new.c.finding_id.distinct()).label("total")
    columns = (new.c.organization_id, new.c.rule_id, new.c.move)
    return select(*columns, total).where(new.c.move != "", new.c.organization_id != "").group_by(*columns)
