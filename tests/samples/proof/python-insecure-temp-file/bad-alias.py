"""Exports."""

import tempfile


def export(rows, suffix):
    make = tempfile.mktemp
    path = make(suffix)
    with open(path, "w") as file:
        file.writelines(rows)
    return path
