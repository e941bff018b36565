"""A sample of what `python -m tests.api.fuzz` asks."""

from __future__ import annotations

from pathlib import Path

from tests.api.fuzz import run


def test_whatever_is_asked_the_answer_is_one_that_the_document_has(tmp_path: Path) -> None:
    assert run(tmp_path, 4) == 0
