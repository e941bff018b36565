"""What our threads on a pull request are to become: opened, kept, resolved when their finding is gone, opened again when it is back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.model.ids import CommitId
from pipeline.model.report import Thread, ThreadRef
from pipeline.model.review import Verdict
from pipeline.model.target import PullRequestRef
from pipeline.store.work import Work


@dataclass(frozen=True, slots=True)
class Threads:
    """Those that we opened before: by fingerprint, who resolved each (`us`: its finding was gone), empty while it is open."""

    resolved_by: Mapping[str, str]

    @classmethod
    def read(cls, work: Work, ref: PullRequestRef) -> Threads:
        """From the store."""
        by_id = work.effects.threads_resolved(ref)
        return cls({fingerprint: by_id.get(remote_id, "") for fingerprint, remote_id in work.effects.threads(ref).items()})

    def within(self, wanted: Sequence[Thread], live: frozenset[str], most: int) -> list[Thread]:
        """Those of `wanted`, the worst first, that there is room for: what stands on the pull request already has its place."""
        room = most - sum(f in live for f in self.resolved_by)
        new = [t.fingerprint for t in wanted if t.fingerprint not in self.resolved_by][: max(0, room)]
        return [t for t in wanted if t.fingerprint in self.resolved_by or t.fingerprint in new]

    def change(self, wanted: Sequence[Thread], live: frozenset[str], verdict: Verdict, head: CommitId) -> list[Thread]:
        """All that the host has to bring about.

        Args:
            wanted: threads of findings that may speak now.
            live: fingerprints of all findings of the change. One that has a thread and may not speak any more keeps it as it is.
            verdict: an incomplete one resolves nothing: what was not looked at is not gone.
        """
        speaking = {thread.fingerprint for thread in wanted}
        kept = [Thread(f, "", 1, 1, "", back=self._is_back(f)) for f in self.resolved_by if f in live and f not in speaking]
        gone = [f for f, by in self.resolved_by.items() if f not in live and by != "us"]
        note = f"Gone from this change in `{head[:7]}`."
        resolved = [] if verdict.incomplete else [Thread(f, "", 1, 1, "", resolved=True, note=note) for f in gone]
        return [*(replace(t, back=self._is_back(t.fingerprint)) for t in wanted), *kept, *resolved]

    def _is_back(self, fingerprint: str) -> bool:
        return self.resolved_by.get(fingerprint) == "us"


def remember(work: Work, ref: PullRequestRef, threads: Sequence[Thread], placed: Sequence[ThreadRef]) -> None:
    """What the host did. Whatever a person resolves or opens is told by the host's events."""
    work.effects.remember_threads(ref, {t.fingerprint: t.id for t in placed if not t.outside})
    ids = {t.fingerprint: t.id for t in placed}
    for thread in threads:
        if thread.fingerprint in ids and (thread.resolved or thread.back):
            work.effects.thread_resolved(ref, ids[thread.fingerprint], "us" if thread.resolved else "")
