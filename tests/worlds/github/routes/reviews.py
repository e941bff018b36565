"""Reviews and comments on lines.

Source: REST, "Create a review for a pull request": with one comment that cannot be placed nothing is posted.
"""

from __future__ import annotations

from tests.worlds.github.actions import Draft
from tests.worlds.github.anchors import Unplaceable, at_position
from tests.worlds.github.call import Answer, Call, Refused, listed, not_found, operation
from tests.worlds.github.model import Anchor, Json, PullRequest, Review, ReviewComment
from tests.worlds.github.routes.pulls import LONGEST_BODY, check_body, sifted

_STATES = {"APPROVE": "APPROVED", "REQUEST_CHANGES": "CHANGES_REQUESTED", "COMMENT": "COMMENTED"}


def _commit(call: Call, pull: PullRequest) -> str:
    """`commit_id`, which must be one of the pull request's commits. Raises Unplaceable."""
    sha: str = call.body.get("commit_id", pull.head_sha)
    if sha != pull.head_sha and sha not in pull.repository.git.commits(pull.base_sha, pull.head_sha):
        raise Unplaceable("commit_id", "commit_id is not part of the pull request", "Commit is not part of the pull request")
    return sha


def _anchor(pull: PullRequest, commit: str, given: Json) -> Anchor:
    git = pull.repository.git
    if "position" in given:
        base = git.merge_base(git.branch(pull.base_ref) or pull.base_sha, commit) or pull.base_sha
        return at_position(git.diff(base, commit), given["path"], given["position"])
    if given.get("subject_type") == "file":
        return Anchor(given["path"], None)
    if "line" not in given:
        raise Unplaceable("pull_request_review_thread.line", "pull_request_review_thread.line is missing", "Line could not be resolved")
    side = given.get("side", "RIGHT")
    start = given.get("start_line")
    return Anchor(given["path"], given["line"], side, start, given.get("start_side", side) if start is not None else None)


@operation("POST", "/pulls/{pull_number}/reviews", "pull_requests:write")
def create_review(call: Call) -> Answer:
    """A review with all its comments or nothing. Without `event` it stays pending and nobody hears of it."""
    pull, event, text = call.pull(), call.body.get("event"), call.body.get("body", "")
    comments = call.body.get("comments", [])
    _check_texts(
        text, [comment["body"] for comment in comments], needed=event == "REQUEST_CHANGES" or (event == "COMMENT" and not comments)
    )
    if event in ("APPROVE", "REQUEST_CHANGES") and call.account is pull.user:
        raise Refused(422, "Unprocessable Entity", [f"Can not {event.lower().replace('_', ' ')} on your own pull request"])
    try:
        commit = _commit(call, pull)
        drafts = [Draft(_anchor(pull, commit, comment), comment["body"]) for comment in comments]
        state = _STATES.get(event or "", "PENDING")
        review = call.github.actions.review(pull, call.account, commit, text, state, drafts)
    except Unplaceable as error:
        raise Refused(422, "Unprocessable Entity", [error.short]) from error
    if event is not None:
        call.notify(pull)
    return Answer(body=call.github.shapes.review(review))


def _check_texts(text: str, bodies: list[str], *, needed: bool) -> None:
    """Limits as the review end points word them. Raises Refused."""
    if max(map(len, (text, *bodies))) > LONGEST_BODY:
        raise Refused(422, "Unprocessable Entity", [f"Body is too long (maximum is {LONGEST_BODY} characters)"])
    if (needed and not text.strip()) or not all(body.strip() for body in bodies):
        raise Refused(422, "Unprocessable Entity", ["Body can't be blank"])


@operation("GET", "/pulls/{pull_number}/reviews", "pull_requests:read")
def list_reviews(call: Call) -> Answer:
    """Oldest first."""
    return listed(call.pull().reviews, call.github.shapes.review)


def _review(call: Call) -> Review:
    review = call.github.state.review(call.pull(), call.number("review_id"))
    if review is None:
        raise not_found()
    return review


@operation("GET", "/pulls/{pull_number}/reviews/{review_id}", "pull_requests:read")
def get_review(call: Call) -> Answer:
    """One review."""
    return Answer(body=call.github.shapes.review(_review(call)))


@operation("PUT", "/pulls/{pull_number}/reviews/{review_id}", "pull_requests:write")
def update_review(call: Call) -> Answer:
    """Edit the text of one's own review. A review without a text cannot be given one."""
    review = _review(call)
    _check_texts(call.body["body"], [], needed=True)
    if review.user is not call.account:
        raise Refused(403, "Resource not accessible by integration")
    if not review.body:
        raise Refused(422, "Unprocessable Entity", ["Could not edit a review without a body"])
    review.body = call.body["body"]
    return Answer(body=call.github.shapes.review(review))


