"""Draft notes: how several threads become one review, and one mail.

They are of an account and not of a program: publishing publishes everything that the account has in draft on a merge request. So a person
whose token we use keeps what he has begun, and what a crash has left of ours is taken away before anything is published.

Source: docs REST "Draft notes" (GitLab 15.9 and above; made and published through the API since 15.10).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pipeline.errors import HostForbidden, HostGarbage, HostNotFound, HostRejected, HostUnavailable
from pipeline.markers import mark_in
from pipeline.model.target import PullRequestRef
from pipeline.ports import HostMemory
from providers.gitlab.api import Api
from providers.gitlab.client import Answer, Nothing
from providers.gitlab.positions import Wire

if TYPE_CHECKING:
    from gitlab.v4.objects import Project, ProjectMergeRequest

log = logging.getLogger(__name__)

LOCKED = 60.0
"""Seconds for which one worker has the drafts of a merge request for itself."""
BEGUN, FAILED = b"begun", b"failed"
BEGUN_KEPT = 86_400.0
"""Seconds for which it is remembered that drafts were begun and not published."""
FAILED_KEPT = 900.0
"""As long as the work that failed may be tried again."""


class _Draft(Answer):
    id: int
    note: str | None = ""
    line_code: str | None = None


class Drafts:
    """Those of our account on one merge request."""

    def __init__(self, api: Api, memory: HostMemory, ref: PullRequestRef) -> None:
        self._api, self._memory, self._ref = api, memory, ref
        self._key = f"gitlab/{api.site.authority}/drafts/{ref.repository.external_id}/{ref.number}"

    @contextmanager
    def writing(self) -> Iterator[bool]:
        """Nobody else of us makes drafts there meanwhile. Gives False when there can be none: see `_may_publish`; or when publishing failed
        the last time. Should we not come to an end, the next one knows that we have begun."""
        with self._memory.lock(f"{self._key}/lock", LOCKED):
            usable = self._may_publish() and self._memory.get(self._key) != FAILED
            if usable:
                self._memory.put(self._key, BEGUN, BEGUN_KEPT)
            yield usable
            self._memory.put(self._key, b"", 1.0)

    def clean(self) -> None:
        """Take away what we began and did not publish, if anything."""
        if self._memory.get(self._key) not in (None, b""):
            self._may_publish()
            self._memory.put(self._key, b"", 1.0)

    def _may_publish(self) -> bool:
        """False where this GitLab has no drafts, or somebody has begun a review with our account. Leftovers of ours are gone then."""
        try:
            there = self._listed()
        except (HostForbidden, HostNotFound):
            return False
        ours = [draft for draft in there if mark_in(draft.note, "thread") is not None]
        for draft in ours:
            self._delete(draft)
        return len(ours) == len(there)

    def add(self, body: str, position: Wire) -> bool | None:
        """One more. False when its position is not on the diff: it is not there then. None when there can be no drafts."""
        try:
            draft = self._api.send(
                self._ref.repository,
                lambda p: self._of(p).draft_notes.create({"note": body, "position": position}),
                _Draft,
                what=f"a draft in merge request {self._ref.number}",
            )
        except HostRejected as exc:
            log.info("gitlab.position_refused", extra={"number": self._ref.number, "said": exc.message})
            return False
        except (HostForbidden, HostNotFound) as exc:
            log.info("gitlab.no_drafts", extra={"number": self._ref.number, "code": exc.code})
            return None
        if draft.line_code:
            return True
        self._delete(draft)  # GitLab takes a draft anywhere, and would lose it when it is published
        return False

    def publish(self) -> None:
        """All at once. What came of it is to be read back in any case: an answer may be odd, and a note may be lost.

        Raises:
            HostUnavailable: perhaps it was done. The next one looks, and does what is missing without drafts.
        """

        def call(project: Project) -> None:
            self._of(project).draft_notes.bulk_publish()

        try:
            self._api.send(self._ref.repository, call, Nothing, what=f"the review of merge request {self._ref.number}", speaks=True)
        except (HostForbidden, HostGarbage, HostNotFound, HostRejected) as exc:
            log.warning("gitlab.review_refused", extra={"number": self._ref.number, "code": exc.code})
            self._may_publish()
        except HostUnavailable:
            self._memory.put(self._key, FAILED, FAILED_KEPT)
            raise

    def _listed(self) -> Sequence[_Draft]:
        return self._api.pages(
            self._ref.repository,
            lambda p: self._of(p).draft_notes.list(iterator=True),
            _Draft,
            what=f"drafts in merge request {self._ref.number}",
        )

    def _delete(self, draft: _Draft) -> None:
        def call(project: Project) -> None:
            self._of(project).draft_notes.delete(draft.id)

        try:
            self._api.send(self._ref.repository, call, Nothing, what=f"a draft in merge request {self._ref.number}")
        except HostNotFound:
            log.info("gitlab.draft_gone", extra={"number": self._ref.number})

    def _of(self, project: Project) -> ProjectMergeRequest:
        return project.mergerequests.get(self._ref.number, lazy=True)
