"""A Fixwright with its API, as a caller with a key sees it: two organizations, of which neither may see anything of the other."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx2
from starlette.testclient import TestClient

from bot.access import key_secret
from bot.asgi import make_asgi
from pipeline.messages import BATCH, Envelope, ScanRepository
from pipeline.model.account import Scope
from pipeline.model.ids import RepositoryId
from pipeline.model.scan import ScanType
from pipeline.model.target import Installation, SourceRepository
from pipeline.store.organizations import DEFAULT
from tests.fakes import GoodFixer, LineScanner
from tests.harness import INSTALLATION, Bench, LocalRepo
from tests.stages.wired import bad_words

EVERYTHING = tuple(Scope)


@dataclass(frozen=True)
class Caller:
    """Who sends a key with everything."""

    client: TestClient
    key: str

    def ask(self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None, **query: Any) -> httpx2.Response:
        """One request below /api/v1."""
        sent = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        asked = {name: value for name, value in query.items() if value is not None}
        return self.client.request(method, f"/api/v1{path}", json=body, params=asked, headers={**sent, **(headers or {})})

    def get(self, path: str, status: int = 200, **query: Any) -> Any:
        """The body of an answer that has this status."""
        answer = self.ask("GET", path, **query)
        assert answer.status_code == status, answer.text
        return answer.json()

    def post(self, path: str, body: object = None, status: int = 200, **headers: str) -> Any:
        """Likewise."""
        answer = self.ask("POST", path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        assert answer.status_code == status, answer.text
        return answer.json()

    def patch(self, path: str, body: object, status: int = 200) -> Any:
        """Likewise."""
        answer = self.ask("PATCH", path, body)
        assert answer.status_code == status, answer.text
        return answer.json()


class ApiBench(Bench):
    """An app with instant engines, local repositories, and the organizations `default` (who has `repo`) and `other`."""

    def __init__(self, tmp_path: Path, database_url: str = "", environment: Mapping[str, str] | None = None) -> None:
        super().__init__(tmp_path, database_url, environment)
        self.app.plugins = replace(self.app.plugins, residues=bad_words)
        self.use(scanners=[LineScanner(), LineScanner(ScanType.SECRETS)], fixers=[GoodFixer()])
        self.client = TestClient(make_asgi(self.app), raise_server_exceptions=False)
        self.client.__enter__()
        self.folder = tmp_path / "repositories"
        with self.app.database.work() as work:
            work.organizations.settle(one_each=False)
            work.organizations.create("other")
        self.caller = self.key_of(DEFAULT)
        self.other = self.key_of("other")

    def close(self) -> None:
        """Let go of everything."""
        self.client.__exit__(None, None, None)
        super().close()

    def key_of(self, organization: str, scopes: Sequence[Scope] = EVERYTHING, expires_in: float | None = None) -> Caller:
        """A caller with a new key."""
        with self.app.database.work() as work:
            owner = work.organizations.named(organization)
            _, key = work.keys.create(owner.id, "a test", key_secret(self.app.settings), scopes=scopes, expires_in=expires_in)
        return Caller(self.client, key)

    def connect(self, name: str, files: Mapping[str, str | bytes | None], organization: str = DEFAULT) -> tuple[LocalRepo, str]:
        """A local repository with a first commit, installed in an organization; with our id of it."""
        repo = LocalRepo(self.folder / organization / name)
        repo.commit(files, "first")
        return repo, self.know(repo.source, organization)

    def know(self, source: SourceRepository, organization: str = DEFAULT) -> str:
        """Install a source repository in an organization: each has an installation of its own."""
        with self.app.database.work() as work:
            number = source.installation if organization == DEFAULT else f"{source.installation}-{organization}"
            installation = replace(INSTALLATION, provider=source.provider, instance=source.instance, external_id=number)
            mine = work.installations.upsert(installation)
            work.organizations.move(mine, organization)
            return str(work.installations.upsert_repository(replace(source, installation=number)))

    def look(self, repository: str) -> None:
        """Look at everything on the default branch of a source repository, as after it was installed."""
        with self.app.database.work() as work:
            _, source, installation = work.installations.by_id(RepositoryId(repository))
            scan = ScanRepository(installation, source, "asked")
            work.outbox.send(Envelope(scan, f"scan_repository:{uuid.uuid4().hex}", priority=BATCH))
        self.work()

    @contextmanager
    def worker(self) -> Iterator[None]:
        """A worker that does what is due while something waits for it."""
        stop = threading.Event()

        def live() -> None:
            while not stop.wait(0.05):
                self.work()

        thread = threading.Thread(target=live)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def installation_of(self, organization: str = DEFAULT) -> Installation:
        """The local installation of an organization."""
        number = INSTALLATION.external_id if organization == DEFAULT else f"{INSTALLATION.external_id}-{organization}"
        with self.app.database.read() as work:
            found = work.installations.known(replace(INSTALLATION, external_id=number))
        assert found is not None
        return found[0]
