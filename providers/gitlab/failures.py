"""What an answer of GitLab other than success means, as an error of ours. Pure.

Sources: docs "REST API" (status codes), "Rate limits" (429 with Retry-After, else RateLimit-Reset), "REST API authentication"
(`insufficient_scope`), "Troubleshooting the REST API".
"""

from __future__ import annotations

import time
from collections.abc import Mapping

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
from pipeline.limits import LONGEST_WAIT, SECONDARY_WAIT, number
from pipeline.payloads import read_refusal

ANOTHER = "make one with the scope `api`, then run: fixwright gitlab setup; or set FIXWRIGHT_GITLAB_TOKEN"
TOKEN_HINT = f"the token is wrong, expired or revoked; {ANOTHER}"
SCOPE_HINT = f"the token lacks a scope; {ANOTHER}"
ROLE_HINT = "the token's account needs the role Developer in the project, and Maintainer for webhooks"
BEFORE_HINT = "something before GitLab refused: a firewall, a proxy, or GitLab's own ban of this address after failed sign-ins"
"""GitLab's API says in JSON why it refuses; its ban (docs "Failed authentication ban for Git and container registry") does not."""
GONE_HINT = "it is gone, was moved, or the token's account is no member of it"


def failure(status: int, headers: Mapping[str, str], body: bytes, *, what: str, now: float | None = None) -> HostError:
    """The error for an answer that is not 2xx.

    Args:
        headers: names in lower case, or a mapping that does not care.
        what: what was asked for, for people: `merge request 7 of acme/shop`; without secrets.
        now: seconds since the epoch, for limits given as a time of day.
    """
    said, code = _message(body)
    text = f"GitLab answered {status} to {what}" + (f": {said}" if said else "")
    wait = _wait(status, headers, time.time() if now is None else now)
    if wait is not None:
        return RateLimited(text, retry_after=wait)
    if status == 401:
        return HostUnauthorized(text, hint=TOKEN_HINT)
    if status == 403 and not said:
        return HostForbidden(text, hint=BEFORE_HINT)
    if status == 403:
        scope = code == "insufficient_scope" or "scope" in said.lower()
        return HostForbidden(text, hint=SCOPE_HINT if scope else ROLE_HINT)
    if status in (404, 410):
        return HostNotFound(text, hint=GONE_HINT)
    if status >= 500 or status in (408, 425):
        return HostUnavailable(text)
    if 400 <= status < 500:
        return HostRejected(text)
    return HostGarbage(text)


def _wait(status: int, headers: Mapping[str, str], now: float) -> float | None:
    """Seconds to wait when this is a limit, None when it is not. A server that is being repaired (503) may name its time, too."""
    after = number(headers.get("retry-after"))
    if status != 429:
        return min(max(after, 1.0), LONGEST_WAIT) if status == 503 and after is not None else None
    if after is None:
        reset = number(headers.get("ratelimit-reset"))
        after = SECONDARY_WAIT if reset is None else reset - now + 1
    return min(max(after, 1.0), LONGEST_WAIT)


def _message(body: bytes) -> tuple[str, str]:
    """GitLab's own words about the failure, and its code of it; both may be empty. `message` is a text, a list, or an object of lists."""
    answer = read_refusal(body)
    code = answer.get("error")
    parts = [*_texts(answer.get("message"), 3), *_texts(code, 3), *_texts(answer.get("error_description"), 3)]
    return _clean("; ".join(dict.fromkeys(part for part in parts if part)), 500), code if isinstance(code, str) else ""


def _texts(value: object, depth: int) -> list[str]:
    """The texts in it, at most ten of each level."""
    if isinstance(value, str):
        return [value[:1_000]]
    if depth and isinstance(value, list):
        return [text for inner in value[:10] for text in _texts(inner, depth - 1)]
    if depth and isinstance(value, dict):
        return [f"{str(key)[:100]} {text}" for key, inner in list(value.items())[:10] for text in _texts(inner, depth - 1)]
    return []


def _clean(text: str, most: int) -> str:
    """One printable line of bounded length: it ends in logs."""
    return " ".join("".join(char if char.isprintable() else " " for char in text[: 4 * most]).split())[:most].strip()


def answered(error: HostError, status: int) -> bool:
    """True when GitLab's answer had that status: one error of ours stands for several."""
    return error.message.startswith(f"GitLab answered {status} to ")
