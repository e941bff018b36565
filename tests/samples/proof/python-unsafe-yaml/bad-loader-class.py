"""Settings of a tenant."""

import yaml


class SafeLoader(yaml.Loader):
    pass


def read_settings(stream):
    if stream is None:
        raise ValueError("no settings")
    settings = yaml.load(stream, Loader=SafeLoader)
    return settings
