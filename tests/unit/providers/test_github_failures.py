"""What GitHub's refusals mean."""

from __future__ import annotations

import json

import pytest

from pipeline.errors import (
    HostError,
    HostForbidden,
    HostGarbage,
    HostNotFound,
    HostRejected,
    HostUnauthorized,
    HostUnavailable,
    RateLimited,
)
from providers.github.failures import failure

NOW = 1_800_000_000.0


def meaning(status: int, body: object = None, **headers: str) -> HostError:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    raw = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
    return failure(status, names, raw, what="POST /repos/o/r/pulls", now=NOW)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, HostUnauthorized),
        (403, HostForbidden),
        (404, HostNotFound),
        (410, HostNotFound),
        (400, HostRejected),
        (409, HostRejected),
        (413, HostRejected),
        (422, HostRejected),
        (408, HostUnavailable),
        (500, HostUnavailable),
        (502, HostUnavailable),
        (503, HostUnavailable),
        (304, HostGarbage),
    ],
)
def test_each_status_has_one_meaning(status: int, kind: type[HostError]) -> None:
    assert type(meaning(status)) is kind


@pytest.mark.parametrize(
    ("status", "said", "headers", "wait"),
    [
        (403, "", {"retry_after": "17"}, 17),
        (429, "", {"retry_after": "17", "x_ratelimit_remaining": "0", "x_ratelimit_reset": str(NOW + 900)}, 17),
        (403, "", {"x_ratelimit_remaining": "0", "x_ratelimit_reset": str(NOW + 900)}, 901),
        (403, "", {"x_ratelimit_remaining": "0", "x_ratelimit_reset": str(NOW - 900)}, 1),
        (403, "", {"x_ratelimit_remaining": "0"}, 60),
        (403, "You have exceeded a secondary rate limit", {"x_ratelimit_remaining": "4000"}, 60),
        (429, "", {}, 60),
        (429, "", {"retry_after": "soon"}, 60),
        (403, "", {"retry_after": "9" * 30}, 3600),
        (403, "", {"retry_after": "0"}, 1),
    ],
)
def test_a_limit_is_told_from_a_missing_permission_and_says_how_long(status: int, said: str, headers: dict[str, str], wait: float) -> None:
    error = meaning(status, {"message": said}, **headers)
    assert isinstance(error, RateLimited)
    assert error.retry_after == wait


def test_a_missing_permission_is_named() -> None:
    error = meaning(403, {"message": "Resource not accessible by integration"}, x_accepted_github_permissions="checks=write")
    assert "Resource not accessible by integration" in error.message
    assert "checks=write" in error.hint
    assert not error.retryable


def test_a_suspended_installation_is_waited_for_as_for_credentials() -> None:
    refused = meaning(403, {"message": "This installation has been suspended"})
    assert (type(refused), refused.retryable) == (HostUnauthorized, True)
    assert "suspended" in refused.hint


def test_a_rejection_keeps_githubs_reasons_and_its_page() -> None:
    body = {
        "message": "Validation Failed",
        "errors": [{"resource": "PullRequest", "code": "custom", "message": "A pull request already exists for o:b."}, "line"],
        "documentation_url": "https://docs.github.com/rest/pulls",
    }
    error = meaning(422, body)
    assert error.message == (
        "GitHub answered 422 to POST /repos/o/r/pulls: Validation Failed; A pull request already exists for o:b.; line"
    )
    assert error.hint == "https://docs.github.com/rest/pulls"


@pytest.mark.parametrize(
    "body", [b"<html>", b"\xff", b"[1]", b"[" * 5_000, b'{"message": 7, "errors": 3}', b'{"documentation_url": "javascript:x"}']
)
def test_a_refusal_in_any_words_is_still_a_refusal(body: bytes) -> None:
    error = meaning(422, body)
    assert isinstance(error, HostRejected)
    assert error.hint == ""


def test_words_of_the_host_end_in_a_log_as_one_bounded_line() -> None:
    error = meaning(404, {"message": "a\nb\x1b[31m" + "c" * 5_000})
    assert "\n" not in error.message
    assert "\x1b" not in error.message
    assert len(error.message) < 600
