"""`fixwright keys`: keys of an organization for the API, and the public half of the key that signs receipts."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime

from bot.access import key_secret
from bot.cli import OK
from bot.cli.processes import stored
from bot.settings import state_dir
from bot.statefolder import make_state_dir
from pipeline.errors import StaleWrite, UsageError
from pipeline.escaping import visible
from pipeline.model.account import USUAL, Scope
from pipeline.receipts import key_id, load_signer, public_pem
from pipeline.store.keys import NAME_AT_MOST, ApiKey
from pipeline.store.organizations import DEFAULT

DAY = 86_400.0


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser("keys", help="keys for the API, and the key that receipts are checked with")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    creating = actions.add_parser("create", help="make a key for the API; it is printed once, alone on stdout")
    creating.add_argument("--organization", metavar="SLUG", default=DEFAULT, help="whose everything it sees (default: %(default)s)")
    creating.add_argument("--name", metavar="NAME", required=True, help="what it is for")
    creating.add_argument(
        "--scope",
        metavar="SCOPE",
        action="append",
        default=[],
        choices=[str(one) for one in Scope],
        help=f"{', '.join(Scope)}; give it once for each (default: all but admin)",
    )
    creating.add_argument("--expires", metavar="DAYS", type=_days, help="it holds for so many days (default: until it is revoked)")
    creating.set_defaults(run=create)
    listing = actions.add_parser("list", help="every key, without what it opens with")
    listing.add_argument("--organization", metavar="SLUG", help="only its keys")
    listing.add_argument("--json", action="store_true", help="one JSON document")
    listing.set_defaults(run=show)
    revoking = actions.add_parser("revoke", help="a key opens nothing any more")
    revoking.add_argument("key", metavar="ID", help="its id, or how it begins, as `keys list` shows them")
    revoking.set_defaults(run=revoke)
    rotating = actions.add_parser("rotate", help="a new key in the place of an old one, which holds for some time more")
    rotating.add_argument("key", metavar="ID", help="its id, or how it begins")
    rotating.add_argument("--overlap", metavar="DAYS", type=_days, default=1.0, help="how long the old one holds (default: %(default)s)")
    rotating.set_defaults(run=rotate)
    approving = actions.add_parser("approve", help="let a program in that shows a code and waits")
    approving.add_argument("code", metavar="CODE", help="as the program shows it")
    approving.add_argument("--organization", metavar="SLUG", default=DEFAULT, help="whose everything it sees (default: %(default)s)")
    approving.add_argument(
        "--scope", metavar="SCOPE", action="append", default=[], choices=[str(one) for one in Scope], help="as of `keys create`"
    )
    approving.set_defaults(run=approve)
    for name, told in (("public", "print the key that receipts are checked with, in PEM form"), ("id", "print its name in receipts")):
        actions.add_parser(name, help=told).set_defaults(run=_receipts, action=name)


def _days(text: str) -> float:
    try:
        days = float(text)
    except ValueError:
        days = -1.0
    if not 0 <= days <= 3650:
        raise argparse.ArgumentTypeError("a number of days, 0 to 3650")
    return days


def _receipts(args: argparse.Namespace) -> int:
    """Print it; the key is made at the first use."""
    folder = state_dir()
    make_state_dir(folder)
    key = load_signer(folder).public
    print(key_id(key) if args.action == "id" else public_pem(key), end="\n" if args.action == "id" else "")
    return OK


def create(args: argparse.Namespace) -> int:
    """Make one. Its only line on stdout is the key."""
    name = args.name.strip()
    if not 0 < len(name) <= NAME_AT_MOST:
        raise UsageError(f"a name has 1 to {NAME_AT_MOST} characters")
    with stored(first=True) as app, app.database.work() as work:
        work.organizations.settle(one_each=app.settings.organization_per_installation)
        organization = work.organizations.named(args.organization)
        expires = None if args.expires is None else args.expires * DAY
        scopes = [Scope(word) for word in args.scope]
        _, key = work.keys.create(organization.id, name, key_secret(app.settings), scopes=scopes, expires_in=expires)
    print(key)
    return OK


def show(args: argparse.Namespace) -> int:
    """List them, the newest first."""
    with stored() as app, app.database.read() as work:
        organization = work.organizations.named(args.organization).id if args.organization else None
        found = work.keys.all(organization)
    if args.json:
        print(json.dumps({"keys": [_document(one) for one in found]}, indent=2))
        return OK
    for one in found:
        used = f"used {_day(one.last_used_at)}" if one.last_used_at else "never used"
        until = f", until {_day(one.expires_at)}" if one.expires_at else ""
        print(f"{one.id}  {one.prefix}...  {one.organization}  {visible(one.name)}  {one.state}, {used}{until}  {' '.join(one.scopes)}")
    if not found:
        print("there is no key; make one: fixwright keys create --name NAME")
    return OK


def _document(key: ApiKey) -> dict[str, object]:
    moments = {name: getattr(key, name) for name in ("created_at", "expires_at", "last_used_at", "revoked_at")}
    said = {name: None if moment is None else datetime.fromtimestamp(moment, UTC).isoformat() for name, moment in moments.items()}
    plain = {"id": key.id, "organization": key.organization, "name": key.name, "key_prefix": key.prefix}
    return {**plain, "scopes": list(key.scopes), "state": key.state, **said}


def _day(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d")


def revoke(args: argparse.Namespace) -> int:
    """End one."""
    with stored() as app, app.database.work() as work:
        one = _find(work.keys.all(), args.key)
        ended = work.keys.revoke(one.id, "the command line")
    print(f"{one.prefix}... {'is revoked' if ended else 'was revoked before'}")
    return OK


def rotate(args: argparse.Namespace) -> int:
    """A new one in the place of an old one. Its only line on stdout is the key."""
    with stored() as app, app.database.work() as work:
        one = _find(work.keys.all(), args.key)
        try:
            _, key = work.keys.rotate(one.id, key_secret(app.settings), args.overlap * DAY, "the command line")
        except StaleWrite as error:
            raise UsageError(error.message, hint="fixwright keys list") from None
    print(key)
    return OK


def approve(args: argparse.Namespace) -> int:
    """Say yes to a program that waits."""
    with stored() as app, app.database.work() as work:
        login = work.logins.waiting(args.code)
        organization = work.organizations.named(args.organization)
        work.logins.approve(args.code, organization.id, "the command line", [Scope(word) for word in args.scope] or USUAL)
    print(f"{visible(login.client_name) if login else args.code} may go on, in {organization.slug}")
    return OK


def _find(known: list[ApiKey], wanted: str) -> ApiKey:
    """A key by its id, or by how it begins. Raises UsageError when there is none, or more than one."""
    found = [one for one in known if wanted == one.id or wanted.rstrip(".") == one.prefix]
    if len(found) != 1:
        raise UsageError(f"there {'are several such keys' if found else 'is no such key'}", hint="say its id: fixwright keys list")
    return found[0]
