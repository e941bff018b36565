"""What the double cannot be brought to do: diffs that are not shown, pending reviews, and others who are faster."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from pipeline.errors import HostRejected
from pipeline.model.event import CommentRef
from pipeline.model.fix import BranchCommit, FileEdit, Patch, PullRequestDraft
from pipeline.model.ids import CommitId
from pipeline.model.report import Thread
from pipeline.model.review import Change
from pipeline.model.target import CommitRef, PullRequestRef
from tests.unit.providers.github_wire import BOT, REPOSITORY, Reply, Seen, Wire

REF = PullRequestRef(REPOSITORY, 3)
HEAD = CommitId("a" * 40)


def thread(number: int, path: str) -> Thread:
    return Thread(f"v1:{number}", path, 5, 5, f"finding {number}")


@dataclass
class Reviews:
    """Reviews as GitHub keeps them: whole or not at all, one pending at a time. No file's diff is shown."""

    good: set[str]
    """Paths on which GitHub takes a comment."""
    locked: bool = False
    pending: list[int] = field(default_factory=list)
    posted: list[list[str]] = field(default_factory=list)
    comments: list[dict[str, Any]] = field(default_factory=list)
    most_pending: int = 0
    shown_nowhere: str = ""
    """A path on which GitHub takes a comment and shows it on no line."""

    def __call__(self, seen: Seen) -> Reply | None:
        if seen.path.endswith("/pulls/3/comments"):
            return httpx.Response(200, json=self.comments)
        if seen.path.endswith("/pulls/3/files"):
            return httpx.Response(200, json=[{"filename": "big.py"}, {"filename": "huge.py"}])
        if seen.path.endswith("/pulls/3/reviews"):
            if seen.method == "GET":
                mine = [{"id": number, "state": "PENDING", "user": BOT} for number in self.pending]
                return httpx.Response(200, json=[{"id": 1, "state": "COMMENTED", "user": BOT}, *mine])
            return self._post(seen.body)
        if "/pulls/3/reviews/" in seen.path and seen.method == "DELETE":
            self.pending.remove(int(seen.path.rpartition("/")[2]))
            return httpx.Response(200, json={"id": 1})
        if "/pulls/comments/" in seen.path and seen.method == "DELETE":
            self.comments = [comment for comment in self.comments if str(comment["id"]) != seen.path.rpartition("/")[2]]
            return httpx.Response(204)
        return None

    def _post(self, body: Any) -> Reply:
        paths = [comment["path"] for comment in body["comments"]]
        submitted = body.get("event") == "COMMENT"
        if self.pending:
            return httpx.Response(422, json={"message": "User can only have one pending review per pull request"})
        if not set(paths) <= self.good or (self.locked and submitted):
            return httpx.Response(422, json={"message": "Unprocessable Entity", "errors": ["Line could not be resolved"]})
        if not submitted:
            self.pending.append(70 + len(self.posted))
            return httpx.Response(200, json={"id": self.pending[-1], "state": "PENDING"})
        self.posted.append(paths)
        for comment in body["comments"]:
            line = None if comment["path"] == self.shown_nowhere else comment["line"]
            place = {"line": line, "original_line": line, "subject_type": "line"}
            self.comments.append({"id": 500 + len(self.comments), "node_id": "n", "body": comment["body"], "user": BOT, **place})
        return httpx.Response(200, json={"id": 8, "state": "COMMENTED"})


def test_where_no_diff_is_shown_each_place_is_tried_unseen_and_the_good_ones_go_out_together() -> None:
    reviews = Reviews({"big.py"})
    refs = Wire(reviews).host().ensure_threads(REF, HEAD, [thread(1, "big.py"), thread(2, "huge.py"), thread(3, "big.py")], "x")
    assert reviews.posted == [["big.py", "big.py"]]
    assert reviews.pending == []
    assert [ref.outside for ref in refs] == [False, True, False]


