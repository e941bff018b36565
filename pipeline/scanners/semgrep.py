"""Static analysis with Semgrep CE and our own rules (`pipeline/rules`), and with our own looks at web frameworks (`pipeline.frameworks`).

What is started is semgrep-core, the compiled program that Semgrep's fast mode (`--experimental`, osemgrep) is made of, under its own name:
it takes the files by list, knows nothing of `.semgrepignore`, `nosemgrep`, `.gitignore`, settings, accounts or a network, and is the only
form in which the open-source engine says where hostile data comes from. Its command line is not public, so the version is pinned
(`pipeline/engines.lock`) and the contract suite holds it.

The engine is silent about files that it cannot read. So each file is parsed here as well, and what does not parse is a gap.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import time
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from pipeline import engines, rulebook
from pipeline.errors import EngineCrashed, EngineError, EngineOutOfMemory, EngineTimedOut
from pipeline.frameworks import book, looking, templates
from pipeline.model.finding import Confidence, Finding, Location, Rule
from pipeline.model.scan import (
    Covered,
    EngineInfo,
    FindingSeen,
    Gap,
    GapClass,
    GapSeen,
    Output,
    Progress,
    ScanRequest,
    ScanType,
    Tree,
    TreeFile,
)
from pipeline.ports import Control
from pipeline.sandbox.process import Finished, Limits, run_isolated
from pipeline.sandbox.tree import private_folder
from pipeline.semgrepjson import Answer, Match, parse_answer
from pipeline.syntax import language_of, parses
from pipeline.triage import bundles, places
from pipeline.triage.fingerprint import identify

NAME = "semgrep"

MAX_BYTES = 1_000_000
"""Semgrep's own default for --max-target-bytes; larger files are generated."""
MAX_LINE = 10_000
"""Characters of the longest line of a JavaScript file; people write no longer ones, minifiers write nothing else."""
MAX_FINDINGS = 1_000
"""Of one file."""

_GROUP = 200
"""Files of one engine run: often enough to be cancelled, rarely enough that the start (0.1 s) does not count."""
_RULE_SECONDS = 30
"""For one rule on one file; afterwards the engine gives up on that file and says so."""
_MEMORY = 2 << 30
_MEMORY_MIB = 1_800
"""Below the sandbox's limit, so that the engine gives up on a file instead of being killed with all of them."""
_RUNTIME = {"OCAMLRUNPARAM": "s=4M"}
"""Words of the engine's minor heap (32 MB). With its default all its threads meet for a collection every 2 MB, and on a machine that has
other work they wait for each other longer than they scan: 18.7 s instead of 6.0 s of processor time for 39,000 lines on two busy cores.
Source: OCaml manual, OCAMLRUNPARAM; chapter "Memory management", stop-the-world minor collections."""
_ANALYZERS = {
    "python": "python",
    "javascript": "javascript",
    "typescript": "typescript",
    "tsx": "typescript",
    "workflow": "yaml",
    "dockerfile": "dockerfile",
    "go": "go",
    "java": "java",
}

_SCRIPTS = frozenset({"javascript", "typescript", "tsx"})
"""What bundlers write."""


