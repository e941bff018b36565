"""Whoever asks with a personal token."""

from __future__ import annotations

from tests.worlds.github.call import Answer, Call, Refused, listed, operation
from tests.worlds.github.model import Account, Role


def _person(call: Call) -> Account:
    """Raises Refused for an app's token, which is nobody (seen on github.com: 403, "Resource not accessible by integration")."""
    if call.caller.kind == "installation":
        raise Refused(403, "Resource not accessible by integration")
    return call.account


@operation("GET", "/user")
def get_authenticated(call: Call) -> Answer:
    """The person."""
    return Answer(body=call.github.shapes.public_user(_person(call)))


@operation("GET", "/user/repos")
def list_own_repositories(call: Call) -> Answer:
    """Where the person has a role."""
    login, shapes = _person(call).login, call.github.shapes
    known = call.github.state.repositories.values()
    found = [item for item in known if item.owner.login == login or item.roles.get(login.lower(), Role.NONE) > Role.NONE]
    return listed(found, lambda item: shapes.repository(item, login))
