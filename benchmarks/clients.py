"""Many clients of the public API at once: `fixwright up` with its real processes, and callers who start scans and fixes, change statuses
and poll events for two minutes.

What is looked at in the end: each change of a finding's status follows the one before it (no update is lost), as many units of the plan are
spent as there were acceptances (none twice), every event came to a poller once, everything that was accepted has ended, and the memory of
the web process. Clients and servers share this machine's cores.
"""

from __future__ import annotations

import base64
import os
import random
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import httpx

from benchmarks.table import Table
from tests.databases import programs, server
from tests.e2e.processes import Running
from tests.engines import processes

CLIENTS: Final = 32
SECONDS: Final = 120.0
PLANS: Final = """\
default = "team"
[plans.team]
sast_scans = {scans}
prs = {fixes}
calls_per_minute = 1000000
"""
STATUSES: Final = ("open", "ignored", "false_positive", "needs_manual_review")
FLAT: Final = 1.15
"""What the web process may hold in the end, of what it held after a quarter of the time."""
FILES: Final = 12
FILE: Final = "import requests\n\n\ndef fetch_{number}(address):\n    return requests.get(address, verify=False, timeout=5)\n"


@dataclass
class Seen:
    """What the clients saw, together."""

    milliseconds: dict[str, list[float]] = field(default_factory=dict)
    answers: Counter[str] = field(default_factory=Counter)
    changes: int = 0
    other: int = 0
    """Changes that were accepted, and whose answer shows another status."""
    scans: set[str] = field(default_factory=set)
    fixes: set[str] = field(default_factory=set)
    events: list[str] = field(default_factory=list)
    """Ids, as the poller read them."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, what: str, began: float, answer: httpx.Response) -> None:
        """One answer."""
        with self.lock:
            self.milliseconds.setdefault(what, []).append((time.perf_counter() - began) * 1e3)
            self.answers[f"{what} {answer.status_code}"] += 1


class Caller:
    """One client."""

    def __init__(self, number: int, client: httpx.Client, repository: str, source: str, findings: list[str], seen: Seen) -> None:
        self._random = random.Random(number)
        self._client, self._path, self._source = client, f"/repositories/{repository}", source
        self._findings, self._seen = findings, seen

    def live(self, until: float) -> None:
        """Do one thing after the other."""
        while time.monotonic() < until:
            deed = self._random.choices((self.change, self.look, self.scan, self.fix), (10, 10, 1, 1))[0]
            deed()

    def _ask(self, what: str, method: str, path: str, body: object = None) -> httpx.Response:
        began = time.perf_counter()
        answer = self._client.request(method, path, json=body)
        self._seen.note(what, began, answer)
        return answer

    def change(self) -> None:
        """A status, of a finding that others change, too."""
        status = self._random.choice(STATUSES)
        path = f"{self._path}/findings/{self._random.choice(self._findings)}"
        answer = self._ask("PATCH finding", "PATCH", path, {"status": status})
        if answer.status_code == 200:
            with self._seen.lock:
                self._seen.changes += 1
                self._seen.other += answer.json()["status"] != status

    def look(self) -> None:
        """A list."""
        self._ask("GET findings", "GET", f"{self._path}/findings?limit=20&status={self._random.choice(STATUSES)}")

    def scan(self) -> None:
        """Begin one."""
        answer = self._ask("POST scan", "POST", f"{self._path}/scans", {"scan_type": "semgrep_scan"})
        if answer.status_code == 202:
            with self._seen.lock:
                self._seen.scans.add(answer.json()["batch_id"])

    def fix(self) -> None:
        """Begin one."""
        body = {"finding_ids": [self._random.choice(self._findings)], "title": "x", "instructions": "mend it", "source_repo": self._source}
        answer = self._ask("POST fix", "POST", f"{self._path}/fixes", {**body, "source_repo_provider": "github"})
        if answer.status_code == 201:
            with self._seen.lock:
                self._seen.fixes.add(answer.json()["id"])


def run(quick: bool) -> Table:
    """Two minutes on each database, or some seconds on SQLite."""
    seconds = 5.0 if quick else SECONDS
    plans = PLANS.format(scans=4, fixes=2) if quick else PLANS.format(scans=12, fixes=6)
    table = Table(f"{CLIENTS} clients of the API for {seconds:.0f} s", "ms")
    _on("SQLite", plans, seconds, {}, table)
    if not quick and programs() is None:
        table.notes.append("PostgreSQL: not checked, it is not installed")
    elif not quick:
        with server() as postgres:
            postgres.execute("CREATE DATABASE clients")
            key = base64.b64encode(os.urandom(32)).decode()
            _on("PostgreSQL", plans, seconds, {"DATABASE_URL": postgres.url("clients"), "FIXWRIGHT_SECRET_KEY": key}, table)
    return table


def _on(kind: str, plans: str, seconds: float, settings: dict[str, str], table: Table) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "running").mkdir()
        (folder / "plans.toml").write_text(plans)
        settings = {**settings, "FIXWRIGHT_PLANS": str(folder / "plans.toml"), "FIXWRIGHT_LOG_LEVEL": "error"}
        running = Running(folder / "running", settings)
        running.repo.commit({f"f{number}.py": FILE.format(number=number) for number in range(FILES)}, "everything")
        running.start()
        try:
            running.push("main")
            seen, notes = _measure(running, seconds)
        finally:
            running.stop()
            running.close()
    table.rows += [(f"{kind} {what}", samples) for what, samples in sorted(seen.milliseconds.items())]
    table.notes += [f"{kind}: {note}" for note in notes]


def _measure(running: Running, seconds: float) -> tuple[Seen, list[str]]:
    key = running.fixwright("keys", "create", "--name", "many").stdout.decode().strip()
    base = {"base_url": f"{running.url}/api/v1", "headers": {"Authorization": f"Bearer {key}"}, "timeout": 60.0}
    seen = Seen()
    with httpx.Client(**base, limits=httpx.Limits(max_connections=CLIENTS + 4)) as client:  # type: ignore[arg-type]
        repository, source, findings = _ready(running, client)
        before = client.get("/quotas/balance").json()
        stop = threading.Event()
        poller = threading.Thread(target=_poll, args=(client, seen, stop))
        poller.start()
        until = time.monotonic() + seconds
        callers = [Caller(number, client, repository, source, findings, seen) for number in range(CLIENTS)]
        threads = [threading.Thread(target=caller.live, args=(until,)) for caller in callers]
        for thread in threads:
            thread.start()
        time.sleep(seconds / 4)
        early = _memory(running)
        for thread in threads:
            thread.join()
        late = _memory(running)
        _ended(running, client, repository, seen)
        stop.set()
        poller.join()
        notes = [*_judged(client, repository, findings, before, seen), _grown(early, late)]
        notes.append("answers: " + ", ".join(f"{what} {count}" for what, count in sorted(seen.answers.items())))
    return seen, notes


def _ready(running: Running, client: httpx.Client) -> tuple[str, str, list[str]]:
    """Until the first scan has listed every finding."""
    found: list[Any] = []

    def listed() -> bool:
        repositories = client.get("/repositories").json()["items"]
        if not repositories:
            return False
        found[:] = [repositories[0], client.get(f"/repositories/{repositories[0]['id']}/findings?limit=200").json()["items"]]
        return len(found[1]) >= FILES

    running.wait("the first list of findings", listed, 120)
    return found[0]["id"], found[0]["repositories"][0]["full_name"], [one["id"] for one in found[1]]


def _poll(client: httpx.Client, seen: Seen, stop: threading.Event) -> None:
    """Read the newest events until one that is known, again and again."""
    known: set[str] = set()
    last = False
    while True:
        last = stop.is_set()
        fresh: list[str] = []
        cursor = None
        while True:
            page = client.get("/finding-events", params={"limit": 200} | ({"cursor": cursor} if cursor else {})).json()
            new = [event["id"] for event in page["items"] if event["id"] not in known]
            fresh += new
            cursor = page["next_cursor"]
            if len(new) < len(page["items"]) or not page["has_next"]:
                break
        known |= set(fresh)
        seen.events += fresh[::-1]
        if last:
            return
        time.sleep(0.2)


def _ended(running: Running, client: httpx.Client, repository: str, seen: Seen) -> None:
    def over() -> bool:
        scans = [client.get(f"/repositories/{repository}/scans/{one}/progress").json()["percent_complete"] for one in sorted(seen.scans)]
        fixes = [client.get(f"/repositories/{repository}/fixes/{one}").json()["status"] for one in sorted(seen.fixes)]
        return all(percent == 100 for percent in scans) and not {"pending", "running"} & set(fixes)

    running.wait("the end of everything that was accepted", over, 600)
    time.sleep(3.0)  # the last events have their place


def _judged(client: httpx.Client, repository: str, findings: list[str], before: Any, seen: Seen) -> list[str]:
    """What must hold, each said with its numbers."""
    lost, changes = 0, 0
    for finding in findings:
        events = _events(client, finding)
        said = [(one["previous_status"], one["new_status"]) for one in events if one["new_status"]]
        lost += sum(earlier[1] != later[0] for earlier, later in pairwise(said))
        changes += sum(one["event_type"] in ("status_changed", "resolved_manual", "reopened") for one in events)
        lost += bool(said) and client.get(f"/repositories/{repository}/findings/{finding}").json()["status"] != said[-1][1]
    after = client.get("/quotas/balance").json()
    spent = {name: after[name]["used"] - before[name]["used"] for name in ("sast_scans", "prs")}
    whole = [one["id"] for one in _events(client, "")]
    twice = len(seen.events) - len(set(seen.events))
    missed = len(set(whole) - set(seen.events))
    root = f"/repositories/{repository}"
    # What failed for a reason of ours may have been given back.
    kept = {
        "sast_scans": sum(client.get(f"{root}/scans/{one}").json()["status"] != "failed" for one in seen.scans),
        "prs": sum(client.get(f"{root}/fixes/{one}").json()["status"] == "completed" for one in seen.fixes),
    }
    accepted = {"sast_scans": len(seen.scans), "prs": len(seen.fixes)}
    double = any(not kept[name] <= spent[name] <= accepted[name] or after[name]["used"] > after[name]["plan"] for name in kept)
    lost += seen.other + max(0, changes - seen.changes)
    faults = sum(count for what, count in seen.answers.items() if what[-3] == "5")
    return [
        f"changes of status: {seen.changes} accepted, {changes} told (one to the same status is none),"
        f" {lost} out of order or lost{' MISSED' if lost else ''}",
        f"units: {len(seen.scans)} scans and {len(seen.fixes)} fixes accepted, {kept['sast_scans']} and {kept['prs']} did not fail,"
        f" {spent['sast_scans']} and {spent['prs']} spent"
        f" (plan: {after['sast_scans']['plan']} and {after['prs']['plan']}){' MISSED' if double else ''}",
        f"events: {len(whole)} in the log, {len(seen.events)} polled, {twice} twice, {missed} missed{' MISSED' if twice or missed else ''}",
        f"answers 5xx: {faults}{' MISSED' if faults else ''}",
    ]


def _events(client: httpx.Client, finding: str) -> list[Any]:
    """Of a finding, or all; the oldest first."""
    found: list[Any] = []
    cursor = None
    while True:
        query: dict[str, Any] = {"limit": 200} | ({"finding_id": finding} if finding else {}) | ({"cursor": cursor} if cursor else {})
        page = client.get("/finding-events", params=query).json()
        found += page["items"]
        cursor = page["next_cursor"]
        if not page["has_next"]:
            return found[::-1]


def _memory(running: Running) -> float:
    """MB of the web process and its children that serve."""
    assert running.process is not None
    total = 0
    for pid, arguments in processes():
        if "bot.cli" in arguments and "web" in arguments:
            with suppress(OSError):
                lines = Path(f"/proc/{pid}/status").read_text().splitlines()
                if f"{running.environment['FIXWRIGHT_STATE_DIR']}".encode() in Path(f"/proc/{pid}/environ").read_bytes():
                    total += next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))
    return total / 1024


def _grown(early: float, late: float) -> str:
    grown = late / early if early else 0.0
    return f"memory of the web process: {early:.0f} MB, then {late:.0f} MB{' MISSED' if grown > FLAT or not early else ''}"
