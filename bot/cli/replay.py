"""`fixwright replay FILE`: hand a saved delivery to the running web process again, signed anew."""

from __future__ import annotations

import argparse
import hashlib
import hmac
import json
import uuid
from pathlib import Path
from typing import Any

import httpx

from bot.settings import read_settings
from bot.wiring import discover_plugins
from pipeline.errors import HostUnavailable, NotConfigured, UsageError


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser("replay", help="deliver a saved GitHub webhook again")
    parser.add_argument("file", type=Path, help="the body, as GitHub shows it under Recent Deliveries")
    parser.add_argument("--event", required=True, help="value of X-GitHub-Event, for example pull_request")
    parser.add_argument("--delivery", default="", help="value of X-GitHub-Delivery; a new one unless given")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints what the web process answered."""
    settings = read_settings()
    provider = discover_plugins().providers["github"]
    secret = settings.provider(provider).get("WEBHOOK_SECRET", "")
    if not secret:
        raise NotConfigured("the delivery cannot be signed", hint="set FIXWRIGHT_GITHUB_WEBHOOK_SECRET as the web process has it")
    try:
        body = args.file.read_bytes()
    except OSError as error:
        raise UsageError(f"{args.file} cannot be read: {error.strerror}") from None
    headers = {
        "content-type": "application/json",
        "x-github-event": args.event,
        "x-github-delivery": args.delivery or str(uuid.uuid4()),
        "x-hub-signature-256": "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest(),
    }
    try:
        answer = httpx.post(f"{settings.url}/webhooks/github", content=body, headers=headers, timeout=30)
    except httpx.HTTPError as error:
        raise HostUnavailable(f"{settings.url} does not answer ({type(error).__name__})", hint="is `fixwright up` running?") from None
    said: Any = answer.json() if answer.headers.get("content-type", "").startswith("application/json") else answer.text
    print(f"{answer.status_code} {json.dumps(said)}")
    return 0 if answer.is_success else 1
