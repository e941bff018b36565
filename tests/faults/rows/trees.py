"""Repositories that are made to harm whoever looks at them: rows 35 to 39. The findings of an honest change stay what they are."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bot.demo import content
from tests.e2e.test_silencing import VARIANTS
from tests.faults.lives import Life
from tests.faults.matrix import Run, fault
from tests.faults.meters import Memory
from tests.faults.rows.git import mirrors
from tests.faults.stand import WORKERS, Stand
from tests.unit.sandbox.attacks import FILE, FOLDER, LEGAL, LINK, REFUSED, Attack
from tests.unit.sandbox.repositories import Repository as Git

MB = 1 << 20
Entry = tuple[str, bytes, str]
"""Mode, name and object."""


def grafted(run: Run, more: Callable[[Git], Sequence[Entry]], files: Mapping[str, str] | None = None, *, alike: bool = True) -> Life:
    """A pull request of the usual change (or of other files) with entries of a tree beside it that were written object by object."""
    stand, repository = run.stand, run.stand.home
    wanted = stand.change() if files is None else dict(files)
    branch = f"crafted-{stand.made}"
    origin = Git(repository.git.path)
    honest = stand.host.commit(repository, f"{branch}-before", wanted, "Change")
    listed = origin.git("ls-tree", "-z", honest).split(b"\0")[:-1]
    entries = {
        name: (facts.split()[0].decode(), name, facts.split()[2].decode()) for facts, _, name in (e.partition(b"\t") for e in listed)
    }
    entries |= {entry[1]: entry for entry in more(origin)}
    tree = origin.tree(sorted(entries.values(), key=lambda entry: entry[1] + b"/" * (entry[0] == FOLDER)))
    return _opened(run, branch, origin.git("commit-tree", tree, "-p", honest, "-m", "crafted").decode().strip(), alike=alike)


def _opened(run: Run, branch: str, sha: str, *, alike: bool) -> Life:
    host, home = run.stand.host, run.stand.home
    host.reset_branch(home, branch, sha)
    life = Life(run.stand, home, host.open(home, branch, branch), run.alike if alike else None, heads=[sha])
    run.lives.append(life)
    return life


def told(life: Life) -> str:
    """What the finished check says."""
    life.stand.wait("a finished check", lambda: life.finished, 120)
    (check,) = life.checks
    shown = f"{check.title}\n{check.summary}\n{check.text or ''}"
    odd = {c for c in shown if unicodedata.category(c) in ("Cc", "Cf", "Cs") and c not in "\n\u200b"}
    assert not odd, f"{odd} stand in the check"
    return shown


def around(stand: Stand) -> set[Path]:
    """Everything beside what grows by itself: mirrors, logs, the database, the double's own."""
    grow = {"mirrors", "logs", "github", "queue", "points", "engines", "alive"}
    found = [path for path in stand.folder.rglob("*") if not grow & set(path.relative_to(stand.folder).parts)]
    return {path for path in found if not path.name.startswith("fixwright.db") and stand.temporary not in path.parents}


# --- row 35 -----------------------------------------------------------------------------------------------------------------------------

_BAD = content.CHANGE["members/web.py"].encode()


NAMES = {
    "a newline": b"a\nb.py",
    "a tab": b"a\tb.py",
    "backslashes": b"..\\..\\x.py",
    "two dots": b"a..py",
    "no UTF-8": b"\xff\xfe.py",
    "composed": "caf\u00e9.py".encode(),
    "decomposed": "cafe\u0301.py".encode(),
    "right to left": "\u202egpj.py".encode(),
    "an option": b"--config=x.py",
    "a dash": b"-rf.py",
    "an escape sequence": b"\x1b[2J\x07.py",
    "markdown": b"|<b>@ada #1 `x`.py",
}
DEEP = b"e" * 250


def _hostile_names(origin: Git) -> list[Entry]:
    entries = [(FILE, name, str(origin.blob(_BAD + b"# %d\n" % number))) for number, name in enumerate(NAMES.values())]
    tree = origin.tree([(FILE, b"a.py", str(origin.blob(_BAD + b"# deep\n")))])
    for _ in range(16):
        tree = origin.tree([(FOLDER, DEEP, tree)])
    device = origin.blob(content.CHANGE["config/backup.py"].replace("Where", "There").encode())
    return [*entries, (FOLDER, b"deep", tree), (FILE, b"CON", str(device))]


