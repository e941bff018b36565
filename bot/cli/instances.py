"""Stored instances of a code host, as the commands of every host list and forget them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from bot.cli import OK, UNCHECKED
from bot.cli.processes import stored
from bot.configurations import DEFAULT
from bot.settings import Settings
from bot.standing import LOCKED, THE_KEY_BACK
from bot.wiring import App
from pipeline.errors import NotConfigured, UsageError
from pipeline.escaping import visible
from pipeline.ports import Configuration

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?\Z")


def instance_named(given: str) -> str:
    """The instance that is called so on the command line; `default` for the one without a name. Raises UsageError."""
    if given == "default":
        return DEFAULT
    if not _NAME.match(given):
        raise UsageError(f"'{given[:80]}' is no name of an instance", hint="use letters in lower case, digits and hyphens")
    return given


def the_one(app: App, provider: str, given: str | None) -> str:
    """The instance that a command is about: the named one, else the only one there is.

    Raises:
        UsageError: there are several, or not that one.
        NotConfigured: nothing is set up; or it cannot be opened.
    """
    locked = app.configurations.locked(provider)
    known = [*app.configurations.instances(provider), *locked]
    name = _chosen(known, provider, given) if known or given is not None else None
    if name is None:
        one = app.plugins.providers[provider]
        raise NotConfigured(f"{one.title} is not set up", hint=f"run: {one.setup_command}")
    if name in locked:
        raise NotConfigured(f"the instance {name or 'default'} {LOCKED}", hint=THE_KEY_BACK)
    return name


def _chosen(known: Sequence[str], provider: str, given: str | None) -> str:
    if given is not None:
        name = instance_named(given)
        if name not in known:
            raise UsageError(f"the instance '{given}' is not set up", hint=f"run: fixwright {provider} instances")
        return name
    if len(known) > 1 and DEFAULT not in known:
        names = ", ".join(name or "default" for name in known)
        raise UsageError("several instances are set up", hint=f"say which: --instance {names}")
    return DEFAULT if DEFAULT in known else known[0]


def show_all(provider: str, describe: Callable[[Configuration], str], setup: str) -> int:
    """One line an instance; 3 when one of them cannot be opened.

    Args:
        describe: its settings, without secrets.
        setup: the command that sets one up.
    """
    with stored() as app:
        if not app.configurations.instances(provider) and not app.configurations.locked(provider):
            print(f"nothing is set up; run: fixwright {provider} {setup}")
        for name in app.configurations.instances(provider):
            said, origin = describe(app.configurations.of(provider, name)), app.configurations.origin(provider, name)
            print(visible(f"{name or 'default':24} {said}, from {origin}"))
        locked = app.configurations.locked(provider)
        for name in locked:
            print(f"{name or 'default':24} {LOCKED}; {THE_KEY_BACK}")
    return UNCHECKED if locked else OK


def setup_address(settings: Settings, token: str) -> str:
    """The whole address of /setup that a person opens; `token`: see `bot.pages.links`."""
    return f"{settings.url.replace('://0.0.0.0', '://127.0.0.1')}/setup?token={token}"


def forget(provider: str, given: str, left: str) -> int:
    """Forget one with its secrets.

    Args:
        left: what stays on the host, and is for the operator to delete there.
    """
    instance = instance_named(given)
    with stored() as app:
        with app.database.work() as work:
            gone = work.instances.remove(provider, instance)
        if not gone:
            raise UsageError(f"nothing is stored for the instance '{given}'", hint=f"run: fixwright {provider} instances")
    print(f"forgot {given}; {left}")
    return 0
