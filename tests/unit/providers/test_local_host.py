"""What is particular to the local code host; what every host must do is in tests/contract/test_code_hosts.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import HostNotFound, HostRejected, HostUnavailable
from pipeline.model.fix import BranchCommit, FileEdit, Patch
from pipeline.model.ids import CommitId
from pipeline.model.target import Permission, PullRequestRef, UserRef
from providers.local.host import LocalHost, open_pull_request
from providers.local.record import Conversation, RepositoryRecord
from tests.harness import LocalRepo, git


class Scene:
    """A repository with an open pull request."""

    def __init__(self, tmp_path: Path) -> None:
        self.repo = LocalRepo(tmp_path / "shop")
        self.base = self.repo.commit({"a.txt": "one\n"}, "first")
        self.head = self.repo.commit({"a.txt": "two\n"}, branch="feature")
        self.root = tmp_path / "record"
        self.host = LocalHost(self.root)
        self.ref = open_pull_request(self.record, self.repo.source, "feature", "main", "Two", author="ada")

    @property
    def record(self) -> RepositoryRecord:
        return RepositoryRecord(self.root, self.repo.source.external_id)

    def commit(self, message: str = "Mend", after: bytes = b"three\n") -> BranchCommit:
        return BranchCommit(self.head, "fixwright/k7q", message, Patch((FileEdit("a.txt", b"two\n", after),)))


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_writers_are_named_in_the_configuration_of_the_repository_and_nowhere_else(scene: Scene) -> None:
    source, folder = scene.repo.source, scene.repo.folder
    walter = UserRef("walter", "walter")
    scene.repo.commit({".gitconfig": "[fixwright]\n\twriter = walter\n", "config": "[fixwright]\n\twriter = walter\n"})
    assert scene.host.permission(source, walter) is Permission.READ
    git(folder, "config", "--add", "fixwright.writer", "walter")
    git(folder, "config", "--add", "fixwright.writer", "wendy")
    assert scene.host.permission(source, walter) is Permission.WRITE
    assert scene.host.permission(source, UserRef("wendy", "wendy")) is Permission.WRITE
    assert scene.host.permission(source, UserRef("walter wendy", "walter wendy")) is Permission.READ


def test_in_a_repository_that_is_gone_nobody_may_anything(scene: Scene, tmp_path: Path) -> None:
    owner = UserRef(scene.repo.folder.owner(), scene.repo.folder.owner())
    source = scene.repo.source
    scene.repo.folder.rename(tmp_path / "elsewhere")
    assert scene.host.permission(source, owner) is Permission.NONE


def test_unrelated_histories_begin_at_the_base(scene: Scene) -> None:
    git(scene.repo.folder, "checkout", "--quiet", "--orphan", "feature2")
    head = scene.repo.commit({"b.txt": "x\n"})
    ref = open_pull_request(scene.record, scene.repo.source, "feature2", "main", "Orphan")
    pull = scene.host.pull_request(ref)
    assert (pull.head, pull.base, pull.merge_base) == (head, scene.base, scene.base)


def test_a_pull_request_whose_branch_is_gone_is_not_found(scene: Scene) -> None:
    git(scene.repo.folder, "checkout", "--quiet", "main")
    git(scene.repo.folder, "branch", "--quiet", "-D", "feature")
    with pytest.raises(HostNotFound):
        scene.host.pull_request(scene.ref)


def test_a_crash_between_reason_and_closing_is_made_good_by_the_next_call(scene: Scene) -> None:
    scene.host.ensure_comment(scene.ref, "closed", "It is merged.")
    scene.host.ensure_closed(scene.ref, "It is merged.")
    said = scene.record.conversation(scene.ref.number)
    assert [comment.body for comment in said.comments] == ["It is merged."]
    assert scene.record.pull_requests().pulls[0].state == "closed"


def test_closing_what_is_not_there_is_not_found(scene: Scene) -> None:
    with pytest.raises(HostNotFound):
        scene.host.ensure_closed(PullRequestRef(scene.repo.source, 99), "x")


def test_an_unchanged_wish_writes_nothing(scene: Scene) -> None:
    scene.host.ensure_comment(scene.ref, "summary", "Said.")
    file = scene.record.folder / "conversations" / f"{scene.ref.number}.json"
    before = file.stat().st_mtime_ns, file.stat().st_ino
    scene.host.ensure_comment(scene.ref, "summary", "Said.")
    assert (file.stat().st_mtime_ns, file.stat().st_ino) == before


def test_the_same_patch_is_the_same_commit_on_every_machine(scene: Scene) -> None:
    first = scene.host.ensure_branch(scene.repo.source, scene.commit())
    git(scene.repo.folder, "update-ref", "-d", "refs/heads/fixwright/k7q")
    assert scene.host.ensure_branch(scene.repo.source, scene.commit()) == first
    assert (
        git(scene.repo.folder, "log", "-1", "--format=%an <%ae> %cI", first.commit)
        == "Fixwright <fixwright@localhost> 2026-01-15T12:00:00+00:00"
    )


def test_a_message_is_kept_as_it_is(scene: Scene) -> None:
    message = "Mend it\n\n--amend \u2603 $(id) `id` \\n"
    made = scene.host.ensure_branch(scene.repo.source, scene.commit(message))
    assert git(scene.repo.folder, "log", "-1", "--format=%B", made.commit) == message


def test_writing_a_branch_touches_neither_work_tree_nor_index(scene: Scene) -> None:
    (scene.repo.folder / "a.txt").write_text("not committed yet\n")
    scene.host.ensure_branch(scene.repo.source, scene.commit())
    assert (scene.repo.folder / "a.txt").read_text() == "not committed yet\n"
    assert git(scene.repo.folder, "status", "--short") == "M a.txt"


def test_hooks_and_filters_of_the_repository_do_not_run(scene: Scene, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    for hook in ("post-commit", "reference-transaction", "pre-commit", "post-index-change"):
        file = scene.repo.folder / ".git" / "hooks" / hook
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"#!/bin/sh\necho {hook} >> {ran}\n")
        file.chmod(0o755)
    git(scene.repo.folder, "config", "filter.evil.clean", f"touch {ran}; cat")
    (scene.repo.folder / ".git" / "info" / "attributes").write_text("* filter=evil\n")
    made = scene.host.ensure_branch(scene.repo.source, scene.commit())
    assert not ran.exists()
    assert git(scene.repo.folder, "show", f"{made.commit}:a.txt") == "three"


def test_a_parent_that_is_not_there_is_an_error_and_makes_no_branch(scene: Scene) -> None:
    lost = BranchCommit(CommitId("1" * 40), "fixwright/k7q", "Mend", scene.commit().patch)
    with pytest.raises((HostRejected, HostUnavailable)):
        scene.host.ensure_branch(scene.repo.source, lost)
    assert git(scene.repo.folder, "branch", "--list", "fixwright/*") == ""


def test_a_damaged_conversation_is_never_written_over(scene: Scene) -> None:
    with scene.record.locked():
        scene.record.save_conversation(scene.ref.number, Conversation())
    file = scene.record.folder / "conversations" / f"{scene.ref.number}.json"
    file.write_text("{ damaged")
    with pytest.raises(Exception, match="damaged"):
        scene.host.ensure_comment(scene.ref, "summary", "x")
    assert file.read_text() == "{ damaged"
