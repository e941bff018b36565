"""A branch of ours with a patch on it, made through a host's API: what it may be called, and whether the patch fits what is there. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.errors import HeadMoved, HostRejected
from pipeline.model.fix import FileEdit

OURS = "fixwright/"
"""Prefix of every branch that we ever write."""
REGULAR, EXECUTABLE, FOLDER = "100644", "100755", "040000"
TIP_KEPT = 90 * 86_400.0
"""Seconds for which we remember what we put at the tip of a branch."""
_BRANCH = re.compile(r"fixwright/[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._-]*)*\Z")


@dataclass(frozen=True, slots=True)
class Present:
    """What stands at a path of a commit."""

    mode: str
    """As git says it: `100644`."""
    name: str | None
    """Of the blob or tree; None where the host does not say."""

    def has(self, content: bytes) -> bool:
        """True for the blob of that content."""
        return self.name is not None and self.name == blob_name(content, len(self.name))


def check_ours(branch: str) -> None:
    """Raise HostRejected for a name that no branch of ours has."""
    if not _BRANCH.match(branch) or ".." in branch or branch.endswith((".", ".lock")):
        raise HostRejected(f"{branch!r} is no branch of ours", hint=f"branches of ours begin with {OURS}")


def not_ours(branch: str, tip: str) -> HostRejected:
    """The error for a branch with a name of ours whose tip somebody else put there."""
    return HostRejected(f"branch {branch} holds a commit that is not ours ({tip[:7]})", hint="delete or rename that branch, then ask again")


LOOKED_BACK = 20
"""So many commits of a branch are looked at for one that we put there before somebody added more."""


def moved(branch: str, tip: str, expected: str) -> HeadMoved:
    """The error for a branch of somebody else's that got other commits since we looked."""
    return HeadMoved(f"{branch!r} is at {tip[:7]} now, not at {expected[:7]}", hint="ask again")


def signed_off(message: str, name: str, address: str) -> str:
    """A commit message with the trailer that says who answers for the commit: the same words as its author, as checks compare them.

    Args:
        address: empty when the host does not say it; then there is no trailer.
    """
    if not name or not address:
        return message
    author = "".join(letter if letter.isprintable() else " " for letter in f"{name} <{address}>")
    return f"{message.rstrip()}\n\nSigned-off-by: {author}\n"


def check_fits(edit: FileEdit, there: Present | None) -> None:
    """Raise HostRejected unless the patch speaks of what is there: the same content, a regular file."""
    if there is not None and there.mode not in (REGULAR, EXECUTABLE):
        raise HostRejected(f"{edit.path!r} is no regular file (mode {there.mode})")
    if edit.before is None:
        if there is not None and edit.after is not None and not there.has(edit.after):
            raise HostRejected(f"the patch makes {edit.path!r}, but it exists already")
    elif there is None or not there.has(edit.before):
        raise HostRejected(f"{edit.path!r} is not what the patch was made for")


def blob_name(content: bytes, digits: int) -> str:
    """Name of a blob; git hashes its length with it. `digits`: of the names in that repository, 40 or 64."""
    algorithm = hashlib.sha256 if digits == 64 else hashlib.sha1
    return algorithm(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def steps_of(path: str, host: str) -> Sequence[str]:
    """The folders of a path and its last name. Raises HostRejected for one that git does not track or that is not text.

    Args:
        host: whose API it is, for people.
    """
    steps = path.split("/")
    text = path.isprintable() and path.encode("utf-8", "replace").decode() == path
    if not text or any(step in ("", ".", "..") or step.lower() == ".git" or "\\" in step for step in steps):
        raise HostRejected(f"{path!r} cannot be written through {host}'s API")
    return steps


def no_folder(path: str) -> HostRejected:
    """The error for a path on which a link or a submodule lies: it would lead elsewhere."""
    return HostRejected(f"{path!r} leads through something that is no folder")
