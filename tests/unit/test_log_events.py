"""docs/reference/log-events.md has every event that our code logs, at its level, and no other: who greps a log at night finds its page."""

from __future__ import annotations

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "log-events.md"

LEVELS = {"debug": "debug", "info": "info", "warning": "warning", "error": "error", "exception": "error"}
"""Methods of a logger, and the level that a line of theirs shows."""
OTHER_METHODS = {"critical", "fatal", "log", "warn"}
"""They would escape this page; nothing of ours uses them."""

EVENT = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*\Z")
PASSED = "self._manners.tripped"
"""The one event whose name its logger is given: `Manners(tripped=...)` of a host, see `pipeline.limits`."""


class Found(NamedTuple):
    """What one source text logs."""

    events: list[tuple[str, str]]
    """Name and level."""
    unnamed: list[str]
    """First arguments of a logger's calls that are no event's name, or of its other methods; and methods that are not called at once."""


def _last(node: ast.expr) -> str:
    """The last word of a name: `getLogger` of `logging.getLogger`, `_log` of `self._log`; empty for what has none."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _makes_logger(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Call) and _last(node.func) in ("getLogger", "getChild", "LoggerAdapter")


def _loggers(nodes: Iterable[ast.AST]) -> set[str]:
    """Names (`log`, `_log` of an object) that a module gives to loggers."""
    made = [node for node in nodes if isinstance(node, ast.Assign | ast.AnnAssign) and _makes_logger(node.value)]
    return {_last(target) for node in made for target in (node.targets if isinstance(node, ast.Assign) else [node.target])}


def _is_logger(receiver: ast.expr, names: set[str]) -> bool:
    """Also one that comes from another module, by the names that loggers have."""
    name = _last(receiver)
    return name in names or name.lower().strip("_") in ("log", "logger", "logging") or _makes_logger(receiver)


def read(source: str) -> Found:
    """What a module logs. A literal that looks like an event counts whoever logs it; what a logger says besides has no name here."""
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call | ast.Assign | ast.AnnAssign | ast.Attribute)]
    calls = {node.func: node for node in nodes if isinstance(node, ast.Call)}
    names, found = _loggers(nodes), Found([], [])
    for name, call in calls.items():
        if _last(name) == "Manners":
            found.events.extend((_text(word.value), "warning") for word in call.keywords if word.arg == "tripped")
    for method in nodes:
        if not isinstance(method, ast.Attribute) or method.attr not in {*LEVELS, *OTHER_METHODS}:
            continue
        arguments = calls[method].args if method in calls else []
        event = _text(arguments[0]) if arguments else ""
        if method.attr in LEVELS and EVENT.match(event):
            found.events.append((event, LEVELS[method.attr]))
        elif _is_logger(method.value, names):
            found.unnamed.append(ast.unparse(arguments[0] if arguments else method))
    return found


def _text(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


@cache
def _logged() -> Mapping[str, Found]:
    """By file."""
    # Below rules/ lies code that rules are tried on.
    sources = [path.relative_to(ROOT) for folder in ("bot", "pipeline", "providers") for path in sorted((ROOT / folder).rglob("*.py"))]
    return {path.as_posix(): read((ROOT / path).read_text("utf-8")) for path in sources if path.parts[1] != "rules"}


def _by_name(pairs: Iterable[tuple[str, str]]) -> Mapping[str, set[str]]:
    levels: defaultdict[str, set[str]] = defaultdict(set)
    for name, level in pairs:
        levels[name].add(level)
    return dict(levels)


def _rows() -> list[list[str]]:
    """Cells of every row of the tables of events: event, level, what happened, what to do."""
    tables = PAGE.read_text("utf-8").partition("\n## Deliveries\n")[2]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in tables.splitlines() if line.startswith("| ")]
    return [row for row in rows if row[0] != "event"]


def test_the_page_of_log_events_has_each_event_at_its_level_and_no_other() -> None:
    logged = _by_name(pair for found in _logged().values() for pair in found.events)
    told = _by_name((name.strip("`"), level) for name, levels, *_ in _rows() for level in levels.split(", "))
    assert len(logged) > 130, "the code is read"
    assert told == logged


def test_each_event_has_one_row_that_says_what_happened_and_what_to_do() -> None:
    rows = _rows()
    assert [name for name, number in Counter(row[0] for row in rows).items() if number > 1] == []
    assert [row for row in rows if len(row) != 4 or not all(row) or not row[2].endswith(".") or not EVENT.match(row[0].strip("`"))] == []


def test_within_a_subject_events_stand_by_the_alphabet() -> None:
    for section in PAGE.read_text("utf-8").split("\n## ")[1:]:
        names = re.findall(r"^\| `([a-z0-9_]+\.[a-z0-9_]+)` \|", section, re.MULTILINE)
        assert names == sorted(names), section.partition("\n")[0]


def test_every_line_of_a_log_begins_with_the_name_of_an_event() -> None:
    """Else the page could not have it: a name that is put together at run time, or a sentence."""
    unnamed = {(path, said) for path, found in _logged().items() for said in found.unnamed}
    assert unnamed == {("pipeline/limits.py", PASSED)}


def test_an_event_is_seen_however_its_call_is_written() -> None:
    source = """
log = logging.getLogger(__name__)
class One:
    def __init__(self):
        self._journal = logging.getLogger("x")
    def run(self, journal):
        log.info("a.plain")
        log.warning(
            "a.line"
            "_of_two",
            extra={"code": 1},
        )
        self._journal.exception("a.fault")
        journal.error("b.handed_on", extra={})
        logging.getLogger("y").debug("b.at_once")
        Manners(tripped="b.passed_on")
        log.info(f"c.{self}")
        log.log(10, "c.level")
        self._journal.error("a sentence")
        (log.info if self else log.error)("c.either")
        self.error("no logger of ours")
"""
    found = read(source)
    assert sorted(found.events) == [
        ("a.fault", "error"),
        ("a.line_of_two", "warning"),
        ("a.plain", "info"),
        ("b.at_once", "debug"),
        ("b.handed_on", "error"),
        ("b.passed_on", "warning"),
    ]
    assert sorted(found.unnamed) == sorted(["f'c.{self}'", "10", "'a sentence'", "log.info", "log.error"])
