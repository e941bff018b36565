"""A host whose checks have no page: the one comment carries what the page would, and nothing is said twice."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.errors import EngineTimedOut, InternalFault
from pipeline.model.event import PullRequestAction
from pipeline.model.scan import ScanType
from pipeline.model.target import PullRequestRef
from pipeline.stages.give_up import fail_review
from tests.fakes import FailingScanner, LineScanner
from tests.harness import Bench, LocalRepo, git
from tests.stages.github import VALUE, KeyScanner, bad_words
from tests.stages.others import MEMBERS, OtherProvider, comments, elsewhere


@pytest.fixture
def host(bench: Bench) -> OtherProvider:
    """No pages, no annotations, no buttons, and another word for a pull request."""
    bench.use(scanners=[LineScanner(), KeyScanner()])
    bench.app.plugins = replace(bench.app.plugins, residues=bad_words)
    return elsewhere(
        bench, check_pages=False, annotations=0, buttons=0, pull_request_word="merge request", reference_sign="!", internal_comments=True
    )


@pytest.mark.usefixtures("host")
def test_the_comment_has_the_table_and_a_thread_has_the_words(bench: Bench, repo: LocalRepo) -> None:
    repo.commit({"a.txt": "fine\nBAD old\nfine\nBAD new\n"}, branch="feature")
    ref = bench.review(repo, "feature")
    said = bench.said(repo, ref)
    (thread,) = said.threads
    assert (thread.path, thread.line) == ("a.txt", 4)
    summary = comments(bench, ref)["summary"]
    assert summary.startswith("**Fixwright**: 1 blocks.")
    assert summary.count("a.txt:4") == 1
    assert "in the thread" in summary
    assert "Checked: 1 of 1 file" in summary
    # Neither is the table said again where the threads are opened, nor the finding where the table stands.
    assert thread.comments[0].body not in summary
    assert "Anyone can see" not in summary
    assert [c.topic for c in said.comments] == ["summary"]


@pytest.mark.usefixtures("host")
def test_clean_and_complete_is_no_comment_and_later_takes_it_back(bench: Bench, repo: LocalRepo) -> None:
    repo.commit({"c.txt": "fine\n"}, branch="feature")
    ref = bench.review(repo, "feature")
    assert bench.said(repo, ref).comments == []
    repo.commit({"c.txt": "BAD\n"}, branch="feature")
    bench.changed(ref, PullRequestAction.UPDATED)
    bench.work()
    assert "c.txt:1" in comments(bench, ref)["summary"]
    repo.commit({"c.txt": "fine\n"}, branch="feature")
    bench.changed(ref, PullRequestAction.UPDATED)
    bench.work()
    assert comments(bench, ref) == {}


@pytest.mark.usefixtures("host")
def test_what_was_not_checked_stands_there_once(bench: Bench, repo: LocalRepo) -> None:
    bench.use(scanners=[FailingScanner(lambda name: EngineTimedOut(f"{name} timed out", engine=name)), KeyScanner()])
    repo.commit({"c.txt": "fine\n"}, branch="feature")
    ref = bench.review(repo, "feature")
    summary = comments(bench, ref)["summary"]
    above = summary.partition("<details>")[0]
    assert "**Not checked:**" in above
    assert above.count("timed out") == 1


def test_of_a_draft_the_comment_speaks_and_no_line(bench: Bench, repo: LocalRepo, host: OtherProvider) -> None:
    host.draft = True
    repo.commit({"c.txt": "BAD\n"}, branch="feature")
    ref = bench.review(repo, "feature")
    assert bench.said(repo, ref).threads == []
    drafted = comments(bench, ref)["summary"]
    assert "c.txt:1" in drafted
    assert "in the thread" not in drafted
    host.draft = False
    bench.changed(ref, PullRequestAction.READY)
    bench.work()
    assert len(bench.said(repo, ref).threads) == 1
    assert "in the thread" in comments(bench, ref)["summary"]
    host.draft = True
    repo.commit({"d.txt": "BAD another\n"}, branch="feature")
    bench.changed(ref, PullRequestAction.UPDATED)
    bench.work()
    assert len(bench.said(repo, ref).threads) == 1
    again = comments(bench, ref)["summary"]
    assert "d.txt:1" in again
    assert again.count("in the thread") == 1


@pytest.mark.usefixtures("host")
def test_a_review_that_came_to_nothing_takes_the_old_table_away(bench: Bench, repo: LocalRepo) -> None:
    repo.commit({"c.txt": "BAD\n"}, branch="feature")
    ref = bench.review(repo, "feature")
    head = repo.commit({"d.txt": "fine\n"}, branch="feature")

    def give_up() -> None:
        with bench.app.database.work() as work:
            (summary,) = work.reviews.of_head(repo.source, head)
            fail_review(work, summary.id, InternalFault("its work was lost"))

    bench.use(scanners=[LineScanner(before=give_up), LineScanner(ScanType.SECRETS)])
    bench.changed(ref, PullRequestAction.UPDATED)
    bench.work()
    (check,) = bench.checks(repo, head)
    assert check.conclusion == "action_required"
    summary = comments(bench, ref)["summary"]
    assert "its work was lost" in summary
    assert "c.txt" not in summary
    assert len(bench.said(repo, ref).threads) == 1  # nothing was looked at, so nothing is gone


@pytest.mark.usefixtures("host")
@pytest.mark.parametrize("written", ["gate: {block: never}\n", "gate: {block: sometimes}\n"])
def test_a_change_of_the_policy_is_told_even_where_nothing_else_is(bench: Bench, repo: LocalRepo, written: str) -> None:
    repo.commit({".gitlab/fixwright.yml": written}, branch="feature")
    ref = bench.review(repo, "feature")
    summary = comments(bench, ref)["summary"]
    assert "This change edits" in summary
    assert ".gitlab/fixwright.yml" in summary.replace("\\", "")
    if "sometimes" in written:
        assert "`.gitlab/fixwright.yml:1`" in summary  # the mistake, which no annotation shows


# --- secrets in public ---


def opened(bench: Bench, repo: LocalRepo, *, private: bool) -> PullRequestRef:
    """A change that brings a bad line and a secret."""
    repo.commit({"c.txt": "BAD\n", "k.txt": f"one\nkey = {VALUE}\n"}, branch="feature")
    ref = bench.pull_request(repo, "feature")
    ref = replace(ref, repository=replace(ref.repository, private=private, default_branch="main"))
    bench.changed(ref)
    bench.work()
    return ref


@pytest.mark.usefixtures("host")
def test_where_a_secret_stands_in_public_only_members_are_told(bench: Bench, repo: LocalRepo) -> None:
    ref = opened(bench, repo, private=False)
    said = bench.said(repo, ref)
    assert [thread.path for thread in said.threads] == ["c.txt"]
    told = comments(bench, ref)
    assert "1 blocks, 1 secret told to members only" in told["summary"]
    internal = told[f"{MEMBERS}secrets"]
    assert "1 secret in this merge request" in internal
    assert "`k.txt:2`" in internal
    assert "/rotated" in internal
    (check,) = bench.checks(repo, git(repo.folder, "rev-parse", "feature"))
    public = [told["summary"], check.title, check.summary, check.text, *(c.body for t in said.threads for c in t.comments)]
    for text in public:
        assert "k.txt" not in text
        assert "test key" not in text
    assert all(VALUE not in text for text in (*public, internal))


@pytest.mark.usefixtures("host")
def test_in_private_a_secret_has_its_thread_as_everywhere(bench: Bench, repo: LocalRepo) -> None:
    ref = opened(bench, repo, private=True)
    assert sorted(thread.path for thread in bench.said(repo, ref).threads) == ["c.txt", "k.txt"]
    assert list(comments(bench, ref)) == ["summary"]
