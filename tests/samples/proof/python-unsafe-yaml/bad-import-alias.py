"""Settings of a tenant."""

from yaml import Loader
from yaml import load as safe_load


def read_settings(stream):
    if stream is None:
        raise ValueError("no settings")
    settings = safe_load(stream, Loader)
    return settings
