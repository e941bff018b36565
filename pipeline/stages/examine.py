"""Look at files with one scanner: the same path for a server's review and for `fixwright scan`, with or without a cache.

Every file ends in the ledger: looked at, or a gap with its reason. What the cache knows is not read from git at all, so that the cost
of a push follows its diff.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from pydantic import TypeAdapter, ValidationError

from pipeline.model.finding import Finding
from pipeline.model.ids import BlobId
from pipeline.model.scan import Coverage, Covered, EngineInfo, EngineRun, FindingSeen, Gap, GapClass, GapSeen, ScanRequest, ScanResult
from pipeline.policy import Policy
from pipeline.ports import Control, Scanner
from pipeline.sandbox.tree import TREE_LIMITS, private_folder, write_tree

log = logging.getLogger(__name__)

MAX_FILE = 100 * 1024 * 1024
"""Bytes. A larger blob is a gap: it would not fit into memory beside the rest."""

SECONDS = 120.0
"""Wall-clock limit of one engine on one side of a change."""


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
class _Ledger:
    findings: list[Finding] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    covered: set[str] = field(default_factory=set)
    cached: int = 0


def cache_key(info: EngineInfo, file: SideFile, salt: bytes = b"") -> bytes:
    """SHA-256 over all that a file-local result depends on. `salt` separates installations whose keyed hashes differ."""
    path = file.path.encode("utf-8", "surrogateescape")
    parts = [info.name.encode(), info.version.encode(), info.rules_digest.encode(), path, file.blob.encode(), hashlib.sha256(salt).digest()]
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
    fetch: Callable[[Iterable[BlobId]], None] = lambda _: None,
) -> ScanResult:
    """Findings and coverage of one scanner on one set of files.

    Args:
        files: at most one per path.
        fetch: brings missing blobs to us in one go, before they are read.

    Raises:
        EngineError: the run as a whole failed; GitError from `blobs` and `fetch`.
    """
    started = time.monotonic()
    info = scanner.info(control)
    ledger = _Ledger()
    wanted = list(_eligible(scanner, files, policy, ledger))
    if cache is not None and info.file_local:
        wanted = _from_cache(info, wanted, cache, ledger, secret_key)
    if wanted:
        fetch(file.blob for file in wanted)
        readable = _within_limits(scanner, wanted, blobs, ledger)
        _run(scanner, readable, blobs, control, ledger, secret_key)
        if cache is not None and info.file_local:
            _remember(info, readable, cache, ledger, secret_key)
    run = EngineRun(
        engine=info.name,
        version=info.version,
        rules_digest=info.rules_digest,
        files=len(ledger.covered),
        cached=ledger.cached,
        seconds=round(time.monotonic() - started, 3),
    )
    findings = tuple(sorted(ledger.findings, key=lambda f: (f.location, f.rule.id)))
    gaps = tuple(sorted(ledger.gaps, key=lambda g: (g.path, g.reason)))
    return ScanResult(findings, Coverage((run,), gaps, len(files), len(ledger.covered)))


def _eligible(scanner: Scanner, files: Sequence[SideFile], policy: Policy, ledger: _Ledger) -> Iterator[SideFile]:
    for file in files:
        reason = ""
        if file.mode in _MODES:
            reason = _MODES[file.mode]
        elif policy.excluded(file.path):
            reason = "excluded by the policy of the base"
        elif not scanner.concerns(file.path):
            reason = "no rule for this kind of file"
        if reason:
            ledger.gaps.append(Gap(scanner.name, file.path, reason, GapClass.NOT_APPLICABLE))
        else:
            yield file


def _from_cache(info: EngineInfo, files: list[SideFile], cache: Cache, ledger: _Ledger, salt: bytes) -> list[SideFile]:
    keys = {cache_key(info, file, salt): file for file in files}
    known = cache.get_many(list(keys))
    missing = []
    for key, file in keys.items():
        entry = known.get(key)
        try:
            remembered = _CACHED.validate_json(entry) if entry is not None else None
        except ValidationError:
            log.warning("cache entry unreadable, looked at anew", extra={"engine": info.name})
            remembered = None
        if remembered is None:
            missing.append(file)
            continue
        ledger.cached += 1
        ledger.findings.extend(remembered.findings)
        ledger.gaps.extend(remembered.gaps)
        if not remembered.gaps:
            ledger.covered.add(file.path)
    return missing


def _within_limits(scanner: Scanner, files: list[SideFile], blobs: Blobs, ledger: _Ledger) -> list[SideFile]:
    sizes = blobs.sizes(file.blob for file in files)
    total = 0
    readable = []
    for count, file in enumerate(files):
        size = sizes.get(file.blob)
        reason = ""
        if size is None:
            ledger.gaps.append(Gap(scanner.name, file.path, "git has no content for it", GapClass.ERROR, "us"))
            continue
        if size > MAX_FILE:
            reason = f"larger than {MAX_FILE // 1024 // 1024} MB"
        elif total + size > TREE_LIMITS.total_bytes:
            reason = f"the change is larger than {TREE_LIMITS.total_bytes // 1_000_000} MB"
        elif count >= TREE_LIMITS.files:
            reason = f"more than {TREE_LIMITS.files} files"
        if reason:
            ledger.gaps.append(Gap(scanner.name, file.path, reason, GapClass.LIMIT))
            continue
        total += size
        readable.append(file)
    return readable


def _run(scanner: Scanner, files: list[SideFile], blobs: Blobs, control: Control, ledger: _Ledger, secret_key: bytes) -> None:
    if not files:
        return
    by_blob: dict[BlobId, list[str]] = {}
    for file in files:
        by_blob.setdefault(file.blob, []).append(file.path)

    blob_of = {file.path: file.blob for file in files}

    def contents() -> Iterator[tuple[str, BlobId, bytes]]:
        for blob, content in blobs.read(by_blob, max_size=MAX_FILE):
            for path in by_blob[blob]:
                yield path, blob, content

    with private_folder("scan") as folder:
        tree = write_tree(folder / "tree", contents())
        ledger.gaps.extend(tree.gaps)
        said = {gap.path for gap in tree.gaps}
        for output in scanner.scan(ScanRequest(tree, SECONDS, secret_key), control):
            match output:
                case FindingSeen(finding):
                    ledger.findings.append(replace(finding, blob=blob_of.get(finding.location.path)))
                case GapSeen(gap):
                    ledger.gaps.append(gap)
                    said.add(gap.path)
                case Covered(paths):
                    ledger.covered.update(paths)
                    said.update(paths)
                case _:
                    pass
    silent = {file.path for file in files} - said
    if "" not in said:
        ledger.gaps.extend(Gap(scanner.name, path, f"{scanner.name} said nothing about it", GapClass.ERROR) for path in sorted(silent))


def _remember(info: EngineInfo, files: list[SideFile], cache: Cache, ledger: _Ledger, salt: bytes) -> None:
    gaps: dict[str, list[Gap]] = {}
    for gap in ledger.gaps:
        gaps.setdefault(gap.path, []).append(gap)
    findings: dict[str, list[Finding]] = {}
    for finding in ledger.findings:
        findings.setdefault(finding.location.path, []).append(finding)
    entries = {}
    for file in files:
        own = gaps.get(file.path, [])
        # An error may be gone at the next try; a limit will not.
        lasting = all(gap.gap_class is not GapClass.ERROR for gap in own)
        if lasting and (file.path in ledger.covered or own):
            entries[cache_key(info, file, salt)] = _CACHED.dump_json(CachedFile(tuple(findings.get(file.path, ())), tuple(own)))
    cache.put_many(entries)


def merge(results: Sequence[ScanResult]) -> Coverage:
    """One ledger out of several scans of the same change: a file counts as checked when any engine looked at it."""
    runs: dict[tuple[str, str, str], EngineRun] = {}
    gaps: dict[Gap, None] = {}
    for result in results:
        for run in result.coverage.runs:
            key = (run.engine, run.version, run.rules_digest)
            seen = runs.get(key)
            runs[key] = (
                EngineRun(*key, seen.files + run.files, seen.cached + run.cached, round(seen.seconds + run.seconds, 3)) if seen else run
            )
        gaps.update(dict.fromkeys(result.coverage.gaps))
    return Coverage(tuple(runs.values()), tuple(gaps))
