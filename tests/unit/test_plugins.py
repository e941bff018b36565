"""Plug-ins: a file in the right folder is found; a wrong or doubled one stops the start instead of being left out."""

from __future__ import annotations

import importlib
import pkgutil
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Protocol, runtime_checkable

import pytest

import pipeline.commands
import pipeline.exploits
import pipeline.fixers
import pipeline.reports
import pipeline.scanners
import providers
from bot.wiring import discover_plugins
from pipeline.errors import PluginInvalid
from pipeline.model.finding import Rule
from pipeline.plugins import discover
from pipeline.ports import Command, Exploit, Fixer, Provider, Renderer, Scanner
from tests.unit.fixers.cases import WITHOUT_FIXER

KINDS: dict[str, tuple[ModuleType, str, type[object]]] = {
    "providers": (providers, "PROVIDER", Provider),
    "scanners": (pipeline.scanners, "SCANNER", Scanner),
    "fixers": (pipeline.fixers, "FIXER", Fixer),
    "exploits": (pipeline.exploits, "EXPLOIT", Exploit),
    "reports": (pipeline.reports, "RENDERER", Renderer),
    "commands": (pipeline.commands, "COMMAND", Command),
}


@runtime_checkable
class Greeter(Protocol):
    """A kind of plug-in that only this test has."""

    name: str

    def greet(self) -> str:
        """Say something."""


Write = Callable[..., ModuleType]


@pytest.fixture
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Write]:
    """Makes a package out of texts by module name."""
    made: list[str] = []

    def write(**modules: str) -> ModuleType:
        name = f"plugins_of_a_test_{abs(hash(request.node.nodeid))}"
        place = tmp_path / name
        place.mkdir()
        for module, text in modules.items():
            (place / f"{module}.py").write_text(text, "utf-8")
        package = types.ModuleType(name)
        package.__path__ = [str(place)]
        sys.modules[name] = package
        made.append(name)
        importlib.invalidate_caches()
        return package

    yield write
    for name in made:
        for loaded in [module for module in sys.modules if module == name or module.startswith(f"{name}.")]:
            del sys.modules[loaded]


GOOD = """
class Plain:
    name = {name!r}
    def greet(self):
        return "hello"
GREETER = Plain()
"""


# --- the folders of this version ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_every_folder_of_plug_ins_is_discovered(kind: str) -> None:
    package, constant, protocol = KINDS[kind]
    found = discover(package, constant, protocol)
    exporting = [
        info.name
        for info in pkgutil.iter_modules(package.__path__)
        if hasattr(importlib.import_module(f"{package.__name__}.{info.name}"), constant)
    ]
    assert len(found) == len(exporting) >= 1


@pytest.mark.parametrize("kind", KINDS)
def test_no_plug_in_file_forgets_to_export_itself(kind: str) -> None:
    """In these folders every module is a plug-in; what several share stands elsewhere or in a package of one of them."""
    package, constant, _ = KINDS[kind]
    for info in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        assert hasattr(module, constant), f"{module.__name__} exports no {constant}"


def test_what_this_version_has_is_all_wired() -> None:
    plugins = discover_plugins()
    assert set(plugins.providers) >= {"github", "gitlab", "local"}
    assert {str(scan_type) for scan_type in plugins.scanners} == {"secrets_scan", "semgrep_scan"}
    assert set(plugins.commands) == {"cancel", "explain", "fix", "help", "refine", "rotated", "scan", "status", "waive"}
    formats = {"text", "json", "sarif", "markdown", "codequality", "gitlab-sast", "gitlab-secrets"}
    assert set(discover(pipeline.reports, "RENDERER", Renderer)) == formats


@runtime_checkable
class _WithRules(Protocol):
    """What our scanners can do beyond the port: name their rules."""

    def rules(self) -> dict[str, Rule]:
        """By id."""


def test_every_rule_has_exactly_one_fixer_or_a_reason_to_have_none() -> None:
    fixers = discover(pipeline.fixers, "FIXER", Fixer).values()
    rules: list[str] = []
    for scanner in discover(pipeline.scanners, "SCANNER", Scanner).values():
        assert isinstance(scanner, _WithRules)
        rules += scanner.rules()
    answering = {rule: [fixer.name for fixer in fixers if fixer.answers(rule)] for rule in rules}
    assert len(answering) > 12
    assert {rule for rule, names in answering.items() if not names} == WITHOUT_FIXER.keys()
    assert {rule: names for rule, names in answering.items() if len(names) > 1} == {}


@pytest.mark.parametrize(
    "rule", ["", "python", "python.", "secrets", "python.no-such-rule", "ruby.sql-injection", "python.sql-injection.x"]
)
def test_no_fixer_answers_for_a_rule_that_is_not_there(rule: str) -> None:
    assert [fixer.name for fixer in discover(pipeline.fixers, "FIXER", Fixer).values() if fixer.answers(rule)] == []


# --- wrong ones -----------------------------------------------------------------------------------------------------------------------


def test_plug_ins_are_found_in_the_order_of_their_files(folder: Write) -> None:
    package = folder(zebra=GOOD.format(name="ant"), bee=GOOD.format(name="bee"))
    assert list(discover(package, "GREETER", Greeter)) == ["bee", "ant"]
    assert discover(package, "GREETER", Greeter)["ant"].greet() == "hello"


def test_a_module_without_the_constant_is_shared_code(folder: Write) -> None:
    package = folder(one=GOOD.format(name="one"), common="VALUE = 1\n")
    assert list(discover(package, "GREETER", Greeter)) == ["one"]


def test_an_empty_folder_has_no_plug_ins(folder: Write) -> None:
    assert discover(folder(), "GREETER", Greeter) == {}


def test_two_of_one_name_are_refused(folder: Write) -> None:
    package = folder(one=GOOD.format(name="same"), two=GOOD.format(name="same"))
    with pytest.raises(PluginInvalid, match="called same"):
        discover(package, "GREETER", Greeter)


@pytest.mark.parametrize(
    "text",
    [
        "GREETER = object()\n",
        "GREETER = 'a name only'\n",
        "class Nameless:\n    def greet(self):\n        return ''\nGREETER = Nameless()\n",
        "class Silent:\n    name = 'silent'\nGREETER = Silent()\n",
    ],
    ids=["an object", "a string", "no name", "no method"],
)
def test_a_wrong_export_is_refused_with_its_place(folder: Write, text: str) -> None:
    package = folder(wrong=text)
    with pytest.raises(PluginInvalid, match=r"wrong\.GREETER is no Greeter"):
        discover(package, "GREETER", Greeter)


def test_a_plug_in_that_cannot_be_imported_stops_the_start(folder: Write) -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_package"):
        discover(folder(broken="import no_such_package_of_ours\n"), "GREETER", Greeter)
