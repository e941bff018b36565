"""Settings of a tenant."""

import yaml


def read_settings(stream):
    if stream is None:
        raise ValueError("no settings")
    parse = yaml.load
    settings = parse(stream, yaml.Loader)
    return settings
