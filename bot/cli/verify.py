"""`fixwright verify RECEIPT --repo PATH`: is this receipt genuine, and does it speak of this repository? Offline."""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from bot.cli._replay import replay
from bot.settings import engines_dir, state_dir
from bot.statefolder import check_state_dir
from pipeline.errors import GitError, NotConfigured, PatchRefused, ReceiptRefused, UsageError
from pipeline.escaping import visible
from pipeline.patches import MAX_DIFF, conceal, diff_digest, parse_diff, render_diff
from pipeline.receipts import MAX_RECEIPT, has_key, key_id, load_public, load_signer, read_receipt, standing
from pipeline.sandbox.git import Worktree
from pipeline.stages.examine import RunControl
from pipeline.stages.prove import Engines
from pipeline.stages.sources import CommitFiles, FolderFiles, RepositoryFiles
from pipeline.statements import Statement

REFUSED = 1


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser("verify", help="check a receipt: its signature, and that its patch fits this repository")
    parser.add_argument("receipt", type=Path, metavar="RECEIPT")
    parser.add_argument("--repo", type=Path, required=True, metavar="PATH", help="folder or git repository that the receipt speaks of")
    parser.add_argument("--key", type=Path, metavar="FILE", help="public key in PEM form (default: this installation's own)")
    parser.add_argument("--patch", type=Path, metavar="FILE", help="also check that this diff is the one that was proved")
    parser.add_argument("--again", action="store_true", help="also make the checks again with the engines here; no test is run")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """0 accepted, 1 refused: one line says what and why; with --again also 1 when a check says something else now, and 3 when one could not
    be made. A usage error is raised."""
    key = _key(args.key)
    envelope = _read(args.receipt, MAX_RECEIPT)
    worktree = Worktree.open(args.repo)
    try:
        statement = read_receipt(envelope, key)
        where, files = _where(statement, worktree)
        if args.patch is not None:
            _same_patch(statement, _read(args.patch, 4 * MAX_DIFF), files)
    except ReceiptRefused as refusal:
        print(f"refused: {visible(refusal.message)}")
        return REFUSED
    told = statement.predicate
    mended = "; ".join(f"{one.handle or one.rule} ({one.rule} at {one.path}:{one.line})" for one in told.findings or (told.finding,))
    print(visible(f"accepted: {told.word} fix of {mended}, {where}, signed by {key_id(key)[:12]}"))
    if not args.again:
        return 0
    return replay(told, _base(statement, worktree), Engines(RunControl(engines_dir(), lambda: True)))


def _key(place: Path | None) -> Ed25519PublicKey:
    if place is not None:
        return load_public(_read(place, 10_000))
    folder = state_dir()
    check_state_dir(folder)
    if not has_key(folder):
        raise NotConfigured(f"there is no signing key in {folder} yet", hint="give the public key that signed it: --key FILE")
    return load_signer(folder).public


def _read(place: Path, limit: int) -> bytes:
    try:
        with place.open("rb") as file:
            return file.read(limit + 1)
    except OSError as error:
        raise UsageError(f"{place} cannot be read: {error.strerror}") from None


def _where(statement: Statement, worktree: Worktree) -> tuple[str, RepositoryFiles | None]:
    """How the receipt stands to the repository, and the state that its patch applies to. Raises ReceiptRefused when it does not at all."""
    files = FolderFiles(worktree)
    now = standing(statement, files)
    if now == "applies":
        return "its patch applies to the files as they are", files
    if now == "applied":
        return "its patch is applied already", None
    commit = statement.predicate.base.get("commit", "")
    if commit and worktree.is_git:
        base = _commit_files(worktree, commit)
        if base is not None and standing(statement, base) == "applies":
            return f"its patch applies to commit {commit[:12]}", base
        if base is None:
            raise ReceiptRefused(f"the receipt speaks of commit {commit[:12]}, which this repository does not have")
    raise ReceiptRefused("the receipt is genuine, but its patch was proved on other contents than this repository has")


def _base(statement: Statement, worktree: Worktree) -> RepositoryFiles | None:
    """The state that the patch was proved on: the commit that the receipt names, or the files as they are; None where it is neither."""
    commit = statement.predicate.base.get("commit", "")
    named = _commit_files(worktree, commit) if commit and worktree.is_git else None
    return next((one for one in (named, FolderFiles(worktree)) if one is not None and standing(statement, one) == "applies"), None)


def _commit_files(worktree: Worktree, commit: str) -> RepositoryFiles | None:
    try:
        return CommitFiles(worktree.as_mirror(), worktree.resolve(commit))
    except (GitError, UsageError):
        return None


def _same_patch(statement: Statement, raw: bytes, files: RepositoryFiles | None) -> None:
    """The same diff, or another spelling of it that leaves the same files. Raises ReceiptRefused."""
    diff = raw.decode("utf-8", "surrogateescape")
    proved = statement.subject[0].digest["sha256"]
    if proved in (diff_digest(diff), diff_digest(conceal(diff))):
        return
    if files is not None:
        with contextlib.suppress(PatchRefused):
            own = render_diff(parse_diff(diff, files))
            if proved in (diff_digest(own), diff_digest(conceal(own))):
                return
    raise ReceiptRefused("the receipt speaks of another patch")
