"""No pattern of ours can be made slow by what it is asked about: each is attacked with texts that are made of the pattern itself.

Python's `re` backtracks and cannot be given a time limit. Whatever is quadratic here is a way to stop a worker with one file, comment or
branch name. For every unbounded repetition of a pattern a text is made that repeats what it repeats, and ends so that it must be given
up; the ways in which a pattern is really used (`match`, `search`, ...) are read from the source.
"""

from __future__ import annotations

import ast
import importlib
import re
import re._constants as codes  # type: ignore[import-not-found]  # the parser of `re`, without types of its own
import re._parser as parser  # type: ignore[import-not-found]
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
METHODS = ("search", "match", "fullmatch", "sub", "subn", "split", "findall", "finditer")
LENGTH = 8_000
"""Characters of an attack."""
SECONDS = 0.12
"""Of processor time. What is quadratic takes longer on an attack, what is linear about a hundredth of it."""

SHORT: dict[str, str] = {
    "pipeline.reports.sarif._NAMES_CWE": "the texts of our own rules",
    "pipeline.rewriting.shell: '\\\\W+$'": "the end of an expression, cut to MAX_NAME",
    "pipeline.rewriting.sql: '[^\\\\w]+$'": "the first 200 characters of an expression",
}
"""Patterns that are asked about nothing but our own or short texts, and why that is so."""


class _TooLong(BaseException):
    """Raised by the alarm."""


Parsed = Any
"""A parsed pattern: pairs of an opcode and its arguments, as `re` keeps them."""


