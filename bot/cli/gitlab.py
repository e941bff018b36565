"""`fixwright gitlab`: a GitLab set up with two commands, its groups and projects connected, its token exchanged."""

from __future__ import annotations

import argparse
import getpass
import hashlib
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from bot.cli import OK, UNCHECKED
from bot.cli.instances import forget, instance_named, show_all, the_one
from bot.cli.processes import stored
from bot.configurations import DEFAULT, hook_url
from bot.wiring import App
from pipeline.errors import FixwrightError, NotConfigured, StoreError, UsageError
from pipeline.escaping import visible
from pipeline.leaks import remember
from pipeline.messages import AcceptEvent, Envelope
from pipeline.model.event import InstallationEvent
from pipeline.model.ids import InstallationId
from pipeline.model.loopback import is_loopback
from pipeline.model.target import Installation, SourceRepository
from pipeline.ports import Configuration
from providers.gitlab.admin import DAYS, Administration
from providers.gitlab.connecting import Connector, Row
from providers.gitlab.hook_api import path_of
from providers.gitlab.hook_writing import new_secret, new_signing_token
from providers.gitlab.provider import PROVIDER as PLUGIN
from providers.gitlab.settings import DEFAULT_URL, Site

PROVIDER = PLUGIN.name
MOST_TOKEN = 1_000
"""Characters of a token that is handed in; GitLab's have 20 to 300."""
LIVES = range(2, 401)
"""Days that a token can live; GitLab allows a year, or 400 days, at most (docs "Personal access tokens")."""
KEPT = ("WEBHOOK_SECRET", "WEBHOOK_SECRET_PREVIOUS", "SIGNING_TOKEN", "SIGNING_TOKEN_PREVIOUS")
"""What another setup of the same instance leaves as it is: the webhooks on GitLab have it, too."""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser("gitlab", help="set up GitLab: token, webhooks of groups and projects, stored instances")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    setup = actions.add_parser("setup", help="store address and token of a GitLab, sealed; the token is asked for, or read from stdin")
    setup.add_argument("--url", metavar="URL", help=f"address of the GitLab (default: FIXWRIGHT_GITLAB_URL, else {DEFAULT_URL})")
    setup.add_argument("--new-secrets", action="store_true", help="make new secrets for the webhooks; those before are still accepted")
    _instance(setup, "name of the instance to set up; 'default' for the one without a name")
    setup.set_defaults(run=run_setup)
    connect = actions.add_parser("connect", help="make or repair the webhooks of groups and projects; safe to run again")
    connect.add_argument("names", metavar="GROUP_OR_PROJECT", nargs="+", help="its path (acme, acme/shop), or the address of its page")
    kind = connect.add_mutually_exclusive_group()
    kind.add_argument("--projects-only", action="store_true", help="a webhook for each project of a group, none for the group itself")
    kind.add_argument("--group-hook", action="store_true", help="one webhook for a group although GitLab does not say that it has Premium")
    connect.add_argument("--status-check", action="store_true", help="also an external status check for each project (Ultimate)")
    connect.add_argument("--dry-run", action="store_true", help="only say what would be done")
    _other_token(connect)
    _instance(connect, "which GitLab, where several are set up")
    connect.set_defaults(run=run_connect)
    disconnect = actions.add_parser("disconnect", help="remove our webhooks from groups and projects; those of others stay")
    disconnect.add_argument("names", metavar="GROUP_OR_PROJECT", nargs="+", help="as for connect; of a group also what lies below it")
    _other_token(disconnect)
    _instance(disconnect, "which GitLab, where several are set up")
    disconnect.set_defaults(run=run_disconnect)
    webhook = actions.add_parser("webhook", help="show address and secrets for a webhook that is made by hand; to a terminal only")
    _instance(webhook, "which GitLab, where several are set up")
    webhook.set_defaults(run=run_webhook)
    listing = actions.add_parser("instances", help="list what is set up, and from where")
    listing.set_defaults(run=run_list)
    remove = actions.add_parser("remove", help="forget a stored instance with its token and secrets; its webhooks on GitLab stay")
    remove.add_argument("instance", metavar="NAME", help="its name; 'default' for the one without a name")
    remove.set_defaults(run=run_remove)
    rotate = actions.add_parser("rotate", help="exchange a stored token for a new one with the same scopes")
    rotate.add_argument(
        "--days",
        type=int,
        metavar="N",
        default=DAYS,
        help=f"how long the new one lives, {LIVES.start} to {LIVES.stop - 1} (default: {DAYS})",
    )
    _instance(rotate, "which GitLab, where several are set up")
    rotate.set_defaults(run=run_rotate)


