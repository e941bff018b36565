"""Notes of merge requests (docs, "Notes API")."""

from __future__ import annotations

from tests.worlds.gitlab.call import Answer, Call, Refused, bad_request, forbidden, invalid, listed, operation
from tests.worlds.gitlab.model import Level, MergeRequest, Note
from tests.worlds.gitlab.quick_actions import Order, taken_out
from tests.worlds.gitlab.talk import BadNote


def may_write(call: Call) -> None:
    """Raise Refused for who may not comment: everybody who sees a public project may, of others a Guest."""
    if call.project.visibility == "private":
        call.at_least(Level.GUEST)


def within_budget(call: Call) -> None:
    """Raise Refused (429) for one note too many."""
    exceeded = call.gitlab.budget.note(call.caller.name)
    if exceeded is not None:
        raise Refused(429, {"message": {"error": exceeded.text}}, exceeded.headers)


def may_edit(call: Call, note: Note) -> None:
    """Raise Refused for who may not change a note: its author may, and Maintainers; nobody what GitLab wrote itself."""
    if note.system or (note.author is not call.user and call.level < Level.MAINTAINER):
        raise forbidden()


def refusal(error: BadNote) -> Refused:
    """A note that GitLab does not keep."""
    return bad_request(str(error))


def obeyed(call: Call, request: MergeRequest, orders: list[Order]) -> list[str]:
    """Do what quick actions say, where the caller may; what was done in words."""
    done = []
    actions = call.gitlab.actions
    if request.author is not call.user and call.level < Level.DEVELOPER:
        return []
    for order in orders:
        match order.name:
            case "close":
                actions.close(request, call.user)
                done.append("Closed this merge request.")
            case "reopen":
                actions.reopen(request, call.user)
                done.append("Reopened this merge request.")
            case "draft" | "ready":
                actions.set_draft(request, call.user, order.name == "draft")
                done.append(f"Marked this merge request as {order.name}.")
            case "title":
                actions.edit(request, call.user, title=order.rest or None)
                done.append(f'Changed the title to "{order.rest}".')
            case name:
                done.append(f"Did {name}.")
    return done


@operation("GET", "/projects/:id/merge_requests/:iid/notes")
def notes(call: Call) -> Answer:
    """All notes, newest first unless told otherwise; internal ones only for those who may see them."""
    request = call.merge_request()
    found = [note for note in request.notes if call.sees(note)]
    wanted = call.chosen("activity_filter", ("all_notes", "only_comments", "only_activity"), "all_notes")
    if wanted != "all_notes":
        found = [note for note in found if note.system == (wanted == "only_activity")]
    by = call.chosen("order_by", ("created_at", "updated_at"), "created_at")
    found.sort(key=lambda note: (getattr(note, by), note.id), reverse=call.chosen("sort", ("asc", "desc"), "desc") == "desc")
    return listed(found, call.gitlab.shapes.note)


@operation("GET", "/projects/:id/merge_requests/:iid/notes/:note")
def note(call: Call) -> Answer:
    """One note."""
    return Answer(body=call.gitlab.shapes.note(call.note()))


@operation("POST", "/projects/:id/merge_requests/:iid/notes")
def create(call: Call) -> Answer:
    """Write one. What is nothing but quick actions is done and not written (202)."""
    request = call.merge_request()
    may_write(call)
    call.need("body")
    within_budget(call)
    internal = call.truth("internal") or call.truth("confidential")
    if internal:
        call.at_least(Level.PLANNER)
    body, orders = taken_out(call.text("body"))
    done = obeyed(call, request, orders)
    if orders and not body:
        return Answer(202, {"commands_changes": {}, "summary": done})
    try:
        made = call.gitlab.talk.comment(request, call.user, body, internal=internal)
    except BadNote as error:
        raise refusal(error) from error
    call.notify(request)
    return Answer(201, call.gitlab.shapes.note(made))


@operation("PUT", "/projects/:id/merge_requests/:iid/notes/:note")
def update(call: Call) -> Answer:
    """Change its text."""
    found = call.note()
    may_edit(call, found)
    if call.given.get("body") is None:
        raise invalid("body is missing")
    try:
        call.gitlab.talk.edit(found, call.user, call.text("body"))
    except BadNote as error:
        raise refusal(error) from error
    return Answer(body=call.gitlab.shapes.note(found))


@operation("DELETE", "/projects/:id/merge_requests/:iid/notes/:note")
def delete(call: Call) -> Answer:
    """Take it away."""
    found = call.note()
    may_edit(call, found)
    call.gitlab.talk.delete(found)
    return Answer(204)
