"""Waivers against the double of GitHub: who may give one, what it covers, and what its end leads to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from bot.duties import duties
from pipeline.messages import Envelope, StartReview, Waive
from pipeline.model.event import CommentRef
from pipeline.model.finding import SuppressionKind
from pipeline.model.ids import CommitId, ReviewId
from pipeline.model.review import Review, Verdict
from pipeline.model.target import PullRequestRef, UserRef
from pipeline.store.tables import finding_events, reviews, waivers
from tests.stages.github import VALUE, GithubBench, app_key
from tests.worlds.github.model import CheckRun, PullRequest, Repository
from tests.worlds.github.world import GithubWorld

OLD = {"a.txt": "fine\nBAD old\nfine\n", "b.txt": "fine\n"}
TODAY = date(2026, 11, 22)
REASON = "test data, never reached by a request"
OTHER_VALUE = "key-" + "z9y8x7w6v5" * 2


@pytest.fixture
def github(tmp_path: Path, database_url: str) -> Iterator[GithubBench]:
    world = GithubWorld(tmp_path / "github", private_key_pem=app_key())
    world.serve()
    bench = GithubBench(tmp_path, world, database_url)
    it_is(bench, TODAY)
    yield bench
    bench.close()
    world.stop()
    assert world.violations == []


def it_is(github: GithubBench, day: date) -> None:
    """The day by which waivers end."""
    github.app.places = replace(github.app.places, today=lambda: day)


def shop(github: GithubBench, more: dict[str, str | bytes | None] | None = None) -> Repository:
    """A repository in which ada and bob may write, and eve may read."""
    repository = github.repository({**OLD, **(more or {})})
    github.world.set_permission("bob", repository, "write")
    return repository


def blocked(github: GithubBench, files: dict[str, str | bytes | None] | None = None) -> tuple[Repository, PullRequest]:
    """ada's pull request with one blocking finding, checked."""
    repository = shop(github)
    pull = github.change(repository, files or {"c.txt": "BAD\n"})
    github.settle()
    assert run_of(github, repository, pull).conclusion == "failure"
    return repository, pull


def run_of(github: GithubBench, repository: Repository, pull: PullRequest) -> CheckRun:
    """The newest check of a pull request's head."""
    return github.runs(repository, pull.head_sha)[-1]


def handle(github: GithubBench, repository: Repository, pull: PullRequest, place: str = "c.txt:1") -> str:
    """What the check calls the finding at a place."""
    found = re.search(rf"`{re.escape(place)}` \| [^|]*\(`([A-Z0-9]+)`\)", run_of(github, repository, pull).summary or "")
    assert found is not None, run_of(github, repository, pull).summary
    return found[1]


def say(github: GithubBench, who: str, pull: PullRequest, text: str) -> str:
    """Write a comment, wait, and give the newest answer."""
    before = len(github.answers(pull))
    github.world.comment(who, pull, text)
    github.settle()
    answers = github.answers(pull)
    return answers[-1] if len(answers) > before else ""


def given(github: GithubBench) -> list[tuple[str, str]]:
    """Who gave a waiver that nobody took back, and until when."""
    with github.app.database.read() as work:
        statement = select(waivers.c.person_login, waivers.c.until).where(waivers.c.ended_at.is_(None)).order_by(waivers.c.id)
        return [(row.person_login, row.until) for row in work.transaction.execute(statement)]


def history(github: GithubBench) -> list[tuple[str, str]]:
    """What people did to findings: kind and actor."""
    with github.app.database.read() as work:
        statement = select(finding_events.c.kind, finding_events.c.actor).order_by(finding_events.c.position)
        rows = [(row.kind, row.actor) for row in work.transaction.execute(statement)]
    return [row for row in rows if row[0] not in ("detected", "reopened", "resolved_auto")]


# --- who may ---


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


def end_waivers(github: GithubBench) -> None:
    """What the relay does every minute."""
    (duty,) = [duty for duty in duties(github.app) if duty.name == "waivers"]
    duty.run()
    github.settle()


