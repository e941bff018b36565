"""A repository with findings on its default branch, on the double of each host, and the pull requests that people ask for."""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select

from pipeline.messages import BATCH, Envelope, ScanRepository
from pipeline.model.event import PushEvent
from pipeline.model.fix import Fix
from pipeline.model.ids import CommitId, RepositoryId
from pipeline.model.target import UserRef
from pipeline.stages.listedfix import begin_listed, unoffered_together, wanted_grouping
from pipeline.store.seen import ListedFinding
from pipeline.store.tables import outbox
from pipeline.store.work import Work
from providers.local.host import OURS
from providers.local.record import PullRequestRecord
from tests.harness import INSTALLATION, Bench, LocalRepo, git
from tests.stages.github import GithubBench
from tests.stages.gitlab import GitlabBench
from tests.worlds.github.model import PullRequest
from tests.worlds.gitlab.model import MergeRequest

Files = Mapping[str, str | bytes | None]


@dataclass(frozen=True)
class Ours:
    """A pull request of ours as people see it."""

    number: int
    state: str
    """`open`, `closed` or `merged`."""
    title: str
    body: str
    base: str
    branch: str
    parent: str
    """Of its commit."""


class Place(ABC):
    """A host with one repository. What is asked for is done at `settle`."""

    bench: Bench
    name: str

    def settle(self) -> None:
        """Do everything that is due."""
        assert isinstance(self.bench, GithubBench | GitlabBench)
        self.bench.settle()

    def scan(self) -> None:
        """Look at everything on the default branch, as after an hour of quiet."""
        with self.bench.app.database.work() as work:
            (_, source, installation) = work.installations.named(self.name)[0]
            assert installation is not None
            scan = ScanRepository(installation, source, "asked")
            work.outbox.send(Envelope(scan, f"scan_repository:{uuid.uuid4().hex}", priority=BATCH))
        self.settle()

    def ask(self, at: str = "", *, openly: bool = False, work: bool = True) -> list[Fix]:
        """A person wants what the command opens: one place, or what is opened when nobody names one. Then everything is done, unless
        `work` says not yet."""
        with self.bench.app.database.work() as store:
            number, source, installation = store.installations.named(self.name)[0]
            assert installation is not None
            listing = store.installations.listing(number)
            places = [place for one in store.findings.listed(number, "main", "open") for place in one.places]
            wanted = [(place,) for place in places if at == f"{place.location.path}:{place.location.line}"]
            fixers, by = self.bench.app.plugins.fixers, wanted_grouping(store, listing)
            begun = []
            for finding, *also in wanted if at else unoffered_together(store, number, "main", listing, fixers, 3, by):
                same = [place for place in places if place.fingerprint == finding.fingerprint]
                fix = begin_listed(store, installation, source, listing, finding, same, also=also, asked_by="ada", openly=openly)
                begun.append(fix)
        if work:
            self.settle()
        with self.bench.app.database.read() as store:
            return [store.fixes.get(fix.id) for fix in begun]

    def begun(self) -> list[Fix]:
        """Every fix run there ever was, oldest first."""
        with self.bench.app.database.read() as work:
            return sorted(work.fixes.newest(100), key=lambda fix: fix.id)

    def dead(self) -> list[str]:
        """Kinds of messages that were given up."""
        with self.bench.app.database.read() as work:
            return list(work.transaction.execute(select(outbox.c.kind).where(outbox.c.status == "dead")).scalars())

    def repository(self, work: Work) -> RepositoryId:
        return work.installations.named(self.name)[0][0]

    def listed(self, status: str = "open") -> list[ListedFinding]:
        with self.bench.app.database.read() as work:
            return work.findings.listed(self.repository(work), "main", status)  # type: ignore[arg-type]  # one of three words

    def told(self, one: ListedFinding) -> list[tuple[str, str]]:
        """The history of a finding on the default branch, without what became of its fixes."""
        with self.bench.app.database.read() as work:
            events = work.findings.events(one.id)
        return [(event.kind, event.detail) for event in events if event.branch == "main" and not event.kind.startswith("fix_")]

    @abstractmethod
    def commit(self, files: Files) -> str:
        """Somebody pushes to the default branch, and what follows from it is done."""

    @abstractmethod
    def ours(self) -> Sequence[Ours]:
        """Pull requests that we opened, oldest first."""

    @abstractmethod
    def merge(self, number: int) -> None:
        """Somebody merges one of ours, and what follows from it is done."""


