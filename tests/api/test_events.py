"""Finding events: everything that happened to an organization's findings, newest first, each once, and nobody else's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bot.api.schemas_findings import FindingEventType
from pipeline.model.finding import Severity, SuppressionKind
from pipeline.model.target import UserRef
from pipeline.model.waiver import Waiver
from pipeline.store.seen import PULL
from tests.api.bench import ApiBench
from tests.api.seen import a_finding, a_review, log, push, remember
from tests.unit.store.samples import REPOSITORY as SHOP
from tests.unit.store.samples import commit, repository

ON_BOTH = pytest.mark.usefixtures("database_url")


def events(api: ApiBench, **query: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api.caller.get("/finding-events", **query)["items"]
    return found


@ON_BOTH
def test_what_happens_to_a_finding_is_told_with_its_status_before_and_after(api: ApiBench) -> None:
    repo, shop = api.connect("shop", {"a.txt": "BAD\n"})
    first = push(api, repo)
    assert events(api) == []
    log(api)
    (seen,) = events(api)
    assert (seen["event_type"], seen["previous_status"], seen["new_status"]) == ("detected", None, "open")
    assert (seen["check_id"], seen["file_path"], seen["severity"], seen["scan_type"]) == ("fake.bad-line", "a.txt", "high", "semgrep_scan")
    assert (seen["repository_id"], seen["actor_user_id"]) == (shop, None)
    assert seen["metadata"] == {"branch": "main", "commit_sha": first, "detail": ""}
    assert seen["organization_id"] == api.caller.get("/me")["organization_id"]
    batch = seen["scan_id"]
    assert [one["finding_id"] for one in events(api)] == [seen["finding_id"]]
    assert batch is not None
    repo.commit({"a.txt": "GOOD\n"})
    push(api, repo, first)
    log(api)
    gone, before = events(api)
    assert before == seen
    assert (gone["event_type"], gone["previous_status"], gone["new_status"]) == ("resolved_auto", "open", "resolved")
    assert gone["id"] > seen["id"]
    assert gone["event_timestamp"] >= seen["event_timestamp"]
    assert api.other.get("/finding-events")["items"] == []


@ON_BOTH
def test_every_filter_finds_exactly_what_fits(api: ApiBench) -> None:
    web = replace(SHOP, external_id="4712", full_name="acme/web")
    shop, other = api.know(SHOP), api.know(web)
    some = [a_finding(number, Severity(number % 4 + 1), secret=number % 3 == 0) for number in range(8)]
    for source in (SHOP, web):
        remember(api, some, source=source)
        remember(api, [], key="b", source=source, gone=some[:4])
        remember(api, some[:2], key="c", source=source)
        log(api)
    everything = events(api)
    assert len(everything) == 28
    assert [one["id"] for one in everything] == sorted((one["id"] for one in everything), reverse=True)
    for query in (
        {"severity": "low"},
        {"event_type": "reopened"},
        {"scan_type": "secrets_scan"},
        {"repository_id": shop},
        {"finding_id": everything[0]["finding_id"]},
        {"repository_id": other, "event_type": "detected", "severity": "high", "scan_type": "semgrep_scan"},
        {"event_type": "fix_created"},
    ):
        wanted = [one for one in everything if all(one[name] == value for name, value in query.items())]
        page = api.caller.get("/finding-events", limit=2, **query)
        assert (page["items"], page["total"], page["has_next"]) == (wanted[:2], len(wanted), len(wanted) > 2), query
        if page["has_next"]:
            assert events(api, cursor=page["next_cursor"], **query) == events(api, skip=2, **query) == wanted[2:]
    moments = sorted({one["event_timestamp"] for one in everything})
    assert len(moments) == 2
    for start, end in ((moments[0], moments[0]), (moments[1], None), (None, moments[0]), (moments[1], moments[0]), (None, None)):
        wanted = [one for one in everything if (start or "") <= one["event_timestamp"] <= (end or "9")]
        assert events(api, start=start, end=end) == wanted
    assert events(api, start="2100-01-01T00:00:00") == events(api, end="2000-01-01T00:00:00+02:00") == []
    assert events(api, repository_id="nothing") == events(api, finding_id="'") == []


@ON_BOTH
def test_what_the_contract_has_no_word_for_is_a_change_of_status_with_our_word(api: ApiBench) -> None:
    api.know(SHOP)
    remember(api, [a_finding(1)], f"{PULL}7")
    with api.app.database.work() as work:
        where, made = repository(work), a_review(work, SHOP, "b")
        print_ = a_finding(1).fingerprint
        work.findings.merge_pull_request(where, 7, "main", made, commit("b"), scanned=False)
        since = api.app.places.today()
        waiver = Waiver("", where, SuppressionKind.WAIVER, print_, "H001", "a test's own words", UserRef("1", "ada"), since)
        work.waivers.add(waiver, review=made, branch="main", commit=commit("b"))
    log(api)
    waived, merged, _ = events(api)
    assert {one["event_type"] for one in (waived, merged)} == {"status_changed"}
    assert (waived["metadata"]["kind"], merged["metadata"]["kind"]) == ("waived", "merged")
    assert (waived["actor_user_id"], waived["metadata"]["detail"]) == ("ada", "a test's own words")
    assert (merged["metadata"]["branch"], merged["metadata"]["detail"]) == ("main", "pull/7")
    assert events(api, event_type="status_changed") == [waived, merged]


@ON_BOTH
def test_an_installation_that_moves_takes_its_history_with_it(api: ApiBench) -> None:
    api.know(SHOP)
    remember(api, [a_finding(1), a_finding(2)])
    log(api)
    seen = events(api)
    remember(api, [a_finding(3)], key="b")
    api.know(replace(SHOP, external_id="1", full_name="acme/stays", installation="18"))
    with api.app.database.work() as work:
        ours = work.installations.named("acme/shop")[0][2]
        assert ours is not None
        work.organizations.move(ours.id, "other")
    log(api)
    assert events(api) == []
    moved = api.other.get("/finding-events")["items"]
    assert [one["id"] for one in moved[1:]] == [one["id"] for one in seen]
    assert len(moved) == 3
    assert api.other.get("/finding-events", severity="high")["total"] == 3


def test_what_is_asked_wrongly_is_422(api: ApiBench) -> None:
    for query in (
        {"event_type": "merged"},
        {"severity": "HIGH"},
        {"scan_type": ""},
        {"start": "yesterday"},
        {"start": "0.5"},
        {"end": "2026-01-01"},
        {"limit": 0},
        {"cursor": "WyJ4Il0"},
        {"cursor": "WyI5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTkiXQ"},
    ):
        assert api.caller.ask("GET", "/finding-events", **query).status_code == 422, query
    assert len(FindingEventType) == 14
    assert events(api, skip=2_000_000_000) == []
