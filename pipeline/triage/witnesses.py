"""What other scanners said, as findings in the files that lie here; and which of it our engines say too: same weakness, same place, one
finding with two witnesses. Pure."""

from __future__ import annotations

import dataclasses
import posixpath
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from pipeline.foreign import Log, Said
from pipeline.model.finding import Finding, Location, Secret
from pipeline.model.scan import EngineRun, Gap, GapClass
from pipeline.phrases import plural
from pipeline.triage.fingerprint import identify, identify_secret
from pipeline.weaknesses import same_family

Read = Callable[[str], bytes | None]

MAX_FILE = 10_000_000
"""Bytes of a file in which a place is looked up."""


@dataclass(frozen=True, slots=True)
class Witnessed:
    """One result of another scanner, at a place of a file that is here."""

    finding: Finding
    """In our form: our fingerprint, its rule."""
    said: Said


@dataclass(frozen=True, slots=True)
class Placed:
    """What files of other scanners come to in this tree."""

    found: tuple[Witnessed, ...] = ()
    gaps: tuple[Gap, ...] = ()
    """What was said and cannot be taken: one for each reason and file."""
    notes: tuple[str, ...] = ()
    runs: tuple[EngineRun, ...] = ()


def place(log: Log, paths: Collection[str], read: Read, root: str, excluded: Callable[[str], bool]) -> Placed:
    """Find the place of every result of a log.

    Args:
        paths: names of all files that are here.
        read: the content of one of them; None when it cannot be read.
        root: where this tree lies on the disk, for absolute places.
        excluded: what the policy leaves out.
    """
    found: list[Witnessed] = []
    gaps: Counter[tuple[str, str, str]] = Counter()
    quiet: Counter[str] = Counter()
    contents: dict[str, bytes | None] = {}
    names = _names((said.uri for said in log.said), paths, root)
    for tool, why, count in log.left:
        gaps[tool, "", why] += count
    if log.suppressed:
        quiet["its own file lets it stand"] += log.suppressed
    for said in log.said:
        path = names[said.uri]
        if path is None:
            gaps[said.tool, "", "no such file here"] += 1
        elif excluded(path):
            quiet["the policy leaves out its file"] += 1
        else:
            if path not in contents:
                contents[path] = read(path)
            finding = _finding(said, path, contents[path])
            if isinstance(finding, str):
                gaps[said.tool, path, finding] += 1
            else:
                found.append(Witnessed(finding, said))
    files = {tool: len({one.finding.location.path for one in found if one.said.tool == tool}) for tool, _ in log.tools}
    return Placed(
        tuple(found),
        tuple(
            Gap(tool, path, f"{plural(count, 'result')} of {tool} not taken: {why}", GapClass.LIMIT)
            for (tool, path, why), count in sorted(gaps.items())
        ),
        tuple(f"{plural(count, 'result')} of {log.name} not taken: {why}." for why, count in sorted(quiet.items())),
        tuple(EngineRun(tool, version, "", files[tool]) for tool, version in log.tools),
    )


def _names(uris: Iterable[str], paths: Collection[str], root: str) -> dict[str, str | None]:
    """The file here that each place means. Absolute ones lie below this tree, or below the one folder of another machine whose removal
    finds the most of them."""
    known = frozenset(paths)
    names: dict[str, str | None] = {}
    strange: dict[str, str] = {}
    above = root.rstrip("/") + "/"
    for uri in dict.fromkeys(uris):
        path = posixpath.normpath(uri) if uri else ""
        if path.startswith("/") and not path.startswith(above):
            strange[uri] = path
        names[uri] = path.removeprefix(above) if path.removeprefix(above) in known else None
        if names[uri] is None and not path.startswith("/"):
            strange[uri] = "/" + path  # scanned from a folder above, or below
    fitting: Counter[str] = Counter()
    for path in strange.values():
        fitting.update(folder for folder in _folders(path) if path.removeprefix(folder) in known)
    if fitting:
        best = max(fitting, key=lambda folder: (fitting[folder], -len(folder)))
        for uri, path in strange.items():
            if path.startswith(best) and path.removeprefix(best) in known:
                names[uri] = path.removeprefix(best)
    return names


def _folders(path: str) -> list[str]:
    parts = path.split("/")[:60]
    return ["/".join(parts[:number]) + "/" for number in range(1, len(parts))]


