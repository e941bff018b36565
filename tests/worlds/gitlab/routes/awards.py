"""Emoji on merge requests and notes (docs, "Emoji reactions API")."""

from __future__ import annotations

from tests.worlds.gitlab.call import Answer, Call, not_found, operation, unauthorized
from tests.worlds.gitlab.call import listed as listed_page
from tests.worlds.gitlab.model import MergeRequest, Note
from tests.worlds.gitlab.routes.notes import may_write
from tests.worlds.gitlab.talk import BadNote

_REQUEST = "/projects/:id/merge_requests/:iid/award_emoji"
_NOTE = "/projects/:id/merge_requests/:iid/notes/:note/award_emoji"


def _about(call: Call) -> MergeRequest | Note:
    return call.note() if "note" in call.parameters else call.merge_request()


@operation("GET", _REQUEST)
@operation("GET", _NOTE)
def listed(call: Call) -> Answer:
    """All emoji, oldest first."""
    about = _about(call)
    return listed_page(about.awards, lambda award: call.gitlab.shapes.award(award, about))


@operation("POST", _REQUEST)
@operation("POST", _NOTE)
def create(call: Call) -> Answer:
    """Give one; the same a second time is 404, which is GitLab's answer to that."""
    about = _about(call)
    may_write(call)
    call.need("name")
    try:
        made = call.gitlab.talk.award(about, call.user, call.text("name"))
    except BadNote as error:
        raise not_found(f"Award Emoji {error}") from error
    return Answer(201, call.gitlab.shapes.award(made, about))


@operation("DELETE", f"{_REQUEST}/:award")
@operation("DELETE", f"{_NOTE}/:award")
def delete(call: Call) -> Answer:
    """Take one's own back."""
    about, number = _about(call), call.number("award")
    found = next((award for award in about.awards if award.id == number), None)
    if found is None:
        raise not_found("Award Emoji")
    if found.user is not call.user and not call.user.admin:
        raise unauthorized()
    about.awards.remove(found)
    return Answer(204)
