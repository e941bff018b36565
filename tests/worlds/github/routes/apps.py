"""The app, its installations and their tokens."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

from tests.worlds.github.call import Answer, Call, Refused, listed, not_found, operation
from tests.worlds.github.hooks import Delivery
from tests.worlds.github.model import App, Installation, Json, Repository
from tests.worlds.github.shapes.accounts import when
from tests.worlds.github.tokens import LEVELS, client_id

MOST_REPOSITORIES = 500
"""How many repositories one token may be narrowed to."""


def _app(call: Call) -> App:
    if call.caller.app is None:
        raise Refused(401, "A JSON web token could not be decoded")
    return call.caller.app


def _installation(call: Call) -> Installation:
    installation = call.github.state.installations.get(call.number("installation_id"))
    if installation is None or installation.app is not _app(call):
        raise not_found()
    return installation


@operation("GET", "/app", who="app")
def get_app(call: Call) -> Answer:
    """Who the JWT belongs to."""
    app = _app(call)
    count = sum(known.app is app for known in call.github.state.installations.values())
    return Answer(body=call.github.shapes.app(app) | {"installations_count": count})


@operation("GET", "/app/installations", who="app")
def list_installations(call: Call) -> Answer:
    """Where the app is installed."""
    app = _app(call)
    return listed([known for known in call.github.state.installations.values() if known.app is app], call.github.shapes.installation)


@operation("GET", "/app/installations/{installation_id}", who="app")
def get_installation(call: Call) -> Answer:
    """One installation."""
    return Answer(body=call.github.shapes.installation(_installation(call)))


@operation("GET", "/installation", who="app")
def get_repository_installation(call: Call) -> Answer:
    """The installation that covers a repository."""
    installation = call.github.state.installation_of(call.repository, _app(call))
    if installation is None:
        raise not_found()
    return Answer(body=call.github.shapes.installation(installation))


@operation("GET", "/users/{username}/installation", who="app")
def get_user_installation(call: Call) -> Answer:
    """The installation on an account."""
    wanted = call.parameters["username"].lower()
    known = (known for known in call.github.state.installations.values() if known.app is _app(call))
    installation = next((known for known in known if known.account.login.lower() == wanted), None)
    if installation is None:
        raise not_found()
    return Answer(body=call.github.shapes.installation(installation))


@operation("POST", "/app/installations/{installation_id}/access_tokens", who="app")
def create_token(call: Call) -> Answer:
    """A token for an hour, narrowed as the body asks."""
    installation = _installation(call)
    if installation.suspended_at is not None:
        raise Refused(403, "This installation has been suspended")
    permissions = _narrowed(installation, call.body.get("permissions"))
    chosen = _chosen(call, installation)
    short = call.headers.get("x-github-stateless-s2s-token") == "disabled"
    numbers = None if chosen is None else frozenset(repository.id for repository in chosen)
    token, expires = call.github.tokens.for_installation(installation, permissions, numbers, short=short)
    selected = chosen is not None or installation.repositories is not None
    shape: Json = {"token": token, "expires_at": when(expires), "permissions": {"metadata": "read"} | permissions}
    shape["repository_selection"] = "selected" if selected else "all"
    if chosen is not None:
        shape["repositories"] = [call.github.shapes.repository(repository) for repository in chosen]
    return Answer(201, shape)


def _narrowed(installation: Installation, wanted: Json | None) -> dict[str, str]:
    if wanted is None:
        return dict(installation.permissions)
    granted = {"metadata": "read"} | installation.permissions
    if any(LEVELS[level] > LEVELS[granted.get(name, "")] for name, level in wanted.items()):
        raise Refused(422, "The permissions requested are not granted to this installation.")
    return dict(wanted)


def _chosen(call: Call, installation: Installation) -> list[Repository] | None:
    names, numbers = call.body.get("repositories"), call.body.get("repository_ids")
    if names is None and numbers is None:
        return None
    known = [repository for repository in call.github.state.repositories.values() if installation.covers(repository)]
    wanted = [*(names or []), *(numbers or [])]
    chosen = [repository for repository in known if repository.name in (names or []) or repository.id in (numbers or [])]
    if len(wanted) > MOST_REPOSITORIES or len(chosen) < len(set(map(str, wanted))):
        raise Refused(422, "There is at least one repository that does not exist or is not accessible to the parent installation.")
    return chosen


@operation("DELETE", "/installation/token", who="installation")
def revoke_token(call: Call) -> Answer:
    """Give the token back."""
    call.github.tokens.revoke(call.headers.get("authorization", ""))
    return Answer(204)


@operation("GET", "/installation/repositories", who="installation")
def list_repositories(call: Call) -> Answer:
    """What the token reaches."""
    found = [repository for repository in call.github.state.repositories.values() if call.caller.owns(repository)]
    shapes = call.github.shapes
    selected = call.caller.repositories is not None or (
        call.caller.installation is not None and call.caller.installation.repositories is not None
    )
    return listed(
        found,
        lambda item: shapes.repository(item, call.account.login),
        "repositories",
        repository_selection="selected" if selected else "all",
    )


@operation("GET", "/users/{username}")
def get_user(call: Call) -> Answer:
    """The page of an account."""
    account = call.github.state.accounts.get(call.parameters["username"].lower())
    if account is None:
        raise not_found()
    return Answer(body=call.github.shapes.public_user(account))


@operation("GET", "/rate_limit")
def get_rate_limit(call: Call) -> Answer:
    """The budget. Asking costs nothing on github.com; here it counts like any request."""
    full = {"limit": 5000, "used": 0, "remaining": 5000, "reset": int(call.github.state.seconds()) + 3600}
    return Answer(body={"resources": {"core": full, "search": full, "graphql": full}, "rate": full})


@operation("GET", "/meta")
def get_meta(call: Call) -> Answer:
    """About this GitHub."""
    return Answer(body={"verifiable_password_authentication": True})


@operation("POST", "/app-manifests/{code}/conversions")
def convert_manifest(call: Call) -> Answer:
    """The app that was made from a manifest, with its secrets: once, and within an hour."""
    made = call.github.manifests.convert(call.parameters["code"])
    if made is None:
        raise not_found()
    secrets_ = {"client_id": client_id(made), "client_secret": secrets.token_hex(20), "webhook_secret": made.webhook_secret}
    return Answer(201, call.github.shapes.app(made) | secrets_ | {"pem": made.private_key_pem})


@operation("GET", "/app/hook/config", who="app")
def get_hook_config(call: Call) -> Answer:
    """How the webhook is set."""
    app = _app(call)
    url = app.hook_url or call.github.hooks.url or ""
    return Answer(body={"url": url, "content_type": app.content_type, "insecure_ssl": app.insecure_ssl, "secret": "********"})


def _delivery(call: Call, delivery: Delivery, *, whole: bool) -> Json:
    last = delivery.attempts[-1] if delivery.attempts else None
    moment = datetime.fromtimestamp(last.at, UTC) if last else call.github.state.now()
    shape: Json = {
        "id": delivery.number,
        "guid": delivery.id,
        "delivered_at": when(moment),
        "redelivery": len(delivery.attempts) > 1,
        "duration": 0.1,
        "status": "OK"
        if last and 200 <= last.status < 300
        else "failed to connect to host"
        if not last or not last.status
        else "Invalid HTTP Response",
        "status_code": last.status if last else 0,
        "event": delivery.event,
        "action": delivery.action,
        "installation_id": delivery.installation,
        "repository_id": delivery.repository,
        "throttled_at": None,
    }
    if not whole:
        return shape
    request = {"headers": delivery.headers, "payload": delivery.payload}
    return shape | {"url": call.github.hooks.url or "", "request": request, "response": {"headers": {}, "payload": ""}}


@operation("GET", "/app/hook/deliveries", who="app")
def list_deliveries(call: Call) -> Answer:
    """What was sent to the app, newest first."""
    wanted, sent = call.query.get("status"), call.github.hooks.deliveries[::-1]
    if wanted is not None:
        sent = [item for item in sent if (wanted == "success") == (bool(item.attempts) and 200 <= item.attempts[-1].status < 300)]
    return listed(sent, lambda item: _delivery(call, item, whole=False))


@operation("GET", "/app/hook/deliveries/{delivery_id}", who="app")
def get_delivery(call: Call) -> Answer:
    """One of them with its payload."""
    return Answer(body=_delivery(call, _find_delivery(call), whole=True))


@operation("POST", "/app/hook/deliveries/{delivery_id}/attempts", who="app")
def redeliver(call: Call) -> Answer:
    """Send it again, soon."""
    call.github.hooks.again(_find_delivery(call))
    return Answer(202, {})


def _find_delivery(call: Call) -> Delivery:
    found = next((known for known in call.github.hooks.deliveries if known.number == call.number("delivery_id")), None)
    if found is None:
        raise not_found()
    return found
