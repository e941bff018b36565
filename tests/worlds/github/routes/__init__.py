"""The operations, one subject a file. Importing this package registers them all."""

from tests.worlds.github.call import ROUTES
from tests.worlds.loading import import_all

__all__ = ["LOADED", "ROUTES"]

LOADED = import_all(__name__, __path__)
