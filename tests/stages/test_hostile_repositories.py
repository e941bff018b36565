"""Hostile repositories as pull requests, from the delivery to the finished check: it says why, nothing is written outside of the job, and
the next honest change is judged as if nothing had been.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from providers.local.record import CheckRecord
from tests.hostile import sampled
from tests.stages.crafted import Watched
from tests.unit.sandbox.attacks import FILE, FOLDER, LEGAL, LINK, REFUSED, SUBMODULE, Attack
from tests.unit.sandbox.repositories import Repository

BAD = b"fine\nBAD\n"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    made = Watched.make(tmp_path, monkeypatch)
    yield made
    made.ensure_untouched()
    made.bench.close()


# --- trees that git itself refuses ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sampled(REFUSED, 2, always=["..", "the same name twice"]))
def test_a_refused_tree_ends_in_a_check_that_says_so(name: str, place: Watched) -> None:
    place.push(REFUSED[name](place.repo.origin))
    _, check = place.review()
    assert check.conclusion == "failure"
    assert check.title.startswith("Could not check: refused by git's own checks: ")
    assert "**Not checked:** refused by git's own checks: " in check.summary
    assert place.mirrors() == [], "what was refused may lie in it and would pass the next time"
    place.ensure_next_works()
    assert len(place.mirrors()) == 1


def test_a_refused_tree_stays_refused_when_the_mirror_knows_the_base(place: Watched) -> None:
    place.ensure_next_works()
    bad = place.push(REFUSED[".git"](place.repo.origin))
    assert "refused by git's own checks" in place.review()[1].title
    place.push(place.repo.tree_of({b"a.txt": b"fine\n", b"c.txt": b"fine\n"}), "on-top", parents=(bad,))
    assert "refused by git's own checks" in place.review("on-top")[1].title, "its history is searched, too"
    assert place.mirrors() == []


# --- trees that are legal ---------------------------------------------------------------------------------------------------------------

SAID = {
    "a link to an absolute path": "a symbolic link",
    "a submodule": "a submodule",
}


@pytest.mark.parametrize("name", sampled(LEGAL, 3))
def test_a_legal_hostile_tree_is_judged_and_what_was_not_scanned_stands_there(name: str, place: Watched) -> None:
    place.push(LEGAL[name](place.repo.origin))
    _, check = place.review()
    assert check.conclusion == "success"
    if name in SAID:
        assert check.title == f"Nothing to scan: 1 file ({SAID[name]})"
        assert f"left out by lines-semgrep: 1 file ({SAID[name]})" in check.summary
    else:
        assert "Checked: 1 of 1 file" in check.summary
    place.ensure_next_works()


def _links(origin: Repository) -> list[tuple[str, bytes, str]]:
    targets = {b"abs": b"/etc/passwd", b"loop": b"loop", b"out": b"../../../../etc/shadow", b"proc": b"/proc/self/environ", b"dir": b"."}
    return [(LINK, name, origin.blob(target)) for name, target in sorted(targets.items())]


def test_links_are_never_followed_and_hide_no_file_beside_them(place: Watched) -> None:
    origin = place.repo.origin
    place.push(origin.tree([*_links(origin), (FILE, b"z.txt", origin.blob(BAD))]))
    _, check = place.review()
    assert "z.txt:2" in check.title
    assert "left out by lines-semgrep: 5 files (a symbolic link)" in check.summary
    assert "root:" not in check.summary + check.text


def test_a_file_that_becomes_a_link_and_a_folder_that_becomes_a_file(place: Watched) -> None:
    origin = place.repo.origin
    folder = origin.tree([(FILE, b"x.txt", origin.blob(BAD))])
    place.base = place.push(origin.tree([(FILE, b"a.txt", origin.blob(BAD)), (FOLDER, b"b", folder)]), "main", parents=())
    place.push(origin.tree([(LINK, b"a.txt", origin.blob(b"/etc/passwd")), (FILE, b"b", origin.blob(BAD))]))
    _, check = place.review()
    assert check.status == "completed"
    assert "passwd" not in check.title


def test_pointers_of_large_file_storage_are_read_as_the_text_that_they_are(place: Watched) -> None:
    origin = place.repo.origin
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12\nBAD\n"
    attributes = b"*.txt filter=lfs diff=lfs merge=lfs -text\n[attr]evil filter=evil\n"
    config = b"[lfs]\n\turl = http://127.0.0.1:9/\n"
    files = [(FILE, b".gitattributes", origin.blob(attributes)), (FILE, b".lfsconfig", origin.blob(config))]
    place.push(origin.tree([*files, (FILE, b"big.txt", origin.blob(pointer))]))
    _, check = place.review()
    assert "big.txt:4" in check.title


def test_submodules_are_never_fetched_and_the_ledger_names_them(place: Watched) -> None:
    origin = place.repo.origin
    modules = b'[submodule "x"]\n\tpath = x\n\turl = ext::sh -c "touch %s"\n\tupdate = !touch pwned\n' % bytes(place.place / "pwned")
    place.push(origin.tree([(FILE, b".gitmodules", origin.blob(modules)), (SUBMODULE, b"x", place.base), (FILE, b"y", origin.blob(BAD))]))
    _, check = place.review()
    assert "y:2" in check.title
    assert "1 file (a submodule)" in check.summary
    assert not (place.place / "pwned").exists()


# --- horrors of paths -------------------------------------------------------------------------------------------------------------------


def one(name: bytes) -> Attack:
    return lambda origin: origin.tree([(FILE, name, origin.blob(BAD))])


def within(folders: int, name: bytes) -> Attack:
    def made(origin: Repository) -> str:
        tree = origin.tree([(FILE, b"a.py", origin.blob(BAD))])
        for _ in range(folders):
            tree = origin.tree([(FOLDER, name, tree)])
        return tree

    return made


PATHS: dict[str, tuple[Attack, str]] = {
    "a newline": (one(b"a\nb.py"), "a b.py:2"),
    "a tab": (one(b"a\tb.py"), "a b.py:2"),
    "a carriage return": (one(b"a\rb.py"), "a b.py:2"),
    "backslashes": (one(b"..\\..\\x.py"), "..\\..\\x.py:2"),
    "dots that are no way up": (lambda o: o.tree([(FOLDER, b"...", one(b"a..py")(o))]), ".../a..py:2"),
    "no UTF-8": (one(b"\xff\xfe.py"), "\\xff\\xfe.py:2"),
    "a right-to-left override": (one("\u202egpj.py".encode()), "\\u202egpj.py:2"),
    "an escape sequence": (one(b"\x1b[2J\x07.py"), "\\x1b[2J\\x07.py:2"),
    "a device of another system": (one(b"CON"), "CON:2"),
    "a drive of another system": (one(b"C:evil.py"), "C:evil.py:2"),
    "an option": (one(b"--config=x.py"), "--config=x.py:2"),
    "magic of git's pathspecs": (one(b":!*.py"), ":!*.py:2"),
    "a blank in front": (one(b" .py"), " .py:2"),
    "placeholders": (one(b"{{x}}%s${y}`id`.py"), "{{x}}%s${y}"),
    "markdown": (one(b"|<b>@ada #1 [x](y).py"), "ada #1"),
    "a name of 4,000 bytes": (one(b"x" * 4000 + b".py"), "xxx"),
    "300 folders in each other": (within(300, b"d"), "d/d/d"),
    "a path of 10,000 bytes": (within(40, b"e" * 250), "eee"),
    "a path of 200,000 bytes": (within(800, b"f" * 250), "fff"),
}


@pytest.mark.parametrize("name", sampled(PATHS, 4, always=["a path of 200,000 bytes"]))
def test_a_finding_stands_at_its_file_whatever_the_file_is_called(name: str, place: Watched) -> None:
    attack, said = PATHS[name]
    place.push(attack(place.repo.origin))
    _, check = place.review()
    assert check.conclusion == "failure"
    assert check.title.startswith("1 blocks: ")
    assert said in check.title
    _ensure_shown_safely(check)
    assert all("\n" not in annotation.path for annotation in check.annotations)
    place.ensure_next_works()


def _ensure_shown_safely(check: CheckRecord) -> None:
    shown = check.title + check.summary + check.text
    assert not [c for c in shown if unicodedata.category(c) in ("Cc", "Cf", "Cs") and c not in "\n\u200b"]
    assert "<b>" not in check.summary + check.text, "a title is plain text"
    row = next(line for line in check.summary.splitlines() if line.startswith("| blocks"))
    assert row.replace("\\|", "").count("|") == 5


def test_names_that_differ_in_their_normal_form_only_are_two_files(place: Watched) -> None:
    origin = place.repo.origin
    names = [unicodedata.normalize(form, "caf\u00e9.txt").encode() for form in ("NFD", "NFC")]
    names += [b"a.TXT", b"A.txt"]
    place.push(origin.tree([(FILE, name, origin.blob(BAD + name)) for name in sorted(names)]))
    _, check = place.review()
    assert check.title.startswith("4 block")
    assert "Checked: 4 of 4 files" in check.summary


def test_long_names_with_findings_are_more_than_one_command_line(place: Watched) -> None:
    """Their lines are asked for by name; all names together are 2.4 MB, and the kernel takes less."""
    origin = place.repo.origin
    tree = origin.tree([(FILE, b"%02d.py" % number, origin.blob(BAD)) for number in range(60)])
    for _ in range(160):
        tree = origin.tree([(FOLDER, b"n" * 250, tree)])
    place.push(tree)
    _, check = place.review()
    assert check.title.startswith("60 block")
    assert check.conclusion == "failure"


# --- what else a change can carry -------------------------------------------------------------------------------------------------------

PUSHED: dict[str, Callable[[Watched], None]] = {
    "a message of 5 MB": lambda w: _commit(w, message=b"m" * 5_000_000),
    "an author of 1 MB": lambda w: _commit(w, author=b"A" * 1_000_000 + b" <a@b>"),
    "a message of other encodings": lambda w: _commit(w, message=b"\xff\xfe\x1b[2J", extra=b"encoding utf-7\n"),
    "a header without end": lambda w: _commit(w, extra=b"gpgsig -----BEGIN\n" + b" x\n" * 100_000),
    "a date beyond all calendars": lambda w: _commit(w, when=b"99999999999999999 +9999"),
    "40 parents": lambda w: _commit(w, parents=[_empty(w, str(number)) for number in range(40)]),
}


def _empty(w: Watched, message: str) -> str:
    return w.repo.origin.git("commit-tree", w.repo.tree_of({}), "-p", w.base, "-m", message).decode().strip()


def _commit(
    w: Watched,
    *,
    message: bytes = b"m",
    author: bytes = b"A <a@b>",
    when: bytes = b"1 +0000",
    extra: bytes = b"",
    parents: list[str] | None = None,
) -> None:
    """A commit whose object is written by hand."""
    tree = w.repo.tree_of({b"b.txt": BAD})
    lines = [b"tree " + tree.encode(), *(b"parent " + name.encode() for name in (parents or [w.base]))]
    people = [b"author " + author + b" " + when, b"committer A <a@b> " + when]
    raw = b"\n".join([*lines, *people]) + b"\n" + extra + b"\n" + message
    name = w.repo.origin.git("hash-object", "-t", "commit", "--literally", "-w", "--stdin", stdin=raw).decode().strip()
    w.repo.origin.git("update-ref", "refs/heads/feature", name)


@pytest.mark.parametrize("name", sampled(PUSHED, 2))
def test_what_a_commit_says_of_itself_hides_nothing(name: str, place: Watched) -> None:
    PUSHED[name](place)
    _, check = place.review()
    assert check.conclusion == "failure"
    assert "b.txt:2" in check.title or "refused by git's own checks" in check.title, check.title
    place.ensure_next_works()


@pytest.mark.parametrize("name", ["f" * 180, "HEAD", "a/b/" * 40 + "c", "refs/heads/main"])
def test_a_branch_of_a_strange_name_is_judged(name: str, place: Watched) -> None:
    place.push(place.repo.tree_of({b"b.txt": BAD}), name)
    ref = place.bench.review(place.repo, name)
    (check,) = place.bench.checks(place.repo, place.repo.origin.head(f"refs/heads/{name}"))
    assert (ref.number, check.status, "b.txt:2" in check.title) == (1, "completed", True)
