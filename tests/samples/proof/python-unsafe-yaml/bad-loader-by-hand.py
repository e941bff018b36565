"""Settings of a tenant."""

import yaml


def read_settings(stream):
    if stream is None:
        raise ValueError("no settings")
    loader = yaml.Loader(stream)
    settings = loader.get_single_data()
    return settings
