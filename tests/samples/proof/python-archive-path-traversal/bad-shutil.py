"""Uploads of themes."""

import shutil
import tarfile


def unpack(upload, target):
    with tarfile.open(fileobj=upload) as archive:
        names = archive.getnames()
        shutil.unpack_archive(upload, target, "tar")
    return names
