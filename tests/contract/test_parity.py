"""The page of hosts side by side is what this suite asks, and no hole in it is without its reason."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from types import ModuleType

import pytest

from pipeline.ports import Capabilities
from tests.contract import test_code_hosts, test_providers
from tests.contract.differences import ABILITIES, NOT_OF_SENDERS, OTHERWISE, TELLTALES, UNKNOWN_CONCLUSIONS
from tests.contract.gaps import ASKED_AT_DOORS, DOORS
from tests.contract.github_host import GithubHost
from tests.contract.gitlab_host import GitlabHost
from tests.contract.hosts import GROUNDS, PROVIDERS, SENDERS
from tests.contract.local_host import LocalWorld
from tests.contract.parity import BEGIN, COLUMNS, PAGE, RECEIVERS, SAME, Behaviour, Notes, behaviours, cell, render, with_tables

SUITES = {test_code_hosts: COLUMNS, test_providers: RECEIVERS}
FOREIGN = {"github: emulate"}
"""Doubles of others: they show how true our own is, and are no host."""


def all_behaviours() -> Iterator[tuple[ModuleType, Behaviour]]:
    """Rows of both suites."""
    return ((module, one) for module in SUITES for one in behaviours(module) if not one.of_suite)


def test_the_page_is_what_the_suite_gives() -> None:
    page = PAGE.read_text("utf-8")
    assert with_tables(page) == page, "run make parity"


def test_a_page_without_its_marks_is_no_page() -> None:
    with pytest.raises(ValueError, match="marks"):
        with_tables("# Hosts")
    with pytest.raises(ValueError, match="marks"):
        with_tables(f"# Hosts\n{BEGIN}\n")


def test_every_world_is_a_column() -> None:
    assert set(COLUMNS) == set(GROUNDS) - FOREIGN
    assert set(RECEIVERS) == set(PROVIDERS) | set(SENDERS)


def test_every_test_of_the_suites_that_asks_a_host_is_a_row() -> None:
    for module in SUITES:
        rows = {one.name for one in behaviours(module) if not one.of_suite}
        tests = {name: inspect.signature(made).parameters for name, made in vars(module).items() if name.startswith("test_")}
        assert rows == {name for name, needs in tests.items() if needs.keys() & {"world", "provider"} and "request" not in needs}
        assert len(rows) > 20


def test_every_capability_is_a_row() -> None:
    assert set(ABILITIES) == {field.name for field in fields(Capabilities)}


def test_no_hole_is_unexplained() -> None:
    reasons = len(re.findall(r"(?m)^\d+\. ", render()))
    for line in render().splitlines():
        for shown in line.strip("| ").split(" | ")[1:] if line.startswith("| ") else ():
            if shown == "no" or shown.startswith(("no ", "yes ", "yes,")):
                number = re.search(r"\[(\d+)\]$", shown)
                assert number, line
                assert 1 <= int(number[1]) <= reasons


def test_who_signs_in_is_left_out_only_where_the_host_itself_is_asked() -> None:
    for module, one in all_behaviours():
        for world in DOORS & set(SUITES[module]):
            shown, there = cell(one.name, world, Notes()), cell(one.name, world.partition(":")[0], Notes())
            assert not (shown == SAME and there.startswith("no")), one.name
            assert shown in (SAME, there) or one.name in ASKED_AT_DOORS, one.name


def test_a_test_that_asks_what_its_world_is_has_its_words() -> None:
    asking = {
        one.name
        for module, one in all_behaviours()
        if any(telltale in inspect.getsource(getattr(module, one.name)) for telltale in TELLTALES)
    }
    assert asking == {*OTHERWISE, *NOT_OF_SENDERS}
    assert {world for known in (*OTHERWISE.values(), *NOT_OF_SENDERS.values()) for world in known} <= {*COLUMNS, *RECEIVERS}


def test_what_is_said_of_worlds_is_so() -> None:
    kinds: Mapping[str, type[GithubHost | GitlabHost | LocalWorld]] = {"github": GithubHost, "gitlab": GitlabHost, "local": LocalWorld}
    anywhere = {name for name, kind in kinds.items() if not kind.only_in_diff}
    assert anywhere == set(OTHERWISE["test_a_line_outside_of_the_diff_costs_only_itself"])
    translated = {name: dict(kind.shown_as) for name, kind in kinds.items() if kind.shown_as}
    assert translated == {"gitlab": UNKNOWN_CONCLUSIONS}
    assert {name.partition(":")[0] for name in OTHERWISE["test_every_conclusion_is_shown"]} == set(translated)
    nothing_to_set_up = {name for name, provider in PROVIDERS.items() if not provider.setup_command}
    assert nothing_to_set_up == set(OTHERWISE["test_the_command_that_sets_it_up_is_one"])
    asked_by_no_page = {name for name, provider in PROVIDERS.items() if provider.setup is None}
    assert asked_by_no_page == {name.partition(":")[0] for name in OTHERWISE["test_what_setup_asks_can_be_told_apart"]}