@fault(35, "hostile names of files")
def names(run: Run) -> None:
    life = grafted(run, _hostile_names, alike=False)
    told(life)
    long = "/".join(["deep", *[DEEP.decode()] * 16, "a.py"])
    older, new = 8, 23  # lines of the two injections: in the file that there was before, only the second comes with the change
    hostile = [long, *(name.decode("utf-8", "surrogateescape") for name in NAMES.values())]
    expected = {(path, line) for path in hostile for line in (older, new)}
    expected |= {("members/web.py", new), ("config/backup.py", 4), ("CON", 4)}
    run.cured()
    run.more.append(lambda: _differ({(path, line) for _, path, line in life.seen().findings}, expected))
    run.begin()


def _differ(found: set[tuple[str, int]], expected: set[tuple[str, int]]) -> list[str]:
    return [f"no finding in {path[:80]!r}:{line}" for path, line in expected - found] + [
        f"a finding in {path[:80]!r}:{line}" for path, line in found - expected
    ]


# --- row 36 -----------------------------------------------------------------------------------------------------------------------------


def _crafted(run: Run, attack: Attack) -> Life:
    """A pull request of a tree that no honest git makes, and of nothing else."""
    repository = run.stand.home
    origin = Git(repository.git.path)
    run.stand.made += 1
    tree, main = attack(origin), repository.git.branch("main") or ""
    sha = origin.git("commit-tree", tree, "-p", main, "-m", "crafted").decode().strip()
    return _opened(run, f"crafted-{run.stand.made}", sha, alike=False)


@fault(36, "trees that no honest git makes", steps=("refused by git", "legal", "some of both"), quick=("some of both",))
def trees(run: Run) -> None:
    refused = {"refused by git": list(REFUSED), "legal": [], "some of both": run.random.sample(sorted(REFUSED), 2)}[run.step]
    legal = {"refused by git": [], "legal": list(LEGAL), "some of both": run.random.sample(sorted(LEGAL), 2)}[run.step]
    stand = run.stand
    before = around(stand)
    bad = {name: _crafted(run, REFUSED[name]) for name in refused}
    good = {name: _crafted(run, LEGAL[name]) for name in legal}
    for name, life in good.items():
        life.conclusion = "success"
        assert "refused" not in told(life), name
    for name, life in bad.items():
        assert "refused by git's own checks: " in told(life), name
    stand.quiet()
    assert not (refused and not good and mirrors(stand)), "what was refused may lie in the mirror and would pass the next time"
    run.more.append(lambda: [f"{path} was not there before" for path in around(stand) - before])
    run.more.append(lambda: [f"{path} is gone" for path in before - around(stand)])
    run.cured()
    run.begin()


# --- row 37 -----------------------------------------------------------------------------------------------------------------------------


@fault(37, "links to files, to a pipe, to themselves")
def links(run: Run) -> None:
    pipe = run.stand.folder / "pipe"
    os.mkfifo(pipe)
    targets = {
        b"abs.py": b"/etc/passwd",
        b"loop.py": b"loop.py",
        b"up.py": b"../" * 30 + b"etc/shadow",
        b"dir": b".",
        b"proc": b"/proc/self/environ",
    }
    targets[b"pipe.py"] = bytes(pipe)
    try:
        life = grafted(run, lambda origin: [(LINK, name, str(origin.blob(target))) for name, target in targets.items()])
        shown = told(life)
        assert f"{len(targets)} files (a symbolic link)" in shown, shown
        assert "root:" not in shown + run.stand.log()
        run.cured()
    finally:
        pipe.unlink()


# --- row 38 -----------------------------------------------------------------------------------------------------------------------------


def _tree_bomb(origin: Git) -> list[Entry]:
    tree, mode = str(origin.blob(b"x\n")), FILE
    for _ in range(10):
        tree, mode = origin.tree([(mode, b"%d" % number, tree) for number in range(10)]), FOLDER
    return [(FOLDER, b"bomb", tree)]


def _folder_bomb(origin: Git) -> list[Entry]:
    tree = origin.tree([])
    for _ in range(10):
        tree = origin.tree([(FOLDER, b"%d" % number, tree) for number in range(10)])
    return [(FOLDER, b"bomb", tree)]


