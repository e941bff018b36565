"""`/fix`, with an instant engine and a simple fixer: asked once or often, one patch, one pull request, one answer."""

from __future__ import annotations

from tests.harness import Bench, LocalRepo


def test_fix_is_refused_to_somebody_who_may_not_write(bench: Bench, repo: LocalRepo) -> None:
    repo.commit({"c.txt": "BAD\n"}, branch="feature")
    ref = bench.review(repo, "feature")
    bench.comment(repo, ref, "/fix", who="a-stranger")
    bench.work()
    answers = [c.body for c in bench.said(repo, ref).comments if c.topic.startswith("fix")]
    assert len(answers) == 1
    assert "write permission" in answers[0]


def test_a_quoted_command_is_no_command(bench: Bench, repo: LocalRepo) -> None:
    repo.commit({"c.txt": "BAD\n"}, branch="feature")
    ref = bench.review(repo, "feature")
    before = bench.said(repo, ref)
    bench.comment(repo, ref, "> /fix\nI would not do `/fix` here")
    bench.work()
    after = bench.said(repo, ref)
    assert len(after.comments) == len(before.comments) + 1


def test_fix_without_a_finding_says_so(bench: Bench, repo: LocalRepo) -> None:
    repo.commit({"c.txt": "fine\n"}, branch="feature")
    ref = bench.review(repo, "feature")
    bench.comment(repo, ref, "/fix")
    bench.work()
    (answer,) = [c.body for c in bench.said(repo, ref).comments if c.topic.startswith("fix")]
    assert "Nothing is open here" in answer


def test_fix_of_several_asks_which(bench: Bench, repo: LocalRepo) -> None:
    repo.commit({"c.txt": "BAD one\nfine\nBAD two\n"}, branch="feature")
    ref = bench.review(repo, "feature")
    bench.comment(repo, ref, "/fix")
    bench.work()
    (answer,) = [c.body for c in bench.said(repo, ref).comments if c.topic.startswith("fix")]
    assert answer.startswith("Which one?")


def test_an_unknown_handle_is_named(bench: Bench, repo: LocalRepo) -> None:
    repo.commit({"c.txt": "BAD\n"}, branch="feature")
    ref = bench.review(repo, "feature")
    bench.comment(repo, ref, "/fix ZZZZ")
    bench.work()
    (answer,) = [c.body for c in bench.said(repo, ref).comments if c.topic.startswith("fix")]
    assert "`ZZZZ`" in answer
