"""`fixwright fix PATH`: patches that passed the gate, shown, saved or applied."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pipeline.fixers
from bot.cli import _fixopen, _fixruns, _others, show
from bot.cli.folders import policy_places
from bot.settings import engines_dir
from pipeline.errors import EngineMissing, UsageError
from pipeline.escaping import visible
from pipeline.model.finding import BaselineState, Finding
from pipeline.model.fix import Patch, ProofWord
from pipeline.model.scan import Coverage
from pipeline.patches import render_diff
from pipeline.plugins import discover
from pipeline.ports import Fixer
from pipeline.sandbox.git import Worktree
from pipeline.stages.examine import RunControl
from pipeline.stages.folder import judge_folder
from pipeline.stages.ladder import unasked
from pipeline.stages.mend import Outcome, PatchedFiles, mend
from pipeline.stages.select import pick
from pipeline.stages.sources import FolderFiles


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser("fix", help="make patches for findings; each must prove itself")
    parser.add_argument(
        "path",
        metavar="PATH",
        help="a folder; or open, status, list, cancel, receipt: the fixes of a server (a folder of that name: ./status)",
    )
    parser.add_argument(
        "id", nargs="?", metavar="NAME", help="of the fix, for status, cancel and receipt; of the repository (owner/name), for open"
    )
    parser.add_argument("--finding", metavar="HANDLE|FILE:LINE", help="only this one (default: all that have a fixer and are no guesses)")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--apply", action="store_true", help="write the changes into the folder")
    where.add_argument("--patch", type=Path, metavar="FILE", help="write a unified diff that `git apply` takes")
    _others.add(parser)
    parser.add_argument("--yes", action="store_true", help="with open: also in a public repository, where everybody can read it")
    parser.add_argument("--output", type=Path, metavar="FILE", help="with receipt: write it there instead of stdout")
    parser.add_argument("--json", action="store_true", help="with open, status, list and cancel: for machines")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """0 when everything asked for was mended, 1 when something was not, 3 when it could not be checked. The diff goes to stdout."""
    if args.output is not None and args.path != "receipt":
        raise UsageError("--output belongs to fix receipt")
    if args.path == "open":
        if args.apply or args.patch or args.sarif:
            raise UsageError("fix open is about a repository of a server", hint="a folder of that name is ./open")
        return _fixopen.run(args)
    if args.sarif and args.path in _fixruns.ACTIONS:
        raise UsageError("--sarif is about a folder", hint=f"a folder of that name is ./{args.path}")
    if args.yes:
        raise UsageError("--yes belongs to fix open")
    if args.path in _fixruns.ACTIONS:
        if args.finding or args.apply or args.patch or getattr(args, "all", False):
            raise UsageError(f"fix {args.path} is about the fixes of a server", hint=f"a folder of that name is ./{args.path}")
        return _fixruns.run(args)
    if args.id is not None or args.json:
        raise UsageError("a name and --json belong to fix open, fix status, fix list, fix cancel and fix receipt")
    args.path = Path(args.path)
    if not args.path.is_dir():
        raise UsageError(f"{args.path} is no folder")
    logs = _others.read(args.sarif)
    control = RunControl(engines_dir(), lambda: True)
    _progress("looking for findings")
    judgement = judge_folder(args.path, None, None, control, policy_places(), logs)
    _progress()
    missing = [gap for gap in judgement.verdict.coverage.breaking if not gap.path and gap.blame == "us"]
    if missing:
        raise EngineMissing(missing[0].reason, engine=missing[0].engine, hint="fixwright engines install")
    coverage = judgement.verdict.coverage
    if not coverage.files_checked:
        print(_nothing_read(args.path, coverage), file=sys.stderr)
        return 3 if coverage.breaking else 0
    found = [j.finding for j in judgement.verdict.judged if j.baseline is BaselineState.NEW]
    fixers = list(discover(pipeline.fixers, "FIXER", Fixer).values())
    fixable = [f for f in found if any(fixer.answers(f.rule.id) for fixer in fixers)]
    guesses = [] if args.finding else [f for f in fixable if not unasked(f, fixers)]
    wanted = [pick(args.finding, found)] if args.finding else [f for f in fixable if f not in guesses]
    files = PatchedFiles(FolderFiles(Worktree.open(args.path)))
    outcomes = []
    for outcome in mend(wanted, files, fixers, judgement.policy, control, said=partial(_begin, len(wanted))):
        outcomes.append(outcome)
        tell(outcome)
    tell_not_proven(outcomes)
    _deliver(args, files.combined("fix findings"))
    accepted = sum(outcome.accepted for outcome in outcomes)
    without = f"; {len(found) - len(fixable)} of {len(found)} findings have no fixer" if len(found) > len(fixable) else ""
    if guesses:
        without += f"; {len(guesses)} of low confidence left alone, name one with --finding to have it mended"
    if not outcomes:
        if fixable:
            print(f"nothing to mend{without}", file=sys.stderr)
        else:
            print("nothing to mend" if not found else f"no fixer answers any of the {len(found)} findings", file=sys.stderr)
        return 0 if not found else 1
    print(f"{accepted} of {len(outcomes)} mended{without}", file=sys.stderr)
    if any(o.proof is not None and o.proof.word is ProofWord.UNCHECKED for o in outcomes):
        return 3
    return 0 if accepted == len(outcomes) else 1


def _nothing_read(path: Path, coverage: Coverage) -> str:
    """Why there was nothing to look at. Names of files are hostile."""
    if not coverage.files_changed:
        return f"there is no file in {visible(str(path))}"
    first = next((gap for gap in (*coverage.breaking, *coverage.gaps) if gap.path), None)
    why = f": {visible(first.path)}: {visible(first.reason)}" if first else ""
    count = coverage.files_changed
    files = "the only file in {} cannot" if count == 1 else f"none of the {count:,} files in {{}} can"
    return f"{files.format(visible(str(path)))} be looked at{why}"


def _begin(count: int, number: int, finding: Finding) -> None:
    _progress(f"{number} of {count}  {visible(finding.location.path)}:{finding.location.line}")


def _progress(said: str = "") -> None:
    """What is at work, for somebody who waits at a terminal: one line, which the next word takes the place of."""
    if sys.stderr.isatty():
        print(f"\r\033[K{said} ..." if said else "\r\033[K", end="", file=sys.stderr, flush=True)


def tell(outcome: Outcome) -> None:
    """What became of one finding. Names of files and tests are hostile."""
    finding = outcome.finding
    start = "\r\033[K" if sys.stderr.isatty() else ""
    where = f"{start}{visible(finding.location.path)}:{finding.location.line}  {finding.rule.id}"
    if outcome.patch is None:
        print(f"{where}  {visible(outcome.error)}", file=sys.stderr)
        return
    print(f"{where}  {visible(_others.word(outcome.proof))}: {visible(outcome.patch.title)}", file=sys.stderr)
    for reason in outcome.proof.why if outcome.proof else ():
        print(f"    {visible(reason)}", file=sys.stderr)
    for note in outcome.patch.notes if outcome.accepted else ():
        print(f"    {visible(note)}", file=sys.stderr)


def tell_not_proven(outcomes: Sequence[Outcome]) -> None:
    """What nobody should believe to be proved of the patches that passed, each sentence once: of all, or of the places that it is about."""
    passed = [outcome for outcome in outcomes if outcome.accepted]
    about: dict[str, list[str]] = {}
    for outcome in passed:
        for missing in outcome.proof.not_proven if outcome.proof else ():
            about.setdefault(missing, []).append(f"{outcome.finding.location.path}:{outcome.finding.location.line}")
    for missing, places in about.items():
        of = "" if len(places) == len(passed) else f" of {', '.join(places)}"
        print(visible(f"Not proven{of}: {missing}."), file=sys.stderr)


def _deliver(args: argparse.Namespace, patch: Patch) -> None:
    """Apply, save or show."""
    if args.apply:
        _apply(Worktree.open(args.path).root, patch)
        return
    text = render_diff(patch).encode("utf-8", "surrogateescape") if patch.edits else b""
    if args.patch is not None and not text:
        print(f"no patch: {visible(str(args.patch))} was not written", file=sys.stderr)  # an empty file is none that git would take
        return
    if args.patch is not None:
        try:
            args.patch.write_bytes(text)
        except OSError as error:
            raise UsageError(f"{args.patch} cannot be written: {error.strerror}") from None
        return
    show(text)


def _apply(root: Path, patch: Patch) -> None:
    """Write the files, all or none as far as a disk allows; names of a patch are relative to the top of the repository.

    Raises:
        UsageError: a file is not what the patch was made for any more, or cannot be written.
    """
    written: list[tuple[Path, Path]] = []
    try:
        for edit in patch.edits:
            place = root.joinpath(*edit.path.split("/"))
            if place.is_symlink() or edit.after is None:
                raise UsageError(f"{visible(edit.path)} is not a plain file any more")
            now = place.read_bytes() if place.exists() else None
            if now != edit.before:
                hint = "nothing was written; run it again"
                raise UsageError(f"{visible(edit.path)} was changed while its patch was proven", hint=hint)
            written.append((beside(place, edit.after), place))
        for new, place in written:
            new.replace(place)
    except OSError as error:
        raise UsageError(f"{visible(edit.path)} cannot be written: {error.strerror}") from None
    finally:
        for new, _ in written:
            new.unlink(missing_ok=True)


def beside(place: Path, content: bytes) -> Path:
    """A file with this content and the mode of `place`, in the same folder. Raises OSError."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=place.parent, prefix=".fixwright-", delete=False) as file:
        file.write(content)
    new = Path(file.name)
    new.chmod(place.stat().st_mode & 0o7777 if place.exists() else 0o644)
    return new
