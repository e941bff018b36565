"""What an answer of GitLab must contain, as a judge of the double's own answers.

Our slice says which fields GitLab documents for each resource, and of what type. Where the folder FIXWRIGHT_TEST_DATA is, GitLab's own
schemas, with which its request specs judge it, are asked as well; they are of different ages, so they are read as the least that an
answer must contain.

Source: GitLab REST API docs, the pages of each resource.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs

from tests.worlds.gitlab.parameters import shape

# JSON of another program: its shape is what this module checks.
Json = Any

_COMMIT = (
    "id:sha short_id:str title:str created_at:time parent_ids:str[] message:str author_name:str author_email:str authored_date:time "
    "committer_name:str committer_email:str committed_date:time web_url:str"
)
_PIPELINE = "id:int iid:int project_id:int sha:sha ref:str status:str source:str created_at:time updated_at:time web_url:str"
_PROJECT = (
    "id:int name:str name_with_namespace:str description:str? path:str path_with_namespace:str created_at:time default_branch:str? "
    "tag_list:str[] topics:str[] ssh_url_to_repo:str http_url_to_repo:str web_url:str readme_url:str? avatar_url:str? star_count:int "
    "forks_count:int last_activity_at:time namespace:namespace"
)
_MR = (
    "id:int iid:int project_id:int title:str description:str? state:opened|closed|locked|merged created_at:time updated_at:time "
    "merged_by:user? merge_user:user? merged_at:time? closed_by:user? closed_at:time? target_branch:str source_branch:str "
    "user_notes_count:int upvotes:int downvotes:int author:user assignees:user[] assignee:user? reviewers:user[] source_project_id:int? "
    "target_project_id:int labels:str[] draft:bool work_in_progress:bool milestone:obj? merge_when_pipeline_succeeds:bool merge_status:str "
    "detailed_merge_status:str sha:sha? merge_commit_sha:sha? squash_commit_sha:sha? discussion_locked:bool? "
    "should_remove_source_branch:bool? force_remove_source_branch:bool? reference:str references:obj web_url:str time_stats:obj "
    "squash:bool task_completion_status:obj has_conflicts:bool blocking_discussions_resolved:bool"
)
_NOTE = (
    "id:int type:str? body:str author:user created_at:time updated_at:time system:bool noteable_id:int noteable_type:str "
    "project_id:int noteable_iid:int? resolvable:bool resolved:bool~ resolved_by:user?~ resolved_at:time?~ position:position~ "
    "commit_id:sha?~ suggestions:obj[]~ internal:bool confidential:bool? imported:bool~"
)
_HOOK = (
    "id:int url:str name:str? description:str? created_at:time push_events:bool tag_push_events:bool merge_requests_events:bool "
    "repository_update_events:bool enable_ssl_verification:bool alert_status:executable|disabled|temporarily_disabled disabled_until:time? "
    "push_events_branch_filter:str? branch_filter_strategy:str custom_webhook_template:str?"
)
_MORE_HOOK = (
    "issues_events:bool confidential_issues_events:bool? note_events:bool confidential_note_events:bool? pipeline_events:bool "
    "wiki_page_events:bool job_events:bool deployment_events:bool feature_flag_events:bool releases_events:bool milestone_events:bool "
    "emoji_events:bool resource_access_token_events:bool"
)
_MEMBER = "id:int username:str name:str state:str avatar_url:str? web_url:str access_level:int created_at:time expires_at:str?"
_DIFF = (
    "diff:str old_path:str new_path:str a_mode:str b_mode:str new_file:bool renamed_file:bool deleted_file:bool generated_file:bool?~ "
    "collapsed:bool~ too_large:bool~"
)

ENTITIES: Mapping[str, str] = {
    "user": "id:int username:str name:str state:str avatar_url:str? web_url:str",
    "public user": "id:int username:str name:str state:str avatar_url:str? web_url:str created_at:time?~ bot:bool",
    "current user": "id:int username:str name:str state:str avatar_url:str? web_url:str created_at:time bot:bool email:str is_admin:bool~",
    "version": "version:str revision:str",
    "metadata": "version:str revision:str enterprise:bool kas:obj",
    "token": "id:int name:str revoked:bool created_at:time scopes:str[] user_id:int last_used_at:time? active:bool expires_at:str?",
    "new token": "id:int name:str revoked:bool created_at:time scopes:str[] user_id:int active:bool expires_at:str? token:str",
    "namespace": "id:int name:str path:str kind:user|group full_path:str parent_id:int? avatar_url:str? web_url:str",
    "group": "id:int web_url:str name:str path:str description:str? visibility:str full_name:str full_path:str parent_id:int? "
    "created_at:time",
    "project": f"{_PROJECT} visibility:private|internal|public~ archived:bool~ empty_repo:bool~ permissions:obj~ forked_from_project:obj~",
    "own project": f"{_PROJECT} visibility:private|internal|public archived:bool empty_repo:bool merge_method:str",
    "merge request": _MR,
    "one merge request": f"{_MR} changes_count:str? diff_refs:refs? first_contribution:bool user:obj head_pipeline:obj? merge_error:str?",
    "changes": f"{_MR} changes:diff[] overflow:bool diff_refs:refs?",
    "refs": "base_sha:sha? head_sha:sha? start_sha:sha?",
    "diff": _DIFF,
    "version of a merge request": "id:int head_commit_sha:sha base_commit_sha:sha? start_commit_sha:sha? created_at:time "
    "merge_request_id:int state:str real_size:str",
    "whole version": "id:int head_commit_sha:sha base_commit_sha:sha? start_commit_sha:sha? created_at:time merge_request_id:int state:str "
    "real_size:str commits:commit[] diffs:diff[]",
    "position": "base_sha:sha? start_sha:sha? head_sha:sha? old_path:str? new_path:str? position_type:str old_line:int?~ new_line:int?~ "
    "line_range:obj?~",
    "note": _NOTE,
    "discussion": "id:sha1 individual_note:bool notes:note[]",
    "draft note": "id:int author_id:int merge_request_id:int resolve_discussion:bool discussion_id:str? note:str line_code:str? "
    "position:obj?",
    "merge ref": "commit_id:sha",
    "blob": "size:int encoding:str content:str sha:sha",
    "emoji": "id:int name:str user:user created_at:time updated_at:time awardable_id:int awardable_type:str",
    "commit": _COMMIT,
    "one commit": f"{_COMMIT} stats:obj~ status:str? project_id:int last_pipeline:pipeline?",
    "branch": "name:str commit:commit merged:bool protected:bool default:bool developers_can_push:bool developers_can_merge:bool "
    "can_push:bool web_url:str",
    "file": "file_name:str file_path:str size:int encoding:str content:str content_sha256:str ref:str blob_id:sha commit_id:sha "
    "last_commit_id:sha execute_filemode:bool",
    "entry": "id:sha name:str type:tree|blob|commit path:str mode:str",
    "compare": "commit:commit? commits:commit[] diffs:diff[] compare_timeout:bool compare_same_ref:bool web_url:str",
    "ref": "type:branch|tag name:str",
    "pipeline": _PIPELINE,
    "one pipeline": f"{_PIPELINE} before_sha:str? tag:bool yaml_errors:str? user:user started_at:time? finished_at:time? "
    "committed_at:time? duration:int? queued_duration:num? coverage:str? detailed_status:obj",
    "job": "id:int status:str stage:str name:str ref:str tag:bool coverage:num? allow_failure:bool created_at:time started_at:time? "
    "finished_at:time? erased_at:time? duration:num? queued_duration:num? user:user? commit:commit? pipeline:obj web_url:str "
    "artifacts:any[] artifacts_expire_at:time? tag_list:str[] runner:obj? project:obj archived:bool",
    "status": "id:int sha:sha ref:str? status:str name:str target_url:str? description:str? created_at:time started_at:time? "
    "finished_at:time? allow_failure:bool coverage:num? pipeline_id:int author:user",
    "member": f"{_MEMBER} membership_state:str",
    "project hook": f"{_HOOK} {_MORE_HOOK} project_id:int token_present:bool~ signing_token_present:bool~ url_variables:any[]~ "
    "custom_headers:any[]~",
    "group hook": f"{_HOOK} {_MORE_HOOK} group_id:int member_events:bool subgroup_events:bool project_events:bool token_present:bool~ "
    "signing_token_present:bool~ url_variables:any[]~ custom_headers:any[]~",
    "system hook": f"{_HOOK} token_present:bool~ signing_token_present:bool~ url_variables:any[]~ custom_headers:any[]~",
    "hook event": "id:int url:str trigger:str request_headers:obj request_data:obj response_headers:obj? response_body:str? "
    "execution_duration:num response_status:str",
    "resent": "response_status:int|str",
    "check": "id:int name:str external_url:str status:pending|passed|failed",
    "project check": "id:int name:str project_id:int external_url:str hmac:bool protected_branches:any[]",
    "check response": "id:int merge_request:any external_status_check:any sha:sha~ status:str~",
    "approvals": "id:int iid:int project_id:int title:str state:str created_at:time updated_at:time approvals_required:int "
    "approvals_left:int approved_by:any[] approved:bool",
}
"""Name -> its fields, `name:type`: `?` may be null, `~` may be missing, `[]` a list, `a|b` the words; another type is an entity."""

_P, _M = "/projects/*", "/projects/*/merge_requests/*"


def _of_hooks(root: str, entity: str) -> dict[str, str]:
    return {
        f"GET {root}/hooks": f"{entity}[]",
        f"POST {root}/hooks": entity,
        f"GET {root}/hooks/*": entity,
        f"PUT {root}/hooks/*": entity,
    }


ANSWERS: Mapping[str, str] = {
    "GET /user": "current user",
    "GET /version": "version",
    "GET /metadata": "metadata",
    "GET /users": "public user[]",
    "GET /users/*": "public user",
    "GET /personal_access_tokens/self": "token",
    "POST /personal_access_tokens/self/rotate": "new token",
    "GET /projects": "project[]",
    "GET /projects/*": "own project",
    "GET /groups": "group[]",
    "GET /groups/*": "group",
    "GET /groups/*/projects": "project[]",
    "GET /groups/*/subgroups": "group[]",
    "GET /groups/*/descendant_groups": "group[]",
    "GET /groups/*/merge_requests": "merge request[]",
    "GET /namespaces/*": "namespace",
    "POST /projects": "own project",
    f"GET {_P}/forks": "project[]",
    f"POST {_P}/fork": "project",
    f"GET {_P}/merge_requests": "merge request[]",
    f"POST {_P}/merge_requests": "one merge request",
    f"GET {_M}": "one merge request",
    f"PUT {_M}": "one merge request",
    f"PUT {_M}/merge": "one merge request",
    f"GET {_M}/commits": "commit[]",
    f"GET {_M}/changes": "changes",
    f"GET {_M}/diffs": "diff[]",
    f"GET {_M}/versions": "version of a merge request[]",
    f"GET {_M}/versions/*": "whole version",
    f"GET {_M}/pipelines": "pipeline[]",
    f"GET {_M}/approvals": "approvals",
    f"GET {_M}/participants": "user[]",
    f"GET {_M}/merge_ref": "merge ref",
    f"GET {_M}/draft_notes": "draft note[]",
    f"GET {_M}/draft_notes/*": "draft note",
    f"POST {_M}/draft_notes": "draft note",
    f"GET {_M}/notes": "note[]",
    f"POST {_M}/notes": "note",
    f"GET {_M}/notes/*": "note",
    f"PUT {_M}/notes/*": "note",
    f"GET {_M}/discussions": "discussion[]",
    f"POST {_M}/discussions": "discussion",
    f"GET {_M}/discussions/*": "discussion",
    f"PUT {_M}/discussions/*": "discussion",
    f"POST {_M}/discussions/*/notes": "note",
    f"GET {_M}/discussions/*/notes": "note[]",
    f"GET {_M}/discussions/*/notes/*": "note",
    f"PUT {_M}/discussions/*/notes/*": "note",
    f"GET {_M}/award_emoji": "emoji[]",
    f"POST {_M}/award_emoji": "emoji",
    f"GET {_M}/notes/*/award_emoji": "emoji[]",
    f"POST {_M}/notes/*/award_emoji": "emoji",
    f"GET {_M}/status_checks": "check[]",
    f"POST {_M}/status_check_responses": "check response",
    f"GET {_P}/external_status_checks": "project check[]",
    f"POST {_P}/external_status_checks": "project check",
    f"PUT {_P}/external_status_checks/*": "project check",
    f"POST {_P}/statuses/*": "status",
    f"GET {_P}/repository/commits": "commit[]",
    f"POST {_P}/repository/commits": "one commit",
    f"GET {_P}/repository/commits/*": "one commit",
    f"GET {_P}/repository/commits/*/statuses": "status[]",
    f"GET {_P}/repository/commits/*/merge_requests": "merge request[]",
    f"GET {_P}/repository/commits/*/refs": "ref[]",
    f"GET {_P}/repository/commits/*/diff": "diff[]",
    f"GET {_P}/repository/branches": "branch[]",
    f"POST {_P}/repository/branches": "branch",
    f"GET {_P}/repository/branches/*": "branch",
    f"GET {_P}/repository/files/*": "file",
    f"GET {_P}/repository/blobs/*": "blob",
    f"GET {_P}/repository/tree": "entry[]",
    f"GET {_P}/repository/compare": "compare",
    f"GET {_P}/repository/merge_base": "commit",
    f"GET {_P}/pipelines": "pipeline[]",
    f"GET {_P}/pipelines/*": "one pipeline",
    f"GET {_P}/pipelines/*/jobs": "job[]",
    f"GET {_P}/jobs/*": "job",
    f"GET {_P}/members": "member[]",
    f"GET {_P}/members/*": "member",
    f"GET {_P}/members/all": "member[]",
    f"GET {_P}/members/all/*": "member",
    "GET /groups/*/members": "member[]",
    "GET /groups/*/members/*": "member",
    "GET /groups/*/members/all": "member[]",
    "GET /groups/*/members/all/*": "member",
    **_of_hooks(_P, "project hook"),
    **_of_hooks("/groups/*", "group hook"),
    **_of_hooks("", "system hook"),
    f"GET {_P}/hooks/*/events": "hook event[]",
    "GET /groups/*/hooks/*/events": "hook event[]",
    f"POST {_P}/hooks/*/events/*/resend": "resent",
    "POST /groups/*/hooks/*/events/*/resend": "resent",
}
"""`METHOD shape` -> what a success contains."""

PUBLISHED: Mapping[str, str] = {
    f"GET {_P}/merge_requests": "merge_requests.json",
    f"GET {_M}": "merge_request.json",
    f"PUT {_M}": "merge_request.json",
    f"POST {_P}/merge_requests": "merge_request.json",
    f"GET {_M}/notes": "notes.json",
    f"GET {_M}/pipelines": "pipeline/basic.json[]",
    f"GET {_P}/pipelines": "pipeline/basic.json[]",
    f"GET {_P}/pipelines/*": "pipeline/detail.json",
    f"GET {_P}/pipelines/*/jobs": "job.json[]",
    f"GET {_P}/jobs/*": "job.json",
    f"GET {_P}/members/all": "members.json",
    f"GET {_P}/members": "members.json",
    "GET /groups/*/members/all": "members.json",
    "GET /user": "user/public.json",
    "GET /metadata": "metadata.json",
    f"GET {_P}/hooks": "project_hooks.json",
    f"GET {_P}/hooks/*": "project_hook.json",
    f"POST {_P}/hooks": "project_hook.json",
    f"PUT {_P}/hooks/*": "project_hook.json",
    f"GET {_P}/repository/branches": "branches.json",
    f"GET {_P}/repository/branches/*": "branch.json",
    f"GET {_P}/repository/commits/*": "commit/detail.json",
    f"GET {_P}/repository/commits": "commits.json",
    f"GET {_M}/commits": "commits.json",
    "GET /projects/*": "project.json",
}
"""`METHOD shape` -> GitLab's own schema of it, under `schemas/public_api/v4`."""

