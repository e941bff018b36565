"""Events about code and the talk about it: pushes, merge requests, merge trains, notes, deployments. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal
from urllib.parse import urlsplit

from pipeline.model.event import (
    CommentEvent,
    CommentRef,
    DeploymentEvent,
    Event,
    MergeGroupEvent,
    PipelineEvent,
    PullRequestAction,
    PullRequestEvent,
    PushEvent,
)
from pipeline.model.ids import CommitId
from pipeline.model.target import PullRequestRef
from providers.gitlab import payloads
from providers.gitlab.reading import BRANCHES, Reader, Reading, user_of

NO_COMMIT = CommitId("0" * 40)
"""The head of a merge request whose branch is gone."""

_DRAFT = re.compile(r"\s*(?:\[(?:draft|wip)\]|\((?:draft|wip)\)|(?:draft|wip):)", re.IGNORECASE)
"""A title that makes a draft (docs "Draft merge requests"; `WIP` before GitLab 14.8)."""

_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")


def _push(reading: Reading) -> Event | None:
    event = reading.read(payloads.Push)
    if not event.ref.startswith(BRANCHES):
        return None
    repository = reading.repository(event)
    return PushEvent(
        installation=reading.installation(repository.full_name),
        repository=repository,
        sender=user_of(event.user_id, event.user_username),
        ref=event.ref.removeprefix(BRANCHES),
        before=CommitId(event.before),
        after=CommitId(event.after),
        commits=max(1, event.total_commits_count),
    )


def _merge_request(action: PullRequestAction) -> Reader:
    def read(reading: Reading) -> Event | None:
        return _pull_request(reading, reading.read(payloads.MergeRequest), action)

    return read


def _updated(reading: Reading) -> Event | None:
    """One word of GitLab's for all that can happen to an open merge request; most of it changes no verdict."""
    event = reading.read(payloads.MergeRequest)
    changes = event.changes
    if event.object_attributes.oldrev is not None:
        return _pull_request(reading, event, PullRequestAction.UPDATED)
    if changes.target_branch is not None:
        return _pull_request(reading, event, PullRequestAction.RETARGETED)
    draft = _draft(changes)
    if draft is None:
        return None
    return _pull_request(reading, event, PullRequestAction.DRAFTED if draft else PullRequestAction.READY)


def _draft(changes: payloads.Changes) -> bool | None:
    """Whether it is a draft from now on; None when that did not change."""
    told = changes.draft or changes.work_in_progress
    if told is not None:
        return told.current if isinstance(told.current, bool) else None
    title = changes.title
    if title is None or not isinstance(title.previous, str) or not isinstance(title.current, str):
        return None
    before, now = (_DRAFT.match(one) is not None for one in (title.previous, title.current))
    return now if now is not before else None


def _status_check(reading: Reading) -> Event | None:
    """GitLab asks for the answer to an external status check, and does not say why it asks now. Which checks wait for one, the host knows
    (REST "List status checks for a merge request")."""
    event = reading.read(payloads.MergeRequest)
    return _pull_request(reading, event, PullRequestAction.ASKED) if event.object_attributes.state == "opened" else None


def _pull_request(reading: Reading, event: payloads.MergeRequest, action: PullRequestAction) -> Event | None:
    """The repository is the target's: a merge request lives there, wherever its branch is."""
    body = event.object_attributes
    if body.last_commit is None and action is not PullRequestAction.CLOSED:
        return None  # there is nothing to look at
    repository = reading.repository(event, body.target_project_id)
    return PullRequestEvent(
        installation=reading.installation(repository.full_name),
        pull_request=PullRequestRef(repository, body.iid),
        sender=user_of(event.user.id, event.user.username),
        action=action,
        head=CommitId(body.last_commit.id) if body.last_commit is not None else NO_COMMIT,
        merged=reading.action == "merge",
    )


def _note(reading: Reading) -> Event | None:
    """A new note. What we write ourselves comes back like anything else: none of it reads as a command (`pipeline.escaping`), and whose it
    is cannot be known here. Our mark at its end proves nothing, as everybody can write one."""
    event = reading.read(payloads.Note)
    note = event.object_attributes
    if note.system or note.noteable_type != "MergeRequest" or event.merge_request is None:
        return None
    repository = reading.repository(event)
    ref = PullRequestRef(repository, event.merge_request.iid)
    in_thread = note.type in ("DiffNote", "DiscussionNote") and note.discussion_id is not None
    internal = bool(note.internal) or event.event_type == "confidential_note"
    return CommentEvent(
        installation=reading.installation(repository.full_name),
        comment=CommentRef(ref, str(note.id), in_thread=in_thread, thread=note.discussion_id or "", internal=internal),
        sender=user_of(event.user.id, event.user.username),
        body=note.note,
    )