class OnGithub(Place):
    def __init__(self, bench: GithubBench, files: Files, *, private: bool = True) -> None:
        self.bench, self.world, self.name = bench, bench.world, "octo/shop"
        self.made = self.world.create_repository("octo", "shop", private=private, files=files)
        self.world.set_permission("ada", self.made, "write")
        installation = self.world.installation_of(self.made)
        assert installation is not None
        self.world.github.actions.events.repositories(installation, [self.made], [])
        bench.settle()

    def commit(self, files: Files) -> str:
        made = self.world.commit(self.made, "main", files)
        self.settle()
        return made

    def _pulls(self) -> list[PullRequest]:
        return [pull for pull in self.made.pulls.values() if pull.user is self.world.app.bot]

    def ours(self) -> Sequence[Ours]:
        made = []
        for pull in self._pulls():
            (parent,) = self.made.git.commit(pull.head_sha).parents
            state = "merged" if pull.merged_at else pull.state
            made.append(Ours(pull.number, state, pull.title, pull.body or "", pull.base_ref, pull.head_ref, parent))
        return made

    def merge(self, number: int) -> None:
        self.world.merge("ada", self.made.pulls[number])
        self.settle()


class OnGitlab(Place):
    def __init__(self, bench: GitlabBench, files: Files) -> None:
        self.bench, self.world, self.name = bench, bench.world, "acme/shop"
        self.made = bench.project(files)
        self.world.commit(self.made, "main", {"first.txt": "fine\n"})
        bench.settle()
        self.scan()

    def commit(self, files: Files) -> str:
        made = self.world.commit(self.made, "main", files)
        self.settle()
        return made

    def _requests(self) -> list[MergeRequest]:
        return [one for one in self.made.merge_requests.values() if one.source_branch.startswith("fixwright/")]

    def ours(self) -> Sequence[Ours]:
        made = []
        for one in self._requests():
            (parent,) = self.made.git.commit(one.head).parents
            state = "open" if one.state == "opened" else one.state
            made.append(Ours(one.iid, state, one.title, one.description or "", one.target_branch, one.source_branch, parent))
        return made

    def merge(self, number: int) -> None:
        self.world.merge("ada", self.made.merge_requests[number])
        self.settle()


class OnLocal(Place):
    """A plain repository: everything that no host does differently."""

    def __init__(self, bench: Bench, repo: LocalRepo, files: Files) -> None:
        self.bench, self.repo, self.name = bench, repo, repo.source.full_name
        self.tip = CommitId("0" * 40)
        self.commit(files)

    def settle(self) -> None:
        self.bench.work()

    def commit(self, files: Files) -> str:
        return self._pushed(self.repo.commit(files))

    def _pushed(self, tip: CommitId) -> str:
        source = self.repo.source
        self.bench.deliver(PushEvent(INSTALLATION, source, UserRef("ada", "ada"), "main", self.tip, tip))
        self.tip = tip
        self.settle()
        return tip

    def _record(self, number: int) -> PullRequestRecord:
        return next(one for one in self.bench.record(self.repo).pull_requests().pulls if one.number == number)

    def ours(self) -> Sequence[Ours]:
        made = []
        for one in self.bench.record(self.repo).pull_requests().pulls:
            parent = git(self.repo.folder, "rev-parse", "--verify", "--quiet", f"{one.head_ref}^", check=False)
            made.append(Ours(one.number, one.state, one.title, one.body, one.base_ref, one.head_ref, parent))
        return made

    def merge(self, number: int) -> None:
        git(self.repo.folder, "merge", "--quiet", "--no-edit", self._record(number).head_ref)
        self._pushed(CommitId(git(self.repo.folder, "rev-parse", "HEAD")))

    def end(self, number: int) -> None:
        """Somebody closes one of ours."""
        record = self.bench.record(self.repo)
        with record.locked():
            known = record.pull_requests()
            next(one for one in known.pulls if one.number == number).state = "closed"
            record.save_pull_requests(known)

    def our_branches(self) -> list[str]:
        return git(self.repo.folder, "branch", "--list", "--format=%(refname:short)", "fixwright/*").split()

    def said(self, number: int) -> str:
        return "\n".join(one.body for one in self.bench.record(self.repo).conversation(number).comments if one.author == OURS)
