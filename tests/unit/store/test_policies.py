"""The last policy that could be used is kept, replaced and forgotten; verdicts that rest on an entry that is over are found."""

from __future__ import annotations

from datetime import date

from pipeline.model.finding import BaselineState, Judged, Standing, Suppression, SuppressionKind
from pipeline.model.ids import RepositoryId, ReviewId
from pipeline.model.review import Conclusion, ReviewStatus, Verdict
from pipeline.store.engine import Database
from tests.unit.store.samples import INSTALLATION, REPOSITORY, change, finding, pull_request, review


def known(database: Database) -> RepositoryId:
    with database.work() as work:
        return work.installations.upsert_repository(REPOSITORY)


def test_a_repository_begins_without_a_policy(database: Database) -> None:
    repository = known(database)
    with database.read() as work:
        assert work.policies.last_good(repository) is None
        assert work.policies.newest(repository) is None


def test_the_last_one_is_kept_until_another_or_none_takes_its_place(database: Database) -> None:
    repository = known(database)
    seen = []
    for policy, source in (('{"schedule":"daily"}', "a at 1"), ('{"schedule":"daily"}', "a at 2"), ("{}", "a at 3"), (None, "")):
        with database.work() as work:
            work.policies.remember(repository, policy, source)
        with database.read() as work:
            seen.append(work.policies.last_good(repository))
    assert seen == [('{"schedule":"daily"}', "a at 1"), ('{"schedule":"daily"}', "a at 2"), ("{}", "a at 3"), None]


def test_the_newest_review_that_has_a_policy_is_the_newest(database: Database) -> None:
    with database.work() as work:
        for number, policy in enumerate(("{}", '{"schedule":"never"}', "")):
            review, _ = work.reviews.create(f"key {number}", INSTALLATION, change(), status=ReviewStatus.PLANNED)
            if policy:
                work.reviews.set_policy(review, policy, f"p at {number}", (), '{"notes":["x"]}')
                assert work.reviews.policy_record(review) == '{"notes":["x"]}'
            else:
                assert work.reviews.policy_record(review) == "{}"
    repository = known(database)
    with database.read() as work:
        assert work.policies.newest(repository) == ('{"schedule":"never"}', "p at 1", '{"notes":["x"]}')


def resting(database: Database, head: str, until: date | None, *, number: int = 7, expired: bool = False) -> ReviewId:
    """A review whose verdict rests on an entry of the policy until a day."""
    why = Suppression(SuppressionKind.POLICY, "only an example", ".github/fixwright.yml", until, expired=expired)
    judged = Judged(finding(), BaselineState.NEW, Standing.WAIVED, suppression=why)
    with database.work() as work:
        made = review(work, head, number=number)
        work.reviews.save_verdict(made, Verdict(Conclusion.SUCCESS, (judged,)))
    return made


def lapsed(database: Database, today: date) -> list[ReviewId]:
    with database.work() as work:
        return work.policies.lapsed(today)


def test_verdicts_that_rest_on_an_entry_that_is_over_are_given_once_the_newest_of_open_changes_only(database: Database) -> None:
    last = date(2026, 12, 24)
    resting(database, "a", last)
    newest = resting(database, "b", last)
    later = resting(database, "c", date(2026, 12, 25), number=8)
    resting(database, "d", None, number=9)
    resting(database, "e", last, number=10, expired=True)
    closed = resting(database, "f", last, number=11)
    with database.work() as work:
        work.reviews.mark_closed(pull_request(11))
    assert lapsed(database, last) == []
    assert lapsed(database, date(2026, 12, 25)) == [newest]
    assert lapsed(database, date(2026, 12, 25)) == []
    assert resting(database, "f", last, number=11) == closed, "it is open again"
    assert sorted(lapsed(database, date(2026, 12, 26))) == sorted([later, closed])


def test_of_the_entries_on_which_a_verdict_rests_the_first_to_end_counts() -> None:
    def judged(kind: SuppressionKind, day: int, *, expired: bool = False) -> Judged:
        why = Suppression(kind, "reason", "by", date(2026, 12, day), expired=expired)
        return Judged(finding(day), BaselineState.NEW, Standing.WAIVED, suppression=why)

    policy = [judged(SuppressionKind.POLICY, 24), judged(SuppressionKind.POLICY, 22), judged(SuppressionKind.POLICY, 20, expired=True)]
    verdict = Verdict(Conclusion.SUCCESS, (judged(SuppressionKind.WAIVER, 21), *policy))
    assert verdict.rests_until == date(2026, 12, 22)
    assert Verdict(Conclusion.SUCCESS).rests_until is None