_BEGUN = frozenset({"created", "waiting_for_resource", "preparing", "pending", "running", "manual", "scheduled"})
_PASSES = frozenset({"success", "skipped"})
"""States in which GitLab lets merge ("Skipped pipelines are considered successful" is a setting). One that failed lets nobody merge until
it is retried, of which we hear."""
_BESIDE = frozenset({"external", "parent_pipeline"})
"""Sources of pipelines that never are the newest of a merge request: GitLab makes the first for statuses, ours among them, where there is
no other, and the second for a job of another pipeline."""


def _pipeline(reading: Reading) -> Event | None:
    """A pipeline that may be the one that decides about a merge request: what we said in an older one does not count any more. Whether it
    is, the host is asked (`providers.gitlab.pipelines`).

    It may run in a fork: then nothing is told of the merge request's project but its number.
    """
    event = reading.read(payloads.Pipeline)
    body, merge_request = event.object_attributes, event.merge_request
    train = _train(reading, event)
    if body.status == "canceled":
        return train
    if body.source in _BESIDE or body.status not in _BEGUN | _PASSES:
        return None
    repository = reading.repository(event)
    return PipelineEvent(
        installation=reading.installation(repository.full_name),
        repository=repository,
        id=str(body.id),
        commit=CommitId(body.sha),
        ended=body.status in _PASSES,
        target=str(merge_request.target_project_id) if merge_request is not None else "",
        number=merge_request.iid if merge_request is not None else 0,
        queue=train,
    )


def _train(reading: Reading, event: payloads.Pipeline) -> MergeGroupEvent | None:
    """The pipeline of a merge train, or perhaps of one.

    A train's commit has no event of its own; its pipeline has. But that is told under the name of the source branch (GitLab's
    `source_ref`), like every other pipeline of that merge request. So what runs for a merge request may be of its train: whether the
    train's ref stands at that commit, the host is asked before anything follows.
    """
    pipeline, merge_request = event.object_attributes, event.merge_request
    if merge_request is None or pipeline.source != "merge_request_event" or pipeline.status not in ("running", "canceled"):
        return None
    train = f"refs/merge-requests/{merge_request.iid}/train"
    if pipeline.ref.startswith("refs/") and pipeline.ref != train:
        return None  # of the merge request's head, or of its merged result
    repository = reading.repository(event)
    if str(merge_request.target_project_id) != repository.external_id:
        return None  # in the fork that it comes from; trains run in the target
    return MergeGroupEvent(
        installation=reading.installation(repository.full_name),
        repository=repository,
        head=CommitId(pipeline.sha),
        base=None,
        base_ref=merge_request.target_branch,
        head_ref=train,
        destroyed=pipeline.status == "canceled",
    )


_DEPLOYED: Mapping[str, Literal["running", "success", "failed", "cancelled"]] = {
    "running": "running",
    "success": "success",
    "failed": "failed",
    "canceled": "cancelled",
}


def _deployment(reading: Reading) -> Event | None:
    event = reading.read(payloads.Deployment)
    state, commit = _DEPLOYED.get(event.status), event.commit_url.rpartition("/")[2]
    if state is None or not _SHA.match(commit):
        return None
    repository = reading.repository(event)
    return DeploymentEvent(
        installation=reading.installation(repository.full_name),
        repository=repository,
        sender=user_of(event.user.id, event.user.username),
        commit=CommitId(commit),
        environment=event.environment,
        url=_web(event.environment_external_url or ""),
        state=state,
    )


def _web(url: str) -> str:
    """An address of the web, or nothing: somebody typed it in."""
    try:
        return url if urlsplit(url).scheme in ("http", "https") else ""
    except ValueError:
        return ""


READERS: Mapping[str, Reader] = {
    "push": _push,
    "merge_request.open": _merge_request(PullRequestAction.OPENED),
    "merge_request.update": _updated,
    "merge_request.reopen": _merge_request(PullRequestAction.REOPENED),
    "merge_request.close": _merge_request(PullRequestAction.CLOSED),
    "merge_request.merge": _merge_request(PullRequestAction.CLOSED),
    "status_check": _status_check,
    "note": _note,  # before GitLab 16.11 a note had no action, and an edited one no event
    "note.create": _note,
    "pipeline": _pipeline,
    "deployment": _deployment,
}
"""By the kind of object and the action."""
