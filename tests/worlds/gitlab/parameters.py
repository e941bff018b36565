"""What GitLab documents about the parameters of each call, as a judge of requests.

A key that GitLab does not document is a mistake of the caller's that GitLab would not tell him: it drops such keys in silence. Our own
slice covers the calls that the double answers; `requests.json` of the folder FIXWRIGHT_TEST_DATA takes its place where there is one.

Source: GitLab REST API docs, the pages of each resource; "Pagination".
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

_PAGES = "page:int per_page:int pagination:keyset|none order_by:str sort:asc|desc cursor:str id_after:int id_before:int"
"""What every list takes ("Pagination")."""

_POSITION = " ".join(
    f"position[{name}]:{kind}"
    for name, kind in {
        "base_sha": "str",
        "head_sha": "str",
        "start_sha": "str",
        "position_type": "text|image|file",
        "new_path": "str",
        "old_path": "str",
        "new_line": "int",
        "old_line": "int",
        "line_range][start][line_code": "str",
        "line_range][start][type": "new|old|expanded",
        "line_range][start][old_line": "int",
        "line_range][start][new_line": "int",
        "line_range][end][line_code": "str",
        "line_range][end][type": "new|old|expanded",
        "line_range][end][old_line": "int",
        "line_range][end][new_line": "int",
    }.items()
)
_HOOK = (
    "name:str description:str token:str signing_token:str enable_ssl_verification:bool push_events_branch_filter:str "
    "branch_filter_strategy:wildcard|regex|all_branches push_events:bool tag_push_events:bool merge_requests_events:bool "
    "repository_update_events:bool url_variables[][key]:str url_variables[][value]:str custom_headers[][key]:str "
    "custom_headers[][value]:str"
)
_MORE_EVENTS = (
    *(
        "note",
        "confidential_note",
        "issues",
        "confidential_issues",
        "job",
        "pipeline",
        "wiki_page",
        "deployment",
        "feature_flag",
        "releases",
    ),
    *("milestone", "emoji", "resource_access_token", "resource_deploy_token"),
)
_PROJECT_HOOK = f"{_HOOK} custom_webhook_template:str vulnerability_events:bool " + " ".join(f"{name}_events:bool" for name in _MORE_EVENTS)
_GROUP_HOOK = _PROJECT_HOOK + " member_events:bool subgroup_events:bool project_events:bool"
_MR = (
    "description:str<=1048576 allow_collaboration:bool allow_maintainer_to_push:bool assignee_id:int assignee_ids:any labels:any "
    "merge_after:str milestone_id:int remove_source_branch:bool reviewer_ids:any squash:bool"
)
_MR_LIST = (
    "state:opened|closed|locked|merged|all source_branch:str target_branch:str scope:created_by_me|assigned_to_me|all|reviews_for_me "
    "author_id:int author_username:str assignee_id:any reviewer_id:any labels:any milestone:str search:str in:str wip:yes|no draft:yes|no "
    "view:str with_labels_details:bool with_merge_status_recheck:bool created_after:str created_before:str updated_after:str "
    "updated_before:str iids:any my_reaction_emoji:str source_project_id:int approved:yes|no not:any environment:str deployed_before:str "
    "deployed_after:str render_html:bool"
)
_PROJECTS = (
    "archived:bool visibility:public|internal|private search:str simple:bool owned:bool starred:bool membership:bool min_access_level:int "
    "last_activity_after:str last_activity_before:str search_namespaces:bool statistics:bool with_issues_enabled:bool "
    "with_merge_requests_enabled:bool topic:str repository_storage:str imported:bool active:bool include_pending_delete:bool "
    "include_hidden:bool"
)
_COMMIT = (
    "branch:str! commit_message:str! actions[][action]:create|delete|move|update|chmod! actions[][file_path]:str! actions[][content]:str "
    "actions[][encoding]:text|base64 actions[][execute_filemode]:bool actions[][last_commit_id]:str actions[][previous_path]:str "
    "author_email:str author_name:str force:bool start_branch:str start_sha:str start_project:any stats:bool"
)

_P, _M = "/projects/:id", "/projects/:id/merge_requests/:iid"
OWN: Mapping[str, str] = {
    "GET /user": "",
    "GET /version": "",
    "GET /metadata": "",
    "GET /users": "username:str search:str active:bool blocked:bool external:bool humans:bool exclude_internal:bool "
    "without_project_bots:bool",
    "GET /users/:id": "with_custom_attributes:bool",
    "GET /personal_access_tokens/self": "",
    "POST /personal_access_tokens/self/rotate": "expires_at:str",
    "GET /projects": _PROJECTS,
    "GET /projects/:id": "statistics:bool license:bool with_custom_attributes:bool",
    "GET /groups": "search:str owned:bool min_access_level:int top_level_only:bool all_available:bool skip_groups:any "
    "statistics:bool active:bool",
    "GET /groups/:id": "with_custom_attributes:bool with_projects:bool",
    "GET /groups/:id/projects": _PROJECTS + " include_subgroups:bool with_shared:bool with_security_reports:bool",
    "GET /groups/:id/subgroups": "search:str owned:bool min_access_level:int all_available:bool skip_groups:any active:bool",
    "GET /groups/:id/descendant_groups": "search:str owned:bool min_access_level:int all_available:bool skip_groups:any active:bool",
    "GET /groups/:id/merge_requests": _MR_LIST + " non_archived:bool",
    "GET /namespaces/:namespace": "",
    "POST /projects": "name:str path:str namespace_id:int visibility:private|internal|public description:str default_branch:str "
    "initialize_with_readme:bool",
    f"GET {_P}/forks": _PROJECTS,
    f"POST {_P}/fork": "name:str path:str namespace_id:int namespace_path:str namespace:any visibility:str description:str",
    f"GET {_P}/merge_requests": _MR_LIST,
    f"POST {_P}/merge_requests": "source_branch:str! target_branch:str! title:str! target_project_id:int " + _MR,
    f"GET {_M}": "include_diverged_commits_count:bool include_rebase_in_progress:bool render_html:bool",
    f"PUT {_M}": "title:str target_branch:str state_event:close|reopen add_labels:any remove_labels:any discussion_locked:bool " + _MR,
    f"DELETE {_M}": "",
    f"PUT {_M}/merge": "sha:str merge_commit_message:str squash_commit_message:str squash:bool should_remove_source_branch:bool "
    "merge_when_pipeline_succeeds:bool auto_merge:bool",
    f"GET {_M}/commits": "",
    f"GET {_M}/changes": "unidiff:bool access_raw_diffs:bool",
    f"GET {_M}/diffs": "unidiff:bool",
    f"GET {_M}/raw_diffs": "",
    f"GET {_M}/merge_ref": "",
    f"PUT {_M}/rebase": "skip_ci:bool",
    f"GET {_M}/versions": "",
    f"GET {_M}/versions/:version": "unidiff:bool",
    f"GET {_M}/pipelines": "",
    f"GET {_M}/approvals": "",
    f"GET {_M}/participants": "",
    f"POST {_M}/approve": "sha:str approval_password:str",
    f"POST {_M}/unapprove": "",
    f"GET {_M}/notes": "activity_filter:all_notes|only_comments|only_activity",
    f"POST {_M}/notes": "body:str! created_at:str internal:bool confidential:bool merge_request_diff_head_sha:str",
    f"GET {_M}/notes/:note": "",
    f"PUT {_M}/notes/:note": "body:str confidential:bool",
    f"DELETE {_M}/notes/:note": "",
    f"GET {_M}/discussions": "",
    f"POST {_M}/discussions": f"body:str! commit_id:str created_at:str {_POSITION}",
    f"GET {_M}/discussions/:discussion": "",
    f"PUT {_M}/discussions/:discussion": "resolved:bool!",
    f"GET {_M}/discussions/:discussion/notes": "",
    f"POST {_M}/discussions/:discussion/notes": "body:str! created_at:str",
    f"GET {_M}/discussions/:discussion/notes/:note": "",
    f"PUT {_M}/discussions/:discussion/notes/:note": "body:str resolved:bool",
    f"DELETE {_M}/discussions/:discussion/notes/:note": "",
    f"GET {_M}/draft_notes": "",
    f"POST {_M}/draft_notes": f"note:str! in_reply_to_discussion_id:str commit_id:str resolve_discussion:bool {_POSITION}",
    f"POST {_M}/draft_notes/bulk_publish": "",
    f"GET {_M}/draft_notes/:draft": "",
    f"DELETE {_M}/draft_notes/:draft": "",
    f"PUT {_M}/draft_notes/:draft/publish": "",
    f"GET {_M}/award_emoji": "",
    f"POST {_M}/award_emoji": "name:str!",
    f"DELETE {_M}/award_emoji/:award": "",
    f"GET {_M}/notes/:note/award_emoji": "",
    f"POST {_M}/notes/:note/award_emoji": "name:str!",
    f"DELETE {_M}/notes/:note/award_emoji/:award": "",
    f"GET {_M}/status_checks": "",
    f"POST {_M}/status_check_responses": "sha:str! external_status_check_id:int! status:pending|passed|failed",
    f"POST {_M}/status_checks/:check/retry": "",
    f"GET {_P}/external_status_checks": "",
    f"POST {_P}/external_status_checks": "name:str! external_url:str! protected_branch_ids:any shared_secret:str",
    f"PUT {_P}/external_status_checks/:check": "name:str external_url:str protected_branch_ids:any shared_secret:str",
    f"POST {_P}/statuses/:sha": "state:pending|running|success|failed|canceled|skipped! ref:str<=255 name:str context:str "
    "target_url:str<=255 description:str<=255 coverage:num pipeline_id:int",
    f"GET {_P}/repository/commits": "ref_name:str since:str until:str path:str author:str all:bool with_stats:bool "
    "first_parent:bool order:str trailers:bool",
    f"POST {_P}/repository/commits": _COMMIT,
    f"GET {_P}/repository/commits/:sha": "stats:bool",
    f"GET {_P}/repository/commits/:sha/statuses": "ref:str stage:str name:str pipeline_id:int all:bool",
    f"GET {_P}/repository/commits/:sha/merge_requests": "state:opened|closed|locked|merged",
    f"GET {_P}/repository/commits/:sha/refs": "type:branch|tag|all",
    f"GET {_P}/repository/commits/:sha/diff": "unidiff:bool",
    f"GET {_P}/repository/branches": "search:str regex:str",
    f"POST {_P}/repository/branches": "branch:str! ref:str!",
    f"GET {_P}/repository/branches/:branch": "",
    f"DELETE {_P}/repository/branches/:branch": "",
    f"GET {_P}/repository/files/:path": "ref:str!",
    f"GET {_P}/repository/files/:path/raw": "ref:str lfs:bool",
    f"GET {_P}/repository/tree": "path:str ref:str recursive:bool page_token:str",
    f"GET {_P}/repository/blobs/:sha": "",
    f"GET {_P}/repository/blobs/:sha/raw": "",
    f"GET {_P}/repository/archive.tar.gz": "sha:str path:str include_lfs_blobs:bool exclude_paths:str",
    f"GET {_P}/repository/compare": "from:str! to:str! from_project_id:int straight:bool unidiff:bool",
    f"GET {_P}/repository/merge_base": "refs:any",
    f"GET {_P}/pipelines": "scope:running|pending|finished|branches|tags status:str source:str ref:str sha:str yaml_errors:bool "
    "username:str updated_after:str updated_before:str created_after:str created_before:str name:str",
    f"GET {_P}/pipelines/:pipeline": "",
    f"GET {_P}/pipelines/:pipeline/jobs": "scope:any include_retried:bool",
    f"GET {_P}/jobs/:job": "",
    f"GET {_P}/members": "query:str user_ids:any skip_users:any show_seat_info:bool",
    f"GET {_P}/members/:user": "",
    f"GET {_P}/members/all": "query:str user_ids:any show_seat_info:bool state:awaiting|active",
    f"GET {_P}/members/all/:user": "",
    "GET /groups/:id/members": "query:str user_ids:any skip_users:any show_seat_info:bool",
    "GET /groups/:id/members/:user": "",
    "GET /groups/:id/members/all": "query:str user_ids:any show_seat_info:bool state:awaiting|active",
    "GET /groups/:id/members/all/:user": "",
    f"GET {_P}/hooks": "",
    f"POST {_P}/hooks": "url:str! " + _PROJECT_HOOK,
    f"GET {_P}/hooks/:hook": "",
    f"PUT {_P}/hooks/:hook": "url:str! " + _PROJECT_HOOK,
    f"DELETE {_P}/hooks/:hook": "",
    f"POST {_P}/hooks/:hook/test/:trigger": "",
    f"GET {_P}/hooks/:hook/events": "status:any",
    f"POST {_P}/hooks/:hook/events/:event/resend": "",
    "GET /groups/:id/hooks": "",
    "POST /groups/:id/hooks": "url:str! " + _GROUP_HOOK,
    "GET /groups/:id/hooks/:hook": "",
    "PUT /groups/:id/hooks/:hook": "url:str! " + _GROUP_HOOK,
    "DELETE /groups/:id/hooks/:hook": "",
    "POST /groups/:id/hooks/:hook/test/:trigger": "",
    "GET /groups/:id/hooks/:hook/events": "status:any",
    "POST /groups/:id/hooks/:hook/events/:event/resend": "",
    "GET /hooks": "",
    "POST /hooks": "url:str! " + _HOOK,
    "GET /hooks/:hook": "",
    "PUT /hooks/:hook": "url:str " + _HOOK,
    "POST /hooks/:hook": "",
    "DELETE /hooks/:hook": "",
}
"""`METHOD /template` -> `name:type` each, `!` when required, `a|b` for the words allowed, `<=` for the most characters."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One documented parameter."""

    kind: str
    """`int`, `str`, `bool`, `num` or `any`."""
    required: bool = False
    words: tuple[str, ...] = ()
    longest: int | None = None

    def problem(self, value: object) -> str:
        """What is wrong with a value, empty when nothing is."""
        if self.words and value not in self.words and value is not None:
            return f"{value!r} is none of {', '.join(self.words)}"
        if self.longest is not None and isinstance(value, str) and len(value) > self.longest:
            return f"has {len(value)} characters, {self.longest} are allowed"
        return "" if self.kind == "any" or value is None or _is(self.kind, value) else f"{value!r} is not of type {self.kind}"


