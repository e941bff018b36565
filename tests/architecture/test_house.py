"""Rules of the house that no linter knows. What import-linter and ruff hold is not repeated here."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from bot.settings import VARIABLES, variable_of
from bot.wiring import discover_plugins

ROOT = Path(__file__).parents[2]
PACKAGES = ("bot", "providers", "pipeline")
OURS = (*PACKAGES, "tests", "benchmarks")
EXAMPLES = (ROOT / "pipeline" / "rules", ROOT / "tests" / "samples")
"""Bad code, on purpose."""

BOUNDARIES = ROOT / "docs" / "decisions" / "0003-boundaries.md"
RULES = sorted(
    path for path in (ROOT / "pipeline" / "rules").glob("*/*.yml") if not path.name.endswith((".residue.yml", ".bad.yml", ".good.yml"))
)
LOCKS = sorted([*ROOT.glob("requirements*.txt"), *ROOT.glob("pipeline/*.lock")])


def _sources(*folders: str) -> Iterator[Path]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "__pycache__" not in path.parts and not any(path.is_relative_to(place) for place in EXAMPLES):
                yield path


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


# --- names ----------------------------------------------------------------------------------------------------------------------------


def test_no_file_is_named_for_being_left_over() -> None:
    """Such a name says nothing of what is inside, so everything fits in."""
    empty = {"util", "utils", "helper", "helpers", "manager", "managers", "misc", "common", "data", "stuff"}
    assert [_name(path) for path in _sources(*OURS) if path.stem in empty or (path.stem == "__init__" and path.parent.name in empty)] == []


def test_every_package_says_what_it_is_for() -> None:
    assert [_name(path) for path in _sources(*PACKAGES) if not ast.get_docstring(_tree(path)) and path.read_text("utf-8").strip()] == []


def test_every_test_module_says_what_it_holds() -> None:
    assert [_name(path) for path in _sources("tests") if path.name.startswith("test_") and not ast.get_docstring(_tree(path))] == []


def test_every_part_of_the_domain_has_its_layer_in_the_drawing() -> None:
    """The drawing of 0001, the folder, and the contract in pyproject.toml tell the same."""
    record = (ROOT / "docs" / "decisions" / "0001-house.md").read_text("utf-8")
    drawn = [set(re.findall(r"\w+", line)) for line in re.findall(r"^    ([\w |]+)$", record, re.MULTILINE)]
    parts = _parts("pipeline")
    assert set().union(*drawn) == parts
    assert [layer & parts for layer in _layers("inside pipeline")] == drawn


def test_every_part_of_the_edge_has_one_layer() -> None:
    """import-linter says nothing of a module that no layer names: it may import whatever it likes."""
    assert sorted(part for layer in _layers("inside bot") for part in layer) == sorted(_parts("bot"))


def _parts(package: str) -> set[str]:
    """Its modules and packages."""
    found = {path.stem for path in (ROOT / package).iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    return found - {"__init__"}


def _layers(contract: str) -> list[set[str]]:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    layers = next(one["layers"] for one in contracts if one["name"] == contract)
    return [set(re.findall(r"\w+", layer)) for layer in layers]


INTERNAL = {"FIXWRIGHT_EMBEDDED_CHILD", "FIXWRIGHT_TMPDIR"}
"""Handed from `fixwright up` to its children; read by the sandbox, which must not know the settings of the edge."""


def test_no_setting_is_read_that_doctor_does_not_list() -> None:
    listed = {variable.name for variable in VARIABLES}
    listed |= {variable_of(provider, setting.name) for provider in discover_plugins().providers.values() for setting in provider.settings}
    named = {
        node.value: _name(path)
        for path in _sources(*PACKAGES)
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch(r"FIXWRIGHT_[A-Z_]*[A-Z]", node.value)
    }
    assert len(named) > 5
    assert {name: place for name, place in named.items() if name not in listed | INTERNAL} == {}


# --- text -----------------------------------------------------------------------------------------------------------------------------


def test_nothing_is_put_off_in_a_comment() -> None:
    mark = re.compile(r"#.*\b(?:TO" + r"DO|FIX" + r"ME|X" + r"XX|HA" + r"CK)\b")
    found = [
        f"{_name(path)}:{number}"
        for path in _sources(*OURS)
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if mark.search(line) and "SKIP|" not in line and path.name != "test_testnames.py"
    ]
    assert found == []


def test_modules_stay_readable() -> None:
    """400 lines are a habit, not a gate; this only stops what nobody would read to its end."""
    assert [_name(path) for path in _sources(*PACKAGES) if len(path.read_text("utf-8").splitlines()) > 500] == []


def test_every_silenced_warning_says_why_or_names_its_rule() -> None:
    bare = re.compile(r"#\s*(?:noqa(?!:)|type:\s*ignore(?!\[))")
    found = [
        f"{_name(path)}:{number}"
        for path in _sources(*OURS)
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if bare.search(line) and path.name != "test_house.py"
    ]
    assert found == []


# --- boundaries -----------------------------------------------------------------------------------------------------------------------


def _broad_catches() -> set[tuple[str, str]]:
    """Where everything is caught, as (file, function)."""
    found = set()
    for path in _sources(*PACKAGES):
        for function in ast.walk(_tree(path)):
            if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            for node in ast.walk(function):
                if isinstance(node, ast.ExceptHandler) and _is_broad(node.type):
                    found.add((_name(path), function.name))
    return found


def _is_broad(kind: ast.expr | None) -> bool:
    if kind is None:
        return True
    names = kind.elts if isinstance(kind, ast.Tuple) else [kind]
    return any(isinstance(name, ast.Name) and name.id in ("Exception", "BaseException") for name in names)


def test_everything_is_caught_only_at_the_boundaries_that_are_written_down() -> None:
    listed = re.findall(r"^\| `([\w/.]+)` \| `(\w+)` \|", BOUNDARIES.read_text("utf-8"), re.MULTILINE)
    assert _broad_catches() == set(listed)


def test_programs_are_started_in_the_sandbox_only() -> None:
    """import-linter holds `subprocess`; these are the other ways."""
    starters = re.compile(r"(?:system|popen|exec[lv]p?e?|spawn\w+|posix_spawnp?|create_subprocess_\w+|fork|forkpty)")
    found = {
        _name(path)
        for path in _sources(*PACKAGES)
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id in ("os", "pty", "asyncio")
        and starters.fullmatch(node.func.attr)
    }
    assert {name for name in found if not name.startswith("pipeline/sandbox/")} == set()
    assert found, "the pattern finds nothing, not even in the sandbox"


STARTERS = {
    "subprocess",
    "pty",
    "multiprocessing",
    "concurrent.futures.process",
    "pexpect",
    "sh",
    "plumbum",
    "fabric",
    "invoke",
    "popen2",
    "commands",
}
"""Modules that start programs or processes."""


def test_no_module_but_the_sandbox_has_a_way_to_start_programs() -> None:
    """However it is written: imported whole, by name, under another name, or looked up."""
    found = set()
    for path in _sources(*PACKAGES):
        for node in ast.walk(_tree(path)):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("import_module", "importlib.import_module", "getattr"):
                names = [arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
            if any(name in STARTERS or name == "ProcessPoolExecutor" or name.endswith(".ProcessPoolExecutor") for name in names):
                found.add(_name(path))
            ours = isinstance(node, ast.ImportFrom) and node.module in ("os", "asyncio")
            if ours and any(
                re.fullmatch(r"system|popen|exec.*|spawn.*|posix_spawn.*|fork.*|create_subprocess.*", n.rpartition(".")[2]) for n in names
            ):
                found.add(_name(path))
    assert {name for name in found if not name.startswith("pipeline/sandbox/")} == set()
    assert "pipeline/sandbox/process.py" in found


def test_nothing_is_run_from_text() -> None:
    calls = {"eval", "exec", "compile", "__import__"}
    found = [
        f"{_name(path)}:{node.lineno}"
        for path in _sources(*PACKAGES)
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in calls
    ]
    assert found == []


def test_objects_are_never_read_from_pickles() -> None:
    """RQ would; the queue is given a JSON serializer, and its jobs carry an id only."""
    readers = {"pickle", "marshal", "shelve", "dill", "cloudpickle"}
    found = [_name(path) for path in _sources(*PACKAGES) if readers & set(_imports(path))]
    assert found == []


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


# --- what is installed ----------------------------------------------------------------------------------------------------------------


def test_there_are_locks() -> None:
    assert {path.name for path in LOCKS} >= {"requirements.txt", "requirements-dev.txt", "requirements-build.txt", "engines.lock"}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_a_lock_pins_every_package_with_its_hash_and_names_no_address(lock: Path) -> None:
    text = lock.read_text("utf-8")
    entries = re.split(r"\n(?=\S)", "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#")).strip())
    assert len(entries) >= 1
    for entry in entries:
        assert re.match(r"[A-Za-z0-9._-]+==[^\s;\\]+", entry), entry.splitlines()[0]
        hashes = re.findall(r"--hash=(\S+)", entry)
        assert hashes and all(re.fullmatch(r"sha256:[0-9a-f]{64}", one) for one in hashes), entry.splitlines()[0]
    assert not re.search(r"https?://|--(?:extra-)?index-url|--find-links|--trusted-host", text)


def test_every_runtime_dependency_is_locked_and_has_its_reason() -> None:
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    wanted = re.findall(r'^  "([A-Za-z0-9._-]+)', project.split("dependencies = [")[1].split("\n]")[0], re.MULTILINE)
    locked = set(re.findall(r"^([A-Za-z0-9._-]+)==", (ROOT / "requirements.txt").read_text("utf-8"), re.MULTILINE))
    record = (ROOT / "docs" / "decisions" / "0002-dependencies.md").read_text("utf-8")
    assert len(wanted) > 10
    assert [name for name in wanted if name.lower() not in locked] == []
    assert [name for name in wanted if f"| `{name}` |" not in record] == []


# --- rules ----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_rule_has_a_bad_and_a_good_example_beside_it(rule: Path) -> None:
    for kind in ("bad", "good"):
        found = list(rule.parent.glob(f"{rule.stem}.{kind}.*"))
        assert len(found) == 1, f"{rule.stem}.{kind}"
        assert len(found[0].read_text("utf-8").splitlines()) > 5


def test_every_example_belongs_to_a_rule() -> None:
    rules = {(path.parent, path.stem) for path in RULES}
    assert len(rules) >= 12
    lost = [_name(p) for p in (ROOT / "pipeline" / "rules").glob("*/*.*.*") if (p.parent, p.name.split(".")[0]) not in rules]
    assert lost == []
