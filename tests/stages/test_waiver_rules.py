"""Rules of waivers against the double of GitHub: whose word counts, what a reason is, and which finding is meant."""

from __future__ import annotations

import re
from datetime import date

import pytest
from sqlalchemy import select

from pipeline.messages import Envelope, StartReview, Waive
from pipeline.model.event import CommentRef
from pipeline.model.finding import SuppressionKind
from pipeline.model.ids import CommitId, ReviewId
from pipeline.model.review import Review, Verdict
from pipeline.model.target import PullRequestRef, UserRef
from pipeline.store.tables import reviews
from tests.stages.github import VALUE, GithubBench
from tests.stages.waiving import OTHER_VALUE, REASON, TODAY, blocked, end_waivers, given, handle, it_is, run_of, say, shop


@pytest.fixture(autouse=True)
def _today(github: GithubBench) -> None:
    it_is(github, TODAY)


def test_who_wrote_a_commit_of_the_change_is_an_author_too(github: GithubBench) -> None:
    repository, pull = blocked(github)
    github.world.commit(repository, "feature", {"d.txt": "fine\n"}, author="bob")
    github.settle()
    name = handle(github, repository, pull)
    assert "in your own change" in say(github, "bob", pull, f"/waive {name} {REASON}")
    github.world.set_permission("carol", repository, "write")
    assert "waived until" in say(github, "carol", pull, f"/waive {name} {REASON}")
    assert run_of(github, repository, pull).conclusion == "success"


def test_who_pushed_a_commit_in_somebody_elses_name_is_an_author_too(github: GithubBench) -> None:
    repository, pull = blocked(github)
    github.world.commit(repository, "feature", {"d.txt": "fine\n"}, author="ada", pusher="bob")
    github.settle()
    assert "in your own change" in say(github, "bob", pull, f"/waive {handle(github, repository, pull)} {REASON}")
    assert given(github) == []


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


def test_who_pushed_to_a_change_cannot_waive_for_it_on_a_decoy(github: GithubBench) -> None:
    repository = shop(github)
    pull = github.change(repository, {"d.txt": "fine\n"})
    github.settle()
    github.world.commit(repository, "feature", {"c.txt": "BAD\n"}, author="ada", pusher="bob")
    github.world.commit(repository, "decoy", {"c.txt": "BAD\n"}, author="eve")
    decoy = github.world.open_pull_request("eve", repository, "decoy", "main", "A decoy")
    github.settle()
    name = handle(github, repository, decoy)
    assert "waived until" in say(github, "bob", decoy, f"/waive {name} {REASON}")
    assert run_of(github, repository, decoy).conclusion == "success"
    assert run_of(github, repository, pull).conclusion == "failure"
    github.world.set_permission("carol", repository, "write")
    say(github, "carol", pull, f"/waive {name} {REASON}")
    assert run_of(github, repository, pull).conclusion == "success"


def test_who_only_brings_a_change_up_to_date_does_not_end_the_waiver_that_he_gave_there(github: GithubBench) -> None:
    repository, pull = blocked(github)
    say(github, "bob", pull, f"/waive {handle(github, repository, pull)} {REASON}")
    assert run_of(github, repository, pull).conclusion == "success"
    github.world.commit(repository, "feature", {"d.txt": "fine\n"}, author="bob")
    github.settle()
    assert run_of(github, repository, pull).conclusion == "success"


def test_the_policy_of_the_base_may_let_authors_waive_and_shorten_waivers(github: GithubBench) -> None:
    repository = shop(github, {".github/fixwright.yml": "waivers: {by_author: true, days: 7}\n"})
    pull = github.change(repository, {"c.txt": "BAD\n"})
    github.settle()
    name = handle(github, repository, pull)
    assert "until 2026-11-29 at most" in say(github, "ada", pull, f"/waive {name} {REASON} until 2026-11-30")
    assert "waived until 2026-11-29" in say(github, "ada", pull, f"/waive {name} {REASON}")
    assert run_of(github, repository, pull).conclusion == "success"


REFUSED = [
    ("", "needs a reason"),
    ("reason", "needs a reason"),
    ("reason until 2026-12-24", "needs a reason"),
    ("why", "says too little"),
    ("because " * 63, "at most 500"),
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
    for words, expected in REFUSED:
        assert expected in say(github, "bob", pull, f"/waive {name} {words}"), words
    assert given(github) == []
    assert run_of(github, repository, pull).conclusion == "failure"


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


def test_what_is_no_secret_cannot_be_rotated(github: GithubBench) -> None:
    repository, pull = blocked(github)
    assert "is no secret" in say(github, "bob", pull, f"/rotated {handle(github, repository, pull)}")
    assert given(github) == []


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


def test_an_open_change_that_rests_on_an_entry_of_the_policy_blocks_when_the_entry_is_over(github: GithubBench) -> None:
    entry = "{rule: fake.bad-line, reason: goes away soon, until: 2026-12-24}"
    repository = shop(github, {".github/fixwright.yml": f"ignore: [{entry}]\n"})
    pull = github.change(repository, {"c.txt": "BAD\n"})
    github.settle()
    assert run_of(github, repository, pull).conclusion == "success"
    scanned = github.sent("run_scan")
    it_is(github, date(2026, 12, 24))
    end_waivers(github)
    assert run_of(github, repository, pull).conclusion == "success"
    it_is(github, date(2026, 12, 25))
    end_waivers(github)
    run = run_of(github, repository, pull)
    assert run.conclusion == "failure"
    assert "blocks, expired" in (run.summary or "")
    again = github.sent("settle_review")
    end_waivers(github)
    assert (github.sent("settle_review"), github.sent("run_scan")) == (again, scanned)
