"""Deliveries in files, while the database cannot take them: for a host that does not deliver again.

A spool is a folder of segments. One process appends to a segment of its own, which it holds locked; every record is synced to the disk
before its delivery is acknowledged. Whoever drains takes the segments in the order in which they were begun, each one under its lock,
and removes a segment only after everything in it was committed. A process that is killed loses its locks, and the next one takes over.

A record: MAGIC, length of its content, checksum of the content, checksum of these three (each four bytes, big-endian), and the content:
one line of JSON, then the body as it was delivered, sealed where there is a key. A record that the end of the file cuts off was never
acknowledged, as nothing follows a record before it is synced. One that is wrong in any other way was damaged later: reading goes on at
the next head, every whole record comes out, and the segment is set aside for a person. Nothing inside of a record is taken for a head: no
JSON, in which line and body are, has the first byte of a length in it (at most 2: RFC 8259, section 7), and what is sealed has a whole
head by chance once in 2^64 places.

Order: deliveries of one process come out as they came in. Those that arrive while something lies here may overtake it, which does no
harm: the same delivery has the same key, and the newest state is read from the host before anything is decided.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import secrets
import stat
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final

from pipeline.errors import StoreUnavailable
from pipeline.model.event import Delivery
from pipeline.store.seal import Vault

log = logging.getLogger(__name__)

MAGIC: Final = b"FWS1"
_HEAD: Final = struct.Struct(">4sIII")

SEGMENT_BYTES: Final = 4 * 1024 * 1024
"""A segment that has grown so large is followed by a new one: what was drained is removed a segment at a time."""

AT_ONCE: Final = 64
"""Deliveries that are handed over together."""

MAX_CONTENT: Final = 32 * 1024 * 1024
"""Bytes of one record: more than any body that is accepted. A greater length is damage, and is not tried."""

CHUNK: Final = 64 * 1024
"""Bytes that are searched together for the next head."""

TOLD: Final = 20
"""Damaged records of one segment whose places are told; of more their number."""

KIND: Final = "spool"
"""Under which a vault seals records."""

SUFFIX, DAMAGED = ".segment", ".damaged"

PRIVATE: Final = frozenset({"authorization", "cookie", "proxy-authorization"})
"""Headers that prove nothing about a delivery, and are not written down."""

Take = Callable[[Sequence[Delivery]], Sequence[bool]]
"""Commits deliveries, or raises and is asked again later. Its answer: for each, whether it is done with; False sets it aside."""


@dataclass(frozen=True, slots=True)
class Lying:
    """What a spool holds. `waiting_bytes` in `segments` that are to be drained; `damaged` segments that a person has to look at."""

    waiting_bytes: int = 0
    segments: int = 0
    damaged: int = 0


class Spool:
    """One folder, as one process sees it. Safe to share between threads; other processes may use the same folder.

    Args:
        folder: made when the first delivery comes, for this user only.
        max_bytes: of everything in it, damaged segments too.
        vault: seals what is written, and opens what is read; without one it is written as it came.
    """

    def __init__(self, folder: Path, max_bytes: int, *, segment_bytes: int = SEGMENT_BYTES, vault: Vault | None = None) -> None:
        self.folder, self._vault = folder, vault or Vault()
        self._max_bytes, self._segment_bytes = max_bytes, segment_bytes
        self._lock = threading.Lock()
        self._file: BinaryIO | None = None
        self._good = 0
        """Bytes of the open segment that are whole records."""

    def keep(self, delivery: Delivery) -> None:
        """Write a delivery down; it is on the disk when this returns.

        Raises:
            StoreUnavailable: the disk is full or broken, or the spool has reached its size. Then nothing was kept.
        """
        record = encode(delivery, self._vault)
        with self._lock:
            if self._bytes() + len(record) > self._max_bytes:
                raise StoreUnavailable(f"{self.folder} holds as much as it may")
            try:
                file = self._segment()
                try:
                    _write(file, record)
                    os.fsync(file.fileno())
                except OSError:
                    self._undo(file)
                    raise
            except OSError as error:
                raise StoreUnavailable(f"the delivery cannot be written to {self.folder}: {error.strerror}") from error
            self._good += len(record)

    def lying(self) -> Lying:
        """What is there now."""
        waiting = [size for path in self._segments() if (size := _size(path))]
        damaged = sum(1 for _ in self._with(DAMAGED))
        return Lying(sum(waiting), len(waiting), damaged)

    def drain(self, take: Take) -> int:
        """Hand everything over that no other process has open; how many deliveries that were.

        Raises:
            What `take` raises; all of the segment that was being drained then stays. What was committed of it is committed again the
            next time, under the same keys.
        """
        if not self._segments():
            return 0
        # The ended ones before the one that we write to: while nothing can be taken that one goes on, and no file comes every second.
        done = sum(self._drain(path, take) for path in self._segments())
        self.close()
        return done + sum(self._drain(path, take) for path in self._segments())

    def close(self) -> None:
        """Write no more to the open segment: it may be drained."""
        with self._lock:
            if self._file is not None:
                self._file.close()
            self._file, self._good = None, 0

    # --- inside ---

    def _bytes(self) -> int:
        return sum(_size(path) for suffix in (SUFFIX, DAMAGED) for path in self._with(suffix))

    def _with(self, suffix: str) -> Iterator[Path]:
        try:
            with os.scandir(self.folder) as found:
                names = [entry.name for entry in found]
        except OSError:
            return iter(())
        return (self.folder / name for name in names if name.endswith(suffix))

    def _segments(self) -> list[Path]:
        """In the order in which they were begun: names start with that moment."""
        return sorted(self._with(SUFFIX))

    def _segment(self) -> BinaryIO:
        """The open one, or a new one. Raises OSError."""
        if self._file is not None and self._good >= self._segment_bytes:
            self._file.close()
            self._file = None
        if self._file is None:
            self._file, self._good = self._begin(), 0
        return self._file

    def _begin(self) -> BinaryIO:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        while (descriptor := self._begun()) is None:
            pass
        return os.fdopen(descriptor, "wb", buffering=0)

    def _begun(self) -> int | None:
        """A new segment, held locked; None when somebody who drains took it for an empty one before we had it, and removed it."""
        path = self.folder / f"{time.time_ns():020d}-{os.getpid()}-{secrets.token_hex(4)}{SUFFIX}"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.fstat(descriptor).st_nlink == 0:
                os.close(descriptor)
                return None
            self._sync_folder()
        except OSError:
            os.close(descriptor)
            raise
        return descriptor

    def _sync_folder(self) -> None:
        """The name of a new segment must outlive a power cut, too."""
        descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _undo(self, file: BinaryIO) -> None:
        """Cut off what was written in part. When even that fails nothing is written after it: the end of a segment may be cut off."""
        try:
            os.ftruncate(file.fileno(), self._good)
        except OSError:
            file.close()
            self._file = None

    def _drain(self, path: Path, take: Take) -> int:
        with _locked(path) as file:
            if file is None:
                return 0
            records, done, left = Records(file, self._vault), 0, 0
            while batch := list(islice(records, AT_ONCE)):
                answers = take(batch)
                done += sum(answers)
                left += len(answers) - sum(answers)
            told = {"segment": path.name, "drained": done}
            if records.damaged or left:
                log.error("spool.damaged", extra={**told, "refused": left, "at_byte": _listed(records.damaged)})
                path.rename(path.with_suffix(DAMAGED))
            else:
                if records.cut_off is not None:
                    log.warning("spool.cut_off", extra={**told, "at_byte": records.cut_off})
                path.unlink()
            return done


class Records:
    """The whole deliveries of one segment, one after the other. Complete when it has come to its end.

    Attributes:
        damaged: the bytes at which those begin that cannot be read; what lies between two whole records counts as one.
        cut_off: the byte at which one begins that the end of the file cuts off, if any does.
    """

    def __init__(self, file: BinaryIO, vault: Vault) -> None:
        self._file, self._vault = file, vault
        self._at, self._size = 0, file.seek(0, os.SEEK_END)
        self.damaged: list[int] = []
        self.cut_off: int | None = None

    def __iter__(self) -> Iterator[Delivery]:
        return self

    def __next__(self) -> Delivery:
        while True:
            begun = self._at
            self._file.seek(begun)
            head = self._file.read(_HEAD.size)
            if not head:
                raise StopIteration
            content = self._content(head)
            document = None if content is None else self._vault.open(KIND, content)
            delivery = None if document is None else _decode(document)
            if content is not None:
                self._at = begun + len(head) + len(content)
            if delivery is not None:
                return delivery
            if content is None and not self._go_on(begun, head):
                raise StopIteration
            self.damaged.append(begun)

    def _content(self, head: bytes) -> bytes | None:
        """What follows a head; None when either is not as it was written."""
        known = _lengths(head)
        if known is None:
            return None
        length, checksum = known
        content = self._file.read(length)
        return content if len(content) == length and zlib.crc32(content) == checksum else None

    def _go_on(self, begun: int, head: bytes) -> bool:
        """Move to the next head behind one that leads nowhere; False at the end of a segment in which nothing is damaged any more.

        The length of a damaged record is not gone by: bytes may be missing from it.
        """
        following = self._next_head(begun + 1)
        self._at = self._size if following is None else following
        if following is None and _is_cut(head, self._size - begun):
            self.cut_off = begun
            return False
        return True

    def _next_head(self, start: int) -> int | None:
        """Where the next head begins at or behind a byte; None when there is none."""
        self._file.seek(start)
        seen = b""
        while True:
            more = self._file.read(CHUNK)
            seen += more
            at = seen.find(MAGIC)
            while at >= 0:
                if _lengths(seen[at : at + _HEAD.size]) is not None:
                    return start + at
                at = seen.find(MAGIC, at + 1)
            if not more:
                return None
            kept = seen[1 - _HEAD.size :]  # a head may begin in it
            start, seen = start + len(seen) - len(kept), kept


def _lengths(head: bytes) -> tuple[int, int] | None:
    """Length and checksum of the content that follows a head; None for what is none."""
    if len(head) < _HEAD.size:
        return None
    magic, length, checksum, own = _HEAD.unpack(head)
    return (length, checksum) if magic == MAGIC and own == zlib.crc32(head[:12]) and length <= MAX_CONTENT else None


def _is_cut(head: bytes, left: int) -> bool:
    """True when what begins so, `left` bytes before the end of the file, is a record but for its end."""
    if len(head) < _HEAD.size:
        return MAGIC.startswith(head[: len(MAGIC)])
    known = _lengths(head)
    return known is not None and _HEAD.size + known[0] > left


def _listed(places: Sequence[int]) -> str:
    """`0, 412`, and of many how many more."""
    shown = ", ".join(str(place) for place in places[:TOLD])
    return shown if len(places) <= TOLD else f"{shown} and {len(places) - TOLD} more"


def encode(delivery: Delivery, vault: Vault) -> bytes:
    """A delivery as a record. Its moment is `delivery.at`, or now."""
    headers = {name: value for name, value in delivery.headers.items() if name not in PRIVATE}
    at = time.time() if delivery.at is None else delivery.at
    line = json.dumps({"provider": delivery.provider, "instance": delivery.instance, "at": at, "headers": headers})
    content = vault.close(KIND, line.encode("ascii") + b"\n" + delivery.body)
    head = struct.pack(">4sII", MAGIC, len(content), zlib.crc32(content))
    return head + struct.pack(">I", zlib.crc32(head)) + content


def _decode(content: bytes) -> Delivery | None:
    """None for what we never wrote, though its checksum is right."""
    line, _, body = content.partition(b"\n")
    try:
        found = json.loads(line)
        provider, instance, at, headers = (found[name] for name in ("provider", "instance", "at", "headers"))
        texts = {str(name): str(value) for name, value in headers.items()}
        return Delivery(str(provider), str(instance), texts, body, float(at))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


@contextmanager
def _locked(path: Path) -> Iterator[BinaryIO | None]:
    """The segment, for us alone; None when somebody else has it, or had it and removed it."""
    try:
        # Not blocking: what is no file (a FIFO that somebody put there) must not hold us up.
        file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    except OSError:
        yield None
        return
    with file:
        held = False
        with suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            status = os.fstat(file.fileno())
            held = stat.S_ISREG(status.st_mode) and status.st_nlink > 0 and path.exists()
        yield file if held else None


def _write(file: BinaryIO, record: bytes) -> None:
    """All of it: a disk that is nearly full takes a part, and says so with the next one (write(2))."""
    rest = memoryview(record)
    while rest:
        rest = rest[file.write(rest) :]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
