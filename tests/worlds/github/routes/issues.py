"""The conversation of a pull request."""

from __future__ import annotations

from tests.worlds.github.call import Answer, Call, listed, not_found, operation
from tests.worlds.github.model import IssueComment
from tests.worlds.github.routes.pulls import check_body, sifted

_READ = ("issues:read", "pull_requests:read")
_WRITE = ("issues:write", "pull_requests:write")


@operation("GET", "/issues/{issue_number}/comments", *_READ)
def list_comments(call: Call) -> Answer:
    """Oldest first; `since` is about the last change."""
    since = call.query.get("since", "")
    found = [comment for comment in call.pull("issue_number").comments if comment.updated_at.strftime("%Y-%m-%dT%H:%M:%SZ") >= since]
    return listed(found, call.github.shapes.issue_comment)


@operation("GET", "/issues/comments", *_READ)
def list_all_comments(call: Call) -> Answer:
    """Of all conversations; in the order of their making unless asked otherwise."""
    found = [comment for pull in call.repository.pulls.values() for comment in pull.comments]
    return listed(sifted(found, call.query), call.github.shapes.issue_comment)


@operation("POST", "/issues/{issue_number}/comments", *_WRITE)
def create_comment(call: Call) -> Answer:
    """Say something; people get a mail."""
    pull = call.pull("issue_number")
    check_body("IssueComment", call.body["body"], needed=True)
    comment = call.github.actions.comment(pull, call.account, call.body["body"], call.caller.app)
    call.notify(pull)
    return Answer(201, call.github.shapes.issue_comment(comment))


def _comment(call: Call) -> IssueComment:
    comment = call.github.state.issue_comment(call.repository, call.number("comment_id"))
    if comment is None:
        raise not_found()
    call.concerns = comment.pull
    return comment


@operation("GET", "/issues/comments/{comment_id}", *_READ)
def get_comment(call: Call) -> Answer:
    """One comment."""
    return Answer(body=call.github.shapes.issue_comment(_comment(call)))


@operation("PATCH", "/issues/comments/{comment_id}", *_WRITE)
def update_comment(call: Call) -> Answer:
    """Edit the text; nobody gets a mail."""
    comment = _comment(call)
    check_body("IssueComment", call.body["body"], needed=True)
    old, comment.body, comment.updated_at = comment.body, call.body["body"], call.github.state.now()
    call.github.actions.events.issue_comment_edited(comment, call.account, old)
    return Answer(body=call.github.shapes.issue_comment(comment))


@operation("DELETE", "/issues/comments/{comment_id}", *_WRITE)
def delete_comment(call: Call) -> Answer:
    """Remove it."""
    comment = _comment(call)
    comment.pull.comments.remove(comment)
    return Answer(204)
