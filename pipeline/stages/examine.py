"""Look at files with one scanner: the same path for a server's review and for `fixwright scan`, with or without a cache.

Every file ends in the ledger: looked at, or a gap with its reason. What the cache knows is not read from git at all, so that the cost
of a push follows its diff.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol, TypeVar

from pydantic import TypeAdapter

from pipeline.errors import EngineNotIsolated, Superseded
from pipeline.model.finding import Finding
from pipeline.model.ids import BlobId
from pipeline.model.scan import (
    Coverage,
    Covered,
    EngineInfo,
    EngineRun,
    FindingSeen,
    Gap,
    GapClass,
    GapSeen,
    ScanRequest,
    ScanResult,
    ScanType,
)
from pipeline.policy import Policy
from pipeline.ports import Control, Scanner
from pipeline.sandbox.process import Level, best_level
from pipeline.sandbox.tree import private_folder, write_tree
from pipeline.tally import TALLY

log = logging.getLogger(__name__)

K = TypeVar("K")

MAX_FILE = 100 * 1024 * 1024
"""Bytes. A larger blob is a gap: it would not fit into memory beside the rest."""

BATCH_FILES, BATCH_BYTES = 1_000, 100 * 1024 * 1024
"""An engine looks at so many files at once; a larger change or folder is several runs."""

LAYER = "fixwright-version-"
"""Folder names in an engine's tree for further versions of a file that is there already."""

SECONDS = 120.0
"""Wall-clock limit of one run of one engine."""


@dataclass(frozen=True, slots=True)
class SideFile:
    """One file of one side of a change."""

    path: str
    blob: BlobId
    mode: str
    """git's: `100644`, `100755`, `120000` (symbolic link), `160000` (submodule)."""


