"""All subjects in one object, because they contain one another."""

from __future__ import annotations

from tests.worlds.github.shapes.checks import CheckShapes
from tests.worlds.github.shapes.talk import TalkShapes


class Shapes(TalkShapes, CheckShapes):
    """JSON of everything. One for the whole double."""
