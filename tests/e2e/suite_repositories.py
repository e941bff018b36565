"""Small repositories whose tests are strong, weak or blind by construction: for `tests/e2e/test_suites.py` and the benchmark `suites`.

Each has one module with a weakness that a fixer mends, and one suite of tests of which it is known, before anything is run, whether it
reaches the weak place. `«` and `»` stand around what the fixer changes: they are taken out, or become a probe (`tests.e2e.suite_trials`).
"""

from __future__ import annotations

import posixpath
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["strong", "weak", "half", "blind"]
"""Strong: the weak place is run and what it does is asserted. Weak: it is run, and nothing of it is asserted. Half: one of two such places
is run. Blind: none is."""

NAMES = (
    *("people", "orders", "ledger", "parcels", "tickets", "menus", "courses", "grades", "rooms", "sensors", "recipes", "planets"),
    *("trains", "rivers", "badges", "quotes", "stamps", "maps", "songs", "films", "plants", "bikes", "boats", "clocks", "coins"),
    *("doors", "drills", "farms", "flags", "forms", "games", "hotels", "islands", "jobs", "kites", "labels", "lamps", "meters"),
    *("notes", "offers", "pages", "queues", "roads", "shelves", "shops", "taxes", "teams", "tools", "tours", "units", "visits", "wards"),
    *("wells", "yards", "zones", "ports", "peaks", "pumps", "racks", "seats", "trays", "vans"),
    *("arches", "bands", "cards", "deals", "eggs", "fields", "goods", "herds", "inks", "jars", "keys", "lists", "masks", "nets", "oars"),
)
"""Of modules: each repository has its own, so that one run of an engine can look at those of all."""


@dataclass(frozen=True)
class Subject:
    """A module with a weak place. `MODULE` in the texts of the tests is its name there."""

    rule: str
    code: str
    call: str
    """Runs the weak place."""
    expected: str
    """What that gives once it is mended."""
    function: str
    around: str = "pass"
    """Calls the same function so that it returns before the weak place."""
    setup: str = ""
    """What the tests need besides the module."""
    beside: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Suite:
    """The tests of one repository."""

    kind: Kind
    words: str
    """What is special of them."""
    tests: tuple[tuple[str, str], ...] = ()
    """Names and bodies."""
    loads: bool = True
    """Whether the test file loads the module."""
    head: str = ""
    """Text above the tests."""
    tail: str = ""
    """Text below them."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Others; `PATH` in a text is the module's path."""
    file: str = ""
    """Path of the test file, `MODULE` in it, instead of where such files lie."""
    command: str = ""
    """How the tests are run, by policy; empty: as such tests are run by convention."""
    script: str = ""
    """The same for package.json."""
    framework: str = ""
    """The only one that it is made for."""
    layout: str = ""
    """Likewise."""
    marks: Mapping[str, str] = field(default_factory=dict)
    """Name of a test -> what stands above it."""


@dataclass(frozen=True)
class Repository:
    """One of the forty."""

    language: str
    suite: Suite
    subject: Subject
    path: str
    """Of the weak module."""
    texts: Mapping[str, str]
    """Every file, with `«` and `»` in the weak module."""
    command: tuple[str, ...]
    """How people who work on it run its tests; empty when it has none."""
    layout: str
    framework: str

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.suite.kind}: {self.suite.words} ({self.framework}, {self.layout}, {self.subject.rule})"

    @property
    def files(self) -> dict[str, bytes]:
        """As it is published."""
        return {path: text.replace("«", "").replace("»", "").encode() for path, text in self.texts.items()}


def made(chance: random.Random, python: list[tuple[Subject, Suite]], javascript: list[tuple[Subject, Suite]]) -> list[Repository]:
    """All of them; names, layouts and frameworks are drawn."""
    names = iter(chance.sample(NAMES, len(NAMES)))
    return [build_python(subject, suite, next(names), chance) for subject, suite in python] + [
        build_javascript(subject, suite, next(names), chance) for subject, suite in javascript
    ]


# --- Python ---------------------------------------------------------------------------------------------------------------------------


def build_python(subject: Subject, suite: Suite, name: str, chance: random.Random) -> Repository:
    """A repository in Python: flat, a package, or under src/; unittest or pytest; a command by convention or by policy."""
    layout = suite.layout or chance.choice(("flat", "package", "src/"))
    framework = suite.framework or chance.choice(("unittest", "pytest"))
    top = {"flat": "", "package": "shop/", "src/": "src/shop/"}[layout]
    path = f"{top}{name}.py"
    loading = f"import {name}" if layout == "flat" else f"from shop import {name}"
    texts = {path: subject.code, "README.md": f"# {name}\n", **subject.beside}
    if top:
        texts[f"{top}__init__.py"] = ""
    file = suite.file or f"{'' if layout == 'flat' else 'tests/'}test_MODULE.py"
    folder = file.rpartition("/")[0]
    if suite.tests:
        texts[file.replace("MODULE", name)] = _python_tests(subject, suite, framework, loading)
        if folder:
            texts[f"{folder}/__init__.py"] = 'import sys\n\nsys.path.insert(0, "src")\n' if layout == "src/" else ""
    command = ["python3", "-m", "pytest"] if framework == "pytest" else ["python3", "-m", "unittest", "discover", "-v"]
    if suite.command:
        command = suite.command.split()
    by_policy = bool(suite.command) or (bool(suite.tests) and chance.random() < 0.3)
    if layout == "src/" and framework == "pytest":
        texts["pytest.ini"] = "[pytest]\npythonpath = src\n"
    texts |= {where: text.replace("PATH", path) for where, text in suite.files.items()}
    if by_policy:
        shown = [*command, "-v"] if framework == "pytest" and "-v" not in command else command
        texts[".fixwright.yml"] = f"tests:\n  command: [{', '.join(shown)}]\n"
    way = repr(posixpath.relpath(path, folder or "."))
    texts = {where: text.replace("MODULE", name).replace("WAY", way) for where, text in texts.items()}
    return Repository("python", suite, subject, path, texts, tuple(command) if suite.tests else (), layout, framework)