def test_who_wrote_a_commit_of_the_change_is_an_author_too(github: GithubBench) -> None:
    repository, pull = blocked(github)
    github.world.commit(repository, "feature", {"d.txt": "fine\n"}, author="bob")
    github.settle()
    name = handle(github, repository, pull)
    assert "in your own change" in say(github, "bob", pull, f"/waive {name} {REASON}")
    github.world.set_permission("carol", repository, "write")
    assert "waived until" in say(github, "carol", pull, f"/waive {name} {REASON}")
    assert run_of(github, repository, pull).conclusion == "success"


def test_a_permission_that_ended_between_command_and_recording_ends_the_waiver(github: GithubBench) -> None:
    repository, pull = blocked(github)
    (review,) = reviews_of(github, pull.number)
    (finding,) = (judged.finding for judged in verdict_of(github, review).judged)
    # What the command of somebody leads to who could write when he gave it.
    eve = github.world.user("eve")
    word = Waive(
        review.installation,
        review.id,
        finding.fingerprint,
        finding.handle or "",
        SuppressionKind.WAIVER,
        REASON,
        UserRef(str(eve.id), "eve"),
        comment=CommentRef(PullRequestRef(review.change.repository, pull.number), str(github.world.comment("eve", pull, "hello").id)),
    )
    with github.app.database.work() as work:
        work.outbox.send(Envelope(word, "waive:late"))
    github.settle()
    assert given(github) == []
    assert run_of(github, repository, pull).conclusion == "failure"
    assert "write permission" in github.answers(pull)[-1]


def reviews_of(github: GithubBench, number: int) -> list[Review]:
    """The reviews of a pull request, oldest first."""
    with github.app.database.read() as work:
        found = work.transaction.execute(select(reviews.c.id).where(reviews.c.pull_request == number).order_by(reviews.c.id)).scalars()
        return [work.reviews.get(ReviewId(identity)) for identity in list(found)]


def verdict_of(github: GithubBench, review: Review) -> Verdict:
    """What was decided."""
    with github.app.database.read() as work:
        return work.reviews.verdict(review.id)


def test_the_authors_word_on_somebody_elses_pull_request_does_not_count_for_his_own(github: GithubBench) -> None:
    repository, pull = blocked(github)
    github.world.commit(repository, "decoy", {"c.txt": "BAD\n"}, author="eve")
    decoy = github.world.open_pull_request("eve", repository, "decoy", "main", "A decoy")
    github.settle()
    name = handle(github, repository, decoy)
    assert "waived until" in say(github, "ada", decoy, f"/waive {name} {REASON}")
    assert run_of(github, repository, decoy).conclusion == "success"
    assert run_of(github, repository, pull).conclusion == "failure"


def test_the_policy_of_the_base_may_let_authors_waive_and_shorten_waivers(github: GithubBench) -> None:
    repository = shop(github, {".github/fixwright.yml": "waivers: {by_author: true, days: 7}\n"})
    pull = github.change(repository, {"c.txt": "BAD\n"})
    github.settle()
    name = handle(github, repository, pull)
    assert "until 2026-11-29 at most" in say(github, "ada", pull, f"/waive {name} {REASON} until 2026-11-30")
    assert "waived until 2026-11-29" in say(github, "ada", pull, f"/waive {name} {REASON}")
    assert run_of(github, repository, pull).conclusion == "success"


# --- what is said ---


REFUSED = [
    ("", "needs a reason"),
    ("reason", "needs a reason"),
    ("reason until 2026-12-24", "needs a reason"),
    ("why", "says too little"),
    ("x" * 501, "at most 500"),
    ("long " * 2_000, "at most 500"),
    (f"{REASON} until 2026-11-21", "That day is over"),
    (f"{REASON} until 2027-02-21", "until 2027-02-20 at most"),
    (f"{REASON} until 24.12.2026", "year, month and day"),
    (f"{REASON} until 2026-02-30", "year, month and day"),
    (f"{REASON} until 2026-12-24 or so", "year, month and day"),
]


