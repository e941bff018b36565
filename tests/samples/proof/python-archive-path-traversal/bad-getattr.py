"""Uploads of themes."""

import tarfile


def unpack(upload, target):
    with tarfile.open(fileobj=upload) as archive:
        names = archive.getnames()
        archive.extractall(target)
    return names
