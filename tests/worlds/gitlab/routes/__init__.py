"""The API of the double, a file for each page of GitLab's documentation. Importing this registers all of it."""

from tests.worlds.gitlab.routes import (
    access_tokens,
    awards,
    branches,
    commits,
    discussions,
    draft_notes,
    files,
    groups,
    hooks,
    members,
    merge_requests,
    notes,
    projects,
    repositories,
    status_checks,
    statuses,
    users,
    versions,
)

LOADED = (
    access_tokens,
    awards,
    branches,
    commits,
    discussions,
    draft_notes,
    files,
    groups,
    hooks,
    members,
    merge_requests,
    notes,
    projects,
    repositories,
    status_checks,
    statuses,
    users,
    versions,
)
"""The modules, so that whoever imports them uses them."""
