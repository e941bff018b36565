"""The scanners that were witnesses of a finding, asked once more about a patch: is what they said gone, too?

Only a scanner that is installed here and needs nothing but the file can be asked; of the others it is said that nobody asked them. It runs
in the sandbox, on copies, without network.
"""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ValidationError

from pipeline.errors import SandboxBusy, SandboxUnavailable
from pipeline.foreign import PREFIX
from pipeline.model.finding import Finding
from pipeline.model.fix import Patch, ProofCheck
from pipeline.sandbox.process import Limits, run_isolated, runtime
from pipeline.sandbox.tree import private_folder
from pipeline.triage.proof import OTHERS

SECONDS = 60.0
_MEMORY = 1 << 30
_SHEBANG = re.compile(rb"#!\s*(/\S+)")
_BANDIT = re.compile(r"Bandit (B[0-9]{3})")


class _Result(BaseModel):
    filename: str
    test_id: str


class _Report(BaseModel):
    errors: list[object]
    results: list[_Result]


def ask_again(finding: Finding, patch: Patch) -> ProofCheck | None:
    """What the other witnesses of a finding say of a patch; None when it has none.

    Refused when not one of those that could be asked lets go of it: what they saw is still there.
    """
    if not finding.witnesses or finding.rule.id.startswith(PREFIX):
        return None
    bandit = {name: match[1] for name in finding.witnesses if (match := _BANDIT.fullmatch(name))}
    unasked = sorted({name.rpartition(" ")[0] for name in finding.witnesses if name not in bandit})
    said = [f"re-scan not possible: {' and '.join(unasked)} cannot be run here"] if unasked else []
    if not bandit:
        return ProofCheck(OTHERS, None, said[0])
    try:
        before, after = _bandit(patch, finding.location.path)
    except SandboxBusy:
        raise
    except SandboxUnavailable as failure:
        return ProofCheck(OTHERS, None, "; ".join([f"re-scan not possible: {failure.message}", *said]))
    gone = sorted(name for name, rule in bandit.items() if after[rule] < before[rule])
    left = sorted(set(bandit) - set(gone))
    if left:
        said.insert(0, f"still said by {', '.join(left)}")
    if gone:
        said.insert(0, f"{', '.join(gone)} said it before and not after")
    counts = sum(before[rule] for rule in bandit.values()), sum(after[rule] for rule in bandit.values())
    return ProofCheck(OTHERS, bool(gone), "; ".join(said), *counts)


def not_asked(check: ProofCheck | None) -> tuple[str, ...]:
    """What nobody should believe to be proved, where a witness was not asked."""
    if check is None or "re-scan not possible" not in check.said:
        return ()
    return ("the other scanners that saw it were not all asked again: " + check.said.partition("re-scan not possible: ")[2],)


def _bandit(patch: Patch, path: str) -> tuple[Counter[str], Counter[str]]:
    """How often each of its rules fires in one file, without and with a patch. Raises SandboxUnavailable."""
    edit = next((edit for edit in patch.edits if edit.path == path), None)
    if edit is None or edit.before is None or edit.after is None or not path.endswith((".py", ".pyi")):
        raise SandboxUnavailable("Bandit reads Python files only, and the patch changes none that it flagged")
    argv, mounts = _program()
    with private_folder("bandit") as folder:
        files = {folder / "before.py": edit.before, folder / "after.py": edit.after}
        for file, content in files.items():
            file.write_bytes(content)
            file.chmod(0o644)
        found = _run([*argv, "--quiet", "--exit-zero", "--format", "json", *map(str, files)], (*mounts, *files))
    counts = [Counter(one.test_id for one in found.results if Path(one.filename).name == name) for name in ("before.py", "after.py")]
    return counts[0], counts[1]


def _program() -> tuple[list[str], Sequence[Path]]:
    found = shutil.which("bandit")
    if found is None:
        raise SandboxUnavailable("Bandit is not installed here")
    script = Path(found).resolve()
    with script.open("rb") as file:
        line = _SHEBANG.match(file.readline(4_096))
    if line is None:
        raise SandboxUnavailable("the program bandit on PATH is no script of Python's")
    python = runtime(line[1].decode("utf-8", "surrogateescape"))
    return [str(python.binary), str(script)], (*python.mounts, script)


def _run(argv: Sequence[str], readable: Sequence[Path], env: Mapping[str, str] | None = None) -> _Report:
    finished = run_isolated(argv, limits=Limits(wall=SECONDS, cpu=SECONDS, memory=_MEMORY), readable=readable, env=env)
    try:
        report = _Report.model_validate_json(finished.stdout)
    except ValidationError:
        raise SandboxUnavailable("Bandit did not end well") from None
    if report.errors or not finished.ok:
        raise SandboxUnavailable("Bandit could not read the file")
    return report
