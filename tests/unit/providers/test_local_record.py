"""What the local provider keeps: whole files, one writer at a time, and no name that leads out of its folder."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest

from pipeline.errors import HostGarbage, HostUnavailable, UsageError
from providers.local.record import CheckRecord, Checks, CommentRecord, Conversation, PullRequestRecord, PullRequests, RepositoryRecord
from providers.local.repository import describe
from tests.harness import LocalRepo, git

COMMIT = "a" * 40


@pytest.mark.parametrize("name", ["../up", "/etc", "a/b", "..", ".", "", "-rf", "x" * 200, "n\u00e4me", "a\x00b", "a\nb"])
def test_no_name_of_a_repository_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    record = RepositoryRecord(tmp_path, name)
    assert record.folder.parent == tmp_path
    with record.locked():
        record.save_pull_requests(PullRequests())
    assert [path.name for path in tmp_path.iterdir()] == [record.folder.name]


@pytest.mark.parametrize("commit", ["", "../../x", "a" * 39, "A" * 40, "a" * 65, "a" * 40 + "\n"])
def test_only_a_commit_names_a_file_of_checks(tmp_path: Path, commit: str) -> None:
    with pytest.raises(HostGarbage):
        RepositoryRecord(tmp_path, "shop").checks(commit)


def test_what_was_never_written_is_empty(tmp_path: Path) -> None:
    record = RepositoryRecord(tmp_path, "shop")
    assert (record.pull_requests().pulls, record.checks(COMMIT).checks, record.conversation(1).threads) == ([], [], [])


def test_what_was_written_is_read_again_whatever_it_says(tmp_path: Path) -> None:
    record = RepositoryRecord(tmp_path, "shop")
    said = Conversation(comments=[CommentRecord(id="1", author="ada", body='\u2603 "quotes"\r\n\x00<script>')], notifications=3)
    check = CheckRecord(key="k", commit=COMMIT, status="completed", conclusion="failure", title="t", summary="s")
    pulls = PullRequests(pulls=[PullRequestRecord(number=1, head_ref="f", base_ref="main", title="t", author="ada")])
    with record.locked():
        record.save_conversation(7, said)
        record.save_checks(COMMIT, Checks(checks=[check]))
        record.save_pull_requests(pulls)
    again = RepositoryRecord(tmp_path, "shop")
    assert (again.conversation(7), again.checks(COMMIT).checks, again.pull_requests()) == (said, [check], pulls)
    assert stat.S_IMODE(record.folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"pulls": 7}', b'{"unknown": 1}', b"\xff"])
def test_a_damaged_file_is_said_and_not_taken_for_an_empty_one(tmp_path: Path, content: bytes) -> None:
    record = RepositoryRecord(tmp_path, "shop")
    record.folder.mkdir()
    (record.folder / "pulls.json").write_bytes(content)
    with pytest.raises(HostGarbage, match=r"pulls\.json"):
        record.pull_requests()


def test_many_writers_lose_nothing(tmp_path: Path) -> None:
    def write(number: int) -> None:
        for count in range(10):
            record = RepositoryRecord(tmp_path, "shop")
            with record.locked():
                said = record.conversation(1)
                said.comments.append(CommentRecord(id=f"{number}-{count}", author="ada", body="x"))
                record.save_conversation(1, said)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len({c.id for c in RepositoryRecord(tmp_path, "shop").conversation(1).comments}) == 80


def test_a_folder_that_is_none_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "record").write_text("a file")
    with pytest.raises(HostUnavailable), RepositoryRecord(tmp_path / "record", "shop").locked():
        pass


def test_two_repositories_of_one_name_are_told_apart_and_one_is_itself(tmp_path: Path) -> None:
    one, other = LocalRepo(tmp_path / "a" / "shop"), LocalRepo(tmp_path / "b" / "shop")
    assert one.source.full_name == other.source.full_name == "shop"
    assert one.source.external_id != other.source.external_id
    assert describe(one.folder / ".." / "shop") == one.source
    assert one.source.default_branch == "main"


def test_a_bare_repository_is_described_without_its_ending(tmp_path: Path) -> None:
    folder = tmp_path / "shop.git"
    folder.mkdir()
    git(folder, "init", "--quiet", "--bare", "--initial-branch=trunk")
    described = describe(folder)
    assert (described.full_name, described.default_branch, described.clone_url) == ("shop", "trunk", str(folder.resolve()))


def test_a_plain_folder_is_no_repository(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no git repository"):
        describe(tmp_path)
