"""Kinds of columns: text that somebody else chose, and the moment by the clock of the database."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import Dialect, Double, Text, TypeDecorator
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

_HOSTILE = re.compile("[\x00\\\\\ud800-\udfff]")
_ESCAPED = re.compile(r"\\(?:\\|u[0-9a-f]{4})")


def escape_text(value: str) -> str:
    """`value` without what a database refuses: NUL and lone surrogates become `\\uXXXX`, a backslash is doubled."""
    return _HOSTILE.sub(lambda found: "\\\\" if found[0] == "\\" else f"\\u{ord(found[0]):04x}", value)


def unescape_text(value: str) -> str:
    """Inverse of `escape_text`."""
    return _ESCAPED.sub(lambda found: "\\" if found[0] == "\\\\" else chr(int(found[0][2:], 16)), value)


class HostileText(TypeDecorator[str]):
    """Text that somebody else chose (paths, branch names, host answers): anything a Python string can hold survives, and equals itself."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002  signature of SQLAlchemy
        """Escape on the way in."""
        return None if value is None else escape_text(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> str | None:  # noqa: ARG002  signature of SQLAlchemy
        """Unescape on the way out."""
        return None if value is None else unescape_text(str(value))


class database_now(FunctionElement[float]):  # noqa: N801  reads as a function in a statement
    """The moment by the clock of the database, at the time of the statement."""

    type = Double()
    inherit_cache = True


@compiles(database_now, "sqlite")
def _now_on_sqlite(element: database_now, compiler: SQLCompiler, **kw: Any) -> str:  # noqa: ARG001  signature of SQLAlchemy
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(database_now, "postgresql")
def _now_on_postgresql(element: database_now, compiler: SQLCompiler, **kw: Any) -> str:  # noqa: ARG001  signature of SQLAlchemy
    return "CAST(extract(epoch FROM clock_timestamp()) AS double precision)"


NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}
"""What constraints and indexes are called, so that a migration can name them."""