def _finding(said: Said, path: str, content: bytes | None) -> Finding | str:
    """The finding, or why there is none."""
    if content is None:
        return "the file cannot be read"
    if len(content) > MAX_FILE:
        return f"the file is larger than {MAX_FILE // 1_000_000} MB"
    lines = content.split(b"\n")
    count = len(lines) - (not lines[-1])
    if said.line > count:
        return f"the file has {plural(count, 'line')}; the file of the scanner is of another state"
    end = min(said.end_line, count)
    location = Location(path, said.line, end, said.column, max(said.end_column, 1))
    finding = Finding(said.rule, location, "", said.tool)
    if not said.secret:
        return identify(finding, content)
    value = _value(said, lines)
    secret = Secret(said.rule.title, "")
    named = identify_secret(dataclasses.replace(finding, secret=secret), content, value)
    return dataclasses.replace(named, excerpt="")


def _value(said: Said, lines: Sequence[bytes]) -> str:
    """What may be the value: nobody says it for sure, so it is the whole line as far as the result names no part of it."""
    line = lines[said.line - 1].decode("utf-8", "replace").removesuffix("\r")
    part = line[said.column - 1 : said.end_column - 1] if said.end_line == said.line and said.end_column > said.column else ""
    return part.strip() or line.strip()


# --- two witnesses --------------------------------------------------------------------------------------------------------------------


_BUILT_BEFORE = frozenset({89})
"""Weaknesses that scanners without data flow report where the text is built, and not where it is used."""


@dataclass(frozen=True, slots=True)
class Joined:
    """Findings of ours and of others, each weakness once."""

    ours: tuple[Finding, ...]
    """In their order, those that others saw too with their names."""
    alone: tuple[Finding, ...]
    """What only others say, each once; by place."""
    doubled: int
    """How many results of others are about something that is in the list already."""


def join(ours: Sequence[Finding], others: Sequence[Witnessed]) -> Joined:
    """One finding for each weakness at each place, whoever saw it."""
    by_path: dict[str, list[int]] = defaultdict(list)
    for number, finding in enumerate(ours):
        by_path[finding.location.path].append(number)
    seen: dict[int, list[str]] = defaultdict(list)
    alone: dict[str, list[tuple[Witnessed, list[str]]]] = defaultdict(list)
    doubled = 0
    for other in sorted(others, key=_order):
        path = other.finding.location.path
        mine = _nearest(other, [(n, ours[n]) for n in by_path[path]])
        if mine is not None:
            seen[mine].append(other.said.witness)
            doubled += 1
            continue
        same = next((entry for entry in alone[path] if _same_weakness(entry[0], other)), None)
        if same is None:
            alone[path].append((other, []))
        else:
            doubled += 1
            if other.said.witness != same[0].said.witness:
                same[1].append(other.said.witness)
    return Joined(
        tuple(_with(finding, seen.get(number, ())) for number, finding in enumerate(ours)),
        tuple(_with(entry.finding, names) for path in sorted(alone) for entry, names in alone[path]),
        doubled,
    )


def _order(other: Witnessed) -> tuple[Location, int, int, str]:
    """The surest and worst of several at one place is the one that is kept."""
    at = other.finding.location
    return dataclasses.replace(at, column=1, end_column=1), -other.said.rule.severity, -other.said.rule.confidence, other.finding.rule.id


def _with(finding: Finding, names: Iterable[str]) -> Finding:
    known = tuple(sorted(dict.fromkeys((*finding.witnesses, *names))))
    return dataclasses.replace(finding, witnesses=known) if known else finding


def _nearest(other: Witnessed, ours: Sequence[tuple[int, Finding]]) -> int | None:
    """Which of our findings in the same file is the same weakness: one on the same lines, else the only query whose text is built there."""
    alike = [(number, one) for number, one in ours if same_family([one.rule.cwe], other.said.cwes)]
    here = [(abs(one.location.line - other.said.line), number) for number, one in alike if _touch(one.location, other.finding.location)]
    if here:
        return min(here)[1]
    built = same_family(_BUILT_BEFORE, other.said.cwes)
    on_the_way = [number for number, one in alike if built and _passes(one, other.finding)]
    return on_the_way[0] if len(on_the_way) == 1 else None


def _touch(one: Location, other: Location) -> bool:
    return one.line <= other.end_line and other.line <= one.end_line


def _passes(ours: Finding, other: Finding) -> bool:
    """Whether a place lies between where the data of our finding enters and where it ends, in the same function: scanners that follow no
    data point at the line that builds the text."""
    source, line = ours.source, other.location.line
    if source is None or source.path != ours.location.path or not ours.scope or ours.scope != other.scope:
        return False
    first, last = sorted((source.line, ours.location.line))
    return first <= line <= last


def _same_weakness(one: Witnessed, other: Witnessed) -> bool:
    same = one.finding.rule.id == other.finding.rule.id or same_family(one.said.cwes, other.said.cwes)
    return same and _touch(one.finding.location, other.finding.location)
