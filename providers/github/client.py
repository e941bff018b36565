"""Requests to GitHub: gidgethub over httpx, driven from synchronous code.

gidgethub is asynchronous, the house is not: each thread gets one event loop, made on first use. A process that was forked off makes its
own: a loop and its connections cannot be shared with the parent.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import re
import selectors
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Coroutine, Mapping
from contextvars import copy_context
from email.utils import parsedate_to_datetime
from functools import partial
from time import time
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urljoin, urlsplit

import gidgethub
import gidgethub.abc
import httpx
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, create_model

from pipeline.errors import HostError, HostForbidden, HostGarbage, HostNotFound, HostRejected, HostUnavailable, RateLimited
from pipeline.fence import before_a_write
from pipeline.limits import SECONDARY_WAIT
from pipeline.stopping import Held, held
from pipeline.tally import TALLY
from providers.github.failures import failure
from providers.github.memo import Memo, MemoOf, Remembered

API_VERSION = "2022-11-28"
"""Sent as X-GitHub-Api-Version (docs "API versions")."""
USER_AGENT = "fixwright"
DEADLINE = 60.0
"""Seconds for one call with its redirects; the HTTP client has shorter limits for each part."""
CANCEL_SECONDS = 1.0
"""How long an interrupted call may take to let go of its connection."""
MAX_REDIRECTS = 3
MAX_PAGES = 30
"""Of 100 items: GitHub itself stops at 3,000 files of a pull request."""
OPEN_CLIENTS = 4
"""Connections kept open to that many different APIs in a thread."""

OpenClient = Callable[[str], httpx.AsyncClient]
"""Makes the HTTP client for an API host; the composition hands in the guarded one of the sandbox."""
READS = ("GET", "HEAD")
"""Requests that change nothing."""
Json = Mapping[str, object]
_Result = TypeVar("_Result")
_Model = TypeVar("_Model", bound=BaseModel)


class Answer(BaseModel):
    """Base of the parts of GitHub's answers that are used. Lenient about everything that is not."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Nothing(Answer):
    """For answers whose content does not matter."""


def path(*parts: str | int, **query: str | int) -> str:
    """An address below the API's root; every part is percent-encoded, so that no name can become a step or a template."""
    address = "/" + "/".join(quote(str(part), safe="") for part in parts)
    return f"{address}?{urlencode(query)}" if query else address


class _Caller(gidgethub.abc.GitHubAPI):
    """gidgethub with our transport, our errors and our version of the API."""

    def __init__(self, http: httpx.AsyncClient, api_url: str) -> None:
        super().__init__(USER_AGENT, base_url=api_url)
        self._http = http
        self.close = http.aclose
        parts = urlsplit(api_url)
        self._origin = (parts.scheme, parts.netloc)
        self.memo: MemoOf | None = None
        """Of the call that is under way, when its answer is worth remembering."""
        self.headers: Mapping[str, str] = {}
        """Of the newest answer."""
        self.spent = 0
        """Requests that were not answered 304."""
        self.skew = 0.0
        """Seconds by which the host's clock is ahead of ours, as of its last answer."""

    async def _request(self, method: str, url: str, headers: Mapping[str, str], body: bytes = b"") -> tuple[int, Mapping[str, str], bytes]:
        """One request with its redirects (a renamed repository answers 301, 307 or 308). Everything but success is an error of ours."""
        sent = {**headers, "x-github-api-version": API_VERSION}
        known = self.memo.recall(url) if self.memo is not None and method == "GET" else None
        if known is not None:
            sent["if-none-match"] = known.etag
        asked = url
        what = f"{method} {urlsplit(url).path}"
        for _ in range(1 + MAX_REDIRECTS):
            parts = urlsplit(url)
            if (parts.scheme, parts.netloc) != self._origin:  # the host names the next page and the new place; our token stays here
                raise HostGarbage(f"GitHub sent {what} to another server")
            if method not in READS:
                before_a_write()
            self.spent += 1
            try:
                response = await self._http.request(method, url, headers=sent, content=body)
            except (httpx.HTTPError, httpx.InvalidURL) as exc:
                TALLY.add("fixwright_host_calls_total", provider="github", status="none")
                raise HostUnavailable(f"GitHub did not answer {what}: {type(exc).__name__}") from exc
            _count(response)
            self._learn_time(response.headers.get("date", ""))
            if response.status_code not in (301, 302, 307, 308):
                break
            url = urljoin(url, response.headers.get("location", ""))
        self.headers = response.headers
        if response.status_code == 304 and known is not None:
            self.spent -= 1
            return 200, known.headers, known.body
        if not 200 <= response.status_code < 300:
            raise failure(response.status_code, response.headers, response.content, what=what)
        if self.memo is not None and method == "GET" and (etag := response.headers.get("etag")):
            kept = {name: response.headers[name] for name in ("content-type", "link") if name in response.headers}
            self.memo.remember(asked, Remembered(etag, kept, response.content))
        return response.status_code, response.headers, response.content

    async def sleep(self, seconds: float) -> None:
        """Asked for by gidgethub; nothing of ours sleeps inside a call."""
        await asyncio.sleep(seconds)

    def _learn_time(self, date: str) -> None:
        try:
            self.skew = parsedate_to_datetime(date).timestamp() - time()
        except (ValueError, TypeError, OverflowError):
            return


