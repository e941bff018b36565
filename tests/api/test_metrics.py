"""What became of each rule's findings: counted once for each end, as the log has them, and nobody else's."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from pipeline.model.finding import Severity, SuppressionKind
from pipeline.model.ids import ReviewId
from pipeline.model.target import UserRef
from pipeline.model.waiver import Waiver
from pipeline.store.seen import PULL
from tests.api.bench import ApiBench
from tests.api.seen import a_finding, a_review, log, remember
from tests.unit.store.samples import REPOSITORY, RULE, commit

ON_BOTH = pytest.mark.usefixtures("database_url")
TODAY = date(2026, 11, 23)


def here(api: ApiBench, rule: str = RULE.id) -> dict[str, Any]:
    log(api)
    found: list[dict[str, Any]] = api.caller.get("/metrics/rules")["rules"]
    return next((one["here"] for one in found if one["rule_id"] == rule), {})


def counts(fixed: int = 0, let_stand: int = 0, wrong: int = 0, expired: int = 0) -> dict[str, int]:
    return {"fixed": fixed, "wrong": wrong, "let_stand": let_stand, "expired": expired}


@ON_BOTH
def test_each_finding_counts_once_for_each_end_that_it_came_to(api: ApiBench) -> None:
    shop = api.know(REPOSITORY)
    some = [a_finding(number) for number in range(6)]
    ids = remember(api, some)
    assert here(api) == counts()
    assert log(api) == 0
    remember(api, some[1:], key="b", gone=some[:1])
    assert here(api) == counts(fixed=1)
    assert here(api) == counts(fixed=1)  # the log is read once
    for one, status in ((ids[1], "false_positive"), (ids[2], "ignored"), (ids[3], "resolved"), (ids[4], "ignored")):
        api.caller.patch(f"/repositories/{shop}/findings/{one}", {"status": status})
    assert here(api) == counts(fixed=2, wrong=1, let_stand=2)
    # Taken back, and said otherwise.
    api.caller.patch(f"/repositories/{shop}/findings/{ids[1]}", {"status": "ignored"})
    api.caller.patch(f"/repositories/{shop}/findings/{ids[4]}", {"status": "open"})
    assert here(api) == counts(fixed=2, let_stand=2)
    # It came back: it was not mended.
    remember(api, some[:1], key="c")
    assert here(api) == counts(fixed=1, let_stand=2)


@ON_BOTH
def test_what_was_given_up_says_nothing_of_a_rule(api: ApiBench) -> None:
    api.know(REPOSITORY)
    some = [a_finding(1), a_finding(2, Severity.LOW)]
    remember(api, some, branch=f"{PULL}7")
    remember(api, some, branch="side")
    with api.app.database.work() as work:
        made = a_review(work, REPOSITORY, "closing")
        work.findings.close_pull_request(work.installations.identify(REPOSITORY), 7, made, commit("a"))
        work.findings.delete_branch(work.installations.identify(REPOSITORY), "side", commit("a"))
    assert here(api) == counts()
    with api.app.database.work() as work:
        again: ReviewId = a_review(work, REPOSITORY, "opening")
        work.findings.reopen_pull_request(work.installations.identify(REPOSITORY), 7, again, commit("a"))
    assert here(api) == counts()


@ON_BOTH
def test_a_waiver_counts_while_it_holds(api: ApiBench) -> None:
    api.know(REPOSITORY)
    one, two, three = a_finding(1), a_finding(2), a_finding(3)
    remember(api, [one, two, three])
    with api.app.database.work() as work:
        where = work.installations.identify(REPOSITORY)
        made = a_review(work, REPOSITORY, "main:a")
        given = Waiver("", where, SuppressionKind.WAIVER, one.fingerprint, "", "later", UserRef("1", "ada"), TODAY, date(2026, 11, 1))
        for waiver in (given, replace(given, fingerprint=two.fingerprint, until=None)):
            work.waivers.add(waiver, review=made, branch="main", commit="")
        rotated = replace(given, kind=SuppressionKind.ROTATED, fingerprint=three.fingerprint, until=None)
        work.waivers.add(rotated, review=made, branch="main", commit="")
    assert here(api) == counts(let_stand=2, fixed=1)
    with api.app.database.work() as work:
        for waiver in work.waivers.run_out(TODAY):
            assert work.waivers.expire(waiver)
    assert here(api) == counts(let_stand=1, expired=1, fixed=1)


@ON_BOTH
def test_another_organization_has_its_own_counts(api: ApiBench) -> None:
    api.know(REPOSITORY)
    remember(api, [a_finding(1)])
    remember(api, [], key="b", gone=[a_finding(1)])
    assert here(api)["fixed"] == 1
    assert all(not any(one["here"].values()) for one in api.other.get("/metrics/rules")["rules"])


def test_every_rule_is_listed_with_how_it_is_heard(api: ApiBench) -> None:
    answer = api.caller.get("/metrics/rules")
    assert (answer["bar"], answer["enough"]) == (0.9, 20)
    known = {one["rule_id"]: one for one in answer["rules"]}
    assert known["python.sql-injection"]["title"]
    assert {one["heard"] for one in answer["rules"]} <= {"speaks", "with_a_fix", "shadow"}
    assert known["dockerfile.curl-pipe-shell"]["heard"] == "shadow"
