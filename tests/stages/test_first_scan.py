"""The first scan and the list of findings, against the double of GitHub: what a repository has, and what became of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import select

from bot.worker import work_message
from pipeline.errors import EngineCrashed, EngineError, EngineMissing, GitUnavailable
from pipeline.messages import BATCH, Envelope, ScanRepository
from pipeline.model.ids import InstallationId, MessageId, RepositoryId
from pipeline.model.scan import EngineInfo, Gap, GapClass, GapSeen, Output, ScanRequest
from pipeline.model.target import Installation
from pipeline.ports import Control
from pipeline.stages.give_up import give_up
from pipeline.stages.sweep import SLICE_FILES
from pipeline.store.seen import ListedFinding
from pipeline.store.sweeps import AT_ONCE
from pipeline.store.tables import outbox, repositories, reviews
from tests.fakes import FailingScanner, LineScanner
from tests.stages.github import VALUE, GithubBench, KeyScanner
from tests.worlds import faults
from tests.worlds.github.model import Repository

OLD = {"a.txt": "fine\nBAD old\nfine\n", "lib/b.txt": f"token = {VALUE}\n", "c.txt": "fine\n"}


def number_of(github: GithubBench, repository: Repository) -> RepositoryId:
    with github.app.database.read() as work:
        statement = select(repositories.c.id).where(repositories.c.external_id == str(repository.id))
        return RepositoryId(work.transaction.execute(statement).scalar_one())


def scan(github: GithubBench, repository: Repository, why: str = "added") -> RepositoryId:
    """Ask for the whole scan of a repository, and work until everything is quiet."""
    installation = github.world.installation_of(repository)
    assert installation is not None
    github.world.github.actions.events.repositories(installation, [repository], [])
    github.settle()
    return number_of(github, repository)


def listed(github: GithubBench, repository: Repository, branch: str = "main", status: str = "open") -> list[ListedFinding]:
    with github.app.database.read() as work:
        return work.findings.listed(number_of(github, repository), branch, status)  # type: ignore[arg-type]  # one of three words


def places(findings: Sequence[ListedFinding]) -> list[str]:
    return sorted(f"{place.location.path}:{place.location.line}" for one in findings for place in one.places)


def history(github: GithubBench, finding: ListedFinding) -> list[tuple[str, str, str]]:
    """Kind, branch and detail of everything that became of a finding."""
    with github.app.database.read() as work:
        return [(event.kind, event.branch, event.detail) for event in work.findings.events(finding.id)]


def test_an_added_repository_is_scanned_as_a_whole_and_nothing_of_it_is_shown(github: GithubBench) -> None:
    repository = github.repository(OLD)
    number = scan(github, repository)
    found = listed(github, repository)
    assert places(found) == ["a.txt:2", "lib/b.txt:1"]
    assert [history(github, one) for one in found] == [[("detected", "main", "")]] * 2
    assert all(one.finding.handle for one in found)
    with github.app.database.read() as work:
        listing = work.installations.listing(number)
        progress = work.installations.scan_progress()
    assert listing.commit == repository.git.branch("main")
    assert not listing.trouble
    assert listing.due_at is not None, "the policy's schedule says weekly"
    assert (progress.waiting, progress.running, progress.scanned, progress.failed) == (0, 0, 1, 0)
    assert [effect for effect in github.world.effects if "/access_tokens" not in effect.path] == []
    assert github.dead() == []


def test_scanning_again_changes_nothing_and_reads_nothing_anew(github: GithubBench) -> None:
    repository = github.repository(OLD)
    lines, keys = LineScanner(), KeyScanner()
    github.look_with(lines, keys)
    scan(github, repository)
    before, looked = listed(github, repository), len(lines.looked)
    scan(github, repository)
    assert [(one.id, one.since) for one in listed(github, repository)] == [(one.id, one.since) for one in before]
    assert [history(github, one) for one in before] == [[("detected", "main", "")]] * 2
    assert len(lines.looked) == looked


def test_a_push_detects_resolves_and_reopens(github: GithubBench) -> None:
    repository = github.repository(OLD)
    scan(github, repository)
    (old,) = [one for one in listed(github, repository) if one.finding.location.path == "a.txt"]
    github.world.commit(repository, "main", {"a.txt": "fine\n", "d.txt": "BAD too\n"})
    github.settle()
    assert places(listed(github, repository)) == ["d.txt:1", "lib/b.txt:1"]
    github.world.commit(repository, "main", {"a.txt": OLD["a.txt"]})
    github.settle()
    assert places(listed(github, repository)) == ["a.txt:2", "d.txt:1", "lib/b.txt:1"]
    assert [kind for kind, _, _ in history(github, old)] == ["detected", "resolved_auto", "reopened"]
    with github.app.database.read() as work:
        assert work.installations.listing(number_of(github, repository)).commit == repository.git.branch("main")
    assert github.sent("scan_repository") == 1


def test_a_finding_whose_file_moves_or_goes_is_the_same_or_resolved(github: GithubBench) -> None:
    repository = github.repository(OLD)
    scan(github, repository)
    before = {one.finding.rule.id: one for one in listed(github, repository)}
    github.world.commit(repository, "main", {"a.txt": None, "moved/a.txt": OLD["a.txt"], "lib/b.txt": None})
    github.settle()
    (left,) = listed(github, repository)
    assert (left.id, places([left])) == (before["fake.bad-line"].id, ["moved/a.txt:2"])
    assert history(github, left) == [("detected", "main", "")]
    assert [kind for kind, _, _ in history(github, before["fake.key"])] == ["detected", "resolved_auto"]


def test_what_an_engine_could_not_look_at_again_stays_as_it_is(github: GithubBench) -> None:
    repository = github.repository(OLD)
    scan(github, repository)

    def crash(engine: str) -> EngineError:
        return EngineCrashed("lines-semgrep crashed", engine=engine)

    github.look_with(FailingScanner(crash), KeyScanner())
    github.world.commit(repository, "main", {"a.txt": "fine\n", "lib/b.txt": "fine\n"})
    github.settle()
    # The push says that the key is gone; of the line nobody knows.
    assert places(listed(github, repository)) == ["a.txt:2"]
    with github.app.database.read() as work:
        listing = work.installations.listing(number_of(github, repository))
    assert listing.due_at is not None, "everything is looked at again soon"
    github.look_with(LineScanner(), KeyScanner())
    scan(github, repository)
    assert listed(github, repository) == []


class Blind(LineScanner):
    """Looks, but not at one file."""

    def scan(self, request: ScanRequest, control: Control) -> Iterator[Output]:
        """Line by line, but for `a.txt`."""
        yield from super().scan(request, control)
        yield GapSeen(Gap(self.name, "a.txt", "larger than 1 MB", GapClass.LIMIT))


def test_a_gap_in_one_file_is_said_and_resolves_nothing_there(github: GithubBench) -> None:
    repository = github.repository({**OLD, "e.txt": "BAD\n"})
    scan(github, repository)
    github.look_with(Blind(), KeyScanner())
    github.world.commit(repository, "main", {"a.txt": "fine\n", "e.txt": "fine\n"})
    github.settle()
    number = scan(github, repository)
    assert "a.txt:2" in places(listed(github, repository))
    assert "e.txt:1" not in places(listed(github, repository))
    with github.app.database.read() as work:
        listing = work.installations.listing(number)
        assert listing.review is not None
        verdict = work.reviews.known_verdict(listing.review)
    assert verdict is not None
    assert [(gap.path, gap.reason) for gap in verdict.coverage.breaking] == [("a.txt", "larger than 1 MB")]


def test_a_file_that_never_can_be_looked_at_does_not_make_every_push_a_whole_scan(github: GithubBench) -> None:
    class Slow(LineScanner):
        def scan(self, request: ScanRequest, control: Control) -> Iterator[Output]:
            yield from super().scan(request, control)
            if any(file.path == "a.txt" for file in request.tree.files):
                yield GapSeen(Gap(self.name, "a.txt", "timed out after 5 s", GapClass.LIMIT))

    repository = github.repository(OLD)
    github.look_with(Slow(), KeyScanner())
    number = scan(github, repository)
    for path in ("a.txt", "c.txt", "a.txt", "d.txt"):
        github.world.commit(repository, "main", {path: f"fine {github.sent('start_review')}\n"})
        github.settle()
    assert github.sent("scan_repository") == 1
    with github.app.database.read() as work:
        listing = work.installations.listing(number)
    assert listing.commit == repository.git.branch("main")
    assert listing.due_at is not None, "everything is looked at again soon"


def test_an_engine_that_is_missing_makes_the_scan_fail_and_the_list_stay(github: GithubBench) -> None:
    repository = github.repository(OLD)
    github.look_with(FailingScanner(lambda name: EngineMissing(f"{name} is not installed here", engine=name)), KeyScanner())
    number = scan(github, repository)
    with github.app.database.read() as work:
        listing, progress = work.installations.listing(number), work.installations.scan_progress()
    assert "not installed" in listing.trouble
    assert (progress.scanned, progress.failed) == (0, 1)
    assert places(listed(github, repository)) == ["lib/b.txt:1"], "what the other engine found counts"


def test_a_crash_of_an_engine_is_narrowed_to_the_files_that_it_cannot_bear(github: GithubBench) -> None:
    class Fragile(LineScanner):
        def scan(self, request: ScanRequest, control: Control) -> Iterator[Output]:
            if any(file.path == "f099.txt" for file in request.tree.files):
                raise EngineCrashed("it crashed", engine=self.name)
            yield from super().scan(request, control)

    repository = github.repository({f"f{number:03}.txt": "BAD\n" for number in range(100)})
    github.look_with(Fragile(), KeyScanner())
    scan(github, repository)
    shown = [place for one in listed(github, repository) for place in one.places]
    assert len(shown) == 100 - 25


def test_an_empty_repository_has_an_empty_list_and_its_first_push_is_scanned_whole(github: GithubBench) -> None:
    repository = github.world.create_repository("octo", "empty")
    number = scan(github, repository)
    with github.app.database.read() as work:
        listing = work.installations.listing(number)
    assert (listing.commit, listing.trouble) == (None, "")
    assert listing.scanned_at is not None
    github.world.commit(repository, "main", {"a.txt": "BAD\n"})
    github.settle()
    assert places(listed(github, repository)) == ["a.txt:1"]
    assert github.dead() == []


def test_a_large_repository_is_scanned_in_slices_between_which_others_overtake(github: GithubBench) -> None:
    github.app.places = replace(github.app.places, slice_seconds=0.0)
    repository = github.repository({f"d{n % 7}/f{n}.txt": "BAD\n" if n % 300 == 0 else "fine\n" for n in range(3 * SLICE_FILES + 1)})
    scan(github, repository)
    assert len(places(listed(github, repository))) == 3
    assert github.sent("run_scan") == 2 * 4
    with github.app.database.read() as work:
        rows = work.transaction.execute(select(outbox.c.priority, outbox.c.group).where(outbox.c.kind.in_(["run_scan", "settle_review"])))
        assert {(row.priority, row.group) for row in rows} == {(BATCH, "")}


def test_who_waits_for_the_worker_waits_for_one_slice_at_most(github: GithubBench) -> None:
    class Meanwhile(LineScanner):
        def scan(self, request: ScanRequest, control: Control) -> Iterator[Output]:
            if not self.looked:
                github.change(repository, {"new.txt": "BAD\n"})
                github.take()
            yield from super().scan(request, control)

    repository = github.repository({f"f{n}.txt": "fine\n" for n in range(3 * SLICE_FILES)})
    github.look_with(Meanwhile(), KeyScanner())
    scan(github, repository)
    with github.app.database.read() as work:
        rows = work.transaction.execute(select(outbox.c.body).where(outbox.c.kind == "run_scan", outbox.c.priority == BATCH)).scalars()
        parts = sorted(json.loads(body)["part"] for body in rows)
    assert parts == [0, 0, 1], "the first engine is left after one slice, and goes on when nobody waits any more"


def test_a_slice_that_is_repeated_after_a_crash_is_counted_once(github: GithubBench) -> None:
    github.app.places = replace(github.app.places, slice_seconds=0.0)
    crashes = [1, 2]

    class Dying(LineScanner):
        def scan(self, request: ScanRequest, control: Control) -> Iterator[Output]:
            yield from super().scan(request, control)
            if len(self.looked) > SLICE_FILES and crashes:
                crashes.pop()
                raise GitUnavailable("the network is away")

    repository = github.repository({f"f{n}.txt": "BAD\n" if n % 100 == 0 else "fine\n" for n in range(SLICE_FILES + 50)})
    github.look_with(Dying(), KeyScanner())
    scan(github, repository)
    assert crashes == []
    found = listed(github, repository)
    assert len(places(found)) == len(set(places(found))) == 3
    assert all(history(github, one) == [("detected", "main", "")] for one in found)


def urgent(github: GithubBench) -> list[tuple[MessageId, str, int]]:
    """What the relay would publish now, in its order: id, kind, priority."""
    with github.app.database.read() as work:
        due = [message.message_id for message in work.outbox.publishable(500)]
        rows = work.transaction.execute(select(outbox.c.id, outbox.c.kind, outbox.c.priority).where(outbox.c.id.in_(due))).all()
    by_id = {row.id: (MessageId(row.id), str(row.kind), int(row.priority)) for row in rows}
    return [by_id[identifier] for identifier in due]


def test_many_added_repositories_send_no_burst_and_a_change_overtakes_them(github: GithubBench) -> None:
    shop = github.repository(OLD)
    many = [github.world.create_repository("octo", f"r{number}", files={"a.txt": "BAD\n"}) for number in range(6)]
    installation = github.world.installation_of(shop)
    assert installation is not None
    github.world.github.actions.events.repositories(installation, many, [])
    github.take()
    while any(kind == "accept_event" for _, kind, _ in urgent(github)):
        work_message(github.app, urgent(github)[0][0])
    assert github.sent("scan_repository") == AT_ONCE, "the others have their turn when one of these ends"
    while any(kind in ("accept_event", "scan_repository") for _, kind, _ in urgent(github)):
        for identifier, kind, _ in urgent(github):
            if kind in ("accept_event", "scan_repository"):
                work_message(github.app, identifier)
    with github.app.database.read() as work:
        progress = work.installations.scan_progress()
    assert (progress.running, progress.waiting) == (AT_ONCE, len(many) - AT_ONCE)
    described = {asked.path for asked in github.world.asked if "/repositories/" in asked.path}
    assert len(described) == AT_ONCE, "the host is asked only of those that begin"
    pull = github.change(shop, {"z.txt": "BAD\n"})
    github.take()
    overtaken = []
    while not any(run.status == "completed" for run in github.runs(shop, pull.head_sha)):
        identifier, kind, priority = urgent(github)[0]
        overtaken.append(priority)
        work_message(github.app, identifier)
    assert BATCH not in overtaken
    github.settle()
    assert all(places(listed(github, one)) == ["a.txt:1"] for one in many)
    with github.app.database.read() as work:
        progress = work.installations.scan_progress()
    assert (progress.running, progress.waiting, progress.failed) == (0, 0, 0)
    assert progress.scanned == len(many)


def test_a_push_during_the_scan_is_newer_than_what_the_scan_saw(github: GithubBench) -> None:
    repository = github.repository(OLD)
    pushed: list[str] = []

    def push() -> None:
        if not pushed:
            pushed.append(github.world.commit(repository, "main", {"a.txt": "fine\n", "d.txt": "BAD new\n"}))
            github.take()
            for identifier, _, priority in urgent(github):
                if priority < BATCH:
                    work_message(github.app, identifier)

    github.look_with(LineScanner(before=push), KeyScanner())
    number = scan(github, repository)
    assert places(listed(github, repository)) == ["d.txt:1", "lib/b.txt:1"]
    with github.app.database.read() as work:
        assert work.installations.listing(number).commit == pushed[0]


class WatchingScanner(LineScanner):
    """Does something when it is asked for its version while a scan of everything is being settled: after all engines have looked."""

    def __init__(self, github: GithubBench, then: Callable[[], None]) -> None:
        super().__init__()
        self.github, self.then = github, then

    def info(self, control: Control) -> EngineInfo:
        """The same version as ever."""
        with self.github.app.database.read() as work:
            settling = work.transaction.execute(
                select(reviews.c.id).where(reviews.c.status == "settling", reviews.c.subject.startswith("whole:"))
            ).all()
        if settling:
            self.then()
        return super().info(control)


def test_a_push_that_is_listed_while_the_scan_is_written_down_is_newer_too(github: GithubBench) -> None:
    repository = github.repository(OLD)
    pushed: list[str] = []

    def push() -> None:
        if pushed:
            return
        pushed.append(github.world.commit(repository, "main", {"a.txt": "fine\n", "d.txt": "BAD new\n"}))
        github.take()
        while quick := [identifier for identifier, _, priority in urgent(github) if priority < BATCH]:
            work_message(github.app, quick[0])

    github.look_with(WatchingScanner(github, push), KeyScanner())
    number = scan(github, repository)
    assert pushed
    assert places(listed(github, repository)) == ["d.txt:1", "lib/b.txt:1"]
    with github.app.database.read() as work:
        assert work.installations.listing(number).commit == pushed[0]
    assert github.dead() == []


def test_who_asks_during_a_scan_gets_another_one_after_it(github: GithubBench) -> None:
    repository = github.repository(OLD)
    asked: list[str] = []

    def ask() -> None:
        if asked:
            return
        installation = github.world.installation_of(repository)
        assert installation is not None
        connected = Installation(InstallationId(""), "github", "github.com", "octo", str(installation.id))
        with github.app.database.work() as work:
            source = work.installations.repository(number_of(github, repository))
            key = "asked during the scan"
            work.outbox.send(Envelope(ScanRepository(connected, source, "added"), key, priority=0))
        asked.append(key)
        (message,) = [identifier for identifier, kind, _ in urgent(github) if kind == "scan_repository"]
        work_message(github.app, message)

    github.look_with(LineScanner(before=ask), KeyScanner())
    number = scan(github, repository)
    assert asked
    with github.app.database.read() as work:
        mine = (reviews.c.repository_id == number, reviews.c.subject.startswith("whole:"))
        assert [row.status for row in work.transaction.execute(select(reviews.c.status).where(*mine))] == ["done", "done"]


def test_two_that_begin_the_same_scan_at_once_are_one(github: GithubBench) -> None:
    repository = github.repository(OLD)
    number = scan(github, repository)
    with github.app.database.work() as work:
        source = work.installations.repository(number)
        connected = work.installations.all()[0][0]
        for key in ("one", "two"):
            work.outbox.send(Envelope(ScanRepository(connected, source, "added"), key, priority=BATCH))
    both = [identifier for identifier, kind, _ in urgent(github) if kind == "scan_repository"]
    assert len(both) == 2
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda identifier: work_message(github.app, identifier), both))
    with github.app.database.read() as work:
        live = [one for one in work.reviews.live_of_repository(number) if one.change.whole]
    assert len(live) == 1
    github.settle()
    assert github.dead() == []


def test_a_scan_that_is_given_up_twice_lets_the_next_begin_twice(github: GithubBench) -> None:
    broken, other = github.repository(OLD), github.repository(OLD, "other")
    first, second = scan(github, broken), scan(github, other)
    before = github.sent("scan_repository")
    for turn in (1, 2):
        with github.app.database.work() as work:
            message = ScanRepository(work.installations.all()[0][0], work.installations.repository(first), "schedule")
            work.installations.take_slot(first)
            work.installations.want_scan(second, -10.0)
            give_up(work, message, GitUnavailable("the host hung up"))
        assert github.sent("scan_repository") == before + turn
        github.settle()


def test_another_default_branch_has_a_list_of_its_own(github: GithubBench) -> None:
    repository = github.repository(OLD)
    number = scan(github, repository)
    github.world.commit(repository, "trunk", {"c.txt": "BAD trunk\n"})
    with github.app.database.work() as work:
        told = replace(work.installations.repository(number), default_branch="trunk")
        work.installations.upsert_repository(told)
        listing = work.installations.listing(number)
    assert listing.commit is None, "what is known is another branch's"
    assert listing.due_at is not None
    assert listing.due_at <= github.app.database.now()
    with github.app.database.work() as work:
        work.installations.upsert_repository(told)
        work.installations.upsert_repository(replace(told, default_branch=""))
        assert work.installations.listing(number).due_at == listing.due_at


def test_a_push_that_never_arrived_is_noticed_by_the_next(github: GithubBench) -> None:
    repository = github.repository(OLD)
    scan(github, repository)
    github.world.commit(repository, "main", {"lost.txt": "BAD\n"})
    github.delivered = len(github.world.hooks.deliveries)  # the network lost it
    github.world.commit(repository, "main", {"d.txt": "fine\n"})
    github.settle()
    assert places(listed(github, repository)) == ["a.txt:2", "lib/b.txt:1", "lost.txt:1"]
    assert github.sent("scan_repository") == 2


def test_archived_and_hidden_repositories_are_left_alone(github: GithubBench) -> None:
    archived, hidden = github.repository(OLD), github.repository(OLD, "hidden")
    installation = github.world.installation_of(archived)
    assert installation is not None
    github.world.set_archived(archived, True)
    github.settle()
    github.world.faults.add("GET", f"/repositories/{hidden.id}$", faults.Status(404))
    github.world.github.actions.events.repositories(installation, [archived, hidden], [])
    github.settle()
    with github.app.database.read() as work:
        listings = [work.installations.listing(number_of(github, one)) for one in (archived, hidden)]
        progress = work.installations.scan_progress()
    assert [(one.state, one.trouble) for one in listings] == [("archived", ""), ("active", "the host does not show it to us")]
    assert (progress.waiting, progress.running, progress.failed) == (0, 0, 1)
    assert github.dead() == []


# --- pull requests --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
@pytest.mark.parametrize("first", ["push", "closed"])
def test_a_merged_finding_is_the_branchs_and_never_discovered_twice(github: GithubBench, method: str, first: str) -> None:
    repository = github.repository(OLD)
    scan(github, repository)
    pull = github.change(repository, {"n.txt": "fine\nBAD new\n"})
    github.settle()
    branch = f"pull/{pull.number}"
    (own,) = listed(github, repository, branch)
    assert places(listed(github, repository)) == ["a.txt:2", "lib/b.txt:1"]
    github.world.merge("ada", pull, method)
    waiting = github.world.hooks.deliveries[github.delivered :]
    github.delivered = len(github.world.hooks.deliveries)
    assert {"push", "pull_request"} <= {delivery.event for delivery in waiting}
    for delivery in sorted(waiting, key=lambda one: (one.event == "push") != (first == "push")):
        assert github.post(delivery).status_code == 202
        github.settle()
    assert places(listed(github, repository)) == ["a.txt:2", "lib/b.txt:1", "n.txt:2"]
    (there,) = [one for one in listed(github, repository) if one.finding.location.path == "n.txt"]
    assert there.id == own.id
    assert history(github, own) == [("detected", branch, ""), ("merged", "main", branch)]
    assert listed(github, repository, branch) == []


def test_closing_resolves_what_only_the_pull_request_had_and_reopening_brings_it_back(github: GithubBench) -> None:
    repository = github.repository(OLD)
    scan(github, repository)
    pull = github.change(repository, {"n.txt": "BAD new\n"})
    github.settle()
    branch = f"pull/{pull.number}"
    (own,) = listed(github, repository, branch)
    github.world.close("ada", pull)
    github.settle()
    assert listed(github, repository, branch) == []
    assert history(github, own)[1:] == [("resolved_auto", branch, "the change was closed")]
    github.world.reopen("ada", pull)
    github.settle()
    assert [one.id for one in listed(github, repository, branch)] == [own.id]
    assert history(github, own)[-1] == ("reopened", branch, "the change was opened again")
    assert places(listed(github, repository)) == ["a.txt:2", "lib/b.txt:1"]


def test_what_a_pull_request_mends_itself_is_resolved_there(github: GithubBench) -> None:
    repository = github.repository(OLD)
    scan(github, repository)
    pull = github.change(repository, {"n.txt": "BAD new\n", "m.txt": "BAD other\n"})
    github.settle()
    github.world.commit(repository, "feature", {"n.txt": "fine\n"})
    github.settle()
    assert places(listed(github, repository, f"pull/{pull.number}")) == ["m.txt:1"]
    (gone,) = listed(github, repository, f"pull/{pull.number}", "resolved")
    assert [kind for kind, _, _ in history(github, gone)] == ["detected", "resolved_auto"]


def test_a_merge_into_another_branch_moves_the_finding_there_until_that_is_deleted(github: GithubBench) -> None:
    repository = github.repository(OLD)
    scan(github, repository)
    github.world.commit(repository, "release", {"r.txt": "fine\n"})
    github.world.commit(repository, "feature", {"n.txt": "BAD new\n"}, base="release")
    pull = github.world.open_pull_request("ada", repository, "feature", "release", "Change it")
    github.settle()
    (own,) = listed(github, repository, f"pull/{pull.number}")
    github.world.merge("ada", pull)
    github.settle()
    assert [one.id for one in listed(github, repository, "release")] == [own.id]
    assert places(listed(github, repository)) == ["a.txt:2", "lib/b.txt:1"]
    assert history(github, own) == [("detected", f"pull/{pull.number}", ""), ("merged", "release", f"pull/{pull.number}")]
    github.world.delete_branch(repository, "release")
    github.settle()
    assert listed(github, repository, "release") == []
    assert history(github, own)[-1] == ("resolved_auto", "release", "the branch was deleted")
