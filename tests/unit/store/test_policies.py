"""The last policy that could be used is kept, replaced and forgotten; nothing is known where nothing was judged."""

from __future__ import annotations

from pipeline.model.ids import RepositoryId
from pipeline.model.review import ReviewStatus
from pipeline.store.engine import Database
from tests.unit.store.samples import INSTALLATION, REPOSITORY, change


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
