"""`--sarif FILE` of scan, fix and prove: what other scanners found."""

from __future__ import annotations

import argparse
import stat
from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import UsageError
from pipeline.escaping import visible
from pipeline.foreign import MAX_BYTES, Log, read_log, too_large
from pipeline.model.fix import Proof, ProofWord
from pipeline.triage.proof import OTHERS


def add(parser: argparse.ArgumentParser) -> None:
    """The option."""
    parser.add_argument(
        "--sarif",
        action="append",
        type=Path,
        metavar="FILE",
        help="what another scanner found (SARIF 2.1.0); several times for several files",
    )


def read(files: Sequence[Path] | None) -> list[Log]:
    """All of them, or none. Raises UsageError, before anything is scanned."""
    return [read_log(_content(file), str(file)) for file in dict.fromkeys(files or ())]


def word(proof: Proof | None) -> str:
    """The word for a patch; with what it leaves open where another scanner that saw the finding could not be asked again."""
    if proof is None:
        return ProofWord.UNCHECKED.value
    check = next((check for check in proof.checks if check.name == OTHERS), None)
    return f"{proof.word.value} ({check.said})" if check is not None and "re-scan not possible" in check.said else proof.word.value


def _content(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            if stat.S_ISREG(file.stat().st_mode) and file.stat().st_size > MAX_BYTES:
                raise too_large(str(file))
            return opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{visible(str(file))} cannot be read: {error.strerror}") from None