def _long_lines(origin: Git) -> list[Entry]:
    line = b"a" * 900_000
    return [(FILE, name, str(origin.blob(before + line + b"'\n"))) for name, before in ((b"long.js", b"x = '"), (b"long.py", b"x = '"))]


def _big_files(origin: Git) -> list[Entry]:
    sizes = {b"zeros.bin": b"\0" * 150_000_000, b"lines.py": b"a = 1\n" * 25_000_000, b"text.txt": b"word " * 3_000_000}
    return [(FILE, name, str(origin.blob(text))) for name, text in sizes.items()]


def _regex_bomb(origin: Git) -> list[Entry]:
    text = b"password = '" + b"aA0" * 150_000 + b"!'\n" + b"((((((((((" * 50_000 + b"\n" + b"token=" * 100_000
    return [
        (FILE, b"regex.txt", str(origin.blob(text))),
        (FILE, b"regex.py", str(origin.blob(b"x = [" + b"(" * 5_000 + b"1" + b")" * 5_000 + b"]\n"))),
    ]


BOMBS: dict[str, tuple[Callable[[Git], list[Entry]], str]] = {
    "a tree of 10 billion paths": (_tree_bomb, ""),
    "folders without a file": (_folder_bomb, ""),
    "long lines": (_long_lines, "minified"),
    "big files": (_big_files, "larger than"),
    "texts against regular expressions": (_regex_bomb, "larger than"),
}
"""What is pushed, and what the check says of what was not looked at."""
OURS, PROGRAMS = 700 * MB, 2_500 * MB
DEADLINE = 120.0


@fault(38, "bombs", steps=tuple(BOMBS), within=DEADLINE)
def bombs(run: Run) -> None:
    make, words = BOMBS[run.step]
    with Memory(run.stand.parts[name].pid for name in WORKERS) as memory:
        life = grafted(run, make, alike=False)
        run.cured()
        shown = told(life)
        run.stand.quiet(DEADLINE)
    assert words in shown, shown
    assert "ot scanned" in shown or "ot checked" in shown or "left out" in shown, shown
    assert memory.ours < OURS, f"a worker held {memory.ours // MB} MB"
    assert memory.programs < PROGRAMS, f"a program held {memory.programs // MB} MB"
    life.conclusion = life.checks[0].conclusion or ""
    assert life.conclusion in ("failure", "action_required"), "a bomb beside two findings is not green"
    run.begin()


# --- row 39 -----------------------------------------------------------------------------------------------------------------------------


def _silencing(origin: Git) -> list[Entry]:
    """All files by which a change could tell engines, git or us to look away, at the top of the tree and one folder below."""
    top: dict[bytes, Entry] = {}
    below: dict[bytes, Entry] = {}
    for variant in VARIANTS.values():
        for path, text in variant.beside.items():
            name = path.rpartition("/")[2].encode("utf-8", "surrogateescape")
            if name.startswith(b".") or name in (b"pyproject.toml", b"semgrep.yml", b"betterleaks.toml", b"fixwright.yml"):
                top.setdefault(name, (FILE, name, str(origin.blob(text))))
                below.setdefault(name, top[name])
    return [*top.values(), (FOLDER, b"quiet", origin.tree([below[name] for name in sorted(below)]))]


QUIET = "  # nosemgrep # nosem # nosec # gitleaks:allow # betterleaks:allow # pragma: allowlist secret"


@fault(39, "a change that tells everybody to look away", steps=("files", "comments"))
def look_away(run: Run) -> None:
    if run.step == "files":
        told(grafted(run, _silencing))
        run.cured()
        return
    marks = ("SELECT name, mail FROM members WHERE", "connection.execute(statement)", "AWS_ACCESS_KEY_ID")
    files = {
        path: "\n".join(line + QUIET * any(mark in line for mark in marks) for line in text.split("\n"))
        for path, text in run.stand.change().items()
    }
    life = grafted(run, lambda _: (), files, alike=False)
    told(life)
    run.cured()
    expected = sorted((path, line) for _, path, line in run.alike.findings)
    run.more.append(lambda: [] if sorted((path, line) for _, path, line in life.seen().findings) == expected else [str(life.seen())])
