"""Waivers against the double of GitHub: who may give one, what it covers, and what its end leads to."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from tests.stages.github import ON_BOTH, VALUE, GithubBench
from tests.stages.waiving import REASON, TODAY, blocked, end_waivers, given, handle, history, it_is, run_of, say


@pytest.fixture(autouse=True)
def _today(github: GithubBench) -> None:
    it_is(github, TODAY)


@ON_BOTH
def test_the_author_cannot_waive_a_colleague_can_and_the_expired_waiver_blocks_again_as_expired(github: GithubBench) -> None:
    repository, pull = blocked(github)
    name = handle(github, repository, pull)
    assert "in your own change" in say(github, "ada", pull, f"/waive {name} {REASON}")
    assert given(github) == []
    assert run_of(github, repository, pull).conclusion == "failure"
    assert "write permission" in say(github, "eve", pull, f"/waive {name} {REASON}")
    assert given(github) == []

    answer = say(github, "bob", pull, f"/waive {name} {REASON} until 2026-12-24")
    assert "waived until 2026-12-24" in answer
    run = run_of(github, repository, pull)
    assert run.conclusion == "success"
    assert (run.title or "").startswith("1 waived")
    assert f"by bob until 2026-12-24: {REASON}" in (run.summary or "")
    (thread,) = github.threads(pull)
    assert thread.thread.resolved_by is github.world.app.bot
    assert "**Waived** by bob until 2026-12-24" in thread.body
    assert github.sent("run_scan") == 2, "nothing is scanned for a waiver"

    # The last day itself counts.
    it_is(github, date(2026, 12, 24))
    end_waivers(github)
    assert run_of(github, repository, pull).conclusion == "success"
    it_is(github, date(2026, 12, 25))
    end_waivers(github)
    run = run_of(github, repository, pull)
    assert run.conclusion == "failure"
    assert "waiver expired" in (run.title or "")
    assert "blocks, expired" in (run.summary or "")
    assert "the waiver by bob expired on 2026-12-24" in (run.summary or "")
    (thread,) = github.threads(pull)
    assert thread.thread.resolved_by is None
    assert "expired on 2026-12-24" in thread.body
    assert history(github) == [("waived", "bob"), ("waiver_expired", "")]
    assert len(github.runs(repository, pull.head_sha)) == 1
    assert github.dead() == []
    # A new scan sees it the same way.
    it_is(github, date(2027, 1, 1))
    say(github, "bob", pull, "/scan")
    assert "blocks, expired" in (run_of(github, repository, pull).summary or "")


@ON_BOTH
def test_twenty_identical_waivers_are_one_and_it_can_be_taken_back(github: GithubBench) -> None:
    repository, pull = blocked(github)
    name = handle(github, repository, pull)
    for _ in range(20):
        github.world.comment("bob", pull, f"/waive {name} {REASON}")
    github.settle()
    assert given(github) == [("bob", "2027-02-20")]
    assert history(github) == [("waived", "bob")]
    assert github.sent("settle_review") == 2
    # Another word replaces it.
    say(github, "bob", pull, f"/waive {name} {REASON} until 2026-12-01")
    assert given(github) == [("bob", "2026-12-01")]
    assert "taken back" in say(github, "ada", pull, f"/waive {name} off")
    assert given(github) == []
    assert run_of(github, repository, pull).conclusion == "failure"
    assert "Nothing holds" in say(github, "ada", pull, f"/waive {name} off")
    (thread,) = github.threads(pull)
    assert thread.thread.resolved_by is None


def test_a_waiver_is_of_one_finding_a_copy_of_it_elsewhere_blocks(github: GithubBench) -> None:
    repository, pull = blocked(github)
    name = handle(github, repository, pull)
    say(github, "bob", pull, f"/waive {name} {REASON}")
    assert run_of(github, repository, pull).conclusion == "success"
    # The same line in another file has the same identity.
    github.world.commit(repository, "feature", {"d.txt": "BAD\n"})
    github.settle()
    run = run_of(github, repository, pull)
    assert run.conclusion == "failure"
    assert handle(github, repository, pull, "d.txt:1") == name
    assert "| waived | `c.txt:1`" in (run.summary or "")
    # The name means both now.
    answer = say(github, "bob", pull, f"/waive {name} {REASON}")
    assert "`c.txt:1`, `d.txt:1`" in answer or "`d.txt:1`, `c.txt:1`" in answer
    assert "waived until" in say(github, "bob", pull, f"/waive d.txt:1 {REASON}")
    assert run_of(github, repository, pull).conclusion == "success"
    # Renamed and moved down, it is the same finding still.
    github.world.commit(repository, "feature", {"c.txt": None, "e.txt": "fine\nfine\nBAD\n"})
    github.settle()
    assert run_of(github, repository, pull).conclusion == "success"


def test_a_rotated_secret_in_the_history_blocks_no_more_and_says_who_and_when(github: GithubBench) -> None:
    repository, pull = blocked(github, {"c.txt": f"token = {VALUE}\n"})
    github.world.commit(repository, "feature", {"c.txt": "token = load()\n"})
    github.settle()
    assert run_of(github, repository, pull).conclusion == "failure"
    name = handle(github, repository, pull)
    assert "in your own change" in say(github, "ada", pull, f"/rotated {name}")
    assert "counts as revoked" in say(github, "bob", pull, f"/rotated {name} in the provider's console")
    run = run_of(github, repository, pull)
    assert run.conclusion == "success"
    assert "| revoked |" in (run.summary or "")
    assert "revoked, says bob on 2" in (run.summary or "")
    it_is(github, TODAY + timedelta(days=4000))
    end_waivers(github)
    assert run_of(github, repository, pull).conclusion == "success"
    assert history(github) == [("rotated", "bob")]


def test_a_waiver_holds_in_every_pull_request_that_has_the_finding_also_a_stacked_one(github: GithubBench) -> None:
    repository, pull = blocked(github)
    github.world.commit(repository, "second", {"c.txt": "BAD\n", "e.txt": "fine\n"})
    second = github.world.open_pull_request("ada", repository, "second", "main", "The same elsewhere")
    github.world.commit(repository, "stacked", {"f.txt": "fine\n"}, base="feature")
    stacked = github.world.open_pull_request("ada", repository, "stacked", "feature", "On top")
    github.settle()
    assert run_of(github, repository, second).conclusion == "failure"
    assert run_of(github, repository, stacked).conclusion == "success", "what the base has is not its doing"
    say(github, "bob", pull, f"/waive {handle(github, repository, pull)} {REASON}")
    assert run_of(github, repository, second).conclusion == "success"
    # Aimed at the main branch the stacked one has the finding itself, and the waiver with it.
    github.world.edit_pull_request("ada", stacked, base="main")
    github.settle()
    run = run_of(github, repository, stacked)
    assert (run.conclusion, "| waived |" in (run.summary or "")) == ("success", True)
