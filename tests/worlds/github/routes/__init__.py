"""The operations, one subject a file. Importing this package registers them all."""

from tests.worlds.github.call import ROUTES
from tests.worlds.github.routes import (
    advisories,
    apps,
    checks,
    code,
    contents,
    git_data,
    issues,
    pulls,
    reactions,
    repositories,
    reviews,
    users,
)

__all__ = [
    "ROUTES",
    "advisories",
    "apps",
    "checks",
    "code",
    "contents",
    "git_data",
    "issues",
    "pulls",
    "reactions",
    "repositories",
    "reviews",
    "users",
]
