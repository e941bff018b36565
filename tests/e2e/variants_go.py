"""The same weakness written otherwise, in Go: as `variants_plain`, by the text of lines."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping

from pipeline.syntax import parses
from tests.e2e.variants_python import NAMES

_DECLARED = re.compile(r"\b([a-z]\w*) := ")
_PARAMETER = re.compile(r"\bfunc \w+\((\w+) ")
_FIELDS = re.compile(r"(\w[\w.]*)\{(\w+: [^{}\n]+)\}")
_FUNCTION = re.compile(r"^(func [^\n]*\{)\n(.*?)^\}$", re.MULTILINE | re.DOTALL)
_TEXT = re.compile(r"\"([\w :.,-]+)\"(?=[,)])")


def variants(source: str, chance: random.Random) -> Iterator[tuple[str, str]]:
    """Kind and text of each variant that can be made of a file."""
    for kind, operator in OPERATORS.items():
        text = operator(source, chance)
        if text != source and parses("app.go", text.encode()):
            yield kind, text


def _other_names(source: str, chance: random.Random) -> str:
    """Variables and first parameters have other names."""
    known = dict.fromkeys([*_DECLARED.findall(source), *_PARAMETER.findall(source)])
    for name, other in zip(known, chance.sample(NAMES, len(NAMES)), strict=False):
        source = re.sub(rf"(?<![\w.\"]){name}\b(?!\s*[:(\"])", other, source) if f"{name} :=" not in source else source
        source = re.sub(rf"(?<![\w.\"]){name}\b(?!:)", other, source) if f"{name} :=" in source else source
    return source


def _fields_on_lines(source: str, _: random.Random) -> str:
    """A literal with a line for each field."""
    return _FIELDS.sub(lambda m: m[1] + "{\n" + "".join(f"\t\t{part},\n" for part in m[2].split(", ")) + "\t}", source)


def _something_before(source: str, _: random.Random) -> str:
    """Another statement at the beginning of every function."""
    return _FUNCTION.sub(lambda m: f'{m[1]}\n\tprintln("begin")\n{m[2]}}}', source)


def _raw_texts(source: str, _: random.Random) -> str:
    """Arguments that are texts, between backquotes."""
    return _TEXT.sub(r"`\1`", source)


OPERATORS: Mapping[str, Callable[[str, random.Random], str]] = {
    "rename": _other_names,
    "split": _fields_on_lines,
    "wrap": _something_before,
    "strings": _raw_texts,
}
