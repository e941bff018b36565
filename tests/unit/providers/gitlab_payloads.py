"""Payloads of GitLab's webhooks, written from the documented fields (docs "Webhook events", "System hooks"), and how they are signed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from typing import Any

from pipeline.model.event import Delivery
from pipeline.signing import sign

NOW = 1_800_000_000
SECRET = "a secret token of " + "this test"
KEY = hashlib.sha256(b"a signing key of this test").digest()
SIGNING_TOKEN = "whsec_" + base64.b64encode(KEY).decode()
CONFIGURATION = {"URL": "https://git.example.org/gitlab", "WEBHOOK_SECRET": SECRET, "SIGNING_TOKEN": SIGNING_TOKEN}

OLD, NEW = "1" * 40, "2" * 40
DISCUSSION = "d" * 40

# Payloads are JSON of another program, which the tests bend.
Payload = dict[str, Any]

ADA: Payload = {"id": 64, "name": "Ada", "username": "ada", "avatar_url": None, "email": "[REDACTED]"}
PROJECT: Payload = {
    "id": 22,
    "name": "Shop",
    "description": "",
    "web_url": "https://git.example.org/gitlab/acme/web/shop",
    "git_ssh_url": "git@git.example.org:acme/web/shop.git",
    "git_http_url": "https://git.example.org/gitlab/acme/web/shop.git",
    "namespace": "web",
    "visibility_level": 0,
    "path_with_namespace": "acme/web/shop",
    "default_branch": "main",
}
FORK: Payload = {**PROJECT, "id": 99, "path_with_namespace": "ada/shop", "web_url": "https://git.example.org/gitlab/ada/shop"}


def push(**changed: object) -> Payload:
    """A push of two commits to `main`."""
    return {
        "object_kind": "push",
        "event_name": "push",
        "before": OLD,
        "after": NEW,
        "ref": "refs/heads/main",
        "checkout_sha": NEW,
        "user_id": 64,
        "user_name": "Ada",
        "user_username": "ada",
        "project_id": 22,
        "project": PROJECT,
        "commits": [{"id": NEW, "message": "Two", "author": {"name": "Ada", "email": "ada@example.org"}, "added": ["a.py"]}],
        "total_commits_count": 2,
        **changed,
    }


def merge_request(action: str | None = "open", changes: Payload | None = None, /, **changed: object) -> Payload:
    """Something about merge request 7; `changed` are attributes of it."""
    attributes = {
        "id": 990,
        "iid": 7,
        "target_branch": "main",
        "source_branch": "feature",
        "source_project_id": 22,
        "target_project_id": 22,
        "author_id": 64,
        "title": "A feature",
        "state": "opened",
        "draft": False,
        "work_in_progress": False,
        "last_commit": {"id": NEW, "message": "Two", "author": {"name": "Ada", "email": "ada@example.org"}},
        "source": PROJECT,
        "target": PROJECT,
        "detailed_merge_status": "checking",
        "url": "https://git.example.org/gitlab/acme/web/shop/-/merge_requests/7",
        **({} if action is None else {"action": action}),
        **changed,
    }
    return {
        "object_kind": "merge_request",
        "event_type": "merge_request",
        "user": ADA,
        "project": PROJECT,
        "repository": {"name": "Shop"},
        "object_attributes": attributes,
        "labels": [],
        "changes": changes or {},
    }


def note(text: str = "/scan", **changed: object) -> Payload:
    """A new note on merge request 7; `changed` are attributes of it."""
    attributes = {
        "id": 1244,
        "note": text,
        "noteable_type": "MergeRequest",
        "author_id": 64,
        "project_id": 22,
        "noteable_id": 990,
        "discussion_id": DISCUSSION,
        "type": None,
        "system": False,
        "internal": False,
        "action": "create",
        **changed,
    }
    body = {"object_kind": "note", "event_type": "note", "user": ADA, "project_id": 22, "project": PROJECT, "object_attributes": attributes}
    return {**body, "merge_request": {"id": 990, "iid": 7, "target_branch": "main", "last_commit": {"id": NEW}}}


def pipeline(ref: str = "feature", status: str = "running", **changed: object) -> Payload:
    """A pipeline for merge request 7."""
    attributes = {"id": 31, "ref": ref, "tag": False, "sha": NEW, "source": "merge_request_event", "status": status, **changed}
    merge_request = {"id": 990, "iid": 7, "source_branch": "feature", "source_project_id": 22}
    merge_request |= {"target_branch": "main", "target_project_id": 22}
    return {"object_kind": "pipeline", "object_attributes": attributes, "merge_request": merge_request, "user": ADA, "project": PROJECT}


def deployment(status: str = "success", **changed: object) -> Payload:
    """A deployment to staging."""
    return {
        "object_kind": "deployment",
        "status": status,
        "deployment_id": 15,
        "environment": "staging",
        "environment_external_url": "https://staging.example.org",
        "project": PROJECT,
        "short_sha": NEW[:8],
        "user": ADA,
        "commit_url": f"https://git.example.org/gitlab/acme/web/shop/-/commit/{NEW}",
        **changed,
    }


def project(event: str, **changed: object) -> Payload:
    """Something about a project as a whole."""
    about = {"name": "Shop", "path": "shop", "path_with_namespace": "acme/web/shop", "project_id": 22, "project_visibility": "private"}
    return {"event_name": event, "created_at": "2026-01-01T00:00:00Z", "owners": [], **about, **changed}


def group(event: str, **changed: object) -> Payload:
    """Something about a group."""
    return {"event_name": event, "name": "Web", "path": "web", "full_path": "acme/web", "group_id": 10, **changed}


def project_member(event: str) -> Payload:
    """Something about a member of a project."""
    about = {"access_level": "Developer", "project_id": 22, "project_name": "Shop", "project_path_with_namespace": "acme/web/shop"}
    return {"event_name": event, "user_id": 64, "user_username": "ada", "project_visibility": "internal", **about}


def group_member(event: str) -> Payload:
    """Something about a member of `elsewhere/acme`: the path has its last step alone."""
    about = {"group_name": "Acme", "group_path": "acme", "group_id": 7, "group_access": "Guest"}
    return {"event_name": event, "user_id": 64, "user_username": "ada", **about}


def status_check(**changed: object) -> Payload:
    """The question of an external status check (docs "External status checks API")."""
    rule = {"id": 3, "name": "Fixwright", "external_url": "https://fixwright.example.org/webhooks/gitlab"}
    return {**merge_request(None, None, **changed), "external_approval_rule": rule}


def known() -> dict[str, Payload]:
    """One payload at least for each event that concerns us."""
    found = {
        "push": push(),
        "status_check": status_check(),
        "note": note(action=None),
        "note.create": note(),
        "pipeline": pipeline(),
        "deployment": deployment(),
        "merge_request.update": merge_request("update", oldrev=OLD),
    }
    found |= {f"merge_request.{action}": merge_request(action) for action in ("open", "reopen", "close", "merge")}
    found |= {f"project_{event}": project(f"project_{event}") for event in ("create", "destroy", "rename", "transfer", "update")}
    found |= {event: group(event) for event in ("group_rename", "group_destroy", "subgroup_destroy")}
    return found | {event: project_member(event) for event in ("user_remove_from_team", "user_update_for_team")}


# --- how they are signed ---


def body_of(payload: object) -> bytes:
    """As it is sent."""
    return payload if isinstance(payload, bytes) else json.dumps(payload).encode()


def with_token(body: bytes, identity: str, secret: str = SECRET) -> dict[str, str]:
    """Headers with the secret token."""
    return {"x-gitlab-token": secret, "idempotency-key": identity, "x-gitlab-event-uuid": f"event-{identity}"}


def with_signature(body: bytes, identity: str, key: bytes = KEY, at: int = NOW) -> dict[str, str]:
    """Headers with the signature of the signing token."""
    signature = sign(key, identity, at, body)
    return {"webhook-id": identity, "webhook-timestamp": str(at), "webhook-signature": signature, "idempotency-key": identity}


def with_shared_secret(body: bytes, identity: str, secret: str = SECRET) -> dict[str, str]:
    """Headers of an external status check."""
    return {"x-gitlab-signature": hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}


Proof = Callable[[bytes, str], dict[str, str]]
PROOFS: Mapping[str, Proof] = {"token": with_token, "signature": with_signature}
"""The two ways in which a webhook proves itself."""


def delivery(payload: object, headers: Mapping[str, str] | None = None, *, proof: Proof = with_token, identity: str = "key-1") -> Delivery:
    """One proven delivery; `headers` stand in for its own."""
    body = body_of(payload)
    return Delivery("gitlab", "", {"content-type": "application/json", **proof(body, identity), **(headers or {})}, body)
