"""The repository's own tests: how they are started, and what one run of them says. They run in the sandbox, on a private copy,
without network, credentials or our environment; a repository whose tests cannot run so is told so, and nothing is claimed."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import BaseModel, TypeAdapter, ValidationError

from pipeline.errors import SandboxBusy, SandboxUnavailable
from pipeline.model.fix import TestRun
from pipeline.policy import Policy
from pipeline.ports import SourceFiles
from pipeline.sandbox import process
from pipeline.sandbox.isolation import SYSTEM_FOLDERS
from pipeline.sandbox.process import Limits
from pipeline.sandbox.supervise import Finished
from pipeline.triage.mutants import MARKS
from pipeline.triage.testnames import Style, parse_tests

INSIDE = Path("/repository")
"""Where the copy lies inside the sandbox: the same for every run, so that names of tests are the same."""

OUTPUT = 8 << 20
"""Bytes of output of a test run that we read."""

_PYTHON_TEST = re.compile(r"(^|/)(test_[^/]*|[^/]*_test|tests)\.py$")
_NODE_TEST = re.compile(r"(\.test\.[cm]?js|(^|/)tests?/[^/]*\.[cm]?js)$")

_ASK = """
import importlib.util, json, sys
print(json.dumps({
    "executable": sys.executable, "folders": [sys.prefix, sys.base_prefix, sys.exec_prefix, *[p for p in sys.path if p]],
    "pytest": importlib.util.find_spec("pytest") is not None,
}))
"""


class _Interpreter(BaseModel):
    executable: str
    folders: list[str]
    pytest: bool


@dataclass(frozen=True, slots=True)
class TestPlan:
    """How the tests of a repository are run."""

    argv: tuple[str, ...]
    style: Style
    readable: tuple[Path, ...] = ()
    path: tuple[str, ...] = ()
    """Folders that stand first on PATH inside."""
    said: str = ""
    """Why they cannot be run, or empty."""
    shown: str = field(default="")
    """The command as people know it."""


def plan_tests(files: SourceFiles, policy: Policy, changed: Sequence[str]) -> TestPlan:
    """The command for the repository's tests: the policy's, else plain convention for the language of the changed files.

    Args:
        changed: paths of the patch.

    Raises:
        SandboxBusy: an interpreter could not be asked just now.
    """
    if policy.tests.command:
        return plan_command(policy.tests.command)
    paths = files.paths()
    python_first = any(path.endswith((".py", ".pyi")) for path in changed)
    kinds = (_python, _node) if python_first else (_node, _python)
    said = ""
    for kind in kinds:
        plan = kind(files, paths)
        if plan is not None and not plan.said:
            return plan
        said = said or (plan.said if plan is not None else "")
    return TestPlan((), "exit", said=said or "the repository has no tests that we know how to run")


def run_tests(plan: TestPlan, folder: Path, seconds: float) -> TestRun:
    """Run them once.

    Args:
        folder: a private copy of the repository; the tests may write in it.
        seconds: wall-clock limit.

    Raises:
        SandboxUnavailable: no isolation that keeps them from the network works here; SandboxBusy: not just now.
    """
    return run_and_read(plan, folder, seconds)[0]


def run_and_read(plan: TestPlan, folder: Path, seconds: float, marks: Path | None = None) -> tuple[TestRun, bytes]:
    """As `run_tests`, with what was printed. Raises as it does.

    Args:
        marks: a folder of ours that the tests see as `MARKS` and may write in.
    """
    if plan.said:
        return TestRun("", (), (), 0, 0.0, plan.said), b""
    done = run_plan(plan, folder, seconds, marks)
    printed = done.stdout + b"\n" + done.stderr
    return _read_run(plan, done, printed, seconds), printed


def run_plan(plan: TestPlan, folder: Path, seconds: float, marks: Path | None = None) -> Finished:
    """Run a command of the repository's. Arguments as of `run_and_read`; raises as `run_tests` does."""
    if not process.best_level().isolates:
        raise SandboxUnavailable("the repository's tests are only run where they can be kept from the network", hint="install bubblewrap")
    environment = {
        "PATH": ":".join([*plan.path, "/usr/local/bin", "/usr/bin", "/bin"]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "CI": "1",
        "NO_COLOR": "1",
        "TZ": "UTC",
    }
    return process.run_isolated(
        plan.argv,
        limits=Limits(wall=seconds, cpu=seconds, output=OUTPUT),
        readable=plan.readable,
        writable=[(folder, INSIDE), *([(marks, Path(MARKS))] if marks is not None else [])],
        env=environment,
        cwd=INSIDE,
    )


def _read_run(plan: TestPlan, done: Finished, printed: bytes, seconds: float) -> TestRun:
    passed, failed = parse_tests(plan.style, printed)
    said = ""
    if done.timed_out:
        said = f"the tests did not end within {seconds:.0f} s"
    elif done.out_of_memory:
        said = "the tests ran out of memory"
    elif done.truncated:
        said = "the tests printed too much"
    elif done.exit_code in (126, 127) and not passed:
        said = f"`{plan.shown}` cannot be started in the sandbox"
    if said:
        return TestRun(plan.shown, (), (), done.exit_code, done.seconds, said)
    whole = f"<{plan.shown}>"
    if not passed and not failed:
        none = done.exit_code == 5 or b"Ran 0 tests" in done.stderr or (plan.style == "tap" and done.exit_code == 0)
        if none:
            return TestRun(plan.shown, (), (), done.exit_code, done.seconds, "the repository's tests are none: nothing was run")
        passed, failed = ((whole,), ()) if done.exit_code == 0 else ((), (whole,))
    elif done.exit_code and not failed:
        failed = (whole,)
    return TestRun(plan.shown, passed, failed, done.exit_code, round(done.seconds, 3))


def plan_one(plan: TestPlan, files: SourceFiles, changed: Sequence[str]) -> tuple[TestPlan, tuple[str, ...]]:
    """How one new test file would be run here, its path left out, and the repository's own tests beside which it would lie.

    Without tests of a kind that we know, the language's own runner: nothing has to be installed for it. `said` tells why there is none.
    """
    paths = files.paths()
    if any(path.endswith((".py", ".pyi")) for path in changed):
        tests = tuple(path for path in paths if _PYTHON_TEST.search(path))
        own = plan if plan.style == "pytest" else _python(files, paths)
        if own is not None and own.style == "pytest" and not own.said:
            last = next((n for n, word in enumerate(own.argv) if word.rpartition("/")[2] == "pytest"), len(own.argv) - 1)
            argv = (*own.argv[: last + 1], "-v", "--tb=short", "--color=no", "-p", "no:cacheprovider")
            return replace(own, argv=argv, shown="pytest"), tests
        found = shutil.which("python3")
        interpreter = _interpreter(found) if found else None
        if interpreter is None:
            return TestPlan((), "exit", said="there is no python3 on PATH"), tests
        return TestPlan(
            (interpreter.executable, "-m", "unittest", "-v", "-b"),
            "unittest",
            _outside(interpreter),
            _bin(interpreter),
            shown="python3 -m unittest",
        ), tests
    node = shutil.which("node")
    tests = tuple(path for path in paths if _NODE_TEST.search(path) and "node_modules/" not in path)
    if node is None:
        return TestPlan((), "exit", said="there is no node on PATH"), tests
    real = Path(node).resolve()
    readable: tuple[Path, ...] = () if _is_system(real) else (_installation(real),)
    return TestPlan((str(real), "--test", "--test-reporter=tap"), "tap", readable, (str(real.parent),), shown="node --test"), tests


# --- programs -------------------------------------------------------------------------------------------------------------------------


def plan_command(command: Sequence[str]) -> TestPlan:
    """How a named command is started in the sandbox: its program, found on PATH, and what it needs to see.

    Raises:
        SandboxBusy: an interpreter could not be asked just now.
    """
    name = command[0]
    shown = shlex.join(command)
    if "/" in name and not name.startswith("/"):
        return TestPlan(tuple(command), "exit", shown=shown)
    found = shutil.which(name)
    if found is None:
        return TestPlan((), "exit", said=f"`{name}` of the policy's test command is not installed here")
    if re.fullmatch(r"python[0-9.]*", Path(name).name):
        interpreter = _interpreter(found)
        if interpreter is None:
            return TestPlan((), "exit", said=f"`{name}` does not answer")
        return TestPlan((interpreter.executable, *command[1:]), _style_of(command), _outside(interpreter), _bin(interpreter), shown=shown)
    real = Path(found).resolve()
    readable: tuple[Path, ...] = () if _is_system(real) else (_installation(real),)
    path: tuple[str, ...] = (str(Path(found).parent),)
    script = _interpreter_of_script(Path(found))
    if script is not None:
        readable, path = (*readable, *_outside(script)), (*path, *_bin(script))
    return TestPlan((str(Path(found)), *command[1:]), _style_of(command), _unique([*readable, Path(found)]), path, shown=shown)


def _style_of(command: Sequence[str]) -> Style:
    words = " ".join(command)
    if "pytest" in words:
        return "pytest"
    if "unittest" in words:
        return "unittest"
    return "tap" if "--test" in command or "tap" in words else "exit"


def _python(files: SourceFiles, paths: Sequence[str]) -> TestPlan | None:
    tests = [path for path in paths if _PYTHON_TEST.search(path)]
    if not tests:
        return None
    found = shutil.which("python3")
    interpreter = _interpreter(found) if found else None
    if interpreter is None:
        return TestPlan((), "exit", said="the tests are Python, and there is no python3 on PATH")
    readable, path = _outside(interpreter), _bin(interpreter)
    texts = [files.read(path) or b"" for path in tests[:200]]
    configured = any(path.rsplit("/", 1)[-1] in ("conftest.py", "pytest.ini", "pytest.toml") for path in paths)
    styled = any(re.search(rb"^\s*(import pytest|from pytest)|^(async )?def test_", text, re.MULTILINE) for text in texts)
    if configured or styled:
        if not interpreter.pytest:
            return TestPlan((), "exit", said="the tests need pytest, which python3 on PATH does not have")
        argv: tuple[str, ...] = (interpreter.executable, "-m", "pytest", "-v", "--tb=no", "--color=no", "-p", "no:cacheprovider")
        return TestPlan(argv, "pytest", readable, path, shown="python3 -m pytest")
    if not any(b"unittest" in text for text in texts):
        return None
    argv = (interpreter.executable, "-m", "unittest", "discover", "-v", "-b", *_discover_from(paths, tests))
    return TestPlan(argv, "unittest", readable, path, shown="python3 -m unittest")


def _discover_from(paths: Sequence[str], tests: Sequence[str]) -> tuple[str, ...]:
    """unittest only walks into packages (unittest.html, "Test Discovery"): a folder of tests without __init__.py is named to it."""
    pattern = () if all(re.search(r"(^|/)test[^/]*\.py$", path) for path in tests) else ("-p", "*test*.py")
    folders = sorted({path.rsplit("/", 1)[0] for path in tests if "/" in path})
    if any("/" not in path for path in tests) or not folders:
        return pattern
    top = folders[0]
    parents = ["/".join(top.split("/")[: n + 1]) for n in range(top.count("/") + 1)]
    if all(f"{parent}/__init__.py" in paths for parent in parents):
        return pattern
    return ("-s", top, *pattern)


class _Package(BaseModel):
    scripts: dict[str, str] = {}


_PACKAGE = TypeAdapter(_Package)


def _node(files: SourceFiles, paths: Sequence[str]) -> TestPlan | None:
    script = ""
    if "package.json" in paths:
        try:
            script = _PACKAGE.validate_json(files.read("package.json") or b"{}").scripts.get("test", "").strip()
        except ValidationError:
            return TestPlan((), "exit", said="package.json cannot be read")
    if "no test specified" in script:
        script = ""
    tests = [path for path in paths if _NODE_TEST.search(path) and "node_modules/" not in path]
    if not script and not tests:
        return None
    node = shutil.which("node")
    if node is None:
        return TestPlan((), "exit", said="the tests are JavaScript, and there is no node on PATH")
    real = Path(node).resolve()
    readable: tuple[Path, ...] = () if _is_system(real) else (_installation(real),)
    path = (str(real.parent),)
    plain = re.fullmatch(r"node --test((?: [\w./*-]+)*)", script)
    if not script or plain:
        extra = tuple(shlex.split(plain[1])) if plain else ()
        rest = tuple(word for word in extra if not word.startswith("--test-reporter"))
        return TestPlan((str(real), "--test", "--test-reporter=tap", *rest), "tap", readable, path, shown="node --test")
    npm = shutil.which("npm")
    if npm is None:
        return TestPlan((), "exit", said="package.json has a test script, and there is no npm on PATH")
    home = Path(npm).resolve()
    if not _is_system(home):
        readable = (*readable, _installation(home))
    return TestPlan((str(home), "test", "--silent"), "exit", _unique(readable), path, shown="npm test")


def _interpreter(program: str) -> _Interpreter | None:
    """What a Python on this machine says of itself: the way through wrappers such as pyenv's. Nothing of a repository runs."""
    environment = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": os.environ.get("HOME", "/"), "LANG": "C.UTF-8"}
    try:
        done = process.run([program, "-I", "-c", _ASK], limits=Limits(wall=20, cpu=20, output=1 << 20), env=environment, cwd=Path("/"))
        return TypeAdapter(_Interpreter).validate_json(done.stdout) if done.ok else None
    except SandboxBusy:
        raise  # it is there, and was not even asked
    except (SandboxUnavailable, ValidationError, json.JSONDecodeError):
        return None


def _interpreter_of_script(script: Path) -> _Interpreter | None:
    """The Python that a console script names in its first line."""
    try:
        with script.open("rb") as file:
            first = file.readline(300)
    except OSError:
        return None
    match = re.match(rb"#!\s*(/\S*python[0-9.]*)\s*$", first)
    return _interpreter(os.fsdecode(match[1])) if match else None


def _outside(interpreter: _Interpreter) -> tuple[Path, ...]:
    """What of an interpreter the sandbox does not show anyway."""
    executable = Path(interpreter.executable)
    folders = [Path(name) for name in interpreter.folders] + [executable.resolve().parent.parent]
    return _unique([folder for folder in folders if folder.is_absolute() and folder.is_dir() and not _is_system(folder)])


def _bin(interpreter: _Interpreter) -> tuple[str, ...]:
    return (str(Path(interpreter.executable).parent),)


def _installation(program: Path) -> Path:
    """The folder of an installed program: what holds its `bin`, else its own folder."""
    return program.parent.parent if program.parent.name == "bin" else program.parent


def _is_system(path: Path) -> bool:
    return any(path.is_relative_to(folder) for folder in SYSTEM_FOLDERS)


def _unique(paths: Sequence[Path]) -> tuple[Path, ...]:
    """Without repetitions and without what lies in another one. A home or root folder is never shown whole."""
    forbidden = {Path("/"), Path("/root"), Path("/home"), Path("/etc"), Path("/var"), Path.home()}
    kept: list[Path] = []
    for path in sorted({p for p in paths if p not in forbidden and not _is_system(p)}, key=lambda p: len(p.parts)):
        if not any(path.is_relative_to(other) for other in kept):
            kept.append(path)
    return tuple(kept)