_TYPES: Mapping[str, Json] = {
    "int": {"type": "integer"},
    "num": {"type": "number"},
    "str": {"type": "string"},
    "bool": {"type": "boolean"},
    "obj": {"type": "object"},
    "any": {},
    "time": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$"},
    "sha": {"type": "string", "pattern": "^[0-9a-f]{40}([0-9a-f]{24})?$"},
    "sha1": {"type": "string", "pattern": "^[0-9a-f]{40}$"},
    "int|str": {"type": ["integer", "string"]},
}


def _type(word: str) -> Json:
    if word.endswith("[]"):
        return {"type": "array", "items": _type(word.removesuffix("[]"))}
    if word in _TYPES:
        return _TYPES[word]
    return {"enum": word.split("|")} if "|" in word else _entity(word)


@cache
def _entity(name: str) -> Json:
    properties, required = {}, []
    for part in ENTITIES[name].split():
        key, _, word = part.partition(":")
        if not word.endswith("~"):
            required.append(key)
        word = word.removesuffix("~")
        inner = _type(word.removesuffix("?"))
        properties[key] = {"anyOf": [inner, {"type": "null"}]} if word.endswith("?") else inner
    return {"type": "object", "properties": properties, "required": required}


@cache
def _own(name: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(_type(name), mask="this value")


_OUT_OF_DATE: Mapping[str, Mapping[str, Json]] = {
    "notes.json": {"resolved_by": {}},  # says text; it is a user (docs, "Discussions API")
    "job.json": {"user": {}},
    # Both may be null today: a new one's before its diff is made, and once the fork is gone (docs, "Merge requests API").
    "merge_request.json": {"changes_count": {}, "source_project_id": {}},
}


def _opened(node: Json, name: str) -> Json:
    """The least that a schema asks for: keys that it does not know are allowed, and what is known to be old is not asked."""
    if isinstance(node, list):
        return [_opened(item, name) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {key: _opened(value, name) for key, value in node.items() if key not in ("additionalProperties", "format")}
    stale = _OUT_OF_DATE.get(name, {})
    if isinstance(kept.get("properties"), dict) and stale.keys() & kept["properties"].keys():
        kept["properties"] = kept["properties"] | stale
    return kept


@cache
def _schemas(data: str) -> jsonschema_rs.Registry | None:
    root = Path(data) / "gitlab" / "schemas"
    if not root.is_dir():
        return None
    files = {path: json.loads(path.read_text(encoding="utf-8")) for path in sorted(root.rglob("*.json"))}
    resources = [(f"json-schema:///{path.relative_to(root)}", _opened(schema, path.name)) for path, schema in files.items()]
    return jsonschema_rs.Registry(resources=resources, draft=jsonschema_rs.Draft7)


@cache
def _published(data: str, name: str) -> jsonschema_rs.Draft7Validator | None:
    registry = _schemas(data)
    if registry is None:
        return None
    reference = {"$ref": f"json-schema:///public_api/v4/{name.removesuffix('[]')}"}
    return jsonschema_rs.Draft7Validator({"type": "array", "items": reference} if name.endswith("[]") else reference, registry=registry)


def check(method: str, template: str, status: int, body: Json) -> list[str]:
    """What is wrong with an answer of the double. `template`: the path with the names of its parts."""
    key = f"{method} {shape(template)}"
    if status >= 400:
        told = isinstance(body, dict) and ("message" in body or "error" in body)
        return [] if told or status == 429 else [f"{status} without message or error"]
    if status in (202, 204) or body is None:
        return [] if status != 204 or body is None else ["204 with a body"]
    if method == "POST" and status != 201 and not key.endswith("/resend"):
        return [f"{status} to a POST: GitLab answers 201"]
    problems = []
    if name := ANSWERS.get(key):
        problems = [f"{status} /{'/'.join(map(str, e.instance_path))}: {e.message}" for e in _own(name).iter_errors(body)]
    data = os.environ.get("FIXWRIGHT_TEST_DATA")
    if data and key in PUBLISHED and (published := _published(data, PUBLISHED[key])) is not None:
        problems += [f"{status} {PUBLISHED[key]} /{'/'.join(map(str, e.instance_path))}: {e.message}" for e in published.iter_errors(body)]
    return problems
