"""Uploads of themes."""

import tarfile


def unpack(upload, target):
    with tarfile.open(fileobj=upload) as archive:
        names = archive.getnames()
        archive.extractall(target, filter=tarfile.data_filter)
    return names
