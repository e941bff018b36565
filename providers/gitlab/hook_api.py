"""Groups, projects and their webhooks on GitLab: `hook_places.HookApi` over the REST API.

Sources: docs "Groups API", "Projects API" (`permissions`), "Project webhooks API", "Group webhooks API".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel

from pipeline.errors import HostForbidden, HostNotFound, RateLimited, UsageError
from providers.gitlab.api import Api
from providers.gitlab.client import MAX_ITEMS, Answer, Nothing
from providers.gitlab.hook_places import MAINTAINER, Place
from providers.gitlab.hooks import NAME, TRIGGER, HookAnswer
from providers.gitlab.projects import ProjectAnswer, source
from providers.gitlab.settings import Site

if TYPE_CHECKING:
    from gitlab import Gitlab
    from gitlab.v4.objects import GroupHookManager, ProjectHookManager

LONGEST, TRIES = 120.0, 20
"""Seconds of one wait, and how many waits, that a person at a terminal is kept for: limits count by the minute."""
OWNER = 50
"""Lowest access level that may see and change a group's hooks (docs "Group webhooks API")."""
_Model = TypeVar("_Model", bound=BaseModel)
_Result = TypeVar("_Result")
_PATH = re.compile(r"[A-Za-z0-9_.-]{1,255}(?:/[A-Za-z0-9_.-]{1,255}){0,21}\Z")


class _StatusCheck(Answer):
    id: int
    external_url: str | None = ""


class _Group(Answer):
    id: int
    full_path: str


class _Namespace(Answer):
    plan: str | None = ""


