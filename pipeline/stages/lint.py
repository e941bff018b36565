"""The repository's own linters and formatters, before and after a patch: started in the sandbox only, on a private copy."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pipeline.errors import SandboxBusy, SandboxUnavailable
from pipeline.model.fix import Patch, ProofCheck
from pipeline.sandbox.tree import private_folder
from pipeline.stages.sources import RepositoryFiles, put
from pipeline.stages.testruns import INSIDE, TestPlan, plan_command, run_plan
from pipeline.triage.complaints import LINT, Said, Tool, check_lint, declared, looked_at, read_said

SECONDS = 60.0
"""Wall-clock limit of one run of one tool."""


def lint(patch: Patch, files: RepositoryFiles) -> list[ProofCheck]:
    """The check, or nothing when the repository declares no tool for the changed files.

    Raises:
        SandboxBusy: no program can be started just now; GitError from `files`.
    """
    tools = declared(files, patch)
    if not tools:
        return []
    plans = [(tool, _plan(tool, files)) for tool in tools]
    if all(plan.said for _, plan in plans):
        return [ProofCheck(LINT, None, "; ".join(plan.said for _, plan in plans) + ": not checked")]
    try:
        with private_folder("lint") as folder:
            copy = folder / "repository"
            copy.mkdir()
            trouble = files.materialise(copy)
            if trouble:
                return [ProofCheck(LINT, None, trouble)]
            before = [_ask(tool, plan, copy, [edit.path for edit in patch.edits if edit.before is not None]) for tool, plan in plans]
            for edit in patch.edits:
                put(copy, edit)
            after = [_ask(tool, plan, copy, [edit.path for edit in patch.edits if edit.after is not None]) for tool, plan in plans]
    except SandboxBusy:
        raise
    except SandboxUnavailable as failure:
        return [ProofCheck(LINT, None, failure.message)]
    return [check_lint(patch, list(zip(tools, before, after, strict=True)))]


def _plan(tool: Tool, files: RepositoryFiles) -> TestPlan:
    own = f"node_modules/.bin/{tool.argv[0]}"
    node = shutil.which("node")
    its_own = own in files.paths() and node is not None
    plan = plan_command(("node", own, *tool.argv[1:]) if its_own else tool.argv)
    return replace(plan, said=f"`{tool.argv[0]}` is declared and not installed here") if plan.said else plan


def _ask(tool: Tool, plan: TestPlan, copy: Path, paths: Sequence[str]) -> Said:
    given = looked_at(tool, paths)
    if plan.said or not given:
        return Said(trouble=plan.said)
    done = run_plan(replace(plan, argv=(*plan.argv, *given)), copy, SECONDS)
    if done.timed_out or done.out_of_memory or done.truncated:
        return Said(trouble=f"`{tool.name}` did not end as it should")
    return read_said(tool, done.exit_code, done.stdout, str(INSIDE))
