"""`fixwright prove PATCH --repo PATH --finding HANDLE|FILE:LINE`: the gate that every fix of ours must pass, for anybody's patch."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bot import __version__
from bot.cli import _others
from bot.cli.folders import policy_places
from bot.settings import engines_dir, state_dir
from bot.statefolder import make_state_dir
from pipeline.errors import PatchRefused, UsageError
from pipeline.escaping import visible
from pipeline.model.finding import Finding
from pipeline.model.fix import ExploitRun, Patch, Proof, ProofWord
from pipeline.model.ids import CommitId
from pipeline.patches import MAX_DIFF, parse_diff
from pipeline.policy import load_policy
from pipeline.receipts import load_signer, tree_digest
from pipeline.sandbox.git import Worktree
from pipeline.stages.confer import select_witnessed
from pipeline.stages.examine import RunControl
from pipeline.stages.prove import CommitFiles, Engines, FolderFiles, RepositoryFiles, prove
from pipeline.stages.select import NothingThere, found_beside
from pipeline.statements import Base, describe

REFUSED, UNCHECKED = 1, 3


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser("prove", help="put a patch for one finding through the whole gate")
    parser.add_argument("patch", type=Path, metavar="PATCH", help="a unified diff; - reads it from standard input")
    parser.add_argument("--repo", type=Path, required=True, metavar="PATH", help="folder or git repository that the patch is for")
    parser.add_argument("--base", metavar="REV", help="prove it on this commit instead of the files as they are on the disk")
    parser.add_argument("--finding", required=True, metavar="HANDLE|FILE:LINE", help="what the patch is to mend")
    _others.add(parser)
    parser.add_argument("--receipt", type=Path, metavar="FILE", help="write the signed receipt there when the patch is accepted")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """0 accepted (the first line says verified or re-scanned), 1 refused, 3 could not check; a usage error is raised."""
    logs = _others.read(args.sarif)
    worktree = Worktree.open(args.repo)
    files, base = _state(worktree, args.base)
    policy, _ = load_policy(policy_places(), files.read)
    engines = Engines(RunControl(engines_dir(), lambda: True))
    try:
        patch = parse_diff(_read_patch(args.patch), files)
    except PatchRefused as refusal:
        _say("refused", refusal.reasons)
        return REFUSED
    try:
        head = CommitId(base.name) if base is not None else worktree.head() if logs else None
        finding = select_witnessed(args.finding, logs, str(worktree.root), head, files, engines)
    except NothingThere as nothing:
        print(f"could not check: {visible(nothing.message)}")
        return UNCHECKED
    others = found_beside(finding, files, engines)
    proof = prove(finding=finding, patch=patch, files=files, policy=policy, control=engines.control, engines=engines, others=others)
    tell(finding, proof)
    if proof.word is ProofWord.REFUSED:
        return REFUSED
    if proof.word is ProofWord.UNCHECKED:
        return UNCHECKED
    if args.receipt is not None:
        _write_receipt(args.receipt, finding, patch, base or _named(files, patch), proof)
    return 0


def _state(worktree: Worktree, rev: str | None) -> tuple[RepositoryFiles, Base | None]:
    if rev is None:
        return FolderFiles(worktree), None
    if not worktree.is_git:
        raise UsageError(f"{worktree.root} is no git repository, so there is no commit to prove on", hint="leave --base out")
    commit = worktree.named(rev)
    return CommitFiles(worktree.as_mirror(), commit), Base("commit", commit)


def _named(files: RepositoryFiles, patch: Patch) -> Base:
    """A folder has no commit: its state is named by the files that the patch touches, which is all that the receipt speaks of."""
    contents = {path: content for path in patch.paths if (content := files.read(path)) is not None}
    return Base("tree", tree_digest(contents))


def _read_patch(place: Path) -> str:
    try:
        raw = sys.stdin.buffer.read(MAX_DIFF + 1) if str(place) == "-" else _head(place)
    except OSError as error:
        raise UsageError(f"{place} cannot be read: {error.strerror}") from None
    return raw.decode("utf-8", "surrogateescape")


def _head(place: Path) -> bytes:
    with place.open("rb") as file:
        return file.read(4 * MAX_DIFF + 1)


def tell(finding: Finding, proof: Proof) -> None:
    """What the gate said. Names of files and tests are hostile."""
    where = f"{finding.location.path}:{finding.location.line}"
    marks = {True: "ok", False: "no", None: "--"}
    if proof.word is ProofWord.REFUSED:
        _say("refused", proof.reasons)
    elif proof.word is ProofWord.UNCHECKED:
        _say("could not check", tuple(check.said for check in proof.checks if check.passed is None))
    else:
        print(visible(f"{_others.word(proof)}: {finding.rule.id} at {where} is mended"))
    for check in proof.checks:
        print(visible(f"  {marks[check.passed]}  {check.name}: {check.said}"))
    for sentence in proof.not_proven:
        print(visible(f"Not proven: {sentence}."))
    if proof.exploit is not None:
        _show_attack(proof.exploit)
    print(f"{proof.seconds:.1f} s")


def _show_attack(run: ExploitRun) -> None:
    print(visible(f"An attack on it ({run.test.attack}): this test fails before the patch and passes after it ({run.command})"))
    print(f"  {visible(run.test.path)}")
    for line in run.test.content.decode("utf-8", "surrogateescape").splitlines():
        print(f"    {visible(line)}".rstrip())


def _say(word: str, reasons: tuple[str, ...]) -> None:
    print(visible(f"{word}: {reasons[0] if reasons else 'no reason was given'}"))
    for reason in reasons[1:]:
        print(visible(f"  and {reason}"))


def _write_receipt(place: Path, finding: Finding, patch: Patch, base: Base, proof: Proof) -> None:
    statement = describe(finding=finding, patch=patch, base=base, proof=proof, tool=f"fixwright {__version__}")
    folder = state_dir()
    make_state_dir(folder)
    receipt = load_signer(folder).sign(statement)
    try:
        place.write_bytes(receipt.envelope)
    except OSError as error:
        raise UsageError(f"{place} cannot be written: {error.strerror}") from None
    print(f"Receipt {receipt.digest} in {visible(str(place))}")
