"""Which commits were changes that people merged, by what hosts write into their messages; without an engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.model.backtest import Kind
from pipeline.model.ids import CommitId
from pipeline.sandbox.git import Mirror
from pipeline.sandbox.gitrun import Git
from pipeline.sandbox.mainline import read_line, replaced_lines
from pipeline.stages.pastchanges import By, Line, past_changes
from tests.unit.sandbox.repositories import Repository

MERGES = [
    ("Merge pull request #7 from ann/login\n\nMend the login", "#7", "Mend the login"),
    (
        "Merge pull request 'Mend the login' (#7) from ann/login into main",
        "#7",
        "Merge pull request 'Mend the login' (#7) from ann/login into main",
    ),
    ("Merge branch 'login' into 'main'\n\nMend the login\n\nSee merge request acme/web/shop!12", "!12", "Mend the login"),
    ("Merged in login (pull request #7)\n\nMend the login", "#7", "Mend the login"),
    ("Merge branch 'login'\n\n# Conflicts:\n#\tapp.py", "", "Merge branch 'login'"),
    ("Mend the login (#7)\n\nWhat it was", "#7", "Mend the login (#7)"),
]
SQUASHES = [
    ("Mend the login (#7)", "#7", "Mend the login"),
    ("Mend the login (#6) (#7)\n\n* one\n* two", "#7", "Mend the login (#6)"),
    ("Merged PR 7: Mend the login", "#7", "Merged PR 7: Mend the login"),
    ("Mend the login\n\nSee merge request acme/web/shop!12", "!12", "Mend the login"),
]


def _repository(path: Path) -> Repository:
    made = Repository.make(path / "shop")
    made.commit({"a.txt": "a\n"}, "first")
    return made


def _merge(made: Repository, message: str) -> CommitId:
    base = made.head()
    made.git("checkout", "-q", "-b", "side", base)
    made.commit({"b.txt": "b\n"}, "work")
    side = made.head()
    made.git("checkout", "-q", "main")
    made.commit({"c.txt": "c\n"}, "meanwhile")
    made.git("merge", "-q", "--no-ff", "side", "-m", message)
    return side


def _found(made: Repository, last: int = 100, by: By = "auto", branch: str = "main") -> Line:
    return past_changes(Mirror(Git(made.path / ".git")), made.head(), branch, last, by)


@pytest.mark.parametrize(("message", "number", "title"), MERGES)
def test_a_merge_is_the_branch_against_where_it_left(message: str, number: str, title: str, tmp_path: Path) -> None:
    made = _repository(tmp_path)
    fork = made.head()
    side = _merge(made, message)
    (one,) = _found(made).changes
    assert (one.kind, one.number, one.title) == (Kind.MERGE, number, title)
    assert (one.base, one.head, one.policy_commit, one.commit) == (fork, side, made.head("HEAD^1"), made.head())


@pytest.mark.parametrize(("message", "number", "title"), SQUASHES)
def test_a_squash_is_one_commit_against_the_one_before(message: str, number: str, title: str, tmp_path: Path) -> None:
    made = _repository(tmp_path)
    made.commit({"a.txt": "b\n"}, message)
    made.commit({"a.txt": "c\n"}, "a push, about (#8) too")
    (one,) = _found(made).changes
    assert (one.kind, one.number, one.title) == (Kind.SQUASH, number, title)
    assert (one.base, one.head) == (made.head("HEAD~2"), made.head("HEAD~1"))


def test_a_branch_that_is_merged_into_itself_is_nobodys_change(tmp_path: Path) -> None:
    made = _repository(tmp_path)
    _merge(made, "Merge branch 'main' of https://host.example/acme/shop")
    made.commit({"a.txt": "b\n"}, "Mend it (#3)")
    assert [one.number for one in _found(made).changes] == ["#3"]


def test_a_few_merges_long_ago_do_not_stand_for_a_branch_of_plain_commits(tmp_path: Path) -> None:
    made = _repository(tmp_path)
    _merge(made, "Merge pull request #1 from ann/one\n\nOne")
    for number in range(31):
        made.commit({"a.txt": f"{number}\n"}, f"commit {number}")
    assert (_found(made, last=30).by, len(_found(made, last=30).changes)) == ("commits", 30)
    assert [one.number for one in _found(made, last=30, by="merges").changes] == ["#1"]
    assert _found(made, last=5).by == "merges"


def test_a_branch_that_began_only_now_has_no_change(tmp_path: Path) -> None:
    made = _repository(tmp_path)
    with pytest.raises(UsageError, match="no change to look at again"):
        _found(made)
    made.commit({"a.txt": "b\n"}, "a push")
    with pytest.raises(UsageError, match="no merge and no squashed change"):
        _found(made, by="merges")


def test_a_message_can_hold_anything_but_says_nothing_of_the_next_commit(tmp_path: Path) -> None:
    made = _repository(tmp_path)
    made.commit({"a.txt": "b\n"}, "\x02 \x1b[31m" + "0" * 40 + "\n\n(#9)")
    line = read_line(Git(made.path / ".git"), made.head(), 10)
    assert [one.commit for one in line] == [made.head(), made.head("HEAD~1")]
    assert line[0].parents == (line[1].commit,)


def test_lines_that_were_replaced_are_told_by_their_old_numbers(tmp_path: Path) -> None:
    made = _repository(tmp_path)
    made.commit({"a.txt": "1\n2\n3\n4\n5\n"})
    made.commit({"a.txt": "0\n1\n2\n3!\n4\n"})
    git = Git(made.path / ".git")
    assert replaced_lines(git, made.at("HEAD~1:a.txt"), made.at("HEAD:a.txt")) == [(3, 3), (5, 5)]
