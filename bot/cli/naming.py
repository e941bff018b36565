"""How a person names a repository to a command: the same for all of them."""

from __future__ import annotations

from pipeline.errors import UsageError
from pipeline.escaping import visible
from pipeline.model.ids import RepositoryId
from pipeline.model.target import SourceRepository
from pipeline.store.work import Work

NAME = "owner/name, or instance/owner/name where the name alone means several"
"""Help of the argument."""


def find_repository(work: Work, name: str) -> tuple[RepositoryId, SourceRepository]:
    """The repository that is meant. Raises UsageError when there is none, or several: then with the longer names."""
    found = work.installations.named(name)
    if not found:
        raise UsageError(f"no repository {visible(name)} is known here", hint="fixwright repositories list")
    if len(found) > 1:
        names = ", ".join(visible(f"{source.instance or source.provider}/{source.full_name}") for _, source, _ in found)
        raise UsageError(f"{visible(name)} means several repositories", hint=f"say one of: {names}")
    identifier, source, _ = found[0]
    return identifier, source
