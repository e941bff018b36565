"""GitHub's two ways to say that it is too much: what may be ordered beside the failures of any host."""

from __future__ import annotations

import json

from tests.worlds.faults import Status


def secondary_limit(retry_after: int | None = 60) -> Status:
    """403 as GitHub's secondary rate limit gives it; without `retry_after` one has to wait a minute (REST, "Rate limits")."""
    text = {
        "message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
        "documentation_url": "https://docs.github.com/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits",
        "status": "403",
    }
    return Status(403, json.dumps(text).encode(), {} if retry_after is None else {"retry-after": str(retry_after)})


def primary_limit(reset: int, code: int = 403) -> Status:
    """The hourly budget is used up until `reset` (seconds since 1970)."""
    text = {
        "message": "API rate limit exceeded for installation ID 1.",
        "documentation_url": "https://docs.github.com/rest",
        "status": str(code),
    }
    return Status(code, json.dumps(text).encode(), {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(reset)})
