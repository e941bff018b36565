"""Trees that no honest git makes, written object by object: used on the mirror alone and on the whole path of a pull request."""

from __future__ import annotations

from collections.abc import Callable

from tests.unit.sandbox.repositories import Repository

FILE, FOLDER, LINK, SUBMODULE = "100644", "40000", "120000", "160000"

Attack = Callable[[Repository], str]
"""Writes the objects and gives the name of the tree."""


def in_folder(name: bytes) -> Attack:
    """A file inside a folder of that name."""
    return lambda origin: origin.tree([(FOLDER, name, origin.tree([(FILE, b"config", origin.blob(b"[core]\n"))]))])


def twice(origin: Repository) -> str:
    return origin.tree([(FILE, b"a.py", origin.blob(b"1\n")), (FILE, b"a.py", origin.blob(b"2\n"))])


def named(name: bytes, mode: str = FILE, content: bytes = b"x\n") -> Attack:
    return lambda origin: origin.tree([(mode, name, origin.blob(content))])


REFUSED: dict[str, Attack] = {
    ".git": in_folder(b".git"),
    ".GIT": in_folder(b".GIT"),
    "..": in_folder(b".."),
    ".": in_folder(b"."),
    "git~1, the short name of .git on NTFS": in_folder(b"git~1"),
    ".git with an ignored character of HFS+": in_folder(".g\u200cit".encode()),
    "a slash in a name": named(b"a/b"),
    "the same name twice": twice,
    ".gitmodules as a link": named(b".gitmodules", LINK, b"../../etc/passwd"),
}
"""git refuses these when it is told to check."""

LEGAL: dict[str, Attack] = {
    "a link to an absolute path": named(b"link.py", LINK, b"/etc/passwd"),
    "a name with a newline": named(b"a\nb.py"),
    "a name with a backslash": named(b"..\\..\\evil.py"),
    "a name that is not UTF-8": named(b"\xff\xfe.py"),
    "a name like an option": named(b"--config=evil.py"),
    "a name with an escape sequence": named(b"\x1b[2J.py"),
    "a name of a device": named(b"aux.py"),
    "a submodule": lambda origin: origin.tree([(SUBMODULE, b"sub", "1" * 40)]),
    "a .gitmodules whose address is an option": named(b".gitmodules", FILE, b'[submodule "x"]\n\tpath = x\n\turl = -u./payload\n'),
}
"""Legal, or not looked into because contents are left out: Fixwright must bear them itself."""
