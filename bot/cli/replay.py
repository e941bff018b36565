"""`fixwright replay FILE`: hand a saved delivery to the running web process again, signed anew."""

from __future__ import annotations

import argparse
import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from bot.cli.instances import instance_named
from bot.cli.processes import stored
from bot.configurations import DEFAULT, SettingsOfHosts
from bot.settings import Settings, read_settings, variable_of
from bot.standing import LOCKED, THE_KEY_BACK
from bot.statefolder import check_state_dir
from bot.wiring import discover_plugins
from pipeline.errors import HostUnavailable, NotConfigured, UsageError
from pipeline.lacking import missing
from pipeline.ports import Provider
from pipeline.sandbox.hops import first_cause


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser("replay", help="deliver a saved webhook again")
    parser.add_argument("file", type=Path, help="the body, as the host shows it among its recent deliveries")
    parser.add_argument(
        "--host", choices=sorted(discover_plugins().providers), help="who is to have sent it (default: the one that is set up)"
    )
    parser.add_argument(
        "--instance", metavar="NAME", help="which of that host, where several are set up; 'default' for the one without a name"
    )
    parser.add_argument("--event", default="", help="name of the event, as the host gives it in a header: pull_request, Push Hook")
    parser.add_argument("--delivery", default="", help="id of the delivery; a new one unless given")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints what the web process answered."""
    settings, providers = read_settings(), discover_plugins().providers
    try:
        body = args.file.read_bytes()
    except OSError as error:
        raise UsageError(f"{args.file} cannot be read: {error.strerror}") from None
    with _settings_of_hosts(settings, providers) as known:
        provider = _host(known, providers, args.host)
        instance = _instance(known, provider, args.instance)
        configuration = known.of(provider.name, instance)
    headers = dict(provider.signed(body, args.event, args.delivery or str(uuid.uuid4()), configuration))
    # Where the web process listens, not PUBLIC_URL: from here that may lead through a proxy that is not for us.
    address = f"{settings.url}/webhooks/{provider.name}" + (f"/{instance}" if instance else "")
    try:
        answer = httpx.post(address, content=body, headers=headers, timeout=30)
    except httpx.HTTPError as error:
        raise HostUnavailable(f"{settings.url} does not answer: {first_cause(error)}", hint="is `fixwright up` running?") from None
    said: Any = answer.json() if answer.headers.get("content-type", "").startswith("application/json") else answer.text
    print(f"{answer.status_code} {json.dumps(said)}")
    return 0 if answer.is_success else 1


@contextmanager
def _settings_of_hosts(settings: Settings, providers: Mapping[str, Provider]) -> Iterator[SettingsOfHosts]:
    """What setup has stored, and the environment; that alone where this machine has no database, as beside a web process elsewhere."""
    check_state_dir(settings.state_dir)
    if settings.own_database or settings.database_file.exists():
        with stored() as app:
            yield app.configurations
    else:
        yield SettingsOfHosts(settings, providers)


def _host(known: SettingsOfHosts, providers: Mapping[str, Provider], name: str | None) -> Provider:
    """The named one, or the only one for which anything is set up. Raises NotConfigured, UsageError."""
    begun = [one for one in providers if known.locked(one) or _able(known, providers[one])]
    if name is None and len(begun) > 1:
        raise UsageError(f"several hosts are set up: {', '.join(sorted(begun))}", hint="name the one: --host")
    if name is None and not begun:
        commands = " or ".join(one.setup_command for one in providers.values() if one.setup_command)
        raise NotConfigured(
            "the delivery cannot be signed: no host is set up here",
            hint=f"run first: {commands}; or set the secret that the web process has",
        )
    return providers[name or begun[0]]


def _instance(known: SettingsOfHosts, provider: Provider, given: str | None) -> str:
    """The named one, else the default, else the only one, among those whose deliveries could be signed.

    Raises:
        NotConfigured: there is none, or it cannot be opened. UsageError: there are several, or not that one.
    """
    able, locked = _able(known, provider), list(known.locked(provider.name))
    if given is not None:
        wanted = instance_named(given)
        able, locked = ([name for name in names if name == wanted] for names in (able, locked))
    if len(able) > 1 and DEFAULT not in able:
        raise UsageError("several instances are set up", hint=f"say which: --instance {', '.join(able)}")
    if able:
        return DEFAULT if DEFAULT in able else able[0]
    if locked:
        raise NotConfigured(f"the instance {locked[0] or 'default'} {LOCKED}", hint=THE_KEY_BACK)
    variable = variable_of(provider, missing(provider.settings, {}, "receive")[0])
    first = f"run: {provider.setup_command}, or " if provider.setup_command else ""
    what = provider.title if given is None else f"the instance '{given}' of {provider.title}"
    raise NotConfigured(f"the delivery cannot be signed: {what} is not set up", hint=f"{first}set {variable} as the web process has it")


def _able(known: SettingsOfHosts, provider: Provider) -> list[str]:
    """Instances whose deliveries could be signed."""
    names = known.instances(provider.name)
    return [name for name in names if not missing(provider.settings, known.of(provider.name, name), "receive")]