@operation("GET", "/pulls/{pull_number}/reviews/{review_id}/comments", "pull_requests:read")
def list_comments_of_review(call: Call) -> Answer:
    """The comments that came with a review."""
    review = _review(call)
    found = [comment for comment in review.pull.review_comments if comment.review is review]
    return listed(found, call.github.shapes.legacy_comment)


@operation("GET", "/pulls/{pull_number}/comments", "pull_requests:read")
def list_comments(call: Call) -> Answer:
    """All comments on lines, oldest first unless asked otherwise."""
    found = call.pull().review_comments
    if call.query.get("sort") == "updated":
        found.sort(key=lambda comment: (comment.updated_at, comment.id))
    if "sort" in call.query and call.query.get("direction") == "desc":
        found.reverse()
    return listed(found, call.github.shapes.review_comment)


@operation("GET", "/pulls/comments", "pull_requests:read")
def list_all_comments(call: Call) -> Answer:
    """Comments on lines of all pull requests."""
    found = [comment for pull in call.repository.pulls.values() for comment in pull.review_comments]
    return listed(sifted(found, call.query), call.github.shapes.review_comment)


@operation("POST", "/pulls/{pull_number}/comments", "pull_requests:write")
def create_comment(call: Call) -> Answer:
    """One comment, a review of its own; with `in_reply_to` everything else but the body is ignored."""
    pull = call.pull()
    check_body("PullRequestReviewComment", call.body["body"], needed=True)
    if "in_reply_to" in call.body:
        return _reply(call, pull, call.body["in_reply_to"])
    try:
        commit = _commit(call, pull)
        draft = Draft(_anchor(pull, commit, call.body), call.body["body"])
        review = call.github.actions.review(pull, call.account, commit, "", "COMMENTED", [draft])
    except Unplaceable as error:
        details = [{"resource": "PullRequestReviewComment", "code": "custom", "field": error.field, "message": str(error)}]
        raise Refused(422, "Validation Failed", details) from error
    call.notify(pull)
    made = next(comment for comment in pull.review_comments if comment.review is review)
    return Answer(201, call.github.shapes.review_comment(made))


def _reply(call: Call, pull: PullRequest, number: int) -> Answer:
    first = next((comment for comment in pull.review_comments if comment.id == number), None)
    if first is None:
        raise not_found()
    if first.reply_to is not None:
        text = "in_reply_to: replies to replies are not supported"
        raise Refused(
            422, "Validation Failed", [{"resource": "PullRequestReviewComment", "code": "custom", "field": "in_reply_to", "message": text}]
        )
    call.notify(pull)
    return Answer(201, call.github.shapes.review_comment(call.github.actions.reply(first, call.account, call.body["body"])))


@operation("POST", "/pulls/{pull_number}/comments/{comment_id}/replies", "pull_requests:write")
def create_reply(call: Call) -> Answer:
    """Answer to the first comment of a thread; a reply to a reply is refused."""
    check_body("PullRequestReviewComment", call.body["body"], needed=True)
    return _reply(call, call.pull(), call.number("comment_id"))


def _comment(call: Call) -> ReviewComment:
    comment = call.github.state.review_comment(call.repository, call.number("comment_id"))
    if comment is None:
        raise not_found()
    call.concerns = comment.thread.pull
    return comment


@operation("GET", "/pulls/comments/{comment_id}", "pull_requests:read")
def get_comment(call: Call) -> Answer:
    """One comment."""
    return Answer(body=call.github.shapes.review_comment(_comment(call)))


@operation("PATCH", "/pulls/comments/{comment_id}", "pull_requests:write")
def update_comment(call: Call) -> Answer:
    """Edit the text; nobody gets a mail."""
    comment = _comment(call)
    check_body("PullRequestReviewComment", call.body["body"], needed=True)
    old, comment.body, comment.updated_at = comment.body, call.body["body"], call.github.state.now()
    call.github.actions.events.review_comment_edited(comment, call.account, old)
    return Answer(body=call.github.shapes.review_comment(comment))


@operation("DELETE", "/pulls/comments/{comment_id}", "pull_requests:write")
def delete_comment(call: Call) -> Answer:
    """Remove it, and its thread when it was the last."""
    comment = _comment(call)
    thread = comment.thread
    thread.comments.remove(comment)
    if not thread.comments:
        thread.pull.threads.remove(thread)
    return Answer(204)
