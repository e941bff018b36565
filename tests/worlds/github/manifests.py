"""Apps made from a manifest. Source: docs "Registering a GitHub App from a manifest"."""

from __future__ import annotations

import json
import secrets
from functools import cache
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.worlds.github.hooks import Hooks
from tests.worlds.github.model import Account, App
from tests.worlds.github.state import State

CODE_SECONDS = 3_600
_FIRST = 2_000_001
_FIELDS = frozenset(
    {
        *("name", "url", "hook_attributes", "redirect_url", "callback_urls", "setup_url", "description", "public"),
        *("default_events", "default_permissions", "request_oauth_on_install", "setup_on_update"),
    }
)
_NEEDS = {
    "push": "contents",
    "pull_request": "pull_requests",
    "pull_request_review_comment": "pull_requests",
    "pull_request_review_thread": "pull_requests",
    "pull_request_review": "pull_requests",
    "issue_comment": "issues",
    "check_run": "checks",
    "check_suite": "checks",
    "merge_group": "merge_queues",
    "repository": "metadata",
    "public": "metadata",
    "member": "members",
    "organization": "members",
}
"""The permission without which an event cannot be asked for (docs "Webhook events and payloads"); what is not here cannot be asked for."""


@cache
def _key(number: int) -> rsa.RSAPrivateKey:
    """One of few keys: making one takes longer than a test."""
    return rsa.generate_private_key(public_exponent=65_537, key_size=2048)


class ManifestRefused(Exception):
    """GitHub's page says why."""


class Manifests:
    """From a manifest to an app, and from a code to its secrets."""

    def __init__(self, state: State, hooks: Hooks) -> None:
        self._state, self._hooks = state, hooks
        self._codes: dict[str, tuple[App, float]] = {}
        self.made: list[App] = []
        """Newest last."""

    def check(self, text: str) -> dict[str, Any]:
        """The manifest. Raises ManifestRefused as GitHub's form does."""
        try:
            manifest: dict[str, Any] = json.loads(text)
        except ValueError:
            raise ManifestRefused("The manifest is not JSON") from None
        if unknown := sorted(set(manifest) - _FIELDS):
            raise ManifestRefused(f"unknown fields: {', '.join(unknown)}")
        if not manifest.get("url") or not (manifest.get("hook_attributes") or {}).get("url"):
            raise ManifestRefused("url and hook_attributes.url are needed")
        if len(manifest.get("name", "")) > 34:
            raise ManifestRefused("Name is too long (maximum is 34 characters)")
        granted = {"metadata": "read"} | manifest.get("default_permissions", {})
        if wrong := [event for event in manifest.get("default_events", []) if _NEEDS.get(event) not in granted]:
            raise ManifestRefused(f"Default events unsupported: {', '.join(wrong)}")
        return manifest

    def make(self, manifest: dict[str, Any], name: str, owner: Account) -> str:
        """The app, and the code for its secrets."""
        slug = name.lower().replace(" ", "-")
        if any(app.slug == slug for app in self._state.apps.values()):
            raise ManifestRefused("Name is already taken")
        key = _key(len(self.made) % 2)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        ).decode()
        public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
        app = App(
            _FIRST + len(self.made),
            slug,
            name,
            owner,
            self._state.account(f"{slug}[bot]", "Bot"),
            pem,
            public,
            secrets.token_hex(20),
            dict(manifest["default_permissions"]),
            tuple(manifest["default_events"]),
            self._state.now(),
            hook_url=manifest["hook_attributes"]["url"],
            setup_url=manifest.get("setup_url", ""),
        )
        self._state.apps[app.id] = app
        self.made.append(app)
        code = secrets.token_hex(20)
        self._codes[code] = (app, self._state.seconds() + CODE_SECONDS)
        return code

    def convert(self, code: str) -> App | None:
        """The app of a code, once."""
        app, until = self._codes.pop(code, (None, 0.0))
        return app if self._state.seconds() < until else None
