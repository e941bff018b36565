"""What a host delivers once, and we write down in files while the database is away: row 17 before GitLab."""

from __future__ import annotations

import re
from pathlib import Path

from pipeline.store.spool import MAGIC, SUFFIX
from tests.faults.matrix import Run, fault
from tests.faults.rows.database import Told, locked
from tests.faults.rows.deliveries import an_hour_later
from tests.faults.rows.gitlab import ONLY

PLACES = {"in a head": 6, "in what follows it": 40}
"""Bytes behind the beginning of a record."""


@fault(17, "one bit changes in a file of deliveries that wait for the database", steps=tuple(PLACES), names=("database",), hosts=ONLY)
def spool_damaged(run: Run) -> None:
    """All others of that file are taken, the damaged one is named, and the hourly look brings what it told of."""
    stand = run.stand
    stand.quiet()
    told, folder = Told(stand), stand.folder / "state" / "spool"
    with locked(stand):
        run.begin_all()
        assert set(told.answers()) == {202}, f"it was answered {told.answers()}"
        stand.parts["web"].kill()
        file, at = _flip(run, folder)
    stand.start("web")
    stand.wait("the others", lambda: not list(folder.glob(f"*{SUFFIX}")), 30)
    stand.wait("all but one", lambda: len(told.lost()) == 1, 30)
    said = re.findall(r"spool[.]damaged .*", stand.log())
    assert any(file in line and re.search(rf"at_byte=\"?{at}\b", line) for line in said), said
    an_hour_later(run)
    run.cured()


def _flip(run: Run, folder: Path) -> tuple[str, int]:
    """Change one bit of one record; its file, and where the record begins."""
    records = [(path, found.start()) for path in sorted(folder.glob(f"*{SUFFIX}")) for found in re.finditer(MAGIC, path.read_bytes())]
    assert len(records) > 1, "too little was written down"
    path, at = run.random.choice(records)
    content = bytearray(path.read_bytes())
    content[at + PLACES[run.step]] ^= 1 << run.random.randrange(8)
    path.write_bytes(content)
    return path.name, at
