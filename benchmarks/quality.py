"""docs/quality.md: what the rules find, miss and say for nothing, on named public repositories at named commits, with peers beside us.

    FIXWRIGHT_BENCH_REPOS=FOLDER python -m benchmarks.quality [--write]

FOLDER holds clones as OWNER/NAME or OWNER+NAME; one that is missing is a row that says so. `FIXWRIGHT_TEST_DATA` names the labelled
development set, `FIXWRIGHT_PEERS` a folder with the programs of peers (`bandit`, `opengrep`). `judged.json` has what two people made of
each finding on the healthy repositories.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import evasion
from benchmarks.table import wilson
from pipeline.rulebook import FOLDER, load
from pipeline.triage.precision import Outcomes, voice_of

PAGE = Path(__file__).parents[1] / "docs" / "quality.md"
BEGIN, END = "<!-- quality:begin -->", "<!-- quality:end -->"
HEALTHY = Path(__file__).with_name("healthy.json")
MEASURED = FOLDER / "measured.json"
JUDGED = Path(__file__).with_name("judged.json")
NEAR = 10
"""Lines around a labelled place in which a finding counts for it."""
SECONDS = 120
"""For one engine and one repository, by the clock."""
CODE = (".py", ".js", ".mjs", ".cjs", ".jsx", ".ts", ".tsx", ".go", ".java")


@dataclass(frozen=True)
class Found:
    """One finding of any engine."""

    rule: str
    path: str
    line: int
    end_line: int
    cwes: frozenset[int]


@dataclass
class Run:
    """What an engine made of one tree."""

    found: list[Found] = field(default_factory=list)
    seconds: float = 0.0
    """CPU, of all its processes."""
    missing: str = ""
    """Why there is nothing."""


@dataclass(frozen=True)
class Repository:
    """A public repository at a commit."""

    name: str
    commit: str
    language: str
    labels: Sequence[Mapping[str, Any]] = ()


def main() -> int:
    """Print the tables, or write them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality")
    parser.add_argument("--write", action="store_true", help="write docs/quality.md")
    args = parser.parse_args()
    text, counted = render()
    if not args.write:
        print(text)
        return 0
    MEASURED.write_text(json.dumps(counted, indent=2, sort_keys=True) + "\n", "utf-8")
    page = PAGE.read_text("utf-8")
    head, tail = page.partition(BEGIN)[0], page.partition(END)[2]
    PAGE.write_text(f"{head}{BEGIN}\n{text}\n{END}{tail}", "utf-8")
    print(f"{PAGE.name}: written")
    return 0


def render() -> tuple[str, dict[str, tuple[int, int]]]:
    """Everything between the marks; and of each rule how many findings were right, and wrong, where any was looked at."""
    healthy = [Repository(one["repository"], one["commit"], one["language"]) for one in json.loads(HEALTHY.read_text("utf-8"))]
    labelled = list(_labelled())
    runs: dict[tuple[str, str], Run] = {}
    sizes: dict[str, tuple[int, int]] = {}
    for repository in [*labelled, *healthy]:
        with tempfile.TemporaryDirectory() as folder:
            tree = Path(folder) / "tree"
            why = _check_out(repository, tree)
            if not why:
                sizes[repository.name] = _size(tree)
            for engine, look in ENGINES.items():
                runs[repository.name, engine] = Run(missing=why) if why else look(tree)
                print(f"{repository.name}: {engine}", file=sys.stderr, flush=True)
    counted = _counted(labelled, runs)
    parts = [_labelled_table(labelled, runs), _healthy_table(healthy, runs, sizes), _rule_table(counted, healthy, runs)]
    return "\n\n".join(parts), {rule: one.both for rule, one in counted.items() if any(one.both)}


# --- what is looked at ----------------------------------------------------------------------------------------------------------------


def _labelled() -> Iterator[Repository]:
    data = os.environ.get("FIXWRIGHT_TEST_DATA")
    file = Path(data) / "detection" / "sast.json" if data else None
    if file is None or not file.is_file():
        return
    for app in json.loads(file.read_text("utf-8"))["apps"]:
        yield Repository(app["repository"], app["commit"], f"{app['language'].title()}, {app['framework']}", app["labels"])


def _check_out(repository: Repository, tree: Path) -> str:
    """Put the tree of the commit there; why not, when that cannot be done."""
    folder = os.environ.get("FIXWRIGHT_BENCH_REPOS")
    if not folder:
        return "no FIXWRIGHT_BENCH_REPOS"
    names = (repository.name, repository.name.replace("/", "+"), repository.name.replace("/", "+") + "/repo")
    clone = next((Path(folder) / name for name in names if _is_clone(Path(folder) / name)), None)
    if clone is None:
        return "no clone"
    tree.mkdir()
    archive = subprocess.run(["git", "-C", str(clone), "archive", repository.commit], capture_output=True, check=False)
    if archive.returncode:
        return "the commit is not in the clone"
    subprocess.run(["tar", "-x", "-C", str(tree)], input=archive.stdout, check=True)
    return ""


