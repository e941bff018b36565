"""Files that are made at once."""

import tempfile


def export(rows, own):
    with tempfile.NamedTemporaryFile("w", delete=False) as file:
        file.writelines(rows)
    handle, path = tempfile.mkstemp()
    folder = tempfile.mkdtemp()
    return file.name, handle, path, folder, own.mktemp("a")
