"""Every look of this package on one file."""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from pipeline.frameworks import access, accounts, disclosure, programs, settings, templates
from pipeline.frameworks.book import RULES
from pipeline.frameworks.hits import Hit
from pipeline.frameworks.python import Module, parse
from pipeline.model.finding import Finding, Location
from pipeline.triage import places

_LOOKS: tuple[Callable[[Module], Iterator[Hit]], ...] = (
    access.missing_authentication,
    access.role_from_request,
    access.mass_assignment,
    access.object_ownership,
    access.owned_by_others,
    accounts.login_without_limit,
    accounts.session_fixation,
    accounts.user_enumeration,
    accounts.jwt_not_verified,
    disclosure.error_disclosure,
    disclosure.private_field_in_response,
    programs.code_injection,
    programs.name_from_request,
    programs.server_side_request,
    programs.nosql_injection,
    programs.regex_blowup,
    programs.debug_mode,
    settings.hard_coded_key,
    settings.django_settings,
    settings.csrf_disabled,
    settings.session_cookie,
    settings.autoescape_off,
)


_SHOWN = re.compile(r"(^|/)(demo|example|sample|sandbox|tutorial|quickstart)[\w-]*/", re.IGNORECASE)
"""Folders of projects that only show something."""


def look(path: str, content: bytes, engine: str) -> list[Finding]:
    """What is wrong in one file, without identity; sorted. A file that our interpreter does not read gives nothing.

    Args:
        path: says what kind of file it is.
        content: the whole file; may be garbage.
        engine: the name that the findings carry.
    """
    if places.is_test(path) or places.is_example(path) or _SHOWN.search(path):
        return []
    if templates.is_template(path):
        hits = list(templates.look_at(content))
    elif path.endswith(".py"):
        hits = _of_python(path, content)
    else:
        return []
    found = {(_location(path, hit), hit.rule): hit for hit in hits}
    return [Finding(RULES[rule], where, "", engine, detail=hit.detail) for (where, rule), hit in sorted(found.items())]


def digest() -> str:
    """Of everything that makes what `look` says; SHA-256, the first 12 hex digits."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()[:12]


def _of_python(path: str, content: bytes) -> list[Hit]:
    module = parse(path, content)
    if module is None:
        return []
    try:
        return [hit for one in _LOOKS for hit in one(module)]
    except RecursionError:  # an expression that is nested deeper than people write
        return []


def _location(path: str, hit: Hit) -> Location:
    node = hit.node
    if not isinstance(node, ast.expr | ast.stmt | ast.excepthandler):
        return Location(path, hit.line, hit.end_line, hit.column, hit.end_column)
    if isinstance(hit.end, ast.stmt):
        return Location(path, node.lineno, max(node.lineno, hit.end.lineno - 1), node.col_offset + 1, 1 + node.col_offset + 1)
    return Location(path, node.lineno, node.end_lineno or node.lineno, node.col_offset + 1, (node.end_col_offset or 0) + 1)
