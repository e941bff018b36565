"""A backup: one tar file with the database (SQLite), the keys, the plain repositories' conversations, and a manifest that it is checked by.

Who has it can read everything that Fixwright knows and sign receipts: it is readable for its owner only, and not encrypted.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import shutil
import sqlite3
import tarfile
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from pydantic import BaseModel, ConfigDict, ValidationError

from bot import __version__
from bot.settings import Settings
from bot.statefolder import check_state_dir, make_state_dir
from pipeline.errors import NotConfigured, StoreUnavailable, UsageError
from pipeline.receipts import KEY_FILE
from pipeline.store.engine import Database
from pipeline.store.migrate import copy_sqlite, newest

FORMAT = 1
MANIFEST, DATABASE, SECRET_KEY = "manifest.json", "fixwright.db", "secret.key"
LOCAL = "local"
"""Folder of the local provider: it has no host that would remember."""

MANIFEST_BYTES = 10_000_000


class Manifest(BaseModel):
    """What is in a backup, and what it was made of."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int
    fixwright: str
    """Version that wrote it."""
    schema_revision: str
    database: str
    """`sqlite`: inside. `postgresql`: not inside, see docs/operations.md."""
    created_at: int
    """Seconds since 1970."""
    files: Mapping[str, str]
    """SHA-256 in hex, by name."""


def backup(settings: Settings, database: Database, target: Path) -> Manifest:
    """Write a backup while everything runs.

    Raises:
        UsageError: the file exists, or cannot be written. StoreUnavailable: the database cannot be read.
    """
    database.healthy()
    with tempfile.TemporaryDirectory(prefix="fixwright-backup-", dir=_folder_of(target)) as temporary:
        copy = Path(temporary) / DATABASE
        files = _keys(settings)
        if database.dialect == "sqlite":
            try:
                copy_sqlite(database.path, copy)
            except (sqlite3.Error, OSError) as exc:
                raise StoreUnavailable(f"the database cannot be copied: {exc}", hint=f"is there room in {target.parent}?") from exc
            files[DATABASE] = copy
        files |= _local_copies(settings.state_dir, Path(temporary))
        digests = {name: _digest(content) for name, content in files.items()}
        manifest = Manifest(
            format=FORMAT,
            fixwright=__version__,
            schema_revision=database.schema(),
            database=database.dialect,
            created_at=int(time.time()),
            files=digests,
        )
        _write(target, manifest, files)
    return manifest


def restore(settings: Settings, source: Path) -> Manifest:
    """Bring a backup into an empty state folder. Everything is checked before the first file is written.

    Raises:
        UsageError: no backup of ours, damaged, of a newer version; or the folder is not empty.
        NotConfigured: FIXWRIGHT_SECRET_KEY is set, and is not the key of the backup; the folder cannot be used.
    """
    state = settings.state_dir
    check_state_dir(state)
    if state.exists() and any(state.iterdir()):
        raise UsageError(f"{state} is not empty", hint="restore into a new folder: FIXWRIGHT_STATE_DIR=/another/folder")
    with _opened(source) as archive:
        manifest = _checked(archive)
        if settings.secret_key and base64.b64decode(_member(archive, SECRET_KEY).read()) != settings.secret_key:
            raise NotConfigured(
                "FIXWRIGHT_SECRET_KEY is not the key of this backup", hint="unset it, or set the one that was used when the backup was made"
            )
        make_state_dir(state)
        for name in manifest.files:
            _extract(archive, name, state / name)
    return manifest


def _keys(settings: Settings) -> dict[str, bytes | Path]:
    found: dict[str, bytes | Path] = {SECRET_KEY: base64.b64encode(settings.key())}
    receipts = settings.state_dir / KEY_FILE
    if receipts.exists():
        found[KEY_FILE] = receipts
    return found