def test_a_comment_that_github_takes_and_shows_on_no_line_is_taken_back_and_counts_as_outside() -> None:
    reviews = Reviews({"big.py", "odd.py"}, shown_nowhere="odd.py")
    refs = Wire(reviews).host().ensure_threads(REF, HEAD, [thread(1, "big.py"), thread(2, "odd.py")], "x")
    assert [(ref.id, ref.outside) for ref in refs] == [("500", False), ("", True)]
    assert [comment["id"] for comment in reviews.comments] == [500]


def test_a_pending_review_that_a_crash_left_behind_is_taken_back() -> None:
    reviews = Reviews({"big.py"}, pending=[99])
    refs = Wire(reviews).host().ensure_threads(REF, HEAD, [thread(1, "big.py"), thread(2, "huge.py")], "x")
    assert reviews.posted == [["big.py"]]
    assert reviews.pending == []
    assert [ref.outside for ref in refs] == [False, True]


def test_a_conversation_that_takes_each_comment_but_no_review_is_an_error() -> None:
    reviews = Reviews({"big.py"}, locked=True)
    with pytest.raises(HostRejected):
        Wire(reviews).host().ensure_threads(REF, HEAD, [thread(1, "big.py")], "x")
    assert reviews.pending == []


def test_threads_of_a_deleted_account_or_without_a_body_are_read() -> None:
    odd: list[dict[str, Any]] = [
        {"id": 1, "body": None, "user": None},
        {"id": 2, "body": "x", "user": {"login": "ghost", "id": 1, "type": "User"}},
    ]
    reviews = Reviews({"big.py"}, comments=odd)
    (ref,) = Wire(reviews).host().ensure_threads(REF, HEAD, [thread(1, "big.py")], "")
    assert ref.id == "502"


def test_no_threads_are_no_requests() -> None:
    wire = Wire()
    assert wire.host().ensure_threads(REF, HEAD, [], "x") == ()
    wire.host().acknowledge(CommentRef(REF, "7"))
    assert [seen.path.rpartition("/")[2] for seen in wire.seen] == ["access_tokens", "reactions"]


# --- branches and pull requests ---

PARENT, TREE, NEW_TREE, MINE, THEIRS = ("1" * 40, "2" * 40, "3" * 40, "4" * 40, "5" * 40)
CONTENT = b"x = 1\n"
BLOB = hashlib.sha1(b"blob %d\0" % len(CONTENT) + CONTENT, usedforsecurity=False).hexdigest()
BRANCH = "fixwright/fix/1"


def person(name: str, verified: bool) -> dict[str, Any]:
    return {"author": {"name": name, "email": "x"}, "verification": {"verified": verified}}


@dataclass
class Code:
    """A branch that appears between our look and our write."""

    appears: str
    """The commit that somebody else puts there."""
    tip: str = ""
    commits: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __call__(self, seen: Seen) -> Reply | None:
        name = seen.path.partition("/git/")[2]
        if name.startswith("commits/"):
            found = {PARENT: {"sha": PARENT, "tree": {"sha": TREE}}, **self.commits}.get(name.removeprefix("commits/"))
            return httpx.Response(200, json=found) if found else None
        if name == f"trees/{TREE}":
            return httpx.Response(200, json={"sha": TREE, "tree": [{"path": "a.py", "mode": "100644", "type": "blob", "sha": BLOB}]})
        if name == "blobs":
            return httpx.Response(201, json={"sha": "6" * 40})
        if name == "trees":
            return httpx.Response(201, json={"sha": NEW_TREE})
        if name == "commits":
            return httpx.Response(201, json={"sha": MINE, "tree": {"sha": NEW_TREE}})
        if name == f"ref/heads/{BRANCH}" and self.tip:
            return httpx.Response(200, json={"object": {"sha": self.tip}})
        if name == "refs":
            self.tip = self.appears
            return httpx.Response(422, json={"message": "Reference already exists"})
        return None


