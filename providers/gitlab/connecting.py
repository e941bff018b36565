"""`fixwright gitlab connect`: from names of groups and projects to webhooks that stand as they must.

A group's hook needs Premium and the role Owner; where there is none to be had, each project of the group gets its own, which needs the
role Maintainer (docs "Group webhooks API", "Project webhooks API"). One hook is enough for an event: what a group's hook tells, a
project's would tell again.

That GitLab makes, shows and tests a group's hook says nothing: its API asks for the role alone, the licence counts when something happens,
and without it nothing is ever delivered. So a group's hook is relied on where GitLab names a plan that has it, or where the operator says
so (`group_hook`); a project's own hook is removed for it in the first case alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pipeline.errors import (
    FixwrightError,
    HostForbidden,
    HostNotFound,
    HostRejected,
    HostUnauthorized,
    NotConfigured,
    RateLimited,
)
from pipeline.model.target import SourceRepository
from providers.gitlab.hook_places import MAINTAINER, PAID, HookApi, Place
from providers.gitlab.hook_writing import proven, switch_on
from providers.gitlab.hooks import Act, HookAnswer, Kind, Step, Wanted, drift, is_signed, plan, repairs, same_address

ENDING = (HostUnauthorized, RateLimited, NotConfigured)
"""What no other place would mend: the run ends with it."""

State = Literal["removed", "made", "repaired", "kept", "covered", "left", "failed"]


@dataclass(frozen=True, slots=True)
class Row:
    """What became of one place."""

    place: str
    kind: Kind
    state: State
    said: str = ""
    hint: str = ""


@dataclass
class Connected:
    """What a run of `connect` led to."""

    rows: list[Row] = field(default_factory=list)
    repositories: list[SourceRepository] = field(default_factory=list)
    """Everything that is told of from now on."""
    hooks: list[tuple[Place, int]] = field(default_factory=list)
    """Our hooks, by GitLab's numbers; empty after a dry run."""
    cleared: list[Place] = field(default_factory=list)
    """Where hooks of ours stood, and none does any more."""


GONE = "where it was deleted its webhooks are gone with it; else give its path as its page has it, or a token whose account sees it"


