"""Reactions to comments."""

from __future__ import annotations

from tests.worlds.github.call import Answer, Call, listed, not_found, operation
from tests.worlds.github.model import IssueComment, Reaction, ReviewComment


def _issue_comment(call: Call) -> IssueComment:
    comment = call.github.state.issue_comment(call.repository, call.number("comment_id"))
    if comment is None:
        raise not_found()
    call.concerns = comment.pull
    return comment


def _review_comment(call: Call) -> ReviewComment:
    comment = call.github.state.review_comment(call.repository, call.number("comment_id"))
    if comment is None:
        raise not_found()
    call.concerns = comment.thread.pull
    return comment


def _react(call: Call, comment: IssueComment | ReviewComment) -> Answer:
    """201 for a new one, 200 when the same account reacted so before."""
    content = call.body["content"]
    for known in comment.reactions:
        if known.user is call.account and known.content == content:
            return Answer(200, call.github.shapes.reaction(known))
    reaction = Reaction(call.github.state.new_id("reaction"), call.account, content, call.github.state.now())
    comment.reactions.append(reaction)
    return Answer(201, call.github.shapes.reaction(reaction))


def _wanted(call: Call, comment: IssueComment | ReviewComment) -> Answer:
    content = call.query.get("content")
    return listed([known for known in comment.reactions if content in (None, known.content)], call.github.shapes.reaction)


@operation("GET", "/issues/comments/{comment_id}/reactions", "issues:read", "pull_requests:read")
def list_issue_comment_reactions(call: Call) -> Answer:
    """Who reacted."""
    return _wanted(call, _issue_comment(call))


@operation("POST", "/issues/comments/{comment_id}/reactions", "issues:write", "pull_requests:write")
def react_to_issue_comment(call: Call) -> Answer:
    """React once."""
    return _react(call, _issue_comment(call))


@operation("GET", "/pulls/comments/{comment_id}/reactions", "pull_requests:read")
def list_review_comment_reactions(call: Call) -> Answer:
    """Who reacted."""
    return _wanted(call, _review_comment(call))


@operation("POST", "/pulls/comments/{comment_id}/reactions", "pull_requests:write")
def react_to_review_comment(call: Call) -> Answer:
    """React once."""
    return _react(call, _review_comment(call))
