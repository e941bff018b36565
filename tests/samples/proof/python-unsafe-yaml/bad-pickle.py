"""Settings of a tenant."""

import pickle


def read_settings(stream):
    if stream is None:
        raise ValueError("no settings")
    settings = pickle.load(stream)
    return settings