class Connector:
    """Brings hooks to the wanted state.

    Args:
        url: where GitLab is to deliver.
        token, signing_token: the current secrets; one of them may be empty.
        dry_run: only say what would be done.
    """

    def __init__(self, api: HookApi, url: str, *, token: str, signing_token: str, dry_run: bool = False) -> None:
        self._api, self._dry = api, dry_run
        self._wanted: dict[Kind, Wanted] = {
            "group": Wanted("group", url, token, signing_token),
            "project": Wanted("project", url, token, signing_token),
        }
        self._groups: dict[str, bool] = {}
        self._plans: dict[str, str] = {}
        self._group_hook_asked = False
        self._projects: dict[int, Place] = {}
        self._changed: list[tuple[Place, int]] = []
        self.result = Connected()

    def connect(self, names: Sequence[str], *, projects_only: bool = False, group_hook: bool = False) -> Iterator[Row]:
        """One row a place, as soon as it is known.

        Args:
            projects_only: no hook for a group, whatever it has paid for.
            group_hook: the operator says that GitLab delivers from groups' hooks, which it does not always tell.

        Raises:
            HostUnauthorized: the token is refused.
            RateLimited: GitLab asks for a longer wait than anybody has patience for.
            NotConfigured: the secrets that are set cannot be used with this GitLab.
        """
        self._group_hook_asked = group_hook
        for name in names:
            for row in self._named(name, projects_only=projects_only):
                self.result.rows.append(row)
                yield row

    def _named(self, name: str, *, projects_only: bool) -> Iterator[Row]:
        try:
            place = self._api.find(name)
        except ENDING:
            raise
        except FixwrightError as error:
            yield Row(name, "project", "failed", error.message, error.hint)
            return
        if place.path.lower() != name.lower():
            yield Row(name, place.kind, "left", f"moved to {place.path}, which is connected instead")
        if place.kind == "project":
            yield self._project(place)
            return
        try:
            yield from self._group(place, projects_only=projects_only)
        except ENDING:
            raise
        except FixwrightError as error:
            yield _failed(place, error)

    def disconnect(self, names: Sequence[str]) -> Iterator[Row]:
        """Take our webhooks away, also those below a group. Raises what `connect` raises."""
        for name in names:
            try:
                place = self._api.find(name)
                below = [*self._api.subgroups(place), *self._api.projects(place)] if place.kind == "group" else []
                rows = [self._removed(one, self._remove_ours(one)) for one in (place, *below)]
            except ENDING:
                raise
            except HostNotFound as error:
                rows = [Row(name, "project", "failed", error.message, GONE)]
            except FixwrightError as error:
                rows = [Row(name, "project", "failed", error.message, error.hint)]
            yield from [row for row in rows if row.state != "left"] or rows[:1]

    def _removed(self, place: Place, number: int) -> Row:
        if not number:
            return Row(place.path, place.kind, "left", "no webhook of ours that we may see")
        return Row(place.path, place.kind, "left" if self._dry else "removed", "would be removed" if self._dry else "its webhook")

    def prove(self) -> FixwrightError | None:
        """Let GitLab deliver one sample to a hook that was made or changed: what says that nobody is there, or has another secret. None
        when it arrived, or nothing was changed."""
        for place, number in self._changed[:1]:
            try:
                self._api.test(place, number)
            except HostNotFound:
                return None  # no test requests before GitLab 16.11
            except (HostRejected, RateLimited) as error:
                return error
        return None

    def status_checks(self) -> Iterator[Row]:
        """One row for each project that is told of: GitLab asks for our verdict on its merge requests from now on (Ultimate)."""
        wanted = self._wanted["project"]
        for place in self._projects.values():
            if not wanted.token:
                yield Row(place.path, "project", "left", "a status check needs the secret token", "set FIXWRIGHT_GITLAB_WEBHOOK_SECRET")
                continue
            try:
                ours = [check for check, url in self._api.status_checks(place) if same_address(url, wanted.url)]
                if not self._dry:
                    self._api.write_status_check(place, ours[0] if ours else 0, wanted.url, wanted.token)
            except (HostUnauthorized, HostForbidden, HostNotFound):
                yield Row(place.path, "project", "left", "no status check: they need Ultimate, and the role Maintainer")
            except HostRejected as error:
                yield Row(place.path, "project", "failed", f"no status check: {error.message}")
            else:
                state: State = "left" if self._dry else "kept" if ours else "made"
                yield Row(place.path, "project", state, "status check" if not self._dry or ours else "a status check would be made")

    # --- groups ---

    def _group(self, group: Place, *, projects_only: bool) -> Iterator[Row]:
        projects = self._api.projects(group)
        why = "asked for projects only"
        if not projects_only:
            row = self._group_hook(group)
            if isinstance(row, Row):
                yield row
                if row.state != "failed":
                    yield from self._covered_below(group, projects)
                return
            why = row
        yield Row(group.path, "group", "left", f"{why}; each of its projects gets a hook" if projects else f"{why}; it has no projects")
        for project in projects:
            yield self._project(project)

    def _group_hook(self, group: Place) -> Row | str:
        """The row of the group's own hook; or why there is none to be had."""
        above = self._covering(group)
        if above:
            return Row(group.path, "group", "covered", f"the hook of {above} tells of it")
        if not self._relied_on(group):
            plan = self._plan(group)
            told = f"its plan is {plan}" if plan else "GitLab does not tell us its plan"
            return f"group webhooks need Premium; {told}"
        try:
            row = self._settle(group)
        except HostNotFound:
            return "no group webhooks on this GitLab (they need Premium)"
        except HostForbidden:
            return "group webhooks need Premium and the role Owner"
        self._groups[group.path] = row.state != "failed"
        return row

    def _covered_below(self, group: Place, projects: Sequence[Place]) -> Iterator[Row]:
        """What the hook of a group tells must not be told a second time."""
        for place in (*self._api.subgroups(group), *projects):
            if place.repository is not None:
                self._connected(place)
            if self._plan(group) not in PAID:
                if self._has_ours(place):
                    yield Row(place.path, place.kind, "left", f"its own hook stays: GitLab does not say that the one of {group.path} fires")
                continue
            removed = self._remove_ours(place)
            if removed:
                verb = "would be removed" if self._dry else "removed"
                yield Row(place.path, place.kind, "covered", f"{verb}: its own hook, the one of {group.path} tells of it")

    def _covering(self, place: Place) -> str:
        """Path of the nearest group above whose hook is ours; empty when there is none that we may see."""
        for path in place.groups:
            if path not in self._groups:
                self._groups[path] = self._tells(path)
            if self._groups[path]:
                return path
        return ""

    def _tells(self, path: str) -> bool:
        """True when a hook of ours stands at the group and can be relied on."""
        try:
            group = self._api.find(path)
        except (HostForbidden, HostNotFound):
            return False
        return group.kind == "group" and self._has_ours(group) and self._relied_on(group)

    def _has_ours(self, place: Place) -> bool:
        try:
            return any(same_address(hook.url, self._wanted[place.kind].url) for hook in self._api.hooks(place))
        except (HostForbidden, HostNotFound):
            return False

    def _relied_on(self, group: Place) -> bool:
        """Whether GitLab delivers from the group's hook, as far as anybody says so."""
        return self._plan(group) in PAID or self._group_hook_asked

    def _plan(self, group: Place) -> str:
        if group.path not in self._plans:
            self._plans[group.path] = self._api.plan(group)
        return self._plans[group.path]

    def _remove_ours(self, place: Place) -> int:
        """How many hooks of ours stood there and are gone now."""
        try:
            ours = [hook for hook in self._api.hooks(place) if same_address(hook.url, self._wanted[place.kind].url)]
            for hook in () if self._dry else ours:
                self._api.remove(place, hook.id)
        except (HostForbidden, HostNotFound):
            return 0  # not ours to see: then we have not made one there either
        if not self._dry:
            self.result.cleared.append(place)
        return len(ours)

    # --- projects ---

    def _project(self, project: Place) -> Row:
        if project.archived:
            return Row(project.path, "project", "left", "archived")
        try:
            if above := self._covering(project):
                self._connected(project)
                doubled = self._plans.get(above) in PAID and self._remove_ours(project)
                more = "; its own is removed" if doubled and not self._dry else ""
                return Row(project.path, "project", "covered", f"the hook of {above} tells of it{more}")
            row = self._settle(project)
        except ENDING:
            raise
        except HostForbidden as error:
            return self._forbidden(project, error)
        except FixwrightError as error:
            return _failed(project, error)
        if row.state != "failed":
            self._connected(project)
        return row

    def _forbidden(self, project: Place, error: HostForbidden) -> Row:
        """GitLab does not let us near a project's hooks: the role, or the token's scopes."""
        if 0 < project.level < MAINTAINER:
            said = "the token's role there is below Maintainer"
            return Row(project.path, "project", "failed", said, "connect with a token of the role Maintainer; Developer is enough to run")
        return Row(project.path, "project", "failed", error.message, error.hint)

    def _connected(self, place: Place) -> None:
        """Its repository is told of from now on."""
        if place.repository is not None and place.id not in self._projects:
            self._projects[place.id] = place
            self.result.repositories.append(place.repository)

    # --- one place ---

    def _settle(self, place: Place) -> Row:
        """Exactly one hook of ours, as wanted, read back."""
        wanted = self._wanted[place.kind]
        found = {hook.id: hook for hook in self._api.hooks(place)}
        steps = plan(list(found.values()), wanted)
        others = sum(not same_address(hook.url, wanted.url) for hook in found.values())
        if self._dry:
            return _foretold(place, steps, others)
        hook = self._written(place, wanted, found, steps[0])
        before = found.get(hook.id)
        said = [_words(steps[0].why)] if steps[0].why else []
        if before is not None and is_signed(hook, wanted) and not is_signed(before, wanted):
            said.append("signing_token")
        for step in steps[1:]:
            if step.act is Act.REMOVE:
                self._api.remove(place, step.hook)
                said.append("removed a second one of ours")
            else:
                hook, word = switch_on(self._api, place, hook, wanted)
                said.append(word)
        self.result.hooks.append((place, hook.id))
        if left := drift(hook, wanted):
            return Row(place.path, place.kind, "failed", f"GitLab has not taken {_words(left)}", "look at the hook's page on GitLab")
        if hook.switched_off:
            return Row(place.path, place.kind, "failed", "; ".join(said), f"is Fixwright reachable from GitLab at {wanted.url}?")
        state: State = "made" if steps[0].act is Act.MAKE else "repaired" if said else "kept"
        said.append("signed" if is_signed(hook, wanted) else "with the secret token")
        if state != "kept":
            self._changed.append((place, hook.id))
        if others:
            said.append(f"{others} of others left alone")
        return Row(place.path, place.kind, state, "; ".join(said))

    def _written(self, place: Place, wanted: Wanted, found: dict[int, HookAnswer], step: Step) -> HookAnswer:
        """Make the hook or write to it; as it stands afterwards."""
        if step.act is Act.MAKE:
            number = self._api.make(place, wanted.whole()).id
        else:
            number = step.hook
            self._api.change(place, number, repairs(found[number], wanted))
        try:
            return proven(self._api, place, wanted, number)
        except NotConfigured:
            if step.act is Act.MAKE:
                self._api.remove(place, number)  # nothing would verify what it delivers
            raise


def _failed(place: Place, error: FixwrightError) -> Row:
    """GitLab takes no address of its own network until an administrator allows it (docs "Filtering outbound requests")."""
    hint = error.hint
    if isinstance(error, HostRejected) and "url" in error.message.lower():
        hint = "its administrator must allow our address: Admin, Settings, Network, Outbound requests"
    return Row(place.path, place.kind, "failed", error.message, hint)


def _foretold(place: Place, steps: Sequence[Step], others: int) -> Row:
    """What `_settle` would do."""
    first, rest = steps[0], steps[1:]
    if first.act is Act.MAKE:
        return Row(place.path, place.kind, "left", f"would be made{f'; {others} of others stay' if others else ''}")
    words = [f"would be repaired: {_words(first.why)}"] if first.why else ["would get its secrets written again"]
    words += [f"would be switched on ({_words(step.why)})" for step in rest if step.act is Act.SWITCH_ON]
    words += ["a second one of ours would be removed" for step in rest if step.act is Act.REMOVE]
    return Row(place.path, place.kind, "left", "; ".join(words))


def _words(names: Sequence[str]) -> str:
    return ", ".join(names)
