"""Fixes through the API: made, watched, refined, called off, offered; the same run as a comment would have begun."""

from __future__ import annotations

from typing import Any

import pytest

from bot.api.schemas_fixes import PublicFixResponse
from pipeline.model.ids import FindingId, FixId
from pipeline.model.target import PullRequestRef
from tests.api.bench import ApiBench, Caller
from tests.harness import LocalRepo

ON_BOTH = pytest.mark.usefixtures("database_url")
FILES = {"a.txt": "fine\nBAD old\nfine\n", "b.txt": "BAD\n"}


class Shop:
    """A repository of which everything was looked at."""

    def __init__(self, api: ApiBench) -> None:
        self.api = api
        self.repo, self.id = api.connect("shop", FILES)
        api.look(self.id)
        with api.app.database.read() as work:
            self.findings = {one.finding.location.path: one.id for one in work.findings.listed(self.number, "main", "open")}

    @property
    def number(self) -> Any:
        return self.id

    @property
    def path(self) -> str:
        return f"/repositories/{self.id}/fixes"

    def body(self, *findings: str, **more: object) -> dict[str, object]:
        return {
            "finding_ids": list(findings),
            "title": "Mend it",
            "instructions": "Mend it",
            "source_repo": self.repo.source.full_name,
            **more,
        }

    def create(self, *findings: str, **more: object) -> dict[str, Any]:
        made = self.api.caller.post(self.path, self.body(*findings, **more), 201)
        PublicFixResponse.model_validate(made)
        return dict(made)

    def made(self) -> dict[str, Any]:
        """A completed fix of one finding."""
        fix = self.create(self.findings["a.txt"])
        self.api.work()
        return dict(self.api.caller.get(f"{self.path}/{fix['id']}"))


@pytest.fixture
def shop(api: ApiBench) -> Shop:
    return Shop(api)


@ON_BOTH
def test_a_fix_is_made_and_waits_until_its_pull_request_is_asked_for(api: ApiBench, shop: Shop) -> None:
    fix = shop.create(shop.findings["a.txt"])
    assert (fix["status"], fix["title"], fix["finding_ids"]) == ("pending", "Mend it", [shop.findings["a.txt"]])
    assert fix["source_repo"] == shop.repo.source.full_name
    assert api.caller.get(f"{shop.path}/{fix['id']}/diff")["diff"] is None
    api.work()
    fix = api.caller.get(f"{shop.path}/{fix['id']}")
    assert (fix["status"], fix["pull_requests"], fix["proof"]) == ("completed", [], "re-scanned")
    assert fix["started_at"] <= fix["completed_at"]
    assert "+GOOD old" in api.caller.get(f"{shop.path}/{fix['id']}/diff")["diff"]
    progress = api.caller.get(f"{shop.path}/{fix['id']}/progress")
    assert progress["agent_steps_completed"] > 0
    assert progress["duration_seconds"] >= 0
    with api.worker():
        opened = api.caller.post(
            f"{shop.path}/{fix['id']}/pull-requests", {"title": "Our own title", "body": "Because.", "branch_name": "mine"}, 201
        )
        (pull,) = opened["pull_requests"]
        again = api.caller.post(f"{shop.path}/{fix['id']}/pull-requests", None, 201)
    assert again["pull_requests"] == [pull]
    assert (pull["branch_name"], pull["merge_status"], pull["merged_at"]) == ("fixwright/mine", "open", None)
    (record,) = [one for one in api.record(shop.repo).pull_requests().pulls if one.number == pull["pr_number"]]
    assert record.title == "Our own title"
    assert record.body.startswith("Because.\n\n---\n")
    assert fix["receipt_digest"] in record.body
    assert api.caller.get(f"{shop.path}/{fix['id']}")["pull_requests"] == [pull]
    events = [one["event_type"] for one in _events(api, shop.findings["a.txt"])]
    assert events[-4:] == ["fix_created", "fix_started", "fix_completed", "fix_pr_created"]


def _events(api: ApiBench, finding: str) -> list[dict[str, str]]:
    with api.app.database.read() as work:
        return [{"event_type": one.kind} for one in work.findings.events(FindingId(finding))]


def test_without_findings_the_worst_that_a_fixer_knows_is_mended(api: ApiBench, shop: Shop) -> None:
    fix = shop.create()
    api.work()
    assert api.caller.get(f"{shop.path}/{fix['id']}")["status"] == "completed"


