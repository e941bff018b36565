"""Archives that choose their own place."""

import os
import tarfile
import zipfile
from pathlib import Path


def whole(path, target):
    archive = tarfile.open(path)
    archive.extractall(target)  # expect: python.archive-path-traversal
    archive.close()


def managed(path, target):
    with tarfile.open(path, "r:gz") as archive:
        archive.extractall(path=target)  # expect: python.archive-path-traversal


def chained(path):
    tarfile.open(path).extractall()  # expect: python.archive-path-traversal


def one_by_one(path, target):
    with tarfile.open(path) as archive:
        for member in archive.getmembers():
            archive.extract(member, target)  # expect: python.archive-path-traversal


def trusted(path, target):
    with tarfile.open(path) as archive:
        archive.extractall(target, filter="fully_trusted")  # expect: python.archive-path-traversal


def by_hand(path, target):
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            place = os.path.join(target, name)
            with open(place, "wb") as out:  # expect: python.archive-path-traversal
                out.write(archive.read(name))


def with_pathlib(path, target):
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            (Path(target) / info.filename).write_bytes(archive.read(info))  # expect: python.archive-path-traversal
