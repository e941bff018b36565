"""What a look says: which rule, and where."""

from __future__ import annotations

import ast
from dataclasses import dataclass


@dataclass(frozen=True)
class Hit:
    """One place. Lines and columns are 1-based, as in `pipeline.model.finding.Location`."""

    rule: str
    node: ast.AST | None = None
    """Where it stands, in a Python file; only its first line counts when `end` is given."""
    end: ast.AST | None = None
    """With a function as `node`: what begins its body, so that a finding of a whole function stands on its signature alone."""
    detail: str = ""
    line: int = 0
    end_line: int = 0
    column: int = 1
    end_column: int = 1
    """In files that are no Python."""