def _is_clone(folder: Path) -> bool:
    return (folder / ".git").exists() or (folder / "HEAD").is_file()


def _size(tree: Path) -> tuple[int, int]:
    """Files, and lines of code in the languages that the rules are for."""
    files = [path for path in tree.rglob("*") if path.is_file() and not path.is_symlink()]
    return len(files), sum(path.read_bytes().count(b"\n") for path in files if path.suffix in CODE)


# --- engines --------------------------------------------------------------------------------------------------------------------------


def _ours(tree: Path) -> Run:
    run, document = _timed([sys.executable, "-m", "bot.cli", "scan", str(tree), "--type", "semgrep_scan", "--format", "json"])
    if not run.missing:
        run.found = [
            Found(
                one["rule"]["id"],
                one["location"]["path"],
                one["location"]["line"],
                one["location"]["end_line"],
                frozenset({one["rule"]["cwe"]}),
            )
            for one in document["findings"]
            if one["standing"] in ("blocks", "warns")
        ]
    return run


def _bandit(tree: Path) -> Run:
    program = _peer("bandit")
    if not program:
        return Run(missing="not here")
    run, document = _timed([program, "-q", "-r", str(tree), "-f", "json"])
    if not run.missing:
        run.found = [
            Found(
                one["test_id"],
                _within(one["filename"], tree),
                one["line_number"],
                one["line_number"],
                frozenset({one["issue_cwe"].get("id", 0)}),
            )
            for one in document["results"]
        ]
    return run


def _opengrep(tree: Path) -> Run:
    """Our own rules in another engine, with its taint analysis across the functions of a file."""
    program = _peer("opengrep")
    if not program:
        return Run(missing="not here")
    rules = tree.with_name("rules.json")
    rules.write_bytes(load().document)
    command = [program, "scan", "--config", str(rules), "--json", "--quiet", "--no-git-ignore", "--taint-intrafile", str(tree)]
    run, document = _timed(command)
    if not run.missing:
        book = load()
        for one in document["results"]:
            # It puts the folder of the rules in front of their names.
            name = max((known for known in book.variants if f".{one['check_id']}".endswith(f".{known}")), key=len)
            rule = book.variants[name].rule
            if not rule.shadow:
                run.found.append(
                    Found(rule.id, _within(one["path"], tree), one["start"]["line"], one["end"]["line"], frozenset({rule.cwe}))
                )
    return run


def _within(path: str, tree: Path) -> str:
    return str(Path(path).relative_to(tree)) if Path(path).is_absolute() else path


def _peer(name: str) -> str:
    folder = os.environ.get("FIXWRIGHT_PEERS", "")
    return shutil.which(name, path=folder or None) or ""


def _timed(command: list[str]) -> tuple[Run, Any]:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True) as process:
        try:
            stdout, stderr = process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # some of them are two processes
            return Run(missing=f"no end within {SECONDS} s"), None
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    try:
        return Run(seconds=spent), json.loads(stdout)
    except ValueError:
        last = stderr.decode(errors="replace").strip().splitlines()
        return Run(seconds=spent, missing=f"failed: {last[-1][:80] if last else process.returncode}"), None


ENGINES = {"Fixwright": _ours, "bandit": _bandit, "opengrep, our rules": _opengrep}


# --- tables ---------------------------------------------------------------------------------------------------------------------------


@dataclass
class Score:
    """How findings meet labels."""

    true: list[Found] = field(default_factory=list)
    """The first finding of each place that was found."""
    false: list[Found] = field(default_factory=list)
    missed: int = 0
    traps: int = 0

    @property
    def figures(self) -> str:
        """Cells: found, missed, false, traps, precision, recall."""
        hit, said = len(self.true), len(self.true) + len(self.false)
        precision = f"{hit / said:.2f}" if said else "-"
        recall = f"{hit / (hit + self.missed):.2f}" if hit + self.missed else "-"
        return f"{hit} | {self.missed} | {len(self.false)} | {self.traps} | {precision} | {recall}"


def score(labels: Sequence[Mapping[str, Any]], found: Sequence[Found]) -> Score:
    """A finding near a weak place, with a CWE that its label accepts, finds it, once; every other one is false."""
    result, hit, trapped, said = Score(), set[int](), set[int](), set[tuple[str, str, int]]()
    for one in found:
        near = []
        for number, label in enumerate(labels):
            first = label["start_line"] or 1
            last = label["end_line"] or first
            accepted = {int(cwe.rpartition("-")[2]) for cwe in [*label["acceptable_cwes"], label["cwe"]]}
            if label["file"] == one.path and one.line - NEAR <= last and first <= one.end_line + NEAR and one.cwes & accepted:
                near.append((number in hit, not label["vulnerable"], abs(first - one.line), number))
        weak = [number for _, trap, _, number in sorted(near) if not trap]
        if weak:
            if weak[0] not in hit:
                result.true.append(one)
            hit.add(weak[0])
            continue
        trapped |= {number for *_, number in near}
        if (one.rule, one.path, one.line) not in said:
            said.add((one.rule, one.path, one.line))
            result.false.append(one)
    result.missed = sum(label["vulnerable"] for label in labels) - len(hit)
    result.traps = len(trapped)
    return result