def ensure(code: Code) -> CommitRef:
    wanted = BranchCommit(CommitId(PARENT), BRANCH, "m", Patch((FileEdit("a.py", CONTENT, b"x = 2\n"),)))
    return Wire(code).host().ensure_branch(REPOSITORY, wanted)


def test_a_branch_that_another_worker_made_meanwhile_with_the_same_patch_is_taken() -> None:
    same = {"sha": THEIRS, "tree": {"sha": NEW_TREE}, "parents": [{"sha": PARENT}], **person("x", False)}
    assert ensure(Code(THEIRS, commits={THEIRS: same})).commit == THEIRS


def test_a_branch_that_somebody_made_meanwhile_with_other_content_is_left_alone() -> None:
    other = {"sha": THEIRS, "tree": {"sha": TREE}, "parents": [{"sha": PARENT}], **person("x", False)}
    code = Code(THEIRS, commits={THEIRS: other})
    with pytest.raises(HostRejected):
        ensure(code)
    assert code.tip == THEIRS


def pull(number: int, **more: Any) -> dict[str, Any]:
    head = {"ref": BRANCH, "sha": MINE, "repo": {"id": 4711, "full_name": "octo/shop"}}
    return {"number": number, "state": "open", "title": "t", "body": "b", "head": head, "base": {"ref": "main", "sha": PARENT}} | more


def draft(**more: Any) -> PullRequestDraft:
    change = Change(REPOSITORY, CommitId(PARENT), HEAD, CommitId(PARENT))
    return PullRequestDraft(change, BRANCH, "main", CommitRef(REPOSITORY, CommitId(MINE)), "t", "b", **more)


def test_a_pull_request_that_somebody_opened_meanwhile_is_taken() -> None:
    there: list[dict[str, Any]] = []

    def handle(seen: Seen) -> Reply | None:
        if seen.path.endswith("/pulls") and seen.method == "GET":
            assert seen.query["head"] == f"octo:{BRANCH}"
            return httpx.Response(200, json=there)
        if seen.path.endswith("/pulls"):
            there.append(pull(12))
            return httpx.Response(
                422, json={"message": "Validation Failed", "errors": [{"message": "A pull request already exists for octo:x."}]}
            )
        return None

    assert Wire(handle).host().ensure_pull_request(draft()).number == 12


def test_a_list_that_ignores_our_filter_gives_no_strangers_pull_request() -> None:
    strangers = [
        pull(1, head={"ref": "other", "sha": MINE, "repo": {"id": 4711, "full_name": "octo/shop"}}),
        pull(2, head={"ref": BRANCH, "sha": MINE, "repo": {"id": 5, "full_name": "eve/shop"}}),
        pull(3, head={"ref": BRANCH, "sha": MINE, "repo": None}),
    ]

    def handle(seen: Seen) -> Reply | None:
        if seen.path.endswith("/pulls"):
            return httpx.Response(200, json=strangers) if seen.method == "GET" else httpx.Response(201, json=pull(12))
        return None

    assert Wire(handle).host().ensure_pull_request(draft()).number == 12


def test_only_labels_that_are_missing_are_added() -> None:
    wire = Wire(
        lambda seen: (
            httpx.Response(200, json=[pull(12, labels=[{"name": "security"}])])
            if seen.path.endswith("/pulls")
            else httpx.Response(200, json=[])
            if seen.path.endswith("/labels")
            else None
        )
    )
    wire.host().ensure_pull_request(draft(labels=("security", "fixwright")))
    (sent,) = wire.calls("POST", "/issues/12/labels")
    assert sent.body == {"labels": ["fixwright"]}


def _asking(refused: frozenset[str] = frozenset(), reviews: int = 0, **fields: object) -> Wire:
    """A pull request that is there, and a GitHub that refuses whole requests for one name that it does not take."""

    def handle(seen: Seen) -> Reply | None:
        if seen.path.endswith("/pulls"):
            return httpx.Response(200, json=[pull(12, **fields)])
        if seen.path.endswith("/reviews"):
            return httpx.Response(200, json=[{"id": n} for n in range(1, reviews + 1)])
        if seen.path.endswith("/requested_reviewers"):
            assert isinstance(seen.body, dict)
            if refused & {*seen.body["reviewers"], *seen.body["team_reviewers"]}:
                message = "Reviews may only be requested from collaborators. One or more of the users or teams is not a collaborator."
                return httpx.Response(422, json={"message": message})
            return httpx.Response(201, json=pull(12))
        return None

    return Wire(handle)


