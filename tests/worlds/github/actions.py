"""What can happen in the world, whoever asked for it: an app or a person through the API, a test, a push over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.worlds.bare import NO_COMMIT, Person
from tests.worlds.github.anchors import Unplaceable, follow, place
from tests.worlds.github.events import Events
from tests.worlds.github.model import (
    Account,
    Anchor,
    App,
    CheckRun,
    CheckSuite,
    IssueComment,
    PullRequest,
    Repository,
    Review,
    ReviewComment,
    Thread,
)
from tests.worlds.github.shapes.pulls import merge_base
from tests.worlds.github.state import State

SIGNATURE = "-----BEGIN PGP SIGNATURE-----\n\nmade by the double: it only stands where GitHub's would\n-----END PGP SIGNATURE-----"
HOST = ("GitHub", "noreply@github.com")


@dataclass(frozen=True, slots=True)
class Draft:
    """A comment on lines that is yet to be posted."""

    anchor: Anchor
    body: str


class Actions:
    """Changes the state and tells the app. Called with `State.lock` held."""

    def __init__(self, state: State, events: Events) -> None:
        self._state = state
        self.events = events

    # --- code ---

    def host_commit(self, repository: Repository, tree: str, parents: Sequence[str], message: str, actor: Account) -> str:
        """A commit that the host makes and signs in the actor's name."""
        now = int(self._state.seconds())
        author, committer = Person(actor.login, actor.email, now), Person(*HOST, now)
        sha = repository.git.write_commit(tree, parents, message, author, committer, signature=SIGNATURE)
        repository.verified[sha] = SIGNATURE
        return sha

    def look_at_refs(self, repository: Repository, actor: Account) -> None:
        """Find out which refs moved since the last look, and do what follows from it."""
        before, now = repository.refs, repository.git.refs()
        repository.refs = now
        for ref in sorted(before.keys() | now.keys()):
            old, new = before.get(ref, NO_COMMIT), now.get(ref, NO_COMMIT)
            if old != new:
                repository.pushed_at = self._state.now()
                self._moved(repository, actor, ref, old, new)

    def _moved(self, repository: Repository, actor: Account, ref: str, old: str, new: str) -> None:
        if not ref.startswith("refs/heads/"):
            self.events.push(repository, actor, ref, old, new)
            return
        branch = ref.removeprefix("refs/heads/")
        self.events.push(repository, actor, ref, old, new)
        if new != NO_COMMIT:
            self._auto_suites(repository, actor, branch, old, new)
        everywhere = [pull for known in self._state.repositories.values() for pull in known.pulls.values() if pull.state == "open"]
        for pull in everywhere:
            if pull.head_repository is repository and pull.head_ref == branch:
                self._head_moved(pull, actor, old, new)
            elif (
                pull.repository is repository
                and pull.base_ref == branch
                and new != NO_COMMIT
                and repository.git.is_ancestor(pull.head_sha, new)
            ):
                self._merged(pull, actor, new)

    def _auto_suites(self, repository: Repository, actor: Account, branch: str, old: str, new: str) -> None:
        """A push makes a suite for every app that may write checks (REST, "Check suites")."""
        for app in self._state.apps.values():
            installation = self._state.installation_of(repository, app)
            if installation is not None and installation.permissions.get("checks") == "write":
                known = self._state.suite(repository, app, new)
                suite = known or self.new_suite(repository, app, new, branch, None if old == NO_COMMIT else old)
                if known is None:
                    self.events.check_suite(suite, actor, "requested")

    def new_suite(self, repository: Repository, app: App, sha: str, branch: str | None, before: str | None) -> CheckSuite:
        """An empty suite on a commit."""
        now = self._state.now()
        suite = CheckSuite(self._state.new_id("suite"), repository, app, sha, branch, before, now, now)
        repository.suites.append(suite)
        return suite

    def _head_moved(self, pull: PullRequest, actor: Account, old: str, new: str) -> None:
        if new == NO_COMMIT:
            self.close(pull, actor)
            return
        self._take_head(pull, new)
        pull.base_sha = pull.repository.git.branch(pull.base_ref) or pull.base_sha
        for comment in pull.review_comments:
            self._follow(pull, comment)
        self.events.pull(pull, actor, "synchronize", before=old, after=new)

    def _take_head(self, pull: PullRequest, sha: str) -> None:
        """Fetch a fork's commit and move `refs/pull/N/head`."""
        if pull.head_repository is not pull.repository:
            pull.repository.git.run("fetch", "--quiet", "--no-tags", str(pull.head_repository.git.path), sha)
        pull.head_sha = sha
        pull.updated_at = self._state.now()
        pull.repository.git.set_ref(f"refs/pull/{pull.number}/head", sha)

    def _follow(self, pull: PullRequest, comment: ReviewComment) -> None:
        """Find a comment's lines in the new head, or call it outdated."""
        git = pull.repository.git
        moved = follow(git, comment.original, comment.original_commit, pull.head_sha)
        shown = moved is not None and self.shows(pull, moved)
        comment.anchor, comment.commit = (moved, pull.head_sha) if shown else (None, comment.commit)

    def shows(self, pull: PullRequest, anchor: Anchor) -> bool:
        """True when the pull request's diff shows those lines."""
        try:
            place(pull.repository.git.diff(merge_base(pull), pull.head_sha), anchor)
        except Unplaceable:
            return False
        return True

    # --- pull requests ---

    def open_pull(
        self,
        user: Account,
        repository: Repository,
        head: tuple[Repository, str],
        base: str,
        title: str,
        body: str | None = None,
        *,
        draft: bool = False,
        maintainer_can_modify: bool = True,
    ) -> PullRequest:
        """Open a pull request from branch `head` of a repository of the same network."""
        now, source = self._state.now(), head[0]
        sha, base_sha = source.git.branch(head[1]), repository.git.branch(base)
        if sha is None or base_sha is None:
            raise LookupError(f"no such branch: {head[1] if sha is None else base}")
        number = max(repository.pulls, default=0) + 1
        identity = self._state.new_id("pull")
        pull = PullRequest(identity, number, repository, source, head[1], sha, base, base_sha, user, title, body, now, now, draft)
        pull.maintainer_can_modify = maintainer_can_modify and source is not repository
        self._take_head(pull, sha)
        repository.pulls[number] = pull
        self.events.pull(pull, user, "opened")
        return pull

    def edit_pull(
        self, pull: PullRequest, actor: Account, *, title: str | None = None, body: str | None = None, base: str | None = None
    ) -> None:
        """Change what is not None; one event for all changes."""
        changes: dict[str, object] = {}
        if title is not None and title != pull.title:
            changes["title"], pull.title = {"from": pull.title}, title
        if body is not None and body != pull.body:
            changes["body"], pull.body = {"from": pull.body or ""}, body
        if base is not None and base != pull.base_ref:
            changes["base"] = {"ref": {"from": pull.base_ref}, "sha": {"from": pull.base_sha}}
            pull.base_ref, pull.base_sha = base, pull.repository.git.branch(base) or pull.base_sha
        if changes:
            pull.updated_at = self._state.now()
            self.events.pull(pull, actor, "edited", changes=changes)

    def set_draft(self, pull: PullRequest, actor: Account, draft: bool) -> None:
        """Turn it into a draft or mark it ready."""
        if pull.draft != draft:
            pull.draft = draft
            self.events.pull(pull, actor, "converted_to_draft" if draft else "ready_for_review")

    def close(self, pull: PullRequest, actor: Account) -> None:
        """Close without merging."""
        if pull.state == "open":
            pull.state, pull.closed_at = "closed", self._state.now()
            self.events.pull(pull, actor, "closed")

    def reopen(self, pull: PullRequest, actor: Account) -> None:
        """Open it again, at the newest commit of its branch."""
        if pull.state == "closed" and pull.merged_at is None:
            pull.state, pull.closed_at = "open", None
            newest = pull.head_repository.git.branch(pull.head_ref)
            if newest is not None and newest != pull.head_sha:
                self._take_head(pull, newest)
            self.events.pull(pull, actor, "reopened")

    def merge(self, pull: PullRequest, actor: Account, message: str = "", method: str = "merge") -> str | None:
        """Merge it with a commit of the host's; None when it conflicts."""
        git = pull.repository.git
        base = git.branch(pull.base_ref) or pull.base_sha
        tree = git.merge(base, pull.head_sha)
        if tree is None:
            return None
        label = f"{pull.head_repository.owner.login}/{pull.head_ref}"
        text = message or (
            f"Merge pull request #{pull.number} from {label}\n\n{pull.title}" if method == "merge" else f"{pull.title} (#{pull.number})"
        )
        sha = self.host_commit(pull.repository, tree, [base, pull.head_sha] if method == "merge" else [base], text, actor)
        git.set_ref(f"refs/heads/{pull.base_ref}", sha)
        self._merged(pull, actor, sha)
        self.look_at_refs(pull.repository, actor)
        return sha

    def _merged(self, pull: PullRequest, actor: Account, sha: str) -> None:
        if pull.state == "open":
            pull.state, pull.merged_at, pull.closed_at = "closed", self._state.now(), self._state.now()
            pull.merged_by, pull.merge_commit = actor, sha
            self.events.pull(pull, actor, "closed")

    # --- talk ---

    def comment(self, pull: PullRequest, user: Account, body: str, app: App | None = None) -> IssueComment:
        """Add to the conversation."""
        now = self._state.now()
        comment = IssueComment(self._state.new_id("comment"), pull, user, body, now, now, app)
        pull.comments.append(comment)
        self.events.issue_comment(comment)
        return comment

    def review(self, pull: PullRequest, user: Account, commit: str, body: str, state: str, drafts: Sequence[Draft]) -> Review:
        """Post a review with all its comments, or raise Unplaceable and post nothing."""
        git = pull.repository.git
        files = git.diff(git.merge_base(git.branch(pull.base_ref) or pull.base_sha, commit) or pull.base_sha, commit)
        hunks = [place(files, draft.anchor) for draft in drafts]
        review = Review(self._state.new_id("review"), pull, user, body, state, commit, None if state == "PENDING" else self._state.now())
        pull.reviews.append(review)
        made = []
        for draft, hunk in zip(drafts, hunks, strict=True):
            thread = Thread(self._state.new_id("thread"), pull)
            pull.threads.append(thread)
            made.append(self._review_comment(thread, review, user, draft, hunk, commit))
        self.events.review(review)
        for comment in made:
            self.events.review_comment(comment)
        return review

    def _review_comment(self, thread: Thread, review: Review, user: Account, draft: Draft, hunk: str, commit: str) -> ReviewComment:
        now, identity = self._state.now(), self._state.new_id("comment")
        comment = ReviewComment(identity, thread, review, user, draft.body, draft.anchor, commit, commit, draft.anchor, hunk, now, now)
        thread.comments.append(comment)
        if commit != thread.pull.head_sha:
            self._follow(thread.pull, comment)
        return comment

    def reply(self, first: ReviewComment, user: Account, body: str) -> ReviewComment:
        """Answer in a thread: a review of its own with one comment, as GitHub does it."""
        thread, root = first.thread, first.thread.comments[0]
        review = Review(self._state.new_id("review"), thread.pull, user, "", "COMMENTED", root.original_commit, self._state.now())
        thread.pull.reviews.append(review)
        now, identity = self._state.now(), self._state.new_id("comment")
        comment = ReviewComment(
            identity, thread, review, user, body, root.original, root.original_commit, root.commit, root.anchor, root.hunk, now, now
        )
        comment.reply_to = root
        thread.comments.append(comment)
        self.events.review_comment(comment)
        return comment

    # --- checks ---

    def rerequest(self, run: CheckRun, actor: Account) -> None:
        """Somebody pressed "Re-run": the suite is queued again, the run itself stays as it is."""
        run.suite.rerequested = True
        self.events.check_run(run, actor, "rerequested")
