"""Stored instances of a code host, as the commands of every host list and forget them."""

from __future__ import annotations

import re
from collections.abc import Callable

from bot.cli.processes import stored
from bot.configurations import DEFAULT
from bot.settings import Settings
from bot.wiring import App
from pipeline.errors import UsageError
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
    """The instance that a command is about: the named one, else the only one there is. Raises UsageError."""
    known = list(app.configurations.instances(provider))
    if given is not None:
        name = instance_named(given)
        if name not in known:
            raise UsageError(f"the instance '{given}' is not set up", hint=f"run: fixwright {provider} instances")
        return name
    if len(known) > 1 and DEFAULT not in known:
        names = ", ".join(name or "default" for name in known)
        raise UsageError("several instances are set up", hint=f"say which: --instance {names}")
    return DEFAULT if DEFAULT in known or not known else known[0]


def show_all(provider: str, describe: Callable[[Configuration], str], setup: str) -> int:
    """One line an instance.

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
        for name in app.configurations.locked(provider):
            print(f"{name or 'default':24} cannot be opened: it was stored with another FIXWRIGHT_SECRET_KEY")
    return 0


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
