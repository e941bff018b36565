"""Why a finding may stand: which entry of a policy means it, until when, and which of several reasons counts."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.finding import Confidence, Finding, Location, Rule, Severity, Standing, Suppression, SuppressionKind
from pipeline.model.ids import Handle
from pipeline.policy import Ignore, Policy
from pipeline.triage.gate import stand
from pipeline.triage.suppression import ignored_by_policy, suppressor

TODAY = date(2027, 1, 31)
PRINT = "v1:" + "3f" * 16
FINDING = Finding(
    Rule("python.sql-injection", "SQL", "Anyone can.", Severity.HIGH, Confidence.HIGH, 89), Location("app/db.py", 4, 4), PRINT, "semgrep"
)
HANDLES = {Handle("K7Q"): PRINT, Handle("M2D"): "v1:" + "00" * 16}


def entry(until: str = "2027-01-31", **fields: str) -> Ignore:
    return Ignore.model_validate({"reason": " constants only ", "until": until, **(fields or {"rule": "python.sql-injection"})})


def said(*entries: Ignore, today: date = TODAY, finding: Finding = FINDING) -> Suppression | None:
    return ignored_by_policy(Policy(ignore=entries), ".github/fixwright.yml:3", today, HANDLES)(finding)


@pytest.mark.parametrize(
    "fields",
    [
        {"rule": "python.sql-injection"},
        {"path": "app/"},
        {"path": "*.py", "rule": "python.sql-injection"},
        {"finding": "K7Q"},
        {"finding": "k7q"},
        {"finding": PRINT},
        {"finding": PRINT[:19]},
        {"finding": PRINT, "path": "app/db.py", "rule": "python.sql-injection"},
    ],
)
def test_an_entry_means_what_it_names(fields: dict[str, str]) -> None:
    found = said(entry(**fields))
    assert found == Suppression(SuppressionKind.POLICY, "constants only", ".github/fixwright.yml:3", TODAY)


@pytest.mark.parametrize(
    "fields",
    [
        {"rule": "python.sql"},
        {"path": "lib/"},
        {"path": "app/", "rule": "python.command-injection"},
        {"path": "lib/", "finding": PRINT},
        {"finding": "M2D"},
        {"finding": "XXX"},
        {"finding": "v1:" + "00" * 16},
    ],
)
def test_everything_that_an_entry_names_must_fit(fields: dict[str, str]) -> None:
    assert said(entry(**fields)) is None


def test_a_handle_that_nobody_has_given_yet_means_nobody() -> None:
    suppressed = ignored_by_policy(Policy(ignore=(entry(finding="K7Q"),)), "p.yml", TODAY, {})
    assert suppressed(FINDING) is None


def test_the_last_day_counts_and_the_day_after_lets_the_finding_count_again_as_expired() -> None:
    on_time, late = said(entry(), today=TODAY), said(entry(), today=TODAY + timedelta(days=1))
    assert on_time is not None and not on_time.expired
    assert late is not None and late.expired and late.until == TODAY
    assert stand(Policy(), FINDING, on_time) is Standing.WAIVED
    assert stand(Policy(), FINDING, late) is Standing.BLOCKS


@pytest.mark.parametrize(
    "until",
    ["soon", "2027-02-31", "31.01.2027", "2027-1-31", "20270131", "2027-W04-7", "9999-99-99", "never", "\uff12\uff10\uff12\uff17-01-31"],
)
def test_what_is_no_date_is_over_already(until: str) -> None:
    found = said(entry(until))
    assert found is not None and found.expired and found.until is None
    assert stand(Policy(), FINDING, found) is Standing.BLOCKS


def test_of_several_entries_one_that_holds_counts() -> None:
    found = said(entry("2020-01-01"), entry("2027-06-30", path="app/"), entry("soon"))
    assert found is not None and not found.expired and found.until == date(2027, 6, 30)


_ANSWERS = st.lists(st.none() | st.booleans(), max_size=5)


@given(_ANSWERS)
def test_the_first_reason_that_holds_counts_else_the_first_expired_one(answers: list[bool | None]) -> None:
    """True: expired; False: holds; None: says nothing."""
    made = [
        None if expired is None else Suppression(SuppressionKind.WAIVER, f"{n}", "ada", expired=expired)
        for n, expired in enumerate(answers)
    ]
    found = suppressor(*((lambda _, one=one: one) for one in made))(FINDING)
    holding = [one for one in made if one is not None and not one.expired]
    known = [one for one in made if one is not None]
    assert found == (holding[0] if holding else known[0] if known else None)


def test_an_ignored_finding_that_would_only_be_counted_is_counted_all_the_same() -> None:
    quiet = Policy(gate={"rules": {"python.sql-injection": "count"}})
    assert stand(quiet, FINDING, said(entry())) is Standing.COUNTED
