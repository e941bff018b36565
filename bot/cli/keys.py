"""`fixwright keys public`: the public half of the key that signs receipts, for whoever wants to check them elsewhere."""

from __future__ import annotations

import argparse

from bot.settings import state_dir
from bot.statefolder import make_state_dir
from pipeline.receipts import key_id, load_signer, public_pem


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser("keys", help="show the key that receipts are checked with")
    parser.add_argument("action", choices=("public", "id"), help="`public` prints it in PEM form, `id` its name in receipts")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print it; the key is made at the first use."""
    folder = state_dir()
    make_state_dir(folder)
    key = load_signer(folder).public
    print(key_id(key) if args.action == "id" else public_pem(key), end="\n" if args.action == "id" else "")
    return 0
