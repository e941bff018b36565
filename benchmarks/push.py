"""From a delivery to its finished check: beside a floor script that does only what cannot be left out; in small and large repositories."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.table import Table, ratio
from bot.cli.local import Connection
from bot.settings import engines_dir
from pipeline import engines, rulebook
from providers.local.host import open_pull_request
from providers.local.repository import describe
from tests.e2e.processes import Running
from tests.engines import instant
from tests.harness import git

SMALL, LARGE = 50, 5_000
SCANNED_SECONDS = 300
"""How long the first scan of a whole repository may take here."""


def run(quick: bool) -> Table:
    """Pushes of one changed file, in turn on each side."""
    rounds, many = (3, LARGE // 10) if quick else (9, LARGE)
    table = Table("one changed file: from the delivery to the finished check", "ms")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with ExitStack() as stack:
            small = stack.enter_context(_running(folder / "small", SMALL))
            large = stack.enter_context(_running(folder / "large", many))
            times: dict[str, list[float]] = {"floor": [], "small": [], "large": []}
            for number in range(rounds + 1):
                samples = {"small": _push(small, number), "large": _push(large, number), "floor": _floor(small, number)}
                if not number:  # the first round fetches what later ones know, and has the whole repository scanned behind it
                    for each in (small, large):
                        each.idle(SCANNED_SECONDS)
                    continue
                for what, sample in samples.items():
                    times[what].append(sample)
        with _running(folder / "instant", SMALL, instant(folder / "engines")) as fast:
            _push(fast, 0)
            fast.idle(SCANNED_SECONDS)
            without = [_push(fast, number) for number in range(1, rounds + 1)]
    table.rows = [
        ("floor script: fetch, diff, read, both engines", times["floor"]),
        (f"fixwright, {SMALL} files", times["small"]),
        (f"fixwright, {many} files", times["large"]),
        ("fixwright, instant engines", without),
    ]
    table.notes.append(f"to the floor {ratio(times['small'], times['floor']):.2f} (aim: at most 1.5)")
    table.notes.append(f"{many} files to {SMALL} files {ratio(times['large'], times['small']):.2f} (aim: at most 1.2)")
    return table


@contextmanager
def _running(folder: Path, files: int, engines_folder: Path | None = None) -> Iterator[Running]:
    folder.mkdir()
    running = Running(folder, {"FIXWRIGHT_ENGINES_DIR": str(engines_folder)} if engines_folder else None)
    try:
        running.start()
        running.repo.commit({f"part{n % 70}/module{n}.py": _source(n, 0) for n in range(files)}, "first")
        running.push("main")
        yield running
    finally:
        running.stop()


def _source(module: int, version: int) -> str:
    functions = [f"def step_{n}(value):\n    return value + {n * version}\n" for n in range(20)]
    return f'"""Module {module}."""\n\n' + "\n\n".join(functions)


def _push(running: Running, number: int) -> float:
    """Milliseconds from the delivery to the finished check. The push itself is over by then, as it is on any host."""
    branch = f"feature-{number}"
    head = running.repo.commit({"part0/module0.py": _source(0, number + 1)}, f"change {number}", branch=branch, start="main")
    _push_quietly(running, branch)
    repository = describe(running.server)
    ref = open_pull_request(running.record, repository, branch, "main", f"change {number}")
    connection = Connection.read(running.server / "fixwright.json")
    began = time.perf_counter()
    connection.send(repository, "pull_request", action="opened", number=ref.number, head=head)
    while not any(check.status == "completed" for check in running.checks(head)):
        if time.perf_counter() - began > 120:
            raise RuntimeError(running.log.read_text()[-2000:])
        time.sleep(0.005)
    spent = time.perf_counter() - began
    git(running.repo.folder, "checkout", "--quiet", "main")
    return spent * 1e3


def _floor(running: Running, number: int) -> float:
    """The same push by a script: git and the two engines, one after the other, nothing else."""
    branch = f"floor-{number}"
    running.repo.commit({"part0/module0.py": _source(0, number + 100)}, "floor", branch=branch, start="main")
    _push_quietly(running, branch)
    began = time.perf_counter()
    mirror = running.folder / "floor.git"
    if not mirror.exists():
        git(running.folder, "init", "--quiet", "--bare", str(mirror))
    git(mirror, "fetch", "--quiet", str(running.server), "main", branch)
    base, head = git(mirror, "ls-remote", str(running.server), "main").split()[0], git(running.repo.folder, "rev-parse", branch)
    changed = git(mirror, "diff", "--raw", "--no-abbrev", base, head).split()
    tree = running.folder / f"floor-{number}"
    tree.mkdir()
    (tree / "module0.py").write_text(git(mirror, "cat-file", "blob", changed[3]) + "\n")
    _engines(tree)
    (tree / "check.json").write_text(json.dumps({"conclusion": "success"}))
    spent = time.perf_counter() - began
    git(running.repo.folder, "checkout", "--quiet", "main")
    return spent * 1e3


def _push_quietly(running: Running, branch: str) -> None:
    """Push past the hook, which starts an interpreter only to deliver."""
    hook = running.server / "hooks" / "post-receive"
    hook.rename(hook.with_suffix(".off"))
    running.push(branch)
    hook.with_suffix(".off").rename(hook)


def _engines(tree: Path) -> None:
    semgrep = engines.find(engines_dir(), "semgrep")
    rules = tree / "rules.json"
    rules.write_bytes(rulebook.load().document)
    quiet = ["--experimental", "--metrics", "off", "--disable-version-check", "--json", "--quiet"]
    command = [str(semgrep.binary), "scan", *quiet, "--config", str(rules), str(tree / "module0.py")]
    subprocess.run(command, env={"PATH": "/usr/bin:/bin", "HOME": str(tree), **semgrep.env}, capture_output=True, check=True)
    betterleaks = engines.find(engines_dir(), "betterleaks")
    command = [str(betterleaks.binary), "--no-banner", "--no-color", "--jsonl", "-o", "-", str(tree / "module0.py")]
    subprocess.run(command, env={"PATH": "/usr/bin:/bin", "HOME": str(tree)}, capture_output=True, check=False)
