"""Real git repositories for tests, and a real server for them on loopback."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pipeline.model.ids import BlobId, CommitId

_IDENTITY = {
    "GIT_AUTHOR_NAME": "Ann",
    "GIT_AUTHOR_EMAIL": "ann@example.org",
    "GIT_COMMITTER_NAME": "Ann",
    "GIT_COMMITTER_EMAIL": "ann@example.org",
}


def need_git() -> None:
    """Skip the test where there is no git."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")


@dataclass
class Repository:
    """A repository on disk that tests write into."""

    path: Path

    @staticmethod
    def make(path: Path, *, bare: bool = False, form: str = "sha1") -> Repository:
        need_git()
        path.mkdir(parents=True)
        made = Repository(path)
        made.git("init", "-q", "-b", "main", f"--object-format={form}", *(["--bare"] if bare else []))
        return made

    def git(self, *arguments: str, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> bytes:
        clean = {
            "PATH": os.environ["PATH"],
            "HOME": "/nonexistent",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            **_IDENTITY,
        }
        command = ["git", "-c", "core.protectNTFS=false", "-c", "core.protectHFS=false", *arguments]
        return subprocess.run(command, cwd=self.path, input=stdin, env={**clean, **(env or {})}, capture_output=True, check=True).stdout

    def commit(self, files: Mapping[str, str | bytes | None], message: str = "change") -> CommitId:
        """Write files (None: delete) and commit them."""
        for name, content in files.items():
            place = self.path / name
            if content is None:
                place.unlink()
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content.encode() if isinstance(content, str) else content)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.head()

    def head(self, rev: str = "HEAD") -> CommitId:
        return CommitId(self.git("rev-parse", rev).decode().strip())

    def at(self, place: str) -> BlobId:
        """The blob at `REV:PATH`."""
        return BlobId(self.head(place))

    def blob(self, content: bytes) -> BlobId:
        return BlobId(self.git("hash-object", "-w", "--stdin", stdin=content).decode().strip())

    def tree(self, entries: list[tuple[str, bytes, str]]) -> str:
        """A tree of exactly these (mode, name, object), sorted by nobody and checked by nothing."""
        raw = b"".join(mode.encode() + b" " + name + b"\0" + bytes.fromhex(target) for mode, name, target in entries)
        return self.git("hash-object", "-t", "tree", "--literally", "-w", "--stdin", stdin=raw).decode().strip()

    def commit_tree(self, tree: str, *parents: str, branch: str = "main") -> CommitId:
        """A commit of any tree, on a branch."""
        options = [word for parent in parents for word in ("-p", parent)]
        made = CommitId(self.git("commit-tree", tree, *options, "-m", "crafted").decode().strip())
        self.git("update-ref", f"refs/heads/{branch}", made)
        return made


@dataclass
class Server:
    """What a git server was asked, and how it behaves."""

    url: str
    requests: list[tuple[str, str]] = field(default_factory=list)
    """(path, Authorization header)."""
    config: dict[str, str] = field(default_factory=lambda: {"uploadpack.allowFilter": "true"})
    token: str = ""
    """When set, only this Authorization is let in."""
    redirect: str = ""
    """When set, every request is sent there."""
    broken: bool = False
    protocol: int = 2


@contextmanager
def served(root: Path) -> Iterator[Server]:
    """`git http-backend` for all repositories below `root`, on loopback."""
    need_git()
    backend = Path(subprocess.run(["git", "--exec-path"], capture_output=True, text=True, check=True).stdout.strip(), "git-http-backend")
    if not backend.exists():
        pytest.skip("git http-backend is not installed")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer()

        def do_POST(self) -> None:
            self.answer()

        def log_message(self, format: str, *args: object) -> None:
            """Silent."""

        def answer(self) -> None:
            path, _, query = self.path.partition("?")
            given = self.headers.get("Authorization", "")
            server.requests.append((path, given))
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if server.redirect:
                self.send_response(302)
                self.send_header("Location", server.redirect + self.path)
                self.end_headers()
                return
            if server.broken or (server.token and given != server.token):
                self.send_response(500 if server.broken else 401)
                self.end_headers()
                return
            config = {"GIT_CONFIG_COUNT": str(len(server.config))}
            for number, (key, value) in enumerate(server.config.items()):
                config |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
            env = {
                "PATH": os.environ["PATH"],
                "HOME": "/nonexistent",
                "GIT_PROJECT_ROOT": str(root),
                "GIT_HTTP_EXPORT_ALL": "1",
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", "") if server.protocol == 2 else "",
                "REMOTE_ADDR": "127.0.0.1",
                **config,
            }
            said = subprocess.run([str(backend)], input=body, env=env, capture_output=True, check=False).stdout
            head, _, content = said.partition(b"\r\n\r\n")
            fields = [line.decode().partition(": ")[::2] for line in head.split(b"\r\n")]
            self.send_response(next((int(value[:3]) for name, value in fields if name == "Status"), 200))
            for name, value in fields:
                if name != "Status":
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        server = Server(f"http://127.0.0.1:{listening.server_address[1]}")
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            listening.shutdown()
            thread.join()
