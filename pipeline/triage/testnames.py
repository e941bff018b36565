"""What a test run printed, as names of tests that passed and failed: unittest, pytest, TAP. Pure; the output is hostile text."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

Style = Literal["unittest", "pytest", "tap", "exit"]

MAX_NAMES = 50_000
_MAX_NAME = 300

_UNITTEST_START = re.compile(r"(?P<name>\S+) \((?P<where>[\w.<>]+)\)(?P<rest>.*)$")
_UNITTEST_END = re.compile(r"\.\.\. (?P<word>ok|FAIL|ERROR|skipped .*|expected failure|unexpected success)$")
_UNITTEST_SECTION = re.compile(r"(?:FAIL|ERROR): (?P<name>\S+) \((?P<where>[\w.<>]+)\)")
_PYTEST = re.compile(r"(?P<name>\S(?:(?!::)\S)*+::.+?) (?P<word>PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS)(?: +\(.*\))?(?: +\[ *\d+%\])?$")
_PYTEST_ERROR = re.compile(r"(?:ERROR|FAILED) (?P<name>\S+)")
_TAP = re.compile(r"(?P<indent> *)(?P<word>ok|not ok) \d+ - (?P<name>.*?)(?P<directive> # (?:SKIP|TODO).*)?$")
_TAP_SUBTEST = re.compile(r"(?P<indent> *)# Subtest: (?P<name>.*)$")


@dataclass(slots=True)
class Named:
    """Tests by name. A name that appears twice gets a number."""

    passed: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def settle(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Passed and failed, each sorted; a test that is named in both has failed."""
        failed = sorted(set(self.failed))
        seen: Counter[str] = Counter()
        passed = []
        for name in self.passed:
            seen[name] += 1
            numbered = name if seen[name] == 1 else f"{name} ({seen[name]})"
            if name not in failed:
                passed.append(numbered)
        return tuple(sorted(passed)[:MAX_NAMES]), tuple(failed[:MAX_NAMES])


def parse_tests(style: Style, output: bytes) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the tests that passed and that failed. Skipped ones are neither. Both empty when nothing can be made out."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", output.decode("utf-8", "replace"))
    lines = [line.rstrip("\r") for line in text.split("\n")]
    readers = {"unittest": _unittest, "pytest": _pytest, "tap": _tap}
    if style == "exit":
        for reader in (_pytest, _unittest, _tap):
            found = reader(lines).settle()
            if any(found):
                return found
        return (), ()
    return readers[style](lines).settle()


def _unittest(lines: list[str]) -> Named:
    out = Named()
    pending = ""
    for line in lines:
        if section := _UNITTEST_SECTION.match(line):
            out.failed.append(_unittest_name(section))
            continue
        if start := _UNITTEST_START.match(line.strip()):
            pending = _unittest_name(start)
        end = _UNITTEST_END.search(line)
        if end is None or not pending:
            continue
        if end["word"] == "ok" or end["word"] == "expected failure":
            out.passed.append(pending)
        elif not end["word"].startswith("skipped"):
            out.failed.append(pending)
        pending = ""
    return out


def _unittest_name(match: re.Match[str]) -> str:
    where, name = match["where"], match["name"]
    # Python 3.11 and later repeat the method behind the class.
    return (where if where.endswith("." + name) else f"{where}.{name}")[:_MAX_NAME]


def _pytest(lines: list[str]) -> Named:
    out = Named()
    for line in lines:
        if match := _PYTEST.match(line):
            if match["word"] in ("PASSED", "XFAIL"):
                out.passed.append(match["name"][:_MAX_NAME])
            elif match["word"] in ("FAILED", "ERROR", "XPASS"):
                out.failed.append(match["name"][:_MAX_NAME])
        elif error := _PYTEST_ERROR.match(line):
            out.failed.append(error["name"][:_MAX_NAME])
    return out


def _tap(lines: list[str]) -> Named:
    out = Named()
    path: dict[int, str] = {}
    for line in lines:
        if sub := _TAP_SUBTEST.match(line):
            path[len(sub["indent"])] = sub["name"]
            continue
        match = _TAP.match(line)
        if match is None:
            continue
        depth = len(match["indent"])
        if match["directive"] and "SKIP" in match["directive"]:
            continue
        name = " > ".join([path[level] for level in sorted(path) if level < depth] + [match["name"]])[:_MAX_NAME]
        path = {level: text for level, text in path.items() if level < depth}
        (out.passed if match["word"] == "ok" or match["directive"] else out.failed).append(name)
    return out
