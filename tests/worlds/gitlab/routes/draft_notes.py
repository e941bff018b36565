"""Draft notes of merge requests: a review that its author has not published (docs, "Draft notes API")."""

from __future__ import annotations

from tests.worlds.gitlab.call import Answer, Call, listed, not_found, operation
from tests.worlds.gitlab.model import Draft, Json, MergeRequest
from tests.worlds.gitlab.positions import Unplaceable, place
from tests.worlds.gitlab.quick_actions import taken_out
from tests.worlds.gitlab.routes.discussions import position_of
from tests.worlds.gitlab.routes.notes import may_write, obeyed
from tests.worlds.gitlab.talk import BadNote

_PATH = "/projects/:id/merge_requests/:iid/draft_notes"


def _mine(call: Call, request: MergeRequest) -> list[Draft]:
    """Those of the caller: nobody sees another one's."""
    return [draft for draft in request.drafts if draft.author is call.user]


def _draft(call: Call) -> Draft:
    found = next((draft for draft in _mine(call, call.merge_request()) if draft.id == call.number("draft")), None)
    if found is None:
        raise not_found()
    return found


def _shown(call: Call, draft: Draft) -> Json:
    position = call.gitlab.shapes.position(draft.position) if draft.position is not None else {}
    return {
        "id": draft.id,
        "author_id": draft.author.id,
        "merge_request_id": call.merge_request().id,
        "resolve_discussion": False,
        "discussion_id": draft.discussion,
        "note": draft.body,
        "commit_id": None,
        "line_code": draft.line_code,
        "position": position,
    }


def _publish(call: Call, request: MergeRequest, draft: Draft) -> None:
    """Make a note of a draft. One whose position is not on the diff is lost, and nobody is told."""
    body, orders = taken_out(draft.body)
    obeyed(call, request, orders)
    request.drafts.remove(draft)
    try:
        if body:
            call.gitlab.talk.begin(request, call.user, body, draft.position)
    except BadNote:
        return


@operation("GET", _PATH, signed_in=True)
def drafts(call: Call) -> Answer:
    """The caller's own."""
    return listed(_mine(call, call.merge_request()), lambda draft: _shown(call, draft))


@operation("GET", f"{_PATH}/:draft", signed_in=True)
def draft(call: Call) -> Answer:
    """One."""
    return Answer(body=_shown(call, _draft(call)))


@operation("POST", _PATH)
def create(call: Call) -> Answer:
    """Begin one. Its position is taken as it is; what it has no `line_code` for is lost later."""
    request = call.merge_request()
    may_write(call)
    call.need("note")
    position, code = position_of(call), None
    if position is not None:
        try:
            code = place(request.project.git, position)
        except Unplaceable:
            code = None
    made = Draft(call.gitlab.state.new_id("draft"), call.user, call.text("note"), position, code)
    request.drafts.append(made)
    return Answer(201, _shown(call, made))


@operation("DELETE", f"{_PATH}/:draft")
def delete(call: Call) -> Answer:
    """Take one back."""
    call.merge_request().drafts.remove(_draft(call))
    return Answer(204)


@operation("PUT", f"{_PATH}/:draft/publish")
def publish(call: Call) -> Answer:
    """Publish one."""
    request = call.merge_request()
    may_write(call)
    _publish(call, request, _draft(call))
    call.notify(request)
    return Answer(204)


@operation("POST", f"{_PATH}/bulk_publish")
def publish_all(call: Call) -> Answer:
    """Publish all that the caller has there: one review, one mail."""
    request = call.merge_request()
    may_write(call)
    mine = _mine(call, request)
    for one in mine:
        _publish(call, request, one)
    if mine:
        call.notify(request)
    return Answer(204)
