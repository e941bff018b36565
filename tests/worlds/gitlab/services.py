"""What happens around a project besides its people: pipelines, deployments, webhooks set by hand, services that are asked."""

from __future__ import annotations

from typing import Literal

from tests.worlds.gitlab.core import Gitlab
from tests.worlds.gitlab.hooks import EVENTS, GROUP_EVENTS, Delivery, Hook, Hooks, Kind
from tests.worlds.gitlab.limits import Limits
from tests.worlds.gitlab.model import MergeRequest, Namespace, Project
from tests.worlds.gitlab.pipelines import Job, Pipeline
from tests.worlds.gitlab.status_checks import Check

RunKind = Literal["head", "merge", "train"]


class Services:
    """A part of the world that a test holds in its hands."""

    gitlab: Gitlab

    # --- pipelines ---

    def run_pipeline(
        self, project: Project, branch: str, user: str = "ada", *, sha: str = "", jobs: tuple[str, ...] = ("test",)
    ) -> Pipeline:
        """A pipeline of a branch, at its tip unless told otherwise; its jobs wait. Raises LookupError."""
        with self.gitlab.state.lock:
            commit = sha or project.git.branch(branch)
            if not commit:
                raise LookupError(f"no branch {branch}")
            return self.gitlab.pipelines.create(project, commit, branch, self.gitlab.state.user(user), jobs=jobs)

    def run_merge_request_pipeline(
        self,
        merge_request: MergeRequest,
        kind: RunKind = "head",
        user: str = "ada",
        *,
        in_target: bool = False,
        jobs: tuple[str, ...] = ("test",),
    ) -> Pipeline:
        """A pipeline for a merge request: of its head, of the merged result, or of its car in the train.

        Of a fork's it runs in the fork, unless somebody of the target runs it there (`in_target`). Raises LookupError where GitLab made no
        such commit.
        """
        with self.gitlab.state.lock:
            target, ref = merge_request.project, f"refs/merge-requests/{merge_request.iid}/{kind}"
            sha = merge_request.head if kind == "head" else target.git.ref(ref)
            if sha is None:
                raise LookupError(f"no {ref}")
            place = target if in_target or kind != "head" or merge_request.source is None else merge_request.source
            actor, above = self.gitlab.state.user(user), None if kind == "head" else merge_request.head
            source = "merge_request_event"
            return self.gitlab.pipelines.create(place, sha, ref, actor, source, merge_request=merge_request, source_sha=above, jobs=jobs)

    def finish_pipeline(self, pipeline: Pipeline, status: str = "success") -> None:
        """All its own jobs run and end; statuses that others posted stay as they are."""
        with self.gitlab.state.lock:
            for step in ("running", status):
                for job in pipeline.latest:
                    if not job.external:
                        self.gitlab.pipelines.move(job, step)

    def statuses(self, project: Project, sha: str, *, every: bool = False) -> list[Job]:
        """What others posted on a commit, oldest first: the newest of each name in each pipeline unless told otherwise."""
        with self.gitlab.state.lock:
            return [job for job in self.gitlab.pipelines.statuses(project, sha, every=every) if job.external]

    # --- other happenings that hooks hear of ---

    def deploy(self, project: Project, environment: str, status: str = "success", user: str = "ada", *, branch: str = "main") -> None:
        """A deployment of a branch's tip. Raises LookupError."""
        with self.gitlab.state.lock:
            sha = project.git.branch(branch)
            if sha is None:
                raise LookupError(f"no branch {branch}")
            self.gitlab.events.deployment(project, self.gitlab.state.user(user), branch, sha, environment, status)

    def comment_elsewhere(self, project: Project, kind: Literal["Commit", "Issue", "Snippet"], body: str, user: str = "ada") -> None:
        """A note on something that is no merge request."""
        with self.gitlab.state.lock:
            self.gitlab.events.note_elsewhere(project, self.gitlab.state.user(user), kind, body)

    # --- hooks ---

    @property
    def hooks(self) -> Hooks:
        """Receivers and deliveries: `hooks.own`, `deliveries`, `of`, `redeliver`, `deliver_copies`, `wait`."""
        return self.gitlab.hooks

    @property
    def webhook_url(self) -> str | None:
        """Where the world's own hook sends; None keeps its events here."""
        return self.hooks.url

    @webhook_url.setter
    def webhook_url(self, url: str | None) -> None:
        self.hooks.url = url

    @property
    def webhook_secret(self) -> str:
        """The secret token of the world's own hook."""
        return self.hooks.own.token

    def add_hook(
        self,
        place: Project | Namespace | None,
        url: str,
        *,
        token: str = "",
        signing_token: str = "",
        events: tuple[str, ...] | None = None,
    ) -> Hook:
        """Somebody sets a webhook by hand, on a project, a group or (None) the instance. `events`: all unless named."""
        with self.gitlab.state.lock:
            kind: Kind = "system" if place is None else "project" if isinstance(place, Project) else "group"
            wanted = EVENTS + (GROUP_EVENTS if kind == "group" else ()) if events is None else events
            made = Hook(self.gitlab.state.new_id("hook"), kind, place.id if place else 0, url, self.gitlab.state.seconds(), token)
            made.signing_tokens = (signing_token,) if signing_token else ()
            made.events = dict.fromkeys(wanted, True)
            self.hooks.registered[made.id] = made
            return made

    def hooks_of(self, place: Project | Namespace | None) -> list[Hook]:
        """The webhooks of a project, a group or the instance."""
        kind = "system" if place is None else "project" if isinstance(place, Project) else "group"
        owner = place.id if place else 0
        return [hook for hook in self.hooks.registered.values() if (hook.kind, hook.owner) == (kind, owner)]

    def switch_off(self, hook: Hook, *, for_good: bool = False) -> None:
        """As after failures in a row."""
        with self.gitlab.state.lock:
            hook.failures = 39 if for_good else 3
            hook.answered(self.gitlab.state.seconds(), well=False)

    # --- services, limits and what ends by itself ---

    def expire(self) -> None:
        """What GitLab does every night: memberships whose day has come are removed."""
        with self.gitlab.state.lock:
            today, state, events = self.gitlab.state.now().date(), self.gitlab.state, self.gitlab.events
            places: list[Project | Namespace] = [*state.projects.values(), *state.namespaces.values()]
            for place in places:
                for member in [one for one in place.members.values() if one.expires_at is not None and one.expires_at <= today]:
                    del place.members[member.user.id]
                    if isinstance(place, Project):
                        events.member_of_project(place, member, "remove")
                    else:
                        events.member_of_group(place, member, "remove")

    def add_status_check(self, project: Project, name: str, url: str, secret: str = "") -> Check:
        """A service that the project asks about each merge request (Ultimate alone)."""
        with self.gitlab.state.lock:
            return self.gitlab.status_checks.add(project, name, url, secret)

    @property
    def status_check_deliveries(self) -> list[Delivery]:
        """What services were asked, oldest first."""
        return self.gitlab.status_checks.deliveries

    @property
    def limits(self) -> Limits:
        """The rate limits in force, which a test may lower."""
        return self.gitlab.budget.limits