def _local_copies(state: Path, temporary: Path) -> dict[str, bytes | Path]:
    """What the local provider knows, by name. Copied first: a file that is replaced between its digest and its place in the backup would
    make a backup that nobody can restore."""
    found: dict[str, bytes | Path] = {}
    for path in sorted((state / LOCAL).rglob("*")):
        name = path.relative_to(state).as_posix()
        copy = temporary / name
        try:
            if path.is_file():
                copy.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                found[name] = Path(shutil.copyfile(path, copy))
        except FileNotFoundError:  # a draft of a writer, by now under its own name
            continue
        except OSError as exc:
            raise UsageError(f"{path} cannot be copied: {exc.strerror}") from exc
    return found


def _folder_of(target: Path) -> Path:
    if target.exists():
        raise UsageError(f"{target} exists; a backup never overwrites another")
    if not os.access(target.absolute().parent, os.W_OK):
        raise UsageError(f"{target.absolute().parent} is no folder that can be written to")
    return target.absolute().parent


def _write(target: Path, manifest: Manifest, files: Mapping[str, bytes | Path]) -> None:
    """The whole file is on the disk before it has its name."""
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600), "wb") as out:
            with tarfile.open(fileobj=out, mode="w:gz", compresslevel=3) as archive:
                _add(archive, MANIFEST, json.dumps(manifest.model_dump(), indent=2).encode())
                for name, content in files.items():
                    _add(archive, name, content)
            out.flush()
            os.fsync(out.fileno())
        os.link(draft, target)
    except FileExistsError:
        raise UsageError(f"{target} exists; a backup never overwrites another") from None
    except OSError as exc:
        raise UsageError(f"{target} cannot be written: {exc.strerror}") from exc
    finally:
        draft.unlink(missing_ok=True)


def _add(archive: tarfile.TarFile, name: str, content: bytes | Path) -> None:
    member = tarfile.TarInfo(name)
    member.mode = 0o600
    member.mtime = int(time.time())
    if isinstance(content, bytes):
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
        return
    with content.open("rb") as file:
        member.size = os.fstat(file.fileno()).st_size
        archive.addfile(member, file)


def _digest(content: bytes | Path) -> str:
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    with content.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _opened(source: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(source, mode="r:gz") as archive:
            yield archive
    except FileNotFoundError:
        raise UsageError(f"there is no file {source}") from None
    except EOFError:
        raise UsageError(f"{source} is cut off: its end is missing", hint="copy it again from where the backup was made") from None
    except (tarfile.TarError, OSError) as exc:
        raise UsageError(f"{source} is no backup of ours, or damaged: {type(exc).__name__}") from exc


def _checked(archive: tarfile.TarFile) -> Manifest:
    """The manifest, when everything is as it says. Raises UsageError."""
    try:
        manifest = Manifest.model_validate_json(_member(archive, MANIFEST).read(MANIFEST_BYTES))
    except ValidationError as exc:
        raise UsageError("the manifest of this backup cannot be read") from exc
    if manifest.format > FORMAT or manifest.schema_revision > newest():
        raise UsageError(
            f"this backup is of Fixwright {manifest.fixwright}, schema {manifest.schema_revision}; this version knows {newest()}",
            hint="install that version, or a newer one",
        )
    if SECRET_KEY not in manifest.files or (manifest.database == "sqlite") != (DATABASE in manifest.files):
        raise UsageError("this backup is not complete")
    for name, digest in manifest.files.items():
        if not _is_ours(name):
            raise UsageError("this backup has a file that is none of ours")
        with _member(archive, name) as file:
            found = hashlib.sha256()
            while chunk := file.read(1 << 20):
                found.update(chunk)
        if found.hexdigest() != digest:
            raise UsageError(f"{name} in this backup is damaged")
    return manifest


def _is_ours(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return name in (DATABASE, SECRET_KEY, KEY_FILE) or (len(parts) > 1 and parts[0] == LOCAL and ".." not in parts)


def _member(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    try:
        file = archive.extractfile(name)
    except KeyError:
        file = None
    if file is None:
        raise UsageError(f"this backup has no {name}")
    return file


def _extract(archive: tarfile.TarFile, name: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _member(archive, name) as file, os.fdopen(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as out:
        while chunk := file.read(1 << 20):
            out.write(chunk)
        out.flush()
        os.fsync(out.fileno())
