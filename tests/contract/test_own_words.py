"""What we write comes back to us from hosts where we speak in a person's name: none of it may be a command."""

from __future__ import annotations

from pathlib import Path

import pytest

import pipeline.commands
from pipeline.plugins import discover
from pipeline.ports import Command
from pipeline.stages.accept.lines import parse_lines

GOLDEN = Path(__file__).parents[1] / "golden"
TEXTS = sorted(path for path in GOLDEN.glob("*.md") if path.name != "README.md")
COMMANDS = discover(pipeline.commands, "COMMAND", Command)


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.name)
def test_no_line_of_what_we_write_is_a_command(text: Path) -> None:
    written = text.read_text("utf-8")
    assert [line.typed for line in parse_lines(written, COMMANDS)] == []
    assert [line.typed for line in parse_lines(written.replace("\n", "\r\n"), COMMANDS)] == []
