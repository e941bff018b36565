"""Documents that stay data."""

import json

import yaml
from yaml import CSafeLoader


class Tagged(yaml.SafeLoader):
    """Adds tags of ours."""


def read(stream):
    yaml.safe_load(stream)
    yaml.load(stream, Loader=yaml.SafeLoader)
    yaml.load(stream, yaml.CSafeLoader)
    yaml.load(stream, Loader=CSafeLoader)
    yaml.load(stream, Loader=yaml.BaseLoader)
    yaml.load(stream, Loader=yaml.FullLoader)  # since PyYAML 5.4 it builds plain types only
    yaml.load(stream, Loader=Tagged)
    yaml.full_load(stream)
    return json.load(stream)


DEFAULTS = yaml.load("retries: 3", Loader=yaml.Loader)
