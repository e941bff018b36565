"""Counts of findings: whatever happens to them, the kept numbers are those that counting gives."""

from __future__ import annotations

import random
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from datetime import date, timedelta

from sqlalchemy import select

from pipeline.errors import StaleWrite
from pipeline.model.finding import Finding, Severity
from pipeline.model.ids import FindingId
from pipeline.store.decisions import Decision
from pipeline.store.engine import Database
from pipeline.store.listing import STATUSES
from pipeline.store.seen import PULL
from pipeline.store.tables import finding_counts, finding_states, findings
from pipeline.store.work import Work
from tests.unit.store.samples import INSTALLATION, RULE, commit, finding, repository, review

TODAY = date(2026, 11, 23)


def kind(number: int) -> Finding:
    return replace(finding(number), rule=replace(RULE, id=f"python.rule-{number % 3}", severity=Severity(number % 4 + 1)))


def counted(work: Work) -> Counter[tuple[str, str, str, int]]:
    joined = finding_states.join(findings, findings.c.id == finding_states.c.finding_id)
    columns = (finding_states.c.branch, findings.c.rule_id, finding_states.c.shown, finding_states.c.severity)
    rows = work.transaction.execute(select(*columns).select_from(joined))
    return Counter((row.branch, row.rule_id, row.shown, row.severity) for row in rows)


def kept(work: Work) -> Counter[tuple[str, str, str, int]]:
    rows = work.transaction.execute(select(finding_counts).where(finding_counts.c.count != 0))
    return Counter({(row.branch, row.rule_id, row.shown, row.severity): row.count for row in rows})


def test_whatever_happens_the_kept_numbers_are_those_of_counting(database: Database) -> None:
    chance = random.Random(7)
    with database.work() as work:
        where = repository(work)
        home = work.installations.upsert(INSTALLATION)
        work.organizations.settle(one_each=False)
        work.organizations.move(home, "default")
        organization = work.organizations.named("default").id
    for step in range(40):
        with database.work() as work:
            made = review(work, key=f"step {step}")
            branch = chance.choice(("main", "side", f"{PULL}7"))
            some = [kind(number) for number in chance.sample(range(12), 5)]
            ids = [FindingId(one) for one in work.transaction.execute(select(findings.c.id)).scalars()]
            match chance.randrange(6):
                case 0 | 1:
                    work.findings.remember(where, some, made, branch, commit("a"))
                case 2:
                    work.findings.remember(where, some[:2], made, branch, commit("a"), fixed=some[2:])
                case 3 if ids:
                    key = work.listing.key_of(chance.choice(ids), [(where, "main")])
                    until = TODAY + timedelta(days=chance.randrange(-2, 2))
                    if key is not None:
                        # Of one that is gone nothing but that can be said.
                        with suppress(StaleWrite), work.apart():
                            work.decisions.decide(key, commit("a"), Decision(chance.choice(STATUSES), "a", until=until))
                case 4:
                    for one, at in work.decisions.run_out(TODAY):
                        assert work.decisions.expire(one, at, TODAY)
                case _ if step % 3 == 0:
                    work.findings.close_pull_request(where, 7, made, commit("a"))
                case _ if step % 3 == 1:
                    work.findings.merge_pull_request(where, 7, "main", made, commit("a"), scanned=False)
                case _:
                    work.findings.delete_branch(where, "side", commit("a"))
            assert kept(work) == counted(work), step
    with database.read() as work:
        truth = counted(work)
        assert len(truth) > 10
        by_severity, by_rule = Counter[tuple[int, str]](), Counter[tuple[str, str]]()
        for (branch, rule, word, severity), number in truth.items():
            if branch == "main":
                by_severity[severity, word] += number
                by_rule[rule, word] += number
        assert work.finding_counts.standing(organization) == by_severity
        assert work.finding_counts.rules(organization) == by_rule
        assert work.finding_counts.rules(organization, []) == {}
