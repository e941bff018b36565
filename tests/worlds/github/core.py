"""From an HTTP request to an answer: recognition, budget, routing, permission, validity, work, judgement of our own answer.

In that order, as GitHub does it: a stranger learns nothing about a private repository from a bad body.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

from tests.worlds.exchange import Request, Response
from tests.worlds.faults import Faults
from tests.worlds.github import graphql
from tests.worlds.github.actions import Actions
from tests.worlds.github.call import Answer, Call, Refused, Route, not_found
from tests.worlds.github.events import Events
from tests.worlds.github.hooks import Hooks
from tests.worlds.github.limits import Budget
from tests.worlds.github.manifests import Manifests
from tests.worlds.github.model import Json, Repository
from tests.worlds.github.routes import ROUTES
from tests.worlds.github.shapes import Shapes
from tests.worlds.github.spec import GithubSpec, Matched, Problem
from tests.worlds.github.state import State
from tests.worlds.github.tokens import BadCredentials, Caller, Tokens
from tests.worlds.record import Asked, Effect, Record, Violation

VERSIONS = ("2022-11-28", "2026-03-10")
_MOUNTS = ("/api/v3",)
_SAFE = frozenset({"GET", "HEAD"})


class Github:
    """The double without its server."""

    name = "github.com"
    root = ""

    def __init__(self, folder: Path) -> None:
        self.state = State(folder)
        self.record = Record()
        self.faults = Faults()
        self.tokens = Tokens(self.state)
        self.shapes = Shapes(self.state)
        self.hooks = Hooks(self.state, self.record)
        self.manifests = Manifests(self.state, self.hooks)
        self.actions = Actions(self.state, Events(self.state, self.shapes, self.hooks))
        self.spec = GithubSpec.load()
        self.budget = Budget(self.state)

    def seconds(self) -> float:
        """Now by the world's clock."""
        return self.state.seconds()

    def handle(self, request: Request) -> Response:
        """Answer a request. Never raises for what the caller did."""
        path = request.path
        for mount in _MOUNTS:
            path = path.removeprefix(mount)
        actor, caller, response = "anonymous", Caller("anonymous"), None
        try:
            caller = self._recognize(request)
            actor = caller.login or caller.kind
            self.budget.spend(caller.spender, request.method, path)
            response = self._answer(request, path, caller)
        except Refused as refused:
            response = self._refusal(request, path, refused)
        finally:
            if response is None:  # the double itself broke: the server answers 500
                self.record.violations.append(Violation("response", request.method, path, f"the double failed: {sys.exc_info()[1]!r}"))
        limits = self.budget.headers(caller.spender, free=response.status == 304)
        at, rights = self.state.seconds(), caller.rights
        self.record.asked.append(Asked(request.method, path, response.status, actor, at, request.query, rights, caller.repositories))
        return Response(response.status, response.body, limits | response.headers)

    def _recognize(self, request: Request) -> Caller:
        if not request.headers.get("user-agent"):
            raise Refused(403, "Request forbidden by administrative rules. Please make sure your request has a User-Agent header")
        version = request.headers.get("x-github-api-version", VERSIONS[0])
        if version not in VERSIONS:
            raise Refused(400, f"The version '{version}' is not supported")
        try:
            return self.tokens.recognize(request.headers.get("authorization", ""))
        except BadCredentials as error:
            raise Refused(401, str(error)) from error

    def _answer(self, request: Request, path: str, caller: Caller) -> Response:
        body = self._parse(request)
        if path in ("/graphql", "/api/graphql"):
            with self.state.lock:
                return _json(200, graphql.answer(self, caller, body))
        path = self._canonical(path)
        matched = self.spec.match(path)
        route = ROUTES.get((request.method, matched.template)) if matched else None
        if matched is None or route is None:
            self.record.violations.append(Violation("request", request.method, path, "is not an operation of this double"))
            raise not_found()
        query = dict(parse_qsl(request.query, keep_blank_values=True))
        with self.state.lock:
            repository = self._admit(caller, matched, route)
            self._validate(request.method, path, query, body if request.body else None)
            call = Call(self, caller, request.method, matched.template, matched.parameters, query, request.headers, body, repository)
            answer = route.handler(call)
            if request.method not in _SAFE and not matched.template.startswith(("/app/", "/installation/")):
                self._note(call, path, body)
            return self._finish(request, path, query, answer)

    def _canonical(self, path: str) -> str:
        """`/repositories/{id}` is the same as the repository by name; GitHub serves it without documenting it."""
        found = re.fullmatch(r"/repositories/(\d+)(/.*)?", path)
        if found is None:
            return path
        repository = self.state.repositories.get(int(found[1]))
        if repository is None:
            raise not_found()
        return f"/repos/{repository.full_name}{found[2] or ''}"

    def _parse(self, request: Request) -> Json:
        if not request.body:
            return {}
        try:
            body = json.loads(request.body)
        except ValueError as error:
            raise Refused(400, "Problems parsing JSON") from error
        if not isinstance(body, dict):
            raise Refused(400, "Body should be a JSON object")
        return body

    def _admit(self, caller: Caller, matched: Matched, route: Route) -> Repository | None:
        if route.who == "app" and caller.kind != "app":
            raise Refused(401, "A JSON web token could not be decoded")
        if route.who == "installation" and caller.kind != "installation":
            raise Refused(403, "You must authenticate with an installation access token in order to list repositories for an installation.")
        if "owner" not in matched.parameters:
            return None
        repository = self.state.repository(matched.parameters["owner"], matched.parameters["repo"])
        if repository is None or (route.who != "app" and not caller.sees(repository)):
            raise not_found()
        if route.who != "app" and not caller.may(repository, route.needs):
            if caller.kind == "anonymous":
                raise Refused(401, "Requires authentication")
            raise Refused(
                403, "Resource not accessible by integration" if caller.kind != "user" else "Must have push access to the repository."
            )
        return repository

    def _validate(self, method: str, path: str, query: Mapping[str, str], body: Json | None) -> None:
        problems = self.spec.check_request(method, path, query, body)
        for problem in problems:
            self.record.violations.append(Violation("request", method, path, str(problem)))
        refused = [problem.github for problem in problems if problem.github]
        if refused:
            raise Refused(422, "Invalid request.\n\n" + refused[0])

    def _note(self, call: Call, path: str, body: Any) -> None:
        pull = (call.concerns.repository.full_name, call.concerns.number) if call.concerns else None
        effect = Effect(call.method, path, call.template, body, call.caller.login, self.state.seconds(), pull, call.notifies)
        self.record.effects.append(effect)

    def _finish(self, request: Request, path: str, query: Mapping[str, str], answer: Answer) -> Response:
        if answer.raw is not None:
            return Response(answer.status, answer.raw, {"content-type": "application/vnd.github.raw; charset=utf-8"} | answer.headers)
        if answer.items is not None:
            answer.headers |= self._page(request, query, answer)
        self._judge(request.method, path, answer.status, answer.body)
        response = _json(answer.status, answer.body, answer.headers)
        if request.method in _SAFE and response.status == 200:
            etag = f'W/"{hashlib.sha256(response.body).hexdigest()}"'
            if request.headers.get("if-none-match", "") == etag:
                return Response(304, b"", {"etag": etag})
            response.headers["etag"] = etag
        return response

    def _page(self, request: Request, query: Mapping[str, str], answer: Answer) -> dict[str, str]:
        """Cut the page out and say where the others are (REST, "Using pagination")."""
        items, show = answer.items or (), answer.show or (lambda item: item)
        size = max(1, min(100, int(query.get("per_page") or 30)))
        page, last = max(1, int(query.get("page") or 1)), max(1, -(-len(items) // size))
        shown = [show(item) for item in items[(page - 1) * size : page * size]]
        answer.body = {"total_count": len(items), **answer.wrapping, answer.key: shown} if answer.key else shown
        places = {"prev": page - 1, "next": page + 1, "last": last, "first": 1}
        wanted = {name: to for name, to in places.items() if (to < page if name in ("prev", "first") else page < to <= last) and to >= 1}
        mount = next((mount for mount in _MOUNTS if request.path.startswith(mount)), "")
        root = f"{self.shapes.api}{mount}{request.path.removeprefix(mount)}"
        links = [f'<{root}?{urlencode(dict(query) | {"page": to})}>; rel="{name}"' for name, to in wanted.items()]
        return {"link": ", ".join(links)} if links else {}

    def _judge(self, method: str, path: str, status: int, body: Any) -> None:
        problems: list[Problem] = self.spec.check_response(method, path, status, body)
        for problem in problems:
            self.record.violations.append(Violation("response", method, path, f"{status} {problem}"))

    def _refusal(self, request: Request, path: str, refused: Refused) -> Response:
        if self.spec.match(path) is not None:
            self._judge(request.method, path, refused.status, refused.body)
        return _json(refused.status, refused.body, refused.headers)


def _json(status: int, body: Any, headers: Mapping[str, str] | None = None) -> Response:
    if body is None:
        return Response(status, b"", dict(headers or {}))
    content = json.dumps(body, separators=(",", ":"), ensure_ascii=True).encode()
    return Response(
        status,
        content,
        {"content-type": "application/json; charset=utf-8", "x-github-media-type": "github.v3; format=json"} | dict(headers or {}),
    )