def _count(response: httpx.Response) -> None:
    """For the metrics: how GitHub answers, and how much of its limit is left (docs "Rate limits for the REST API")."""
    TALLY.add("fixwright_host_calls_total", provider="github", status=str(response.status_code))
    resource, left = (response.headers.get(f"x-ratelimit-{name}", "") for name in ("resource", "remaining"))
    if re.fullmatch(r"[a-z_]{1,40}", resource) and re.fullmatch(r"[0-9]{1,9}", left):
        TALLY.latest("fixwright_host_rate_limit_remaining", float(left), provider="github", resource=resource)


class _Line:
    """One thread's event loop and its open connections."""

    def __init__(self) -> None:
        self.process = os.getpid()
        # Poll, not epoll: what a forked child does to its copy must not reach the parent's registrations in a shared kernel object.
        self.runner = asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selectors.PollSelector()))
        self._callers: OrderedDict[tuple[OpenClient, str], _Caller] = OrderedDict()

    def run(self, call: Coroutine[object, object, _Result], held: Held) -> _Result:
        """Until it is done. When the process is asked to end it is cancelled, and raises `asyncio.CancelledError`: a handler that raised
        inside of the loop would leave tasks half way and connections half open."""
        loop, late = self.runner.get_loop(), list[asyncio.TimerHandle]()

        async def whole() -> _Result:
            task = asyncio.current_task()

            def end() -> None:
                if task is not None and not task.done():
                    task.cancel()
                    late.append(loop.call_later(CANCEL_SECONDS, loop.stop))

            held.wake = partial(loop.call_soon_threadsafe, end)
            if held.asked:
                end()
            return await call

        try:
            return self.runner.run(whole(), context=copy_context())  # a runner keeps the one in which it was used first
        finally:
            held.wake = None
            for timer in late:
                timer.cancel()

    def caller(self, open_client: OpenClient, api_url: str) -> _Caller:
        """The connections to one API, opened on first use; those unused for longest are closed."""
        key = (open_client, api_url)
        if key not in self._callers:
            self._callers[key] = _Caller(open_client(urlsplit(api_url).hostname or ""), api_url)
        self._callers.move_to_end(key)
        while len(self._callers) > OPEN_CLIENTS:
            self.runner.run(self._callers.popitem(last=False)[1].close())
        return self._callers[key]

    def close(self) -> None:
        """Close connections and loop. Only in the process that made them."""
        while self._callers:
            self.runner.run(self._callers.popitem()[1].close())
        # Not `runner.close()`: it starts a thread to join the resolver's, which an ending interpreter refuses.
        self.runner.get_loop().close()


