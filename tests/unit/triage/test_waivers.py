"""Which findings a waiver covers, and what may be one."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from pipeline.model.finding import Finding, SuppressionKind
from pipeline.model.ids import RepositoryId
from pipeline.model.target import UserRef
from pipeline.model.waiver import Waiver
from pipeline.triage.waivers import cover, is_own, last_day, reason_fault, suppression_of, waived
from tests.build_reports import leak, mark, weakness

TODAY = date(2026, 11, 22)
GIVEN = Waiver(
    id="1",
    repository=RepositoryId("r"),
    kind=SuppressionKind.WAIVER,
    fingerprint=mark("query"),
    handle="K7Q",
    reason="a fixture of the tests",
    person=UserRef("5", "bob"),
    since=TODAY,
    until=TODAY + timedelta(days=90),
    path="app/db.py",
    line=41,
)


def at(path: str, line: int) -> Finding:
    return weakness(path, line)


def covered(found: list[Finding], *given: Waiver, today: date = TODAY, author: str = "") -> list[str]:
    """Id of the waiver of each finding, empty for none."""
    covering = cover(given, found, today, author)
    return [getattr(covering(finding), "id", "") for finding in found]


def test_a_waiver_covers_its_finding_and_no_other_one() -> None:
    other = weakness("app/db.py", 41, what="another line")
    assert covered([at("app/db.py", 41), other], GIVEN) == ["1", ""]


def test_of_several_places_the_one_is_covered_that_is_nearest_to_where_it_was_given() -> None:
    assert covered([at("a.py", 41), at("app/db.py", 90), at("app/db.py", 50)], GIVEN) == ["", "", "1"]
    assert covered([at("renamed.py", 70)], GIVEN) == ["1"], "a renamed file keeps its waiver"


def test_two_waivers_of_two_places_follow_their_places_when_lines_move() -> None:
    second = replace(GIVEN, id="2", line=90)
    assert "" not in covered([at("app/db.py", 86), at("app/db.py", 135)], second, GIVEN)


def test_two_people_who_waive_one_place_do_not_waive_two() -> None:
    second = replace(GIVEN, id="2", person=UserRef("6", "carol"))
    assert covered([at("app/db.py", 41), at("copy.py", 41)], second, GIVEN) == ["2", ""]


def test_an_expired_one_covers_nothing_that_a_newer_one_covers() -> None:
    old = replace(GIVEN, id="old", until=TODAY - timedelta(days=1))
    assert covered([at("app/db.py", 41)], old) == ["old"]
    assert covered([at("app/db.py", 41)], old, GIVEN) == ["1"]
    suppressed = waived([old], [at("app/db.py", 41)], TODAY)(at("app/db.py", 41))
    assert suppressed is not None
    assert suppressed.expired


def test_its_last_day_counts() -> None:
    last = replace(GIVEN, until=TODAY)
    assert not suppression_of(last, TODAY).expired
    assert suppression_of(last, TODAY + timedelta(days=1)).expired


def test_the_word_of_the_changes_own_author_does_not_count() -> None:
    assert covered([at("app/db.py", 41)], GIVEN, author="5") == [""]
    assert covered([at("app/db.py", 41)], GIVEN, author="6") == ["1"]


def test_another_secret_on_the_same_line_is_another_finding() -> None:
    secret = replace(GIVEN, fingerprint=mark("leak"), keyed_hash="a", path="config/prod.py", line=7)
    assert covered([leak(value="a"), leak(value="b")], secret) == ["1", ""]


def test_a_revoked_secret_is_dead_wherever_it_stands_and_has_no_end() -> None:
    revoked = replace(GIVEN, kind=SuppressionKind.ROTATED, fingerprint=mark("leak"), keyed_hash="a", until=None)
    elsewhere = replace(leak("other.py", 3, value="a"), fingerprint=mark("another line"))
    found = [leak(value="a"), leak(line=9, value="a"), elsewhere, leak(value="b"), at("app/db.py", 41)]
    assert covered(found, revoked, today=TODAY + timedelta(days=9999)) == ["1", "1", "1", "", ""]


def test_places_are_found_whatever_their_order() -> None:
    found = [at("app/db.py", n) for n in (41, 50, 60)]
    given = [replace(GIVEN, id=str(n), line=n) for n in (41, 60)]
    assert covered(found[::-1], *given) == covered(found, *given[::-1])[::-1] == ["60", "", "41"]


@pytest.mark.parametrize(
    ("reason", "fault"),
    [
        ("", "none"),
        ("  ", "none"),
        ("reason", "none"),
        ("<reason>", "none"),
        ("TODO", "none"),
        ("\u200b\u200b\u200b\u200b\u200b\u200b\u200b\u200b\u200b", "none"),
        ("why", "short"),
        ("12345678901", "short"),
        ("a fixture", ""),
        ("テスト用のデータです、本番では使いません", ""),
        ("x" * 500, ""),
        ("x" * 501, "long"),
    ],
)
def test_a_reason_says_something(reason: str, fault: str) -> None:
    assert reason_fault(reason) == fault


def test_the_last_day_stays_in_the_calendar() -> None:
    assert last_day(TODAY, 90) == date(2027, 2, 20)
    assert last_day(date.max, 90) == date.max


def test_the_operator_is_nobodys_author() -> None:
    assert not is_own("", "", {""})
    assert is_own("5", "5", ())
    assert is_own("5", "6", {"5"})
