"""Mirrors: exactly what was asked for is fetched, once, and whatever is wrong is told apart."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.errors import CommitMissing, GitUnavailable, MirrorDamaged, UsageError
from pipeline.model.ids import CommitId
from pipeline.ports import GitCredentials
from pipeline.sandbox.git import Mirror
from tests.unit.sandbox.repositories import Repository, Server, served

NOBODY = CommitId("0123456789" * 4)


@pytest.fixture
def origin(tmp_path: Path) -> Repository:
    """A repository with a base, and a change on it that touches, adds, deletes, and changes a mode."""
    return Repository.make(tmp_path / "served" / "origin")


@pytest.fixture
def server(origin: Repository) -> Iterator[Server]:
    with served(origin.path.parent) as running:
        yield running


@pytest.fixture
def mirror(server: Server, tmp_path: Path) -> Mirror:
    return Mirror.open(tmp_path / "mirrors" / "one.git", f"{server.url}/origin/.git")


def test_changes_name_every_path_with_its_blobs(origin: Repository, mirror: Mirror) -> None:
    base = origin.commit({"kept.py": "1\n", "edited.py": "1\n", "gone.py": "1\n"})
    head = origin.commit({"edited.py": "2\n", "gone.py": None, "dir/new file.py": "3\n"})
    mirror.fetch([(base, 1), (head, 1)])
    changed, truncated = mirror.changes(base, head)
    assert [(entry.status, entry.path) for entry in changed] == [("A", "dir/new file.py"), ("M", "edited.py"), ("D", "gone.py")]
    assert changed[1].new_blob == origin.at("HEAD:edited.py")
    assert changed[1].old_blob == origin.at("HEAD~1:edited.py")
    assert not truncated


def test_nothing_but_the_wanted_contents_is_fetched(origin: Repository, mirror: Mirror) -> None:
    base = origin.commit({"big.txt": "unread\n" * 10_000, "a.py": "1\n"})
    head = origin.commit({"a.py": "2\n"})
    mirror.fetch([(base, 1), (head, 1)])
    big, new = origin.at("HEAD:big.txt"), origin.at("HEAD:a.py")
    assert mirror.sizes([big, new]) == {}
    mirror.ensure_blobs([new])
    assert mirror.sizes([big, new]) == {new: 2}
    assert list(mirror.read([big, new], max_size=100)) == [(new, b"2\n")]


def test_fetching_twice_asks_the_server_once(origin: Repository, mirror: Mirror, server: Server) -> None:
    head = origin.commit({"a.py": "1\n"})
    mirror.fetch([(head, 1)])
    mirror.ensure_blobs([origin.at("HEAD:a.py")])
    asked = len(server.requests)
    mirror.fetch([(head, 1)])
    mirror.ensure_blobs([origin.at("HEAD:a.py")])
    assert len(server.requests) == asked


def test_two_commits_cost_one_conversation(origin: Repository, mirror: Mirror, server: Server) -> None:
    base, head = origin.commit({"a.py": "1\n"}), origin.commit({"a.py": "2\n"})
    mirror.fetch([(base, 1), (head, 2)])
    assert len([path for path, _ in server.requests if path.endswith("git-upload-pack")]) <= 2


def test_history_lists_commits_oldest_first_with_what_each_changed(origin: Repository, mirror: Mirror) -> None:
    base = origin.commit({"a.py": "1\n"})
    first, second = origin.commit({"b.py": "secret\n"}, "add"), origin.commit({"b.py": None}, "remove")
    mirror.fetch([(second, 3), (base, 1)])
    commits, truncated = mirror.history(base, second)
    assert [commit.commit for commit in commits] == [first, second]
    assert [(entry.status, entry.path) for commit in commits for entry in commit.changed] == [("A", "b.py"), ("D", "b.py")]
    assert commits[0].author == "Ann"
    assert abs(commits[0].when - time.time()) < 3600
    assert not truncated


def test_history_of_a_merge_has_what_the_merge_itself_brought_in(origin: Repository, mirror: Mirror) -> None:
    base = origin.commit({"a.py": "1\n"})
    origin.git("checkout", "-q", "-b", "side")
    origin.commit({"a.py": "side\n"})
    origin.git("checkout", "-q", "main")
    origin.commit({"other.py": "1\n"})
    origin.git("merge", "-q", "--no-commit", "side")
    head = origin.commit({"a.py": "evil\n", "smuggled.py": "x\n"}, "merge")
    mirror.fetch([(head, 5)])
    merge = mirror.history(base, head)[0][-1]
    assert merge.commit == head
    assert {entry.path: entry.new_blob for entry in merge.changed} == {
        "a.py": origin.at("HEAD:a.py"),
        "smuggled.py": origin.at("HEAD:smuggled.py"),
    }


def test_history_that_was_not_fetched_or_exceeds_the_limit_is_never_silently_short(origin: Repository, mirror: Mirror) -> None:
    base = origin.commit({"a.py": "0\n"})
    heads = [origin.commit({"a.py": f"{number}\n"}) for number in range(1, 6)]
    mirror.fetch([(heads[-1], 3)])
    mirror.fetch([(base, 1)])
    commits, truncated = mirror.history(base, heads[-1])
    assert truncated
    assert all(len(commit.changed) == 1 for commit in commits)
    mirror.fetch([(heads[-1], 6)])
    commits, truncated = mirror.history(base, heads[-1])
    assert ([commit.commit for commit in commits], truncated) == (heads, False)
    commits, truncated = mirror.history(base, heads[-1], limit=2)
    assert ([commit.commit for commit in commits], truncated) == (heads[-2:], True)


def test_commits_from_before_a_change_are_none_of_it_when_an_old_branch_took_in_a_newer_base(
    origin: Repository, mirror: Mirror, server: Server
) -> None:
    began = origin.commit({"a.py": "0\n"})
    origin.git("checkout", "-q", "-b", "feature")
    mine = origin.commit({"mine.py": "1\n"})
    origin.git("checkout", "-q", "main")
    for number in range(5):
        base = origin.commit({"a.py": f"{number + 1}\n"})
    origin.git("checkout", "-q", "feature")
    origin.git("merge", "-q", "--no-edit", "main")
    head = origin.head()
    mirror.fetch([(began, 1)])
    mirror.fetch([(head, 3), (base, 1)])
    assert mirror.history(base, head)[1], "where it ends is not known yet"
    mirror.separate(base, head, 2)
    commits, truncated = mirror.history(base, head)
    assert ([commit.commit for commit in commits], truncated) == ([mine, head], False)
    asked = len(server.requests)
    mirror.separate(base, head, 2)
    assert len(server.requests) == asked


def test_a_base_that_was_pushed_away_meanwhile_leaves_what_is_here(origin: Repository, mirror: Mirror) -> None:
    origin.commit({"a.py": "0\n"})
    base = origin.commit({"a.py": "1\n"})
    origin.git("checkout", "-q", "--orphan", "feature")
    origin.commit({"mine.py": "1\n"})
    head = origin.commit({"mine.py": "2\n"})
    mirror.fetch([(head, 1), (base, 1)])
    origin.git("branch", "-q", "-D", "main")
    origin.git("reflog", "expire", "--expire=now", "--all")
    origin.git("gc", "-q", "--prune=now")
    mirror.separate(base, head, 0)
    assert not mirror.lacking([base, head])
    assert mirror.history(base, head)[1], "and nothing is said to be whole that is not"


def test_a_root_commit_of_a_change_counts(origin: Repository, mirror: Mirror) -> None:
    base = origin.commit({"a.py": "1\n"})
    origin.git("checkout", "-q", "--orphan", "new")
    head = origin.commit({"root.py": "1\n"})
    mirror.fetch([(base, 5), (head, 5)])
    commits, truncated = mirror.history(base, head)
    assert [entry.path for entry in commits[0].changed] == ["a.py", "root.py"]
    assert not truncated


def test_a_later_shallow_fetch_does_not_hide_history_that_was_there(origin: Repository, mirror: Mirror) -> None:
    commits = [origin.commit({"a.py": f"{number}\n"}) for number in range(5)]
    mirror.fetch([(commits[3], 10)])
    mirror.fetch([(commits[4], 1), (commits[2], 1)])
    found, truncated = mirror.history(commits[0], commits[3])
    assert truncated or [commit.commit for commit in found] == commits[1:4]


def test_a_listing_stops_at_its_limit(origin: Repository, mirror: Mirror) -> None:
    head = origin.commit({f"{number}.py": "x" for number in range(30)})
    mirror.fetch([(head, 1)])
    entries, truncated = mirror.entries(head, limit=10)
    assert (len(entries), truncated) == (10, True)
    assert len(mirror.entries(head, limit=30)[0]) == 30
    assert not mirror.entries(head, limit=30)[1]


def test_a_tree_of_a_billion_paths_is_left_after_the_limit(origin: Repository, mirror: Mirror) -> None:
    target: str = origin.blob(b"x")
    mode = "100644"
    for _ in range(9):
        target = origin.tree([(mode, b"%d" % number, target) for number in range(10)])
        mode = "40000"
    head = origin.commit_tree(target)
    mirror.fetch([(head, 1)])
    started = time.monotonic()
    entries, truncated = mirror.entries(head, limit=5000)
    assert (len(entries), truncated) == (5000, True)
    assert time.monotonic() - started < 30


def test_a_file_is_read_by_its_path(origin: Repository, mirror: Mirror) -> None:
    head = origin.commit({".github/fixwright.yml": "gate: {}\n", "large": "x" * 5000, "[a]*.py": "odd\n"})
    mirror.fetch([(head, 1)])
    assert mirror.file(head, ".github/fixwright.yml") == b"gate: {}\n"
    assert mirror.file(head, "[a]*.py") == b"odd\n"
    assert mirror.file(head, "large", max_size=4999) is None
    assert mirror.file(head, ".github") is None
    assert mirror.file(head, "absent") is None
    assert mirror.file(head, "../origin") is None


def test_a_symbolic_link_is_not_a_file(origin: Repository, mirror: Mirror) -> None:
    (origin.path / "link").symlink_to("/etc/passwd")
    head = origin.commit({})
    mirror.fetch([(head, 1)])
    assert mirror.file(head, "link") is None
    assert mirror.entries(head, limit=10)[0][0].new_mode == "120000"


def test_added_lines_are_those_of_the_new_side(origin: Repository, mirror: Mirror) -> None:
    base = origin.commit({"a.py": "1\n2\n3\n4\n5\n", "mode.sh": "x\n", "same.py": "x\n", "cut.py": "1\n2\n"})
    (origin.path / "mode.sh").chmod(0o755)
    head = origin.commit({"a.py": "1\ntwo\n3\n4\n5\nsix\nseven\n", "new.py": "1\n2\n", "empty.py": "", "cut.py": "1\n"})
    mirror.fetch([(base, 1), (head, 1)])
    paths = ["a.py", "new.py", "mode.sh", "same.py", "empty.py", "cut.py", "unknown.py"]
    assert mirror.added_lines(base, head, paths) == {"a.py": [(2, 2), (6, 7)], "new.py": [(1, 2)]}
    assert mirror.added_lines(None, head, ["new.py", "same.py"]) == {"new.py": [(1, 2)], "same.py": [(1, 1)]}


def test_attributes_of_the_repository_do_not_hide_lines(origin: Repository, mirror: Mirror) -> None:
    base = origin.commit({"a.py": "1\n", ".gitattributes": "*.py -diff binary\n"})
    head = origin.commit({"a.py": "1\n2\n"})
    mirror.fetch([(base, 1), (head, 1)])
    assert mirror.added_lines(base, head, ["a.py"]) == {"a.py": [(2, 2)]}


def test_lines_that_look_like_headers_are_lines(origin: Repository, mirror: Mirror) -> None:
    base = origin.commit({"a.py": "x\n", "b.py": "x\n"})
    zero, name = "0" * 40, "f" * 40
    trick = f"diff --git a/b.py b/b.py\nindex {zero}..{name} 100644\n@@ -1 +100 @@\n--- a/b.py\n"
    head = origin.commit({"a.py": "x\n" + trick, "b.py": "y\n"})
    mirror.fetch([(base, 1), (head, 1)])
    assert mirror.added_lines(base, head, ["a.py", "b.py"]) == {"a.py": [(2, 5)], "b.py": [(1, 1)]}


def test_the_first_parent_is_known_as_far_as_history_was_fetched(origin: Repository, mirror: Mirror) -> None:
    first = origin.commit({"a.py": b"1"})
    second = origin.commit({"b.py": b"2"})
    mirror.fetch([(second, 1)])
    assert mirror.first_parent(second) is None
    mirror.fetch([(second, 2)])
    assert mirror.first_parent(second) == first
    assert mirror.first_parent(first) is None


def test_merge_base_is_found_in_fetched_history(origin: Repository, mirror: Mirror) -> None:
    base = origin.commit({"a.py": "1\n"})
    head = origin.commit({"a.py": "2\n"})
    origin.git("checkout", "-q", "-b", "other", base)
    other = origin.commit({"b.py": "1\n"})
    mirror.fetch([(head, 2), (other, 2)])
    assert mirror.merge_base(head, other) == base


def test_a_commit_that_the_server_does_not_have_is_missing(origin: Repository, mirror: Mirror) -> None:
    origin.commit({"a.py": "1\n"})
    with pytest.raises(CommitMissing):
        mirror.fetch([(NOBODY, 1)])


def test_a_commit_of_no_branch_is_fetched_all_the_same(origin: Repository, mirror: Mirror) -> None:
    origin.commit({"a.py": "1\n"})
    pushed_away = origin.commit({"a.py": "2\n"})
    origin.git("reset", "-q", "--hard", "HEAD~1")
    mirror.fetch([(pushed_away, 1)])
    assert not mirror.lacking([pushed_away])


def test_the_name_of_a_file_is_not_a_commit(origin: Repository, mirror: Mirror) -> None:
    head = origin.commit({"a.py": "1\n"})
    mirror.fetch([(head, 1)])
    assert mirror.file(head, "a.py")
    assert mirror.lacking([CommitId(origin.at("HEAD:a.py"))])


def test_an_empty_repository_has_no_commit(origin: Repository, mirror: Mirror) -> None:
    with pytest.raises(CommitMissing):
        mirror.fetch([(NOBODY, 1)])


def test_a_server_that_cannot_leave_out_contents_sends_them(origin: Repository, mirror: Mirror, server: Server) -> None:
    server.config = {"uploadpack.allowFilter": "false"}
    base, head = origin.commit({"a.py": "1\n"}), origin.commit({"a.py": "2\n"})
    mirror.fetch([(base, 1), (head, 1)])
    blob = origin.at("HEAD:a.py")
    mirror.ensure_blobs([blob])
    assert list(mirror.read([blob], max_size=10)) == [(blob, b"2\n")]


def test_a_server_that_names_no_single_commits_gives_its_branches(origin: Repository, mirror: Mirror, server: Server) -> None:
    server.protocol = 0
    server.config = {"uploadpack.allowFilter": "true"}
    base, head = origin.commit({"a.py": "1\n"}), origin.commit({"a.py": "2\n"})
    origin.commit({"a.py": "3\n"})
    mirror.fetch([(base, 1), (head, 1)])
    assert [entry.path for entry in mirror.changes(base, head)[0]] == ["a.py"]


def test_credentials_reach_the_host_and_nothing_else(origin: Repository, server: Server, tmp_path: Path) -> None:
    secret = "c2VjcmV0" + "OnNlY3JldA=="
    server.token = f"Basic {secret}"
    head = origin.commit({"a.py": "1\n"})
    place = tmp_path / "mirrors" / "private.git"
    mirror = Mirror.open(place, f"{server.url}/origin/.git", GitCredentials(f"Authorization: Basic {secret}"))
    mirror.fetch([(head, 1)])
    assert {given for _, given in server.requests} == {server.token}
    assert all(secret.encode() not in path.read_bytes() for path in place.rglob("*") if path.is_file())
    assert secret not in repr(mirror)
    server.token = "Basic something else"
    with pytest.raises(GitUnavailable) as caught:
        mirror.fetch([(NOBODY, 1)])
    assert secret not in str(caught.value)


def test_credentials_do_not_follow_a_redirect(origin: Repository, server: Server, tmp_path: Path) -> None:
    head = origin.commit({"a.py": "1\n"})
    with served(origin.path.parent) as elsewhere:
        server.redirect = elsewhere.url
        mirror = Mirror.open(tmp_path / "m.git", f"{server.url}/origin/.git", GitCredentials("Authorization: Basic c2VjcmV0"))
        with pytest.raises(GitUnavailable):
            mirror.fetch([(head, 1)])
        assert elsewhere.requests == []


def test_a_broken_or_absent_server_is_unavailable(mirror: Mirror, server: Server, tmp_path: Path) -> None:
    server.broken = True
    with pytest.raises(GitUnavailable):
        mirror.fetch([(NOBODY, 1)])
    with pytest.raises(GitUnavailable):
        Mirror.open(tmp_path / "n.git", "http://127.0.0.1:9/x.git").fetch([(NOBODY, 1)])


@pytest.mark.parametrize(
    "url",
    [
        "ssh://git@example.org/x",
        "git@example.org:x",
        "ext::sh -c id",
        "http://example.org/x",
        "https://user:pw@example.org/x",
        "--upload-pack=id",
        "/tmp/x",
        "file:///tmp/x",
        "",
    ],
)
def test_other_addresses_are_never_fetched_from(url: str, tmp_path: Path) -> None:
    with pytest.raises(GitUnavailable):
        Mirror.open(tmp_path / "m.git", url).fetch([(NOBODY, 1)])


@pytest.mark.parametrize("name", ["HEAD", "main", "--output=/tmp/x", "0123", "0" * 41, "A" * 40, ""])
def test_only_full_names_reach_git(name: str, mirror: Mirror) -> None:
    with pytest.raises(UsageError):
        mirror.fetch([(CommitId(name), 1)])
    with pytest.raises(UsageError):
        mirror.lacking([CommitId(name)])


def test_a_folder_is_fetched_from_when_the_operator_allows_it(origin: Repository, tmp_path: Path) -> None:
    base, head = origin.commit({"a.py": "1\n"}), origin.commit({"a.py": "2\n"})
    mirror = Mirror.open(tmp_path / "m.git", str(origin.path), allow_local=True)
    mirror.fetch([(base, 1), (head, 1)])
    blob = origin.at("HEAD:a.py")
    assert mirror.sizes([blob]) == {}, "contents are left out here too"
    mirror.ensure_blobs([blob])
    assert mirror.sizes([blob]) == {blob: 2}


def test_a_repository_with_long_names_works_too(tmp_path: Path) -> None:
    origin = Repository.make(tmp_path / "origin", form="sha256")
    base, head = origin.commit({"a.py": "1\n"}), origin.commit({"a.py": "2\n"})
    mirror = Mirror.open(tmp_path / "m.git", str(origin.path), allow_local=True)
    mirror.fetch([(base, 1), (head, 1)])
    assert len(head) == 64
    assert mirror.added_lines(base, head, ["a.py"]) == {"a.py": [(1, 1)]}
    assert len(mirror.entries(head, limit=10)[0]) == 1


def test_leftover_locks_of_a_killed_git_do_not_stop_us(origin: Repository, mirror: Mirror, tmp_path: Path) -> None:
    place = tmp_path / "mirrors" / "one.git"
    mirror.fetch([(origin.commit({"a.py": "1\n"}), 1)])
    for name in ("shallow.lock", "config.lock", "packed-refs.lock", "refs/fixwright/x.lock", "objects/pack/tmp_pack_x"):
        (place / name).write_text("")
    head = origin.commit({"a.py": "2\n"})
    mirror.fetch([(head, 1)])
    assert not mirror.lacking([head])
    assert not list(place.rglob("*.lock"))


def test_a_damaged_mirror_is_made_anew(origin: Repository, mirror: Mirror, tmp_path: Path) -> None:
    place = tmp_path / "mirrors" / "one.git"
    mirror.fetch([(origin.commit({"a.py": "1\n"}), 1)])
    for pack in place.glob("objects/pack/*.pack"):
        pack.chmod(0o644)
        pack.write_bytes(b"garbage")
    head = origin.commit({"a.py": "2\n"})
    mirror.fetch([(head, 1)])
    assert mirror.file(head, "a.py") == b"2\n"


def test_what_git_goes_on_without_is_damage_all_the_same(origin: Repository, mirror: Mirror, tmp_path: Path) -> None:
    place = tmp_path / "mirrors" / "one.git"
    for times in range(2):
        mirror.fetch([(origin.commit({f"f{number}.py": f"{times}{number}\n" for number in range(30)}), 1)])
    for pack in place.glob("objects/pack/*.pack"):
        pack.chmod(0o644)
        pack.write_bytes(pack.read_bytes()[: pack.stat().st_size // 2])
    before = mirror.incarnation()
    head = origin.commit({"a.py": "2\n"})
    mirror.fetch([(head, 1)])
    assert mirror.incarnation() != before
    assert mirror.file(head, "a.py") == b"2\n"
    for index in place.glob("objects/pack/*.idx"):
        subprocess.run(["git", "verify-pack", index], check=True)


def test_a_damaged_mirror_never_looks_like_an_empty_change(origin: Repository, mirror: Mirror, tmp_path: Path) -> None:
    base, head = origin.commit({"a.py": "1\n"}), origin.commit({"a.py": "2\n"})
    mirror.fetch([(base, 1), (head, 1)])
    for pack in (tmp_path / "mirrors" / "one.git").glob("objects/pack/*.pack"):
        pack.chmod(0o644)
        pack.write_bytes(pack.read_bytes()[:40])
    with pytest.raises(MirrorDamaged):
        mirror.changes(base, head)
    mirror.fetch([(base, 1), (head, 1)])
    assert mirror.changes(base, head)[0]


def test_contents_that_a_cut_pack_still_names_are_never_silently_absent(origin: Repository, mirror: Mirror, tmp_path: Path) -> None:
    head = origin.commit({f"f{number}.py": f"{number}\n" * 50 for number in range(30)})
    mirror.fetch([(head, 1)])
    blobs = [entry.new_blob for entry in mirror.entries(head, limit=100)[0]]
    mirror.ensure_blobs(blobs)
    for pack in (tmp_path / "mirrors" / "one.git").glob("objects/pack/*.pack"):
        if len(content := pack.read_bytes()) > 700:  # the contents; commit and tree stay whole
            pack.chmod(0o644)
            pack.write_bytes(content[: len(content) // 2])
    with pytest.raises(MirrorDamaged):
        [mirror.file(head, f"f{number}.py") for number in range(30)]
    mirror.fetch([(head, 1)])
    assert mirror.file(head, "f29.py") == b"29\n" * 50


def test_who_reads_while_another_makes_the_mirror_anew_may_try_again(origin: Repository, mirror: Mirror) -> None:
    old, new = origin.commit({"a.py": "1\n"}), origin.commit({"a.py": "2\n"})
    mirror.fetch([(old, 1)])
    mirror.drop()
    mirror.fetch([(new, 1)])
    for read in (lambda: mirror.file(old, "a.py"), lambda: mirror.entries(old, limit=5), lambda: mirror.changes(old, new)):
        with pytest.raises(MirrorDamaged):
            read()


def test_many_fetches_at_once_are_done_one_after_the_other(origin: Repository, server: Server, tmp_path: Path) -> None:
    heads = [origin.commit({"a.py": f"{number}\n"}) for number in range(6)]
    place = tmp_path / "shared.git"
    errors: list[Exception] = []

    def one(head: CommitId) -> None:
        try:
            mirror = Mirror.open(place, f"{server.url}/origin/.git")
            mirror.fetch([(head, 1)])
            assert mirror.file(head, "a.py")
        except Exception as error:  # noqa: BLE001  (a thread's error is shown by the test)
            errors.append(error)

    threads = [threading.Thread(target=one, args=(head,)) for head in heads]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_a_dropped_mirror_is_gone_and_comes_back(origin: Repository, mirror: Mirror, tmp_path: Path) -> None:
    head = origin.commit({"a.py": "1\n"})
    mirror.fetch([(head, 1)])
    mirror.drop()
    assert [path.name for path in (tmp_path / "mirrors").iterdir()] == ["one.git.lock"]
    mirror.fetch([(head, 1)])
    assert not mirror.lacking([head])


def test_a_mirror_whose_damage_is_seen_by_reading_is_dropped_once_whoever_saw_it(origin: Repository, mirror: Mirror) -> None:
    head = origin.commit({"a.py": "1\n"})
    mirror.fetch([(head, 1)])
    seen = mirror.incarnation()
    for pack in mirror.git.git_dir.parent.rglob("*.pack"):
        pack.chmod(0o600)
        pack.write_bytes(pack.read_bytes()[:40])
    with pytest.raises((MirrorDamaged, CommitMissing)) as caught:
        mirror.entries(head, limit=10)
    assert str(mirror.git.git_dir.parent.parent) not in caught.value.message
    assert mirror.drop_damaged(seen)
    mirror.fetch([(head, 1)])
    assert not mirror.drop_damaged(seen), "a mirror that another process made anew was taken away from it"
    assert [entry.path for entry in mirror.entries(head, limit=10)[0]] == ["a.py"]