class _Hold:
    """Tells when the thread of a line ends. Nothing but the thread refers to it: frames of kept tracebacks may refer to the line."""

    def __init__(self) -> None:
        self.line = _Line()

    def __del__(self) -> None:
        _ENDED.append(self.line)  # closed by a living thread: in one that is ending, threading itself is half gone


class _Lines(threading.local):
    """The line of this thread."""

    hold: _Hold | None = None

    def mine(self) -> _Line:
        """The one to use here and now."""
        _close_ended()
        hold = self.hold
        if hold is None or hold.line.process != os.getpid():
            if hold is not None:
                _INHERITED.append(hold)
            hold = self.hold = _Hold()
        return hold.line


_ENDED: deque[_Line] = deque()
_INHERITED: list[_Hold | _Line] = []
"""Copies of a parent process's lines: neither used nor closed nor collected here."""
_LINES = _Lines()


def _close_ended() -> None:
    """Close what threads left behind that have ended."""
    while _ENDED:
        try:
            line = _ENDED.popleft()
        except IndexError:  # another thread was faster
            return
        if line.process == os.getpid():
            line.close()
        else:
            _INHERITED.append(line)


def close_line() -> None:
    """Close this thread's connections and loop. Called at exit for the main thread; a later call to GitHub opens new ones."""
    with held():
        _LINES.hold = None
        _close_ended()


atexit.register(close_line)


class Client:
    """The synchronous face of one GitHub API. Cheap to make: connections belong to the thread.

    What GitHub or the wire does wrong is raised as `HostError` subclasses. A call that writes raises besides what
    `pipeline.fence.before_a_write` does when the message's lease cannot be shown to hold: LeaseLost, StoreUnavailable. `token` is an
    installation token, `jwt` the App's own; exactly one is given.
    """

    def __init__(self, open_client: OpenClient, api_url: str, graphql_url: str) -> None:
        self._open_client, self._api_url, self._graphql_url = open_client, api_url, graphql_url

    def get(
        self, address: str, model: type[_Model], *, token: str | None = None, jwt: str | None = None, memo: Memo | None = None
    ) -> _Model:
        """One object. With `memo` it is only asked whether the remembered answer is still true."""
        mine = None if memo is None else memo.of(TypeAdapter(model))
        return self._one(lambda caller: caller.getitem(address, None, oauth_token=token, jwt=jwt), model, f"GET {address}", mine)

    def pages(
        self,
        address: str,
        model: type[_Model],
        *,
        token: str | None = None,
        jwt: str | None = None,
        inside: str | None = None,
        memo: Memo | None = None,
        most: int = MAX_PAGES * 100,
    ) -> list[_Model]:
        """All items of a paged list, at most `most`; `inside` is the key of the list when an object is around it."""

        async def collect(caller: _Caller) -> list[object]:
            found: list[object] = []
            async with contextlib.aclosing(caller.getiter(address, None, oauth_token=token, jwt=jwt, iterable_key=inside)) as items:
                async for item in items:
                    found.append(item)
                    if len(found) >= most:
                        break
            return found

        items: TypeAdapter[list[_Model]] = TypeAdapter(list[model])  # type: ignore[valid-type]  # a model made into a list at run time
        mine = None if memo is None else memo.of(items if inside is None else _around(inside, model))
        return _checked(items, self._run(collect, f"GET {address}", mine), f"GET {address}")

    def send(
        self, method: str, address: str, body: Json, model: type[_Model], *, token: str | None = None, jwt: str | None = None
    ) -> _Model:
        """Write with POST, PATCH or DELETE. Characters that are no Unicode (from odd file names) become `?`."""
        data = _wire(body)

        def call(caller: _Caller) -> Coroutine[object, object, object]:
            match method:
                case "POST":
                    return caller.post(address, None, data=data, oauth_token=token, jwt=jwt)
                case "PATCH":
                    return caller.patch(address, None, data=data, oauth_token=token, jwt=jwt)
                case "DELETE":
                    return caller.delete(address, None, oauth_token=token, jwt=jwt)
                case _:
                    raise ValueError(f"{method} is not written")

        return self._one(call, model, f"{method} {address}")

    def graphql(self, query: str, variables: Json, model: type[_Model], *, token: str) -> _Model:
        """What REST cannot do (resolving a thread, minimizing a comment). `model` is the shape of `data`."""
        what = "GraphQL"
        answer = self.send("POST", self._graphql_url, {"query": query, "variables": variables}, GraphQL, token=token)
        if answer.errors:
            raise _graphql_failure(answer.errors[0])
        return _checked(TypeAdapter(model), answer.data, what)

    def skew(self) -> float:
        """Seconds by which GitHub's clock is ahead of ours, as of this thread's last answer."""
        return self._caller().skew

    def spent(self) -> int:
        """Requests of this thread that were not answered 304; those without an answer are among them."""
        return self._caller().spent

    def headers(self) -> Mapping[str, str]:
        """Those of this thread's last answer, names in lower case."""
        return self._caller().headers

    def _caller(self) -> _Caller:
        with held():
            return _LINES.mine().caller(self._open_client, self._api_url)

    def _one(self, call: _Call, model: type[_Model], what: str, memo: MemoOf | None = None) -> _Model:
        result = self._run(call, what, memo)
        if model is Nothing:
            result = {}
        return _checked(TypeAdapter(model), result, what)

    def _run(self, call: _Call, what: str, memo: MemoOf | None = None) -> object:
        what = what.partition("?")[0]
        try:
            with held() as stretch:
                line = _LINES.mine()
                caller = line.caller(self._open_client, self._api_url)
                caller.memo = memo

                async def bounded() -> object:
                    async with asyncio.timeout(DEADLINE):
                        return await call(caller)

                return line.run(bounded(), stretch)
        except TimeoutError as exc:
            raise HostUnavailable(f"GitHub did not answer {what} within {DEADLINE:.0f} s") from exc
        except (ValueError, LookupError, TypeError, RecursionError, gidgethub.GitHubException) as exc:
            raise HostGarbage(f"GitHub's answer to {what} cannot be read: {type(exc).__name__}") from exc


