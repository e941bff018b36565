"""Webhook payloads, built from the state, in the order in which things happen.

Source: GitLab docs, "Webhook events", "System hooks" (what only administrators are told), "Webhooks" (limits of pushes).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tests.worlds.bare import NO_COMMIT
from tests.worlds.gitlab.hooks import Event, Hooks
from tests.worlds.gitlab.model import Json, Member, MergeRequest, Namespace, Note, Project, User
from tests.worlds.gitlab.payload_parts import Places, moment
from tests.worlds.gitlab.payloads import Payloads
from tests.worlds.gitlab.state import State

MOST_REFS = 3
"""A push that changes more branches, or more tags, sends no webhook at all (`push_event_hooks_limit`)."""

Change = tuple[str, str, str]
"""A ref, the commit before and the one after; `NO_COMMIT` for none."""


class Events:
    """Tells hooks what happened. Called with `State.lock` held."""

    def __init__(self, state: State, places: Places, hooks: Hooks) -> None:
        self._state = state
        self._hooks = hooks
        hooks.address = lambda: places.web
        self.payloads = Payloads(places)
        self.after_merge_request: Callable[[MergeRequest, Json], None] = lambda merge_request, payload: None
        """Who else is told of what happens to merge requests: external status checks."""

    def _emit(self, trigger: str, switch: str, payload: Json, project: Project | None = None, *, branch: str | None = None) -> None:
        groups = [group.id for group in project.namespace.line] if project else []
        self._hooks.emit(Event(trigger, switch, payload, project.id if project else None, groups, branch))

    def _emit_of_group(self, trigger: str, switch: str, payload: Json, group: Namespace) -> None:
        self._hooks.emit(Event(trigger, switch, payload, None, [above.id for above in group.line]))

    # --- code ---

    def pushed(self, project: Project, actor: User, changes: Sequence[Change]) -> None:
        """`push` and `tag_push`, for all refs that one push changed."""
        for prefix, tags in (("refs/heads/", False), ("refs/tags/", True)):
            chosen = [change for change in changes if change[0].startswith(prefix)]
            if len(chosen) <= MOST_REFS:
                for change in chosen:
                    self._push(project, actor, change, tag=tags)

    def _push(self, project: Project, actor: User, change: Change, *, tag: bool) -> None:
        ref, old, new = change
        branch = None if tag else ref.removeprefix("refs/heads/")
        payload = self.payloads.push(project, actor, ref, old, new, self._commits(project, old, new) if not tag else [])
        if tag:
            self._emit("tag_push_hooks", "tag_push_events", payload, project)
        else:
            self._emit("push_hooks", "push_events", payload, project, branch=branch)
        update = {"event_name": "repository_update", "changes": [{"before": old, "after": new, "ref": ref}], "refs": [ref]}
        about = {key: payload[key] for key in ("user_id", "user_name", "user_email", "user_avatar", "project_id", "project")}
        self._emit("repository_update_hooks", "repository_update_events", update | about, project)

    def _commits(self, project: Project, old: str, new: str) -> list[str]:
        """What a push brings, oldest first; a new branch brings what the default branch has not."""
        git = project.git
        if new == NO_COMMIT:
            return []
        if old != NO_COMMIT:
            return list(git.commits(old, new))
        known = git.branch(project.default_branch) if project.default_branch else None
        return list(git.commits(known, new)) if known and known != new else list(git.history(new))[::-1]

    def merge_request(
        self,
        merge_request: MergeRequest,
        actor: User,
        action: str,
        *,
        oldrev: str = "",
        changes: Mapping[str, tuple[object, object]] | None = None,
    ) -> None:
        """`merge_request`. `oldrev`: the head before, only when code was pushed. `changes`: field -> (previous, current)."""
        shown = {name: {"previous": before, "current": after} for name, (before, after) in (changes or {}).items()}
        payload = self.payloads.merge_request(merge_request, actor, action, oldrev, shown)
        self._emit("merge_request_hooks", "merge_requests_events", payload, merge_request.project)
        self.after_merge_request(merge_request, payload)

    # --- talk ---

    def note(self, note: Note, actor: User, action: str = "create") -> None:
        """`note` on a merge request; of internal ones only hooks with `confidential_note_events` hear."""
        self._note(note.merge_request.project, self.payloads.note(note, actor, action), internal=note.internal)

    def note_elsewhere(self, project: Project, author: User, kind: str, body: str) -> None:
        """`note` on a `Commit`, `Issue` or `Snippet` of the project; the double keeps none of them."""
        identity = self._state.new_id("note")
        self._note(project, self.payloads.note_elsewhere(project, author, kind, body, identity, self._state.now()), internal=False)

    def _note(self, project: Project, payload: Json, *, internal: bool) -> None:
        if internal:
            self._emit("confidential_note_hooks", "confidential_note_events", payload, project)
        else:
            self._emit("note_hooks", "note_events", payload, project)

    # --- pipelines ---

    def pipeline(self, project: Project, payload: Json) -> None:
        """`pipeline`, whenever its status changes."""
        self._emit("pipeline_hooks", "pipeline_events", payload, project)

    def job(self, project: Project, payload: Json) -> None:
        """`build`, whenever the status of a job changes; external statuses send none."""
        self._emit("job_hooks", "job_events", payload, project)

    def deployment(self, project: Project, actor: User, ref: str, sha: str, environment: str, status: str) -> None:
        """`deployment`: `running`, `success`, `failed` or `canceled`."""
        payload = self.payloads.deployment(project, actor, ref, sha, environment, status, self._state.new_id("job"), self._state.now())
        self._emit("deployment_hooks", "deployment_events", payload, project)

    # --- people and places ---

    def member_of_group(self, group: Namespace, member: Member, happened: str) -> None:
        """`user_add_to_group`, `user_update_for_group` or `user_remove_from_group`: `happened` is the first word."""
        name = {"add": "user_add_to_group", "update": "user_update_for_group", "remove": "user_remove_from_group"}[happened]
        payload = self.payloads.member_of_group(group, member, name, self._state.now())
        self._emit_of_group("member_hooks", "member_events", payload, group)

    def member_of_project(self, project: Project, member: Member, happened: str) -> None:
        """`user_add_to_team` and so on, which only system hooks are told of."""
        name = {"add": "user_add_to_team", "update": "user_update_for_team", "remove": "user_remove_from_team"}[happened]
        self._system(self.payloads.member_of_project(project, member, name, self._state.now()))

    def project(self, project: Project, happened: str, old_path: str = "") -> None:
        """`project_create`, `_destroy`, `_rename`, `_transfer` or `_update`: `happened` is the last word.

        Hooks of a group are told of the first two ("Project and subgroup events"), system hooks of all.
        """
        payload = self.payloads.project_event(project, f"project_{happened}", old_path, self._state.now())
        if happened in ("create", "destroy"):
            self._emit("project_hooks", "project_events", payload, project)
        else:
            self._system(payload, project)

    def group(self, group: Namespace, happened: str, old_path: str = "") -> None:
        """`subgroup_create` or `_destroy` to the groups above; `group_create`, `_destroy`, `_rename` to system hooks."""
        if group.parent is not None and happened in ("create", "destroy"):
            payload = self.payloads.subgroup(group, f"subgroup_{happened}", self._state.now())
            self._emit_of_group("subgroup_hooks", "subgroup_events", payload, group.parent)
        self._system(self.payloads.group(group, f"group_{happened}", old_path, self._state.now()))

    def user(self, user: User, happened: str) -> None:
        """`user_create`, `user_destroy`, `user_rename`, `user_failed_login`: system hooks alone."""
        now = moment(self._state.now())
        whole = {"event_name": f"user_{happened}", "created_at": moment(user.created_at), "updated_at": now}
        self._system(whole | {"email": user.email, "name": user.name, "username": user.username, "user_id": user.id})

    def _system(self, payload: Json, project: Project | None = None) -> None:
        self._emit("system_hooks", "system_events", payload, project)
