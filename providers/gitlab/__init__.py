"""GitLab: webhooks, commit statuses, notes, discussions, merge requests. On python-gitlab."""
