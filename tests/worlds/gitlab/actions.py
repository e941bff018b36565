"""What can happen to code and merge requests, whoever asked for it: through the API, by a test, by a push. With `State.lock` held."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tests.worlds.bare import NO_COMMIT, Person
from tests.worlds.gitlab.events import Change, Events
from tests.worlds.gitlab.model import MergeRequest, Project, User
from tests.worlds.gitlab.state import State
from tests.worlds.gitlab.talk import Talk
from tests.worlds.gitlab.versions import conflicts, merged_result, new_version, refs_of, take

DRAFT = "Draft: "


class Impossible(Exception):
    """GitLab does not do that; the text is its reason."""


@dataclass(frozen=True, slots=True)
class People:
    """Labels and people of a merge request; None leaves them as they are."""

    labels: list[str] | None = None
    assignees: list[User] | None = None
    reviewers: list[User] | None = None


class Actions:
    """Changes the state and tells the hooks."""

    def __init__(self, state: State, events: Events, talk: Talk) -> None:
        self._state = state
        self.events = events
        self.talk = talk

    # --- code ---

    def commit_as(self, project: Project, tree: str, parents: Iterable[str], message: str, user: User, author: Person | None = None) -> str:
        """A commit that GitLab makes in a user's name."""
        person = Person(user.name, user.email, int(self._state.seconds()))
        return project.git.write_commit(tree, list(parents), message, author or person, person)

    def look_at_refs(self, project: Project, actor: User) -> None:
        """Find out which refs moved since the last look, and do what follows from it: one push, however many refs."""
        before, now = project.refs, project.git.refs()
        project.refs = now
        names = sorted(before.keys() | now.keys())
        changes: list[Change] = [(ref, before.get(ref, NO_COMMIT), now.get(ref, NO_COMMIT)) for ref in names]
        changes = [change for change in changes if change[1] != change[2]]
        if not changes:
            return
        project.last_activity_at = self._state.now()
        self.events.pushed(project, actor, changes)
        for ref, old, new in changes:
            if ref.startswith("refs/heads/"):
                self._branch_moved(project, actor, ref.removeprefix("refs/heads/"), old, new)

    def _branch_moved(self, project: Project, actor: User, branch: str, old: str, new: str) -> None:
        for request in [known for known in self._state.merge_requests() if known.state == "opened"]:
            if request.source is project and request.source_branch == branch:
                self._source_moved(request, actor, old, new)
            elif request.project is project and request.target_branch == branch and new != NO_COMMIT:
                if project.git.is_ancestor(request.head, new):
                    self._merged(request, actor, None if request.head == new else new)
                else:
                    merged_result(self._state, request, actor)

    def _source_moved(self, request: MergeRequest, actor: User, old: str, new: str) -> None:
        if new == NO_COMMIT:
            self.talk.system(request, actor, f"deleted the `{request.source_branch}` branch. This merge request now cannot be merged.")
            return
        if new == request.head:  # the branch came back as it was
            return
        self._update_diff(request, actor, new)
        if old == NO_COMMIT:
            old = request.versions[-2].refs.head if len(request.versions) > 1 else new
        count = len(request.project.git.commits(old, new)) if request.project.git.type_of(old) else 1
        self.talk.system(request, actor, f"added {count} commit{'s' if count != 1 else ''}")
        self.events.merge_request(request, actor, "update", oldrev=old)

    def _update_diff(self, request: MergeRequest, actor: User, head: str) -> None:
        known = len(request.versions)
        new_version(self._state, request, head)
        request.updated_at = self._state.now()
        request.approvals = []
        merged_result(self._state, request, actor)
        if known and len(request.versions) > known:
            self.talk.follow(request, actor)

    # --- merge requests ---

    def open(
        self,
        user: User,
        project: Project,
        source: tuple[Project, str],
        target: str,
        title: str,
        description: str | None = None,
        *,
        allow_collaboration: bool = False,
        remove_source_branch: bool = False,
        squash: bool = False,
        people: People | None = None,
    ) -> MergeRequest:
        """Open a merge request from a branch of the project or of a fork. Raises Impossible."""
        origin, branch = source
        head = origin.git.branch(branch)
        problems = [f'Source branch "{branch}" does not exist'] if head is None else []
        problems += [f'Target branch "{target}" does not exist'] if project.git.branch(target) is None else []
        if origin is project and branch == target:
            problems.append("You can't use same project/branch for source and target")
        if problems or head is None:
            raise Impossible(", ".join(problems))
        for known in self._state.opened_from(origin, branch):
            if known.project is project and known.target_branch == target:
                raise Impossible(f"Another open merge request already exists for this source branch: !{known.iid}")
        iid, now = max(project.merge_requests, default=0) + 1, self._state.now()
        identity = self._state.new_id("merge_request")
        request = MergeRequest(identity, iid, project, origin, branch, target, user, title, description, now, now, head)
        request.allow_collaboration = allow_collaboration and origin is not project
        request.remove_source_branch, request.squash = remove_source_branch, squash
        self._take_people(request, people or People())
        new_version(self._state, request, head)
        merged_result(self._state, request, user)
        project.merge_requests[iid] = request
        self.events.merge_request(request, user, "open")
        return request

    def _take_people(self, request: MergeRequest, people: People) -> dict[str, tuple[object, object]]:
        """Set labels, assignees and reviewers; what changed, as a webhook tells it."""
        show = self.events.payloads
        changes: dict[str, tuple[object, object]] = {}
        if people.labels is not None and people.labels != request.labels:
            changes["labels"] = (show.labels(request.labels, request.project), show.labels(people.labels, request.project))
            request.labels = people.labels
        if people.assignees is not None and people.assignees != request.assignees:
            changes["assignees"] = ([show.user(user) for user in request.assignees], [show.user(user) for user in people.assignees])
            request.assignees = people.assignees
        if people.reviewers is not None and people.reviewers != request.reviewers:
            changes["reviewers"] = ([show.user(user) for user in request.reviewers], [show.user(user) for user in people.reviewers])
            request.reviewers = people.reviewers
        return changes

    def edit(
        self,
        request: MergeRequest,
        actor: User,
        *,
        title: str | None = None,
        description: str | None = None,
        target: str | None = None,
        people: People | None = None,
    ) -> None:
        """Change what is not None; one event for all changes. Raises Impossible."""
        changes: dict[str, tuple[object, object]] = {}
        draft = request.draft
        if title is not None and title != request.title:
            changes["title"], request.title = (request.title, title), title
        if draft != request.draft:
            changes["draft"] = (draft, request.draft)
            self.talk.system(request, actor, f"marked this merge request as **{'draft' if request.draft else 'ready'}**")
        if description is not None and description != request.description:
            changes["description"], request.description = (request.description, description), description
        if target is not None and target != request.target_branch:
            changes["target_branch"] = (request.target_branch, target)
            self._retarget(request, actor, target)
        changes |= self._take_people(request, people or People())
        if changes:
            request.updated_at = self._state.now()
            self.events.merge_request(request, actor, "update", changes=changes)

    def _retarget(self, request: MergeRequest, actor: User, target: str) -> None:
        if request.project.git.branch(target) is None:
            raise Impossible(f'Target branch "{target}" does not exist')
        self.talk.system(request, actor, f"changed target branch from `{request.target_branch}` to `{target}`")
        request.target_branch = target
        self._update_diff(request, actor, request.head)

    def set_draft(self, request: MergeRequest, actor: User, draft: bool) -> None:
        """Turn it into a draft or mark it ready, which is a change of the title."""
        if request.draft != draft:
            title = request.title
            bare = title.partition(":")[2].lstrip() if title.lower().startswith("draft:") else title.partition("]")[2].lstrip()
            self.edit(request, actor, title=f"{DRAFT}{title}" if draft else bare)

    def close(self, request: MergeRequest, actor: User) -> None:
        """Close without merging."""
        if request.state == "opened":
            request.state, request.closed_at, request.closed_by = "closed", self._state.now(), actor
            request.updated_at = self._state.now()
            self.talk.system(request, actor, "closed")
            self.events.merge_request(request, actor, "close")

    def reopen(self, request: MergeRequest, actor: User) -> None:
        """Open it again, at the newest commit of its branch. Raises Impossible."""
        if request.state != "closed":
            return
        newest = request.source.git.branch(request.source_branch) if request.source else None
        if newest is None:
            raise Impossible("The source branch does not exist")
        for known in self._state.opened_from(request.source or request.project, request.source_branch):
            if known.project is request.project and known.target_branch == request.target_branch:
                raise Impossible(f"Another open merge request already exists for this source branch: !{known.iid}")
        request.state, request.closed_at, request.closed_by = "opened", None, None
        if newest != request.head or refs_of(request.project, request.target_branch, newest) != request.version.refs:
            self._update_diff(request, actor, newest)
        request.updated_at = self._state.now()
        self.talk.system(request, actor, "reopened")
        self.events.merge_request(request, actor, "reopen")

    def merge(self, request: MergeRequest, actor: User, message: str = "", *, squash: bool = False) -> str:
        """Merge it as its project does it; the commit that the target then points to. Raises Impossible."""
        if request.state != "opened":
            raise Impossible(f"the merge request is {request.state}")
        project, target = request.project, request.target_branch
        tip = project.git.branch(target)
        if tip is None or conflicts(request):
            raise Impossible("Branch cannot be merged")
        head = self._squashed(request, actor, tip) if squash or request.squash else request.head
        if project.merge_method == "ff":
            if not project.git.is_ancestor(tip, head):
                raise Impossible("Branch cannot be merged")
            sha = head
        else:
            tree = project.git.merge(tip, head)
            if tree is None:
                raise Impossible("Branch cannot be merged")
            text = message or self._merge_message(request)
            sha = self.commit_as(project, tree, [tip, head], text, actor)
        project.git.set_ref(f"refs/heads/{target}", sha)
        self._merged(request, actor, None if project.merge_method == "ff" else sha)
        self.look_at_refs(project, actor)
        if request.remove_source_branch and request.source is not None and request.source.git.branch(request.source_branch):
            request.source.git.delete_ref(f"refs/heads/{request.source_branch}")
            self.look_at_refs(request.source, actor)
        return sha

    def _squashed(self, request: MergeRequest, actor: User, tip: str) -> str:
        git = request.project.git
        tree = git.merge(tip, request.head)
        assert tree is not None
        request.squash_commit = self.commit_as(request.project, tree, [tip], f"{request.title}\n", actor)
        return request.squash_commit

    def _merge_message(self, request: MergeRequest) -> str:
        whole = f"{request.project.full_path}!{request.iid}"
        return f"Merge branch '{request.source_branch}' into '{request.target_branch}'\n\n{request.title}\n\nSee merge request {whole}\n"

    def _merged(self, request: MergeRequest, actor: User, commit: str | None) -> None:
        if request.state == "opened":
            request.state, request.merged_at, request.merge_user, request.merge_commit = "merged", self._state.now(), actor, commit
            request.updated_at, request.on_train = self._state.now(), False
            self.talk.system(request, actor, "merged")
            self.events.merge_request(request, actor, "merge")

    def board_train(self, request: MergeRequest, actor: User) -> str:
        """Put it on the merge train of its target: `refs/merge-requests/:iid/train` is made on top of the car before. Raises Impossible."""
        cars = [known for known in request.project.merge_requests.values() if known.on_train and known is not request]
        before = [known for known in cars if known.target_branch == request.target_branch and known.state == "opened"]
        onto = request.project.git.ref(f"refs/merge-requests/{before[-1].iid}/train") if before else None
        sha = merged_result(self._state, request, actor, onto=onto, name="train")
        if sha is None:
            raise Impossible("Branch cannot be merged")
        request.on_train = True
        self.talk.system(request, actor, f"added this merge request to the merge train at position {len(before) + 1}")
        return sha

    def merge_ref(self, request: MergeRequest, actor: User) -> str | None:
        """The commit of `refs/merge-requests/:iid/merge`, made anew where one of the branches moved; None when they conflict."""
        return merged_result(self._state, request, actor) if request.state == "opened" else None

    def rebase(self, request: MergeRequest, actor: User) -> None:
        """Replay the commits of the source branch on the tip of the target. Raises Impossible."""
        git, source = request.project.git, request.source
        tip = git.branch(request.target_branch)
        if request.state != "opened" or source is None or tip is None:
            raise Impossible("Cannot rebase")
        onto = tip
        for sha in git.commits(request.version.refs.base, request.head):
            known = git.commit(sha)
            if len(known.parents) != 1:
                raise Impossible("Cannot rebase a merge")
            # `onto` as if it stood on the commit's parent: merging the commit into that is picking it.
            grafted = git.write_commit(git.commit(onto).tree, known.parents, "", known.author, known.author)
            tree = git.merge(grafted, sha)
            if not tree:
                raise Impossible("Rebase locally, resolve all conflicts, then push the branch.")
            onto = git.write_commit(tree, [onto], known.message, known.author, Person(actor.name, actor.email, int(self._state.seconds())))
        take(source, request.project, onto)
        source.git.set_ref(f"refs/heads/{request.source_branch}", onto)
        self.look_at_refs(source, actor)

    def approve(self, request: MergeRequest, actor: User) -> None:
        """Approve it: with no rule to fulfil, one approval is also the last."""
        request.approvals.append(actor)
        self.talk.system(request, actor, "approved this merge request")
        self.events.merge_request(request, actor, "approved")

    def unapprove(self, request: MergeRequest, actor: User) -> None:
        """Take an approval back."""
        request.approvals.remove(actor)
        self.talk.system(request, actor, "unapproved this merge request")
        self.events.merge_request(request, actor, "unapproved")

    def fetch_from(self, project: Project, source: Project, sha: str) -> None:
        """Have a commit of another project of the network here."""
        take(project, source, sha)
