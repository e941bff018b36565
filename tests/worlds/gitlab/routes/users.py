"""Users and the instance (docs, "Users API", "Version API", "Metadata API")."""

from __future__ import annotations

from tests.worlds.gitlab.call import Answer, Call, listed, not_found, operation

REVISION = "1a2b3c4d5e6"


@operation("GET", "/user", signed_in=True, scopes=("read_user",))
def current(call: Call) -> Answer:
    """Who is asking."""
    return Answer(body=call.gitlab.shapes.current_user(call.user))


@operation("GET", "/users")
def users(call: Call) -> Answer:
    """Users by name; all of them only for administrators."""
    found = list(call.gitlab.state.users.values())
    if call.given.get("username"):
        found = [user for user in found if user.username.lower() == call.text("username").lower()]
    elif call.given.get("search"):
        found = [user for user in found if call.text("search").lower() in f"{user.username} {user.name}".lower()]
    return listed(found, call.gitlab.shapes.public_user, key=lambda user: int(user.id))


@operation("GET", "/users/:user_id")
def user(call: Call) -> Answer:
    """One user by number."""
    found = call.gitlab.state.user_by_id(call.number("user_id"))
    if found is None:
        raise not_found("User")
    return Answer(body=call.gitlab.shapes.public_user(found))


@operation("GET", "/version", signed_in=True, scopes=("read_user",))
def version(call: Call) -> Answer:
    """What runs here."""
    return Answer(body={"version": call.gitlab.hooks.version, "revision": REVISION})


@operation("GET", "/metadata", signed_in=True, scopes=("read_user",))
def metadata(call: Call) -> Answer:
    """The same with more of it."""
    kas = {"enabled": False, "externalUrl": None, "externalK8sProxyUrl": None, "version": None}
    return Answer(body={"version": call.gitlab.hooks.version, "revision": REVISION, "kas": kas, "enterprise": call.gitlab.hooks.enterprise})
