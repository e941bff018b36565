"""A whole Fixwright as an operator runs it, before the double of a host: web, relay and two workers, each a process of its own."""

from __future__ import annotations

import base64
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, TypeVar

import httpx
from sqlalchemy import and_, func, select

from bot.demo import content
from bot.demo.local import free_port
from bot.worker import LANE
from pipeline.errors import StoreError
from pipeline.lifecycle import REVIEW
from pipeline.messages import BATCH
from pipeline.store.engine import Database
from pipeline.store.tables import outbox, reviews
from tests.databases import Postgres
from tests.engines import HeldEngine, find_nothing, processes
from tests.faults import github
from tests.faults.gitlab import GitlabHost
from tests.faults.hosts import Home, Hooks, Host
from tests.faults.points import FOLDER, WHERE, Orders, writes_alone
from tests.faults.servers import Pair, QueueServer
from tests.worlds.github.model import Repository
from tests.worlds.github.world import GithubWorld

T = TypeVar("T")

ROOT: Final = Path(__file__).resolve().parents[2]
KEY: Final = base64.b64encode(b"a key of the faults, 32 bytes...").decode()
CAP: Final = 5.0
"""Seconds to which backoff and probes are capped here; tests/unit holds the schedule without a cap."""
WORKERS: Final = ("worker-1", "worker-2")
NAMES: Final = ("web", "relay", *WORKERS)
SECRET: Final = re.findall(rb"AKIA[A-Z0-9]{16}", "".join(content.CHANGE.values()).encode())[0]
"""What each change adds; it was never issued."""
SOON: Final = 1_800.0
"""Seconds: what is due later (a purge, a look again) is not waited for."""


