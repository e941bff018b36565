"""What an answer of GitHub other than success means, as an error of ours. Pure.

Sources: docs "Rate limits for the REST API" (403 or 429; retry-after first, then x-ratelimit-reset, else at least a minute) and
"Troubleshooting the REST API".
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


def failure(status: int, headers: Mapping[str, str], body: bytes, *, what: str, now: float | None = None) -> HostError:
    """The error for an answer that is not 2xx.

    Args:
        headers: names in lower case, or a mapping that does not care.
        what: the request for people, `POST /repos/o/r/pulls`; without query and secrets.
        now: seconds since the epoch, for limits given as a time of day.
    """
    said, about = _message(body)
    wait = _wait(status, headers, said, time.time() if now is None else now)
    text = f"GitHub answered {status} to {what}" + (f": {said}" if said else "")
    if wait is not None:
        return RateLimited(text, retry_after=wait)
    if status == 401:
        return HostUnauthorized(text, hint="check FIXWRIGHT_GITHUB_APP_ID, FIXWRIGHT_GITHUB_PRIVATE_KEY and this machine's clock")
    if status == 403 and "has been suspended" in said:
        # People do that and take it back. What is under way learns of it from us before the webhook that tells of it was worked.
        return HostUnauthorized(text, hint="somebody suspended the installation of the App; what waits goes on when that is taken back")
    if status == 403:
        needed = _clean(headers.get("x-accepted-github-permissions", ""), 200)
        return HostForbidden(
            text,
            hint="the App needs " + (f"the permission {needed}" if needed else "more permissions") + "; compare its settings with app.yml",
        )
    if status in (404, 410):
        return HostNotFound(text, hint="it is gone, or the App is not installed there")
    if status >= 500 or status in (408, 425):
        return HostUnavailable(text)
    if 400 <= status < 500:
        return HostRejected(text, hint=about)
    return HostGarbage(text)


def _wait(status: int, headers: Mapping[str, str], said: str, now: float) -> float | None:
    """Seconds to wait when this is a limit, None when it is not. A limit is told from a missing permission by what comes with it."""
    if status not in (403, 429):
        return None
    after = number(headers.get("retry-after"))
    if after is None and headers.get("x-ratelimit-remaining") == "0":
        reset = number(headers.get("x-ratelimit-reset"))
        after = SECONDARY_WAIT if reset is None else reset - now + 1
    if after is None and (status == 429 or "rate limit" in said.lower() or "abuse detection" in said.lower()):
        after = SECONDARY_WAIT
    return None if after is None else min(max(after, 1.0), LONGEST_WAIT)


def _message(body: bytes) -> tuple[str, str]:
    """GitHub's own words about the failure, and the address of its page about it; both may be empty."""
    answer = read_refusal(body)
    parts = [str(answer.get("message", ""))]
    errors = answer.get("errors")
    for error in errors[:5] if isinstance(errors, list) else [errors] if isinstance(errors, str) else []:
        if isinstance(error, dict):
            words = error.get("message") or " ".join(str(error[key]) for key in ("resource", "field", "code") if key in error)
            parts.append(str(words))
        else:
            parts.append(str(error))
    said = _clean("; ".join(part for part in parts if part), 500)
    about = answer.get("documentation_url")
    return said, _clean(about, 300) if isinstance(about, str) and about.startswith("https://") else ""


def _clean(text: str, most: int) -> str:
    """One printable line of bounded length: it ends in logs."""
    return "".join(char if char.isprintable() else " " for char in text)[:most].strip()
