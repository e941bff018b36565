"""A folder on this machine, as the commands take it: which host its repository is for, nobody says."""

from __future__ import annotations

from itertools import chain

import providers
from pipeline.plugins import discover
from pipeline.policy import PolicyPlaces
from pipeline.ports import Provider


def policy_places() -> PolicyPlaces:
    """Where the policy of a folder may stand: wherever any host has it, in the order of their names. Raises PluginInvalid."""
    hosts = discover(providers, "PROVIDER", Provider).values()
    return PolicyPlaces(tuple(dict.fromkeys(chain.from_iterable(host.capabilities.policies.folders for host in hosts))))
