"""`fixwright watch OWNER/REPOSITORY`: looks at a repository by itself, where no webhook can come in."""

from __future__ import annotations

import argparse
import hashlib
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from bot.alone import Alone
from bot.cli import FOUND, OK, UNCHECKED
from bot.cli.processes import alone, set_apart
from bot.logs import configure_logs
from bot.settings import read_settings
from bot.watching import Watch
from bot.wiring import App
from pipeline import phrases
from pipeline.errors import (
    HostError,
    HostForbidden,
    HostNotFound,
    HostUnauthorized,
    HostUnavailable,
    NotConfigured,
    RateLimited,
    UsageError,
)
from pipeline.escaping import visible
from pipeline.messages import AcceptEvent, Envelope
from pipeline.model.event import Event
from pipeline.model.ids import InstallationId, ReviewId
from pipeline.model.report import Report
from pipeline.model.review import Conclusion, Review, ReviewStatus, Verdict
from pipeline.model.target import Installation, PullRequestRef, SourceRepository
from pipeline.ports import CodeHost
from pipeline.sandbox.workfolder import work_folder
from pipeline.stopping import Stopping
from pipeline.stopping import stop as stop_now

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

PROVIDER = "github"
INTERVAL, SHORTEST = 60.0, 10.0
"""Seconds between two looks. A look is five requests; those that bring nothing new cost none of the 5,000 an hour."""
ENDED = (ReviewStatus.DONE, ReviewStatus.FAILED)
FOR_GOOD = (HostUnauthorized, HostForbidden, HostNotFound)
"""What another try does not mend."""

_SLUG = re.compile(r"[A-Za-z0-9._-]+/[A-Za-z0-9._-]+")

Say = Callable[[str], None]


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser("watch", help="look at a repository by itself, where no webhook can come in (FIXWRIGHT_GITHUB_TOKEN)")
    parser.add_argument("repository", metavar="OWNER/REPOSITORY")
    parser.add_argument("--once", action="store_true", help="look once, work until everything is answered, and end")
    parser.add_argument("--pull-request", type=int, default=0, metavar="N", help="only this pull request")
    parser.add_argument("--interval", type=float, default=INTERVAL, metavar="SECONDS", help=f"between two looks (default {INTERVAL:.0f})")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """With --once: 1 when a change is blocked, else 3 when one could not be checked, else 0. Without: until Ctrl-C, which is 0."""
    if args.interval < SHORTEST:
        raise UsageError(f"--interval must be at least {SHORTEST:.0f} seconds")
    if not _SLUG.fullmatch(args.repository):
        raise UsageError(f"'{visible(args.repository)}' is no OWNER/REPOSITORY", hint="as in: fixwright watch octo/shop")
    settings = read_settings()
    configure_logs(settings)
    stop = threading.Event()
    with alone(settings) as app, work_folder(), stopped_by_signals(stop):
        try:
            session = Session(app, args.repository, args.pull_request, say)
            if args.once:
                return session.once(stop)
            session.run(stop, args.interval)
        except Stopping:
            pass
    say("stopped")
    return OK


