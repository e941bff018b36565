"""Archives that stay in their folder."""

import os
import tarfile
import zipfile
from pathlib import Path


def filtered(path, target):
    with tarfile.open(path) as archive:
        archive.extractall(target, filter="data")


def zipped(path, target):
    with zipfile.ZipFile(path) as archive:
        archive.extractall(target)


def checked(path, target):
    with tarfile.open(path) as archive:
        for member in archive.getmembers():
            if not os.path.realpath(os.path.join(target, member.name)).startswith(os.path.realpath(target) + os.sep):
                raise ValueError(member.name)
        archive.extractall(target)


def chosen(path, target, safe_members):
    with tarfile.open(path) as archive:
        archive.extractall(target, members=safe_members(archive))


def checked_by_hand(path, target):
    root = Path(target).resolve()
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            place = (root / name).resolve()
            if not place.is_relative_to(root):
                raise ValueError(name)
            place.write_bytes(archive.read(name))


def flat(path, target):
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            with open(os.path.join(target, os.path.basename(name)), "wb") as out:
                out.write(archive.read(name))


def listing(path):
    with tarfile.open(path) as archive:
        names = archive.getnames()
    with open("names.txt", "w") as out:
        out.write("\n".join(names))
