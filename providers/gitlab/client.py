"""Requests to GitLab: python-gitlab over one `requests` session for each thread, token and GitLab.

A session is shared with no other thread, and not with a forked child: its connections would be used by both. python-gitlab is loaded by
`load`, or by the first request of a process: the web process never makes one.
"""

from __future__ import annotations

import atexit
import hashlib
import importlib
import os
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline.errors import HostGarbage
from providers.gitlab.settings import Site

if TYPE_CHECKING:
    from gitlab import Gitlab

    from providers.gitlab.transport import Line

OPEN_LINES = 4
"""Connections kept open to that many different GitLabs or tokens in a thread."""
MAX_ITEMS = 10_000
"""Of a list: beyond it GitLab itself stops counting (docs "REST API", "Pagination response headers")."""

OpenLine = Callable[[str, str, str], "Line"]
"""Makes the connection from the address of a GitLab, its origin and a token; a test hands in its own."""
_Result = TypeVar("_Result")
_Model = TypeVar("_Model", bound=BaseModel)


class Answer(BaseModel):
    """Base of the parts of GitLab's answers that are used. Lenient about everything that is not. Made ready by its first use, which it has
    not in the web process."""

    model_config = ConfigDict(extra="ignore", frozen=True, defer_build=True)


class Nothing(Answer):
    """For answers whose content does not matter."""


def guarded(web_url: str, origin: str, token: str) -> Line:
    """The connection of the product."""
    from providers.gitlab.transport import open_line

    return open_line(web_url, origin, token)


def load() -> None:
    """What the first request of a process would load: a tenth of a second of python-gitlab, and the models of all answers."""
    importlib.import_module("providers.gitlab.transport")  # for what it imports

    models = [Answer]
    for model in models:
        models.extend(model.__subclasses__())
        model.model_rebuild()


class _Lines:
    """The open connections of one thread."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self._open: OrderedDict[tuple[OpenLine, str, str], Line] = OrderedDict()

    def line(self, open_line: OpenLine, site: Site, token: str) -> Line:
        """Opened on first use; those unused for longest are closed."""
        key = (open_line, site.web_url, digest(token))
        if key not in self._open:
            self._open[key] = open_line(site.web_url, site.origin, token)
        self._open.move_to_end(key)
        while len(self._open) > OPEN_LINES:
            self._open.popitem(last=False)[1].session.close()
        return self._open[key]

    def close(self) -> None:
        """Close the connections. Only in the process that opened them."""
        while self._open:
            self._open.popitem()[1].session.close()


class _Hold:
    """Tells when the thread of some lines ends. Nothing but the thread refers to it: frames of kept tracebacks may refer to the lines."""

    def __init__(self) -> None:
        self.lines = _Lines()

    def __del__(self) -> None:
        _ENDED.append(self.lines)  # closed by a living thread: in one that is ending, threading itself is half gone


class _Local(threading.local):
    """The lines of this thread."""

    hold: _Hold | None = None

    def mine(self) -> _Lines:
        """Those to use here and now."""
        _close_ended()
        hold = self.hold
        if hold is None or hold.lines.process != os.getpid():
            if hold is not None:
                _INHERITED.append(hold)
            hold = self.hold = _Hold()
        return hold.lines


_ENDED: deque[_Lines] = deque()
_INHERITED: list[_Hold | _Lines] = []
"""Copies of a parent process's lines: neither used nor closed nor collected here."""
_LOCAL = _Local()


def _close_ended() -> None:
    """Close what threads left behind that have ended."""
    while _ENDED:
        try:
            lines = _ENDED.popleft()
        except IndexError:  # another thread was faster
            return
        if lines.process == os.getpid():
            lines.close()
        else:
            _INHERITED.append(lines)


def close_lines() -> None:
    """Close this thread's connections. Called at exit for the main thread; a later call to GitLab opens new ones."""
    _LOCAL.hold = None
    _close_ended()


atexit.register(close_lines)


class Client:
    """The typed face of one GitLab for one token. Cheap to make: connections belong to the thread.

    What GitLab or the wire does wrong is raised as `HostError` subclasses. A call that writes raises besides what
    `pipeline.fence.before_a_write` does when the message's lease cannot be shown to hold: LeaseLost, StoreUnavailable. `call` gets
    python-gitlab's own object and makes its calls there; `what` says for people what is asked for: `merge request 7 of acme/shop`.
    """

    def __init__(self, open_line: OpenLine, site: Site, token: str) -> None:
        self._open_line, self._site, self._token = open_line, site, token

    def one(self, call: Callable[[Gitlab], object], model: type[_Model], what: str) -> _Model:
        """One object. For `Nothing` whatever comes is good."""
        from providers.gitlab.transport import plain

        found = self.run(lambda line: plain(call(line)), what)
        return _checked(model, {} if model is Nothing else found, what)

    def many(self, call: Callable[[Gitlab], Iterable[object]], model: type[_Model], what: str, most: int = MAX_ITEMS) -> list[_Model]:
        """All items of a list, page by page, at most `most`. `call` asks for an iterator."""
        from providers.gitlab.transport import plain

        found = self.run(lambda line: [plain(item) for item in islice(call(line), most)], what)
        return [_checked(model, item, what, number) for number, item in enumerate(found)]

    def run(self, call: Callable[[Line], _Result], what: str) -> _Result:
        """Whatever `call` gives."""
        from providers.gitlab.transport import ask

        return ask(self._line(), call, what)

    def headers(self) -> Mapping[str, str]:
        """Those of this thread's last answer; a mapping that does not care for capitals. Empty when there was none to the last call."""
        return self._line().seen.headers

    def skew(self) -> float:
        """Seconds by which GitLab's clock is ahead of ours, as of this thread's last answer."""
        return self._line().seen.skew

    def _line(self) -> Line:
        return _LOCAL.mine().line(self._open_line, self._site, self._token)


def digest(token: str) -> str:
    """Stands for a token where something is remembered of it: a changed token begins anew."""
    return hashlib.sha256(token.encode()).hexdigest()[:16]


def _checked(model: type[_Model], value: object, what: str, number: int | None = None) -> _Model:
    """`value` in the documented shape; `number` of a list. Raises HostGarbage with the place that is wrong, never with its content."""
    try:
        return model.model_validate(value)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in (*(() if number is None else (number,)), *first["loc"])) or "the whole"
        raise HostGarbage(f"GitLab's answer to {what} is not what it documents: {place[:200]} ({first['type']})") from None
