"""/device: a person says yes to a command-line client that shows a code (RFC 8628, 3.3).

Who says yes shows a key of the organization, typed into the page: nothing that a browser sends by itself opens anything here.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import Executor
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bot.access import holder
from bot.pages.html import Child, page, tag
from pipeline.errors import StoreError, UsageError
from pipeline.model.account import Principal, Scope
from pipeline.store.engine import Database
from pipeline.store.logins import Login

log = logging.getLogger(__name__)

MAX_FORM = 16_384
"""Bytes of what a browser posts here."""


class DevicePage:
    """The route /device.

    Args:
        secret: what digests of keys are made with.
        threads: in which pages are made.
    """

    def __init__(self, database: Database, secret: bytes, threads: Executor) -> None:
        self._database, self._secret, self._threads = database, secret, threads

    def routes(self) -> list[Route]:
        """All of them."""
        return [Route("/device", self.show, methods=["GET"]), Route("/device", self.decide, methods=["POST"])]

    async def show(self, request: Request) -> Response:
        """The form. That a code is known is told only to who shows a key."""
        return _form(request.query_params.get("user_code", "")[:20])

    async def decide(self, request: Request) -> Response:
        """Yes or no."""
        body = b""
        async for piece in request.stream():
            body += piece
            if len(body) > MAX_FORM:
                return _form("", "That was too long for this form.", 413)
        given = dict(parse_qsl(body.decode("utf-8", "replace"), max_num_fields=10))
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._decide, given)
        except StoreError as error:
            log.warning("device.store_refused", extra={"code": error.code})
            return _form(given.get("user_code", "")[:20], "The database does not answer. Try again in a moment.", 503)

    def _decide(self, given: dict[str, str]) -> Response:
        code = given.get("user_code", "")[:20]
        principal = holder(self._database, self._secret, given.get("key", "").strip())
        if principal is None:
            return _form(code, "This key opens nothing: it is malformed, expired or revoked.", 403)
        with self._database.read() as work:
            login = work.logins.waiting(code)
        if login is None:
            return _form(code, "Nothing waits under this code. Ask the program for a new one: a code holds for 15 minutes.", 404)
        if given.get("answer") not in ("yes", "no"):
            return _confirm(login, principal)
        try:
            with self._database.work() as work:
                if given["answer"] == "no":
                    work.logins.deny(code)
                    return _said("Refused", "The program is told that you said no.")
                work.logins.approve(code, principal.organization.id, principal.name, _granted(principal))
        except UsageError as error:
            return _form(code, f"{error.message}; {error.hint}".capitalize(), 409)
        log.info("device.approved", extra={"organization": principal.organization.slug})
        return _said(
            "Approved", "Go back to the program: it has its key within seconds. fixwright keys list shows it, keys revoke ends it."
        )


def _granted(principal: Principal) -> frozenset[Scope]:
    """A program has what the key has that says yes, but never everything."""
    every = frozenset(Scope) if Scope.ADMIN in principal.scopes else principal.scopes
    return every - {Scope.ADMIN}


def _form(code: str, wrong: str = "", status: int = 200) -> Response:
    return page(
        "Let a program in",
        tag("h1", "Let a program in"),
        tag("p", "A program on a command line shows a code and waits for your yes.", class_="soft"),
        tag("div", wrong, class_="note bad", role="alert") if wrong else None,
        tag(
            "form",
            _field("user_code", "Code", code, "text", "as the program shows it"),
            _field("key", "Your API key", "", "password", "it says for which organization, and what the program may do"),
            tag("button", "Continue", type="submit"),
            method="post",
            action="/device",
        ),
        status=status,
    )


def _confirm(login: Login, principal: Principal) -> Response:
    scopes = ", ".join(scope for scope in Scope if scope in _granted(principal))
    rows: list[Child] = []
    for name, value in (
        ("Program", login.client_name),
        ("Code", login.user_code),
        ("Organization", principal.organization.name),
        ("May", scopes),
    ):
        rows += [tag("dt", name), tag("dd", value)]
    return page(
        "Let a program in",
        tag("h1", "Is this your program?"),
        tag("p", "Say yes only when the program in front of you shows this very code: anybody can choose a name.", class_="soft"),
        tag("dl", *rows),
        tag(
            "form",
            tag("input", type="hidden", name="user_code", value=login.user_code),
            _field("key", "Your API key, once more", "", "password", "a browser keeps nothing of it"),
            tag("button", "Yes, let it in", type="submit", name="answer", value="yes"),
            " ",
            tag("button", "No", type="submit", name="answer", value="no"),
            method="post",
            action="/device",
        ),
    )


def _field(name: str, label: str, value: str, kind: str, hint: str) -> Child:
    field = tag("input", type=kind, id=name, name=name, value=value, required=True, autocomplete="off", spellcheck="false")
    return tag("div", tag("label", label, for_=name), field, tag("span", hint, class_="help"), class_="field")


def _said(title: str, text: str) -> Response:
    return page(title, tag("h1", title), tag("p", text))
