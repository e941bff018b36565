"""What the tests of waivers share: people, their words, and what became of them."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date

from sqlalchemy import select

from bot.duties import duties
from pipeline.store.tables import finding_events, waivers
from tests.stages.github import GithubBench
from tests.worlds.github.model import CheckRun, PullRequest, Repository

OLD = {"a.txt": "fine\nBAD old\nfine\n", "b.txt": "fine\n"}
TODAY = date(2026, 11, 22)
REASON = "test data, never reached by a request"
OTHER_VALUE = "key-" + "z9y8x7w6v5" * 2


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


def end_waivers(github: GithubBench) -> None:
    """What the relay does every minute."""
    (duty,) = [duty for duty in duties(github.app) if duty.name == "waivers"]
    duty.run()
    github.settle()
