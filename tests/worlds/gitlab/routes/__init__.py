"""The API of the double, a file for each page of GitLab's documentation. Importing this registers all of it."""

from tests.worlds.loading import import_all

LOADED = import_all(__name__, __path__)
"""The modules, so that whoever imports them uses them."""
