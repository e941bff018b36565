"""The JSON of things, as GitLab's API shows them."""

from tests.worlds.gitlab.shapes.talk import Talking


class Shapes(Talking):
    """All shapes in one."""
