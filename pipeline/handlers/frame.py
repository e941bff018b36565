"""Where a test is to lie and how it is to be written: what the repository's own tests tell."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.model.fix import Frame, Framework


def frame_of(paths: Sequence[str], tests: Sequence[str], style: Framework) -> Frame:
    """The frame next to most of the tests; without any, `tests` (`test` for node)."""
    folders = [path.rpartition("/")[0] for path in tests]
    usual = "test" if style == "node" else "tests"
    folder = max(sorted(set(folders)), key=folders.count) if folders else usual
    return Frame(style, folder, frozenset(paths))


def free_path(frame: Frame, stem: str, suffix: str) -> str | None:
    """A path for a new test file, None when all that we would take are there."""
    top = f"{frame.folder}/" if frame.folder else ""
    for number in ("", "_2", "_3"):
        path = f"{top}{stem}{number}{suffix}"
        if path not in frame.paths:
            return path
    return None
