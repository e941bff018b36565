"""From an HTTP request to an answer: recognition, budget, routing, permission, parameters, work, judgement of our own answer.

In that order, as GitLab does it: a stranger learns nothing about a private project from a bad body.
"""

from __future__ import annotations

import json
import re
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

from tests.worlds.exchange import Request, Response
from tests.worlds.faults import Faults
from tests.worlds.gitlab import answers, parameters
from tests.worlds.gitlab.actions import Actions
from tests.worlds.gitlab.call import Answer, Call, Refused, Route, forbidden, invalid, not_found, refused, route_of, too_many, unauthorized
from tests.worlds.gitlab.events import Events
from tests.worlds.gitlab.hooks import Hooks
from tests.worlds.gitlab.limits import Budget
from tests.worlds.gitlab.model import Json, MergeRequest, Namespace, Project
from tests.worlds.gitlab.pages import page
from tests.worlds.gitlab.pipelines import Job, Pipeline, Pipelines
from tests.worlds.gitlab.routes import LOADED
from tests.worlds.gitlab.shapes import Shapes
from tests.worlds.gitlab.shapes.pipelines import job_event, one_pipeline, pipeline_event
from tests.worlds.gitlab.shapes.pipelines import pipeline as listed_pipeline
from tests.worlds.gitlab.state import State
from tests.worlds.gitlab.status_checks import StatusChecks
from tests.worlds.gitlab.talk import Talk
from tests.worlds.gitlab.tokens import BadCredentials, Caller, Tokens
from tests.worlds.record import Asked, Effect, Record, Violation

API = "/api/v4"


