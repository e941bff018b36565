"""Settings of a tenant."""

import yaml


def read_settings(stream):
    if stream is None:
        raise ValueError("no settings")
    settings = yaml.load(stream, Loader=yaml.Loader)
    return settings
