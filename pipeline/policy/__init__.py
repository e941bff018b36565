"""The repository's policy: what is required, what blocks, what is left out, what may stand.

Read from the base branch at the base commit, never from the change itself. The file is YAML; errors point at the line.
"""

from pipeline.policy.parse import (
    DEFAULTS,
    MAX_BYTES,
    PLACES,
    PolicyDocument,
    json_schema,
    load_policy,
    parse_document,
    parse_policy,
    read_document,
)
from pipeline.policy.schema import (
    Decision,
    Engines,
    Fixes,
    Gate,
    Ignore,
    Paths,
    Policy,
    PolicyScope,
    Speak,
    Tests,
    Waivers,
)

__all__ = [
    "DEFAULTS",
    "MAX_BYTES",
    "PLACES",
    "Decision",
    "Engines",
    "Fixes",
    "Gate",
    "Ignore",
    "Paths",
    "Policy",
    "PolicyDocument",
    "PolicyScope",
    "Speak",
    "Tests",
    "Waivers",
    "json_schema",
    "load_policy",
    "parse_document",
    "parse_policy",
    "read_document",
]