class Semgrep:
    """The plug-in. It has no state; rules and engine are looked up when asked."""

    name = NAME
    scan_type = ScanType.SEMGREP

    def rules(self) -> dict[str, Rule]:
        """Every rule by its id, for report formats that list them."""
        return dict(sorted({**rulebook.load().rules, **book.RULES}.items()))

    def info(self, control: Control) -> EngineInfo:
        """The engine that would run now. Raises EngineMissing."""
        return EngineInfo(NAME, engines.find(control.engines_dir, NAME).version, _digest())

    def concerns(self, path: str) -> bool:
        """True for files of the languages that some rule is for (`pipeline/rules`), and for templates of HTML."""
        return _language(path) is not None or templates.is_template(path)

    def scan(self, request: ScanRequest, control: Control) -> Iterator[Output]:
        """Run every rule on every file that it concerns. See `Scanner.scan`."""
        deadline = time.monotonic() + request.seconds
        rules = rulebook.load()
        yield from (GapSeen(gap) for gap in request.tree.gaps)
        targets: list[TreeFile] = []
        for file in request.tree.files:
            if language_of(file.path) is None and templates.is_template(file.path):
                yield from _template(request.tree, file)
                continue
            gap = _refusal(request.tree, file)
            if gap is None:
                targets.append(file)
            else:
                yield GapSeen(gap)
        failed: list[EngineError] = []
        for start in range(0, len(targets), _GROUP):
            if control.cancelled():
                return
            group = targets[start : start + _GROUP]
            try:
                yield from _scan_group(request.tree, group, rules, control, deadline, failed)
            except EngineTimedOut as error:
                if start == 0:
                    raise
                # what was found before stays found
                yield from (GapSeen(Gap(NAME, file.path, "semgrep timed out", GapClass.ERROR, error.blame)) for file in targets[start:])
                return
            yield Progress(start + len(group), len(targets))
        if failed and len(failed) == len(targets):
            raise failed[0]


SCANNER = Semgrep()


@cache
def _digest() -> str:
    """Of everything that makes a finding besides the engine: the rules, and what we say of places."""
    said = [Path(name).read_bytes() for name in (places.__file__, bundles.__file__)]
    return hashlib.sha256(b"\0".join([rulebook.load().digest.encode(), looking.digest().encode(), *said])).hexdigest()[:12]


@cache
def _families() -> frozenset[str]:
    """What the rules are for. The engine passes over files that no rule is for, and a change must not be red for them."""
    return frozenset(name.partition(".")[0] for name in rulebook.load().rules)


def _language(path: str) -> str | None:
    """The language of a file that some rule may say something of."""
    language = language_of(path)
    family = "javascript" if language in _SCRIPTS else language
    return language if family in _families() else None


def residues(rule_id: str, tree: Tree, control: Control, seconds: float) -> list[Location]:
    """Every place where something looks like the sink of a rule, in whatever form; never a finding, only something to compare.

    Args:
        rule_id: one of ours.
        tree: the files to look at.
        control: where the engine lies.
        seconds: wall-clock limit.

    Raises:
        KeyError: the rule has no residue patterns.
        EngineError: the engine did not look at every file to the end.
    """
    return residues_of([rule_id], tree, control, seconds)[rule_id]


def residues_of(rule_ids: Sequence[str], tree: Tree, control: Control, seconds: float) -> dict[str, list[Location]]:
    """`residues` of several rules from one run of the engine, by rule. Raises what `residues` raises."""
    document = rulebook.residues(tuple(rule_ids))
    files = [file for file in tree.files if language_of(file.path) is not None and file.size <= MAX_BYTES]
    found: dict[str, set[Location]] = {rule_id: set() for rule_id in rule_ids}
    if not files or not rule_ids:
        return {rule_id: [] for rule_id in found}
    answer = _run(tree, files, document, control, time.monotonic() + seconds)
    broken = [trouble for trouble in answer.troubles if trouble.gap_class is GapClass.ERROR]
    if broken:
        raise EngineCrashed(f"semgrep {broken[0].reason} in {broken[0].path}", engine=NAME)
    for match in answer.matches:
        found[match.check_id.partition(rulebook.RESIDUE_OF)[0]].add(match.location)
    return {rule_id: sorted(places) for rule_id, places in found.items()}


def _refusal(tree: Tree, file: TreeFile) -> Gap | None:
    """Why the engine is not shown this file, or None."""
    language = _language(file.path)
    if language is None:
        return Gap(NAME, file.path, "no rule for this kind of file", GapClass.NOT_APPLICABLE)
    if file.size > MAX_BYTES:
        return Gap(NAME, file.path, "larger than 1 MB", GapClass.LIMIT)
    content = _content(tree, file)
    if b"\0" in content:  # no source in any language of ours; the engine can try for minutes, and takes its neighbours along
        return Gap(NAME, file.path, f"binary, not {language}", GapClass.LIMIT)
    if language != "python":
        longest = max(map(len, content.split(b"\n")))
        if longest > MAX_LINE:
            return Gap(NAME, file.path, f"minified (a line of {longest:,} characters)", GapClass.LIMIT)
    return None


