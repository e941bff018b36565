"""Documents that may build any object."""

import yaml
import yaml as parser
from yaml import Loader, load, unsafe_load

try:
    from yaml import CLoader
except ImportError:
    CLoader = Loader


def no_loader(stream):
    return yaml.load(stream)  # expect: python.unsafe-yaml


def named_loaders(stream):
    yaml.load(stream, Loader=yaml.Loader)  # expect: python.unsafe-yaml
    yaml.load(stream, yaml.UnsafeLoader)  # expect: python.unsafe-yaml
    yaml.load(stream, Loader=CLoader)  # expect: python.unsafe-yaml
    load(stream, Loader=Loader)  # expect: python.unsafe-yaml
    return list(yaml.load_all(stream, Loader=yaml.UnsafeLoader))  # expect: python.unsafe-yaml


def other_names(request):
    parser.unsafe_load(request.data)  # expect: python.unsafe-yaml
    return unsafe_load(request.data)  # expect: python.unsafe-yaml


def round_trip(path):
    from ruamel.yaml import YAML

    return YAML(typ="unsafe").load(path)  # expect: python.unsafe-yaml
