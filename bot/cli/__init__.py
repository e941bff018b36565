"""The command line: one file a command. Exit codes: 0 clean, 1 findings or refused, 2 usage, 3 could not check."""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import re
import resource
import sys
import threading
import traceback
from collections.abc import Sequence
from types import TracebackType
from typing import NoReturn

import bot.cli
from bot import __version__
from pipeline.errors import EngineError, FixwrightError, NotConfigured, PolicyInvalid, SandboxUnavailable, UsageError
from pipeline.escaping import visible
from pipeline.leaks import REMOVED, clean, may_be_secret

OK, FOUND, USAGE, UNCHECKED = 0, 1, 2, 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; never shows a traceback for a person's mistake."""
    _leave_no_core()
    sys.excepthook = _crashed
    if threading.excepthook is threading.__excepthook__:  # who has set another one (a test run) wants to know of it
        threading.excepthook = _thread_crashed
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        parsed = make_parser(given[0] if given else "").parse_args(given)
        code: int = parsed.run(parsed)
        sys.stdout.flush()
    except FixwrightError as error:
        print_error(error)
        return exit_code(error)
    except BrokenPipeError:
        # The reader went away (`fixwright doctor | head`): nothing is wrong.
        _stop_talking()
        return OK
    except KeyboardInterrupt:
        print("\nfixwright: interrupted", file=sys.stderr)
        return 130
    return code


def _leave_no_core() -> None:
    """No process of ours, and none that it starts, leaves a core file (core(5)): keys, tokens and what was found would stand in it."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


NO_SECRETS = "\n  a token is never an argument, which everybody on this machine can read: it is asked for, or read from stdin"

_OPTION = re.compile(r"--?[a-z][a-z-]{0,30}")


class _Parser(argparse.ArgumentParser):
    """Refuses an option that it does not know by itself: the outermost parser would answer with the usage of everything."""

    def parse_known_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def]  # as argparse's own, which has no types
        """See `argparse`; what is not known is an error of the command that was given it."""
        parsed, unknown = super().parse_known_args(args, namespace)
        if unknown:
            shown = _shown(unknown)
            hint = NO_SECRETS if any(word.endswith(REMOVED) for word in shown) else ""
            super().error(f"unrecognized arguments: {visible(clean(' '.join(shown), machine=True))}{hint}")
        return parsed, unknown

    def error(self, message: str) -> NoReturn:
        """See `argparse`; what it quotes of the call goes through the filter of every other error."""
        super().error(visible(clean(message, machine=True)))


def _shown(words: Sequence[str]) -> list[str]:
    """Words of a call that nobody understands, without those that may be secrets: a value behind an option, and what no person types."""
    shown: list[str] = []
    for before, word in zip(["", *words], words, strict=False):
        name, has_value, _ = word.partition("=")
        if _OPTION.fullmatch(name):
            shown.append(f"{name}={REMOVED}" if has_value else name)
        else:
            shown.append(REMOVED if before.startswith("-") or may_be_secret(word) else word)
    return shown


def make_parser(wanted: str = "") -> argparse.ArgumentParser:
    """The parser with the wanted command of this folder, or with every one: a scan must not wait for the imports of a worker."""
    parser = _Parser(prog="fixwright", description="Scans changes, answers pull requests, and opens fixes that prove themselves.")
    parser.add_argument("--version", action="version", version=f"fixwright {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    names = sorted(info.name for info in pkgutil.iter_modules(bot.cli.__path__) if not info.name.startswith("_"))
    for name in () if wanted == "--version" else [wanted] if wanted in names else names:
        module = importlib.import_module(f"bot.cli.{name}")
        if hasattr(module, "add"):
            module.add(commands)
    return parser


def exit_code(error: FixwrightError) -> int:
    """2 for what the caller can mend in the call, 3 for what could not be checked."""
    if isinstance(error, UsageError | NotConfigured | PolicyInvalid):
        return USAGE
    if isinstance(error, EngineError | SandboxUnavailable):
        return UNCHECKED
    return UNCHECKED


def show(document: bytes) -> None:
    """Write a document to stdout. A reader that goes away early (`| head`) does not change what the command answers."""
    try:
        sys.stdout.buffer.write(document)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        _stop_talking()


def _stop_talking() -> None:
    """Python flushes stdout once more while it ends, and would complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_error(error: FixwrightError) -> None:
    """What went wrong, and what to do about it. A host or a file may have had a part in the words: a terminal obeys none of them."""
    for one in (error, *error.others) if isinstance(error, PolicyInvalid) else (error,):
        print(f"fixwright: {visible(clean(one.message, machine=True))}", file=sys.stderr)
    if error.hint:
        print(f"  {visible(clean(error.hint, machine=True))}", file=sys.stderr)


def _crashed(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """A fault of ours: the traceback as Python shows it, but for what must not leave."""
    sys.stderr.write(clean("".join(traceback.format_exception(kind, error, trace)), machine=True))


def _thread_crashed(crash: threading.ExceptHookArgs) -> None:
    """As `_crashed`, for a thread: Python shows those by another way."""
    if crash.exc_type is SystemExit:  # as Python's own: the thread ended itself
        return
    name = crash.thread.name if crash.thread is not None else "unknown"
    sys.stderr.write(clean(f"Exception in thread {name}:\n", machine=True))
    _crashed(crash.exc_type, crash.exc_value or crash.exc_type(), crash.exc_traceback)
