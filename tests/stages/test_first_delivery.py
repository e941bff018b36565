"""A host that tells nobody where it was let know of us: everything begins with the first delivery."""

from __future__ import annotations

from sqlalchemy import func, select

from pipeline.model.ids import RepositoryId
from pipeline.store.sweeps import Listing
from pipeline.store.tables import outbox
from tests.harness import Bench, LocalRepo
from tests.stages.others import elsewhere


def listing(bench: Bench, repo: LocalRepo) -> Listing:
    with bench.app.database.read() as work:
        number = work.installations.find_repository(repo.source)
        assert number is not None
        return work.installations.listing(RepositoryId(number))


def sent(bench: Bench, kind: str) -> int:
    with bench.app.database.read() as work:
        statement = select(func.count()).select_from(outbox).where(outbox.c.kind == kind)
        return int(work.transaction.execute(statement).scalar_one())


def test_the_first_delivery_makes_an_installation_known_and_its_repositories_are_looked_at(bench: Bench, repo: LocalRepo) -> None:
    elsewhere(bench, tells_installations=False).all = (repo.source,)
    head = repo.commit({"c.txt": "fine\n"}, branch="feature")
    ref = bench.review(repo, "feature")
    assert [check.conclusion for check in bench.checks(repo, head)] == ["success"]
    first = listing(bench, repo)
    assert first.scanned_at is not None
    assert (sent(bench, "follow_heads"), sent(bench, "scan_repository")) == (1, 1)
    bench.changed(ref)
    bench.work()
    assert (sent(bench, "follow_heads"), sent(bench, "scan_repository")) == (1, 1)
    assert listing(bench, repo).scanned_at == first.scanned_at


def test_a_host_that_tells_is_not_walked_for_a_delivery(bench: Bench, repo: LocalRepo) -> None:
    repo.commit({"c.txt": "fine\n"}, branch="feature")
    bench.review(repo, "feature")
    assert sent(bench, "follow_heads") == 0
    assert listing(bench, repo).scanned_at is None