def _python_tests(subject: Subject, suite: Suite, framework: str, loading: str) -> str:
    lines = ["import unittest" if framework == "unittest" else "import pytest"]
    lines += [loading] if suite.loads else []
    lines += ["", suite.head or "", subject.setup if suite.loads else "", ""]
    if framework == "unittest":
        lines += ["class SuiteTest(unittest.TestCase):"]
    for name, body in suite.tests:
        pad = "    " if framework == "unittest" else ""
        mark = suite.marks.get(name, "").replace(
            "SKIP", '@unittest.skip("slow")' if framework == "unittest" else '@pytest.mark.skip("slow")'
        )
        lines += [f"{pad}{mark}"] * bool(mark)
        lines += [f"{pad}def test_{name}({'self' if framework == 'unittest' else ''}):"]
        lines += [f"{pad}    {line}" for line in _said(body, subject).split("\n")] + [""]
    return "\n".join([*lines, _said(suite.tail, subject)])


def _said(text: str, subject: Subject) -> str:
    return (
        text.replace("CALL", subject.call)
        .replace("EXPECTED", subject.expected)
        .replace("AROUND", subject.around)
        .replace("FUNCTION", subject.function)
    )


# --- JavaScript -----------------------------------------------------------------------------------------------------------------------


def build_javascript(subject: Subject, suite: Suite, name: str, chance: random.Random) -> Repository:
    """A repository in JavaScript: CommonJS or modules, flat, lib/ or src/, node --test or npm test."""
    layout = chance.choice(("flat", "lib/", "src/"))
    modules = chance.random() < 0.4
    suffix = "mjs" if modules else "js"
    top = "" if layout == "flat" else layout
    path = f"{top}{name}.{suffix}"
    file = (suite.file or f"{'' if layout == 'flat' else 'test/'}MODULE.test.{suffix}").replace("MODULE", name)
    way = ("../" if "/" in file else "./") + top
    texts = {path: _module(subject.code, modules), "README.md": f"# {name}\n", **subject.beside}
    if suite.tests:
        texts[file] = _javascript_tests(subject, suite, modules, f"{way}{name}.{suffix}")
    command = ("npm", "test") if suite.script else ("node", "--test")
    if suite.script or chance.random() < 0.5:
        script = suite.script or "node --test"
        texts["package.json"] = '{"name": "shop", "version": "1.0.0", "scripts": {"test": "' + script + '"}}\n'
    elif suite.tests and chance.random() < 0.3:
        texts[".fixwright.yml"] = "tests:\n  command: [node, --test, --test-reporter=tap]\n"
    texts |= {where: text.replace("PATH", path) for where, text in suite.files.items()}
    texts = {where: text.replace("MODULE", "tested").replace("WAY", path) for where, text in texts.items()}
    return Repository(
        "javascript",
        suite,
        subject,
        path,
        texts,
        command if suite.tests else (),
        layout,
        "npm test" if suite.script else "node --test",
    )


def _module(code: str, modules: bool) -> str:
    """The same code as a module of CommonJS (as it is written) or of ECMAScript."""
    if not modules:
        return code
    lines = []
    for line in code.split("\n"):
        if " = require(" in line:
            what, _, source = line.removeprefix("const ").partition(" = require(")
            lines.append(f"import {what} from {source.removesuffix(');')};")
        else:
            lines.append(line.replace("module.exports = {", "export {"))
    return "\n".join(lines)


def _javascript_tests(subject: Subject, suite: Suite, modules: bool, way: str) -> str:
    required = {"test": "node:test", "assert": "node:assert"}
    lines = [f'import {n} from "{s}";' if modules else f'const {n} = require("{s}");' for n, s in required.items()]
    if suite.loads:
        lines += [f'import * as MODULE from "{way}";' if modules else f'const MODULE = require("{way}");', subject.setup]
    if suite.head:
        lines += [suite.head.replace('require("fs")', "process.getBuiltinModule('fs')")]
    for name, body in suite.tests:
        options = suite.marks.get(name, "")
        lines += [f"test({name if name.startswith(chr(96)) else chr(34) + name + chr(34)}, {options}async () => {{"]
        lines += [f"  {line}" for line in _said(body, subject).split("\n")] + ["});"]
    return "\n".join(lines) + "\n"
