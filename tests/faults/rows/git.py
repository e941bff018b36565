"""Git that refuses, hangs and lies, and mirrors that broke on the disk: rows 43 and 44."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.faults.matrix import Run, fault
from tests.faults.stand import Stand
from tests.worlds.faults import Action, Instead, Pack, Status

UPLOAD = r"/octo/shop(\.git)?/git-upload-pack$"
ANY = r"/octo/shop(\.git)?/(info/refs|git-upload-pack)$"
SILENCE = 20.0
"""Seconds after which our git gives up on a server that says nothing any more (`http.lowSpeedTime`)."""
_PACKED = {"content-type": "application/x-git-upload-pack-result"}

LIES: dict[str, tuple[str, Callable[[Stand], Action]]] = {
    "401": (ANY, lambda _: Status(401, b"Bad credentials\n", {"www-authenticate": 'Basic realm="GitHub"', "content-type": "text/plain"})),
    "403": (ANY, lambda _: Status(403, b"Forbidden\n", {"content-type": "text/plain"})),
    "500": (ANY, lambda _: Status(500, b"oops\n", {"content-type": "text/plain"})),
    "a page instead of a pack": (UPLOAD, lambda _: Status(200, b"<html><title>Unicorn!</title>", {"content-type": "text/html"})),
    "garbage instead of a pack": (UPLOAD, lambda _: Status(200, bytes(range(256)) * 8, _PACKED)),
    "half a pack": (UPLOAD, lambda _: Pack(after=200)),
    "another commit": (UPLOAD, lambda stand: Instead(stand.shop.git.branch("main") or "")),
}


def mirrors(stand: Stand) -> list[Path]:
    """The mirror of the shop, in a list; empty when there is none."""
    main = stand.shop.git.branch("main") or ""
    found = (stand.folder / "state" / "mirrors").glob("*.git")
    return [path for path in found if _git(path, "cat-file", "-e", main).returncode == 0]


def _git(place: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = ["git", f"--git-dir={place}", *arguments]
    return subprocess.run(command, capture_output=True, timeout=60, check=False, env={"PATH": "/usr/bin:/bin", "GIT_NO_LAZY_FETCH": "1"})


def poisoned(stand: Stand) -> list[str]:
    """What is wrong with packs of the shop's mirror."""
    packs = [pack for mirror in mirrors(stand) for pack in mirror.glob("objects/pack/*.idx")]
    return [f"{pack.name}: {said.stderr.decode()}" for pack in packs if (said := _git(pack.parent, "verify-pack", str(pack))).returncode]


def said(stand: Stand, what: str) -> int:
    """How often something stands in the logs."""
    return stand.log().count(what)


@fault(43, "the git server lies", steps=tuple(LIES))
def lies(run: Run) -> None:
    stand, (path, action) = run.stand, LIES[run.step]
    before = said(stand, "message.failed")
    stand.world.faults.add("*", path, action(stand), times=2)
    run.begin()
    run.begin()
    stand.wait("an end of the lies", lambda: not stand.world.faults.open)
    run.cured()
    assert said(stand, "message.failed") + said(stand, "mirror.dropped") > before, "nobody noticed"
    run.more.append(lambda: poisoned(stand))


@fault(43, "the git server hangs in the middle of a pack")
def hangs(run: Run) -> None:
    stand, other = run.stand, run.stand.repository("elsewhere")
    before = said(stand, "message.failed")
    stand.world.faults.add("POST", UPLOAD, Pack(after=200, seconds=SILENCE * 3))
    run.begin()
    stand.wait("a pack that hangs", lambda: not stand.world.faults.open)
    begun = time.monotonic()
    neighbour = run.begin(other, alike=False)
    stand.wait("a check of another repository", lambda: neighbour.finished, SILENCE)
    stand.wait("git to give up", lambda: said(stand, "message.failed") > before, SILENCE * 2)
    assert time.monotonic() - begun < SILENCE + 5, f"git gave up after {time.monotonic() - begun:.0f} s"
    run.cured()
    run.more.append(lambda: poisoned(stand))


# --- row 44 -----------------------------------------------------------------------------------------------------------------------------


def _cut_packs(mirror: Path) -> None:
    for pack in mirror.glob("objects/pack/*.pack"):
        pack.chmod(0o644)
        content = pack.read_bytes()
        pack.write_bytes(content[: len(content) // 2])


def _lose_packs(mirror: Path) -> None:
    for part in mirror.glob("objects/pack/pack-*"):
        part.unlink()


def _flip(mirror: Path) -> None:
    for pack in mirror.glob("objects/pack/*.pack"):
        pack.chmod(0o644)
        content = bytearray(pack.read_bytes())
        for place in range(12, len(content) - 20, 7):
            content[place] ^= 0xFF
        pack.write_bytes(bytes(content))


def _empty_heads(mirror: Path) -> None:
    for name in ("HEAD", "config", "shallow"):
        (mirror / name).write_bytes(b"")


def _lock(mirror: Path) -> None:
    """As a killed git leaves it."""
    for name in ("shallow.lock", "packed-refs.lock", "config.lock", "HEAD.lock", "objects/pack/tmp_pack_Xy12Zz", "refs/fixwright/x.lock"):
        (mirror / name).parent.mkdir(exist_ok=True)
        (mirror / name).write_bytes(b"x")


BREAKS: dict[str, Callable[[Path], None]] = {
    "packs cut in half": _cut_packs,
    "packs lost": _lose_packs,
    "bits flipped": _flip,
    "HEAD and configuration emptied": _empty_heads,
    "locks left behind": _lock,
}


@fault(44, "the mirror is broken on the disk, and two changes want it at once", steps=tuple(BREAKS))
def broken(run: Run) -> None:
    stand = run.stand
    stand.quiet()
    (mirror,) = mirrors(stand)
    before = said(stand, "mirror.dropped")
    BREAKS[run.step](mirror)
    run.begin()
    run.begin()
    run.cured()
    # What is lost altogether can be fetched into the same mirror.
    dropped = {"locks left behind": {0}, "packs lost": {0, 1}}.get(run.step, {1})
    run.more.append(lambda: _once(said(stand, "mirror.dropped") - before, dropped))
    run.more.append(lambda: poisoned(stand))


def _once(times: int, expected: set[int]) -> list[str]:
    return [] if times in expected else [f"the mirror was made anew {times} times, expected {sorted(expected)}"]
