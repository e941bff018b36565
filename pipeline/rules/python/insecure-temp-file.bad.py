"""Names that others can take."""

import tempfile
from tempfile import mktemp


def export(rows):
    path = tempfile.mktemp()  # expect: python.insecure-temp-file
    with open(path, "w") as file:
        file.writelines(rows)
    return path


def picture(folder):
    return tempfile.mktemp(".png", dir=folder)  # expect: python.insecure-temp-file


def report():
    return mktemp(suffix=".pdf", prefix="report-")  # expect: python.insecure-temp-file
