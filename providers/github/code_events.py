"""Events about code and the talk about it: pushes, pull requests, the merge queue, comments, checks. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.model.event import (
    ButtonEvent,
    CommentEvent,
    CommentRef,
    Event,
    MergeGroupEvent,
    PullRequestAction,
    PullRequestEvent,
    PushEvent,
    RerunEvent,
    ThreadEvent,
)
from pipeline.model.ids import CommitId
from pipeline.model.target import PullRequestRef
from providers.github import payloads
from providers.github.reading import BRANCHES, Reader, Reading, user_of


def _push(reading: Reading) -> Event | None:
    event = reading.read(payloads.Push)
    if not event.ref.startswith(BRANCHES):
        return None  # a tag
    return PushEvent(
        installation=reading.of(event),
        repository=reading.repository(event),
        sender=user_of(event.sender),
        ref=event.ref.removeprefix(BRANCHES),
        before=CommitId(event.before),
        after=CommitId("0" * len(event.after) if event.deleted else event.after),
        commits=max(1, len(event.commits)),
    )


def _pull_request(action: PullRequestAction) -> Reader:
    def read(reading: Reading) -> Event | None:
        event = reading.read(payloads.PullRequest)
        if action is PullRequestAction.RETARGETED and (event.changes is None or event.changes.base is None):
            return None  # a new title or text changes no verdict
        return PullRequestEvent(
            installation=reading.of(event),
            pull_request=PullRequestRef(reading.repository(event), event.pull_request.number),
            sender=user_of(event.sender),
            action=action,
            head=CommitId(event.pull_request.head.sha),
            merged=event.pull_request.merged,
        )

    return read


def _merge_group(reading: Reading) -> Event | None:
    event = reading.read(payloads.MergeGroup)
    group = event.merge_group
    return MergeGroupEvent(
        installation=reading.of(event),
        repository=reading.repository(event),
        head=CommitId(group.head_sha),
        base=CommitId(group.base_sha),
        base_ref=group.base_ref.removeprefix(BRANCHES),
        head_ref=group.head_ref.removeprefix(BRANCHES),
        destroyed=reading.action == "destroyed",
    )


def _issue_comment(reading: Reading) -> Event | None:
    event = reading.read(payloads.IssueComment)
    if event.issue.pull_request is None:
        return None
    return CommentEvent(
        installation=reading.of(event),
        comment=CommentRef(PullRequestRef(reading.repository(event), event.issue.number), str(event.comment.id)),
        sender=user_of(event.sender, ours=reading.is_ours(event.comment.performed_via_github_app)),
        body=event.comment.body or "",
        written=event.comment.created_at.timestamp(),
    )


def _review_comment(reading: Reading) -> Event | None:
    event = reading.read(payloads.ReviewComment)
    root = event.comment.in_reply_to_id or event.comment.id
    ref = PullRequestRef(reading.repository(event), event.pull_request.number)
    return CommentEvent(
        installation=reading.of(event),
        comment=CommentRef(ref, str(event.comment.id), in_thread=True, thread=str(root)),
        sender=user_of(event.sender, ours=reading.is_ours(event.comment.performed_via_github_app)),
        body=event.comment.body or "",
        written=event.comment.created_at.timestamp(),
    )


def _thread(reading: Reading) -> Event | None:
    event = reading.read(payloads.ReviewThread)
    if not event.thread.comments:
        return None  # its comments were deleted
    return ThreadEvent(
        installation=reading.of(event),
        pull_request=PullRequestRef(reading.repository(event), event.pull_request.number),
        sender=user_of(event.sender),
        thread=str(min(comment.id for comment in event.thread.comments)),
        resolved=reading.action == "resolved",
    )


def _rerun(reading: Reading) -> Event | None:
    event: payloads.CheckRun | payloads.CheckSuite
    if reading.name.startswith("check_run"):
        event = reading.read(payloads.CheckRun)
        checked = event.check_run
    else:
        event = reading.read(payloads.CheckSuite)
        checked = event.check_suite
    if _of_another_app(reading, checked):
        return None
    return RerunEvent(
        installation=reading.of(event),
        repository=reading.repository(event),
        sender=user_of(event.sender),
        head=CommitId(checked.head_sha),
    )


def _button(reading: Reading) -> Event | None:
    event = reading.read(payloads.PressedCheckRun)
    if _of_another_app(reading, event.check_run):
        return None
    return ButtonEvent(
        installation=reading.of(event),
        repository=reading.repository(event),
        sender=user_of(event.sender),
        head=CommitId(event.check_run.head_sha),
        identifier=event.requested_action.identifier,
    )


def _of_another_app(reading: Reading, checked: payloads.Checked) -> bool:
    """A client id may be configured instead of the number; then GitHub's own choice of receiver must do."""
    return checked.app is not None and reading.app_id.isdigit() and not reading.is_ours(checked.app)


READERS: Mapping[str, Reader] = {
    "push": _push,
    "pull_request.opened": _pull_request(PullRequestAction.OPENED),
    "pull_request.synchronize": _pull_request(PullRequestAction.UPDATED),
    "pull_request.reopened": _pull_request(PullRequestAction.REOPENED),
    "pull_request.closed": _pull_request(PullRequestAction.CLOSED),
    "pull_request.ready_for_review": _pull_request(PullRequestAction.READY),
    "pull_request.converted_to_draft": _pull_request(PullRequestAction.DRAFTED),
    "pull_request.edited": _pull_request(PullRequestAction.RETARGETED),
    "merge_group.checks_requested": _merge_group,
    "merge_group.destroyed": _merge_group,
    "issue_comment.created": _issue_comment,
    "pull_request_review_comment.created": _review_comment,
    "pull_request_review_thread.resolved": _thread,
    "pull_request_review_thread.unresolved": _thread,
    "check_run.rerequested": _rerun,
    "check_run.requested_action": _button,
    "check_suite.rerequested": _rerun,
}
"""By `event.action`."""