def _around(key: str, model: type[BaseModel]) -> TypeAdapter[Any]:
    """The object that GitHub puts around some of its lists."""
    fields: dict[str, Any] = {key: (list[model], ...)}  # type: ignore[valid-type]  # a model made into a list at run time
    return TypeAdapter(create_model("Around", __base__=Answer, **fields))


_Call = Callable[[_Caller], Coroutine[object, object, object]]


class GraphQLError(Answer):
    """One of the `errors` of a GraphQL answer."""

    type: str = ""
    message: str = ""


class GraphQL(Answer):
    """Envelope of every GraphQL answer."""

    data: object = None
    errors: list[GraphQLError] = Field(default_factory=list)


def _graphql_failure(error: GraphQLError) -> HostError:
    """GraphQL answers 200 and says in `errors` what REST says with a status."""
    said = f"GitHub refused a GraphQL call: {error.type} {error.message[:300]}"
    match error.type:
        case "NOT_FOUND":
            return HostNotFound(said)
        case "FORBIDDEN" | "INSUFFICIENT_SCOPES":
            return HostForbidden(said, hint="compare the App's permissions with app.yml")
        case "RATE_LIMITED":
            return RateLimited(said, retry_after=SECONDARY_WAIT)
        case "INTERNAL" | "SERVICE_UNAVAILABLE":
            return HostUnavailable(said)
        case _:
            return HostRejected(said)


def _checked(adapter: TypeAdapter[_Result], value: object, what: str) -> _Result:
    """`value` in the documented shape. Raises HostGarbage with the place that is wrong, never with its content."""
    try:
        return adapter.validate_python(value)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise HostGarbage(f"GitHub's answer to {what.partition('?')[0]} is not what it documents: {place} ({first['type']})") from None


def _wire(value: object) -> object:
    """JSON that can be sent as UTF-8: lone surrogates, which stand for undecodable bytes of names, become `?`."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, Mapping):
        return {key: _wire(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_wire(inner) for inner in value]
    return value
