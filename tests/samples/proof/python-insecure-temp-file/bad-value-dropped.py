"""Exports."""

import tempfile


def export(rows, suffix):
    path = tempfile.NamedTemporaryFile(delete=False).name
    with open(path, "w") as file:
        file.writelines(rows)
    return path
