"""Exports."""

import tempfile


def export(rows, suffix):
    _, path = tempfile.mkstemp(suffix)
    with open(path, "w") as file:
        file.writelines(rows)
    return path
