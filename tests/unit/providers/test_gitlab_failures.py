"""What GitLab's refusals mean, and that whatever else comes back is an error of ours."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

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
from pipeline.limits import LONGEST_WAIT, SECONDARY_WAIT
from providers.gitlab.client import Answer
from providers.gitlab.failures import failure
from providers.gitlab.transport import AnotherServer, BodyTooLarge
from tests.unit.providers.gitlab_wire import REPOSITORY, TOKEN, Said, Wire

NOW = 1_800_000_000.0


def failed(status: int, value: object = None, headers: Mapping[str, str] | None = None) -> HostError:
    return failure(status, headers or {}, json.dumps(value).encode(), what="branch main of acme/shop", now=NOW)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, HostRejected),
        (401, HostUnauthorized),
        (403, HostForbidden),
        (404, HostNotFound),
        (405, HostRejected),
        (406, HostRejected),
        (408, HostUnavailable),
        (409, HostRejected),
        (410, HostNotFound),
        (412, HostRejected),
        (422, HostRejected),
        (429, RateLimited),
        (500, HostUnavailable),
        (502, HostUnavailable),
        (503, HostUnavailable),
        (520, HostUnavailable),
        (304, HostGarbage),
    ],
)
def test_every_status_has_its_error(status: int, kind: type[HostError]) -> None:
    error = failed(status, {"message": "no"})
    assert type(error) is kind
    assert error.message == f"GitLab answered {status} to branch main of acme/shop: no"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"message": "404 Project Not Found"}, "404 Project Not Found"),
        (
            {"error": "insufficient_scope", "error_description": "The request requires higher privileges"},
            "insufficient_scope; The request requires",
        ),
        ({"message": {"position": ["is incomplete"], "base": ["x", "y"]}}, "position is incomplete; base x; base y"),
        ({"message": ["one", "two"]}, "one; two"),
        ({"message": "one\nline\x1b[31m\u2028"}, "one line [31m"),
        ({"error": "a, b is missing", "message": "a, b is missing"}, "a, b is missing"),
        ([1, 2], ""),
        ("text", ""),
    ],
)
def test_gitlab_is_quoted_in_one_line(value: object, said: str) -> None:
    message = failed(422, value).message
    assert said in message
    assert message.isprintable()


def test_a_long_answer_is_quoted_in_part() -> None:
    assert len(failed(400, {"message": {"x" * 5_000: ["y" * 5_000] * 50}}).message) < 700


@pytest.mark.parametrize(
    ("status", "value", "hint"),
    [
        (401, {"message": "401 Unauthorized"}, "the token is wrong, expired or revoked"),
        (401, {"error": "invalid_token", "error_description": "Token is expired."}, "expired or revoked"),
        (403, {"error": "insufficient_scope", "scope": "api"}, "lacks a scope"),
        (403, {"message": "403 Forbidden"}, "role Developer"),
        (403, "Forbidden", "ban of this address"),
        (404, {"message": "404 Project Not Found"}, "no member"),
    ],
)
def test_what_an_operator_can_do_is_said(status: int, value: object, hint: str) -> None:
    assert hint in failed(status, value).hint


@pytest.mark.parametrize(
    ("status", "headers", "wait"),
    [
        (429, {"retry-after": "17"}, 17.0),
        (429, {"retry-after": "17", "ratelimit-reset": str(NOW + 40)}, 17.0),
        (429, {"ratelimit-reset": str(int(NOW) + 40)}, 41.0),
        (429, {}, SECONDARY_WAIT),
        (429, {"retry-after": "0"}, 1.0),
        (429, {"retry-after": "999999"}, LONGEST_WAIT),
        (429, {"retry-after": "soon"}, SECONDARY_WAIT),
        (429, {"retry-after": "nan"}, SECONDARY_WAIT),
        (429, {"ratelimit-reset": "-1"}, 1.0),
        (503, {"retry-after": "30"}, 30.0),
    ],
)
def test_gitlab_says_how_long_to_wait(status: int, headers: Mapping[str, str], wait: float) -> None:
    error = failed(status, {"message": "Retry later"}, headers)
    assert isinstance(error, RateLimited)
    assert error.retry_after == wait


@given(
    st.integers(300, 999),
    st.binary(max_size=200),
    st.dictionaries(st.sampled_from(["retry-after", "ratelimit-reset"]), st.text(max_size=20)),
)
def test_no_answer_is_anything_but_an_error_of_ours(status: int, body: bytes, headers: dict[str, str]) -> None:
    assert isinstance(failure(status, headers, body, what="it", now=NOW), HostError)


# --- through python-gitlab ---


class Branch(Answer):
    name: str


def asked(reply: Said | Exception) -> HostError:
    wire = Wire(lambda seen: reply)
    with pytest.raises(HostError) as told:
        wire.api().get(REPOSITORY, lambda project: project.branches.get("main"), Branch, what="branch main")
    assert TOKEN not in f"{told.value!r} {told.value.hint}"
    return told.value


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (requests.ConnectionError(f"no route with {TOKEN}"), HostUnavailable),
        (requests.exceptions.SSLError("certificate"), HostUnavailable),
        (requests.exceptions.ProxyError("407"), HostUnavailable),
        (requests.ConnectTimeout(), HostUnavailable),
        (requests.ReadTimeout(), HostUnavailable),
        (requests.exceptions.ChunkedEncodingError("cut off"), HostUnavailable),
        (requests.exceptions.ContentDecodingError("no gzip"), HostUnavailable),
        (OSError("reset"), HostUnavailable),
        (BodyTooLarge("more than that"), HostGarbage),
        (AnotherServer("https://elsewhere.example is not GitLab"), HostGarbage),
        (requests.TooManyRedirects("30"), HostGarbage),
        (Said(raw=b"<html>"), HostGarbage),
        (Said(raw=b"<html>", headers={"content-type": "text/html"}), HostGarbage),
        (Said(raw=b""), HostGarbage),
        (Said(raw=b"\xff\xfe"), HostGarbage),
        (Said(raw=b"[" * 100_000), HostGarbage),
        (Said(None), HostGarbage),
        (Said(7), HostGarbage),
        (Said([]), HostGarbage),
        (Said([{"name": "main"}]), HostGarbage),
        (Said({"name": None}), HostGarbage),
        (Said({"name": 7}), HostGarbage),
        (Said({"nam": "main"}), HostGarbage),
        (Said(status=204, raw=b""), HostGarbage),
        (Said({"message": "no"}, 400), HostRejected),
        (Said(["no"], 400), HostRejected),
        (Said(7, 400), HostRejected),
        (Said({"message": {"a": 7}}, 422), HostRejected),
        (Said({"message": "401 Unauthorized"}, 401), HostUnauthorized),
        (Said(raw=b"<html>busy</html>", status=502), HostUnavailable),
    ],
)
def test_whatever_comes_back_is_an_error_of_ours(reply: Said | Exception, kind: type[HostError]) -> None:
    assert type(asked(reply)) is kind


@pytest.mark.parametrize("value", [{"a": 1}, "text", 7, None, [7], [None], [["name"]], [{"name": "x"}, {"nam": "y"}]])
def test_a_list_that_is_none_is_garbage(value: object) -> None:
    wire = Wire(lambda seen: Said(value))
    with pytest.raises(HostGarbage):
        wire.api().pages(REPOSITORY, lambda project: project.branches.list(iterator=True), Branch, what="branches")


@pytest.mark.parametrize(
    "reply",
    [Said({"message": "slow down"}, 429, {"retry-after": "0"}), Said({}, 502), requests.ConnectionError("no")],
    ids=["too many", "bad gateway", "no connection"],
)
def test_nothing_is_tried_again_by_the_library(reply: Said | Exception) -> None:
    wire = Wire(lambda seen: reply)
    with pytest.raises(HostError):
        wire.api().get(REPOSITORY, lambda project: project.branches.get("main"), Branch, what="branch main")
    assert len(wire.asked) == 1


def test_a_place_that_is_wrong_is_named_and_its_content_is_not() -> None:
    error = asked(Said({"name": ["hidden"]}))
    assert "branch main of acme/shop is not what it documents: name (string_type)" in error.message
    assert "hidden" not in str(error)
