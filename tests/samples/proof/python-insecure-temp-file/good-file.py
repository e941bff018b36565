"""Exports."""

import tempfile


def export(rows, suffix):
    path = tempfile.NamedTemporaryFile(suffix=suffix, delete=False).name
    with open(path, "w") as file:
        file.writelines(rows)
    return path