def _modules() -> Iterator[tuple[str, Path]]:
    for package in ("pipeline", "providers", "bot"):
        for path in sorted((ROOT / package).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            if not {"rules", "versions"} & set(path.parts) and path.stem not in ("__main__", "launcher", "env"):
                yield name, path


@cache
def _patterns() -> dict[str, tuple[re.Pattern[Any], set[str]]]:
    """Every pattern with the methods by which it is used; of one that stands in a collection, all methods."""
    found: dict[str, tuple[re.Pattern[Any], set[str]]] = {}
    for name, path in _modules():
        tree = ast.parse(path.read_text("utf-8"))
        used: dict[str, set[str]] = defaultdict(set)
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr in METHODS and isinstance(node.value, ast.Name):
                used[node.value.id].add(node.attr)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args and isinstance(node.args[0], ast.Constant):
                of_re = isinstance(node.func.value, ast.Name) and node.func.value.id == "re" and node.func.attr in METHODS
                if of_re and isinstance(node.args[0].value, str | bytes):
                    found[f"{name}: {node.args[0].value!r}"] = (re.compile(node.args[0].value), {node.func.attr})
        for attribute, value in vars(importlib.import_module(name)).items():
            inner = value.values() if isinstance(value, dict) else value if isinstance(value, tuple | list | set | frozenset) else (value,)
            for number, one in enumerate(inner):
                if isinstance(one, re.Pattern):
                    mine = isinstance(value, re.Pattern)
                    methods = used.get(attribute, set()) if mine else {"search", "fullmatch"}
                    if methods:
                        found[f"{name}.{attribute}" + ("" if mine else f"[{number}]")] = (one, methods)
    return found


def _characters(items: Parsed) -> list[str]:
    """Some characters of a class."""
    kinds = {
        codes.CATEGORY_DIGIT: r"\d",
        codes.CATEGORY_NOT_DIGIT: r"\D",
        codes.CATEGORY_SPACE: r"\s",
        codes.CATEGORY_NOT_SPACE: r"\S",
        codes.CATEGORY_WORD: r"\w",
        codes.CATEGORY_NOT_WORD: r"\W",
    }
    negated = bool(items) and items[0][0] is codes.NEGATE

    def inside(character: str) -> bool:
        return any(
            (kind is codes.LITERAL and value == ord(character))
            or (kind is codes.RANGE and value[0] <= ord(character) <= value[1])
            or (kind is codes.CATEGORY and re.match(kinds[value], character) is not None)
            for kind, value in items
        )

    return [character for character in "a1A_-. /:=,'\"`!#@()[]{}<>\\\t\n;+*?&|$%^~b0" if inside(character) != negated]


def _word(sequence: Parsed, choice: int) -> str:
    """A text that a parsed pattern matches, or nearly."""
    said = ""
    for kind, value in sequence:
        if kind is codes.LITERAL:
            said += chr(value)
        elif kind is codes.NOT_LITERAL:
            said += "b" if value != ord("b") else "c"
        elif kind is codes.ANY:
            said += "a"
        elif kind is codes.IN:
            choices = _characters(value)
            said += choices[choice % len(choices)] if choices else ""
        elif kind in (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT):
            said += _word(value[2], choice) * value[0]
        elif kind is codes.SUBPATTERN:
            said += _word(value[3], choice)
        elif kind is codes.ATOMIC_GROUP:
            said += _word(value, choice)
        elif kind is codes.BRANCH:
            said += _word(value[1][choice % len(value[1])], choice)
        elif kind is codes.ASSERT and value[0] < 0:
            said += _word(value[1], choice)
    return said


def _pumps(sequence: Parsed, before: str = "") -> Iterator[tuple[str, str]]:
    """(text before, text to repeat) for each repetition without an end."""
    for kind, value in sequence:
        inner: list[Parsed] = []
        if kind in (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT):
            inner = [value[2]]
            if value[1] is codes.MAXREPEAT or value[1] > 1_000:
                yield from ((before, word) for word in {_word(value[2], choice) for choice in range(4)} if word)
        elif kind is codes.SUBPATTERN:
            inner = [value[3]]
        elif kind is codes.ATOMIC_GROUP:
            inner = [value]
        elif kind is codes.BRANCH:
            inner = list(value[1])
        elif kind in (codes.ASSERT, codes.ASSERT_NOT):
            inner = [value[1]]
        for one in inner:
            yield from _pumps(one, before)
        before += _word([(kind, value)], 0)


def _texts(pattern: re.Pattern[Any]) -> Iterator[str]:
    text = pattern.pattern.decode("latin-1") if isinstance(pattern.pattern, bytes) else pattern.pattern
    tree = parser.parse(text, pattern.flags & ~re.UNICODE if isinstance(pattern.pattern, bytes) else pattern.flags)
    pumps = {*_pumps(tree), ("", _word(tree, 0)), *(("", character) for character in " a.!")}
    for before, word in sorted(pumps):
        if word:
            repeated = word * (LENGTH // len(word))
            whole = (before + word) * (LENGTH // len(before + word))
            yield from (f"{before}{repeated}\0", f"{before}{repeated}a\0", repeated + "\n\0", f"!{repeated}a!", f"{whole}\0")


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """Raise _TooLong in the block after so much processor time; `re` looks for signals while it works."""

    def ring(number: int, frame: FrameType | None) -> None:  # a signal handler's signature
        raise _TooLong

    before = signal.signal(signal.SIGVTALRM, ring)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _slow(pattern: re.Pattern[Any], methods: set[str], seconds: float) -> str:
    """How a pattern can be made slow, empty when it cannot. Processor time counts: the machine may have other work."""
    for text in _texts(pattern):
        subject = text.encode("latin-1", "replace") if isinstance(pattern.pattern, bytes) else text
        for method in sorted(methods):
            begun = time.thread_time()
            try:
                with _alarm(seconds * 3):
                    if method in ("sub", "subn"):
                        pattern.sub(subject[:0], subject)
                    elif method == "finditer":
                        sum(1 for _ in pattern.finditer(subject))
                    else:
                        getattr(pattern, method)(subject)
            except _TooLong:
                return f"{method} in {text[:40]!r}"
            if time.thread_time() - begun > seconds:
                return f"{method} in {text[:40]!r}"
    return ""


def test_the_patterns_are_found() -> None:
    assert len(_patterns()) > 120
    assert SHORT.keys() <= _patterns().keys()


def test_an_attack_finds_what_is_slow() -> None:
    if threading.current_thread() is not threading.main_thread():
        pytest.skip("signals reach the main thread only")
    for slow in (r"(a+)+b", r"(?:a|aa)+$", r"\W+$", r"\s*(?:x\s*)?y", r"(.*)\.(.*)\.(.*)z"):
        assert _slow(re.compile(slow), {"search"}, SECONDS), slow
    for quick in (r"\d{1,9}", r"^[a-z]+$", r"<!--\s*fixwright"):
        assert not _slow(re.compile(quick), {"match", "fullmatch"}, SECONDS), quick


def test_no_pattern_can_be_made_slow() -> None:
    if threading.current_thread() is not threading.main_thread():
        pytest.skip("signals reach the main thread only")
    found = {}
    for name, (pattern, methods) in _patterns().items():
        if name not in SHORT and (said := _slow(pattern, methods, SECONDS)):
            found[name] = said
    assert found == {}
