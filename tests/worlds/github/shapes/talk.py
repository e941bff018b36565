"""Comments, reviews, threads and reactions."""

from __future__ import annotations

from collections import Counter

from tests.worlds.github.anchors import position_of
from tests.worlds.github.model import IssueComment, Json, PullRequest, Reaction, Review, ReviewComment
from tests.worlds.github.shapes.accounts import when
from tests.worlds.github.shapes.pulls import PullShapes, diff_of

REACTIONS = ("+1", "-1", "laugh", "hooray", "confused", "heart", "rocket", "eyes")


class TalkShapes(PullShapes):
    """JSON of what people and bots say."""

    def reaction(self, reaction: Reaction) -> Json:
        """`reaction`."""
        return {
            "id": reaction.id,
            "node_id": f"REA_{reaction.id}",
            "user": self.user(reaction.user),
            "content": reaction.content,
            "created_at": when(reaction.created_at),
        }

    def _reactions(self, url: str, reactions: list[Reaction]) -> Json:
        counts = Counter(reaction.content for reaction in reactions)
        return {"url": f"{url}/reactions", "total_count": len(reactions), **{name: counts[name] for name in REACTIONS}}

    def issue_comment(self, comment: IssueComment) -> Json:
        """`issue-comment`."""
        pull = comment.pull
        url = f"{self.api}/repos/{pull.repository.full_name}/issues"
        return {
            "id": comment.id,
            "node_id": f"IC_kwDO{comment.id}",
            "url": f"{url}/comments/{comment.id}",
            "html_url": f"{self.web}/{pull.repository.full_name}/pull/{pull.number}#issuecomment-{comment.id}",
            "issue_url": f"{url}/{pull.number}",
            "user": self.user(comment.user),
            "body": comment.body,
            "created_at": when(comment.created_at),
            "updated_at": when(comment.updated_at),
            "author_association": self.association(pull.repository, comment.user),
            "reactions": self._reactions(f"{url}/comments/{comment.id}", comment.reactions),
            "performed_via_github_app": self.app(comment.app) if comment.app else None,
        }

    def review(self, review: Review) -> Json:
        """`pull-request-review`."""
        pull = review.pull
        html = f"{self.web}/{pull.repository.full_name}/pull/{pull.number}#pullrequestreview-{review.id}"
        url = f"{self.api}/repos/{pull.repository.full_name}/pulls/{pull.number}"
        shape: Json = {
            "id": review.id,
            "node_id": f"PRR_kwDO{review.id}",
            "user": self.user(review.user),
            "body": review.body,
            "state": review.state,
            "html_url": html,
            "pull_request_url": url,
            "author_association": self.association(pull.repository, review.user),
            "_links": {"html": {"href": html}, "pull_request": {"href": url}},
            "commit_id": review.commit_id,
        }
        return shape | ({"submitted_at": when(review.submitted_at)} if review.submitted_at else {})

    def review_comment(self, comment: ReviewComment) -> Json:
        """`pull-request-review-comment`: on a line, with where it stood at first and where it stands now."""
        pull, first = comment.thread.pull, comment.original
        url = f"{self.api}/repos/{pull.repository.full_name}/pulls"
        html = f"{self.web}/{pull.repository.full_name}/pull/{pull.number}#discussion_r{comment.id}"
        shape: Json = {
            "id": comment.id,
            "node_id": f"PRRC_kwDO{comment.id}",
            "url": f"{url}/comments/{comment.id}",
            "pull_request_review_id": comment.review.id,
            "diff_hunk": comment.hunk,
            "path": comment.anchor.path if comment.anchor else first.path,
            "commit_id": comment.commit,
            "original_commit_id": comment.original_commit,
            "user": self.user(comment.user),
            "body": comment.body,
            "created_at": when(comment.created_at),
            "updated_at": when(comment.updated_at),
            "html_url": html,
            "pull_request_url": f"{url}/{pull.number}",
            "author_association": self.association(pull.repository, comment.user),
            "_links": {
                "self": {"href": f"{url}/comments/{comment.id}"},
                "html": {"href": html},
                "pull_request": {"href": f"{url}/{pull.number}"},
            },
            "reactions": self._reactions(f"{url}/comments/{comment.id}", comment.reactions),
            **self._lines(pull, comment),
        }
        return shape | ({"in_reply_to_id": comment.reply_to.id} if comment.reply_to else {})

    def _lines(self, pull: PullRequest, comment: ReviewComment) -> Json:
        first, now = comment.original, comment.anchor
        if first.line is None:
            return {"subject_type": "file", "position": 1, "original_position": 1, "line": None, "side": first.side}
        position = position_of(diff_of(pull), now) if now else None
        shape: Json = {
            "start_line": now.start_line if now else None,
            "original_start_line": first.start_line,
            "start_side": (first.start_side or first.side) if first.start_line else None,
            "line": now.line if now and position else None,
            "original_line": first.line,
            "side": first.side,
            "original_position": position_of(pull.repository.git.diff(*_range(comment)), first) or 1,
            "position": position,
            "subject_type": "line",
        }
        return shape

    def legacy_comment(self, comment: ReviewComment) -> Json:
        """`review-comment`: as the list under one review gives it."""
        return {key: value for key, value in self.review_comment(comment).items() if value is not None or key != "start_side"}


def _range(comment: ReviewComment) -> tuple[str, str]:
    pull = comment.thread.pull
    git = pull.repository.git
    base = git.merge_base(git.branch(pull.base_ref) or pull.base_sha, comment.original_commit) or pull.base_sha
    return base, comment.original_commit
