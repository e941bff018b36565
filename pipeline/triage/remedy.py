"""What a fix of a certain kind of weakness must not be, whatever the engines say: the same weakness one step further.

Only where the kind itself tells: a certificate check that is avoided by talking without TLS, a secret that is not drawn at random at all,
a text that becomes an address instead of markup. Each reason is one sentence.
"""

from __future__ import annotations

import re

from pipeline.model.finding import Finding
from pipeline.triage.survival import Sides, flagged_units

_TLS, _RANDOM, _MARKUP = 295, 338, 79
"""CWE of improper certificate validation, weak random numbers, cross-site scripting."""

_DRAWS = re.compile(
    r"^(secrets\..*|(os\.)?urandom|.*SystemRandom\(\)\..*|SystemRandom|(uuid\.)?uuid4|token_(hex|bytes|urlsafe)|randbelow|randbits|choice"
    r"|(.*\.)?(randomBytes|randomUUID|randomInt|getRandomValues|randomFillSync|generateKeySync|nanoid)|nanoid)$"
)
"""Calls that draw from the operating system's generator, in Python and JavaScript."""

_ADDRESSES = frozenset(["href", "src", "srcdoc", "action", "formAction", "location", "onclick", "onload", "onerror"])
"""Members of a page's elements that run what they are given."""


def no_remedies(sides: Sides, finding: Finding) -> list[str]:
    """Why the patch cannot be a fix of this kind of weakness; empty when nothing speaks against it."""
    if sides.edit.path != finding.location.path:
        return []
    added = sides.added()
    if finding.rule.cwe == _TLS:
        plain = {text for unit in added for text in unit.strings if text.lower().startswith("http:")}
        known = {text for unit in sides.before.units for text in unit.strings}
        if plain - known or any(call.root == "http" for unit in added for call in unit.calls):
            return ["the connection has no TLS any more, so there is no certificate to check"]
    if finding.rule.cwe == _RANDOM and any(unit.calls for unit in flagged_units(sides, finding)):
        calls = [call for unit in added for call in unit.calls]
        drawn = any(_DRAWS.match(call.path) for call in calls)
        if not drawn:
            return ["the new value is not drawn from the operating system's random numbers"]
    if finding.rule.cwe == _MARKUP:
        written = sorted({name for unit in added for name in unit.written if unit.loads or unit.calls} & _ADDRESSES)
        if written:
            return [f"the text becomes `{written[0]}` now, which the browser runs as well"]
    return []
