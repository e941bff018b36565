"""`python -m tests.api.fuzz`: schemathesis asks the running API everything that its document allows, and what it does not, with a key and a
worker, in all phases, stateful ones included. Exit code 0: no 5xx, no undocumented status, no answer against the document."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import uvicorn

from bot.asgi import make_asgi
from tests.api.bench import ApiBench

PLANS = "[plans.self_hosted]\ncalls_per_minute = 100000000\n"
"""A limit of calls would answer most of what is asked with 429."""

LEFT_OUT = (
    "positive_data_acceptance",  # a cursor, a device code or an id that nobody gave has the right form and is refused all the same
    "ignored_auth",  # tests/api/test_tenancy.py walks every route without a key; here /oauth has none
)

SEED = os.environ.get("FIXWRIGHT_SEED", "1")


def run(folder: Path, examples: int, *, database_url: str = "") -> int:
    """Ask, and give the exit code of schemathesis."""
    table = folder / "plans.toml"
    table.write_text(PLANS)
    api = ApiBench(folder, database_url, {"FIXWRIGHT_PLANS": str(table)})
    _, repository = api.connect("shop", {"a.txt": "fine\nBAD old\nfine\n", "b.txt": "BAD\n"})
    api.look(repository)
    server = uvicorn.Server(uvicorn.Config(make_asgi(api.app), port=0, log_level="critical"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            threading.Event().wait(0.05)
        port = server.servers[0].sockets[0].getsockname()[1]
        program = Path(sys.executable).with_name("schemathesis")
        command = [str(program), "run", f"http://127.0.0.1:{port}/openapi.json", "--header", f"Authorization: Bearer {api.caller.key}"]
        command += ["--seed", SEED, "--max-examples", str(examples), "--checks", "all", "--no-color", "--generation-database", "none"]
        command += ["--exclude-checks", ",".join(LEFT_OUT), "--suppress-health-check", "all"]
        with api.worker():
            return subprocess.run(command, cwd=folder, check=False, timeout=3_600).returncode
    finally:
        server.should_exit = True
        thread.join()
        api.close()


def main() -> int:
    """Run it on SQLite."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=100, help="for each operation and phase (default: %(default)s)")
    arguments = parser.parse_args()
    print(f"seed {SEED}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        return run(Path(folder), arguments.examples)


if __name__ == "__main__":
    sys.exit(main())