def _asked(wire: Wire) -> list[object]:
    return [seen.body for seen in wire.calls("POST", "/pulls/12/requested_reviewers")]


def test_people_and_teams_are_asked_in_one_request() -> None:
    wire = _asking()
    wire.host().ensure_pull_request(draft(reviewers=("ada", "octo/security", "@bob", "ada")))
    assert _asked(wire) == [{"reviewers": ["ada", "bob"], "team_reviewers": ["security"]}]


def test_who_is_asked_already_is_not_asked_again() -> None:
    wire = _asking(requested_reviewers=[{"id": 1, "login": "Ada"}], requested_teams=[{"slug": "security"}])
    wire.host().ensure_pull_request(draft(reviewers=("ada", "octo/security")))
    assert _asked(wire) == []


def test_once_somebody_has_reviewed_nobody_is_asked_again() -> None:
    wire = _asking(reviews=1)
    wire.host().ensure_pull_request(draft(reviewers=("ada",)))
    assert _asked(wire) == []


def test_a_reviewer_who_does_not_exist_keeps_nobody_else_from_being_asked() -> None:
    wire = _asking(refused=frozenset({"ghost"}))
    assert wire.host().ensure_pull_request(draft(reviewers=("ghost", "ada", "octo/security"))).number == 12
    whole, *alone = _asked(wire)
    assert whole == {"reviewers": ["ghost", "ada"], "team_reviewers": ["security"]}
    assert alone == [
        {"reviewers": ["ghost"], "team_reviewers": []},
        {"reviewers": ["ada"], "team_reviewers": []},
        {"reviewers": [], "team_reviewers": ["security"]},
    ]


def test_without_reviewers_nothing_is_asked_of_the_host() -> None:
    wire = _asking()
    wire.host().ensure_pull_request(draft())
    assert wire.calls("GET", "/pulls/12/reviews") == [] and _asked(wire) == []


def test_a_rejected_pull_request_says_why() -> None:
    def handle(seen: Seen) -> Reply | None:
        if seen.path.endswith("/pulls"):
            reason = {"message": "Validation Failed", "errors": [{"message": "No commits between main and fixwright/fix/1"}]}
            return httpx.Response(200, json=[]) if seen.method == "GET" else httpx.Response(422, json=reason)
        return None

    with pytest.raises(HostRejected, match="No commits between"):
        Wire(handle).host().ensure_pull_request(draft())


# --- pull requests of odd shape ---


def reading(**more: Any) -> Wire:
    whole = pull(3, user={"id": 5, "login": "ada", "type": "User"}, draft=False, commits=2) | more
    return Wire(lambda seen: httpx.Response(200, json=whole) if seen.path.endswith("/pulls/3") else None)


def test_a_deleted_fork_a_deleted_author_and_unrelated_histories_are_read() -> None:
    wire = reading(head={"ref": "x", "sha": HEAD, "repo": None}, user=None)
    read = wire.host().pull_request(REF)
    assert (read.head_repository, read.from_fork, read.author.login) == ("", True, "")
    assert (read.base, read.merge_base) == (PARENT, PARENT)
    assert [seen.path.rpartition("/")[2] for seen in wire.seen[2:]] == [f"main...{HEAD}", f"{PARENT}...{HEAD}"]


def test_a_renamed_repository_is_no_fork_of_itself() -> None:
    wire = reading(head={"ref": "x", "sha": HEAD, "repo": {"id": 4711, "full_name": "octo/new-name"}})
    assert not wire.host().pull_request(REF).from_fork
