"""Findings: what is listed, with every filter, and never another organization's."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from sqlalchemy import delete, select

from pipeline.model.account import Scope
from pipeline.model.finding import Location, Severity
from pipeline.model.ids import CommitId, RepositoryId
from pipeline.model.scan import ScanType
from pipeline.stages.lapse import expire_decisions
from pipeline.store.decisions import Decision
from pipeline.store.listing import STATUSES, Key
from pipeline.store.seen import PULL
from pipeline.store.tables import finding_states, occurrences
from tests.api.bench import ApiBench
from tests.api.seen import a_finding, a_review, batch_of, listed, log, push, remember
from tests.unit.store.samples import REPOSITORY as SHOP

ON_BOTH = pytest.mark.usefixtures("database_url")


def ids(page: dict[str, Any]) -> list[str]:
    return [one["id"] for one in page["items"]]


@ON_BOTH
def test_what_a_scan_of_the_default_branch_found_is_listed_and_nobody_else_sees_it(api: ApiBench) -> None:
    repo, shop = api.connect("shop", {"a.txt": "BAD\nfine\nBAD BAD\n"})
    push(api, repo)
    said = listed(api, shop)
    assert said["total"] == len(said["items"]) == 2
    one = said["items"][-1]
    assert (one["check_id"], one["severity"], one["status"], one["scan_type"]) == ("fake.bad-line", "high", "open", "semgrep_scan")
    assert (one["file_path"], one["line_start"], one["branch"], one["is_pr_finding"]) == ("a.txt", 1, "main", False)
    assert (one["cwe"], one["owasp"], one["source_url"], one["cvss_vector"]) == (["CWE-710"], [], None, None)
    assert (one["repository_id"], one["source_repo_provider"], one["resolved_at"]) == (shop, "local", None)
    assert len(one["commit_sha"]) == 40
    assert api.caller.get(f"/repositories/{shop}/findings/{one['id']}") == one
    api.other.get(f"/repositories/{shop}/findings", 404)
    api.other.get(f"/repositories/{shop}/findings/{one['id']}", 404)
    _, foreign = api.connect("other", {"a.txt": "fine\n"}, "other")
    assert api.other.get(f"/repositories/{foreign}/findings")["items"] == []
    api.other.get(f"/repositories/{foreign}/findings/{one['id']}", 404)


def test_where_it_stands_is_a_page_of_the_host(api: ApiBench) -> None:
    shop = api.know(SHOP)
    remember(api, [a_finding(3), a_finding(4, secret=True)])
    secret, one = listed(api, shop)["items"]
    assert one["source_url"] == f"https://github.com/acme/shop/blob/{'a' * 40}/app/file%203.py#L4-L5"
    assert one["owasp"] == ["A03:2021 - Injection"]
    assert one["references"] == ["https://cwe.mitre.org/data/definitions/89.html"]
    assert (secret["category"], secret["scan_type"]) == ("secrets", "secrets_scan")
    gitlab = replace(SHOP, provider="gitlab", instance="gitlab.com", clone_url="https://gitlab.com/acme/shop.git")
    other = api.know(gitlab)
    remember(api, [a_finding(3)], source=gitlab)
    (one,) = listed(api, other)["items"]
    assert one["source_url"] == f"https://gitlab.com/acme/shop/-/blob/{'a' * 40}/app/file%203.py#L4-5"


@ON_BOTH
def test_every_filter_and_each_combination_of_them_finds_exactly_what_fits(api: ApiBench) -> None:
    second = replace(SHOP, external_id="4712", full_name="acme/web")
    shop, web = api.know(SHOP), api.know(second)
    kinds = list(product(Severity, (False, True)))
    for source in (SHOP, second):
        remember(api, [a_finding(n, kinds[n % 8][0], secret=kinds[n % 8][1]) for n in range(40)], source=source)
    with api.app.database.work() as work:  # each status with each kind
        rows = work.transaction.execute(select(finding_states).order_by(finding_states.c.finding_id)).all()
        for number, row in enumerate(rows):
            key = Key(row.repository_id, row.branch, row.finding_id)
            work.decisions.decide(key, CommitId("a" * 40), Decision(STATUSES[number // 8 % 5], "a test"))
    group = api.caller.post("/repositories", {"name": "Both", "source_repository_ids": [shop, web]}, 201)["id"]
    everything = listed(api, group, limit=200)["items"]
    assert [one["id"] for one in everything] == sorted((one["id"] for one in everything), reverse=True)
    assert len(everything) == 80
    words = ("severity", "status", "scan_type")
    for asked in product((None, "critical", "low"), (None, "open", "ignored"), (None, ScanType.SECRETS, ScanType.SBOM)):
        query = dict(zip(words, asked, strict=True))
        wanted = [one["id"] for one in everything if all(value is None or one[name] == value for name, value in query.items())]
        first = listed(api, group, limit=3, **query)
        assert (ids(first), first["total"], first["has_next"]) == (wanted[:3], len(wanted), len(wanted) > 3), query
        if first["has_next"]:
            after = listed(api, group, limit=200, cursor=first["next_cursor"], **query)
            assert ids(first) + ids(after) == wanted
            assert ids(listed(api, group, limit=200, skip=3, **query)) == wanted[3:]


@ON_BOTH
def test_a_pull_requests_findings_are_shown_where_they_are_asked_for(api: ApiBench) -> None:
    shop = api.know(SHOP)
    (old,) = remember(api, [a_finding(1)])
    _, new = remember(api, [a_finding(1), a_finding(2)], f"{PULL}7", "b")
    assert ids(listed(api, shop)) == [old]
    said = listed(api, shop, branch="pull/7")
    assert ids(said) == [new, old]
    assert all((one["branch"], one["is_pr_finding"]) == ("pull/7", True) for one in said["items"])
    assert listed(api, shop, branch="elsewhere")["items"] == []
    assert api.caller.get(f"/repositories/{shop}/findings/{old}")["branch"] == "main"
    assert api.caller.get(f"/repositories/{shop}/findings/{new}")["branch"] == "pull/7"
    with api.app.database.work() as work:
        work.findings.close_pull_request(RepositoryId(shop), 7, a_review(work, SHOP, "c"), CommitId("b" * 40))
    closed = api.caller.get(f"/repositories/{shop}/findings/{new}")
    assert (closed["status"], closed["resolved_at"] is not None) == ("resolved", True)


@ON_BOTH
def test_a_batch_has_what_it_saw(api: ApiBench) -> None:
    shop = api.know(SHOP)
    mine = remember(api, [a_finding(n, Severity(n % 4 + 1)) for n in range(8)])[:5]
    batch = batch_of(api, shop, mine)
    said = listed(api, shop, scan_batch_id=batch, limit=3)
    rest = listed(api, shop, scan_batch_id=batch, cursor=said["next_cursor"])
    assert ids(said) + ids(rest) == mine[::-1]
    assert (said["total"], rest["has_next"]) == (5, False)
    low = listed(api, shop, scan_batch_id=batch, severity="low", status="open", scan_type="semgrep_scan")
    assert ids(low) == [mine[4], mine[0]]
    for nothing in ({"status": "ignored"}, {"scan_type": "secrets_scan"}, {"severity": "critical", "skip": 1}):
        assert listed(api, shop, scan_batch_id=batch, **nothing)["items"] == []
    foreign = api.know(replace(SHOP, external_id="9", full_name="acme/other"), "other")
    assert api.other.get(f"/repositories/{foreign}/findings", scan_batch_id=batch)["items"] == []
    assert listed(api, shop, scan_batch_id="nothing")["items"] == []


def test_what_is_asked_wrongly_is_422_and_what_is_not_there_404(api: ApiBench) -> None:
    shop = api.know(SHOP)
    for query in (
        {"severity": "info"},
        {"status": "OPEN"},
        {"scan_type": "sast"},
        {"limit": 0},
        {"limit": 201},
        {"skip": -1},
        {"cursor": "x"},
    ):
        answer = api.caller.ask("GET", f"/repositories/{shop}/findings", **query)
        assert answer.status_code == 422, query
    assert listed(api, shop, skip=2_000_000_000)["items"] == []
    for wrong in ("nothing", "%00", "a%2Fb", "'", "%F0%9F%98%80", "1" * 500):
        api.caller.get(f"/repositories/{shop}/findings/{wrong}", 404)


def test_a_path_that_is_no_text_is_spelt_out(api: ApiBench) -> None:
    shop = api.know(SHOP)
    remember(api, [replace(a_finding(1), location=Location("a\udc80\x00b.py", 1, 1))])
    (one,) = listed(api, shop)["items"]
    assert "\udc80" not in one["file_path"]
    assert one["source_url"].endswith("/a%80%00b.py#L1-L1")


def change(api: ApiBench, repository: str, finding: str, status: str, expected: int = 200, **more: Any) -> dict[str, Any]:
    said: dict[str, Any] = api.caller.patch(f"/repositories/{repository}/findings/{finding}", {"status": status, **more}, expected)
    return said


def told(api: ApiBench, finding: str) -> list[tuple[str, str | None, str | None, str | None]]:
    """What became of a finding, oldest first: kind, before, after, by whom; without what was waived."""
    log(api)
    found = api.caller.get("/finding-events", finding_id=finding)["items"]
    own = [one for one in reversed(found) if "kind" not in one["metadata"]]
    return [(one["event_type"], one["previous_status"], one["new_status"], one["actor_user_id"]) for one in own]


@ON_BOTH
def test_a_person_decides_and_the_history_says_who_and_what_was_before(api: ApiBench) -> None:
    shop = api.know(SHOP)
    one, two = remember(api, [a_finding(1), a_finding(2)])
    remember(api, [a_finding(1)], f"{PULL}7", "p")
    said = change(api, shop, one, "needs_manual_review", reason="who owns this?")
    assert (said["status"], said["reason"], said["gate_lifted"]) == ("needs_manual_review", "who owns this?", None)
    assert listed(api, shop, branch="pull/7", status="needs_manual_review")["total"] == 1
    before = told(api, one)
    assert change(api, shop, one, "needs_manual_review")["reason"] == "who owns this?"
    assert told(api, one) == before
    assert change(api, shop, one, "resolved")["resolved_at"] is not None
    assert ids(listed(api, shop, status="open")) == [two]
    remember(api, [a_finding(1), a_finding(2)], key="b")
    assert api.caller.get(f"/repositories/{shop}/findings/{one}")["status"] == "open"
    change(api, shop, one, "resolved")
    change(api, shop, one, "open")
    assert told(api, one) == [
        ("detected", None, "open", None),
        ("status_changed", "open", "needs_manual_review", "a test"),
        ("resolved_manual", "needs_manual_review", "resolved", "a test"),
        ("reopened", "resolved", "open", None),
        ("resolved_manual", "open", "resolved", "a test"),
        ("reopened", "resolved", "open", "a test"),
    ]
    assert api.caller.get(f"/repositories/{shop}/findings/{two}")["status"] == "open"


@ON_BOTH
def test_another_reason_or_end_takes_the_place_of_the_old_one(api: ApiBench) -> None:
    shop = api.know(SHOP)
    (one,) = remember(api, [a_finding(1)])
    today = api.app.places.today()
    later, latest = ((today + timedelta(days=days)).isoformat() for days in (10, 20))
    change(api, shop, one, "ignored", reason="only in a test", until=later)

    def said(**more: Any) -> tuple[str | None, str | None]:
        now = change(api, shop, one, "ignored", **more)
        assert now == {**api.caller.get(f"/repositories/{shop}/findings/{one}"), "gate_lifted": True}
        return now["reason"], now["until"]

    assert said() == ("only in a test", later)
    assert said(reason="nobody can reach it") == ("nobody can reach it", later)
    assert said(until=latest) == ("nobody can reach it", latest)
    with api.app.database.read() as work:
        waivers = [(waiver.reason, waiver.until) for waiver in work.waivers.of_repository(RepositoryId(shop))]
    assert waivers == [("nobody can reach it", today + timedelta(days=20))]
    assert said(until=None) == ("nobody can reach it", None)
    assert said(until=None) == ("nobody can reach it", None)
    assert told(api, one)[1:] == [
        ("status_changed", "open", "ignored", "a test"),
        *[("status_changed", "ignored", "ignored", "a test")] * 3,
    ]
    assert listed(api, shop, status="ignored")["total"] == 1
    assert expire_decisions(api.app.database, today + timedelta(days=30)) == 0


def test_what_somebody_ignored_is_lifted_when_an_administrator_says_so_too(api: ApiBench) -> None:
    shop = api.know(SHOP)
    (one,) = remember(api, [a_finding(1)])
    path = f"/repositories/{shop}/findings/{one}"
    assert api.key_of("default", [Scope.FINDING_WRITE]).patch(path, {"status": "ignored"})["gate_lifted"] is False
    assert change(api, shop, one, "ignored")["gate_lifted"] is True


@ON_BOTH
def test_of_what_is_gone_nothing_but_that_can_be_said(api: ApiBench) -> None:
    repo, shop = api.connect("shop", {"a.txt": "BAD\n"})
    first = push(api, repo)
    (one,) = ids(listed(api, shop))
    repo.commit({"a.txt": "fine\n"})
    second = push(api, repo, first)
    for status in ("open", "ignored", "false_positive", "needs_manual_review"):
        refused = change(api, shop, one, status, 409)["detail"]
        assert (refused["error_code"], "gone from main" in refused["detail"]) == ("INVALID_STATE", True)
    assert change(api, shop, one, "resolved", reason="mended by hand")["reason"] == "mended by hand"
    repo.commit({"a.txt": "BAD\n"})
    push(api, repo, second)
    assert api.caller.get(f"/repositories/{shop}/findings/{one}")["status"] == "open"


def test_a_finding_of_which_the_places_are_no_longer_kept_is_still_there(api: ApiBench) -> None:
    shop = api.know(SHOP)
    (one,) = remember(api, [a_finding(1)])
    remember(api, [], key="b", gone=[a_finding(1)])
    with api.app.database.work() as work:
        work.transaction.execute(delete(occurrences))
    (said,) = listed(api, shop)["items"]
    assert said == api.caller.get(f"/repositories/{shop}/findings/{one}")
    assert (said["status"], said["check_id"], said["file_path"], said["source_url"]) == ("resolved", a_finding(1).rule.id, "", None)


@ON_BOTH
def test_what_is_ignored_stays_so_when_it_is_seen_again_and_is_gone_when_it_is_gone(api: ApiBench) -> None:
    shop = api.know(SHOP)
    (one,) = remember(api, [a_finding(1)])
    change(api, shop, one, "false_positive")
    remember(api, [a_finding(1)], key="b")
    assert listed(api, shop, status="false_positive")["total"] == 1
    remember(api, [], key="c", gone=[a_finding(1)])
    assert api.caller.get(f"/repositories/{shop}/findings/{one}")["status"] == "resolved"
    remember(api, [a_finding(1)], key="d")
    assert told(api, one)[1:] == [
        ("status_changed", "open", "false_positive", "a test"),
        ("resolved_auto", "false_positive", "resolved", None),
        ("reopened", "resolved", "false_positive", None),
    ]


@ON_BOTH
def test_of_many_who_decide_at_once_each_event_says_what_was_before(api: ApiBench) -> None:
    shop = api.know(SHOP)
    (one,) = remember(api, [a_finding(1)])
    words = ["ignored", "false_positive", "needs_manual_review", "resolved", "open"] * 4
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda word: change(api, shop, one, word), words))
    history = told(api, one)
    assert [before for _, before, _, _ in history[1:]] == [after for _, _, after, _ in history[:-1]]
    assert all(before != after for _, before, after, _ in history)
    assert api.caller.get(f"/repositories/{shop}/findings/{one}")["status"] == history[-1][2]


@ON_BOTH
def test_a_gate_is_lifted_by_an_administrator_alone(api: ApiBench) -> None:
    repo, shop = api.connect("shop", {"a.txt": "fine\n"})
    head = repo.commit({"a.txt": "BAD\n"}, branch="feature")
    api.review(repo, "feature")
    (one,) = ids(listed(api, shop, branch="pull/1"))
    assert api.checks(repo, head)[0].conclusion == "failure"
    writer = api.key_of("default", [Scope.READ, Scope.FINDING_WRITE])
    path = f"/repositories/{shop}/findings/{one}"
    said = writer.patch(path, {"status": "ignored", "reason": "only in a test"})
    api.work()
    assert (said["status"], said["gate_lifted"]) == ("ignored", False)
    assert api.checks(repo, head)[0].conclusion == "failure"
    change(api, shop, one, "open")
    far = "2999-01-01"
    assert "the last day lies between" in str(change(api, shop, one, "ignored", 422, until=far))
    assert "8 to 500" in str(change(api, shop, one, "ignored", 422, reason="no"))
    assert api.caller.get(path)["status"] == "open"
    assert change(api, shop, one, "ignored", reason="only in a test")["gate_lifted"] is True
    api.work()
    assert api.checks(repo, head)[0].conclusion == "success"
    with api.app.database.read() as work:
        (waiver,) = work.waivers.of_repository(RepositoryId(shop))
    assert (waiver.person.login, waiver.reason) == ("a test (API key)", "only in a test")
    assert waiver.until is not None
    change(api, shop, one, "open")
    api.work()
    assert api.checks(repo, head)[0].conclusion == "failure"
    api.key_of("default", [Scope.READ]).patch(path, {"status": "ignored"}, 403)
    api.other.patch(path, {"status": "ignored"}, 404)


@ON_BOTH
def test_what_is_over_counts_again(api: ApiBench) -> None:
    shop = api.know(SHOP)
    one, two = remember(api, [a_finding(1), a_finding(2)])
    today = api.app.places.today()
    change(api, shop, one, "needs_manual_review", until=today.isoformat())
    change(api, shop, two, "needs_manual_review")
    assert expire_decisions(api.app.database, today) == 0
    assert expire_decisions(api.app.database, today + timedelta(days=1)) == 1
    assert ids(listed(api, shop, status="open")) == [one]
    assert told(api, one)[-1] == ("status_changed", "needs_manual_review", "open", None)
    assert expire_decisions(api.app.database, today + timedelta(days=9)) == 0


def test_a_change_that_says_nothing_known_is_refused(api: ApiBench) -> None:
    shop = api.know(SHOP)
    (one,) = remember(api, [a_finding(1)])
    path = f"/repositories/{shop}/findings/{one}"
    wrong: list[Any] = [{}, {"status": "OPEN"}, {"status": "merged"}, {"status": None}, {"status": "open", "more": 1}, [], "open"]
    for body in wrong:
        api.caller.patch(path, body, 422)
    change(api, shop, one, "ignored", 422, until="2020-01-01")
    assert told(api, one) == [("detected", None, "open", None)]
    api.caller.patch(f"/repositories/{shop}/findings/nothing", {"status": "open"}, 404)
