"""/setup: a person lets a code host know Fixwright, with a browser and without a file or a variable.

The link works once and for one browser; the way to the host and back is bound to that browser; what the host gives is stored sealed, in
one transaction, before anything else is tried. No page shows a secret.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from bot.configurations import DEFAULT, SettingsOfHosts
from bot.pages import setup_views as views
from bot.pages.links import Attempt, Outcome, SetupLinks, Target
from bot.settings import Settings
from pipeline.errors import FixwrightError, HostError, StoreError, UsageError
from pipeline.model.loopback import is_loopback
from pipeline.model.setup import SetupRequest
from pipeline.ports import HostMemory, Provider, Setup

log = logging.getLogger(__name__)

COOKIE = "fixwright_setup"
MAX_FORM = 16_384
"""Bytes of what a browser posts here; the longest honest form has a few hundred."""


class SetupPages:
    """The routes below /setup."""

    def __init__(
        self, settings: Settings, providers: Mapping[str, Provider], configurations: SettingsOfHosts, memory: HostMemory, threads: Executor
    ) -> None:
        self._settings, self._configurations, self._threads = settings, configurations, threads
        self._setups = {name: provider.setup for name, provider in providers.items() if provider.setup is not None}
        self._commands = {name: providers[name].setup_command for name in self._setups}
        self._links = SetupLinks(memory)

    def routes(self) -> list[Route]:
        """All of them."""
        return [
            Route("/setup", self._guarded(self.show), methods=["GET"]),
            Route("/setup", self._guarded(self.follow), methods=["POST"]),
            Route("/setup/{provider}", self._guarded(self.ask), methods=["POST"]),
            Route("/setup/{provider}/callback", self._guarded(self.returned), methods=["GET"]),
            Route("/setup/{provider}/installed", self.installed, methods=["GET"]),
        ]

    def _guarded(self, handler: Callable[[Request], Response]) -> Callable[[Request], object]:
        """The handler in a thread: it waits for the store and the host. Our own errors become pages."""

        async def handle(request: Request) -> Response:
            request.state.form = await _form(request) if request.method == "POST" else {}
            try:
                return await asyncio.get_running_loop().run_in_executor(self._threads, handler, request)
            except StoreError as error:
                log.warning("setup.store_refused", extra={"code": error.code})
                return views.trouble("The database does not answer", error.message, error.hint or "Try again in a moment.", 503)

        return handle

    def show(self, request: Request) -> Response:
        """The questions; or, with a link's token, the button that follows the link. A look never uses a link up: chats and scanners of
        mail fetch every address that they see."""
        token = request.query_params.get("token", "")
        target = self._holds(self._links.leads_to(token) if token else self._links.target(_session(request)))
        if target is None:
            return self._closed(used=bool(token))
        name = self._named(target)
        if token:
            return views.opening(self._setups[name], token)
        return views.questions(name, self._setups[name], {"public_url": self._public_url(request)})

    def follow(self, request: Request) -> Response:
        """The way to the questions, for the browser that comes first, without the token in the address."""
        if self._foreign(request):
            return _from_elsewhere()
        token = request.state.form.get("token", "")
        session = self._links.follow(token) if self._holds(self._links.leads_to(token)) is not None else None
        if session is None:
            return self._closed(used=True)
        answer = RedirectResponse("/setup", 303, headers={"cache-control": "no-store", "referrer-policy": "no-referrer"})
        answer.set_cookie(COOKIE, session, max_age=7200, path="/setup", secure=self._is_secret(request), httponly=True, samesite="lax")
        return answer

    def ask(self, request: Request) -> Response:
        """What will be made on the host, with the button that goes there."""
        name, session = request.path_params["provider"], _session(request)
        setup, target = self._setups.get(name), self._holds(self._links.target(session))
        if setup is None:
            return views.trouble("There is no such page", "This version sets up nothing of that name.", "Begin at /setup.", 404)
        if target is None or self._named(target) != name:
            return self._closed()
        if self._foreign(request):
            return _from_elsewhere()
        given: dict[str, str] = request.state.form
        try:
            public_url = _address(given.get("public_url", ""))
            instance = self._instance(name, setup, target, given)
            hook_url = f"{public_url}/webhooks/{name}" + (f"/{instance}" if instance else "")
            here = self._origin(request, public_url)
            answers = {key: value for key, value in given.items() if key != "public_url"}
            installed = f"{public_url}/setup/{name}/installed"
            attempt = Attempt("", name, instance, public_url, hook_url, f"{here}/setup/{name}/callback", installed, answers)
            _ = setup.form(_request(attempt, "-"))  # before anything is remembered of it
            form = setup.form(_request(attempt, self._links.begin(session, attempt)))
        except UsageError as error:
            return views.questions(name, setup, given, error)
        return views.review(setup, form, public_url, hook_url, unreachable=is_unreachable(public_url) and not is_unreachable(form.action))

    def returned(self, request: Request) -> Response:
        """The browser comes back from the host with a code."""
        name, session = request.path_params["provider"], _session(request)
        setup = self._setups.get(name)
        state, code = request.query_params.get("state", ""), request.query_params.get("code", "")
        if setup is None:
            return views.trouble("There is no such page", "This version sets up nothing of that name.", "Begin at /setup.", 404)
        with self._links.returning(session, state) as attempt:
            if attempt is None or attempt.provider != name:
                return views.trouble(
                    "This answer belongs to no setup of this browser",
                    f"{setup.host_word} sent the browser back with a mark that we did not give it, or gave more than an hour ago.",
                    f"Open the setup link again; when it was used already, make another: {self._commands[name]}",
                    403,
                )
            if attempt.outcome is not None:
                return views.done(name, setup, attempt.outcome, attempt.hook_url)
            return self._exchange(setup, session, state, attempt, code)

    def _exchange(self, setup: Setup, session: str, state: str, attempt: Attempt, code: str) -> Response:
        try:
            made = setup.complete(_request(attempt, state), code)
        except FixwrightError as error:
            log.warning("setup.host_refused", extra={"provider": attempt.provider, "code": error.code, "error": error.message})
            return views.trouble(
                f"{setup.host_word} did not hand over the App's key",
                error.message,
                f"{error.hint or 'Try again in a moment: load this page again.'} Nothing was stored.",
                502 if isinstance(error, HostError) else 400,
            )
        try:
            self._configurations.save(attempt.provider, attempt.instance, made.settings)
        except StoreError as error:
            log.error("setup.not_stored", extra={"provider": attempt.provider, "code": error.code, "name_of_app": made.name})
            return views.trouble(
                "The App's key could not be stored",
                f"{error.message}. {setup.host_word} made the App {made.name} and gives its key only once.",
                f"Delete that App in {setup.host_word}'s settings, and begin again: {self._commands[attempt.provider]}",
                503,
            )
        outcome = Outcome(made.name, made.owner, made.next_url)
        self._links.end(session, state, attempt, outcome)
        log.info("setup.done", extra={"provider": attempt.provider, "instance": attempt.instance or "(default)", "name_of_app": made.name})
        return views.done(attempt.provider, setup, outcome, attempt.hook_url, doubt=_doubt(setup, made.settings))

    async def installed(self, request: Request) -> Response:
        """Where the host sends a browser after repositories were chosen. Says what comes next, to anybody, and knows nothing."""
        name = request.path_params["provider"]
        setup = self._setups.get(name)
        if setup is None:
            return views.trouble("There is no such page", "This version sets up nothing of that name.", "Begin at /setup.", 404)
        return views.installed(name, setup)

    def _closed(self, *, used: bool = False) -> Response:
        """The page without its questions: nobody who should not see them learns more than that."""
        configured = any(self._configurations.instances(name) for name in self._setups)
        return views.closed(self._commands.values(), configured=configured, used=used)

    def _holds(self, target: Target | None) -> Target | None:
        """The target while it may be set up: what a first start offers ends with the first instance, also one of the environment."""
        if target is None or self._named(target) not in self._setups:
            return None
        return None if target.first and self._configurations.instances(self._named(target)) else target

    def _named(self, target: Target) -> str:
        """Name of the provider that is set up; empty where there is none to choose."""
        return target.provider or next(iter(self._setups), "")

    def _is_secret(self, request: Request) -> bool:
        """True where the browser speaks TLS: with us, or with the proxy in front of us, which the address of Fixwright tells."""
        return "https" in (request.url.scheme, urlsplit(request.headers.get("origin", "")).scheme, urlsplit(self._settings.url).scheme)

    def _instance(self, provider: str, setup: Setup, target: Target, answers: Mapping[str, str]) -> str:
        """Name of the instance to set up: what the link says; the default one while it is free; else one that is not taken."""
        if target.instance is not None:
            return target.instance
        taken = set(self._configurations.instances(provider))
        if DEFAULT not in taken:
            return DEFAULT
        wish = setup.suggest(answers)
        return next(name for name in (wish, *(f"{wish}-{number}" for number in range(2, 1000))) if name not in taken)

    def _public_url(self, request: Request) -> str:
        """FIXWRIGHT_URL when it is set; else where the browser found us."""
        if self._settings.environment.get("FIXWRIGHT_URL"):
            return self._settings.url
        return f"{request.url.scheme}://{request.url.netloc}"

    def _foreign(self, request: Request) -> bool:
        """True for a form that another site sent: browsers name the origin of every POST. Ours are the address that was asked for, and
        FIXWRIGHT_URL, where a proxy asks in its own name."""
        origin = request.headers.get("origin", "")
        ours = {request.url.netloc.lower(), urlsplit(self._settings.url).netloc.lower()}
        return bool(origin) and urlsplit(origin).netloc.lower() not in ours

    def _origin(self, request: Request, public_url: str) -> str:
        """Scheme and host under which the browser is here now, where its cookie lives: it may have come through a tunnel.

        The browser says it itself with its form (see `_foreign`): a proxy may have written another Host, or none of TLS.
        """
        if origin := request.headers.get("origin", ""):
            return origin
        public = urlsplit(public_url)
        if public.netloc.lower() == request.url.netloc.lower():
            return f"{public.scheme}://{public.netloc}"
        return f"{request.url.scheme}://{request.url.netloc}"


def _from_elsewhere() -> Response:
    return views.trouble("This form came from another site", "It was not sent from here.", "Begin again at /setup.", 403)


def _request(attempt: Attempt, state: str) -> SetupRequest:
    return SetupRequest(attempt.answers, attempt.public_url, attempt.hook_url, attempt.return_url, attempt.installed_url, state)


def _doubt(setup: Setup, settings: Mapping[str, str]) -> FixwrightError | None:
    """What the host says to the new key. It is stored already: the host gives it only once."""
    try:
        setup.verify(settings)
    except FixwrightError as error:
        log.warning("setup.key_refused", extra={"code": error.code, "error": error.message})
        return error
    return None


async def _form(request: Request) -> dict[str, str]:
    """A form as browsers post it; empty for anything else, and for what is too long."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM:
            return {}
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return {}
    try:
        return {name: value.strip() for name, value in parse_qsl(body.decode(), max_num_fields=40)}
    except ValueError:
        return {}


def _session(request: Request) -> str:
    return request.cookies.get(COOKIE, "")


def _address(given: str) -> str:
    """The public address. Raises UsageError."""
    text = given.strip().rstrip("/")
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("https", "http") and bool(parts.hostname) and not (parts.query or parts.fragment or parts.username)
        _ = parts.port
    except ValueError:
        usable = False
    if not usable or not text.isascii() or any(char.isspace() for char in text):
        raise UsageError("That is no address of Fixwright.", hint="It looks like https://fixwright.example.com.")
    return text


def is_unreachable(url: str) -> bool:
    """True for an address that leads to the machine itself, for whoever uses it. Wider than `is_loopback`, as it only warns: a name below
    `localhost` and the address of "any" lead there too, in most browsers."""
    host = urlsplit(url).hostname or ""
    return is_loopback(host) or host.endswith(".localhost") or host in ("0.0.0.0", "::")  # noqa: S104  # nothing is bound to it
