"""The parts of GitLab's webhook payloads that are used, and nothing else of them.

Payloads vary by age, edition and kind of hook (project, group, system): what is not used may be missing or of any type. What is used is
checked strictly, because it ends in the store, in addresses and in git.
Sources: docs "Webhook events", "System hooks", "External status checks API".
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, StringConstraints

from pipeline.payloads import Number, Payload, Sha, Text, without_dots

FullName = Annotated[
    str,
    StringConstraints(pattern=r"\A[A-Za-z0-9_.-]{1,255}(?:/[A-Za-z0-9_.-]{1,255}){1,21}\z", max_length=1024),
    AfterValidator(without_dots),
]
"""Groups lie in each other, at most 20 deep (docs "Subgroups"). It becomes a part of addresses."""
GroupName = Annotated[
    str,
    StringConstraints(pattern=r"\A[A-Za-z0-9_.-]{1,255}(?:/[A-Za-z0-9_.-]{1,255}){0,20}\z", max_length=1024),
    AfterValidator(without_dots),
]
Login = Annotated[str, StringConstraints(pattern=r"\A[A-Za-z0-9_.-]{1,255}\z")]
Discussion = Annotated[str, StringConstraints(pattern=r"\A[0-9a-f]{40}\z")]

PUBLIC = 20
"""`visibility_level` of what everybody may read; 10 is for everybody who is signed in, 0 for members."""


class User(Payload):
    """`user`: who did it."""

    id: Number
    username: Login


class Project(Payload):
    """`project` as events about code carry it. A system hook leaves out its number, which then stands beside it."""

    id: Number | None = None
    path_with_namespace: FullName
    web_url: Text = ""
    default_branch: Text | None = None
    visibility_level: int | None = None


class FromProject(Payload):
    """Common to all events about code."""

    project: Project
    project_id: Number | None = None


class Push(FromProject):
    """`push`."""

    ref: Text
    before: Sha
    after: Sha
    user_id: Number
    user_username: Login | None = None
    """Not in all of a system hook's."""
    total_commits_count: int = 1
    """`commits` are the newest 20 of them at most."""


class LastCommit(Payload):
    """`object_attributes.last_commit`."""

    id: Sha


class MergeRequestBody(Payload):
    """`object_attributes` of a merge request."""

    iid: Number
    target_project_id: Number | None = None
    last_commit: LastCommit | None = None
    """None when its branch is gone."""
    oldrev: Sha | None = None
    """The head before: it is there when there are new commits, or others."""
    state: Text = ""
    """`opened`, `closed`, `merged`, `locked`."""


class Change(Payload):
    """One of `changes`."""

    previous: object = None
    current: object = None


class Changes(Payload):
    """`changes`: a key is there when that field changed."""

    target_branch: Change | None = None
    draft: Change | None = None
    work_in_progress: Change | None = None
    """What `draft` was called once."""
    title: Change | None = None
    """In it older versions tell of a draft alone: `Draft: ` stands before it, or no more."""


class StatusCheck(Payload):
    """`external_approval_rule`: GitLab asks for the answer to an external status check, and posts what a webhook would say, with this."""

    id: Number


class MergeRequest(FromProject):
    """`merge_request`."""

    user: User
    object_attributes: MergeRequestBody
    changes: Changes = Changes()
    external_approval_rule: StatusCheck | None = None


class NoteBody(Payload):
    """`object_attributes` of a note."""

    id: Number
    note: Text
    noteable_type: Text
    system: bool = False
    """True for what GitLab writes itself: "changed the description"."""
    discussion_id: Discussion | None = None
    type: Text | None = None
    """`DiffNote`, `DiscussionNote`, or nothing for a note that nobody can answer in a thread yet."""
    internal: bool | None = None


class Numbered(Payload):
    """`merge_request` where only its number counts."""

    iid: Number


class Note(FromProject):
    """`note`."""

    user: User
    object_attributes: NoteBody
    event_type: Text | None = None
    """`confidential_note` of an internal one (docs "Webhook events", "Comment events")."""
    merge_request: Numbered | None = None


class PipelineBody(Payload):
    """`object_attributes` of a pipeline."""

    id: Number
    ref: Text
    sha: Sha
    source: Text | None = None
    status: Text


class PipelineMergeRequest(Payload):
    """`merge_request` of a pipeline."""

    iid: Number
    target_branch: Text
    target_project_id: Number


class Pipeline(FromProject):
    """`pipeline`."""

    object_attributes: PipelineBody
    merge_request: PipelineMergeRequest | None = None


class Deployment(FromProject):
    """`deployment`."""

    user: User
    status: Text
    environment: Text
    environment_external_url: Text | None = None
    commit_url: Text = ""
    """The only place of the whole id of the commit: its last step."""


class ProjectChanged(Payload):
    """`project_*` of a system hook, or of a group's."""

    project_id: Number
    path_with_namespace: FullName
    project_visibility: Text = ""
    """`private`, `internal` or `public`."""


class GroupChanged(Payload):
    """`group_*` of a system hook, `subgroup_*` of a group's. `full_path` is not in all of them."""

    full_path: GroupName | None = None
    path: GroupName


class ProjectMember(Payload):
    """`user_*_team`: somebody's membership of one project."""

    project_id: Number
    project_path_with_namespace: FullName
    project_visibility: Text = ""
    user_id: Number
    user_username: Login
