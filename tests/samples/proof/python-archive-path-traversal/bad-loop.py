"""Uploads of themes."""

import tarfile


def unpack(upload, target):
    with tarfile.open(fileobj=upload) as archive:
        names = archive.getnames()
        for member in archive.getmembers():
            archive.extract(member, target)
    return names