class Cache(Protocol):
    """Results of file-local engines, by a key that names everything that they depend on."""

    def get_many(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """The known ones."""

    def put_many(self, entries: Mapping[bytes, bytes]) -> None:
        """Remember."""


class Blobs(Protocol):
    """Where contents come from: a mirror, or a folder on disk."""

    def sizes(self, blobs: Iterable[BlobId]) -> Mapping[BlobId, int]:
        """Bytes of each; what is missing there is missing in the answer."""

    def read(self, blobs: Iterable[BlobId], *, max_size: int) -> Iterator[tuple[BlobId, bytes]]:
        """Contents; larger ones are left out."""


@dataclass(frozen=True)
class CachedFile:
    """What is remembered of one file: its findings, or why it could not be looked at."""

    findings: tuple[Finding, ...] = ()
    gaps: tuple[Gap, ...] = ()


_CACHED = TypeAdapter(CachedFile)
_MODES = {"120000": "a symbolic link", "160000": "a submodule", "040000": "a folder"}


@dataclass
class RunControl:
    """`pipeline.ports.Control` of a running stage."""

    engines_dir: Path
    wanted: Callable[[], bool]
    level: Callable[[], Level] = best_level
    """The sandbox's level on this machine."""

    def cancelled(self) -> bool:
        """True when the review was superseded or the lease was lost."""
        return not self.wanted()

    def isolated(self) -> bool:
        """True at the levels that isolate."""
        return self.level().isolates


@dataclass(frozen=True, slots=True)
class _Version:
    """One content under one name, whichever sides have it."""

    path: str
    blob: BlobId


@dataclass
class _Seen:
    """What is known of each version, and of the runs as a whole."""

    versions: dict[_Version, CachedFile] = field(default_factory=dict)
    cached: set[_Version] = field(default_factory=set)
    run_gaps: list[Gap] = field(default_factory=list)
    seconds: float = 0.0


def cache_key(info: EngineInfo, path: str, blob: BlobId, salt: bytes = b"") -> bytes:
    """SHA-256 over all that a file-local result depends on. `salt` separates installations whose keyed hashes differ."""
    name = path.encode("utf-8", "surrogateescape")
    parts = [info.name.encode(), info.version.encode(), info.rules_digest.encode(), name, blob.encode(), hashlib.sha256(salt).digest()]
    return hashlib.sha256(b"\0".join(parts)).digest()


def examine(
    scanner: Scanner,
    files: Sequence[SideFile],
    blobs: Blobs,
    policy: Policy,
    control: Control,
    *,
    cache: Cache | None = None,
    secret_key: bytes = b"",
) -> ScanResult:
    """`examine_sides` for a single set of files."""
    return examine_sides(scanner, {"": files}, blobs, policy, control, cache=cache, secret_key=secret_key)[""]


def examine_sides(
    scanner: Scanner,
    sides: Mapping[K, Sequence[SideFile]],
    blobs: Blobs,
    policy: Policy,
    control: Control,
    *,
    cache: Cache | None = None,
    secret_key: bytes = b"",
    seconds: float = SECONDS,
    fetch: Callable[[Iterable[BlobId]], None] = lambda _: None,
) -> dict[K, ScanResult]:
    """Findings and coverage of one scanner on several states of the same files, with one start of the engine for all of them.

    Args:
        sides: by name; each has at most one file per path.
        seconds: wall-clock limit of one run of the engine.
        fetch: brings missing blobs to us in one go, before they are read.

    Raises:
        EngineError: a run as a whole failed; GitError from `blobs` and `fetch`; Superseded.
    """
    started = time.monotonic()
    info = scanner.info(control)
    if policy.engines.isolated and not control.isolated():
        said = f"{info.name} is not run: the policy requires isolation, and the sandbox of this machine has only limits"
        raise EngineNotIsolated(said, engine=info.name, hint="install bubblewrap, or allow unprivileged user namespaces")
    left_out = {side: _left_out(scanner, files, policy) for side, files in sides.items()}
    wanted = [_Version(file.path, file.blob) for side, files in sides.items() for file in files if file.path not in left_out[side]]
    seen = _Seen()
    missing = _from_cache(info, list(dict.fromkeys(wanted)), cache, seen, secret_key)
    if missing:
        fetch(version.blob for version in missing)
        for batch in _batches(scanner, missing, blobs, seen):
            if control.cancelled():
                raise Superseded("nobody wants this scan any more")
            _run(scanner, batch, blobs, control, seen, secret_key, seconds)
            _remember(info, batch, cache, seen, secret_key)
    seen.seconds = round(time.monotonic() - started, 3)
    TALLY.observe("fixwright_scan_seconds", seen.seconds, engine=info.name)
    if info.file_local and cache is not None:
        TALLY.add("fixwright_cache_files_total", len(seen.cached), engine=info.name, result="hit")
        TALLY.add("fixwright_cache_files_total", len(missing), engine=info.name, result="miss")
    return {
        side: _result(info, scanner.scan_type, files, left_out[side], seen, first=n == 0) for n, (side, files) in enumerate(sides.items())
    }


def _left_out(scanner: Scanner, files: Sequence[SideFile], policy: Policy) -> dict[str, Gap]:
    gaps = {}
    for file in files:
        reason = ""
        if file.mode in _MODES:
            reason = _MODES[file.mode]
        elif policy.excluded(file.path):
            reason = "excluded by the policy of the base"
        elif not scanner.concerns(file.path):
            reason = "no rule for this kind of file"
        if reason:
            gaps[file.path] = Gap(scanner.name, file.path, reason, GapClass.NOT_APPLICABLE)
    return gaps


def _from_cache(info: EngineInfo, versions: list[_Version], cache: Cache | None, seen: _Seen, salt: bytes) -> list[_Version]:
    if cache is None or not info.file_local or not versions:
        return versions
    keys = {cache_key(info, version.path, version.blob, salt): version for version in versions}
    known = cache.get_many(list(keys))
    missing = []
    for key, version in keys.items():
        entry = known.get(key)
        try:
            remembered = _CACHED.validate_python(json.loads(entry)) if entry is not None else None
        except ValueError:  # no JSON, or of another version
            log.warning("cache.unreadable", extra={"engine": info.name})
            remembered = None
        if remembered is None:
            missing.append(version)
        else:
            seen.versions[version] = remembered
            seen.cached.add(version)
    return missing


def _batches(scanner: Scanner, versions: list[_Version], blobs: Blobs, seen: _Seen) -> Iterator[list[_Version]]:
    """Versions in trees of a bounded size. What is too large for any tree, or has no content, is a gap."""
    sizes = blobs.sizes(version.blob for version in versions)
    batch: list[_Version] = []
    total = 0
    for version in versions:
        size = sizes.get(version.blob)
        if size is None:
            gap = Gap(scanner.name, version.path, "git has no content for it", GapClass.ERROR, "us")
            seen.versions[version] = CachedFile(gaps=(gap,))
            continue
        if size > MAX_FILE:
            gap = Gap(scanner.name, version.path, f"larger than {MAX_FILE // 1024 // 1024} MB", GapClass.LIMIT)
            seen.versions[version] = CachedFile(gaps=(gap,))
            continue
        if batch and (len(batch) >= BATCH_FILES or total + size > BATCH_BYTES):
            yield batch
            batch, total = [], 0
        batch.append(version)
        total += size
    if batch:
        yield batch


def _tree_names(batch: list[_Version]) -> dict[str, _Version]:
    """A name in the engine's tree for each version: its own for the first of a path, one below a folder of its own for the others."""
    taken = {version.path for version in batch}
    names: dict[str, _Version] = {}
    for version in batch:
        name, layer = version.path, 0
        while name in names or (layer and name in taken):
            layer += 1
            name = f"{LAYER}{layer}/{version.path}"
        names[name] = version
    return names


def _run(scanner: Scanner, batch: list[_Version], blobs: Blobs, control: Control, seen: _Seen, secret_key: bytes, seconds: float) -> None:
    names = _tree_names(batch)
    by_blob: dict[BlobId, list[str]] = {}
    for name, version in names.items():
        by_blob.setdefault(version.blob, []).append(name)

    def contents() -> Iterator[tuple[str, BlobId, bytes]]:
        for blob, content in blobs.read(by_blob, max_size=MAX_FILE):
            for name in by_blob[blob]:
                yield name, blob, content

    findings: dict[str, list[Finding]] = {}
    gaps: dict[str, list[Gap]] = {}
    covered: set[str] = set()
    with private_folder("scan") as folder:
        tree = write_tree(folder / "tree", contents())
        for gap in tree.gaps:
            gaps.setdefault(gap.path, []).append(replace(gap, engine=scanner.name))
        for output in scanner.scan(ScanRequest(tree, seconds, secret_key), control):
            match output:
                case FindingSeen(finding):
                    findings.setdefault(finding.location.path, []).append(finding)
                case GapSeen(gap):
                    gaps.setdefault(gap.path, []).append(gap)
                case Covered(paths):
                    covered.update(paths)
                case _:
                    pass
    whole = gaps.pop("", [])
    seen.run_gaps.extend(whole)
    for name, version in names.items():
        said = gaps.get(name, [])
        if name not in covered and not said and not whole:
            said = [Gap(scanner.name, name, f"{scanner.name} said nothing about it", GapClass.ERROR)]
        own = tuple(_renamed(finding, version) for finding in findings.get(name, ()))
        seen.versions[version] = CachedFile(own, tuple(replace(gap, path=version.path) for gap in said))


def _renamed(finding: Finding, version: _Version) -> Finding:
    source = replace(finding.source, path=version.path) if finding.source else None
    return replace(finding, location=replace(finding.location, path=version.path), source=source, blob=version.blob)


def _remember(info: EngineInfo, batch: list[_Version], cache: Cache | None, seen: _Seen, salt: bytes) -> None:
    """Keep what will be the same next time: an error may be gone then, a limit will not."""
    if cache is None or not info.file_local or seen.run_gaps:
        return
    lasting = {v: seen.versions[v] for v in batch if all(gap.gap_class is not GapClass.ERROR for gap in seen.versions[v].gaps)}
    cache.put_many({cache_key(info, v.path, v.blob, salt): _dump(entry) for v, entry in lasting.items()})


def _dump(entry: CachedFile) -> bytes:
    """ASCII: a path may hold bytes that are no UTF-8, which pydantic's own JSON refuses."""
    return json.dumps(_CACHED.dump_python(entry, mode="json"), separators=(",", ":")).encode("ascii")


def _result(
    info: EngineInfo, scan_type: ScanType, files: Sequence[SideFile], left_out: Mapping[str, Gap], seen: _Seen, *, first: bool
) -> ScanResult:
    findings: list[Finding] = []
    gaps: list[Gap] = [*seen.run_gaps, *left_out.values()]
    looked, cached = 0, 0
    for file in files:
        version = _Version(file.path, file.blob)
        known = seen.versions.get(version) if file.path not in left_out else None
        if known is None:
            continue
        findings.extend(known.findings)
        gaps.extend(known.gaps)
        looked += not known.gaps
        cached += version in seen.cached
    # One start of the engine for all sides: its time is told once.
    run = EngineRun(info.name, info.version, info.rules_digest, looked, cached, seen.seconds if first else 0.0, scan_type)
    in_order = tuple(sorted(findings, key=lambda f: (f.location, f.rule.id)))
    return ScanResult(in_order, Coverage((run,), tuple(sorted(gaps, key=lambda g: (g.path, g.reason))), len(files), looked))


def merge(results: Sequence[ScanResult]) -> Coverage:
    """One ledger out of several scans of the same change: a file counts as checked when any engine looked at it."""
    runs: dict[tuple[str, str, str], EngineRun] = {}
    gaps: dict[Gap, None] = {}
    for result in results:
        for run in result.coverage.runs:
            key = (run.engine, run.version, run.rules_digest)
            seen = runs.get(key)
            runs[key] = (
                replace(run, files=seen.files + run.files, cached=seen.cached + run.cached, seconds=round(seen.seconds + run.seconds, 3))
                if seen
                else run
            )
        gaps.update(dict.fromkeys(result.coverage.gaps))
    return Coverage(tuple(runs.values()), tuple(gaps))