class Gitlab:
    """The double without its server. `root`: the relative URL below which it lives, empty or `/gitlab`."""

    name = "nginx"
    routes = LOADED

    def __init__(self, folder: Path, root: str = "") -> None:
        self.root = root.rstrip("/")
        self.state = State(folder)
        self.record = Record()
        self.faults = Faults()
        self.tokens = Tokens(self.state)
        self.shapes = Shapes(self.state)
        self.hooks = Hooks(self.state)
        self.hooks.licensed = lambda group: self.state.namespaces[group].root.plan != "free"
        self.events = Events(self.state, self.shapes, self.hooks)
        self.talk = Talk(self.state, self.events)
        self.pipelines = Pipelines(self.state, self._pipeline_changed, self._job_changed)
        self.status_checks = StatusChecks(self.state, self.hooks)
        self.events.after_merge_request = self.status_checks.ask
        self.shapes.head_pipeline = self._head_pipeline
        self.shapes.blocked = self._blocked
        self.shapes.last_pipeline = self._last_pipeline
        self.actions = Actions(self.state, self.events, self.talk)
        self.budget = Budget(self.state)

    def _head_pipeline(self, request: MergeRequest) -> Json | None:
        known = self.pipelines.head_of(request)
        return one_pipeline(self.shapes, known) if known else None

    def _last_pipeline(self, project: Project, sha: str) -> Json | None:
        known = next((known for known in self.pipelines.of(project) if known.sha == sha), None)
        return listed_pipeline(self.shapes, known) if known else None

    def _blocked(self, request: MergeRequest) -> str | None:
        """A project may ask that pipelines succeed (docs, "Auto-merge": require a successful pipeline)."""
        if not request.project.only_merge_if_pipeline_succeeds:
            return None
        known = self.pipelines.head_of(request)
        if known is None or known.status in ("created", "pending", "running"):
            return "ci_still_running" if known else "ci_must_pass"
        return None if known.status == "success" else "ci_must_pass"

    def seconds(self) -> float:
        """Now by the world's clock."""
        return self.state.seconds()

    def _pipeline_changed(self, pipeline: Pipeline) -> None:
        self.events.pipeline(pipeline.project, pipeline_event(self.events.payloads, pipeline))

    def _job_changed(self, job: Job) -> None:
        self.events.job(job.pipeline.project, job_event(self.events.payloads, job))

    def handle(self, request: Request) -> Response:
        """Answer a request. Never raises for what the caller did."""
        caller, response = Caller(), None
        path = request.path.removeprefix(self.root)
        try:
            if not request.path.startswith(f"{self.root}{API}/"):
                raise Refused(302, "", {"location": f"{self.shapes.web}/users/sign_in"})
            caller = self._recognize(request)
            if (exceeded := self.budget.spend(caller.name)) is not None:
                raise too_many(exceeded)
            response = self._answer(request, path.removeprefix(API), caller)
        except Refused as refusal:
            response = self._refusal(refusal)
        finally:
            if response is None:  # the double itself broke: the server answers 500
                self.record.violations.append(Violation("response", request.method, path, f"the double failed: {sys.exc_info()[1]!r}"))
        scopes = frozenset(caller.token.scopes) if caller.token else None
        self.record.asked.append(Asked(request.method, path, response.status, caller.name, self.seconds(), request.query, scopes))
        extra = self.budget.headers(caller.name) | {"x-request-id": secrets.token_hex(13).upper(), "cache-control": "no-store"}
        return Response(response.status, response.body, extra | response.headers)

    def _recognize(self, request: Request) -> Caller:
        query = dict(parse_qsl(request.query))
        try:
            with self.state.lock:
                return self.tokens.recognize(request.headers, query.get("private_token"))
        except BadCredentials as error:
            body = {"error": error.code, "error_description": str(error)} if error.code else {"message": str(error)}
            raise Refused(401, body) from error

    def _answer(self, request: Request, path: str, caller: Caller) -> Response:
        segments = [unquote(part) for part in path.strip("/").split("/")]
        route, parts, known = route_of("GET" if request.method == "HEAD" else request.method, segments)
        if route is None:
            if not known:
                self.record.violations.append(Violation("request", request.method, path, "is not an operation of this double"))
            raise Refused(*((405, {"error": "405 Not Allowed"}) if known else (404, {"error": "404 Not Found"})))
        given = self._given(request)
        with self.state.lock:
            project, group = self._admit(request, caller, route, parts)
            for problem in parameters.check(route.method, route.template, given):
                self.record.violations.append(Violation("request", request.method, path, problem))
            call = Call(self, caller, request.method, route.template, parts, given, request.headers, project, group)
            answer = route.handler(call)
            if route.method != "GET" and answer.status < 400:
                self._note(call, path)
            return self._finish(request, call, answer)

    def _given(self, request: Request) -> Json:
        """Query and body, nested as Rack nests them."""
        given: Json = {}
        for name, value in parse_qsl(request.query, keep_blank_values=True):
            _put(given, name, value)
        given.pop("private_token", None)
        kind = request.headers.get("content-type", "")
        if not request.body:
            return given
        if kind.startswith("application/x-www-form-urlencoded"):
            for name, value in parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True):
                _put(given, name, value)
            return given
        if not kind.startswith("application/json"):
            raise Refused(415, {"error": "The provided content-type '" + kind + "' is not supported."})
        try:
            body = json.loads(request.body)
        except ValueError as error:
            raise invalid("Problem with request body: invalid JSON") from error
        if not isinstance(body, dict):
            raise invalid("The request body is not an object")
        return given | body

    def _admit(self, request: Request, caller: Caller, route: Route, parts: Mapping[str, str]) -> tuple[Project | None, Namespace | None]:
        if route.signed_in and caller.user is None:
            raise unauthorized()
        if caller.token is not None and not caller.scopes & {"api", *route.scopes}:
            text = "The request requires higher privileges than provided by the access token."
            raise Refused(403, {"error": "insufficient_scope", "error_description": text, "scope": " ".join(("api", *route.scopes))})
        if route.template.startswith("/projects/:id"):
            return self._project(request, caller, route, parts["id"]), None
        if route.template.startswith("/groups/:id"):
            return None, self._group(caller, route, parts["id"])
        return None, None

    def _project(self, request: Request, caller: Caller, route: Route, wanted: str) -> Project:
        project = self.state.project(wanted)
        moved = self.state.project_once_at(wanted) if project is None else None
        project = project or moved
        if project is None or not caller.sees(project):
            raise not_found("Project")
        if moved is not None:
            if request.method != "GET":
                raise Refused(405, {"message": "405 Non GET methods are not allowed for moved projects"})
            rest = request.path.split("/projects/", 1)[1].partition("/")
            place = f"{self.shapes.api}/projects/{moved.id}{rest[1]}{rest[2]}" + (f"?{request.query}" if request.query else "")
            raise Refused(302, f"This resource has been moved temporarily to {place}.", {"location": place})
        if route.level is not None and caller.level(project) < route.level:
            raise forbidden()
        if route.method != "GET" and project.archived:
            raise forbidden()
        return project

    def _group(self, caller: Caller, route: Route, wanted: str) -> Namespace:
        group = self.state.namespace(wanted)
        if group is None or group.kind != "group" or not caller.sees_group(group, self.state):
            raise not_found("Group")
        if route.level is not None and caller.group_level(group) < route.level:
            raise forbidden()
        return group

    def _note(self, call: Call, path: str) -> None:
        pull = (call.concerns.project.full_path, call.concerns.iid) if call.concerns else None
        operation = f"{call.method} {call.template}"
        self.record.effects.append(Effect(call.method, path, operation, call.given, call.caller.name, self.seconds(), pull, call.notifies))

    def _finish(self, request: Request, call: Call, answer: Answer) -> Response:
        if answer.raw is not None:
            return Response(answer.status, answer.raw, {"content-type": "text/plain; charset=utf-8"} | answer.headers)
        if answer.items is not None:
            answer.headers |= page(f"{self.shapes.api}{call_path(request, self.root)}", call.given, answer)
        self._judge(request.method, call.template, answer.status, answer.body)
        return _json(answer.status, answer.body, answer.headers)

    def _judge(self, method: str, template: str, status: int, body: Any) -> None:
        for problem in answers.check(method, template, status, body):
            self.record.violations.append(Violation("response", method, template, problem))

    def _refusal(self, refusal: Refused) -> Response:
        if isinstance(refusal.body, str):
            return Response(refusal.status, refusal.body.encode(), {"content-type": "text/plain"} | refusal.headers)
        return _json(refusal.status, refusal.body, refusal.headers)


def call_path(request: Request, root: str) -> str:
    """The raw path of a request below the API."""
    return request.path.removeprefix(root).removeprefix(API)


def _put(into: Json, name: str, value: str) -> None:
    """Set `a[b][c]` or append to `a[]`. A name that contradicts an earlier one is refused as Rack refuses it."""
    keys = re.findall(r"[^\[\]]+|\[\]", name) or [name]
    here: Any = into
    for key, following in zip(keys, [*keys[1:], ""], strict=True):
        if key == "[]":
            continue
        if not isinstance(here, dict):
            raise refused(400, "400 Bad request")
        if not following:
            here[key] = value
        else:
            here = here.setdefault(key, [] if following == "[]" else {})
            if following == "[]" and isinstance(here, list):
                here.append(value)
                return


def _json(status: int, body: Any, headers: Mapping[str, str] | None = None) -> Response:
    if body is None:
        return Response(status, b"", dict(headers or {}))
    # Bytes of a name that are no UTF-8 came from git as lone surrogates; GitLab shows the sign for what cannot be read.
    text = json.dumps(body, separators=(",", ":"), ensure_ascii=False)
    content = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace").encode()
    return Response(status, content, {"content-type": "application/json"} | dict(headers or {}))