@ON_BOTH
def test_several_findings_are_mended_by_one_run(api: ApiBench, shop: Shop) -> None:
    both = [shop.findings[name] for name in ("a.txt", "b.txt")]
    fix = shop.create(*both)
    assert sorted(fix["finding_ids"]) == sorted(both)
    api.work()
    diff = api.caller.get(f"{shop.path}/{fix['id']}/diff")["diff"]
    assert diff.count("+GOOD") == 2
    for finding in both:
        assert [one["id"] for one in api.caller.get(shop.path, finding_id=finding)["items"]] == [fix["id"]]
    with api.worker():
        opened = api.caller.post(f"{shop.path}/{fix['id']}/pull-requests", None, 201)
    assert len(opened["pull_requests"]) == 1


def test_a_finding_in_several_places_is_mended_in_all_of_them(api: ApiBench) -> None:
    repo, shop = api.connect("shop", {"a.txt": "BAD\nfine\nBAD\n", "b.txt": "BAD\n"})
    api.look(shop)
    (finding,) = api.caller.get(f"/repositories/{shop}/findings")["items"]
    body = {"finding_ids": [finding["id"]], "title": "Mend it", "instructions": "Mend it", "source_repo": repo.source.full_name}
    fix = api.caller.post(f"/repositories/{shop}/fixes", body, 201)
    api.work()
    assert api.caller.get(f"/repositories/{shop}/fixes/{fix['id']}")["finding_ids"] == [finding["id"]]
    assert api.caller.get(f"/repositories/{shop}/fixes/{fix['id']}/diff")["diff"].count("+GOOD") == 3


def test_a_unit_is_given_back_for_what_came_to_nothing(api: ApiBench, shop: Shop) -> None:
    called_off = shop.create(shop.findings["a.txt"])
    assert api.caller.get("/quotas/balance")["prs"]["used"] == 1
    api.caller.post(f"{shop.path}/{called_off['id']}/cancel")
    assert api.caller.get("/quotas/balance")["prs"]["used"] == 0
    api.use(fixers=[])
    failed = shop.create(shop.findings["b.txt"])
    api.work()
    assert api.caller.get(f"{shop.path}/{failed['id']}")["status"] == "failed"
    assert api.caller.get("/quotas/balance")["prs"]["used"] == 0


def test_what_was_asked_for_before_is_given_again(api: ApiBench, shop: Shop) -> None:
    first = shop.made()
    assert shop.create(shop.findings["a.txt"])["id"] == first["id"]
    assert api.caller.get(shop.path)["total"] == 1
    assert api.caller.get("/quotas/balance")["prs"]["used"] == 1


@ON_BOTH
def test_lists_are_by_finding_and_by_cursor(api: ApiBench, shop: Shop) -> None:
    ids = [shop.create(shop.findings[name])["id"] for name in ("a.txt", "b.txt")]
    assert [one["id"] for one in api.caller.get(shop.path)["items"]] == ids[::-1]
    assert [one["id"] for one in api.caller.get(shop.path, finding_id=shop.findings["a.txt"])["items"]] == ids[:1]
    first = api.caller.get(shop.path, limit=1)
    second = api.caller.get(shop.path, limit=1, cursor=first["next_cursor"])
    assert [one["id"] for one in (*first["items"], *second["items"])] == ids[::-1]
    assert not second["has_next"]
    assert api.caller.get(shop.path, finding_id="nothing\x00")["items"] == []


def test_each_state_allows_what_it_allows(api: ApiBench, shop: Shop) -> None:
    pending = shop.create(shop.findings["a.txt"])
    path = f"{shop.path}/{pending['id']}"
    for action, body in (("refine", {"instructions": "another way"}), ("pull-requests", None)):
        assert api.caller.post(f"{path}/{action}", body, 409)["detail"]["error_code"] == "INVALID_STATE"
    assert api.caller.post(f"{path}/cancel")["status"] == "cancelled"
    for action, body in (("cancel", None), ("refine", {"instructions": "another way"}), ("pull-requests", None)):
        assert api.caller.post(f"{path}/{action}", body, 409)["detail"]["error_code"] == "INVALID_STATE"
    api.work()
    assert api.caller.get(path)["status"] == "cancelled"
    assert shop.create(shop.findings["a.txt"])["id"] != pending["id"], "called off, and asked for anew"


