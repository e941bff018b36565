"""Settings of a tenant."""

import yaml


def parse(stream, loader):
    return yaml.load(stream, Loader=loader)


def read_settings(stream):
    if stream is None:
        raise ValueError("no settings")
    settings = parse(stream, yaml.Loader)
    return settings
