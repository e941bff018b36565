"""Where a note may stand in a diff, and where it goes when the diff changes: the GitLab double against git's own alignment."""

from __future__ import annotations

import random
from collections.abc import Callable
from hashlib import sha1
from pathlib import Path

import pytest

from tests.worlds.bare import BareRepository, Entry, Person
from tests.worlds.gitlab.model import End, Position, Refs
from tests.worlds.gitlab.positions import Line, Tracer, Unplaceable, file_of, find_line, line_code, lines_of, place

NOBODY = Person("N", "n@example.org", 1_800_000_000)


@pytest.fixture
def git(tmp_path: Path) -> BareRepository:
    return BareRepository.create(tmp_path / "r.git", own=[])


Writer = Callable[..., str]


@pytest.fixture
def write(git: BareRepository) -> Writer:
    """Make a commit out of files."""

    def made(files: dict[str, str], *parents: str) -> str:
        entries = [Entry("100644", path, git.write_blob(text.encode())) for path, text in files.items()]
        return git.write_commit(git.write_tree(None, entries), parents, "m\n", NOBODY, NOBODY)

    return made


def text(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def edited(chance: random.Random, lines: list[str], mark: str) -> list[str]:
    """Some lines go, some come; every new one is unlike all others."""
    made: list[str] = []
    for number, line in enumerate(lines):
        if chance.random() < 0.08:
            made += [f"{mark} {number} {more}" for more in range(chance.randint(1, 3))]
        if chance.random() > 0.08:
            made.append(line)
    return made


def aligned(git: BareRepository, refs: Refs, path: str) -> set[tuple[int | None, int | None]]:
    """All lines of both sides as git pairs them, by a diff whose context is the whole file."""
    whole = git.run("diff-tree", "-r", "-p", "-U100000", refs.base, refs.head, "--", path).decode()
    return {line.place for line in lines_of(whole[whole.index("@@") :])}


@pytest.mark.parametrize("seed", range(5))
def test_a_line_is_accepted_when_git_pairs_it_so_and_never_otherwise(git: BareRepository, write: Writer, seed: int) -> None:
    chance = random.Random(seed)
    old = [f"line {number}" for number in range(24)]
    base = write({"a.py": text(old)})
    head = write({"a.py": text([*edited(chance, old, "new"), "end"])}, base)
    refs = Refs(base, base, head)
    good = aligned(git, refs, "a.py")

    (file,) = git.diff(base, head)
    tried: list[int | None] = [None, *range(34)]
    assert {(one, other) for one in tried for other in tried if find_line(git, refs, file, (one, other))} == good


@pytest.mark.parametrize("kind", ["added", "removed"])
def test_files_that_came_or_went_have_one_side_alone(git: BareRepository, write: Writer, kind: str) -> None:
    without, with_it = {"a.py": "x\n"}, {"a.py": "x\n", "b.py": "1\n2\n"}
    base = write(without if kind == "added" else with_it)
    head = write(with_it if kind == "added" else without, base)
    refs, code = Refs(base, base, head), sha1(b"b.py", usedforsecurity=False).hexdigest()
    there = (None, 2) if kind == "added" else (2, None)

    assert place(git, Position(refs, "b.py", "b.py", "text", *there)) == (f"{code}_0_2" if kind == "added" else f"{code}_2_0")
    for wrong in ((2, 2), there[::-1], (None, None)):
        with pytest.raises(Unplaceable, match="line_code"):
            place(git, Position(refs, "b.py", "b.py", "text", *wrong))


def test_a_renamed_file_is_named_by_both_its_paths(git: BareRepository, write: Writer) -> None:
    lines = [f"line {number}" for number in range(20)]
    base = write({"old.py": text(lines)})
    head = write({"new.py": text([*lines[:10], "more", *lines[10:]])}, base)
    refs = Refs(base, base, head)

    assert place(git, Position(refs, "old.py", "new.py", new_line=11)) == f"{sha1(b'new.py', usedforsecurity=False).hexdigest()}_11_11"
    for paths in (("new.py", "new.py"), ("old.py", "old.py")):
        with pytest.raises(Unplaceable):
            place(git, Position(refs, *paths, new_line=11))


def test_commits_that_are_not_there_and_files_that_did_not_change_are_refused(git: BareRepository, write: Writer) -> None:
    base = write({"a.py": "1\n", "same.py": "1\n"})
    head = write({"a.py": "2\n", "same.py": "1\n"}, base)

    for refs, path in ((Refs(base, base, "0" * 40), "a.py"), (Refs(base, base, head), "same.py"), (Refs("", base, head), "a.py")):
        with pytest.raises(Unplaceable, match="line_code"):
            place(git, Position(refs, path, path, new_line=1))
    with pytest.raises(Unplaceable, match="incomplete"):
        place(git, Position(Refs(base, "", head), "a.py", "a.py", new_line=1))


def test_a_range_must_name_its_lines_by_their_codes_and_end_at_the_position(git: BareRepository, write: Writer) -> None:
    lines = [f"line {number}" for number in range(1, 21)]
    base = write({"a.py": text(lines)})
    head = write({"a.py": text([*lines[:9], "one", "two", "three", *lines[9:]])}, base)
    refs, code = Refs(base, base, head), sha1(b"a.py", usedforsecurity=False).hexdigest()
    start, end = End(f"{code}_10_10", "new", None, 10), End(f"{code}_10_12", "new", None, 12)

    def placed(first: End, last: End, line: int = 12) -> str | None:
        return place(git, Position(refs, "a.py", "a.py", "text", None, line, (first, last)))

    assert placed(start, end) == f"{code}_10_12"
    assert placed(End(f"{code}_9_9", "old", 9, 9), end) == f"{code}_10_12"
    wrong = [
        (End(f"{code}_9_10", "new", None, 10), end, 12),
        (End(f"{'0' * 40}_10_10", "new", None, 10), end, 12),
        (End("10", "new", None, 10), end, 12),
        (End(f"{code}_10_10", "old", None, 10), end, 12),
        (End(f"{code}_10_10", "new", None, 11), end, 12),
        (start, end, 11),
        (end, start, 10),
    ]
    for first, last, line in wrong:
        with pytest.raises(Unplaceable):
            placed(first, last, line)


def test_a_line_code_counts_both_sides_on(git: BareRepository, write: Writer) -> None:
    base = write({"a.py": "1\n2\n3\n"})
    head = write({"a.py": "1\nx\n3\n"}, base)
    (file,) = git.diff(base, head)
    codes = [line_code("a.py", line).partition("_")[2] for line in lines_of(file.patch)]

    assert codes == ["1_1", "2_2", "3_2", "3_3"]


# --- from version to version ---


@pytest.mark.parametrize("seed", range(5))
def test_a_note_follows_the_words_of_its_line_or_is_outdated(git: BareRepository, write: Writer, seed: int) -> None:
    """Every line of a diff is traced to the next one: what is found there is the same text, and nothing that is there is lost."""
    chance = random.Random(seed)
    first = [f"line {number}" for number in range(30)]
    mine = edited(chance, first, "mine")
    texts = {"main1": first, "main2": edited(chance, first, "main"), "head1": mine, "head2": edited(chance, mine, "again")}
    main1 = write({"a.py": text(texts["main1"])})
    main2 = write({"a.py": text(texts["main2"])}, main1)
    head1 = write({"a.py": text(texts["head1"])}, main1)
    head2 = write({"a.py": text(texts["head2"])}, head1)
    base2, target = chance.choice([(main1, "main1"), (main2, "main2")])
    before, after = Refs(main1, main1, head1), Refs(base2, base2, head2)
    tracer, file = Tracer(git, before, after), file_of(git.diff(base2, head2), "a.py", "a.py")
    assert file is not None
    now = {said(texts[target], texts["head2"], line.place): line for line in lines_of(file.patch)}

    for line in lines_of(git.diff(main1, head1)[0].patch):
        words = said(texts["main1"], texts["head1"], line.place)
        traced = tracer.trace(Position(before, "a.py", "a.py", "text", *line.place))
        where = (traced.position.old_line, traced.position.new_line)
        if traced.outdated:
            assert words not in now or now[words].sign != line.sign
        else:
            assert traced.position.refs == after
            assert said(texts[target], texts["head2"], where) == words
            assert find_line(git, after, file, where) is not None


def said(old: list[str], new: list[str], where: tuple[int | None, int | None]) -> str:
    """The text of a line of a diff."""
    return new[where[1] - 1] if where[1] is not None else old[(where[0] or 0) - 1]


def test_a_note_follows_its_file_to_a_new_name(git: BareRepository, write: Writer) -> None:
    lines = [f"line {number}" for number in range(20)]
    base = write({"a.py": text(lines)})
    head = write({"a.py": text(["new", *lines])}, base)
    moved = write({"b.py": text(["top", "new", *lines])}, head)

    traced = Tracer(git, Refs(base, base, head), Refs(base, base, moved)).trace(
        Position(Refs(base, base, head), "a.py", "a.py", new_line=1)
    )

    assert not traced.outdated
    assert (traced.position.old_path, traced.position.new_path, traced.position.new_line) == ("a.py", "b.py", 2)


def test_a_line_that_went_says_which_change_took_it(git: BareRepository, write: Writer) -> None:
    base = write({"a.py": "1\n2\n3\n"})
    head = write({"a.py": "1\nbad\n2\n3\n"}, base)
    fixed = write({"a.py": "1\n2\n3\nother\n"}, head)
    refs = Refs(base, base, head)

    traced = Tracer(git, refs, Refs(base, base, fixed)).trace(Position(refs, "a.py", "a.py", new_line=2))

    assert traced.outdated
    assert traced.position == Position(Refs(head, head, fixed), "a.py", "a.py", "text", 2, None)


def test_a_range_moves_with_its_lines(git: BareRepository, write: Writer) -> None:
    lines = [f"line {number}" for number in range(10)]
    base = write({"a.py": text(lines)})
    head = write({"a.py": text([*lines[:5], "x", "y", *lines[5:]])}, base)
    later = write({"a.py": text(["top", *lines[:5], "x", "y", *lines[5:]])}, head)
    refs, code = Refs(base, base, head), sha1(b"a.py", usedforsecurity=False).hexdigest()
    ends = (End(f"{code}_6_6", "new", None, 6), End(f"{code}_6_7", "new", None, 7))

    traced = Tracer(git, refs, Refs(base, base, later)).trace(Position(refs, "a.py", "a.py", "text", None, 7, ends))

    assert traced.position.new_line == 8
    assert traced.position.range is not None
    assert [(end.new_line, end.line_code) for end in traced.position.range] == [(7, f"{code}_6_7"), (8, f"{code}_6_8")]
    assert place(git, traced.position) == f"{code}_6_8"


def test_lines_that_begin_like_marks_are_lines(git: BareRepository, write: Writer) -> None:
    base = write({"a.py": "--- x\n+++ y\n@@ -1 +1 @@\n"})
    head = write({"a.py": "--- x\n+++ z\n@@ -1 +1 @@\n"}, base)
    (file,) = git.diff(base, head)

    assert lines_of(file.patch) == [Line(" ", 1, 1), Line("-", 2, 2), Line("+", 3, 2), Line(" ", 3, 3)]