def test_a_refinement_is_another_attempt_at_the_same_run(api: ApiBench, shop: Shop) -> None:
    fix = shop.made()
    path = f"{shop.path}/{fix['id']}"
    said = api.caller.post(f"{path}/refine", {"instructions": "rewrite everything in another language"}, 409)
    assert said["detail"]["error_code"] == "ENGINE_NOT_AVAILABLE"
    running = api.caller.post(f"{path}/refine", {"instructions": "another way"})
    assert (running["id"], running["status"], running["attempt"]) == (fix["id"], "running", 2)
    api.caller.post(f"{path}/refine", {"instructions": "another way"}, 409)
    api.work()
    after = api.caller.get(path)
    assert after["status"] == "completed", "there is no other patch: what was proven stands"
    assert "no such patch" in after["error_message"]


def test_what_cannot_be_mended_is_said_and_nothing_is_begun(api: ApiBench, shop: Shop) -> None:
    good = shop.findings["a.txt"]
    for body, status in (
        (shop.body("0" * 32), 404),
        (shop.body(good, source_repo="nobody/nothing"), 404),
        (shop.body(good, source_repo_provider="azure_devops"), 422),
        (shop.body(good, source_repo_provider="elsewhere"), 422),
        (shop.body(good, title=""), 422),
        (shop.body(good, instructions=""), 422),
        (shop.body(good, source_scan_branch="pull/7"), 409),
        (shop.body(good, more="x"), 422),
        ({"title": "x"}, 422),
    ):
        api.caller.post(shop.path, body, status)
    assert api.caller.get(shop.path)["total"] == 0
    assert api.caller.get("/quotas/balance")["prs"]["used"] == 0
    repo, other = api.connect("web", {"a.txt": "fine\n"})
    new = {**shop.body(), "source_repo": repo.source.full_name}
    assert "not looked at yet" in api.caller.post(f"/repositories/{other}/fixes", new, 409)["detail"]["detail"]


def test_of_a_pull_request_what_it_brings_is_mended(api: ApiBench, shop: Shop) -> None:
    shop.repo.commit({"new.txt": "BAD\n"}, branch="feature")
    ref = api.review(shop.repo, "feature")
    with api.app.database.read() as work:
        (finding,) = work.findings.listed(shop.number, f"pull/{ref.number}", "open")
    fix = shop.create(finding.id, source_scan_branch=f"pull/{ref.number}")
    api.work()
    assert api.caller.get(f"{shop.path}/{fix['id']}")["status"] == "completed"
    assert [one.body for one in api.said(shop.repo, ref).comments if "fix" in one.body.lower() and "receipt" in one.body.lower()] == []


@pytest.mark.parametrize("name", ["../x", "x y", "fixwright/", "a..b", "x.lock", "-x", "\u00e9"])
def test_a_branch_that_git_would_not_take_is_refused(api: ApiBench, shop: Shop, name: str) -> None:
    fix = shop.made()
    api.caller.post(f"{shop.path}/{fix['id']}/pull-requests", {"branch_name": name}, 422)


def test_a_merge_shows_in_the_pull_requests_of_the_fix(api: ApiBench, shop: Shop) -> None:
    fix = shop.made()
    with api.app.database.work() as work:
        work.fixes.save_pull_request(FixId(fix["id"]), _ref(shop.repo, 9))
        work.offers.opened(FixId(fix["id"]), shop.number, 9, "fixwright/x")
        work.offers.ended(shop.number, 9, merged=True)
    (pull,) = api.caller.get(f"{shop.path}/{fix['id']}")["pull_requests"]
    assert (pull["merge_status"], pull["merged_at"] is not None) == ("merged", True)


def _ref(repo: LocalRepo, number: int) -> Any:
    return PullRequestRef(repo.source, number)


def test_nobody_else_sees_or_moves_a_fix(api: ApiBench, shop: Shop) -> None:
    fix = shop.made()
    foreign = api.connect("shop", FILES, "other")[1]
    for caller, repository in ((api.other, shop.id), (api.other, foreign), (Caller(api.client, ""), shop.id)):
        status = 404 if caller.key else 401
        for method, tail in (("GET", ""), ("GET", "/diff"), ("GET", "/progress"), ("POST", "/cancel"), ("POST", "/pull-requests")):
            assert caller.ask(method, f"/repositories/{repository}/fixes/{fix['id']}{tail}").status_code == status
