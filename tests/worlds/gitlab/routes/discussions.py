"""Discussions of merge requests (docs, "Discussions API")."""

from __future__ import annotations

import re
from typing import Any

from tests.worlds.gitlab.call import Answer, Call, forbidden, invalid, listed, not_found, operation
from tests.worlds.gitlab.model import Discussion, End, Json, Level, Note, Position, Refs
from tests.worlds.gitlab.quick_actions import taken_out
from tests.worlds.gitlab.routes.notes import may_edit, may_write, obeyed, refusal, within_budget
from tests.worlds.gitlab.state import find_note
from tests.worlds.gitlab.talk import BadNote

_SHAS = ("base_sha", "start_sha", "head_sha")


def _sees_internal(call: Call) -> bool:
    return call.level >= Level.PLANNER


def _shown(call: Call, discussion: Discussion) -> Json:
    return call.gitlab.shapes.discussion(discussion, internal=_sees_internal(call))


@operation("GET", "/projects/:id/merge_requests/:iid/discussions")
def discussions(call: Call) -> Answer:
    """All discussions, oldest first; also the single notes, which are none."""
    request = call.merge_request()
    found = [known for known in request.discussions if call.sees(known.first)]
    return listed(found, lambda known: _shown(call, known))


@operation("GET", "/projects/:id/merge_requests/:iid/discussions/:discussion")
def discussion(call: Call) -> Answer:
    """One."""
    return Answer(body=_shown(call, call.discussion()))


@operation("POST", "/projects/:id/merge_requests/:iid/discussions")
def create(call: Call) -> Answer:
    """Begin one, on a line of the diff when there is a position. The text `position` or an empty one is none at all."""
    request = call.merge_request()
    may_write(call)
    call.need("body")
    position = position_of(call)
    within_budget(call)
    body, orders = taken_out(call.text("body"))
    done = obeyed(call, request, orders)
    if orders and not body:
        return Answer(202, {"commands_changes": {}, "summary": done})
    try:
        made = call.gitlab.talk.begin(request, call.user, body, position)
    except BadNote as error:
        raise refusal(error) from error
    call.notify(request)
    return Answer(201, _shown(call, made.discussion))


def position_of(call: Call) -> Position | None:
    """The position that was given. Raises Refused for one whose form is wrong; its lines are looked at later."""
    given = call.given.get("position")
    if given is None or given == {} or given == "":
        return None
    if not isinstance(given, dict):
        raise invalid("position is invalid")
    names = (*_SHAS, "position_type")
    missing = [f"position[{name}] is missing" for name in names if not given.get(name)]
    if missing:
        raise invalid(", ".join(missing))
    kind = given["position_type"]
    if kind not in ("text", "file", "image"):
        raise invalid("position[position_type] does not have a valid value")
    if kind == "image":
        raise invalid("position[position_type]: this double has no images")
    missing = [f"position[{name}] is missing" for name in ("new_path", "old_path") if not given.get(name)]
    if missing:
        raise invalid(", ".join(missing))
    refs = Refs(*(str(given[name]) for name in _SHAS))
    lines = [_line(given, name, "position") for name in ("old_line", "new_line")] if kind == "text" else [None, None]
    return Position(refs, str(given["old_path"]), str(given["new_path"]), kind, lines[0], lines[1], _range(given.get("line_range")))


def _line(given: Json, name: str, where: str) -> int | None:
    value: Any = given.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not re.fullmatch(r"\d+", str(value)):
        raise invalid(f"{where}[{name}] is invalid")
    return int(value)


def _range(given: object) -> tuple[End, End] | None:
    if given is None or given == {} or given == "":
        return None
    if not isinstance(given, dict):
        raise invalid("position[line_range] is invalid")
    ends = []
    for name in ("start", "end"):
        end = given.get(name)
        where = f"position[line_range][{name}]"
        if not isinstance(end, dict):
            raise invalid(f"{where} is missing")
        if not end.get("line_code"):
            raise invalid(f"{where}[line_code] is missing")
        kind = end.get("type")
        if kind not in (None, "new", "old", "expanded"):
            raise invalid(f"{where}[type] does not have a valid value")
        ends.append(End(str(end["line_code"]), kind, _line(end, "old_line", where), _line(end, "new_line", where)))
    return ends[0], ends[1]


def _may_resolve(call: Call, known: Discussion) -> None:
    """The author of the merge request may, and Developers; nobody where there is nothing to resolve."""
    if not known.resolvable or (known.merge_request.author is not call.user and call.level < Level.DEVELOPER):
        raise forbidden()


@operation("PUT", "/projects/:id/merge_requests/:iid/discussions/:discussion")
def resolve(call: Call) -> Answer:
    """Resolve it, or open it again."""
    known = call.discussion()
    call.need("resolved")
    _may_resolve(call, known)
    call.gitlab.talk.resolve(known, call.user, resolved=call.truth("resolved"))
    return Answer(body=_shown(call, known))


@operation("POST", "/projects/:id/merge_requests/:iid/discussions/:discussion/notes")
def reply(call: Call) -> Answer:
    """Answer in it."""
    known = call.discussion()
    may_write(call)
    call.need("body")
    within_budget(call)
    body, orders = taken_out(call.text("body"))
    done = obeyed(call, known.merge_request, orders)
    if orders and not body:
        return Answer(202, {"commands_changes": {}, "summary": done})
    try:
        made = call.gitlab.talk.reply(known, call.user, body)
    except BadNote as error:
        raise refusal(error) from error
    call.notify(known.merge_request)
    return Answer(201, call.gitlab.shapes.note(made))


def _note(call: Call) -> Note:
    known = call.discussion()
    found = find_note(known.merge_request, call.number("note"))
    if found is None or found.discussion is not known or not call.sees(found):
        raise not_found("Note")
    return found


@operation("GET", "/projects/:id/merge_requests/:iid/discussions/:discussion/notes")
def notes(call: Call) -> Answer:
    """Its notes, oldest first."""
    return listed([note for note in call.discussion().notes if call.sees(note)], call.gitlab.shapes.note)


@operation("GET", "/projects/:id/merge_requests/:iid/discussions/:discussion/notes/:note")
def note(call: Call) -> Answer:
    """One of its notes."""
    return Answer(body=call.gitlab.shapes.note(_note(call)))


@operation("PUT", "/projects/:id/merge_requests/:iid/discussions/:discussion/notes/:note")
def update(call: Call) -> Answer:
    """Change its text, or resolve it: one of both."""
    found = _note(call)
    body, resolved = call.given.get("body"), call.given.get("resolved")
    if (body is None) == (resolved is None):
        raise invalid(
            "body, resolved are missing, exactly one parameter must be provided"
            if body is None
            else "body, resolved are mutually exclusive"
        )
    if body is None:
        _may_resolve(call, found.discussion)
        call.gitlab.talk.resolve_note(found, call.user, resolved=call.truth("resolved"))
        return Answer(body=call.gitlab.shapes.note(found))
    may_edit(call, found)
    try:
        call.gitlab.talk.edit(found, call.user, str(body))
    except BadNote as error:
        raise refusal(error) from error
    return Answer(body=call.gitlab.shapes.note(found))


@operation("DELETE", "/projects/:id/merge_requests/:iid/discussions/:discussion/notes/:note")
def delete(call: Call) -> Answer:
    """Take it away."""
    found = _note(call)
    may_edit(call, found)
    call.gitlab.talk.delete(found)
    return Answer(204)
