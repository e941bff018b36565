"""Changes that are made to take all time, memory or disk: each ends in a finished check that says what was not scanned.

Time and memory are measured: of this process and of all that it starts. The bounds have room for a loaded machine; without limits each of
these takes minutes, gigabytes, or does not end.
"""

from __future__ import annotations

import io
import os
import random
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.sandbox.supervise import descendants
from tests.engines import needs_engines
from tests.faults.meters import resident
from tests.hostile import sampled, whole_only
from tests.stages.crafted import Watched
from tests.unit.sandbox.attacks import FILE, FOLDER

SECONDS = 240.0
OWN, CHILDREN = 700, 2_600
"""MB that this process may grow by, and that all that it starts may hold together (an engine's own limit is 2 GB)."""

MB = 1 << 20
BAD = b"BAD\n"


@dataclass
class Meter:
    """The most memory that was seen, in MB."""

    own: int = 0
    children: int = 0
    seconds: float = 0.0


@contextmanager
def measured() -> Iterator[Meter]:
    """Look at the memory twenty times a second."""
    meter, done, before, begun = Meter(), threading.Event(), resident(os.getpid()), time.monotonic()

    def look() -> None:
        while not done.wait(0.05):
            meter.own = max(meter.own, (resident(os.getpid()) - before) // MB)
            meter.children = max(meter.children, sum(resident(pid) for pid in descendants(os.getpid())) // MB)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield meter
    finally:
        done.set()
        thread.join()
        meter.seconds = time.monotonic() - begun


# --- bombs of git -----------------------------------------------------------------------------------------------------------------------


def _nested(w: Watched, leaf: str, mode: str) -> None:
    for _ in range(10):
        leaf = w.repo.origin.tree([(mode, b"%d" % number, leaf) for number in range(10)])
        mode = FOLDER
    w.push(leaf)


def tree_bomb(w: Watched) -> None:
    _nested(w, w.repo.origin.blob(b"x\n"), FILE)


def folder_bomb(w: Watched) -> None:
    _nested(w, w.repo.origin.tree([]), FOLDER)


def hundred_thousand_files(w: Watched) -> None:
    blob = w.repo.origin.blob(b"fine\n")
    w.push(w.repo.origin.tree([(FILE, b"%06d.txt" % number, blob) for number in range(100_000)]))


def ten_thousand_commits(w: Watched) -> None:
    commits = []
    for number in range(10_000):
        parent = b"from %s\n" % w.base.encode() if not number else b""
        content = b"v%d\n" % number
        head = b"commit refs/heads/feature\nmark :%d\ncommitter A <a@b> %d +0000\ndata 1\nm\n" % (number + 1, number + 1)
        commits.append(head + parent + b"M 100644 inline h.txt\ndata %d\n%s\n" % (len(content), content))
    w.repo.origin.git("fast-import", "--quiet", stdin=b"".join(commits))


def flapping_history(w: Watched) -> None:
    """Two trees of 20,000 files by turns, in 200 commits: four million changed files of few objects."""
    origin = w.repo.origin
    sides = []
    for content in (b"1\n", b"2\n"):
        blob = origin.blob(content)
        sides.append(origin.tree([(FILE, b"%05d.txt" % number, blob) for number in range(20_000)]))
    head = w.base
    for number in range(200):
        head = w.push(sides[number % 2], parents=(head,))


# --- bombs in files ---------------------------------------------------------------------------------------------------------------------


def _with(w: Watched, files: dict[bytes, bytes]) -> None:
    entries = [(FILE, name, str(w.repo.origin.blob(content))) for name, content in sorted({**files, b"z.txt": BAD}.items())]
    w.push(w.repo.origin.tree(entries))


def _zipped(content: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", content)
    return packed.getvalue()


def archives(w: Watched) -> None:
    bomb = _zipped(b"BAD\n" * 12_000_000)
    _with(w, {b"a.zip": bomb, b"b.txt": bomb, b"c.tar.gz": bomb})


GIT: dict[str, tuple[Callable[[Watched], None], str]] = {
    "10^10 paths of a few objects": (tree_bomb, "more than 5000 files changed"),
    "10^10 folders and no file": (folder_bomb, "more than 5000 files changed"),
    "100,000 files": (hundred_thousand_files, "more than 5000 files changed"),
    "10,000 commits": (ten_thousand_commits, "only 250 commits"),
    "200 commits that change 20,000 files each": (flapping_history, "at most 10,000 of their changed files"),
}

FILES: dict[str, tuple[Callable[[Watched], None], str]] = {
    "200 MB of zeros": (lambda w: _with(w, {b"big.txt": bytes(200_000_000)}), "big.txt"),
    "200 MB of lines": (lambda w: _with(w, {b"big.txt": b"BAD\n" * 50_000_000}), "big.txt"),
    "60 files of 9 MB that pack to nothing": (lambda w: _with(w, {b"%02d.txt" % n: b"%d" % n + bytes(9_000_000) for n in range(60)}), "MB"),
    "one line of 10 MB": (lambda w: _with(w, {b"big.js": b"a" * 10_000_000 + b" BAD\n"}), "big.js"),
    "archives are no folders": (archives, ""),
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    made = Watched.make(tmp_path, monkeypatch)
    yield made
    made.ensure_untouched()
    made.bench.close()


def _ends(place: Watched, branch: str = "feature") -> str:
    """Title and summary of the finished check; the bounds are held."""
    with measured() as meter:
        place.bench.review(place.repo, branch)
    check = place.check(branch)
    assert meter.seconds < SECONDS, meter
    assert meter.own < OWN and meter.children < CHILDREN, meter
    assert check.conclusion == "failure", check.title
    return f"{check.title}\n{check.summary}"


@pytest.mark.parametrize("name", sampled(GIT, 0, always=["10^10 paths of a few objects"]))
def test_a_bomb_of_git_ends_and_what_was_not_scanned_stands_there(name: str, place: Watched) -> None:
    make, said = GIT[name]
    make(place)
    shown = _ends(place)
    assert "Could not check" in shown
    assert said in shown
    place.ensure_next_works()


@pytest.mark.parametrize("name", sampled(FILES, 0, always=["one line of 10 MB"]))
def test_a_bomb_in_a_file_hides_nothing_beside_it(name: str, place: Watched) -> None:
    make, said = FILES[name]
    make(place)
    shown = _ends(place)
    assert "z.txt" in shown
    assert said in shown
    assert "not checked: " in shown or not said


# --- too much to say --------------------------------------------------------------------------------------------------------------------


@whole_only
def test_ten_thousand_findings_are_counted_and_the_first_are_shown(place: Watched) -> None:
    origin = place.repo.origin
    place.push(origin.tree([(FILE, b"%02d.txt" % number, origin.blob(b"%d\n" % number + BAD * 1_000)) for number in range(10)]))
    assert _ends(place).startswith("10,000 block")
    check = place.check()
    assert len(check.summary.encode()) <= 65_535
    assert len(check.annotations) == 1_000


def test_thousands_of_suppressing_comments_suppress_nothing(place: Watched) -> None:
    line = b"BAD  # fixwright: ignore[fake.bad-line] " + b"because " * 5 + b"\n"
    place.push(place.repo.tree_of({b"a.py": line * 500}))
    shown = _ends(place)
    assert shown.startswith("500 block")
    assert "counts once it is in the base" in shown


# --- policies ---------------------------------------------------------------------------------------------------------------------------

POLICIES = {
    "a billion laughs": b"a: &a [x,x,x,x,x,x,x,x,x]\n"
    + b"".join(b"%c: &%c [%s]\n" % (c + 1, c + 1, b",".join([b"*%c" % c] * 9)) for c in range(97, 106)),
    "nested without end": b"[" * 30_000,
    "nested mappings": b"{a: " * 10_000,
    "100,000 keys": b"".join(b"k%d: 1\n" % number for number in range(8_000)),
    "64 MB": b"# x\n" * 16_000_000,
    "one long scalar": b"gate: {block: '" + b"h" * 60_000 + b"'}\n",
    "a pattern that backtracks": b"paths: {exclude: ['" + b"*a" * 90 + b"']}\n",
    "tags that make objects": b"!!python/object/apply:os.system ['true']\n",
}


@pytest.mark.parametrize("name", sampled(POLICIES, 2, always=["a pattern that backtracks"]))
def test_a_policy_that_is_a_bomb_is_an_unusable_policy_and_never_green(name: str, place: Watched) -> None:
    origin = place.repo.origin
    policy, bad = origin.blob(POLICIES[name]), origin.blob(BAD)
    place.base = place.push(origin.tree([(FILE, b".fixwright.yml", policy)]), "main", parents=())
    place.push(origin.tree([(FILE, b".fixwright.yml", policy), (FILE, b"a" * 200, bad), (FILE, b"b.txt", bad)]))
    with measured() as meter:
        place.bench.review(place.repo, "feature")
    check = place.check()
    assert meter.seconds < SECONDS and meter.own < OWN, meter
    assert check.conclusion in ("failure", "action_required")
    assert "block" in check.title or "Could not check" in check.title


# --- bombs for the engines ----------------------------------------------------------------------------------------------------------------

_CHANCE = random.Random(7)
_KEY = "AKIA" + "Q3EGZ7WJ" + "T5LX2K7M"
WEB = b'const { exec } = require("child_process")\nmodule.exports = (q, s) => { exec("ls " + q.query.f, (e, l) => s.send(l)) }\n'

ENGINES: dict[str, dict[bytes, bytes]] = {
    "100,000 brackets in Python": {b"a.py": b"x = " + b"(" * 100_000 + b")" * 100_000 + b"\n"},
    "100,000 brackets in JavaScript": {b"a.js": b"x = " + b"[" * 100_000 + b"]" * 100_000 + b"\n"},
    "100,000 brackets in TypeScript": {b"a.ts": b"let x = " + b"(" * 100_000 + b"1" + b")" * 100_000 + b"\n"},
    "100,000 tags in TSX": {b"a.tsx": b"let x = " + b"<a>\n" * 100_000 + b"</a>\n" * 100_000},
    "a sum of 200,000 terms": {b"a.py": b"x = (" + b"1 +\n" * 200_000 + b"1)\n"},
    "attributes of attributes": {b"a.py": b"x = a" + b".b" * 200_000 + b"\n", b"b.js": b"x = a" + b"\n.b" * 200_000 + b"\n"},
    "not not not": {b"a.py": b"x = " + b"not " * 200_000 + b"1\n"},
    "lambda: lambda:": {b"a.py": b"x = " + b"lambda: " * 100_000 + b"1\n"},
    "decorators and elifs": {b"a.py": b"@a\n" * 50_000 + b"def f(): pass\n" + b"if a: pass\n" + b"elif a: pass\n" * 50_000},
    "a string of 1 MB": {b"a.py": b"x = '" + b"a" * 900_000 + b"'\n"},
    "unended strings": {b"a.py": b"'''" + b"a\n" * 300_000, b"b.js": b"`${" * 100_000},
    "text for regexes": {
        b"a.txt": b"password = " * 80_000,
        b"b.txt": b"-----BEGIN PRIVATE KEY-----\n" * 30_000,
        b"c.txt": b"eyJ" + b"a" * 300_000 + b".eyJ" + b"b" * 300_000,
        b"d.txt": b"api_key=" + b"A1b2" * 200_000,
        b"e.txt": b"://" + b"a:" * 400_000 + b"@",
    },
    "base64 of base64": {b"a.txt": bytes(_CHANCE.choices(b"ABCDEFGHIJKLMNOPabcdefghijklmnop0123456789+/", k=900_000))},
    "binary noise": {b"a.py": _CHANCE.randbytes(900_000), b"b.js": _CHANCE.randbytes(900_000)},
    "JSON in JSON": {b"a.json": b'{"a":' * 100_000, b"package.json": b"[" * 300_000},
}


@needs_engines
@pytest.mark.slow
@pytest.mark.parametrize("name", sampled(ENGINES, 0, always=["100,000 brackets in Python"]))
def test_a_bomb_for_an_engine_ends_and_the_finding_beside_it_is_told(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Watched.make(tmp_path, monkeypatch, real=True)
    try:
        place.push(place.repo.tree_of({**ENGINES[name], b"w.js": WEB, b"y.py": f'KEY = "{_KEY}"\n'.encode()}))
        shown = _ends(place)
        summary = place.check().summary
        assert "`w.js:2`" in summary, shown
        assert "`y.py:1`" in summary, shown
        place.ensure_untouched()
    finally:
        place.bench.close()
