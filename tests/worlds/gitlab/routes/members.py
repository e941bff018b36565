"""Who is a member of what (docs, "Members API"): directly, and with what is inherited from the groups above."""

from __future__ import annotations

from tests.worlds.gitlab.call import Answer, Call, listed, not_found, operation
from tests.worlds.gitlab.model import Json, Member, Namespace, Project


def _direct(place: Project | Namespace) -> dict[int, Member]:
    return dict(place.members)


def _all(place: Project | Namespace) -> dict[int, Member]:
    """With what is inherited: of several memberships the highest level counts."""
    groups = place.namespace.line if isinstance(place, Project) else place.line
    found: dict[int, Member] = {}
    for members in (*([place.members] if isinstance(place, Project) else []), *(group.members for group in groups)):
        for number, member in members.items():
            if number not in found or member.level > found[number].level:
                found[number] = member
    return found


def _shown(call: Call, member: Member) -> Json:
    return call.gitlab.shapes.user(member.user) | {
        "access_level": int(member.level),
        "created_at": call.gitlab.shapes.moment(member.created_at),
        "expires_at": member.expires_at.isoformat() if member.expires_at else None,
        "membership_state": "active",
        "created_by": None,
    }


def _list(call: Call, members: dict[int, Member]) -> Answer:
    wanted = str(call.given.get("query") or "").lower()
    given = call.given.get("user_ids")
    numbers = {str(number) for number in (given if isinstance(given, list) else [given] if given else [])}
    chosen = [
        member
        for number, member in sorted(members.items())
        if (wanted in member.user.username.lower() or wanted in member.user.name.lower()) and (not numbers or str(number) in numbers)
    ]
    return listed(chosen, lambda member: _shown(call, member))


def _one(call: Call, members: dict[int, Member]) -> Answer:
    member = members.get(call.number("user"))
    if member is None:
        raise not_found()
    return Answer(body=_shown(call, member))


def _place(call: Call) -> Project | Namespace:
    return call.project if call.template.startswith("/projects/") else call.group


def _everybody(call: Call) -> dict[int, Member]:
    """Whose own namespace a project lies in is a member too: GitLab writes that down when the project is made."""
    place = _place(call)
    if isinstance(place, Namespace) or place.namespace.owner is None:
        return _all(place)
    owner = place.namespace.owner
    return _all(place) | {owner.id: Member(owner, place.level(owner), place.created_at)}


@operation("GET", "/projects/:id/members")
@operation("GET", "/groups/:id/members")
def direct(call: Call) -> Answer:
    """Direct members."""
    return _list(call, _direct(_place(call)))


@operation("GET", "/projects/:id/members/:user")
@operation("GET", "/groups/:id/members/:user")
def one(call: Call) -> Answer:
    """A direct member."""
    return _one(call, _direct(_place(call)))


@operation("GET", "/projects/:id/members/all")
@operation("GET", "/groups/:id/members/all")
def everybody(call: Call) -> Answer:
    """Members, also by a group above."""
    return _list(call, _everybody(call))


@operation("GET", "/projects/:id/members/all/:user")
@operation("GET", "/groups/:id/members/all/:user")
def one_of_all(call: Call) -> Answer:
    """A member, also by a group above."""
    return _one(call, _everybody(call))