class Part:
    """One process of Fixwright. It is started again by whoever says so, never by itself."""

    def __init__(self, name: str, environment: Mapping[str, str], log: Path) -> None:
        self.name, self._environment, self.log = name, environment, log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the process."""
        assert self._process is not None
        return self._process.pid

    @property
    def alive(self) -> bool:
        """False before the start and after the end."""
        return self._process is not None and self._process.poll() is None

    def start(self, more: Mapping[str, str] | None = None, wrapper: tuple[str, ...] = ()) -> None:
        """Start it, unless it runs. `wrapper`: a command in front, such as `faketime`."""
        if self.alive:
            return
        command = [*wrapper, sys.executable, "-m", "tests.faults.points", self.name.partition("-")[0]]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, cwd=ROOT, env={**self._environment, **(more or {})}, stdout=log, stderr=log)

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(20)

    def stop(self, seconds: float = 30.0) -> int:
        """SIGTERM, and its exit code."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.terminate()
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.send_signal(WHERE)  # its log says what each thread was at
            time.sleep(1)
            raise

    def freeze(self) -> None:
        """SIGSTOP, between two transactions: see `writes_alone`."""
        until = time.monotonic() + 10
        while time.monotonic() < until:
            self.send(signal.SIGSTOP)
            while _state(self.pid) not in "TZX":
                time.sleep(0.001)
            if not writes_alone(self.pid):
                return
            self.thaw()
            time.sleep(0.02)
        raise AssertionError(f"{self.name} always writes")

    def thaw(self) -> None:
        """SIGCONT."""
        self.send(signal.SIGCONT)

    def send(self, signum: int) -> None:
        """A signal."""
        os.kill(self.pid, signum)

    def children(self) -> list[int]:
        """Its direct children, as the workers' forks are."""
        found: list[int] = []
        for task in Path(f"/proc/{self.pid}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                found += [int(word) for word in task.read_text().split()]
        return found


def _name(pid: int) -> str:
    """Of the process itself, not of the program that it runs; empty for one that ended."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _state(pid: int) -> str:
    """Third field of /proc/pid/stat, after the name in brackets: T is stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


class Stand:
    """Everything that runs, and what a row does to it.

    Args:
        folder: short, as sockets' names are.
        postgres: the server on which the stand makes a database of its own, when the pair wants one.
        quick_semgrep: Semgrep finds nothing, at once; the secrets engine is the real one all the same.
    """

    def __init__(self, folder: Path, pair: Pair, postgres: Postgres | None = None, *, quick_semgrep: bool = False) -> None:
        self.folder, self.pair, self.postgres = folder, pair, postgres
        self.temporary = folder / "tmp"
        for made in (self.temporary, folder / "logs"):
            made.mkdir()
        self.host: Host = GitlabHost(folder) if pair.host == "gitlab" else github.GithubHost(folder)
        self.queue = QueueServer(folder / "queue", pair.queue)
        self.engine = HeldEngine(folder / "engines", "betterleaks")
        self.places = ("config/backup.py",) if quick_semgrep else ("config/backup.py", "members/web.py")
        """Files of a change in which something is found."""
        if quick_semgrep:
            find_nothing(self.engine.folder)
        self.orders = Orders(folder / "points")
        self.url = f"http://127.0.0.1:{free_port()}"
        self.environment = self._environment()
        self.parts = {name: Part(name, self.environment, folder / "logs" / f"{name}.log") for name in NAMES}
        self._database: Database | None = None
        self.home: Home
        """The repository `shop`, which all rows share."""
        self.made = 0
        """Changes so far: each has content that no engine has seen."""

    @classmethod
    @contextlib.contextmanager
    def open(cls, pair: Pair, postgres: Postgres | None = None, *, quick_semgrep: bool = False) -> Iterator[Stand]:
        """A stand that is ready for its first fault."""
        with tempfile.TemporaryDirectory(prefix="fw-") as folder:
            Path(folder).chmod(0o755)
            stand = cls(Path(folder), pair, postgres, quick_semgrep=quick_semgrep)
            try:
                stand.begin()
                yield stand
            finally:
                stand.end()

    def _environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("FIXWRIGHT_") and k not in ("REDIS_URL", "DATABASE_URL")}
        settings = {
            "FIXWRIGHT_STATE_DIR": str(self.folder / "state"),
            "FIXWRIGHT_ENGINES_DIR": str(self.engine.folder),
            "FIXWRIGHT_PORT": self.url.rpartition(":")[2],
            "FIXWRIGHT_SECRET_KEY": KEY,
            "FIXWRIGHT_RETRY_CAP": str(CAP),
            "FIXWRIGHT_LOG_LEVEL": "debug",
            **self.host.settings(),
            "REDIS_URL": self.queue.url,
            "TMPDIR": str(self.temporary),
            FOLDER: str(self.folder / "points"),
        }
        if self.pair.database == "postgresql":
            settings["DATABASE_URL"] = self._make_database()
        return {**kept, **settings}

    def _make_database(self) -> str:
        assert self.postgres is not None, "the pair wants PostgreSQL"
        name = f"faults_{os.getpid()}_{time.monotonic_ns()}"
        self.postgres.execute(f"CREATE DATABASE {name}")
        return self.postgres.url(name)

    # --- its life ---

    def begin(self) -> None:
        """Start everything. Raises AssertionError when it does not get ready."""
        self.host.world.serve()
        self.queue.start()
        self.home = self.new_home("shop")
        self.start()
        self.host.world.webhook_url = f"{self.url}{self.host.path}"

    def start(self, *names: str, more: Mapping[str, str] | None = None) -> None:
        """Start what does not run (all, or these), and wait until deliveries are taken and somebody works."""
        for name in names or NAMES:
            # One migrates: the others find the tables made.
            if name != "web" and not self._database_there():
                self.wait("the database", self._database_there, 60)
            self.parts[name].start(more)
        if self.parts["web"].alive:
            # What a host delivers again by itself may lead it to its end before anybody has seen it ready.
            self.wait("readiness", lambda: self.ready() or self.orders.struck(), 60)

    def _database_there(self) -> bool:
        if self.pair.database == "postgresql":
            return self.ready()
        return (self.folder / "state" / "fixwright.db").exists() and self.ready()

    def ready(self) -> bool:
        """True when the web process says that it can take deliveries."""
        try:
            return httpx.get(f"{self.url}/readyz", timeout=2, trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    def end(self) -> None:
        """Whatever happened: nothing of ours goes on."""
        self.engine.release()
        self.orders.clear()
        self.host.world.faults.clear()
        for part in self.parts.values():
            with contextlib.suppress(ProcessLookupError, AssertionError):
                part.send(signal.SIGCONT)
            part.kill()
        self.close_database()
        self.queue.kill()
        self.host.world.stop()
        self.wait("the end of all processes", lambda: not self.processes_left(), 20)

    def settle_down(self) -> None:
        """After a row: nothing is broken, all four run."""
        self.engine.release()
        self.orders.clear()
        self.host.world.faults.clear()
        self.start()

    # --- what a row looks at ---

    @staticmethod
    def signal(pid: int, signum: int) -> None:
        """A signal to a process of ours that is no part, such as a worker's child. Raises ProcessLookupError."""
        os.kill(pid, signum)

    def new_home(self, name: str, owner: str = "octo", *, private: bool = True) -> Home:
        """A repository on the host in which ada may write and eve may read; nobody is told of it."""
        return self.host.repository(name, owner, content.MAIN, private=private)

    @property
    def hooks(self) -> Hooks:
        """The host's way out."""
        return self.host.world.hooks

    # As GitHub has it, for rows that know nothing else:

    @property
    def world(self) -> GithubWorld:
        """The double itself."""
        assert isinstance(self.host, github.GithubHost)
        return self.host.world

    @property
    def shop(self) -> Repository:
        """As `home`."""
        return github.of(self.home)

    def repository(self, name: str, owner: str = "octo", *, private: bool = True) -> Repository:
        """As `new_home`."""
        return github.of(self.new_home(name, owner, private=private))

    def change(self) -> dict[str, str]:
        """Files of a change that adds one secret and one injection, with content that was never looked at before."""
        self.made += 1
        return {path: f"{text}# change {self.made}\n" for path, text in content.CHANGE.items()}

    @property
    def database(self) -> Database:
        """The same database, looked at from here."""
        if self._database is None:
            self._database = Database.open(self.database_url)
        return self._database

    @property
    def database_url(self) -> str:
        """Of the database that everything runs on."""
        return self.environment.get("DATABASE_URL") or f"sqlite:///{self.folder / 'state' / 'fixwright.db'}"

    def close_database(self) -> None:
        """Let go of it, as after a restart of its server."""
        if self._database is not None:
            self._database.dispose()
            self._database = None

    def unfinished(self, kind: str = "") -> int:
        """Messages (of one kind) that are under way, or due within the half hour. Raises StoreError.

        What a walk says again of all heads that are open, of those of earlier rows too, it spreads over time: that is nothing to wait for.
        """
        with self.database.read() as work:
            spread = and_(outbox.c.kind == "show_check", outbox.c.priority == BATCH, outbox.c.epoch == 0)
            which = [outbox.c.status.in_(["pending", "running"]), outbox.c.due_at < time.time() + SOON, ~spread]
            which += [outbox.c.kind == kind] if kind else []
            statement = select(func.count()).select_from(outbox).where(*which)
            return int(work.transaction.execute(statement).scalar_one())

    def held_by(self, worker: int) -> set[tuple[str, int]]:
        """Messages that a worker, or a child of it, holds: identity and epoch. Raises StoreError."""
        with self.database.read() as work:
            named = outbox.c.owner.contains(_named(worker), autoescape=True)
            mine = select(outbox.c.id, outbox.c.epoch).where(outbox.c.status == "running", named)
            return {(row.id, row.epoch) for row in work.transaction.execute(mine)}

    def is_known(self, worker: int) -> bool:
        """Whether a process of this number has said that it lives. Raises StoreError."""
        with self.database.read() as work:
            return any(_named(worker) in process.id for process in work.processes.all())

    def dead(self) -> list[tuple[str, str]]:
        """Messages that were given up: kind and code. Raises StoreError."""
        with self.database.read() as work:
            statement = select(outbox.c.kind, outbox.c.error_code).where(outbox.c.status == "dead")
            return [(row.kind, row.error_code) for row in work.transaction.execute(statement)]

    def unended(self) -> list[str]:
        """Reviews that have not ended. Raises StoreError."""
        with self.database.read() as work:
            found = work.transaction.execute(select(reviews.c.subject, reviews.c.head, reviews.c.status))
            return [f"{row.subject} {row.head[:8]} is {row.status}" for row in found if not REVIEW.terminal(row.status)]

    def told(self) -> list[str]:
        """Where the secret can be read that each change adds: in a log, on the host in our name, or in the file of the database."""
        # Whoever closes a file of SQLite's lets go of all locks that his process has on it (its manual, "How To Corrupt"): whoever is the
        # last one otherwise then takes the log away from under us, and we would read the past for ever.
        if self._database is not None:
            self._database.dispose()
        places = {path.name: path.read_bytes() for path in (self.folder / "logs").iterdir()}
        places |= {path.name: path.read_bytes() for path in (self.folder / "state").glob("fixwright.db*")}
        ours = (str(effect.body) for effect in self.host.world.effects if self.host.ours(effect))
        places["the host"] = "\n".join(ours).encode()
        return [name for name, text in places.items() if SECRET in text]

    def is_quiet(self) -> bool:
        """True when nothing is to be done."""
        try:
            return self.unfinished() == 0
        except StoreError:
            return False

    def quiet(self, seconds: float = 60.0) -> None:
        """Wait until nothing is to be done, and all that happened at the host has been delivered."""
        self.hooks.wait()
        self.wait("rest", self.is_quiet, seconds)

    def wait(self, what: str, look: Callable[[], T | None], seconds: float = 60.0) -> T:
        """Look until there is something. Raises AssertionError with the ends of the logs."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = look()
            if found:
                return found
            time.sleep(0.05)
        raise AssertionError(f"no {what} within {seconds:.0f} s\n{self.tails()}")

    def log(self) -> str:
        """Everything that the processes logged."""
        return "".join(path.read_text(errors="replace") for path in sorted((self.folder / "logs").iterdir()))

    def tails(self, length: int = 1_500) -> str:
        """The ends of the logs, for people: what is no debug line."""
        told = []
        for path in sorted((self.folder / "logs").iterdir()):
            lines = [line for line in path.read_text(errors="replace").splitlines() if " debug " not in line]
            told.append(f"--- {path.name}\n" + "\n".join(lines)[-length:])
        return "\n".join(told)

    def processes_left(self) -> list[str]:
        """Commands of processes that have our folder in their arguments or environment, also engines in the sandbox."""
        mark, left = str(self.folder), []
        for pid, arguments in processes():
            if pid == os.getpid():
                continue
            try:
                environment = os.fsdecode(Path(f"/proc/{pid}/environ").read_bytes())
            except OSError:
                environment = ""
            if arguments and (any(mark in word for word in arguments) or mark in environment):
                left.append(f"{pid} " + " ".join(arguments))
        return left

    def strays(self) -> list[str]:
        """Programs that are at work though nothing is to be done: engines, git, whatever is neither a part, nor a worker's lane for
        commands, nor the queue, nor a server."""
        known = {part.pid for part in self.parts.values() if part.alive} | {self.queue.pid}
        known |= {pid for part in self.parts.values() if part.alive for pid in part.children() if _name(pid) == LANE}
        return [line for line in self.processes_left() if int(line.split()[0]) not in known and "http-backend" not in line]

    def folders_left(self) -> list[str]:
        """Temporary files: what a worker that waits keeps, its own empty folder, is none."""
        return [str(path.relative_to(self.temporary)) for path in self.temporary.glob("*/*")]

    def locks_left(self) -> list[str]:
        """Lock files that git left in the mirrors."""
        mirrors = self.folder / "state" / "mirrors"
        return [str(path.relative_to(mirrors)) for path in mirrors.glob("*/**/*.lock")]

    def copy_log(self, target: Path) -> None:
        """Keep the logs for whoever wants to know why."""
        shutil.copytree(self.folder / "logs", target, dirs_exist_ok=True)


def _named(process: int) -> str:
    """What the name of a process of this number has in it, and no other's: `host:pid-birth` (`bot.pulse.process_name`)."""
    return f":{process}-"