def test_what_cannot_be_a_waiver_is_refused_with_the_right_form(github: GithubBench) -> None:
    repository, pull = blocked(github)
    name = handle(github, repository, pull)
    for words, _ in REFUSED:
        github.world.comment("bob", pull, f"/waive {name} {words}")
    github.settle()
    answers = github.answers(pull)
    assert [(words, expected in said) for (words, expected), said in zip(REFUSED, answers, strict=True)] == [(w, True) for w, _ in REFUSED]
    assert given(github) == []
    assert run_of(github, repository, pull).conclusion == "failure"


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


INJECTIONS = [
    "<script>alert(1)</script> is not run here",
    "@octo/everybody look ![x](https://evil.example/x.png)",
    "| cells | and <!-- fixwright:thread:v1:x --> marks",
    "`code` [link](javascript:alert(1)) https://evil.example/",
]


def test_a_reason_is_shown_as_text_and_means_nothing(github: GithubBench) -> None:
    repository, pull = blocked(github)
    name = handle(github, repository, pull)
    for reason in INJECTIONS:
        answer = say(github, "bob", pull, f"/waive {name} {reason}")
        run = run_of(github, repository, pull)
        (row,) = [line for line in (run.summary or "").splitlines() if line.startswith("| waived")]
        assert row.count("|") == 5
        (thread,) = github.threads(pull)
        for text in (answer, run.summary or "", thread.body):
            outside = re.sub(r"`[^`]*`|<code>.*?</code>", "", text.split("<!-- fixwright")[0])
            for meant in ("<script", "@octo", "](", "<!--", "https://evil"):
                assert meant not in outside
    assert len(given(github)) == 1


# --- what it covers ---


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


def test_a_waived_secret_does_not_let_another_one_through_on_the_same_line(github: GithubBench) -> None:
    repository, pull = blocked(github, {"c.txt": f"token = {VALUE}\n"})
    name = handle(github, repository, pull)
    say(github, "bob", pull, f"/waive {name} {REASON}")
    assert run_of(github, repository, pull).conclusion == "success"
    github.world.commit(repository, "feature", {"c.txt": f"token = {OTHER_VALUE}\n"})
    github.settle()
    run = run_of(github, repository, pull)
    assert run.conclusion == "failure"
    assert handle(github, repository, pull) == name, "the same line, the same name"
    texts = [run.title, run.summary, run.text, *github.answers(pull), *(c.body for c in pull.review_comments)]
    assert all(value not in (text or "") for text in texts for value in (VALUE, OTHER_VALUE))


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


def test_what_is_no_secret_cannot_be_rotated(github: GithubBench) -> None:
    repository, pull = blocked(github)
    assert "is no secret" in say(github, "bob", pull, f"/rotated {handle(github, repository, pull)}")
    assert given(github) == []


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


def test_a_waiver_holds_in_the_merge_queue(github: GithubBench) -> None:
    repository, pull = blocked(github)
    (review,) = reviews_of(github, pull.number)
    base = CommitId(repository.git.branch("main") or "")

    def queued(name: str) -> str | None:
        sha = CommitId(github.world.commit(repository, name, {"c.txt": "BAD\n"}, base="main"))
        start = StartReview(review.installation, review.change.repository, before=base, after=sha, ref=name, queued=True, base_ref="main")
        with github.app.database.work() as work:
            work.outbox.send(Envelope(start, f"start:{name}"))
        github.settle()
        return github.runs(repository, sha)[-1].conclusion

    assert queued("gh-readonly-queue/main/pr-1-a") == "failure"
    say(github, "bob", pull, f"/waive {handle(github, repository, pull)} {REASON}")
    assert queued("gh-readonly-queue/main/pr-1-b") == "success"
