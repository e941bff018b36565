"""What people do in the world: the side of a test that is not under test."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from tests.worlds.gitlab.core import Gitlab
from tests.worlds.gitlab.model import Award, Discussion, Level, Member, MergeRequest, Namespace, Note, Position, Project, User
from tests.worlds.gitlab.positions import lines_of
from tests.worlds.gitlab.state import State
from tests.worlds.gitlab.suggestions import appliable, lines_at
from tests.worlds.pushing import Files, Pushing


class People(Pushing[Project]):
    """Persons and what they click and push. Hooks are told of all of it."""

    gitlab: Gitlab

    @property
    def _state(self) -> State:
        return self.gitlab.state

    def _look_at_refs(self, place: Project, login: str) -> None:
        self.gitlab.actions.look_at_refs(place, self.user(login))

    # --- people and places ---

    def user(self, login: str) -> User:
        """A person, who is there from the first mention on."""
        with self.gitlab.state.lock:
            return self.gitlab.state.user(login)

    def create_group(self, path: str, *, visibility: str = "private", owner: str = "") -> Namespace:
        """A group by its full path, with all groups above it."""
        with self.gitlab.state.lock:
            known = self.gitlab.state.namespace(path)
            group = self.gitlab.state.group(path, visibility=visibility)
            if owner:
                self._member(group, owner, Level.OWNER)
            if known is None:
                self.gitlab.events.group(group, "create")
            return group

    def set_access(self, user: str, place: Project | Namespace, level: str | int) -> None:
        """Make somebody a member with a level (`guest` to `owner`); `none` takes the membership away."""
        with self.gitlab.state.lock:
            self._member(place, user, Level.of(level))

    def _member(self, place: Project | Namespace, login: str, level: Level) -> None:
        user, events = self.gitlab.state.user(login), self.gitlab.events
        known = place.members.pop(user.id, None)
        member = known if level is Level.NONE else Member(user, level, self.gitlab.state.now())
        if member is None:
            return
        happened = "remove" if level is Level.NONE else "update" if known else "add"
        if happened != "remove":
            place.members[user.id] = member
        if isinstance(place, Project):
            events.member_of_project(place, member, happened)
        else:
            events.member_of_group(place, member, happened)

    def block(self, user: str) -> None:
        """An administrator blocks somebody: nothing of theirs gets in any more."""
        with self.gitlab.state.lock:
            self.gitlab.state.user(user).state = "blocked"

    # --- projects ---

    def create_project(
        self, namespace: str, name: str, *, files: Files | None = None, visibility: str = "private", creator: str = "ada"
    ) -> Project:
        """A project with one commit on `main`, in a group made for it when there is neither group nor user of that name."""
        with self.gitlab.state.lock:
            state = self.gitlab.state
            user = state.user(creator)
            place = state.namespace(namespace) or state.group(namespace, visibility=visibility)
            project = state.add_project(place, name, user, visibility=visibility)
            if files is not None:
                self._commit(project, project.default_branch or "main", files, "Initial commit", creator, None)
                project.refs = project.git.refs()
            self.gitlab.events.project(project, "create")
            return project

    def fork(self, project: Project, login: str, *, namespace: str = "") -> Project:
        """A fork in somebody's own namespace, or in a group."""
        with self.gitlab.state.lock:
            state = self.gitlab.state
            user = state.user(login)
            place = state.namespace(namespace or login) or state.group(namespace)
            made = state.add_project(place, project.path, user, visibility=project.visibility, parent=project)
            self.gitlab.events.project(made, "create")
            return made

    def rename_project(self, project: Project, path: str) -> None:
        """Give it another path. The old one leads to it until somebody takes it."""
        self._moved(project, "rename", lambda: _set_path(project, path))

    def move_project(self, project: Project, namespace: str) -> None:
        """Transfer it to another group."""
        with self.gitlab.state.lock:
            place = self.gitlab.state.namespace(namespace) or self.gitlab.state.group(namespace)
        self._moved(project, "transfer", lambda: _set_namespace(project, place))

    def rename_group(self, group: Namespace, path: str) -> None:
        """Give a group another path; what lies in it moves along."""
        with self.gitlab.state.lock:
            state, old = self.gitlab.state, group.full_path
            inside = [project for project in state.projects.values() if group in project.namespace.line]
            paths = {project.full_path.lower(): project.id for project in inside}
            group.path = path
            state.moved |= paths
            self.gitlab.events.group(group, "rename", old)

    def delete_group(self, group: Namespace) -> None:
        """Remove a group with all that lies in it."""
        with self.gitlab.state.lock:
            state, below = self.gitlab.state, self.gitlab.state.groups_below(group)
            for project in [known for known in state.projects.values() if known.namespace in below]:
                self.delete_project(project)
            for known in below[::-1]:
                self.gitlab.events.group(known, "destroy")
                del state.namespaces[known.id]

    def _moved(self, project: Project, happened: str, move: Callable[[], None]) -> None:
        with self.gitlab.state.lock:
            old = project.full_path
            move()
            self.gitlab.state.moved[old.lower()] = project.id
            self.gitlab.state.moved.pop(project.full_path.lower(), None)
            self.gitlab.events.project(project, happened, old)

    def archive_project(self, project: Project, *, archived: bool = True) -> None:
        """Make it read-only, or writable again."""
        with self.gitlab.state.lock:
            project.archived, project.archived_at = archived, self.gitlab.state.now() if archived else None
            self.gitlab.events.project(project, "update")

    def delete_project(self, project: Project) -> None:
        """Remove it; merge requests from it stay without a source."""
        with self.gitlab.state.lock:
            self.gitlab.events.project(project, "destroy")
            del self.gitlab.state.projects[project.id]
            for request in self.gitlab.state.merge_requests():
                if request.source is project:
                    request.source = None

    def set_visibility(self, project: Project, visibility: str) -> None:
        """`private`, `internal` or `public`."""
        with self.gitlab.state.lock:
            project.visibility = visibility
            self.gitlab.events.project(project, "update")

    def protect(self, project: Project, branch: str, *, push: str = "maintainer", merge: str = "maintainer") -> None:
        """Say who may push to a branch and merge into it."""
        with self.gitlab.state.lock:
            project.protected[branch] = (Level.of(push), Level.of(merge))

    # --- code ---

    def push_tag(self, project: Project, name: str, sha: str = "", user: str = "ada") -> str:
        """Push a light tag on a commit (default: the tip of the default branch). Raises LookupError."""
        with self.gitlab.state.lock:
            commit = sha or project.git.branch(project.default_branch or "main")
            if not commit:
                raise LookupError("no commit to tag")
            project.git.set_ref(f"refs/tags/{name}", commit)
            self.gitlab.actions.look_at_refs(project, self.user(user))
            return commit

    # --- merge requests ---

    def open_merge_request(
        self,
        user: str,
        project: Project,
        source: str,
        target: str,
        title: str,
        *,
        description: str | None = None,
        draft: bool = False,
        fork: Project | None = None,
    ) -> MergeRequest:
        """Open one from a branch of the project, or of a fork. Raises Impossible."""
        whole = f"Draft: {title}" if draft else title
        return self._locked(
            lambda: self.gitlab.actions.open(self.user(user), project, (fork or project, source), target, whole, description)
        )

    def edit_merge_request(self, user: str, request: MergeRequest, *, title: str | None = None, description: str | None = None) -> None:
        """Change its texts."""
        self._locked(lambda: self.gitlab.actions.edit(request, self.user(user), title=title, description=description))

    def retarget(self, user: str, request: MergeRequest, target: str) -> None:
        """Let it lead to another branch, which makes a new version of its diff. Raises Impossible."""
        self._locked(lambda: self.gitlab.actions.edit(request, self.user(user), target=target))

    def set_draft(self, user: str, request: MergeRequest, draft: bool) -> None:
        """Turn it into a draft, or mark it ready."""
        self._locked(lambda: self.gitlab.actions.set_draft(request, self.user(user), draft))

    def close(self, user: str, request: MergeRequest) -> None:
        """Close it."""
        self._locked(lambda: self.gitlab.actions.close(request, self.user(user)))

    def reopen(self, user: str, request: MergeRequest) -> None:
        """Open it again. Raises Impossible."""
        self._locked(lambda: self.gitlab.actions.reopen(request, self.user(user)))

    def merge(self, user: str, request: MergeRequest, *, squash: bool = False) -> str:
        """Merge it; returns the tip of its target. Raises Impossible when it conflicts."""
        return self._locked(lambda: self.gitlab.actions.merge(request, self.user(user), squash=squash))

    def unprepare(self, request: MergeRequest, *, prepared: bool = False) -> None:
        """As in the moments after it was opened, when GitLab has no diff of it yet; `prepared`: they are over."""
        with self.gitlab.state.lock:
            request.prepared = prepared

    def approve(self, user: str, request: MergeRequest) -> None:
        """Approve it."""
        self._locked(lambda: self.gitlab.actions.approve(request, self.user(user)))

    def rebase(self, user: str, request: MergeRequest) -> None:
        """Press "Rebase". Raises Impossible."""
        self._locked(lambda: self.gitlab.actions.rebase(request, self.user(user)))

    def board_train(self, user: str, request: MergeRequest) -> str:
        """Put it on the merge train; returns the commit of `refs/merge-requests/:iid/train`. Raises Impossible."""
        return self._locked(lambda: self.gitlab.actions.board_train(request, self.user(user)))

    # --- talk ---

    def comment(self, user: str, request: MergeRequest, body: str, *, internal: bool = False) -> Note:
        """Write a note."""
        return self._locked(lambda: self.gitlab.talk.comment(request, self.user(user), body, internal=internal))

    def discuss(self, user: str, request: MergeRequest, body: str) -> Note:
        """Begin a thread on the merge request."""
        return self._locked(lambda: self.gitlab.talk.begin(request, self.user(user), body))

    def comment_on_line(self, user: str, request: MergeRequest, path: str, line: int, body: str) -> Note:
        """Begin a thread on a line of the new side that the diff shows. Raises LookupError."""

        def write() -> Note:
            refs = request.version.refs
            files = [file for file in request.project.git.diff(refs.base, refs.head) if file.path == path]
            shown = next((known for file in files for known in lines_of(file.patch) if known.place[1] == line), None)
            if shown is None:
                raise LookupError(f"{path}:{line} is not in the diff")
            position = Position(refs, files[0].old_path, path, "text", *shown.place)
            return self.gitlab.talk.begin(request, self.user(user), body, position)

        return self._locked(write)

    def reply_in_discussion(self, user: str, discussion: Discussion | Note, body: str) -> Note:
        """Answer in a thread."""
        home = discussion.discussion if isinstance(discussion, Note) else discussion
        return self._locked(lambda: self.gitlab.talk.reply(home, self.user(user), body))

    def edit_note(self, user: str, note: Note, body: str) -> None:
        """Change what was written."""
        self._locked(lambda: self.gitlab.talk.edit(note, self.user(user), body))

    def delete_note(self, note: Note) -> None:
        """Take it away."""
        self._locked(lambda: self.gitlab.talk.delete(note))

    def resolve(self, user: str, discussion: Discussion | Note, *, resolved: bool = True) -> None:
        """Press "Resolve thread", or open it again."""
        home = discussion.discussion if isinstance(discussion, Note) else discussion
        self._locked(lambda: self.gitlab.talk.resolve(home, self.user(user), resolved=resolved))

    def react(self, user: str, about: MergeRequest | Note, name: str) -> Award:
        """Give an emoji."""
        return self._locked(lambda: self.gitlab.talk.award(about, self.user(user), name))

    def apply_suggestion(self, user: str, note: Note, number: int = 0) -> str:
        """Press "Apply suggestion": a commit on the source branch. Raises ValueError where GitLab has no such button."""
        with self.gitlab.state.lock:
            chosen = note.suggestions[number] if number < len(note.suggestions) else None
            request, position = note.merge_request, note.position
            if chosen is None or position is None or not appliable(chosen) or request.source is None:
                raise ValueError("the note has no suggestion that can be applied")
            lines = lines_at(request.project.git, request.head, position.new_path)
            lines[chosen.from_line - 1 : chosen.to_line] = [chosen.to_content] if chosen.to_content else []
            message = f"Apply 1 suggestion to 1 file\n\nCo-authored-by: {note.author.name} <{note.author.email}>"
            chosen.applied = True
            chosen.commit = self.commit(request.source, request.source_branch, {position.new_path: "".join(lines)}, message, user)
            self.gitlab.talk.resolve(note.discussion, self.user(user), resolved=True)
            return chosen.commit

    # --- tokens ---

    def token_for(self, login: str, scopes: tuple[str, ...] = ("api",), *, days: int = 365) -> str:
        """A personal access token, valid for so many days by the world's clock."""
        with self.gitlab.state.lock:
            ends = self.gitlab.state.now().date() + timedelta(days=days)
            return self.gitlab.tokens.add(self.gitlab.state.user(login), scopes, expires_at=ends).value

    def token_of(
        self,
        place: Project | Namespace,
        level: str | int = "developer",
        scopes: tuple[str, ...] = ("api",),
        *,
        days: int = 365,
        name: str = "fixwright",
    ) -> str:
        """A project or group access token: a bot user is made for it, which is a member there."""
        with self.gitlab.state.lock:
            ends = self.gitlab.state.now().date() + timedelta(days=days)
            return self.gitlab.tokens.add_bot(place, Level.of(level), scopes, name, ends).value

    def owner_of(self, token: str) -> User:
        """Whose token it is. Raises KeyError."""
        found = self.gitlab.tokens.find(token)
        if found is None:
            raise KeyError("no such token")
        return found.user

    def revoke(self, token: str) -> None:
        """Take a token away. Raises KeyError."""
        found = self.gitlab.tokens.find(token)
        if found is None:
            raise KeyError("no such token")
        found.revoked = True


def _set_path(project: Project, path: str) -> None:
    project.path = project.name = path


def _set_namespace(project: Project, namespace: Namespace) -> None:
    project.namespace = namespace
