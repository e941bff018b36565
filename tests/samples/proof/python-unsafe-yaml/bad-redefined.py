"""Settings of a tenant."""

import yaml

yaml.safe_load = yaml.unsafe_load


def read_settings(stream):
    if stream is None:
        raise ValueError("no settings")
    settings = yaml.safe_load(stream)
    return settings
