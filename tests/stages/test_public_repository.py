"""A public repository: nothing of its default branch reaches anybody without write permission, in any sink.

Every test does something to a public repository that could make us talk, and then reads everything that was ever written to the host: the
bodies of all accepted changes (checks, annotations, statuses, comments, reviews, threads, branches, pull requests), and our own log.
"""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
from sqlalchemy import select

from pipeline.errors import InternalFault, Undisclosed
from pipeline.messages import Envelope, PublishCheck
from pipeline.model.ids import MessageId, RepositoryId, ReviewId
from pipeline.stages.context import Context
from pipeline.store.tables import outbox, repositories, reviews
from tests.fakes import LineScanner
from tests.stages.github import VALUE, GithubBench, KeyScanner
from tests.worlds.github.model import Repository

OLD = {"src/old.txt": "fine\nBAD old\nfine\n", "lib/key.txt": f"fine\ntoken = {VALUE}\n", "c.txt": "fine\n"}


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Everything that is logged, with all of its fields."""
    stream = io.StringIO()

    class Whole(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            return f"{super().format(record)} {record.__dict__}"

    handler = logging.StreamHandler(stream)
    handler.setFormatter(Whole())
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield stream
    root.removeHandler(handler)
    root.setLevel(level)


def public(github: GithubBench, *, private: bool = False) -> Repository:
    """A repository whose default branch has two findings, scanned."""
    made = github.world.create_repository("octo", "shop", private=private, files=OLD)
    github.world.set_permission("ada", made, "write")
    github.world.set_permission("eve", made, "read")
    installation = github.world.installation_of(made)
    assert installation is not None
    github.world.github.actions.events.repositories(installation, [made], [])
    github.settle()
    assert len(handles(github, made)) == 2
    return made


def number_of(github: GithubBench, repository: Repository) -> RepositoryId:
    with github.app.database.read() as work:
        statement = select(repositories.c.id).where(repositories.c.external_id == str(repository.id))
        return RepositoryId(work.transaction.execute(statement).scalar_one())


def handles(github: GithubBench, repository: Repository, branch: str = "main") -> list[str]:
    """What people would call the findings of a branch."""
    with github.app.database.read() as work:
        return [str(one.finding.handle) for one in work.findings.listed(number_of(github, repository), branch, "open")]


def written(github: GithubBench) -> list[str]:
    """The bodies of everything that we changed on the host but for our own tokens."""
    ours = [e for e in github.world.effects if "/access_tokens" not in e.path and (e.actor.endswith("[bot]") or "ada" not in e.actor)]
    return [f"{effect.method} {effect.path} {json.dumps(effect.body, default=str)}" for effect in ours]


def assert_nothing_of_main(github: GithubBench, repository: Repository, log: io.StringIO) -> None:
    """No handle, place, line or value of a finding of the default branch, and no number of them."""
    said = "\n".join(written(github))
    names = [*handles(github, repository), "src/old.txt:", "lib/key.txt:", "BAD old", VALUE, VALUE[-4:]]
    assert [name for name in names if name in said] == []
    assert "Older" not in said
    assert "Fixed here" not in said
    assert "not re-evaluated" not in said
    logged = log.getvalue()
    assert logged
    assert [name for name in (*handles(github, repository), "BAD old", VALUE) if name in logged] == []
    assert github.dead() == []


def test_its_whole_scan_shows_nothing_at_all(github: GithubBench, log: io.StringIO) -> None:
    repository = public(github)
    assert written(github) == []
    assert_nothing_of_main(github, repository, log)


def test_a_push_updates_the_list_and_shows_nothing_at_all(github: GithubBench, log: io.StringIO) -> None:
    repository = public(github)
    sha = github.world.commit(repository, "main", {"n.txt": "BAD pushed\n", "src/old.txt": "fine\n"})
    github.settle()
    assert written(github) == []
    assert github.runs(repository, sha) == []
    assert github.reviews(sha) == 1
    with github.app.database.read() as work:
        places = [one.finding.location.path for one in work.findings.listed(number_of(github, repository), "main", "open")]
    assert sorted(places) == ["lib/key.txt", "n.txt"]
    assert_nothing_of_main(github, repository, log)


def test_a_private_repository_has_a_check_on_a_push(github: GithubBench) -> None:
    # What the others hold would be worthless if nothing were ever shown.
    repository = public(github, private=True)
    sha = github.world.commit(repository, "main", {"n.txt": "BAD pushed\n"})
    github.settle()
    (run,) = github.runs(repository, sha)
    assert run.conclusion == "failure"


TOUCHING: dict[str, dict[str, str | bytes | None]] = {
    "its file": {"src/old.txt": "fine indeed\nBAD old\nfine\n"},
    "its file's name": {"src/old.txt": None, "src/new.txt": OLD["src/old.txt"]},
    "its line away": {"src/old.txt": "fine\nfine\n"},
    "its file away": {"lib/key.txt": None},
    "the line above a key": {"lib/key.txt": f"fine indeed\ntoken = {VALUE}\n"},
}


@pytest.mark.parametrize("how", TOUCHING)
def test_a_pull_request_that_touches_an_old_finding_is_told_of_its_own_only(github: GithubBench, how: str, log: io.StringIO) -> None:
    repository = public(github)
    pull = github.change(repository, {**TOUCHING[how], "mine.txt": "fine\nBAD mine\n"})
    github.settle()
    (run,) = github.runs(repository, pull.head_sha)
    assert (run.conclusion, "mine.txt:2" in (run.title or "")) == ("failure", True)
    (thread,) = github.threads(pull)
    assert thread.original.path == "mine.txt"
    assert_nothing_of_main(github, repository, log)


def test_what_could_not_be_looked_at_again_is_not_counted_aloud(github: GithubBench, log: io.StringIO) -> None:
    class Blind(LineScanner):
        def concerns(self, path: str) -> bool:
            return path != "src/old.txt"

    repository = public(github)
    github.look_with(Blind(), KeyScanner())
    pull = github.change(repository, {"src/old.txt": "fine\nBAD old\nfine\nfine\n"})
    github.settle()
    (run,) = github.runs(repository, pull.head_sha)
    assert run.status == "completed"
    assert_nothing_of_main(github, repository, log)


def test_answers_to_readers_and_writers_name_nothing_old(github: GithubBench, log: io.StringIO) -> None:
    repository = public(github)
    pull = github.change(repository, {"src/old.txt": "fine\nfine\nBAD old\n", "mine.txt": "BAD mine\n"})
    github.settle()
    secret = handles(github, repository)
    for who in ("eve", "ada"):
        for command in ("/status", "/help", "/scan", "/fix", *(f"/fix {h}" for h in secret), *(f"/waive {h} it may stand" for h in secret)):
            github.world.comment(who, pull, command)
            github.settle()
    said = "\n".join(text for text in written(github) if not any(f"/fix {h}" in text or f"`{h}`" in text for h in secret))
    assert "src/old.txt:" not in said
    # Who names a handle that he cannot know is told that there is none: the same words as for one that nobody has.
    answers = [answer.partition("<!--")[0] for answer in github.answers(pull)]
    unknown = {answer.replace(h, "…") for answer in answers for h in secret if h in answer}
    github.world.comment("ada", pull, "/fix QQQ")
    github.settle()
    (asked,) = [answer.partition("<!--")[0] for answer in github.answers(pull) if "QQQ" in answer]
    assert unknown == {asked.replace("QQQ", "…")}
    assert [p for p in github.ours(repository) if "old" in (p.body or "")] == []
    assert all(handle.lower() not in branch for branch in github.our_branches(repository) for handle in secret)
    assert VALUE not in log.getvalue()


def test_a_forks_pull_request_is_told_of_its_own_only(github: GithubBench, log: io.StringIO) -> None:
    repository = public(github)
    fork = github.world.fork(repository, "mallory")
    github.world.commit(fork, "probe", {"src/old.txt": "fine\n", "mine.txt": "BAD mine\n"}, author="mallory")
    pull = github.world.open_pull_request("mallory", repository, "probe", "main", "Probe", fork=fork)
    github.settle()
    (run,) = github.runs(repository, pull.head_sha)
    assert run.conclusion == "failure"
    assert_nothing_of_main(github, repository, log)


def test_a_pull_request_into_an_old_branch_does_not_tell_what_main_has(github: GithubBench, log: io.StringIO) -> None:
    repository = github.world.create_repository("octo", "shop", private=False, files={"c.txt": "fine\n"})
    github.world.commit(repository, "release", {"r.txt": "fine\n"})
    github.world.commit(repository, "main", OLD)
    installation = github.world.installation_of(repository)
    assert installation is not None
    github.world.github.actions.events.repositories(installation, [repository], [])
    github.settle()
    assert len(handles(github, repository)) == 2
    fork = github.world.fork(repository, "mallory")
    github.world.commit(fork, "probe", {"mine.txt": "fine\n"}, author="mallory")
    pull = github.world.open_pull_request("mallory", repository, "probe", "release", "Probe", fork=fork)
    github.settle()
    (run,) = github.runs(repository, pull.head_sha)
    assert run.conclusion == "failure", "what is not told of counts all the same"
    assert run.title == "Blocked by what the default branch has too, which is not shown here"
    assert github.threads(pull) == []
    for who in ("ada", "eve"):
        for text in ("/status", "/fix", "/waive", "/rotated"):
            github.world.comment(who, pull, text)
    github.settle()
    assert [button["label"] for button in run.actions] == ["Scan again"]
    assert github.ours(repository) == []
    assert_nothing_of_main(github, repository, log)


def test_before_the_first_scan_a_pull_request_into_an_old_branch_is_told_nothing_and_after_it_its_own(
    github: GithubBench, log: io.StringIO
) -> None:
    repository = github.world.create_repository("octo", "shop", private=False, files={"c.txt": "fine\n"})
    github.world.commit(repository, "release", {"r.txt": "fine\n"})
    github.world.commit(repository, "main", OLD)
    github.delivered = len(github.world.hooks.deliveries)  # nothing of main was ever told us
    fork = github.world.fork(repository, "mallory")
    github.world.commit(fork, "probe", {"mine.txt": "BAD mine\n"}, author="mallory")
    pull = github.world.open_pull_request("mallory", repository, "probe", "release", "Probe", fork=fork)
    github.settle()
    with github.app.database.read() as work:
        assert not work.installations.listing(number_of(github, repository)).made
    (run,) = github.runs(repository, pull.head_sha)
    assert (run.conclusion, run.title) == (
        "failure",
        "Blocked by what is not shown yet: it waits for the first scan of the default branch",
    )
    assert github.threads(pull) == []
    assert "mine.txt" not in "\n".join(written(github))
    assert_nothing_of_main(github, repository, log)
    installation = github.world.installation_of(repository)
    assert installation is not None
    github.world.github.actions.events.repositories(installation, [repository], [])
    github.settle()
    assert len(handles(github, repository)) == 2
    newest = github.runs(repository, pull.head_sha)[-1]
    assert (newest.conclusion, "mine.txt:1" in (newest.title or "")) == ("failure", True)
    assert_nothing_of_main(github, repository, log)


def test_another_copy_and_another_value_where_main_has_one_are_the_changes_own(github: GithubBench) -> None:
    repository = public(github)
    files = {"src/old.txt": "BAD old\nBAD old\n", "lib/key.txt": f"fine\ntoken = {VALUE[::-1]}\n"}
    pull = github.change(repository, files)
    github.settle()
    (run,) = github.runs(repository, pull.head_sha)
    assert "src/old.txt" in (run.summary or "")
    assert "default branch" not in (run.summary or "")


def test_a_merge_queue_and_a_rerun_tell_of_the_change_only(github: GithubBench, log: io.StringIO) -> None:
    repository = public(github)
    pull = github.change(repository, {"src/old.txt": "fine\nfine\nBAD old\n", "mine.txt": "fine\n"})
    github.settle()
    group = github.world.queue(pull)
    github.settle()
    (run,) = github.runs(repository, group.head_sha)
    assert run.conclusion == "success"
    for again in (run, *github.runs(repository, pull.head_sha)):
        github.world.rerequest_check("ada", again)
        github.settle()
    assert_nothing_of_main(github, repository, log)


def test_the_same_commit_as_head_of_a_pull_request_and_of_main_says_what_the_pull_request_has(
    github: GithubBench, log: io.StringIO
) -> None:
    repository = public(github)
    github.world.commit(repository, "feature", {"src/more.txt": "BAD pushed quietly\n"})
    tip = github.world.commit(repository, "feature", {"mine.txt": "fine\n"})
    github.world.reset_branch(repository, "main", tip)
    github.settle()
    github.world.commit(repository, "feature", {"last.txt": "fine\n"})
    pull = github.world.open_pull_request("ada", repository, "feature", "main", "The rest")
    github.settle()
    (run,) = github.runs(repository, pull.head_sha)
    assert run.conclusion == "success"
    assert github.runs(repository, tip) == []
    assert "more.txt" not in "\n".join(written(github))
    assert_nothing_of_main(github, repository, log)


def test_a_repository_that_is_published_while_it_is_scanned_shows_nothing_more(github: GithubBench, log: io.StringIO) -> None:
    repository = public(github, private=True)
    published: list[bool] = []

    def publish() -> None:
        if not published:
            published.append(True)
            github.world.set_private(repository, False)
            github.delivered = len(github.world.hooks.deliveries)  # the event is late: the host itself must be asked

    github.look_with(LineScanner(before=publish), KeyScanner())
    sha = github.world.commit(repository, "main", {"n.txt": "fine\nBAD pushed\n"})
    github.settle()
    assert published
    assert all(run.conclusion is None and "n.txt" not in json.dumps([run.title, run.summary]) for run in github.runs(repository, sha))
    assert_nothing_of_main(github, repository, log)


def test_checks_of_before_are_hidden_when_a_repository_is_published(github: GithubBench, log: io.StringIO) -> None:
    repository = public(github, private=True)
    sha = github.world.commit(repository, "main", {"n.txt": "fine\nBAD pushed\n"})
    github.settle()
    github.world.set_private(repository, False)
    github.settle()
    (run,) = github.runs(repository, sha)
    shown = json.dumps([run.title, run.summary, run.text])
    assert "n.txt" not in shown
    assert handles(github, repository)[0] not in shown
    assert log.getvalue()


# --- the rule itself ------------------------------------------------------------------------------------------------------------------


def test_no_stage_can_show_anything_without_asking(github: GithubBench) -> None:
    repository = public(github)
    github.world.commit(repository, "main", {"n.txt": "BAD pushed\n"})
    github.settle()
    with github.app.database.read() as work:
        rows = work.transaction.execute(select(reviews.c.id, reviews.c.subject)).all()
        by_subject = {row.subject: work.reviews.get(ReviewId(row.id)) for row in rows}
    app = github.app
    review_of_main = by_subject["branch:main"].id
    with app.database.work() as work:
        work.outbox.send(Envelope(PublishCheck(review_of_main), "a test's own"))
        (row,) = work.transaction.execute(select(outbox.c.id).where(outbox.c.key == "a test's own"))
        claimed = work.outbox.claim(MessageId(row.id), "a test")
    assert claimed is not None
    for subject in ("whole:main", "branch:main"):
        review = by_subject[subject]
        context = Context(app.database, app.memory, app.plugins, app.places, claimed)
        host, teller = context.host(review.installation), context.teller(review)
        assert not context.may_tell(review)
        for verb in ("ensure_check", "ensure_comment", "ensure_threads", "ensure_branch", "ensure_pull_request"):
            arguments = [None] * (
                4 if verb == "ensure_threads" else 3 if verb == "ensure_comment" else 1 if verb == "ensure_pull_request" else 2
            )
            with pytest.raises(InternalFault):
                getattr(host, verb)(*arguments)
            with pytest.raises(Undisclosed):
                getattr(teller, verb)(*arguments)
    assert written(github) == []