class Session:
    """One watch with its work, in this thread.

    Args:
        said: where each happening goes, a line each.
    """

    def __init__(self, app: App, name: str, number: int, said: Say) -> None:
        self._app, self._say = app, said
        owner = name.partition("/")[0]
        configuration = app.places.configurations.of(PROVIDER, "")
        if not configuration.get("TOKEN"):
            raise NotConfigured("there is no token to watch with", hint="set FIXWRIGHT_GITHUB_TOKEN; see docs/guide/without-an-app.md")
        if configuration.get("APP_ID"):
            raise NotConfigured(
                "an App is set up here too, and the App goes before the token", hint="unset FIXWRIGHT_GITHUB_APP_ID to watch"
            )
        provider = app.plugins.providers[PROVIDER]
        waiting = Installation(InstallationId(""), PROVIDER, "", owner, f"token:{owner}")
        host = provider.connect(waiting, configuration, app.memory)
        self.repository: SourceRepository = _found(host, name, configuration.get("API_URL", ""))
        instance = self.repository.instance
        self.installation = Installation(
            InstallationId(f"{PROVIDER}:{instance}:token:{owner}"), PROVIDER, instance, owner, f"token:{owner}"
        )
        self.host = provider.connect(self.installation, configuration, app.memory)
        self._watch = Watch(app, self.host, self.installation, self.repository, number)
        self._work = Alone(app)
        self._told: dict[ReviewId, ReviewStatus] = {}
        self._refs: set[PullRequestRef] = {PullRequestRef(self.repository, number)} if number else set()

    def once(self, stop: threading.Event) -> int:
        """Look, work everything off, say the verdicts."""
        self._look()
        self._work.work_off(stop)
        return code_of(self._verdicts().values())

    def deliver(self, event: Event, name: str, stop: threading.Event) -> None:
        """Tell one event by hand, and work it off; the same name twice is once. Raises Stopping."""
        delivery = f"watch-{hashlib.sha256(f'{self.repository.external_id}:{name}'.encode()).hexdigest()[:32]}"
        with self._app.database.work() as work:
            work.outbox.send(Envelope(AcceptEvent(delivery, event), f"accept:{delivery}", group=f"accept:{delivery}"))
        self._work.work_off(stop)

    def finished(self) -> list[ReviewId]:
        """The reviews whose verdict was said."""
        return list(self._told)

    def run(self, stop: threading.Event, interval: float) -> None:
        """Look and work until `stop` is set. What may pass is waited out. Raises HostError for what does not."""
        while not stop.is_set():
            wait = interval
            try:
                self._look()
            except FOR_GOOD:
                raise
            except HostError as error:
                wait = max(interval, error.retry_after) if isinstance(error, RateLimited) else interval
                self._say(f"cannot look: {error.message}; again in {wait:.0f} s")
            self._work.work_due(stop)
            self._verdicts()
            self._work.do_duties()
            self._wait(stop, wait)

    def _wait(self, stop: threading.Event, seconds: float) -> None:
        """Until the next look; messages that become due meanwhile are worked."""
        step = min(seconds, 2.0)
        for _ in range(max(1, round(seconds / step))):
            if stop.wait(step):
                return
            if self._work.work_due(stop):
                self._verdicts()

    def _look(self) -> None:
        for one in self._watch.look():
            self._say(visible(one.says))
        self._refs |= {pull.ref for pull in self._watch.open_now}

    def _verdicts(self) -> Mapping[PullRequestRef, Verdict]:
        """Verdicts of the newest reviews; each is said once."""
        found: dict[PullRequestRef, Verdict] = {}
        with self._app.database.read() as work:
            for ref in sorted(self._refs, key=lambda ref: ref.number):
                review = work.reviews.newest(ref)
                if review is None or review.status not in ENDED:
                    continue
                found[ref] = work.reviews.verdict(review.id)
                if self._told.get(review.id) is not review.status:
                    self._told[review.id] = review.status
                    self._say(line_of(ref, review, found[ref]))
        return found


def _found(host: CodeHost, name: str, api_url: str) -> SourceRepository:
    """The repository at the beginning of a watch: an API that cannot be reached then is rather a wrong address than a bad moment."""
    try:
        return host.find(name)
    except HostUnavailable as error:
        raise HostUnavailable(
            f"{api_url or 'GitHub'} cannot be reached ({error.message})",
            hint="is FIXWRIGHT_GITHUB_API_URL right, and does this machine get there, perhaps through HTTPS_PROXY?",
        ) from error


def line_of(ref: PullRequestRef, review: Review, verdict: Verdict) -> str:
    """`octo/shop#7 failure: 1 blocks: ...`, in one line."""
    title = phrases.title(Report(verdict, head=review.change.head, base=review.change.base))
    return visible(f"{ref.repository.full_name}#{ref.number} {verdict.conclusion.value}: {title}")


def code_of(verdicts: Iterable[Verdict]) -> int:
    """Exit code of several verdicts: the worst counts."""
    conclusions = {verdict.conclusion for verdict in verdicts}
    if Conclusion.FAILURE in conclusions:
        return FOUND
    return UNCHECKED if conclusions & {Conclusion.ACTION_REQUIRED, Conclusion.CANCELLED} else OK


def say(line: str) -> None:
    """One happening."""
    print(f"fixwright: {visible(line)}", file=sys.stderr, flush=True)


@contextmanager
def stopped_by_signals(stop: threading.Event) -> Iterator[None]:
    """SIGINT and SIGTERM end the block: what is being worked is given back, and nobody has to wait for its lease."""

    told = False

    def end(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001  # a signal handler's signature
        nonlocal told
        if not told:  # once: what is cleared up on the way out must not be interrupted
            told = True
            set_apart(stop)
            stop_now()

    def lost(unraisable: UnraisableHookArgs) -> None:
        # Raised in the callback of a weak reference or in a `__del__`, which let nothing out: `stop` is set all the same.
        if unraisable.exc_type is not Stopping:
            hook(unraisable)

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    hook, sys.unraisablehook = sys.unraisablehook, lost
    try:
        yield
    finally:
        sys.unraisablehook = hook
        for number, handler in before.items():
            signal.signal(number, handler)
