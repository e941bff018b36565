"""How the tests of a repository are started, and how its state is laid out for them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from pipeline.model.fix import FileEdit
from pipeline.policy import Policy
from pipeline.policy import Tests as PolicyTests
from pipeline.sandbox import process
from pipeline.stages.sources import lay_out, put
from pipeline.stages.testruns import plan_tests, run_tests
from tests.e2e.proof_cases import Memory

UNITTEST = b"import unittest\n\n\nclass T(unittest.TestCase):\n    def test_a(self):\n        pass\n"


def plan(files: Mapping[str, bytes], changed: str = "app.py", command: tuple[str, ...] = ()) -> tuple[str, tuple[str, ...], str]:
    made = plan_tests(Memory(files), Policy(tests=PolicyTests(command=command)), [changed])
    return made.style, made.argv[1:], made.said


@pytest.mark.parametrize(
    ("files", "rest"),
    [
        ({"test_a.py": UNITTEST}, ()),
        ({"tests/test_a.py": UNITTEST}, ("-s", "tests")),
        ({"tests/__init__.py": b"", "tests/test_a.py": UNITTEST}, ()),
        ({"src/app/tests/test_a.py": UNITTEST}, ("-s", "src/app/tests")),
    ],
)
def test_unittest_is_told_where_it_would_not_look_by_itself(files: Mapping[str, bytes], rest: tuple[str, ...]) -> None:
    if shutil.which("python3") is None:
        pytest.skip("python3 is not on PATH")
    style, argv, said = plan(files)
    assert (style, said) == ("unittest", "")
    assert argv == ("-m", "unittest", "discover", "-v", "-b", *rest)


@pytest.mark.parametrize("files", [{"tests/test_a.py": b"def test_a():\n    pass\n"}, {"conftest.py": b"", "tests/test_a.py": UNITTEST}])
def test_tests_for_pytest_are_run_by_pytest_or_not_at_all(files: Mapping[str, bytes]) -> None:
    style, argv, said = plan(files)
    assert (style == "pytest" and argv[:2] == ("-m", "pytest")) or "pytest" in said or "no python3" in said


@pytest.mark.parametrize(
    ("package", "style", "rest"),
    [
        (b'{"scripts": {"test": "node --test"}}', "tap", ("--test", "--test-reporter=tap")),
        (b'{"scripts": {"test": "node --test test/unit"}}', "tap", ("--test", "--test-reporter=tap", "test/unit")),
        (b"{}", "tap", ("--test", "--test-reporter=tap")),
        (b'{"scripts": {"test": "jest && rm -rf x"}}', "exit", ("test", "--silent")),
    ],
)
def test_node_is_asked_by_its_own_runner_or_by_the_script(package: bytes, style: str, rest: tuple[str, ...]) -> None:
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node or npm is not installed")
    assert plan({"package.json": package, "test/a.test.js": b""}, "app.js") == (style, rest, "")


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"app.py": b""}, "no tests that we know how to run"),
        ({"package.json": b'{"scripts": {"test": "echo \\"Error: no test specified\\" && exit 1"}}'}, "no tests that we know how to run"),
        ({"package.json": b"[]", "test/a.test.js": b""}, "package.json cannot be read"),
    ],
)
def test_where_there_is_nothing_to_run_that_is_said(files: Mapping[str, bytes], why: str) -> None:
    assert why in plan(files, "app.js")[2]


def test_the_language_of_the_change_decides_in_a_mixed_repository() -> None:
    if shutil.which("python3") is None or shutil.which("node") is None:
        pytest.skip("python3 or node is not on PATH")
    files = {"tests/test_a.py": UNITTEST, "test/a.test.js": b""}
    assert plan(files, "app.py")[0] == "unittest"
    assert plan(files, "app.js")[0] == "tap"


def test_the_policys_command_must_exist() -> None:
    assert "is not installed here" in plan({}, command=("no-such-program-anywhere", "x"))[2]
    assert plan({}, command=("./run-tests.sh", "x")) == ("exit", ("x",), "")


def test_a_repository_is_laid_out_below_its_folder_and_nowhere_else(tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    folder.mkdir()
    hostile = [("../out.py", b"x", False), ("/etc/x", b"x", False), (".git/config", b"x", False), ("a/../../b", b"x", False)]
    assert lay_out(folder, [("a/b.sh", b"#!/bin/sh\n", True), ("a/c.py", b"c", False), *hostile]) == ""
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()) == ["copy/a/b.sh", "copy/a/c.py"]
    assert os.access(folder / "a/b.sh", os.X_OK)
    assert "cannot be written" in lay_out(folder, [("a/c.py", b"again", False)])


def test_an_edit_is_carried_out_in_the_copy(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_bytes(b"old and long")
    put(tmp_path, FileEdit("a.py", b"old and long", b"new"))
    put(tmp_path, FileEdit("b/c.py", None, b"made"))
    assert ((tmp_path / "a.py").read_bytes(), (tmp_path / "b/c.py").read_bytes()) == (b"new", b"made")
    put(tmp_path, FileEdit("a.py", b"new", None))
    assert not (tmp_path / "a.py").exists()


NODE_TEST = b"""const test = require("node:test");
const assert = require("node:assert");
test("good", () => assert.equal(1, 1));
test("bad", () => assert.equal(1, 2));
"""


@pytest.mark.parametrize(
    ("files", "command", "passed", "failed"),
    [
        ({"test/a.test.js": NODE_TEST}, (), ("good",), ("bad",)),
        ({"check.sh": b"exit 0\n"}, ("sh", "check.sh"), ("<sh check.sh>",), ()),
        ({"check.sh": b"exit 3\n"}, ("sh", "check.sh"), (), ("<sh check.sh>",)),
    ],
)
def test_one_run_in_the_sandbox(
    tmp_path: Path, files: Mapping[str, bytes], command: tuple[str, ...], passed: tuple[str, ...], failed: tuple[str, ...]
) -> None:
    if not process.best_level().isolates:
        pytest.skip("neither bubblewrap nor namespaces work here")
    if not command and shutil.which("node") is None:
        pytest.skip("node is not installed")
    made = plan_tests(Memory(files), Policy(tests=PolicyTests(command=command)), ["app.js"])
    folder = tmp_path / "copy"
    folder.mkdir()
    Memory(files).materialise(folder)
    run = run_tests(made, folder, 60)
    assert (run.passed, run.failed, run.said) == (passed, failed, "")
