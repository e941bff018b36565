"""GitLab: webhooks, commit statuses, notes, discussions, merge requests, on python-gitlab. Exports `PROVIDER`."""

from providers.gitlab.provider import PROVIDER

__all__ = ["PROVIDER"]
