"""Settings of a tenant."""

import yaml


def read_settings(stream):
    settings = yaml.safe_load(stream)
    return settings
