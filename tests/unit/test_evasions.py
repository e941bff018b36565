"""The adversary changes how code is written, never what it does."""

from __future__ import annotations

import random

import pytest

from tests.e2e.evasions_python import OPERATORS, evasions

SOURCE = """\
import json
from base64 import b64encode

def other():
    return 1

def told(name, times):
    first = name * times
    text = json.dumps({"name": first, "coded": b64encode(first.encode()).decode()})
    return text + "!"
"""
LINE = 9


@pytest.mark.parametrize("seed", range(5))
def test_what_was_rewritten_does_what_it_did(seed: int) -> None:
    made = dict(evasions(SOURCE, LINE, random.Random(seed)))
    assert set(made) == set(OPERATORS)
    before: dict[str, object] = {}
    exec(SOURCE, before)  # noqa: S102  our own text
    for kind, text in made.items():
        after: dict[str, object] = {}
        exec(text, after)  # noqa: S102  likewise
        assert text != SOURCE, kind
        assert after["told"]("ab", 3) == before["told"]("ab", 3), kind  # type: ignore[operator]


def test_the_statement_is_another_functions_now() -> None:
    text = dict(evasions(SOURCE, LINE, random.Random(1)))["function"]
    assert text.count("json.dumps") == 1
    assert text.index("json.dumps") < text.index("def told")
