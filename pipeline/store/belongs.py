"""Whose work a message is, and on what: so that one tenant's thousand messages do not stand before another's one."""

from __future__ import annotations

from pipeline.messages import AcceptEvent, Message
from pipeline.model.event import CommentRef
from pipeline.model.target import Installation, PullRequestRef, SourceRepository
from pipeline.trail import Trail


def belongs(message: Message, trail: Trail) -> tuple[str, str]:
    """The tenant and the repository of a message, as far as it names them; what it does not name it has from the message that sent it.

    A tenant is an installation: on GitHub an organization or a person's account.
    """
    source = message.event if isinstance(message, AcceptEvent) else message
    installation = getattr(source, "installation", None)
    repository = _repository(source)
    return (
        f"{installation.provider}:{installation.instance}:{installation.external_id}"
        if isinstance(installation, Installation)
        else trail.tenant,
        f"{repository.provider}:{repository.instance}:{repository.external_id}" if repository is not None else trail.repository,
    )


def _repository(source: object) -> SourceRepository | None:
    for name in ("repository", "pull_request", "comment"):
        match getattr(source, name, None):
            case SourceRepository() as repository:
                return repository
            case PullRequestRef() as ref:
                return ref.repository
            case CommentRef() as comment:
                return comment.pull_request.repository
    return None
