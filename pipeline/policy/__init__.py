"""The repository's policy: what is required, what blocks, what is left out, what may stand.

Read from the base branch at the base commit, never from the change itself. The file is YAML; errors point at the line.
"""

from pipeline.policy.above import Above, read_above
from pipeline.policy.difference import differences, say_differences, say_effect, show
from pipeline.policy.edit import PolicyEdit, policy_edit
from pipeline.policy.merge import FREE, KEYS, Effective, loosens, merge, stands_in, under, value_of
from pipeline.policy.odd import Warned, warnings_of
from pipeline.policy.parse import (
    DEFAULTS,
    FILE,
    MAX_BYTES,
    PolicyDocument,
    PolicyPlaces,
    json_schema,
    load_policy,
    parse_document,
    parse_policy,
    read_document,
)
from pipeline.policy.record import PolicyRecord, record_of
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
    "FILE",
    "FREE",
    "KEYS",
    "MAX_BYTES",
    "Above",
    "Decision",
    "Effective",
    "Engines",
    "Fixes",
    "Gate",
    "Ignore",
    "Paths",
    "Policy",
    "PolicyDocument",
    "PolicyEdit",
    "PolicyPlaces",
    "PolicyRecord",
    "PolicyScope",
    "Speak",
    "Tests",
    "Waivers",
    "Warned",
    "differences",
    "json_schema",
    "load_policy",
    "loosens",
    "merge",
    "parse_document",
    "parse_policy",
    "policy_edit",
    "read_above",
    "read_document",
    "record_of",
    "say_differences",
    "say_effect",
    "show",
    "stands_in",
    "under",
    "value_of",
    "warnings_of",
]