def _is(kind: str, value: object) -> bool:
    text = value if isinstance(value, str) else None
    match kind:
        case "int":
            return (isinstance(value, int) and not isinstance(value, bool)) or (
                text is not None and re.fullmatch(r"-?\d+", text) is not None
            )
        case "num":
            return isinstance(value, int | float) or (text is not None and re.fullmatch(r"-?\d+(\.\d+)?", text) is not None)
        case "bool":
            return isinstance(value, bool) or (text is not None and text.lower() in ("true", "false", "1", "0"))
        case _:
            return isinstance(value, str | int)


def _own(text: str) -> dict[str, Parameter]:
    found = {}
    for part in f"{text} {_PAGES}".split():
        name, _, rest = part.rpartition(":")
        required, rest = rest.endswith("!"), rest.removesuffix("!")
        kind, _, longest = rest.partition("<=")
        words = tuple(kind.split("|")) if "|" in kind else ()
        found[name] = Parameter("str" if words else kind, required, words, int(longest) if longest else None)
    return found


_KINDS = {"integer": "int", "string": "str", "boolean": "bool", "float": "num"}


def _published(documented: Mapping[str, Any]) -> dict[str, Parameter]:
    """The parameters of one call in the form of `requests.json`."""
    found: dict[str, Parameter] = {}
    for name, facts in documented["params"].items():
        if facts.get("in") == "path":
            continue
        inner = facts.get("items") if isinstance(facts.get("items"), dict) else None
        if inner is not None:
            found |= {f"{name}[{key}]": _from_facts(value) for key, value in inner.items()}
        found[name.removesuffix("[]")] = _from_facts(facts)
    return found