class GitlabHooks:
    """See `hook_places.HookApi`.

    Args:
        sleep: waits out what GitLab asks for, for somebody who would rather wait than begin again; None: RateLimited is raised.
    """

    def __init__(self, api: Api, sleep: Callable[[float], None] | None = None) -> None:
        self._api, self._sleep = api, sleep

    def find(self, name: str) -> Place:
        """The group or project that is called so."""
        wrong = f"is it spelled as in the address of its page, {self._api.site.web_url}/{name}?"
        try:
            group = self._one(lambda gl: gl.groups.get(name, with_projects=False), _Group, what=f"group {name}")
            return _group(group)
        except HostNotFound:
            if "/" not in name:
                hint = f"{wrong} a person's projects are connected one by one: fixwright gitlab connect {name}/PROJECT"
                raise HostNotFound(f"there is no group {name}, or the token's account is no member of it", hint=hint) from None
        try:
            return self._project(self._one(lambda gl: gl.projects.get(name), ProjectAnswer, what=f"project {name}"))
        except HostNotFound:
            raise HostNotFound(f"there is no group or project {name}, or the token's account is no member of it", hint=wrong) from None

    def projects(self, group: Place) -> Sequence[Place]:
        """Those of a group and of its subgroups that are not archived and belong to it."""
        found = self._all(
            lambda gl: gl.groups.get(group.id, lazy=True).projects.list(
                iterator=True, include_subgroups=True, with_shared=False, archived=False, order_by="id", sort="asc"
            ),
            ProjectAnswer,
            what=f"the projects of {group.path}",
        )
        return [self._project(one) for one in found]

    def subgroups(self, group: Place) -> Sequence[Place]:
        """All groups below a group."""
        found = self._all(
            lambda gl: gl.groups.get(group.id, lazy=True).descendant_groups.list(iterator=True),
            _Group,
            what=f"the groups below {group.path}",
        )
        return [_group(one) for one in found]

    def plan(self, group: Place) -> str:
        """Told to the group's owners alone; an instance of one's own says `default` whatever its licence (docs "Namespaces API")."""
        try:
            return self._one(lambda gl: gl.namespaces.get(group.id), _Namespace, what=f"the plan of {group.path}").plan or ""
        except (HostForbidden, HostNotFound):
            return ""

    def owned(self, most: int) -> Sequence[Place]:
        """Groups and projects whose hooks our role lets us see, at most so many of each."""
        groups = self._all(
            lambda gl: gl.groups.list(iterator=True, min_access_level=OWNER, order_by="id"), _Group, what="our groups", most=most
        )
        projects = self._all(
            lambda gl: gl.projects.list(
                iterator=True, membership=True, min_access_level=MAINTAINER, archived=False, order_by="id", sort="asc", pagination="keyset"
            ),
            ProjectAnswer,
            what="our projects",
            most=most,
        )
        return [*(_group(one) for one in groups), *(self._project(one) for one in projects)]

    # --- hooks ---

    def hooks(self, place: Place) -> Sequence[HookAnswer]:
        """Every hook that stands there."""
        return self._all(lambda gl: _hooks(gl, place).list(iterator=True), HookAnswer, what=f"the webhooks of {place.path}")

    def make(self, place: Place, attributes: dict[str, object]) -> HookAnswer:
        """A new hook."""
        return self._one(lambda gl: _hooks(gl, place).create(attributes), HookAnswer, what=f"a new webhook of {place.path}")

    def change(self, place: Place, hook: int, attributes: dict[str, object]) -> HookAnswer:
        """Some attributes of a hook."""
        return self._one(lambda gl: _hooks(gl, place).update(hook, attributes), HookAnswer, what=f"webhook {hook} of {place.path}")

    def remove(self, place: Place, hook: int) -> None:
        """One that is gone already is no error."""
        try:
            self._one(lambda gl: _hooks(gl, place).delete(hook), Nothing, what=f"webhook {hook} of {place.path}")
        except HostNotFound:
            return

    def test(self, place: Place, hook: int) -> None:
        """Let GitLab deliver a sample now."""
        what = f"a test of webhook {hook} of {place.path}"
        # Not waited for: its limit is one of tests alone.
        self._api.ask(lambda gl: _hooks(gl, place).get(hook, lazy=True).test(TRIGGER), Nothing, what=what)

    # --- external status checks ---

    def status_checks(self, place: Place) -> Sequence[tuple[int, str]]:
        """Number and address of each that a project has."""
        found = self._all(
            lambda gl: gl.projects.get(place.id, lazy=True).external_status_checks.list(iterator=True),
            _StatusCheck,
            what=f"the status checks of {place.path}",
        )
        return [(one.id, one.external_url or "") for one in found]

    def write_status_check(self, place: Place, check: int, url: str, secret: str) -> None:
        """Make one, or write its secret again."""
        given = {"name": NAME, "external_url": url, "shared_secret": secret}

        def call(gl: Gitlab) -> object:
            manager = gl.projects.get(place.id, lazy=True).external_status_checks
            return manager.update(check, given) if check else manager.create(given)

        self._one(call, Nothing, what=f"the status check of {place.path}")

    # --- asking ---

    def _one(self, call: Callable[[Gitlab], object], model: type[_Model], *, what: str) -> _Model:
        return self._patiently(lambda: self._api.ask(call, model, what=what))

    def _all(self, call: Callable[[Gitlab], Iterable[object]], model: type[_Model], *, what: str, most: int = MAX_ITEMS) -> list[_Model]:
        return self._patiently(lambda: self._api.ask_all(call, model, what=what, most=most))

    def _patiently(self, ask: Callable[[], _Result]) -> _Result:
        """Raises RateLimited for a wait that is too long, or asked for again and again."""
        for _ in range(TRIES):
            try:
                return ask()
            except RateLimited as limited:
                if self._sleep is None or limited.retry_after > LONGEST:
                    raise
                self._sleep(limited.retry_after)
        return ask()

    def _project(self, found: ProjectAnswer) -> Place:
        level = found.permissions.level if found.permissions is not None else 0
        return Place("project", found.id, found.path_with_namespace, source(self._api, found), found.archived, level)


def _group(found: _Group) -> Place:
    return Place("group", found.id, found.full_path)


def _hooks(gl: Gitlab, place: Place) -> ProjectHookManager | GroupHookManager:
    return gl.groups.get(place.id, lazy=True).hooks if place.kind == "group" else gl.projects.get(place.id, lazy=True).hooks


def path_of(given: str, site: Site) -> str:
    """What a person calls a group or project: its path, or the address of its page. Raises UsageError."""
    text = given.strip().rstrip("/").removesuffix(".git")
    if "://" in text:
        if not site.holds(text):
            raise UsageError(
                f"{given[:200]} is not on {site.web_url}",
                hint="name the --instance that is set up for that GitLab, or set it up: fixwright gitlab setup --url URL",
            )
        inside = urlsplit(text).path.removeprefix(urlsplit(site.web_url).path)
        text = inside.strip("/").partition("/-/")[0].removeprefix("groups/")
    if not _PATH.match(text) or any(not part.strip(".") for part in text.split("/")):
        raise UsageError(f"'{given[:200]}' is no path of a group or project", hint="as in: fixwright gitlab connect acme, or acme/shop")
    return text
