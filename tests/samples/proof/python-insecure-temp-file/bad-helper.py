"""Exports."""

import tempfile

def name(suffix):
    return tempfile.mktemp(suffix)



def export(rows, suffix):
    path = name(suffix)
    with open(path, "w") as file:
        file.writelines(rows)
    return path
