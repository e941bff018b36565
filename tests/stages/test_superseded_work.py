"""Work on a head that is no longer the newest ends before it begins: nothing is fetched for it and no engine runs."""

from __future__ import annotations

from sqlalchemy import select

from pipeline.model.scan import ScanType
from pipeline.store.tables import outbox
from tests.fakes import LineScanner
from tests.harness import Bench, LocalRepo, git


def has(bench: Bench, commit: str) -> bool:
    """Whether our mirror has it: nothing is fetched from elsewhere."""
    (mirror,) = bench.app.settings.mirrors_dir.glob("*.git")
    return git(mirror, "cat-file", "--batch-all-objects", "--batch-check", check=False).count(commit) == 1


def unfinished(bench: Bench) -> list[str]:
    """Kinds of messages that are not done."""
    with bench.app.database.read() as work:
        return [row.kind for row in work.transaction.execute(select(outbox.c.kind).where(outbox.c.status != "done"))]


def test_of_many_heads_that_came_while_nobody_worked_only_the_newest_is_fetched(bench: Bench, repo: LocalRepo) -> None:
    scanner = LineScanner()
    bench.use(scanners=[scanner, LineScanner(ScanType.SECRETS)])
    heads = []
    for number in range(4):
        # A head that replaces the one before, as a force-push does: the newest does not bring the others with it.
        git(repo.folder, "branch", "--force", "feature", "main")
        heads.append(repo.commit({"c.txt": f"fine {number}\n"}, branch="feature", message=f"change {number}"))
        ref = bench.pull_request(repo, "feature")
        bench.changed(ref)
        git(repo.folder, "checkout", "--quiet", "main")
    bench.work()
    assert scanner.looked.count("c.txt") == 1
    assert [has(bench, head) for head in heads] == [False, False, False, True]
    assert [len(bench.checks(repo, head)) for head in heads] == [0, 0, 0, 1]
    assert unfinished(bench) == []


def test_a_scan_that_waits_while_the_head_moves_on_never_runs(bench: Bench, repo: LocalRepo) -> None:
    first = repo.commit({"c.txt": "fine\n"}, branch="feature")
    ref = bench.pull_request(repo, "feature")
    second: list[str] = []

    def move_on() -> None:
        if not second:
            second.append(repo.commit({"d.txt": "fine\n"}, branch="feature"))
            bench.changed(ref, delivery="second")
            bench.work_key("accept:second")

    secrets = LineScanner(ScanType.SECRETS)
    bench.use(scanners=[LineScanner(before=move_on), secrets])
    bench.changed(ref)
    bench.work()
    (old,), (new,) = bench.checks(repo, first), bench.checks(repo, second[0])
    assert (old.conclusion, new.conclusion) == ("cancelled", "success")
    assert sorted(secrets.looked) == ["c.txt", "d.txt"], "each once, for the second head"
    assert len(unfinished(bench)) <= 1, "only the scan that was running then may be looked at once more, and ends there"
