"""Findings as identities of a repository: known by fingerprint, called by handle, seen at places, with a history."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Row, delete, select, update

from pipeline.model.finding import Finding
from pipeline.model.ids import CommitId, FindingId, RepositoryId, ReviewId
from pipeline.model.scan import scan_type_of
from pipeline.store.columns import database_now
from pipeline.store.findingcounts import FindingCounts, Kind
from pipeline.store.given import GivenHandles
from pipeline.store.identifiers import new_id
from pipeline.store.places import Looked
from pipeline.store.seen import FINDING, PULL, FindingEventKind, FindingStatus, SeenFindings, shown
from pipeline.store.tables import finding_events, finding_states, findings, occurrences, repositories
from pipeline.store.transaction import Values, chunks


class Findings(SeenFindings):
    """Findings. Part of a `Work`."""

    def handles(self, repository_id: RepositoryId) -> GivenHandles:
        """The handles that are given in a repository, with the fingerprints that they mean; to be asked in this transaction.

        In a writing transaction it also locks the repository until the commit: two reviews that name their findings at the same time
        would else give one handle twice.
        """
        self._lock(repository_id)
        return GivenHandles(self._transaction, repository_id)

    def remember(
        self,
        repository_id: RepositoryId,
        seen: Sequence[Finding],
        review_id: ReviewId,
        branch: str,
        commit: CommitId,
        *,
        fixed: Sequence[Finding] = (),
        looked: Looked | None = None,
        whole: bool = False,
        stands: bool = True,
        mended: Mapping[str, str] | None = None,
    ) -> dict[str, FindingId]:
        """Write down what a review saw on a branch, and what is gone from there, with the events that follow from it.

        Remembering the same again changes nothing and makes no events.

        Args:
            seen: with handles; several may share a fingerprint (the same weakness at several places).
            branch: where: a pull request's head branch, or the pushed one.
            fixed: findings that were there before and were looked for in vain. What was not looked at again belongs in neither.
            looked: what was looked at. With it the places of the branch's findings are brought up to date, and a finding that has none
                left is resolved; `seen` is then everything that was found there.
            stands: False when it says nothing of how the branch stands: the identities are noted, with their handles.
            mended: by fingerprint, the pull request of ours that was merged (`pull/9`): if it is gone, then by that.
            whole: of everything on the branch: what is known already is not noted once more as seen by this review.

        Returns:
            Our id by fingerprint.

        Raises:
            ValueError: a finding has no handle.
            StaleWrite: a handle is taken by another fingerprint.
        """
        present = {finding.fingerprint: finding for finding in seen}
        missing = {finding.fingerprint: finding for finding in fixed if finding.fingerprint not in present}
        ids, fresh = self._identify(repository_id, review_id, {**missing, **present})
        self._occur(ids, [f for f in seen if not whole or f.fingerprint in fresh], review_id, branch, commit)
        if not stands:
            return ids
        here, gone = {ids[print_] for print_ in present}, {ids[print_] for print_ in missing}
        if looked is not None:
            moved = self._places.replace(repository_id, branch, commit, seen, ids, looked)
            here, gone = here | moved.present, (gone | moved.gone) - moved.present
        by = {} if not mended else {finding: mended[print_] for print_, finding in self._ids(repository_id, mended).items()}
        self._settle_states(repository_id, review_id, branch, commit, here, gone, {ids[print_] for print_ in fresh}, by)
        return ids

    def close_pull_request(self, repository_id: RepositoryId, number: int, review_id: ReviewId, commit: CommitId) -> None:
        """A pull request was closed without being merged: what only it had is gone. `reopen_pull_request` takes that back."""
        branch = f"{PULL}{number}"
        opened = self.open_on(repository_id, branch)
        before = self._shown(repository_id, branch, opened)
        self._set_states(repository_id, review_id, branch, dict.fromkeys(opened, "resolved"))
        detail = "the change was closed"
        self._tell(repository_id, review_id, branch, commit, [(finding, "resolved_auto", detail) for finding in opened], before)

    def reopen_pull_request(self, repository_id: RepositoryId, number: int, review_id: ReviewId, commit: CommitId) -> None:
        """A closed pull request is open again with the head that it had: what it had then it has now."""
        branch = f"{PULL}{number}"
        where = (finding_states.c.repository_id == repository_id, finding_states.c.branch == branch)
        resolved = select(finding_states.c.finding_id).where(*where, finding_states.c.status == "resolved")
        closed = {FindingId(row.finding_id) for row in self._transaction.execute(resolved)}
        # One that was resolved because it is gone has no place left.
        again = sorted(closed & {finding for finding, _, _ in self._places.of(repository_id, branch)})
        before = self._shown(repository_id, branch, again)
        self._set_states(repository_id, review_id, branch, dict.fromkeys(again, "open"))
        detail = "the change was opened again"
        self._tell(repository_id, review_id, branch, commit, [(finding, "reopened", detail) for finding in again], before)

    def merge_pull_request(
        self, repository_id: RepositoryId, number: int, target: str, review_id: ReviewId, commit: CommitId, *, scanned: bool
    ) -> None:
        """A pull request was merged into `target`: its findings are that branch's now, and have been discovered already.

        Args:
            scanned: pushes to `target` are looked at (it is the default branch): then the push says which of them really arrived, before
                or after this, and also when their commits were squashed or rebased. Else this is all that is ever known of it.
        """
        branch = f"{PULL}{number}"
        opened = self.open_on(repository_id, branch)
        told = self._told_merged(repository_id, target, opened)
        arrived = [finding for finding in opened if finding not in told]
        before = self._shown(repository_id, target, arrived)
        if not scanned:
            brought = self._places.copy(repository_id, branch, target)
            self._set_states(repository_id, review_id, target, dict.fromkeys(sorted(brought & set(opened)), "open"))
        self._places.drop(repository_id, branch)
        self._set_states(repository_id, review_id, branch, dict.fromkeys(opened, "merged"))
        self._tell(repository_id, review_id, target, commit, [(finding, "merged", branch) for finding in arrived], before)

    def delete_branch(self, repository_id: RepositoryId, branch: str, commit: CommitId) -> None:
        """A branch is gone, and with it what it had."""
        opened = self.open_on(repository_id, branch)
        if not opened:
            return
        self._lock(repository_id)
        stood = self._states(repository_id, branch, opened)
        before = {finding: row.shown for finding, row in stood.items()}
        where = (finding_states.c.repository_id == repository_id, finding_states.c.branch == branch)
        self._transaction.execute(
            update(finding_states)
            .where(*where, finding_states.c.status == "open")
            .values(status="resolved", shown="resolved", since=database_now())
        )
        self._recount(repository_id, branch, stood, dict.fromkeys(stood, "resolved"), self._kinds(stood))
        self._places.drop(repository_id, branch)
        detail = "the branch was deleted"
        self._tell(repository_id, None, branch, commit, [(finding, "resolved_auto", detail) for finding in opened], before)

    def known(self, repository_id: str, which: Collection[FindingId]) -> frozenset[FindingId]:
        """Those of some findings that are this repository's."""
        ids = [one for one in which if one.isascii() and one.isalnum()]
        mine = select(findings.c.id).where(findings.c.repository_id == repository_id, findings.c.id.in_(ids))
        return frozenset(FindingId(one) for one in self._transaction.execute(mine).scalars())

    # --- inside ---

    def _identify(
        self, repository_id: RepositoryId, review_id: ReviewId, wanted: dict[str, Finding]
    ) -> tuple[dict[str, FindingId], set[str]]:
        """Our ids by fingerprint, made where needed; and the fingerprints that are new to the repository."""
        before = self._ids(repository_id, wanted)
        rows = [_identity(repository_id, review_id, wanted[print_]) for print_ in sorted(wanted) if print_ not in before]
        # A plain INSERT: a handle that means something else must fail, not be skipped.
        self._transaction.add(findings, rows)
        ids = {**before, **{str(row["fingerprint"]): FindingId(str(row["id"])) for row in rows}}
        for seen_again in chunks(sorted(before.values())):
            self._transaction.execute(update(findings).where(findings.c.id.in_(seen_again)).values(last_seen_at=database_now()))
        return ids, {str(row["fingerprint"]) for row in rows}

    def _ids(self, repository_id: RepositoryId, fingerprints: Iterable[str]) -> dict[str, FindingId]:
        found: dict[str, FindingId] = {}
        for chunk in chunks(fingerprints):
            columns = select(findings.c.fingerprint, findings.c.id)
            rows = self._transaction.execute(columns.where(findings.c.repository_id == repository_id, findings.c.fingerprint.in_(chunk)))
            found.update({row.fingerprint: FindingId(row.id) for row in rows})
        return found

    def _occur(self, ids: dict[str, FindingId], seen: Sequence[Finding], review_id: ReviewId, branch: str, commit: CommitId) -> None:
        self._transaction.execute(delete(occurrences).where(occurrences.c.review_id == review_id))
        rows: list[Values] = [
            {
                "review_id": review_id,
                "ordinal": ordinal,
                "finding_id": ids[finding.fingerprint],
                "branch": branch,
                "commit": commit,
                "path": finding.location.path,
                "line": finding.location.line,
                "finding": FINDING.dump(finding),
                "keyed_hash": finding.secret.keyed_hash if finding.secret else "",
            }
            for ordinal, finding in enumerate(seen)
        ]
        self._transaction.add(occurrences, rows)

    def _settle_states(
        self,
        repository_id: RepositoryId,
        review_id: ReviewId,
        branch: str,
        commit: CommitId,
        present: Collection[FindingId],
        gone: Collection[FindingId],
        fresh: Collection[FindingId],
        mended: Mapping[FindingId, str],
    ) -> None:
        """Bring the branch to what was seen, and write an event for everything that changed."""
        stood = self._states(repository_id, branch, {*present, *gone})
        before = {finding: row.status for finding, row in stood.items()}
        opened = [finding for finding in sorted(present) if before.get(finding) != "open"]
        closed = [finding for finding in sorted(gone) if before.get(finding) != "resolved"]
        happened: list[tuple[FindingId, FindingEventKind, str]] = []
        known = [finding for finding in opened if finding not in before and finding not in fresh]
        pulls = {} if branch.startswith(PULL) else self._pulls_of(known)
        told, somewhere = self._told_merged(repository_id, branch, known), self._open_somewhere(known)
        for finding in opened:
            if finding in before:
                happened.append((finding, "reopened", ""))
            elif finding in fresh:
                happened.append((finding, "detected", ""))
            elif finding in pulls and finding not in told:
                happened.append((finding, "merged", pulls[finding]))
            elif finding not in pulls and finding not in somewhere:
                happened.append((finding, "reopened", ""))
        for finding in closed:
            happened.append((finding, "resolved_pr_merged" if finding in mended else "resolved_auto", mended.get(finding, "")))
        states: dict[FindingId, FindingStatus] = {**dict.fromkeys(opened, "open"), **dict.fromkeys(closed, "resolved")}
        if states:
            self._set_states(repository_id, review_id, branch, states)
        self._tell(repository_id, review_id, branch, commit, happened, {finding: row.shown for finding, row in stood.items()})

    def _states(self, repository_id: RepositoryId, branch: str, which: Collection[FindingId]) -> dict[FindingId, Row[Any]]:
        """How some findings stand on a branch: a push asks for those that it touches, and not for all that the repository has."""
        found: dict[FindingId, Row[Any]] = {}
        columns = (finding_states.c.finding_id, finding_states.c.status, finding_states.c.shown, finding_states.c.severity)
        for chunk in chunks(sorted(which)):
            statement = select(*columns).where(
                finding_states.c.repository_id == repository_id, finding_states.c.branch == branch, finding_states.c.finding_id.in_(chunk)
            )
            found.update({FindingId(row.finding_id): row for row in self._transaction.execute(statement)})
        return found

    def _shown(self, repository_id: RepositoryId, branch: str, which: Collection[FindingId]) -> dict[FindingId, str]:
        """Likewise, in the words of the API."""
        return {finding: row.shown for finding, row in self._states(repository_id, branch, which).items()}

    def _set_states(self, repository_id: RepositoryId, review_id: ReviewId, branch: str, states: Mapping[FindingId, FindingStatus]) -> None:
        at = {"repository_id": repository_id, "branch": branch, "since": database_now(), "review_id": review_id}
        self._lock(repository_id)
        stood, kinds = self._states(repository_id, branch, states), self._kinds(states)
        rows = [
            {
                **at,
                "finding_id": finding,
                "status": status,
                "shown": shown(status, kinds[finding].decision),
                "severity": kinds[finding].severity,
                "scan_type": kinds[finding].scan_type,
            }
            for finding, status in sorted(states.items())
        ]
        newer = ["status", "since", "review_id", "shown", "severity", "scan_type"]
        self._transaction.upsert(finding_states, rows, ["repository_id", "branch", "finding_id"], newer)
        self._recount(
            repository_id, branch, stood, {finding: shown(status, kinds[finding].decision) for finding, status in states.items()}, kinds
        )

    def _recount(
        self,
        repository_id: RepositoryId,
        branch: str,
        stood: Mapping[FindingId, Row[Any]],
        stand: Mapping[FindingId, str],
        kinds: Mapping[FindingId, Row[Any]],
    ) -> None:
        """Count findings where they stand now, and no more where they stood."""
        left = [Kind(branch, kinds[finding].rule_id, row.shown, row.severity) for finding, row in stood.items()]
        came = [Kind(branch, kinds[finding].rule_id, word, kinds[finding].severity) for finding, word in stand.items()]
        FindingCounts(self._transaction).move(repository_id, left, came)

    def _lock(self, repository_id: RepositoryId) -> None:
        """Nobody else says how the repository's findings stand until the commit."""
        self._transaction.execute(select(repositories.c.id).where(repositories.c.id == repository_id).with_for_update())

    def _kinds(self, which: Collection[FindingId]) -> dict[FindingId, Row[Any]]:
        """What of each finding stands beside its state, so that one index answers every filter."""
        found: dict[FindingId, Row[Any]] = {}
        columns = (findings.c.id, findings.c.decision, findings.c.severity, findings.c.scan_type, findings.c.rule_id)
        for chunk in chunks(sorted(which)):
            found.update({FindingId(row.id): row for row in self._transaction.execute(select(*columns).where(findings.c.id.in_(chunk)))})
        return found

    def _tell(
        self,
        repository_id: RepositoryId,
        review_id: ReviewId | None,
        branch: str,
        commit: CommitId,
        happened: Sequence[tuple[FindingId, FindingEventKind, str]],
        before: Mapping[FindingId, str],
    ) -> None:
        """Write events down, after the states are what they are now.

        Args:
            before: how the findings stood on the branch, in the words of the API; without those that did not.
        """
        at = {"repository_id": repository_id, "review_id": review_id, "branch": branch, "commit": commit, "at": database_now()}
        now = self._shown(repository_id, branch, {finding for finding, _, _ in happened})
        events: list[Values] = [
            {**at, "finding_id": one, "kind": kind, "detail": detail, "previous": before.get(one, ""), "now": now.get(one, "")}
            for one, kind, detail in happened
        ]
        self._transaction.add(finding_events, events)

    def _pulls_of(self, which: Collection[FindingId]) -> dict[FindingId, str]:
        """The pull request that has, or had when it was merged, each finding; of several the latest."""
        found: dict[FindingId, str] = {}
        for chunk in chunks(sorted(which)):
            statement = select(finding_states.c.finding_id, finding_states.c.branch).where(
                finding_states.c.finding_id.in_(chunk),
                finding_states.c.branch.startswith(PULL, autoescape=True),
                finding_states.c.status.in_(("open", "merged")),
            )
            rows = self._transaction.execute(statement.order_by(finding_states.c.since, finding_states.c.branch))
            found.update({FindingId(row.finding_id): row.branch for row in rows})
        return found

    def _open_somewhere(self, which: Collection[FindingId]) -> frozenset[FindingId]:
        found: set[FindingId] = set()
        for chunk in chunks(sorted(which)):
            statement = select(finding_states.c.finding_id).where(finding_states.c.finding_id.in_(chunk), finding_states.c.status == "open")
            found.update(FindingId(row.finding_id) for row in self._transaction.execute(statement))
        return frozenset(found)

    def _told_merged(self, repository_id: RepositoryId, branch: str, which: Collection[FindingId]) -> frozenset[FindingId]:
        """Which findings are known to have come to a branch with a pull request."""
        told: set[FindingId] = set()
        for chunk in chunks(sorted(which)):
            statement = select(finding_events.c.finding_id).where(
                finding_events.c.repository_id == repository_id,
                finding_events.c.branch == branch,
                finding_events.c.kind == "merged",
                finding_events.c.finding_id.in_(chunk),
            )
            told.update(FindingId(row.finding_id) for row in self._transaction.execute(statement))
        return frozenset(told)


def _identity(repository_id: RepositoryId, review_id: ReviewId, finding: Finding) -> dict[str, Any]:
    if finding.handle is None:
        raise ValueError(f"a finding of {finding.rule.id} has no handle")
    return {
        "id": new_id(),
        "repository_id": repository_id,
        "fingerprint": finding.fingerprint,
        "handle": finding.handle,
        "rule_id": finding.rule.id,
        "severity": int(finding.rule.severity),
        "scan_type": scan_type_of(finding),
        "confidence": int(finding.rule.confidence),
        "first_review_id": review_id,
        "first_seen_at": database_now(),
        "last_seen_at": database_now(),
    }
