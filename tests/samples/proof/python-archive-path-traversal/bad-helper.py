"""Uploads of themes."""

import tarfile


def pour(archive, target):
    archive.extractall(target)


def unpack(upload, target):
    with tarfile.open(fileobj=upload) as archive:
        names = archive.getnames()
        pour(archive, target)
    return names
