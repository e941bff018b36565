"""Webhooks by the API (docs, "Project webhooks API", "Group webhooks API", "System hooks API", "Webhooks": tokens, auto-disabling)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from datetime import UTC, datetime

from tests.worlds.gitlab.call import Answer, Call, Refused, bad_request, forbidden, invalid, listed, not_found, operation, refused, too_many
from tests.worlds.gitlab.hooks import EVENTS, GROUP_EVENTS, Delivery, Event, Hook, Kind
from tests.worlds.gitlab.model import Json, Level, Project

_STRATEGIES = ("wildcard", "regex", "all_branches")
_KEPT = 7 * 86_400
"""Seconds for which GitLab lists what it sent."""
_SYSTEM = ("push_events", "tag_push_events", "merge_requests_events", "repository_update_events")
_TRIGGERS = ("push", "tag_push", "merge_requests", "note", "issues", "job", "pipeline", "wiki_page", "releases", "milestone", "emoji")


def _owner(call: Call, kind: Kind) -> int:
    """Number of the project or group. Raises Refused where hooks of a group are not to be had."""
    if kind == "project":
        return call.project.id
    if kind == "group":
        if not call.gitlab.hooks.enterprise:
            raise Refused(404, {"error": "404 Not Found"})
        return call.group.id  # of any plan: the licence is asked for when something is delivered, see `Hooks.licensed`
    if not call.user.admin:
        raise forbidden()
    return 0


def _hooks(call: Call, kind: Kind) -> list[Hook]:
    owner = _owner(call, kind)
    return [hook for hook in call.gitlab.hooks.registered.values() if (hook.kind, hook.owner) == (kind, owner)]


def _hook(call: Call, kind: Kind) -> Hook:
    number = call.number("hook")
    found = next((hook for hook in _hooks(call, kind) if hook.id == number), None)
    if found is None:
        raise not_found()
    return found


def _shown(call: Call, hook: Hook, *, alone: bool = True) -> Json:
    hooks, moment = call.gitlab.hooks, call.gitlab.shapes.moment
    now = call.gitlab.state.seconds()
    status = hook.status(now) if hooks.auto_disable else "executable"
    until = hook.off_until if hook.off_until is not None and hook.off_until >= now else None
    switches = {"project": EVENTS, "group": (*EVENTS, *GROUP_EVENTS), "system": _SYSTEM}[hook.kind]
    shown: Json = {
        "id": hook.id,
        "url": hook.url,
        "name": hook.name or None,
        "description": hook.description or None,
        "created_at": moment(datetime.fromtimestamp(hook.created_at, UTC)),
        **{name: hook.events.get(name, False) for name in switches},
        "enable_ssl_verification": hook.ssl,
        "alert_status": status,
        "disabled_until": moment(datetime.fromtimestamp(until, UTC)) if until else None,
        "push_events_branch_filter": hook.branch_filter,
        "branch_filter_strategy": hook.branch_strategy,
        "custom_webhook_template": hook.template,
    }
    if hook.kind != "system":
        shown[f"{hook.kind}_id"] = hook.owner
    if hooks.tells_tokens:
        shown |= {"token_present": bool(hook.token), "signing_token_present": bool(hook.signing_tokens)}
    if alone:
        shown |= {"url_variables": [], "custom_headers": [{"key": name} for name in hook.custom_headers]}
    return shown


def _fill(call: Call, hook: Hook) -> None:
    """Take over what was given. Raises Refused before anything is changed."""
    url = call.text("url").strip()
    if not re.match(r"https?://[^/\s:]+", url):
        raise Refused(422, {"error": "Invalid url given"})
    strategy = call.chosen("branch_filter_strategy", _STRATEGIES, hook.branch_strategy)
    signing = call.text("signing_token", "")
    if signing and call.gitlab.hooks.signs and not _is_signing_token(signing):
        raise refused(422, {"signing_token": ["must be in whsec_<base64> format encoding a 32-byte key"]})
    switches = {name: call.truth(name, hook.events.get(name, False)) for name in (*EVENTS, *GROUP_EVENTS) if name in call.given}
    verified = call.truth("enable_ssl_verification", hook.ssl)
    if url != hook.url:  # whoever changes the address must not get the secrets of the old one
        hook.url, hook.token, hook.signing_tokens, hook.custom_headers = url, "", (), {}
    hook.events.update(switches)
    hook.branch_strategy, hook.ssl = strategy, verified
    hook.name, hook.description = call.text("name", hook.name), call.text("description", hook.description)
    hook.branch_filter = call.text("push_events_branch_filter", hook.branch_filter)
    hook.template = call.given.get("custom_webhook_template", hook.template) or None
    hook.custom_headers |= {entry["key"]: entry["value"] for entry in call.given.get("custom_headers") or ()}
    if "token" in call.given:
        hook.token = call.text("token", "")
    if "signing_token" in call.given and call.gitlab.hooks.signs:
        hook.signing_tokens = (signing,) if signing else ()


def _is_signing_token(text: str) -> bool:
    try:
        return text.startswith("whsec_") and len(base64.b64decode(text.removeprefix("whsec_"), validate=True)) == 32
    except binascii.Error:
        return False


def _create(call: Call, kind: Kind) -> Answer:
    owner = _owner(call, kind)
    call.need("url")
    usual = {"repository_update_events": True} if kind == "system" else {"push_events": True}
    hook = Hook(call.gitlab.state.new_id("hook"), kind, owner, "", call.gitlab.state.seconds(), events=usual)
    _fill(call, hook)
    call.gitlab.hooks.registered[hook.id] = hook
    return Answer(201, _shown(call, hook))


def _update(call: Call, kind: Kind) -> Answer:
    hook = _hook(call, kind)
    call.need("url")
    _fill(call, hook)
    return Answer(200, _shown(call, hook))


def _delete(call: Call, kind: Kind) -> Answer:
    del call.gitlab.hooks.registered[_hook(call, kind).id]
    return Answer(204)


def _list(call: Call, kind: Kind) -> Answer:
    return listed(_hooks(call, kind), lambda hook: _shown(call, hook, alone=False))


def _show(call: Call, kind: Kind) -> Answer:
    return Answer(body=_shown(call, _hook(call, kind)))


def _limited(call: Call, hook: Hook) -> None:
    exceeded = call.gitlab.budget.hook(call.user.username, hook.id)
    if exceeded is not None:
        raise too_many(exceeded)


def _test(call: Call, kind: Kind) -> Answer:
    """Send a sample now, also when the hook is switched off; a 2xx switches it on again."""
    hook, trigger = _hook(call, kind), call.parameters["trigger"].removesuffix("_events")
    if trigger not in _TRIGGERS:
        raise invalid("trigger does not have a valid value")
    _limited(call, hook)
    event = _sample(call, kind, trigger)
    (delivery,) = call.gitlab.hooks.emit(event, to=hook)
    status = call.gitlab.hooks.attempt(delivery)
    if not 200 <= status < 300:
        raise refused(422, f"Hook executed successfully but returned HTTP {status}" if status else "Failed to open TCP connection")
    return Answer(201, {"message": "201 Created"})


def _sample(call: Call, kind: Kind, trigger: str) -> Event:
    """What GitLab would send: made of what the project, or the first project of the group, has. Raises Refused without any."""
    if kind == "project":
        project = call.project
    else:
        found = next((known for known in call.gitlab.state.projects.values() if call.group in known.namespace.line), None)
        if found is None:
            raise refused(422, "Ensure the group has a project with commits.")
        project = found
    payload = _payload(call, project, trigger)
    return Event(f"{trigger.removesuffix('s')}_hooks", f"{trigger}_events", payload, project.id)


def _payload(call: Call, project: Project, trigger: str) -> Json:
    payloads, actor = call.gitlab.events.payloads, call.user
    tip = project.git.branch(project.default_branch or "")
    merge_requests = list(project.merge_requests.values())
    if trigger in ("push", "tag_push") and tip is not None:
        commits = list(project.git.history(tip))[:3]
        return payloads.push(project, actor, f"refs/heads/{project.default_branch}", commits[-1], tip, commits[::-1])
    if trigger == "merge_requests" and merge_requests:
        return payloads.merge_request(merge_requests[0], actor, "", "", {})
    notes = [note for known in merge_requests for note in known.notes]
    if trigger == "note" and notes:
        return payloads.note(notes[0], actor, "create")
    raise refused(422, f"Ensure the project has {trigger.replace('_', ' ')}.")


def _event(call: Call, delivery: Delivery) -> Json:
    status = delivery.attempts[-1].status if delivery.attempts else 0
    secret = ("X-Gitlab-Token", "webhook-signature")
    headers = {name: "[REDACTED]" if name in secret else value for name, value in delivery.headers.items()}
    return {
        "id": delivery.number,
        "url": delivery.hook.url,
        "trigger": delivery.trigger,
        "request_headers": headers,
        "request_data": delivery.payload,
        "response_headers": {},
        "response_body": "",
        "execution_duration": 0.1,
        "response_status": str(status) if status else "internal error",
    }


def _deliveries(call: Call, hook: Hook) -> list[Delivery]:
    since = call.gitlab.state.seconds() - _KEPT
    return [known for known in call.gitlab.hooks.deliveries if known.hook is hook and known.at >= since and known.attempts][::-1]


def _events(call: Call, kind: Kind) -> Answer:
    """What was sent in the last seven days, newest first."""
    wanted, found = str(call.given.get("status") or ""), _deliveries(call, _hook(call, kind))
    ranges = {"successful": (200, 299), "client_failure": (400, 499), "server_failure": (500, 599)}
    if wanted:
        low, high = ranges[wanted] if wanted in ranges else (_status(wanted), _status(wanted))
        found = [known for known in found if low <= known.attempts[-1].status <= high]
    return listed(found, lambda delivery: _event(call, delivery))


def _status(text: str) -> int:
    if not text.isdigit():
        raise bad_request("status is invalid")
    return int(text)


def _resend(call: Call, kind: Kind) -> Answer:
    """Send one again, now, under the same id."""
    hook, number = _hook(call, kind), call.number("event")
    found = next((known for known in _deliveries(call, hook) if known.number == number), None)
    if found is None:
        raise not_found()
    _limited(call, hook)
    status = call.gitlab.hooks.attempt(found)
    return Answer(201, {"response_status": status or "internal error"})


def _register(root: str, kind: Kind, level: Level | None) -> None:
    calls: tuple[tuple[str, str, Callable[[Call, Kind], Answer]], ...] = (
        ("GET", "", _list),
        ("POST", "", _create),
        ("GET", "/:hook", _show),
        ("PUT", "/:hook", _update),
        ("DELETE", "/:hook", _delete),
    )
    more = (("POST", "/:hook/test/:trigger", _test), ("GET", "/:hook/events", _events), ("POST", "/:hook/events/:event/resend", _resend))
    for method, rest, handler in (*calls, *(more if kind != "system" else ())):
        operation(method, f"{root}/hooks{rest}", level=level, signed_in=True)(_bound(handler, kind))


def _bound(handler: Callable[[Call, Kind], Answer], kind: Kind) -> Callable[[Call], Answer]:
    return lambda call: handler(call, kind)


_register("/projects/:id", "project", Level.MAINTAINER)
_register("/groups/:id", "group", Level.OWNER)
_register("", "system", None)


@operation("POST", "/hooks/:hook")
def test_system_hook(call: Call) -> Answer:
    """Send a sample; the answer is the sample, whatever came of it."""
    hook = _hook(call, "system")
    sample = {
        "event_name": "project_create",
        "name": "Ruby",
        "path": "ruby",
        "project_id": 1,
        "owner_name": "Someone",
        "owner_email": "example@gitlabhq.com",
    }
    (delivery,) = call.gitlab.hooks.emit(Event("system_hooks", "system_events", sample), to=hook)
    call.gitlab.hooks.attempt(delivery)
    return Answer(201, sample)
