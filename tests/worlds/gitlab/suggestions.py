"""Suggestions in notes: what they would change, and applying them.

Source: GitLab docs, "Suggest changes" (fence ```` ```suggestion:-N+M ````, at most 100 lines above and below).
"""

from __future__ import annotations

import re

from tests.worlds.bare import BareRepository
from tests.worlds.gitlab.model import Note, Suggestion
from tests.worlds.gitlab.state import State

MOST_LINES = 100
_FENCE = re.compile(
    r"^(?P<fence>`{3,})suggestion(?::-(?P<above>\d+)\+(?P<below>\d+))?[ \t]*\n(?P<inside>.*?)^(?P=fence)[ \t]*$", re.M | re.S
)


def lines_at(git: BareRepository, commit: str, path: str) -> list[str]:
    """A file's lines with their ends; none for what is no text file."""
    entry = git.entry(commit, path)
    if entry is None or entry.sha is None or entry.type != "blob":
        return []
    return git.read_blob(entry.sha).decode(errors="replace").splitlines(keepends=True)


def suggested(state: State, note: Note) -> list[Suggestion]:
    """The suggestions of a note on a line that the new side has."""
    position = note.position
    if position is None or position.new_line is None or position.type != "text":
        return []
    lines = lines_at(note.merge_request.project.git, position.refs.head, position.new_path)
    made = []
    for found in _FENCE.finditer(note.body.replace("\r\n", "\n")):
        above, below = (min(MOST_LINES, int(found[name] or 0)) for name in ("above", "below"))
        first, last = max(1, position.new_line - above), min(len(lines), position.new_line + below)
        content = "".join(lines[first - 1 : last])
        made.append(Suggestion(state.new_id("suggestion"), note, first, last, content, found["inside"]))
    return made


def appliable(suggestion: Suggestion) -> bool:
    """True while GitLab shows the button: nothing moved, and it would change something."""
    note = suggestion.note
    request = note.merge_request
    current = note.position is not None and note.position.refs == request.version.refs
    fresh = request.state == "opened" and not suggestion.applied and current
    return fresh and suggestion.from_content != suggestion.to_content
