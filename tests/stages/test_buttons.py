"""Buttons of the check, and commands in comments, against the double of GitHub."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from pipeline.model.ids import ReviewId
from pipeline.store.tables import reviews
from tests.fakes import LineScanner
from tests.stages.github import VALUE, GithubBench, KeyScanner
from tests.stages.waiving import TODAY, it_is
from tests.worlds.github.model import CheckRun, PullRequest, Repository

OLD = {"a.txt": "fine\nBAD old\nfine\n", "b.txt": "fine\n"}


@pytest.fixture(autouse=True)
def _today(github: GithubBench) -> None:
    it_is(github, TODAY)


def checked(github: GithubBench, files: dict[str, str | bytes | None]) -> tuple[Repository, PullRequest, CheckRun]:
    """ada's pull request, checked."""
    repository = github.repository(OLD)
    pull = github.change(repository, files)
    github.settle()
    return repository, pull, github.runs(repository, pull.head_sha)[-1]


def press(github: GithubBench, who: str, run: CheckRun, identifier: str, times: int = 1) -> None:
    """Press a button and wait."""
    for _ in range(times):
        github.world.press_button(who, run, identifier)
    github.settle()


def shown(run: CheckRun) -> list[str]:
    """The labels of the buttons."""
    return [action["label"] for action in run.actions]


def ours(github: GithubBench, pull: PullRequest) -> list[str]:
    """Our comments in the conversation that are not folded away."""
    return [comment.body for comment in pull.comments if comment.user is github.world.app.bot]


def test_only_buttons_that_would_do_something_are_shown(github: GithubBench) -> None:
    repository, _, run = checked(github, {"c.txt": "BAD\n"})
    assert shown(run) == ["Fix all", "Scan again", "Waive…"]
    assert all(len(a["label"]) <= 20 and len(a["description"]) <= 40 and len(a["identifier"]) <= 20 for a in run.actions)
    # A secret of this kind has no fixer.
    key = github.change(repository, {"d.txt": f"token = {VALUE}\n"}, branch="key")
    clean = github.change(repository, {"e.txt": "fine\n"}, branch="clean")
    github.settle()
    assert shown(github.runs(repository, key.head_sha)[-1]) == ["Scan again", "Waive…"]
    assert shown(github.runs(repository, clean.head_sha)[-1]) == ["Scan again"]


def test_a_reader_who_presses_changes_nothing_and_is_told_once(github: GithubBench) -> None:
    repository, pull, run = checked(github, {"c.txt": "BAD\n"})
    for identifier in ("fix-all", "scan-again", "waive"):
        press(github, "eve", run, identifier, times=2)
    (said,) = ours(github, pull)
    assert "write permission" in said
    assert github.sent("request_fix") == 0
    assert github.reviews(pull.head_sha) == 1
    assert github.our_branches(repository) == []


def test_fix_all_makes_each_fix_once_and_one_comment_says_what_became_of_them(github: GithubBench) -> None:
    repository, pull, run = checked(github, {"c.txt": "BAD one\n", "d.txt": "fine\nBAD two\n", "e.txt": f"token = {VALUE}\n"})
    press(github, "ada", run, "fix-all", times=3)
    (said,) = ours(github, pull)
    opened = github.ours(repository)
    assert len(opened) == 2
    assert [f"opened #{fix.number}" in said for fix in opened] == [True, True]
    assert len(github.our_branches(repository)) == 2
    assert github.sent("run_fix") == 2
    assert github.dead() == []


def test_scan_again_by_button_and_command_is_one_fresh_review_after_each(github: GithubBench) -> None:
    repository, pull, run = checked(github, {"c.txt": "BAD\n"})
    github.world.press_button("ada", run, "scan-again")
    for _ in range(3):
        github.world.comment("ada", pull, "/scan")
    github.world.press_button("ada", run, "scan-again")
    github.settle()
    assert github.reviews(pull.head_sha) == 2
    run = github.runs(repository, pull.head_sha)[-1]
    assert run.conclusion == "failure"
    assert len(github.threads(pull)) == 1
    press(github, "ada", run, "scan-again")
    assert github.reviews(pull.head_sha) == 3


def test_a_scan_asked_for_while_one_is_under_way_starts_no_other(github: GithubBench) -> None:
    asked: list[bool] = []

    def ask() -> None:
        if not asked:
            asked.append(True)
            github.world.comment("ada", pull, "/scan\n/status")
            github.take()
            github.start("issue_comment.created")

    github.look_with(LineScanner(before=ask), KeyScanner())
    repository = github.repository(OLD)
    pull = github.change(repository, {"c.txt": "BAD\n"})
    github.settle()
    assert github.reviews(pull.head_sha) == 1
    (said,) = (text for text in ours(github, pull) if "already" in text)
    assert "being checked since" in said


