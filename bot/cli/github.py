"""`fixwright github`: the links of /setup, and what was set up through them."""

from __future__ import annotations

import argparse

from bot.cli.instances import forget, instance_named, setup_address, show_all
from bot.cli.processes import stored
from bot.pages.links import SetupLinks, Target
from pipeline.errors import UsageError
from pipeline.ports import Configuration

PROVIDER = "github"


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser("github", help="set up GitHub Apps: links to /setup, stored instances")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    link = actions.add_parser("setup-link", help="make a link to /setup that works once")
    link.add_argument("--instance", metavar="NAME", help="set up this instance, or replace it; 'default' for the one without a name")
    link.set_defaults(run=run_link)
    listing = actions.add_parser("instances", help="list what is set up, and from where")
    listing.set_defaults(run=run_list)
    remove = actions.add_parser("remove", help="forget a stored instance with its key and secret; the App on GitHub stays")
    remove.add_argument("instance", metavar="NAME", help="its name; 'default' for the one without a name")
    remove.set_defaults(run=run_remove)


def run_link(args: argparse.Namespace) -> int:
    """Print the link; a link that was made before does not work any more."""
    instance = None if args.instance is None else instance_named(args.instance)
    with stored(first=True) as app:
        if instance is not None and app.configurations.origin(PROVIDER, instance) == "environment":
            raise UsageError(
                "the default instance is set by the environment", hint="unset FIXWRIGHT_GITHUB_APP_ID and the others, or name another one"
            )
        print(setup_address(app.settings, SetupLinks(app.memory).make(Target(instance, PROVIDER))))
    return 0


def run_list(_: argparse.Namespace) -> int:
    """One line an instance."""
    return show_all(PROVIDER, _described, "setup-link")


def run_remove(args: argparse.Namespace) -> int:
    """Forget it."""
    return forget(PROVIDER, args.instance, "delete its App in GitHub's settings too")


def _described(known: Configuration) -> str:
    app_name = f"{known.get('APP_ID', '?')} {known.get('SLUG', '')}".strip()
    return f"App {app_name} at {known.get('API_URL', '')}"
