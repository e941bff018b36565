"""Answers of the API made from the state, one subject a file. GitHub's own schemas judge them."""

from tests.worlds.github.shapes.base import Shapes

__all__ = ["Shapes"]