def test_waive_gives_the_lines_to_copy_and_asks_for_the_reason(github: GithubBench) -> None:
    repository, pull, run = checked(github, {"c.txt": "BAD\n", "d.txt": f"token = {VALUE}\n"})
    press(github, "ada", run, "waive", times=2)
    (said,) = ours(github, pull)
    lines = [line.strip() for line in said.splitlines() if line.strip().startswith("/waive ")]
    assert len(lines) == 2
    assert all(line.endswith(" reason until 2027-02-20") for line in lines)
    assert github.runs(repository, pull.head_sha)[-1].conclusion == "failure"
    # Copied as it is, it has no reason yet.
    github.world.set_permission("bob", repository, "write")
    github.world.comment("bob", pull, lines[0])
    github.settle()
    assert "needs a reason" in ours(github, pull)[-1]


def test_several_commands_are_done_in_order_and_answered_once_and_at_most_five(github: GithubBench) -> None:
    _, pull, _ = checked(github, {"c.txt": "BAD\n"})
    github.world.comment("ada", pull, "Let us see.\n/help\n/status\n/waive\n/rotated c.txt:1\n/help\n/scan\n")
    github.settle()
    (said,) = ours(github, pull)
    expected = ("`/fix [all]", "fails (1 blocks", "Write which one", "is no secret", "Only the first 5")
    places = [said.index(text) for text in expected]
    assert places == sorted(places)
    assert said.count("lists the commands") == 1
    assert github.reviews(pull.head_sha) == 1, "the sixth was not done"


def test_a_reader_may_ask_but_not_order_and_strangers_words_are_nobodys_business(github: GithubBench) -> None:
    _, pull, _ = checked(github, {"c.txt": "BAD\n"})
    github.world.comment("eve", pull, "/status\n/scan\n/fix\n/waive c.txt:1 it is a fixture")
    github.settle()
    (said,) = ours(github, pull)
    assert "fails (1 blocks" in said
    assert said.count("needs write permission") == 1
    assert (github.sent("request_fix"), github.sent("waive"), github.reviews(pull.head_sha)) == (0, 0, 1)
    for who, text in (("eve", "/scna"), ("ada", "/retest"), ("ada", "/lgtm"), ("eve", "/waiver c.txt:1")):
        github.world.comment(who, pull, text)
    github.settle()
    assert len(ours(github, pull)) == 1
    github.world.comment("ada", pull, "/scna")
    github.settle()
    assert "There is no command `/scna`" in ours(github, pull)[-1]


def test_a_finding_at_one_of_several_places_is_mended_there(github: GithubBench) -> None:
    repository, pull, _ = checked(github, {"c.txt": "BAD\n", "d.txt": "fine\nBAD\n"})
    github.world.comment("ada", pull, "/fix c.txt:1")
    github.settle()
    (opened,) = github.ours(repository)
    assert github.world.read(repository, opened.head_sha, "c.txt") == b"GOOD\n"
    assert github.world.read(repository, opened.head_sha, "d.txt") == b"fine\nBAD\n"
    github.world.comment("ada", pull, "/fix d.txt:2")
    github.settle()
    assert len(github.ours(repository)) == 2


def test_the_button_of_an_overtaken_check_says_so_and_makes_nothing(github: GithubBench) -> None:
    repository, pull, run = checked(github, {"c.txt": "BAD\n"})
    github.world.commit(repository, "feature", {"d.txt": "fine\n"})
    github.settle()
    press(github, "ada", run, "fix-all", times=2)
    assert [text for text in ours(github, pull) if "is of an older commit" in text] == ours(github, pull)
    assert len(ours(github, pull)) == 1
    assert github.sent("request_fix") == 0


def test_everything_can_be_asked_for_by_a_command(github: GithubBench) -> None:
    repository, pull, _ = checked(github, {"c.txt": "BAD one\n", "d.txt": "BAD two\n"})
    github.world.comment("ada", pull, "/fix all")
    github.settle()
    said = ours(github, pull)
    assert "2 fixes asked for" in said[0]
    assert said[1].startswith("Fixes that were asked for, now or before:")
    assert len(github.ours(repository)) == 2
    github.world.comment("ada", pull, "/fix all")
    github.settle()
    assert ours(github, pull)[2].startswith("Nothing new to ask for. 2 were asked for before. One comment says what became of them.")


def test_of_everything_what_was_asked_for_is_not_asked_again_and_what_was_called_off_is(github: GithubBench) -> None:
    _, pull, _ = checked(github, {"c.txt": "BAD one\n", "d.txt": "BAD two\n"})
    github.world.comment("ada", pull, "/fix c.txt:1")
    github.settle()
    with github.app.database.work() as work:
        of_pull = select(reviews.c.id).where(reviews.c.pull_request.is_not(None)).order_by(reviews.c.id).limit(1)
        review = work.reviews.get(ReviewId(work.transaction.execute(of_pull).scalar_one()))
        other = next(one.finding for one in work.reviews.verdict(review.id).judged if one.finding.location.path == "d.txt")
        repository = work.installations.identify(review.change.repository)
        made, _ = work.fixes.create(repository, review.id, other.fingerprint, other.handle or "", asked_by="ada")
        assert work.fixes.cancel(made, "ada")
    github.world.comment("ada", pull, "/fix all")
    github.settle()
    assert f"1 fix asked for: `{other.handle}`. 1 was asked for before." in "\n".join(ours(github, pull))
    assert github.sent("request_fix") == 2
