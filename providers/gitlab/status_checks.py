"""External status checks (Ultimate): a merge request that GitLab asked us about gets the verdict as soon as there is one.

GitLab waits for two minutes and counts a check without an answer as failed. So this carries only what is known by then; the commit status
tells everything, however late, and so does the answer that comes after all.

Source: docs "External status checks", REST "External status checks" (the head's `sha` must still be the newest: 409; 401 or 404 without the
licence).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from pipeline.errors import HostForbidden, HostNotFound, HostRejected, HostUnauthorized
from pipeline.model.review import Conclusion
from pipeline.model.target import PullRequestRef
from pipeline.ports import HostMemory
from providers.gitlab.api import Api
from providers.gitlab.client import Answer, Nothing
from providers.gitlab.hooks import same_address

log = logging.getLogger(__name__)

ANSWERS: Mapping[Conclusion, str] = {
    Conclusion.SUCCESS: "passed",
    Conclusion.NEUTRAL: "passed",
    Conclusion.FAILURE: "failed",
    Conclusion.ACTION_REQUIRED: "failed",
}
"""What was cancelled has no verdict: the newer head is asked about by itself."""
NONE_KEPT = 3_600.0
"""Seconds for which it is remembered that a project has no such checks."""


class _StatusCheck(Answer):
    id: int
    external_url: str | None = ""
    status: str = ""


def answer(api: Api, memory: HostMemory, ref: PullRequestRef, sha: str, conclusion: Conclusion) -> None:
    """Give our verdict on the newest commit of a merge request to each check that asks us and has another one. What goes wrong is only
    logged: the commit status is what counts.

    A check is ours by its whole address: another Fixwright has the same path, and speaks for itself.
    """
    said, key = ANSWERS.get(conclusion), f"gitlab/{api.site.authority}/unasked/{ref.repository.external_id}"
    if said is None or not api.hook_url or memory.get(key) is not None:
        return
    try:
        listed = api.pages(
            ref.repository,
            lambda p: p.mergerequests.get(ref.number, lazy=True).status_checks.list(iterator=True),
            _StatusCheck,
            what=f"the status checks of merge request {ref.number}",
        )
    except (HostForbidden, HostNotFound, HostUnauthorized):  # not licensed: nobody asks
        memory.put(key, b"1", NONE_KEPT)
        return
    for check in listed:
        if same_address(check.external_url or "", api.hook_url) and check.status != said:
            _respond(api, ref, check.id, sha, said)


def _respond(api: Api, ref: PullRequestRef, check: int, sha: str, said: str) -> None:
    path = f"/projects/{int(ref.repository.external_id)}/merge_requests/{ref.number}/status_check_responses"
    body = {"sha": sha, "external_status_check_id": check, "status": said}
    try:
        # python-gitlab has no call for it.
        api.ask(lambda gl: gl.http_post(path, post_data=body), Nothing, what=f"a status check of merge request {ref.number}")
    except (HostForbidden, HostNotFound, HostRejected) as exc:  # 409: the head moved on, and is asked about anew
        log.info("gitlab.status_check_refused", extra={"number": ref.number, "code": exc.code})