def _template(tree: Tree, file: TreeFile) -> Iterator[Output]:
    """A template, which the engine does not read: only our own looks."""
    if file.size > MAX_BYTES:
        yield GapSeen(Gap(NAME, file.path, "larger than 1 MB", GapClass.LIMIT))
        return
    content = _content(tree, file)
    found = looking.look(file.path, content, NAME)
    yield from (FindingSeen(identify(dataclasses.replace(f, blob=file.blob), content)) for f in found[:MAX_FINDINGS])
    if len(found) > MAX_FINDINGS:
        yield GapSeen(Gap(NAME, file.path, f"more than {MAX_FINDINGS:,} findings", GapClass.LIMIT))
    else:
        yield Covered((file.path,))


def _scan_group(
    tree: Tree, files: Sequence[TreeFile], rules: rulebook.RuleBook, control: Control, deadline: float, failed: list[EngineError]
) -> Iterator[Output]:
    """One engine run. When the engine dies of a file, the group is halved until that file is alone: the others are still checked."""
    died: EngineError | None = None
    try:
        answer = _run(tree, files, rules.document, control, deadline)
    except (EngineCrashed, EngineOutOfMemory) as error:
        died = error.with_traceback(None)  # its frames hold what the engine wrote, which may be all that it may write
    if died is None:
        yield from _outputs(tree, files, rules, answer)
    elif len(files) == 1:
        failed.append(died)
        yield GapSeen(Gap(NAME, files[0].path, _died_of(died), GapClass.ERROR, died.blame))
    else:
        for half in (files[: len(files) // 2], files[len(files) // 2 :]):
            yield from _scan_group(tree, half, rules, control, deadline, failed)


def _died_of(error: EngineError) -> str:
    return "semgrep ran out of memory" if isinstance(error, EngineOutOfMemory) else "semgrep crashed"


def _outputs(tree: Tree, files: Sequence[TreeFile], rules: rulebook.RuleBook, answer: Answer) -> Iterator[Output]:
    gaps = {trouble.path: trouble for trouble in answer.troubles}
    covered = []
    for file in files:
        content = _content(tree, file)
        found = _distinct(_finding(rules.variants[match.check_id], match) for match in answer.matches if match.location.path == file.path)
        found = sorted([*found, *looking.look(file.path, content, NAME)], key=lambda f: (f.location, f.rule.id))
        built = bundles.built_lines(content) if language_of(file.path) in _SCRIPTS else frozenset[int]()
        copied = places.is_vendored(file.path)
        yield from (
            FindingSeen(identify(dataclasses.replace(f, blob=file.blob, built=copied or f.location.line in built), content))
            for f in found[:MAX_FINDINGS]
        )
        gap = gaps.get(file.path)
        if parses(file.path, content) is False:
            gap = Gap(NAME, file.path, f"does not parse as {language_of(file.path)}", GapClass.LIMIT)
        elif len(found) > MAX_FINDINGS:
            gap = Gap(NAME, file.path, f"more than {MAX_FINDINGS:,} findings", GapClass.LIMIT)
        elif gap is None and file.path not in answer.scanned:
            gap = Gap(NAME, file.path, "semgrep passed over it", GapClass.ERROR)
        if gap is None:
            covered.append(file.path)
        else:
            yield GapSeen(gap)
    yield Covered(tuple(covered))


def _finding(variant: rulebook.Variant, match: Match) -> Finding:
    """What the engine matched, in our words."""
    location, source, detail = match.location, match.source, ""
    if variant.at_source and source is not None:
        detail = f"ends in {match.named} (line {location.line})" if match.named else ""
        location, source = source, None
    elif source is not None:
        kind = "parameter " if variant.of_parameter and match.source_text.isidentifier() else ""
        shown = match.source_text.replace("`", "'")
        detail = f"comes from {kind}`{shown}` (line {source.line})"
    rule = variant.rule
    if places.is_test(location.path) or (variant.of_parameter and places.is_chore(location.path)):
        rule = dataclasses.replace(rule, confidence=Confidence.LOW)  # whoever decides what it is given is a developer
    return Finding(rule, location, "", NAME, detail=detail, source=source)


def _distinct(findings: Iterator[Finding]) -> list[Finding]:
    """One finding a place and rule: the surest variant, then the first; others that overlap it say the same again."""
    kept: list[Finding] = []
    for finding in sorted(findings, key=lambda f: (-f.rule.confidence, f.location, f.rule.id, f.detail)):
        if not any(other.rule.id == finding.rule.id and _overlap(other.location, finding.location) for other in kept):
            kept.append(finding)
    return sorted(kept, key=lambda f: (f.location, f.rule.id))


def _overlap(one: Location, other: Location) -> bool:
    return (one.line, one.column) < (other.end_line, other.end_column) and (other.line, other.column) < (one.end_line, one.end_column)


def _content(tree: Tree, file: TreeFile) -> bytes:
    return (tree.root / file.on_disk).read_bytes()


def _run(tree: Tree, files: Sequence[TreeFile], document: bytes, control: Control, deadline: float) -> Answer:
    """Start the engine on exactly these files.

    Raises:
        EngineError: it did not end well, or its answer cannot be read.
    """
    engine = engines.find(control.engines_dir, NAME)
    wall = deadline - time.monotonic()
    if wall <= 0:
        raise EngineTimedOut("semgrep had no time left", engine=NAME)
    with private_folder("semgrep") as folder:
        rules, targets = folder / "rules.json", folder / "targets.json"
        _write(rules, document)
        _write(targets, _target_list(tree, files))
        finished = run_isolated(
            _command(engine.binary.resolve(), rules, targets, len(files)),
            limits=Limits(wall=wall, cpu=wall * 2, memory=_MEMORY),
            readable=(*engine.mounts, tree.root, rules, targets),
            env={**engine.env, **_RUNTIME},
        )
    _ensure_ended_well(finished, files)
    return parse_answer(finished.stdout, {str(tree.root / file.on_disk): file.path for file in files})


def _command(binary: Path, rules: Path, targets: Path, count: int) -> list[str]:
    jobs = 1 if count < 8 else min(4, os.cpu_count() or 1)
    return [
        str(binary),
        *("-rules", str(rules), "-targets", str(targets), "-json_nodots", "-fast"),
        *("-j", str(jobs), "-timeout", str(_RULE_SECONDS), "-timeout_threshold", "1", "-max_memory", str(_MEMORY_MIB)),
    ]


def _target_list(tree: Tree, files: Sequence[TreeFile]) -> bytes:
    """The engine's own form (semgrep-interfaces, `Input_to_core.atd`): names never stand on its command line."""
    return json.dumps(
        [
            "Targets",
            [
                [
                    "CodeTarget",
                    {
                        "path": {"fpath": str(tree.root / file.on_disk), "ppath": f"/{file.on_disk}"},
                        "analyzer": _ANALYZERS[language_of(file.path) or "python"],
                        "products": ["sast"],
                    },
                ]
                for file in files
            ],
        ]
    ).encode()


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    path.chmod(0o644)  # whatever the umask is: the sandbox runs as somebody else


def _ensure_ended_well(finished: Finished, files: Sequence[TreeFile]) -> None:
    what = files[0].path if len(files) == 1 else f"{len(files)} files"
    if finished.timed_out:
        raise EngineTimedOut(f"semgrep timed out on {what} after {finished.seconds:.0f} s", engine=NAME)
    if finished.out_of_memory:
        raise EngineOutOfMemory(f"semgrep ran out of memory on {what}", engine=NAME)
    if finished.truncated:
        raise EngineCrashed(f"semgrep wrote more than anybody can read about {what}", engine=NAME)
    if finished.exit_code != 0:
        reason = f"signal {finished.signal}" if finished.signal else f"exit code {finished.exit_code}"
        raise EngineCrashed(f"semgrep crashed on {what} ({reason})", engine=NAME)
