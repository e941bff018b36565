"""Which finding a person means: a handle, or `FILE:LINE`, which always works."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.errors import UsageError
from pipeline.escaping import visible
from pipeline.model.finding import Finding


def choose(findings: Sequence[Finding], wanted: str) -> Finding:
    """The one finding that `wanted` names.

    Raises:
        UsageError: there is none there, or the handle means several; the hint lists the places.
    """
    path, _, line = wanted.rpartition(":")
    if path and line.isdigit():
        number = int(line)
        here = [f for f in findings if f.location.path == path.removeprefix("./") and f.location.line <= number <= f.location.end_line]
        if not here:
            raise UsageError(f"there is no finding at {visible(wanted)}", hint=_places(findings))
        return here[0]
    named = [f for f in findings if f.handle == wanted.upper()]
    if len(named) == 1:
        return named[0]
    if named:
        raise UsageError(f"{wanted.upper()} means {len(named)} findings; name one by its place", hint=_places(named))
    raise UsageError(f"no finding here is called {visible(wanted)}", hint=_places(findings))


def _places(findings: Sequence[Finding]) -> str:
    if not findings:
        return "nothing was found here"
    named = [f"{visible(f.location.path)}:{f.location.line} ({f.handle})" for f in findings[:10]]
    more = f" and {len(findings) - 10} more" if len(findings) > 10 else ""
    return "found: " + ", ".join(named) + more
