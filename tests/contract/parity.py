"""What is held on which host, as a page: `python -m tests.contract.parity` writes the tables of `docs/reference/hosts.md`.

The rows are the tests of this suite, in their order; whether they pass is what running them says. Nothing is run here: a test that a host
is not asked, or is asked in another form, stands there with its reason, and one without a reason fails `test_parity.py`.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from bot.cli import watch
from tests.contract import test_code_hosts, test_providers
from tests.contract.differences import ABILITIES, NOT_OF_SENDERS, NOT_WATCHED, OTHERWISE, WATCH
from tests.contract.gaps import ASKED_AT_DOORS, DOORS, GAPS
from tests.contract.hosts import PROVIDERS

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "hosts.md"
BEGIN, END = "<!-- parity:begin -->", "<!-- parity:end -->"
COLUMNS = {
    "github": "GitHub: an App",
    "github: a job's token": "a job's token",
    "github: a person's token": "a person's token",
    "gitlab": "GitLab: a group's token",
    "gitlab: a person's token": "a person's token",
    "local": "local git",
}
"""Worlds of `test_code_hosts`."""
RECEIVERS = {
    "github": "GitHub",
    "gitlab": "GitLab: a signing token",
    "gitlab: a secret token": "GitLab: a secret token",
    "local": "local git",
}
"""Worlds of `test_providers`."""
HELD, SAME = "yes", "·"


@dataclass(frozen=True)
class Behaviour:
    """One test."""

    name: str
    group: str
    of_suite: bool
    """True when it is about the suite itself: it asks no host, or looks at which one it is."""

    @property
    def said(self) -> str:
        """Its name as a sentence."""
        words = self.name.removeprefix("test_").replace("_", " ")
        return words[0].upper() + words[1:]


@dataclass
class Notes:
    """The reasons, each once, in the order in which they come."""

    known: list[str] = field(default_factory=list)

    def sign(self, reason: str) -> str:
        """What stands in the cell."""
        if reason not in self.known:
            self.known.append(reason)
        return f"[{self.known.index(reason) + 1}]"


def behaviours(module: ModuleType) -> Iterator[Behaviour]:
    """The tests of a module, in order, each with the heading above it."""
    group = ""
    for line in inspect.getsource(module).splitlines():
        if heading := re.fullmatch(r"# --- (.+) ---", line):
            group = heading[1]
        elif test := re.match(r"def (test_\w+)\(", line):
            needs = inspect.signature(getattr(module, test[1])).parameters.keys()
            yield Behaviour(test[1], group, "request" in needs or not needs & {"world", "provider"})


def asked(test: str, world: str) -> bool:
    """False for a test whose outcome does not depend on who signs in: it is asked once a host."""
    return world not in DOORS or test in ASKED_AT_DOORS


def parts(test: str, world: str) -> tuple[str, Sequence[str]]:
    """Why some cases of a test are not asked there, and which."""
    found = {case: why for case, why in GAPS.get(world, {}).items() if case.partition("[")[0] == test and "[" in case}
    return next(iter(found.values()), ""), [_plain(case.partition("[")[2].removesuffix("]")) for case in found]


def _plain(case: str) -> str:
    """A parameter as it was before pytest wrote it in ASCII."""
    return re.sub(r"\\x([0-9a-f]{2})", lambda found: chr(int(found[1], 16)), case)


def cell(test: str, world: str, notes: Notes) -> str:
    """How it stands with one behaviour in one world."""
    if not asked(test, world):
        there = cell(test, world.partition(":")[0], notes)
        return there if there.startswith("no") else SAME
    if whole := GAPS.get(world, {}).get(test) or NOT_OF_SENDERS.get(test, {}).get(world):
        return f"no {notes.sign(whole)}"
    why, cases = parts(test, world)
    if why:
        return f"yes, but not for {', '.join(f'`{case}`' for case in cases)} {notes.sign(why)}"
    otherwise = OTHERWISE.get(test, {}).get(world)
    return f"yes {notes.sign(otherwise)}" if otherwise else HELD


def behaviour_table(module: ModuleType, columns: Mapping[str, str], notes: Notes) -> list[str]:
    """One module's tests."""
    lines: list[str] = []
    group = ""
    for behaviour in behaviours(module):
        if behaviour.of_suite:
            continue
        if behaviour.group != group:
            group = behaviour.group
            lines += ["", f"### {group[0].upper()}{group[1:]}", "", _row(["", *columns.values()]), _row(["---"] * (len(columns) + 1))]
        lines.append(_row([behaviour.said, *(cell(behaviour.name, world, notes) for world in columns)]))
    return lines[1:]


def ability_table(notes: Notes) -> list[str]:
    """What each host can do (`pipeline.ports.Capabilities`), and which one we look at unasked."""
    titles = {"github": "GitHub", "gitlab": "GitLab", "local": "local git"}
    lines = [_row(["", *(titles.get(name, name) for name in PROVIDERS)]), _row(["---"] * (len(PROVIDERS) + 1))]
    for ability in ABILITIES.values():
        row = [ability.said]
        for name, provider in PROVIDERS.items():
            shown = ability.shown(provider.capabilities)
            row.append(f"no {notes.sign(ability.why[name])}" if shown == "no" else shown)
        lines.append(_row(row))
    looked_at = [HELD if name == watch.PROVIDER else f"no {notes.sign(NOT_WATCHED[name])}" for name in PROVIDERS]
    return [*lines, _row([WATCH, *looked_at])]


def render() -> str:
    """Everything between the marks."""
    notes = Notes()
    sections: list[tuple[str, Callable[[], list[str]]]] = [
        ("What a host has", lambda: ability_table(notes)),
        ("What is done there", lambda: behaviour_table(test_code_hosts, COLUMNS, notes)),
        ("What is received from there", lambda: behaviour_table(test_providers, RECEIVERS, notes)),
    ]
    lines: list[str] = []
    for title, made in sections:
        lines += [f"## {title}", "", *made(), ""]
    lines += ["## The reasons", "", *(f"{number}. {why[0].upper()}{why[1:]}." for number, why in enumerate(notes.known, 1))]
    return "\n".join(lines)


def with_tables(page: str) -> str:
    """The page with the tables of now. Raises ValueError when it has no marks."""
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        raise ValueError("the page lacks the marks of the tables")
    return f"{head}{BEGIN}\n\n{render()}\n\n{END}{tail}"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> int:
    """Write the page."""
    before = PAGE.read_text("utf-8")
    after = with_tables(before)
    PAGE.write_text(after, "utf-8")
    print(f"{PAGE.relative_to(Path.cwd()) if PAGE.is_relative_to(Path.cwd()) else PAGE}: {'written' if after != before else 'as it was'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
