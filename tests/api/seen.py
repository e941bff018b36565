"""What reviews have seen, written down without any scan: findings of any number and kind for the tests of lists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import insert, select

from pipeline.model.event import PushEvent
from pipeline.model.finding import Finding, Location, Secret, Severity
from pipeline.model.ids import CommitId, Handle, ReviewId
from pipeline.model.review import ReviewStatus
from pipeline.model.target import Installation, SourceRepository, UserRef
from pipeline.store.identifiers import new_id
from pipeline.store.places import Looked
from pipeline.store.tables import batch_findings, batches, findings, scans
from pipeline.store.work import Work
from tests.api.bench import ApiBench
from tests.harness import INSTALLATION, LocalRepo
from tests.unit.store.samples import REPOSITORY, RULE, change, commit


def a_finding(number: int, severity: Severity = Severity.HIGH, *, secret: bool = False) -> Finding:
    """The finding with a number: its identity, its file, its handle."""
    place = Location(f"app/file {number}.py", number + 1, number + 2)
    kept = Secret("AWS access key", f"{number:064x}", "WXYZ") if secret else None
    handle = Handle(f"H{number:03d}")
    return Finding(replace(RULE, severity=severity), place, f"v1:{number:032x}", "semgrep", handle=handle, secret=kept)


def listed(api: ApiBench, repository: str, /, **query: Any) -> Any:
    """A page of the findings of a repository."""
    answer = api.caller.ask("GET", f"/repositories/{repository}/findings", **query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def push(api: ApiBench, repo: LocalRepo, before: str = "0" * 40) -> CommitId:
    """The head of the default branch was pushed, and looked at."""
    head = repo.commit({}, "pushed")
    api.deliver(PushEvent(INSTALLATION, repo.source, UserRef("ada", "ada"), "main", CommitId(before), head))
    api.work()
    return head


def a_review(work: Work, source: SourceRepository, key: str, *, pull_request: int | None = 7) -> ReviewId:
    """A review of a repository: of a pull request, or of the default branch."""
    seen = change(number=pull_request, head_ref="feature" if pull_request else source.default_branch)
    home = Installation(INSTALLATION.id, source.provider, source.instance, "acme", source.installation)
    return work.reviews.create(f"{source.external_id}:{key}", home, replace(seen, repository=source), status=ReviewStatus.PLANNED)[0]


def remember(
    api: ApiBench,
    seen: Sequence[Finding],
    branch: str = "main",
    key: str = "a",
    *,
    source: SourceRepository = REPOSITORY,
    gone: Sequence[Finding] = (),
) -> list[str]:
    """What a review saw of a branch, and what it looked for in vain: our ids of what it saw, as they were made."""
    with api.app.database.work() as work:
        made = a_review(work, source, f"{branch}:{key}")
        where = work.installations.identify(source)
        paths = {one.location.path for one in (*seen, *gone)}
        looked = Looked(lambda _, path: path in paths, {one.engine: "1.0 rules" for one in (*seen, *gone)}, paths)
        known = work.findings.remember(where, seen, made, branch, commit("a"), fixed=gone, looked=looked)
        return [known[one.fingerprint] for one in seen]


def batch_of(api: ApiBench, repository: str, saw: Sequence[str]) -> str:
    """A batch of a repository that saw some findings."""
    batch = new_id()
    with api.app.database.work() as work:
        now = {"created_at": 1.0, "updated_at": 1.0, "commit": "", "scan_type": "semgrep_scan", "status": "done"}
        work.transaction.execute(insert(batches).values(id=batch, repository_id=repository, **now))
        made = a_review(work, REPOSITORY, batch, pull_request=None)
        scan = {**now, "id": new_id(), "batch_id": batch, "review_id": made, "required": True, "error": "", "blame": ""}
        scan.pop("commit")
        work.transaction.execute(insert(scans).values(scan))
        for row in work.transaction.execute(select(findings.c.id, findings.c.severity).where(findings.c.id.in_(saw))).all():
            values = {"batch_id": batch, "finding_id": row.id, "severity": row.severity, "branch": "main"}
            work.transaction.execute(insert(batch_findings).values(values))
    return batch


def log(api: ApiBench) -> int:
    """What the relay does all the time: what happened comes into the log."""
    with api.app.database.work() as work:
        return work.events.number()
