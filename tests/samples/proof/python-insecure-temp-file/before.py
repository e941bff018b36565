"""Exports."""

import tempfile


def export(rows, suffix):
    path = tempfile.mktemp(suffix)
    with open(path, "w") as file:
        file.writelines(rows)
    return path
