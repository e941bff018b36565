"""`fixwright scan PATH`: the same scanners, decisions and renderers as the server, in memory."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pipeline.reports
from bot import __version__
from bot.cli import _others, show
from bot.cli.folders import policy_places
from bot.settings import engines_dir
from pipeline.errors import UsageError
from pipeline.escaping import visible
from pipeline.model.finding import BaselineState, Confidence, Severity, Standing
from pipeline.model.report import Report
from pipeline.model.scan import ScanType
from pipeline.plugins import discover
from pipeline.ports import Renderer
from pipeline.stages.disclosure import for_anybody
from pipeline.stages.examine import RunControl
from pipeline.stages.folder import Judgement, available_scanners, judge_folder, known_secrets

FORMATS = ("text", "json", "sarif", "markdown", "codequality", "gitlab-sast", "gitlab-secrets")
OPEN = ("text", "markdown", "codequality")
"""Formats that a host shows to whoever may see the change: a job's log, its summary, the widget of a change."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One document of a run: its format and where it goes."""

    name: str
    file: Path | None
    """None: to the terminal."""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser("scan", help="scan a folder or a git repository on this machine")
    parser.add_argument("path", type=Path, metavar="PATH", help="a git repository or a plain folder")
    parser.add_argument("--base", metavar="REV", help="judge only what changed since REV (a commit or branch)")
    parser.add_argument("--type", metavar="TYPES", help="comma-separated: secrets_scan, semgrep_scan (default: all)")
    parser.add_argument(
        "--format",
        action="append",
        type=asked,
        metavar="NAME[=FILE]",
        help=f"{', '.join(FORMATS)}; several times for several files of one scan (default: text)",
    )
    parser.add_argument("--output", type=Path, metavar="F", help="write there what would go to the terminal")
    parser.add_argument(
        "--public", action="store_true", help=f"anybody may read {', '.join(OPEN)}: they tell only how many secrets there are"
    )
    parser.add_argument("--fail-on", metavar="SEVERITY", help="exit 1 from this severity on (default: what the policy blocks)")
    _others.add(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """1 when a finding is at or above --fail-on, else 3 when something could not be checked, else 0."""
    types = _types(args.type)
    threshold = _severity(args.fail_on)
    documents = _documents(args.format, args.output)
    if args.public and args.base is None:
        raise UsageError("--public needs --base", hint="what a whole repository has is for its members alone")
    if not args.path.is_dir():
        raise UsageError(f"{args.path} is no folder")
    logs = _others.read(args.sarif)
    began, started = time.time(), time.monotonic()
    judgement = judge_folder(args.path, args.base, types, RunControl(engines_dir(), lambda: True), policy_places(), logs)
    report = _report(judgement, began, time.monotonic() - started)
    renderers = discover(pipeline.reports, "RENDERER", Renderer)
    for one in documents:
        shown = replace(report, color=one.name == "text" and one.file is None and sys.stdout.isatty() and not os.environ.get("NO_COLOR"))
        if args.public and one.name in OPEN:
            shown = replace(shown, verdict=for_anybody(shown.verdict))
        _write(one.file, _clean(renderers[one.name].render(shown), judgement))
    if any(not gap.path and gap.blame == "us" for gap in judgement.verdict.coverage.breaking):
        print("fixwright: not everything could be checked here; see: fixwright doctor, fixwright engines install", file=sys.stderr)
    if _found(judgement, threshold):
        return 1
    return 3 if judgement.verdict.incomplete else 0


def _clean(document: bytes, judgement: Judgement) -> bytes:
    """The document without the values that were found, also where a line of code is shown for another finding."""
    return known_secrets(judgement.verdict).clean(document.decode("utf-8")).encode("utf-8")


def asked(text: str) -> Asked:
    """`sarif`, or `sarif=FILE`. Raises ArgumentTypeError."""
    name, separator, file = text.partition("=")
    if name not in FORMATS or (separator and not file):
        raise argparse.ArgumentTypeError(f"{visible(text)!r} is none of {', '.join(FORMATS)}, nor one of them with =FILE")
    return Asked(name, Path(file) if separator else None)


def _documents(formats: Sequence[Asked] | None, output: Path | None) -> list[Asked]:
    """What is to be written; `--output` is the place of the one that names none. Raises UsageError."""
    wanted = list(formats or [Asked("text", None)])
    unplaced = [one for one in wanted if one.file is None]
    if len(unplaced) > 1:
        names = " and ".join(dict.fromkeys(one.name for one in unplaced))
        raise UsageError(f"{names} cannot both go to one place", hint=f"give them files: --format {unplaced[-1].name}=FILE")
    if output is not None and not unplaced:
        raise UsageError("--output has nothing to write: every format has a file of its own")
    placed = [Asked(one.name, one.file or output) for one in wanted]
    files = [one.file.absolute() for one in placed if one.file is not None]
    for file in files:
        if files.count(file) > 1:
            raise UsageError(f"two formats cannot both go to {file}")
    return placed


def _write(file: Path | None, document: bytes) -> None:
    if file is None:
        show(document)
        return
    try:
        file.write_bytes(document)
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}") from None


def _report(judgement: Judgement, began: float, seconds: float) -> Report:
    known = known_secrets(judgement.verdict)
    return Report(
        verdict=judgement.verdict,
        head=judgement.head or "",
        base=judgement.base or "",
        seconds=seconds,
        tool_version=__version__,
        policy_source=judgement.policy_source,
        whole=judgement.base is None,
        # Cut to the width of a terminal, half a value would be left that nobody knows any more.
        excerpts={place: tuple((number, known.clean(line)) for number, line in lines) for place, lines in judgement.excerpts.items()},
        started=began,
    )


def _types(text: str | None) -> list[ScanType] | None:
    if text is None:
        return None
    try:
        return [ScanType(word.strip()) for word in text.split(",")]
    except ValueError:
        raise UsageError(f"'{text}' names no scan type", hint=f"one or more of {', '.join(sorted(available_scanners(None)))}") from None


def _severity(word: str | None) -> Severity | None:
    try:
        return None if word is None else Severity.parse(word)
    except ValueError as error:
        raise UsageError(f"--fail-on: {error}") from None


def _found(judgement: Judgement, threshold: Severity | None) -> bool:
    """Whether a new finding reaches the threshold; without one, whether one blocks by the policy."""
    if threshold is None:
        return bool(judgement.verdict.standing(Standing.BLOCKS))
    new = [j for j in judgement.verdict.judged if j.baseline is BaselineState.NEW and j.standing is not Standing.WAIVED]
    rules = [judged.finding.rule for judged in new]
    return any(rule.severity >= threshold and rule.confidence > Confidence.LOW for rule in rules)
