"""A Probot app as its users write it: verify, put into a queue in Redis, answer. From npm, pinned by its lock file, into the tests' cache.

Node is the one that the tests' other GitHub has brought along (`tests.worlds.emulate.install`).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from benchmarks.servers import Redis, server
from tests.worlds.emulate import install as emulate

HERE = Path(__file__).parent
LOCKS = ("package.json", "package-lock.json")
INSTALL_SECONDS = 120.0


class NotMeasured(Exception):
    """It cannot be had here; why."""


@contextmanager
def started(folder: Path, secret: str) -> Iterator[tuple[str, int]]:
    """The app with a Redis of its own: where it takes deliveries, and its process. Raises NotMeasured."""
    node, home = _installed()
    shutil.copy(HERE / "server.js", home)
    key = generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
    try:
        redis = Redis(folder)
    except RuntimeError as error:
        raise NotMeasured(str(error)) from None
    settings = {"APP_KEY": pem, "WEBHOOK_SECRET": secret, "REDIS_SOCKET": str(redis.socket), "NODE_ENV": "production"}
    try:
        with server([str(node), str(home / "server.js")], settings) as (url, process):
            yield f"{url}/api/github/webhooks", process
    finally:
        redis.kill()


def _installed() -> tuple[Path, Path]:
    """Node, and the folder with the packages of the lock file."""
    try:
        if emulate.find() is None:
            emulate.install()
        found = emulate.find()
        if found is None:
            raise NotMeasured("there is no Node here")
        home = _place()
        if not (home / "node_modules" / "probot").is_dir():
            _install(found.node, home)
    except subprocess.CalledProcessError as error:
        raise NotMeasured(f"{Path(error.cmd[1] if len(error.cmd) > 1 else error.cmd[0]).name} ended with {error.returncode}") from None
    except (subprocess.TimeoutExpired, OSError) as error:
        raise NotMeasured(f"it cannot be installed ({type(error).__name__})") from None
    return found.node, home


def _place() -> Path:
    digest = hashlib.sha256(b"".join((HERE / name).read_bytes() for name in LOCKS)).hexdigest()[:16]
    return emulate.place().parent / f"probot-{digest}"


def _install(node: Path, home: Path) -> None:
    """By its ordinary client; a folder that is half done is never left behind. The lock file names Linux' packages only, which `npm ci`
    does not accept: `npm install` keeps to it all the same, and checks the same hashes."""
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.parent) as made:
        folder = Path(made) / "probot"
        folder.mkdir()
        for name in LOCKS:
            shutil.copy(HERE / name, folder)
        npm = node.parents[1] / "lib/node_modules/npm/bin/npm-cli.js"
        quiet = ["install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
        path = f"{node.parent}{os.pathsep}{os.environ.get('PATH', '')}"
        command = [str(node), str(npm), *quiet]
        subprocess.run(command, cwd=folder, env={**os.environ, "PATH": path}, check=True, capture_output=True, timeout=INSTALL_SECONDS)
        shutil.rmtree(home, ignore_errors=True)
        folder.rename(home)
