"""The contract of specification 000, as the running server's own document says it: paths, parameters, words, statuses, names of schemas."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.api.bench import ApiBench

SCAN_TYPES = ["secrets_scan", "semgrep_scan", "deep_ai_scan", "sbom_scan"]
STATUSES = ["open", "resolved", "ignored", "false_positive", "needs_manual_review"]
HOSTS = ["github", "gitlab", "azure_devops"]
PAGE = {"limit": "integer", "skip": "integer"}
REPOSITORY = "/api/v1/repositories/{repository_id}"


@dataclass(frozen=True)
class Operation:
    """One row of the table. Names that end with `?` may be null; of a body, names that end with `*` are required."""

    method: str
    path: str
    status: int
    answer: str
    query: dict[str, str] = field(default_factory=dict)
    body: dict[str, str] = field(default_factory=dict)
    words: dict[str, list[str]] = field(default_factory=dict)


def _list(of: str) -> str:
    return f"PublicPaginatedResponse_{of}_"


TABLE = [
    Operation("get", "/api/v1/me", 200, "PublicMeResponse"),
    Operation("get", "/api/v1/repositories", 200, _list("PublicRepositoryResponse"), {"include_archived": "boolean", **PAGE}),
    Operation("get", REPOSITORY, 200, "PublicRepositoryResponse"),
    Operation(
        "get",
        f"{REPOSITORY}/scans",
        200,
        _list("PublicScanBatchResponse"),
        {"scan_type?": "string", "status?": "string", **PAGE},
        words={"scan_type": SCAN_TYPES},
    ),
    Operation(
        "post", f"{REPOSITORY}/scans", 202, "PublicScanBatchResponse", body={"scan_type*": "string"}, words={"scan_type": SCAN_TYPES}
    ),
    Operation("get", f"{REPOSITORY}/scans/{{scan_id}}", 200, "PublicScanBatchResponse"),
    Operation("get", f"{REPOSITORY}/scans/{{scan_id}}/progress", 200, "PublicScanProgressResponse"),
    Operation("get", f"{REPOSITORY}/scans/{{scan_id}}/results", 200, "PublicScanResultsResponse"),
    Operation(
        "get",
        f"{REPOSITORY}/findings",
        200,
        _list("PublicFindingResponse"),
        {"scan_batch_id?": "string", "severity?": "string", "status?": "string", "scan_type?": "string", **PAGE},
    ),
    Operation("get", f"{REPOSITORY}/findings/{{finding_id}}", 200, "PublicFindingResponse"),
    Operation(
        "patch",
        f"{REPOSITORY}/findings/{{finding_id}}",
        200,
        "PublicFindingResponse",
        body={"status*": "string"},
        words={"status": STATUSES},
    ),
    Operation(
        "get",
        "/api/v1/finding-events",
        200,
        _list("PublicFindingEventResponse"),
        {
            **dict.fromkeys(("repository_id?", "finding_id?", "scan_type?", "severity?", "event_type?"), "string"),
            **dict.fromkeys(("start?", "end?"), "date-time"),
            **PAGE,
        },
    ),
    Operation("get", f"{REPOSITORY}/fixes", 200, _list("PublicFixResponse"), {"finding_id?": "string", **PAGE}),
    Operation(
        "post",
        f"{REPOSITORY}/fixes",
        201,
        "PublicFixResponse",
        body={
            "finding_ids": "array",
            "title*": "string",
            "instructions*": "string",
            "source_repo*": "string",
            "source_repo_provider": "string",
            "source_scan_branch?": "string",
        },
        words={"source_repo_provider": HOSTS},
    ),
    Operation("get", f"{REPOSITORY}/fixes/{{fix_id}}", 200, "PublicFixResponse"),
    Operation("get", f"{REPOSITORY}/fixes/{{fix_id}}/diff", 200, "PublicFixDiffResponse"),
    Operation("get", f"{REPOSITORY}/fixes/{{fix_id}}/progress", 200, "PublicFixProgressResponse"),
    Operation("post", f"{REPOSITORY}/fixes/{{fix_id}}/refine", 200, "PublicFixResponse", body={"instructions*": "string"}),
    Operation("post", f"{REPOSITORY}/fixes/{{fix_id}}/cancel", 200, "PublicFixResponse"),
    Operation(
        "post",
        f"{REPOSITORY}/fixes/{{fix_id}}/pull-requests",
        201,
        "PublicPullRequestsCreatedResponse",
        body=dict.fromkeys(("title?", "body?", "branch_name?"), "string"),
    ),
    Operation("get", "/api/v1/quotas/balance", 200, "PublicQuotaBalanceResponse"),
]

SHAPES = {
    "PublicMeResponse": "organization_id organization_name organization_slug api_key",
    "PublicRepositoryResponse": "id name description? repositories archived created_at updated_at",
    "PublicScanBatchResponse": "batch_id repository_id scan_type status total_repositories scans_created scans_failed scans_completed"
    " scans_assessed error_message? created_at started_at? completed_at?",
    "PublicScanProgressResponse": "batch_id repository_id scan_type status total_repositories scans_created scans_failed scans_completed"
    " scans_assessed error_message? started_at? completed_at? percent_complete repositories",
    "PublicScanResultsResponse": "batch_id scan_type status findings_count findings",
    "PublicFindingResponse": "id repository_id check_id severity status file_path message title? category? scan_type cwe owasp references"
    " source_url? cvss_base_score? cvss_severity? cvss_vector? first_detected_at last_detected_at resolved_at? created_at updated_at",
    "PublicFindingEventResponse": "id organization_id repository_id finding_id scan_id? scan_type? event_type previous_status? new_status?"
    " severity? check_id? file_path? actor_user_id? metadata event_timestamp created_at",
    "PublicFixResponse": "id repository_id finding_ids title status source_repo? source_repo_provider? source_scan_branch?"
    " source_base_commit_sha? error_message? pull_requests created_at started_at? completed_at?",
    "PublicFixProgressResponse": "fix_id repository_id status started_at? completed_at? duration_seconds? agent_steps_completed"
    " latest_activity_at? error_message?",
    "PublicFixDiffResponse": "fix_id status diff?",
    "PublicPullRequestsCreatedResponse": "fix_id pull_requests",
    "PublicQuotaBalanceResponse": "period_start period_end prs sast_scans deep_ai_scans repositories",
}
"""Fields of each answer; `?`: may be null."""


def test_the_table_has_every_operation() -> None:
    assert len(TABLE) == len({(one.method, one.path) for one in TABLE}) == 21


@pytest.fixture
def document(api: ApiBench) -> dict[str, Any]:
    return dict(api.client.get("/openapi.json").json())


def _kind(schema: dict[str, Any], document: dict[str, Any]) -> tuple[str, bool, list[str]]:
    """Type (or format), whether null is allowed, and the words."""
    if "$ref" in schema:
        return _kind(document["components"]["schemas"][schema["$ref"].rpartition("/")[2]], document)
    if "anyOf" in schema:
        kinds = [_kind(one, document) for one in schema["anyOf"] if one.get("type") != "null"]
        assert len(kinds) == 1, schema
        return kinds[0][0], len(schema["anyOf"]) > 1, kinds[0][2]
    words = schema.get("enum") or ([schema["const"]] if "const" in schema else [])
    return schema.get("format", schema["type"]) if schema.get("format") == "date-time" else schema["type"], False, list(words)


@pytest.mark.parametrize("wanted", TABLE, ids=lambda one: f"{one.method} {one.path.removeprefix('/api/v1')}")
def test_the_document_says_what_the_contract_says(wanted: Operation, document: dict[str, Any]) -> None:
    said = document["paths"][wanted.path][wanted.method]
    assert {str(wanted.status)} <= said["responses"].keys()
    schema = said["responses"][str(wanted.status)]["content"]["application/json"]["schema"]
    assert schema["$ref"].rpartition("/")[2] == wanted.answer
    parameters = {one["name"]: one for one in said.get("parameters", []) if one["in"] == "query"}
    for name, kind in wanted.query.items():
        found = _kind(parameters[name.rstrip("?")]["schema"], document)
        assert found[:2] == (kind, name.endswith("?")), name
        assert not parameters[name.rstrip("?")]["required"]
    paths = {one["name"] for one in said.get("parameters", []) if one["in"] == "path"}
    assert paths == {part.strip("{}") for part in wanted.path.split("/") if part.startswith("{")}
    if wanted.query or paths or wanted.body:
        assert said["responses"]["422"]["content"]["application/json"]["schema"]["$ref"].endswith("/HTTPValidationError")
    sent = {}
    if wanted.body:
        body = said["requestBody"]["content"]["application/json"]["schema"]
        named = next(one["$ref"] for one in (body, *body.get("anyOf", [])) if "$ref" in one).rpartition("/")[2]
        sent = document["components"]["schemas"][named]
        for name, kind in wanted.body.items():
            found = _kind(sent["properties"][name.rstrip("?*")], document)
            assert found[:2] == (kind, name.endswith("?")), name
            assert (name.rstrip("?*") in sent.get("required", [])) == name.endswith("*"), name
    for name, words in wanted.words.items():
        schema = parameters[name]["schema"] if name in parameters else sent["properties"][name]
        assert sorted(_kind(schema, document)[2]) == sorted(words)


@pytest.mark.parametrize("name", SHAPES)
def test_an_answer_has_every_documented_field(name: str, document: dict[str, Any]) -> None:
    schema = document["components"]["schemas"][name]
    for one in SHAPES[name].split():
        may_be_null = one.endswith("?")
        found = schema["properties"][one.rstrip("?")]
        assert may_be_null or not any(part.get("type") == "null" for part in found.get("anyOf", [])), one
        assert may_be_null or one in schema["required"], one


def test_what_may_be_asked_again_says_so(document: dict[str, Any]) -> None:
    posts = {path: item["post"] for path, item in document["paths"].items() if "post" in item and path.startswith("/api/v1")}
    assert len(posts) >= 6
    for path, operation in posts.items():
        named = [one for one in operation.get("parameters", []) if one["in"] == "header" and one["name"] == "Idempotency-Key"]
        assert len(named) == 1, path
        assert not named[0].get("required", False), path
