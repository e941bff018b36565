"""The state folder: made for us alone, and a folder that cannot be used is said to be so, whichever command meets it first."""

from __future__ import annotations

import errno
import os
import pwd
from pathlib import Path

from pipeline.errors import NotConfigured


def make_state_dir(folder: Path) -> None:
    """Make it with what is above it, readable for us only; one that is there keeps its mode.

    Raises:
        NotConfigured: it cannot be made, or not be written to.
    """
    try:
        # One by one: the mode that mkdir(2) is given with `parents` counts for the last folder only.
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
    except FileExistsError:  # it, or what is to hold it, is a file
        raise _unusable(folder, os.strerror(errno.ENOTDIR)) from None
    except OSError as error:
        raise _unusable(folder, error.strerror) from None
    check_state_dir(folder)


def check_state_dir(folder: Path) -> None:
    """Raises NotConfigured for one that is there and cannot be used. Makes nothing."""
    try:
        folder.stat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise _unusable(folder, error.strerror) from None
    if not folder.is_dir():
        raise _unusable(folder, os.strerror(errno.ENOTDIR))
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise _unusable(folder, os.strerror(errno.EACCES))


def _unusable(folder: Path, why: str | None) -> NotConfigured:
    hint = f"run it as the user that the running processes have (this is {_user()}), or set FIXWRIGHT_STATE_DIR to another folder"
    return NotConfigured(f"the state folder {folder} cannot be used: {why}", hint=hint)


def _user() -> str:
    number = os.geteuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:  # as in a container that is run as any number
        return f"user {number}"