def _labelled_table(labelled: Sequence[Repository], runs: Mapping[tuple[str, str], Run]) -> str:
    lines = ["## Weak applications, labelled", ""]
    if not labelled:
        return "\n".join([*lines, "Not measured: there is no labelled set (`FIXWRIGHT_TEST_DATA`)."])
    lines += [
        "| repository | engine | found | missed | false | traps | precision | recall | CPU s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    sums: dict[str, Score] = {engine: Score() for engine in ENGINES}
    spent = dict.fromkeys(ENGINES, 0.0)
    for repository in labelled:
        for engine in ENGINES:
            run = runs[repository.name, engine]
            name = f"{repository.name} {repository.commit[:7]} ({repository.language})"
            if run.missing:
                lines.append(f"| {name} | {engine} | not measured: {run.missing} | | | | | | |")
                continue
            scored = score(repository.labels, run.found)
            whole = sums[engine]
            whole.true += scored.true
            whole.false += scored.false
            whole.missed, whole.traps = whole.missed + scored.missed, whole.traps + scored.traps
            spent[engine] += run.seconds
            lines.append(f"| {name} | {engine} | {scored.figures} | {run.seconds:.1f} |")
    lines += [
        f"| **together** | {engine} | {whole.figures} | {spent[engine]:.1f} |"
        for engine, whole in sums.items()
        if whole.true or whole.false
    ]
    return "\n".join(lines)


def _healthy_table(healthy: Sequence[Repository], runs: Mapping[tuple[str, str], Run], sizes: Mapping[str, tuple[int, int]]) -> str:
    lines = [
        "## Healthy repositories",
        "",
        "What is said of all of a repository, tests and examples with it.",
        "",
        f"| repository | language | files | lines of code | {' | '.join(f'{e}: findings, CPU s' for e in ENGINES)} |",
        f"|---|---|---|---|{'---|' * len(ENGINES)}",
    ]
    for repository in healthy:
        files, code = sizes.get(repository.name, (0, 0))
        size = f"{files:,} | {code:,}" if files else "- | -"
        cells = [_cell(runs[repository.name, engine]) for engine in ENGINES]
        lines.append(f"| {repository.name} {repository.commit[:7]} | {repository.language} | {size} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(run: Run) -> str:
    return f"not measured: {run.missing}" if run.missing else f"{len(run.found)}, {run.seconds:.1f}"


@dataclass(frozen=True)
class Counted:
    """Findings of one rule that were right, and wrong."""

    labelled: tuple[int, int]
    judged: tuple[int, int]

    @property
    def both(self) -> tuple[int, int]:
        """Together."""
        return self.labelled[0] + self.judged[0], self.labelled[1] + self.judged[1]


def _counted(labelled: Sequence[Repository], runs: Mapping[tuple[str, str], Run]) -> dict[str, Counted]:
    right, wrong = Counter[str](), Counter[str]()
    for repository in labelled:
        scored = score(repository.labels, runs[repository.name, "Fixwright"].found)
        right.update(one.rule for one in scored.true)
        wrong.update(one.rule for one in scored.false)
    judged = {rule: (int(one[0]), int(one[1])) for rule, one in json.loads(JUDGED.read_text("utf-8")).items()}
    return {rule: Counted((right[rule], wrong[rule]), judged.get(rule, (0, 0))) for rule in load().rules}


def _rule_table(counted: Mapping[str, Counted], healthy: Sequence[Repository], runs: Mapping[tuple[str, str], Run]) -> str:
    said = Counter[str]()
    for repository in healthy:
        said.update(one.rule for one in runs[repository.name, "Fixwright"].found)
    evaded = evasion.run(quick=False)
    lines = [
        "## Rules",
        "",
        "| rule | labelled: right, wrong | healthy: findings | looked at: right, wrong | precision, 95 % | evasion, 95 % | heard |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, rule in load().rules.items():
        one = counted[name]
        right, wrong = one.both
        missed, tried = evaded.rows.get(name, (0, 0))
        heard = voice_of(Outcomes(fixed=right, wrong=wrong), Outcomes(), shadow=rule.shadow)
        cells = [_pair(one.labelled), str(said[name]), _pair(one.judged), _share(right, right + wrong), _share(missed, tried), str(heard)]
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    lines += ["", f"Evasion: {evaded.notes[0] if evaded.notes else ''}."]
    return "\n".join(lines)


def _share(count: int, of: int) -> str:
    if not of:
        return "not measured"
    low, high = wilson(count, of)
    return f"{count / of:.2f} ({low:.2f} to {high:.2f}), n = {of}"


def _pair(counts: tuple[int, int]) -> str:
    return f"{counts[0]}, {counts[1]}" if any(counts) else "-"


if __name__ == "__main__":
    sys.exit(main())
