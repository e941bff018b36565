"""Everything that is written of a change, on a host that says merge request and on one that says pull request: each reads its own word."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from pipeline.model.target import PullRequestRef
from providers.local.record import RepositoryRecord
from tests.fakes import GoodFixer, LineScanner
from tests.harness import Bench, LocalRepo
from tests.stages.github import VALUE, KeyScanner, bad_words
from tests.stages.others import elsewhere

WORDS = {"pull request": "#", "merge request": "!"}

SAID = (
    "/status",
    "/scan",
    "/help",
    "/waiv",
    "@fixwright rescan",
    "/waive",
    "/waive ZZZ nobody calls it so",
    "/rotated",
    "/fix ZZZ",
    "/fix",
    "/fix a.txt:4",
    "/waive a.txt:4 it is only shown to us",
    "/waive a.txt:4 off",
    "/rotated k.txt:2 it was revoked",
)


def written(bench: Bench, ref: PullRequestRef) -> Iterator[str]:
    """Every text of ours on the host: checks, comments, threads, and pull requests of our own."""
    record = RepositoryRecord(bench.state / "local", ref.repository.external_id)
    for path in sorted(record.folder.rglob("*.json")):
        yield path.read_text("utf-8")


@pytest.mark.parametrize("word", WORDS)
def test_every_text_has_the_hosts_own_word(bench: Bench, repo: LocalRepo, word: str) -> None:
    other = next(one for one in WORDS if one != word)
    elsewhere(bench, pull_request_word=word, reference_sign=WORDS[word], check_pages=word == "pull request", taken_commands=("status",))
    bench.use(scanners=[LineScanner(), KeyScanner()], fixers=[GoodFixer()])
    bench.app.plugins = replace(bench.app.plugins, residues=bad_words)
    # A secret that only the history has, and two of a kind.
    repo.commit({"k.txt": f"one\nkey = {VALUE}\n"}, branch="feature")
    repo.commit({"a.txt": "fine\nBAD old\nfine\nBAD new\n", "b.txt": "BAD new\n", "k.txt": f"one\nkey = {VALUE}\n"}, branch="feature")
    ref = bench.pull_request(repo, "feature")
    bench.comment(repo, ref, "\n".join(SAID[:3]), who="author")
    bench.work()
    bench.changed(ref)
    bench.work()
    for line in SAID:
        bench.comment(repo, ref, line)
        bench.work()
    repo.commit({"d.txt": "fine\n"}, branch="second", start="main")
    second = bench.pull_request(repo, "second")

    def close_while_scanning() -> None:
        bench.close_pull_request(repo, second, "closing")
        bench.work_key("accept:closing")

    bench.use(scanners=[LineScanner(before=close_while_scanning), KeyScanner()])
    bench.changed(second)
    bench.work()
    texts = "\n".join(written(bench, ref))
    assert f"of this {word} is still being checked" in texts or f"This {word} was not checked yet" in texts
    assert f"Opened {WORDS[word]}" in texts
    assert f"The {word} was closed" in texts
    assert "`@fixwright status`" in texts
    assert other not in texts.lower().replace("pull_request", "")
