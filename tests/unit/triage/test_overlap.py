"""Two changes of a file collide wherever git would say so."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest

from pipeline.triage.overlap import MOST_LINES, collide

BEFORE = b"one\ntwo\nthree\nfour\nfive\n"


@pytest.mark.parametrize(
    ("ours", "theirs", "answer"),
    [
        (b"one\ntwo\nTHREE\nfour\nfive\n", BEFORE, False),
        (b"one\ntwo\nTHREE\nfour\nfive\n", b"one\ntwo\nTHREE\nfour\nfive\n", False),
        (b"one\ntwo\nTHREE\nfour\nfive\n", b"ONE\ntwo\nthree\nfour\nfive\n", False),
        (b"one\ntwo\nTHREE\nfour\nfive\n", b"one\nTWO\nthree\nfour\nfive\n", True),
        (b"one\ntwo\nTHREE\nfour\nfive\n", b"one\ntwo\nfour\nfive\n", True),
        (b"one\ntwo\nTHREE\nfour\nfive\n", b"one\ntwo\nthree\nnew\nfour\nfive\n", True),
        (b"one\ntwo\nTHREE\nfour\nfive\n", None, True),
    ],
    ids=["nothing", "the-same", "elsewhere", "beside", "taken-out", "put-in-beside", "no-file"],
)
def test_what_collides(ours: bytes, theirs: bytes | None, answer: bool) -> None:
    assert collide(BEFORE, ours, theirs) is answer


def test_of_a_huge_file_nobody_finds_out() -> None:
    before = b"x\n" * (MOST_LINES + 1)
    assert collide(before, before + b"ours\n", b"theirs\n" + before)


def test_what_git_cannot_merge_collides(tmp_path: Path) -> None:
    seed = random.randrange(10_000)
    print(f"seed {seed}")
    dice = random.Random(seed)

    def changed(lines: list[str]) -> list[str]:
        made = list(lines)
        for _ in range(dice.randint(1, 2)):
            at = dice.randrange(len(made))
            made[at : at + dice.randint(0, 2)] = [f"new {dice.randrange(99)}" for _ in range(dice.randint(0, 2))]
        return made or ["left"]

    refused = 0
    for _ in range(40):
        before = [f"line {dice.randrange(6)}" for _ in range(12)]
        texts = {name: "\n".join(lines).encode() + b"\n" for name, lines in (("a", changed(before)), ("o", before), ("b", changed(before)))}
        for name, text in texts.items():
            (tmp_path / name).write_bytes(text)
        merged = subprocess.run(["git", "merge-file", "-p", "a", "o", "b"], cwd=tmp_path, capture_output=True, check=False)
        if merged.returncode:
            refused += 1
            assert collide(texts["o"], texts["a"], texts["b"]), texts
    assert refused, "none of them was refused: the test would pass with any answer"