def _instance(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument("--instance", metavar="NAME", help=text)


def _other_token(parser: argparse.ArgumentParser) -> None:
    # Never the token itself: arguments are shown to everybody on the machine.
    text = "another access token for this one run, stored nowhere: the first line of FILE; - asks for it, or reads it from stdin"
    parser.add_argument("--token-file", metavar="FILE", help=text)


def _administration(app: App, instance: str, configuration: Configuration) -> Administration:
    """Raises NotConfigured without a token."""
    return Administration(PLUGIN.api(configuration, app.memory, instance=instance), configuration, app.memory)


# --- setting up -----------------------------------------------------------------------------------------------------------------------


def run_setup(args: argparse.Namespace) -> int:
    """Try the token, then store it with secrets for the webhooks; an instance that is set up already keeps its secrets."""
    name = DEFAULT if args.instance is None else instance_named(args.instance)
    with stored(first=True) as app:
        _refuse_environment(app, name, "unset them, or name another instance: --instance NAME")
        known = app.configurations.of(PROVIDER, name) if name in app.configurations.instances(PROVIDER) else {}
        url = args.url or known.get("URL") or app.configurations.of(PROVIDER, name).get("URL") or DEFAULT_URL
        site = _site(url, asked=args.url is not None)
        settings = {**_secrets(known, anew=args.new_secrets), "URL": site.web_url, "TOKEN": _token(site)}
        remember(*(settings[secret] for secret in ("TOKEN", "SIGNING_TOKEN", "WEBHOOK_SECRET")))
        administration = _administration(app, name, settings)
        who = administration.who()
        app.configurations.save(PROVIDER, name, settings)
    print(visible(f"{site.authority} is set up as {who}; stored sealed, as the instance {name or 'default'}"))
    end = administration.ending(who)
    if end is not None and end.ok is False:
        print(visible(f"!! {end.said}"))
        print(visible(f"   {end.hint}"))
    print(f"next: fixwright gitlab connect GROUP{f' --instance {name}' if name else ''}")
    return OK


def _site(url: str, *, asked: bool) -> Site:
    """Raises NotConfigured; UsageError when the address stood in the call, and no setting is to be changed."""
    try:
        return Site.of({"URL": url})
    except NotConfigured as error:
        if not asked:
            raise
        hint = "give GitLab's address, with the path below which it lies: --url https://git.example.org/gitlab"
        raise UsageError(f"--url {url[:200]}: {error.message}", hint=hint) from None


def _secrets(known: Configuration, *, anew: bool) -> dict[str, str]:
    """Of the webhooks: those that the instance has, or new ones, beside which the old ones are accepted until the next change."""
    made = {"SIGNING_TOKEN": new_signing_token(), "WEBHOOK_SECRET": new_secret()}
    if not anew:
        return {**made, **{setting: known[setting] for setting in KEPT if known.get(setting)}}
    return {**made, **{f"{setting}_PREVIOUS": known[setting] for setting in made if known.get(setting)}}


def _token(site: Site) -> str:
    """Asked for without being shown, or the first line of stdin. Raises UsageError."""
    try:
        given = (
            getpass.getpass(f"access token of {site.authority}, scope api: ") if sys.stdin.isatty() else sys.stdin.readline(MOST_TOKEN + 2)
        )
    except (EOFError, UnicodeDecodeError):
        given = ""
    return _usable(given, "type it when asked, or hand it in: < FILE")


def _token_in(file: str, site: Site) -> str:
    """The first line of a file; `-` as `_token`. Raises UsageError, never with any of what the file holds."""
    if file == "-":
        return _token(site)
    try:
        with Path(file).open(encoding="utf-8") as lines:
            given = lines.readline(MOST_TOKEN + 2)
    except OSError as error:
        raise UsageError(f"{file[:200]} cannot be read: {error.strerror}", hint="name a file whose first line is the token") from None
    except ValueError:  # not UTF-8, or a name that no file can have
        given = ""
    return _usable(given, "name a file whose first line is the token")


def _usable(given: str, hint: str) -> str:
    token = given.strip()
    if not token:
        raise UsageError("no access token was given", hint=hint)
    if len(token) > MOST_TOKEN or not token.isascii() or any(char.isspace() for char in token):
        raise UsageError("what was given is no access token: one has letters, digits and signs alone, on one line", hint=hint)
    return token


def _refuse_environment(app: App, name: str, hint: str) -> None:
    """Raises NotConfigured for what stands in the environment: nothing can be stored there."""
    if app.configurations.origin(PROVIDER, name) == "environment":
        raise NotConfigured("the default instance is set by the environment (FIXWRIGHT_GITLAB_TOKEN and the others)", hint=hint)


def run_list(_: argparse.Namespace) -> int:
    """One line an instance."""
    return show_all(PROVIDER, lambda known: known.get("URL", DEFAULT_URL), "setup")


def run_webhook(args: argparse.Namespace) -> int:
    """What somebody types into GitLab who makes a webhook, or a system hook, by hand. Raises UsageError where it would land in a file."""
    with stored() as app:
        instance = the_one(app, PROVIDER, args.instance)
        configuration = app.configurations.of(PROVIDER, instance)
        _ensure_secrets(configuration)
        if not sys.stdout.isatty():
            raise UsageError("the secrets of webhooks are shown to a terminal only", hint="run it in one, without | and >")
        shown = {
            "URL": hook_url(app.settings, PROVIDER, instance, configuration),
            "secret token": configuration.get("WEBHOOK_SECRET", ""),
            "signing token": configuration.get("SIGNING_TOKEN", ""),
        }
    for name, value in shown.items():
        print(f"{name:14} {visible(value) or '(none is set)'}")
    return OK


def run_remove(args: argparse.Namespace) -> int:
    """Forget it."""
    return forget(PROVIDER, args.instance, "delete its webhooks and its token on GitLab too")


def run_rotate(args: argparse.Namespace) -> int:
    """Exchange the token. The old one is void at once; the running processes use the new one some seconds later."""
    if args.days not in LIVES:
        raise UsageError(f"--days must be between {LIVES.start} and {LIVES.stop - 1}, it is {args.days}")
    with stored() as app:
        name = the_one(app, PROVIDER, args.instance)
        _refuse_environment(app, name, "make a new token on GitLab, set it, and restart; or unset them and run: fixwright gitlab setup")
        known = app.configurations.of(PROVIDER, name)
        settings = {setting: known[setting] for setting in (*KEPT, "URL", "TOKEN") if known.get(setting)}
        administration = _administration(app, name, known)
        # What cannot be stored must not be exchanged: the old token would be gone, and the new one too.
        app.configurations.save(PROVIDER, name, settings)
        token, expires = administration.rotate(args.days)
        remember(token)
        try:
            app.configurations.save(PROVIDER, name, {**settings, "TOKEN": token})
        except StoreError as error:
            hint = f"make a token on {administration.site.authority} by hand, and run: fixwright gitlab setup"
            raise StoreError(f"the token was exchanged, and the new one could not be stored: {error.message}", hint=hint) from None
    print(f"{administration.site.authority} has given a new token; stored sealed, it ends on {expires}")
    return OK


# --- connecting -----------------------------------------------------------------------------------------------------------------------


def run_connect(args: argparse.Namespace) -> int:
    """0 when every place is told of, 3 when one is not."""
    with stored() as app:
        run = _opened(app, args, dry_run=args.dry_run)
        rows = []
        try:
            for row in run.connector.connect(run.names, projects_only=args.projects_only, group_hook=args.group_hook):
                _show(row)
                rows.append(row)
        finally:
            # Also of a run that ended early: what was connected is told of from now on.
            if not args.dry_run:
                run.remember()
                told = tell(app, run.administration.instance, run.connector.result.repositories)
        for row in run.connector.status_checks() if args.status_check else ():
            _show(row)
            rows.append(row)
        if args.dry_run:
            return _code(rows)
        _prove(run.connector.prove())
        known = len(run.connector.result.repositories)
        print(f"{known} repositories are told of from now on, {told} of them new: their first scan begins")
    return _code(rows)


def run_disconnect(args: argparse.Namespace) -> int:
    """0 when none of our webhooks is left that we may see, 3 when a place could not be asked."""
    with stored() as app:
        run = _opened(app, args)
        rows = []
        try:
            for row in run.connector.disconnect(run.names):
                _show(row)
                rows.append(row)
        finally:
            run.remember()
    print("what is known of the repositories stays; see: fixwright repositories list")
    return _code(rows)


@dataclass(frozen=True, slots=True)
class _Run:
    """One run over some places of a GitLab."""

    administration: Administration
    connector: Connector
    names: Sequence[str]
    url: str

    def remember(self) -> None:
        """Where our webhooks hang now, for the hourly look."""
        known, result = self.administration.known(self.url), self.connector.result
        known.drop(*result.cleared)
        known.add([place for place, _ in result.hooks])


def _opened(app: App, args: argparse.Namespace, *, dry_run: bool = False) -> _Run:
    """Everything that can be wrong before GitLab is changed is looked at, and said. Raises UsageError, NotConfigured, HostError."""
    instance = the_one(app, PROVIDER, args.instance)
    configuration = app.configurations.of(PROVIDER, instance)
    site = Site.of(configuration)
    names = [path_of(name, site) for name in args.names]
    if args.token_file is not None:
        token = _token_in(args.token_file, site)
        remember(token)
        configuration = {**configuration, "TOKEN": token}
    administration = _administration(app, instance, configuration)
    url = hook_url(app.settings, PROVIDER, instance, configuration)
    _ensure_secrets(configuration)
    _ensure_reachable(url, administration.site)
    print(visible(f"{administration.site.authority} as {administration.who()}, webhooks to {url}"))
    return _Run(administration, administration.connector(url, dry_run=dry_run), names, url)


def _code(rows: Sequence[Row]) -> int:
    return UNCHECKED if any(row.state == "failed" for row in rows) else OK


def _show(row: Row) -> None:
    mark = "!!" if row.state == "failed" else "  " if row.state == "left" else "ok"
    print(f"{mark} {row.state:8} {row.kind:7} {visible(row.place):40} {visible(row.said)}", flush=True)
    if row.hint:
        print(f"   {'':57} {visible(row.hint)}", flush=True)


def _prove(refused: FixwrightError | None) -> None:
    """What came of the test delivery."""
    if refused is not None:
        print(f"!! a test delivery did not arrive: {visible(refused.message)}")
        print("   is `fixwright up` running, and can GitLab reach it? see: fixwright doctor gitlab")


def _ensure_secrets(configuration: Configuration) -> None:
    """Raises NotConfigured with secrets that were made for it: nothing that is delivered without one is believed."""
    if not configuration.get("WEBHOOK_SECRET") and not configuration.get("SIGNING_TOKEN"):
        made = f"export FIXWRIGHT_GITLAB_SIGNING_TOKEN={new_signing_token()} FIXWRIGHT_GITLAB_WEBHOOK_SECRET={new_secret()}"
        raise NotConfigured(
            "no secret for the webhooks of GitLab is set: set these for all of Fixwright's processes, then run this again", hint=made
        )


def _ensure_reachable(url: str, site: Site) -> None:
    """Raises NotConfigured for an address that leads a GitLab elsewhere to itself."""
    if is_loopback(urlsplit(url).hostname or "") and not is_loopback(site.host):
        raise NotConfigured(
            f"GitLab cannot deliver to {url}", hint="set FIXWRIGHT_URL to the address under which GitLab reaches Fixwright (https://...)"
        )


def tell(app: App, instance: str, repositories: Sequence[SourceRepository]) -> int:
    """Have repositories that are not known yet looked at as if the host had told that they were added; how many.

    Safe to repeat: what is known is not told, and several runs within a minute tell once.
    """
    told = 0
    for account in sorted({repository.installation for repository in repositories}):
        installation = Installation(InstallationId(f"{PROVIDER}:{instance}:{account}"), PROVIDER, instance, account, account)
        with app.database.work() as work:
            known = {source.external_id for _, source, state in work.installations.repositories_of(installation) if state == "active"}
            new = [one for one in repositories if one.installation == account and one.external_id not in known]
            if not new:
                continue
            about = repr((instance, account, sorted(one.external_id for one in new), int(time.time() // 60)))
            delivery = f"connect-{hashlib.sha256(about.encode()).hexdigest()[:32]}"
            event = InstallationEvent(installation, "changed", added=tuple(new))
            work.outbox.send(Envelope(AcceptEvent(delivery, event), f"accept:{delivery}", group=f"accept:{delivery}"))
            told += len(new)
    return told
