"""`fixwright replay FILE`: hand a saved delivery to the running web process again, signed anew."""

from __future__ import annotations

import argparse
import json
import uuid
from pathlib import Path
from typing import Any

import httpx

from bot.settings import Settings, read_settings, variable_of
from bot.wiring import discover_plugins
from pipeline.errors import HostUnavailable, NotConfigured, UsageError
from pipeline.lacking import missing
from pipeline.ports import Provider


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser("replay", help="deliver a saved webhook again")
    parser.add_argument("file", type=Path, help="the body, as the host shows it among its recent deliveries")
    parser.add_argument(
        "--host", choices=sorted(discover_plugins().providers), help="who is to have sent it (default: the one that is set up)"
    )
    parser.add_argument("--event", default="", help="name of the event, as the host gives it in a header: pull_request, Push Hook")
    parser.add_argument("--delivery", default="", help="id of the delivery; a new one unless given")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints what the web process answered."""
    settings = read_settings()
    provider = _provider(settings, args.host)
    try:
        body = args.file.read_bytes()
    except OSError as error:
        raise UsageError(f"{args.file} cannot be read: {error.strerror}") from None
    headers = dict(provider.signed(body, args.event, args.delivery or str(uuid.uuid4()), settings.provider(provider)))
    try:
        answer = httpx.post(f"{settings.url}/webhooks/{provider.name}", content=body, headers=headers, timeout=30)
    except httpx.HTTPError as error:
        raise HostUnavailable(f"{settings.url} does not answer ({type(error).__name__})", hint="is `fixwright up` running?") from None
    said: Any = answer.json() if answer.headers.get("content-type", "").startswith("application/json") else answer.text
    print(f"{answer.status_code} {json.dumps(said)}")
    return 0 if answer.is_success else 1


def _provider(settings: Settings, name: str | None) -> Provider:
    """The named one, or the only one whose deliveries could be signed. Raises NotConfigured, UsageError."""
    providers = discover_plugins().providers
    ready = {known: one for known, one in providers.items() if not missing(one.settings, settings.provider(one), "receive")}
    if name is not None and name not in ready:
        lacking = missing(providers[name].settings, {}, "receive")[0]
        raise NotConfigured("the delivery cannot be signed", hint=f"set {variable_of(providers[name], lacking)} as the web process has it")
    if name is None and not ready:
        raise NotConfigured("the delivery cannot be signed", hint="set the webhook secret of its host as the web process has it")
    if name is None and len(ready) > 1:
        raise UsageError(f"several hosts are set up: {', '.join(sorted(ready))}", hint="name the one: --host")
    return ready[name or next(iter(ready))]