def _from_facts(facts: Mapping[str, Any]) -> Parameter:
    words = tuple(facts.get("enum", ()))
    return Parameter(_KINDS.get(facts.get("type", ""), "any"), facts.get("required") is True, words, facts.get("max_length"))


def shape(template: str) -> str:
    """A path template without the names of its parameters, so that `/projects/:id` and `/projects/{project}` are the same."""
    return re.sub(r":\w+|\{\w+\}", "*", template)


@cache
def documented(data: str | None = None) -> Mapping[str, Mapping[str, Parameter]]:
    """`METHOD shape` -> its parameters. `data`: the folder FIXWRIGHT_TEST_DATA.

    Where both know a call, the published words and lengths count, and keys that only our slice has stay: its pages are newer.
    """
    known = {f"{method} {shape(path)}": _own(text) for (method, path), text in ((call.split(), text) for call, text in OWN.items())}
    published = Path(data) / "gitlab" / "requests.json" if data else None
    if published is not None and published.is_file():
        for call in json.loads(published.read_text(encoding="utf-8"))["requests"]:
            key = f"{call['method']} {shape(call['path'])}"
            known[key] = known.get(key, _own("")) | _published(call)
    return known


def _flat(value: object, name: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(inner, f"{name}[{key}]" if name else str(key))
    elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        for item in value:
            yield from _flat(item, f"{name}[]")
    else:
        yield name.removesuffix("[]"), value


def check(method: str, template: str, given: Mapping[str, object]) -> list[str]:
    """What is wrong with the parameters of a call (query and body together). `template`: with the names of the path's parts."""
    known = documented(os.environ.get("FIXWRIGHT_TEST_DATA")).get(f"{method} {shape(template)}")
    if known is None:
        return [f"{method} {template} is not documented here"]
    flat = list(_flat(given))
    problems = []
    for name, value in flat:
        parameter = known.get(name)
        if parameter is None:
            problems.append(f"parameter {name} is not documented")
        elif not isinstance(value, list) and (problem := parameter.problem(value)):
            problems.append(f"parameter {name} {problem}")
    there = {name for name, _ in flat}
    needed = {name for name, parameter in known.items() if parameter.required and "[" not in name}
    return problems + [
        f"parameter {name} is required" for name in sorted(needed - there) if not any(n.startswith(f"{name}[") for n in there)
    ]
