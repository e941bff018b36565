"""Scan batches: from asking for one to its results, with several source repositories, failures, and workers that die in between."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import delete, func, select, update

from bot.worker import work_message
from pipeline.errors import EngineCrashed, EngineMissing, GitUnavailable
from pipeline.messages import BATCH, Envelope, ScanRepository
from pipeline.model.ids import RepositoryId
from pipeline.model.scan import EngineInfo, FindingSeen, Output, ScanRequest, ScanType
from pipeline.ports import Control
from pipeline.stages.give_up import give_up
from pipeline.stages.sweep import SLICE_FILES
from pipeline.store.organizations import DEFAULT
from pipeline.store.sweeps import AT_ONCE
from pipeline.store.tables import batch_findings, batches, finding_events, outbox, reviews, scans
from tests.api.bench import ApiBench
from tests.fakes import FailingScanner, LineScanner
from tests.harness import LocalRepo

ON_BOTH = pytest.mark.usefixtures("database_url")

TERMINAL = ("completed", "partial_failure", "failed")


def start(api: ApiBench, repository: str, scan_type: str = "semgrep_scan", status: int = 202) -> Any:
    return api.caller.post(f"/repositories/{repository}/scans", {"scan_type": scan_type}, status)


def progress(api: ApiBench, repository: str, batch: str) -> Any:
    return api.caller.get(f"/repositories/{repository}/scans/{batch}/progress")


def listed(api: ApiBench, path: str, **query: Any) -> Any:
    answer = api.caller.ask("GET", path, **query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def results(api: ApiBench, repository: str, batch: str) -> Any:
    return api.caller.get(f"/repositories/{repository}/scans/{batch}/results")


def step(api: ApiBench) -> bool:
    """Work one message; when nothing is due, time passes until something is. False when there is nothing to do."""
    with api.app.database.work() as work:
        due = work.outbox.publishable(1)
        if not due:
            later = select(outbox.c.id).where(outbox.c.status == "pending").order_by(outbox.c.due_at).limit(1)
            work.transaction.execute(update(outbox).where(outbox.c.id.in_(later)).values(due_at=0.0, publish_at=0.0))
            due = work.outbox.publishable(1)
    if due:
        work_message(api.app, due[0].message_id)
    return bool(due)


def sent(api: ApiBench) -> int:
    with api.app.database.read() as work:
        return int(work.transaction.execute(select(func.count()).select_from(outbox)).scalar_one())


def group_of(api: ApiBench, *sources: str) -> str:
    return str(api.caller.post("/repositories", {"name": "Both", "source_repository_ids": list(sources)}, 201)["id"])


@ON_BOTH
def test_a_scan_is_asked_for_followed_and_read(api: ApiBench) -> None:
    _, shop = api.connect("shop", {"a.txt": "BAD\n", "b.txt": "fine\n"})
    made = start(api, shop)
    assert (made["status"], made["total_repositories"], made["scans_created"]) == ("queued", 1, 0)
    assert (made["asked_by"], made["trigger"], made["started_at"]) == ("a test", "api", None)
    before = progress(api, shop, made["batch_id"])
    assert before["percent_complete"] == 0
    (waiting,) = before["repositories"]
    assert (waiting["status"], waiting["branch"], waiting["findings_count"], waiting["started_at"]) == ("pending", "main", None, None)
    assert results(api, shop, made["batch_id"])["complete"] is False
    api.work()
    after = progress(api, shop, made["batch_id"])
    assert (after["status"], after["percent_complete"], after["scans_assessed"]) == ("completed", 100, 1)
    assert (after["repositories"][0]["status"], after["repositories"][0]["findings_count"]) == ("succeeded", 1)
    found = results(api, shop, made["batch_id"])
    assert (found["findings_count"], found["not_checked"], found["complete"]) == (1, [], True)
    (finding,) = found["findings"]
    assert (finding["file_path"], finding["severity"], finding["cwe"]) == ("a.txt", "high", ["CWE-710"])
    assert finding["fingerprint"].startswith("v1:")
    listed = api.caller.get(f"/repositories/{shop}/findings", scan_batch_id=made["batch_id"])
    assert [one["id"] for one in listed["items"]] == [finding["id"]]
    one = api.caller.get(f"/repositories/{shop}/scans/{made['batch_id']}")
    assert (one["status"], one["error_message"], one["cancelled"]) == ("completed", None, False)
    assert one["created_at"] <= one["started_at"] <= one["completed_at"]


def test_only_the_engine_that_was_asked_for_looks_and_the_list_says_nothing_of_the_others(api: ApiBench) -> None:
    text, secrets = LineScanner(), LineScanner(ScanType.SECRETS)
    api.use(scanners=[text, secrets])
    _, shop = api.connect("shop", {"a.txt": "BAD\n"})
    start(api, shop, "secrets_scan")
    api.work()
    assert (text.looked, secrets.looked) == ([], ["a.txt"])
    with api.app.database.read() as work:
        listing = work.installations.listing(RepositoryId(shop))
    assert (listing.scanned_with, listing.scanned_at, listing.made) == ("", None, False)
    batch = start(api, shop)["batch_id"]
    api.work()
    assert text.looked == ["a.txt"]
    assert results(api, shop, batch)["findings_count"] == 1


def test_what_is_gone_when_it_is_scanned_again_is_resolved_and_stays_in_the_old_batch(api: ApiBench) -> None:
    repo, shop = api.connect("shop", {"a.txt": "one BAD\n", "b.txt": "two BAD\n"})
    first = start(api, shop)["batch_id"]
    api.work()
    repo.commit({"a.txt": "GOOD\n"}, "better")
    second = start(api, shop)["batch_id"]
    api.work()
    assert [one["file_path"] for one in results(api, shop, second)["findings"]] == ["b.txt"]
    assert {one["file_path"] for one in results(api, shop, first)["findings"]} == {"a.txt", "b.txt"}
    resolved = listed(api, f"/repositories/{shop}/findings", status="resolved")
    assert [one["file_path"] for one in resolved["items"]] == ["a.txt"]


@ON_BOTH
def test_of_two_source_repositories_one_that_the_host_hides_is_a_partial_failure(api: ApiBench) -> None:
    _, shop = api.connect("shop", {"a.txt": "BAD\n"})
    gone, web = api.connect("web", {"a.txt": "BAD\n"})
    gone.folder.rename(gone.folder.with_name("elsewhere"))
    both = group_of(api, shop, web)
    batch = start(api, both)["batch_id"]
    assert len(progress(api, both, batch)["repositories"]) == 2
    seen = [progress(api, both, batch)]
    while step(api):
        seen.append(progress(api, both, batch))
    for earlier, later in pairwise(seen):
        assert earlier["percent_complete"] <= later["percent_complete"]
        assert (later["percent_complete"] == 100) == (later["status"] in TERMINAL)
    last = seen[-1]
    assert (last["status"], last["scans_failed"], last["scans_assessed"]) == ("partial_failure", 1, 1)
    assert "1 of 2" in last["error_message"]
    states = {part["repository"].rpartition("/")[2]: (part["status"], part["status_reason"]) for part in last["repositories"]}
    assert states["shop"] == ("succeeded", None)
    assert states["web"][0] == "failed"
    assert states["web"][1]
    found = results(api, both, batch)
    assert [one["source_repo"].rpartition("/")[2] for one in found["findings"]] == ["shop"]
    assert [one["repository"].rpartition("/")[2] for one in found["not_checked"]] == ["web"]
    assert found["complete"] is False


def test_a_type_without_an_engine_is_refused_before_anything_is_queued(api: ApiBench) -> None:
    class Absent(LineScanner):
        def info(self, control: Control) -> EngineInfo:
            raise EngineMissing("lines is not installed", engine=self.name)

    _, shop = api.connect("shop", {"a.txt": "BAD\n"})
    api.use(scanners=[LineScanner(), Absent(ScanType.SECRETS)])
    before = sent(api)
    for scan_type in ("secrets_scan", "deep_ai_scan", "sbom_scan"):
        said = start(api, shop, scan_type, 409)["detail"]
        assert said["error_code"] == "ENGINE_NOT_AVAILABLE"
        assert said["detail"]
    start(api, shop, "everything", 422)
    assert sent(api) == before
    assert api.caller.get(f"/repositories/{shop}/scans")["total"] == 0


def test_an_archived_repository_and_one_without_source_repositories_are_refused(api: ApiBench) -> None:
    _, shop = api.connect("shop", {"a.txt": "BAD\n"})
    made = group_of(api, shop)
    api.caller.patch(f"/repositories/{made}", {"archived": True})
    assert start(api, made, status=409)["detail"]["error_code"] == "INVALID_STATE"
    api.caller.patch(f"/repositories/{made}", {"archived": False, "source_repository_ids": []})
    assert start(api, made, status=409)["detail"]["error_code"] == "INVALID_STATE"
    with api.app.database.work() as work:
        work.repositories.set_state(RepositoryId(shop), "disabled")
    assert start(api, shop, status=409)["detail"]["error_code"] == "INVALID_STATE"
    assert sent(api) == 0


def test_ids_of_others_and_of_nothing_are_not_found(api: ApiBench) -> None:
    _, shop = api.connect("shop", {"a.txt": "BAD\n"})
    _, web = api.connect("web", {"a.txt": "BAD\n"})
    batch = start(api, shop)["batch_id"]
    for caller, repository, scan in (
        (api.other, shop, batch),
        (api.caller, web, batch),
        (api.caller, shop, "x" * 32),
        (api.caller, shop, "%00"),
    ):
        for rest in ("", "/progress", "/results"):
            assert caller.get(f"/repositories/{repository}/scans/{scan}{rest}", 404)["detail"]["error_code"] == "NOT_FOUND"
    api.other.get(f"/repositories/{shop}/scans", 404)
    api.other.post(f"/repositories/{shop}/scans", {"scan_type": "semgrep_scan"}, 404)


def test_an_engine_that_crashes_everywhere_makes_the_batch_fail_and_says_what_was_not_checked(api: ApiBench) -> None:
    api.use(scanners=[FailingScanner(lambda engine: EngineMissing("it went away", engine=engine)), LineScanner(ScanType.SECRETS)])
    _, shop = api.connect("shop", {"a.txt": "BAD\n"})
    batch = start(api, shop)["batch_id"]
    api.work()
    said = api.caller.get(f"/repositories/{shop}/scans/{batch}")
    assert (said["status"], said["cancelled"]) == ("failed", False)
    assert "it went away" in said["error_message"]
    found = results(api, shop, batch)
    assert (found["findings_count"], found["complete"]) == (0, False)
    assert found["not_checked"]


def test_a_file_that_an_engine_could_not_look_at_is_named_and_the_batch_completes(api: ApiBench) -> None:
    class Choosy(LineScanner):
        def scan(self, request: ScanRequest, control: Control) -> Iterator[Output]:
            if any(file.path == "a.txt" for file in request.tree.files):
                raise EngineCrashed("lines crashed", engine=self.name)
            yield from super().scan(request, control)

    api.use(scanners=[Choosy()])
    _, shop = api.connect("shop", {"a.txt": "BAD\n", **{f"f{n}.txt": f"{n} BAD\n" for n in range(60)}})
    batch = start(api, shop)["batch_id"]
    api.work()
    found = results(api, shop, batch)
    assert found["status"] == "completed"
    assert found["complete"] is False
    assert "a.txt" in {one["file_path"] for one in found["not_checked"]}
    assert found["findings_count"] + len(found["not_checked"]) == 61


def test_who_dies_in_the_middle_is_followed_by_another_and_everything_is_there_once(api: ApiBench) -> None:
    deaths = ["first slice", "second slice"]

    class Dying(LineScanner):
        def scan(self, request: ScanRequest, control: Control) -> Iterator[Output]:
            yield from super().scan(request, control)
            if deaths:
                raise GitUnavailable(deaths.pop())

    api.app.places = replace(api.app.places, slice_seconds=0.0)
    api.use(scanners=[Dying()])
    _, shop = api.connect("shop", {f"f{n}.txt": f"{n} BAD\n" if n % 50 == 0 else "fine\n" for n in range(SLICE_FILES + 20)})
    batch = start(api, shop)["batch_id"]
    seen = []
    while step(api):
        seen.append(progress(api, shop, batch))
        if seen[-1]["status"] == "completed":
            assert results(api, shop, batch)["findings_count"] == 5
    assert deaths == []
    assert seen[-1]["status"] == "completed"
    assert all(one["percent_complete"] <= two["percent_complete"] for one, two in pairwise(seen))
    with api.app.database.read() as work:
        number = select(func.count()).select_from(finding_events).where(finding_events.c.repository_id == shop)
        assert work.transaction.execute(number).scalar_one() == 5
        assert work.transaction.execute(select(func.count()).select_from(reviews)).scalar_one() == 1


def test_two_that_are_asked_for_at_once_are_worked_one_after_the_other(api: ApiBench) -> None:
    _, shop = api.connect("shop", {"a.txt": "BAD\n"})
    first, second = start(api, shop)["batch_id"], start(api, shop, "secrets_scan")["batch_id"]
    step(api)
    step(api)
    waiting = progress(api, shop, second)["repositories"][0]
    assert (waiting["status"], waiting["status_reason"]) == ("pending", "it waits for another scan of the same repository")
    while step(api):
        pass
    assert [progress(api, shop, one)["status"] for one in (first, second)] == ["completed", "completed"]


def test_a_repository_that_is_switched_off_meanwhile_is_a_cancelled_batch(api: ApiBench) -> None:
    _, shop = api.connect("shop", {"a.txt": "BAD\n"})
    batch = start(api, shop)["batch_id"]
    with api.app.database.work() as work:
        work.repositories.set_state(RepositoryId(shop), "disabled")
    api.work()
    said = api.caller.get(f"/repositories/{shop}/scans/{batch}")
    assert (said["status"], said["cancelled"]) == ("failed", True)
    assert "disabled" in said["error_message"]


def test_a_repository_without_a_commit_has_nothing_to_look_at(api: ApiBench) -> None:
    shop = api.know(LocalRepo(api.folder / DEFAULT / "empty").source)
    batch = start(api, shop)["batch_id"]
    api.work()
    (part,) = progress(api, shop, batch)["repositories"]
    assert (part["status"], part["status_reason"], part["findings_count"]) == ("succeeded", "it has no commit yet", 0)
    found = results(api, shop, batch)
    assert (found["status"], found["findings"], found["not_checked"], found["complete"]) == ("completed", [], [], True)


@ON_BOTH
def test_lists_have_every_batch_once_newest_first_with_filters_at_any_depth(api: ApiBench) -> None:
    _, shop = api.connect("shop", {"a.txt": "BAD\n"})
    _, web = api.connect("web", {"a.txt": "BAD\n"})
    alone = start(api, shop)["batch_id"]
    both = group_of(api, shop, web)
    made = [start(api, both, kind)["batch_id"] for kind in ("semgrep_scan", "secrets_scan", "semgrep_scan", "secrets_scan", "semgrep_scan")]
    newest = made[::-1]
    path = f"/repositories/{both}/scans"
    assert [one["batch_id"] for one in api.caller.get(path)["items"]] == newest
    assert alone not in newest
    by_skip = [one["batch_id"] for skip in (0, 2, 4) for one in api.caller.get(path, limit=2, skip=skip)["items"]]
    assert by_skip == newest
    by_cursor, cursor = [], None
    while True:
        page = listed(api, path, limit=2, cursor=cursor, scan_type="semgrep_scan", status="queued")
        by_cursor += [one["batch_id"] for one in page["items"]]
        cursor = page["next_cursor"]
        assert page["total"] == 3
        if not page["has_next"]:
            break
    assert by_cursor == newest[::2]
    assert api.caller.get(path, skip=2_000_000)["items"] == []
    assert listed(api, path, status="completed")["total"] == 0
    assert api.caller.ask("GET", path, status="done").status_code == 422
    api.caller.get(path, 422, scan_type="x")


def test_a_unit_is_spent_by_what_was_scanned_and_given_back_by_what_was_not(api: ApiBench) -> None:
    _, shop = api.connect("shop", {"a.txt": "BAD\n"})
    gone, web = api.connect("web", {"a.txt": "BAD\n"})
    gone.folder.rename(gone.folder.with_name("elsewhere"))
    for repository in (shop, web):
        start(api, repository)
    assert api.caller.get("/quotas/balance")["sast_scans"]["used"] == 2
    while step(api):
        pass
    assert api.caller.get("/quotas/balance")["sast_scans"]["used"] == 1


def test_scans_of_pull_requests_and_schedules_are_batches_too_and_have_what_they_saw(api: ApiBench) -> None:
    repo, shop = api.connect("shop", {"a.txt": "old BAD\n"})
    with api.app.database.work() as work:
        _, source, installation = work.installations.by_id(RepositoryId(shop))
        work.outbox.send(Envelope(ScanRepository(installation, source, "added"), "first", priority=BATCH))
    api.work()
    repo.commit({"b.txt": "new BAD\n"}, branch="topic")
    api.review(repo, "topic")
    path = f"/repositories/{shop}/scans"
    found = listed(api, path, scan_type="semgrep_scan")["items"]
    assert [(one["trigger"], one["status"], one["pull_request"]) for one in found] == [
        ("pull_request", "completed", 1),
        ("schedule", "completed", None),
    ]
    assert all(one["created_at"] <= one["started_at"] <= one["completed_at"] for one in found)
    seen = [[(f["file_path"], f["branch"]) for f in results(api, shop, one["batch_id"])["findings"]] for one in found]
    assert seen == [[("b.txt", "pull/1")], [("a.txt", "main")]]
    for one in found:
        said = progress(api, shop, one["batch_id"])
        assert (said["percent_complete"], said["scans_assessed"], said["repositories"][0]["status"]) == (100, 1, "succeeded")
        assert said["repositories"][0]["findings_count"] == 1
        assert results(api, shop, one["batch_id"])["complete"] is True
    secrets = listed(api, path, scan_type="secrets_scan")["items"]
    assert [results(api, shop, one["batch_id"])["findings"] for one in secrets] == [[], []]


def test_long_results_go_out_piece_by_piece_and_short_ones_have_a_mark(api: ApiBench) -> None:
    lines = "".join(f"{number} BAD\n" for number in range(4_200))
    _, shop = api.connect("shop", {"a.txt": lines})
    batch = start(api, shop)["batch_id"]
    path = f"/repositories/{shop}/scans/{batch}/results"
    mark = api.caller.ask("GET", path).headers["ETag"]
    assert api.caller.ask("GET", path, headers={"If-None-Match": mark}).status_code == 304
    api.work()
    answer = api.caller.ask("GET", path, headers={"Accept-Encoding": "identity"})
    found = answer.json()
    assert "ETag" not in answer.headers
    assert found["findings_count"] == len({one["fingerprint"] for one in found["findings"]}) == 4_200


def test_what_was_asked_for_does_not_wait_for_repositories_that_were_added(api: ApiBench) -> None:
    for number in range(AT_ONCE + 1):
        _, other = api.connect(f"r{number}", {"a.txt": "fine\n"})
        with api.app.database.work() as work:
            work.installations.take_slot(RepositoryId(other))
    _, shop = api.connect("shop", {"a.txt": "BAD\n"})
    batch = start(api, shop)["batch_id"]
    api.work()
    assert progress(api, shop, batch)["status"] == "completed"


def test_a_scan_that_is_given_up_fails_its_batch_and_makes_room_for_the_next(api: ApiBench) -> None:
    class Away(LineScanner):
        def scan(self, request: ScanRequest, control: Control) -> Iterator[Output]:
            yield from ()
            raise GitUnavailable("the network is away")

    api.use(scanners=[Away()])
    _, shop = api.connect("shop", {"a.txt": "BAD\n"})
    first = start(api, shop)["batch_id"]
    while step(api):
        pass
    said = api.caller.get(f"/repositories/{shop}/scans/{first}")
    assert (said["status"], said["cancelled"], said["scans_failed"]) == ("failed", False, 1)
    assert "the network is away" in said["error_message"]
    assert results(api, shop, first)["complete"] is False
    api.use(scanners=[LineScanner()])
    second = start(api, shop)["batch_id"]
    api.work()
    assert progress(api, shop, second)["status"] == "completed"


def test_one_whose_beginning_is_given_up_says_why(api: ApiBench) -> None:
    _, shop = api.connect("shop", {"a.txt": "BAD\n"})
    batch = start(api, shop)["batch_id"]
    with api.app.database.work() as work:
        (scan,) = work.transaction.execute(select(scans.c.id).where(scans.c.batch_id == batch)).scalars()
        _, source, installation = work.installations.by_id(RepositoryId(shop))
        give_up(work, ScanRepository(installation, source, "asked", scan), GitUnavailable("the host hung up"))
    (part,) = progress(api, shop, batch)["repositories"]
    assert (part["status"], part["status_reason"]) == ("failed", "the host hung up")
    api.work()
    assert progress(api, shop, batch)["status"] == "failed", "what comes late changes nothing"


@ON_BOTH
def test_of_a_batch_whose_findings_are_no_longer_kept_that_is_said(api: ApiBench) -> None:
    _, shop = api.connect("shop", {"a.txt": "BAD\n", "b.txt": "BAD b\n"})
    batch = start(api, shop)["batch_id"]
    api.work()
    assert (results(api, shop, batch)["complete"], results(api, shop, batch)["findings_count"]) == (True, 2)
    with api.app.database.work() as work:
        work.transaction.execute(delete(batch_findings))
    found = results(api, shop, batch)
    assert (found["status"], found["findings"], found["findings_count"], found["complete"]) == ("completed", [], 0, False)
    assert [one["reason"] for one in found["not_checked"]] == ["its 2 findings are no longer kept as those of this scan"]
    assert progress(api, shop, batch)["repositories"][0]["findings_count"] == 2
    with api.app.database.work() as work:
        work.transaction.execute(update(batches).values(completed_at=1.0))
        work.retention.forget(1.0)
    for rest in ("", "/progress", "/results"):
        api.caller.get(f"/repositories/{shop}/scans/{batch}{rest}", 404)


class Blind(LineScanner):
    """Looks at everything by newer rules, and sees nothing."""

    def info(self, control: Control) -> EngineInfo:
        """Others than before: what is kept of those is not taken."""
        return replace(super().info(control), rules_digest="111111111111")

    def scan(self, request: ScanRequest, control: Control) -> Iterator[Output]:
        """As its base does."""
        yield from (output for output in super().scan(request, control) if not isinstance(output, FindingSeen))


def test_what_a_scan_that_was_asked_for_sees_gone_needs_no_pull_request_any_more(api: ApiBench) -> None:
    repo, shop = api.connect("shop", {"a.txt": "BAD\n"})
    api.look(shop)
    body = {"title": "Mend it", "instructions": "Mend it", "source_repo": repo.source.full_name}
    fix = f"/repositories/{shop}/fixes/{api.caller.post(f'/repositories/{shop}/fixes', body, 201)['id']}"
    api.work()
    with api.worker():
        api.caller.post(f"{fix}/pull-requests", None, 201)
    start(api, shop)
    api.work()
    assert api.caller.get(fix)["pull_requests"][0]["merge_status"] == "open"
    api.use(scanners=[Blind(), LineScanner(ScanType.SECRETS)], fixers=[])
    start(api, shop)
    api.work()
    assert listed(api, f"/repositories/{shop}/findings", status="open")["items"] == []
    assert [pull.state for pull in api.record(repo).pull_requests().pulls] == ["closed"]
