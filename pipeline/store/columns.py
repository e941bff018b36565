"""Kinds of columns: text that somebody else chose, and the moment by the clock of the database."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from sqlalchemy import Column, Dialect, Double, ForeignKey, Integer, Text, TypeDecorator, text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from pipeline.leaks import clean, clean_document, clean_name, state

_HOSTILE = re.compile("[\x00\\\\\ud800-\udfff]")
_ESCAPED = re.compile(r"\\(?:\\|u[0-9a-f]{4})")


def escape_text(value: str) -> str:
    """`value` without what a database refuses: NUL and lone surrogates become `\\uXXXX`, a backslash is doubled."""
    return _HOSTILE.sub(lambda found: "\\\\" if found[0] == "\\" else f"\\u{ord(found[0]):04x}", value)


def unescape_text(value: str) -> str:
    """Inverse of `escape_text`."""
    return _ESCAPED.sub(lambda found: "\\" if found[0] == "\\\\" else chr(int(found[0][2:], 16)), value)


def name_text(value: str) -> str:
    """How a name is stored: cleaned and escaped."""
    return escape_text(_name(value))


class HostileText(TypeDecorator[str]):
    """Text that somebody else chose (paths, branch names, host answers): anything a Python string can hold survives, and equals itself."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002  signature of SQLAlchemy
        """Clean and escape on the way in: names too, of files or branches, may hold what looks like a credential."""
        return None if value is None else name_text(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> str | None:  # noqa: ARG002  signature of SQLAlchemy
        """Unescape on the way out."""
        return None if value is None else unescape_text(str(value))


class FreeText(HostileText):
    """What somebody wrote, or said that went wrong; no statement compares it. What scans found is taken out of it, too."""

    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Clean and escape on the way in."""
        return super().process_bind_param(None if value is None else clean(value, tagged=True), dialect)


class Document(TypeDecorator[str]):
    """JSON text; every string in it is cleaned."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002  signature of SQLAlchemy
        """Clean on the way in."""
        return None if value is None else clean_document(value)


_SHORT = 200


@lru_cache(4096)
def _short(value: str, secrets: int) -> str:  # noqa: ARG001  another state of the filter, another answer
    return clean_name(value)


def _name(value: str) -> str:
    return _short(value, state()) if len(value) <= _SHORT else clean_name(value)


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


# --- columns that many tables have ----------------------------------------------------------------------------------------------------


def moment(name: str, *, nullable: bool = False) -> Column[float]:
    """Seconds since 1970."""
    return Column(name, Double, nullable=nullable)


def hostile(name: str, default: str | None = None) -> Column[str]:
    """Text that holds anything; NOT NULL."""
    return Column(name, HostileText, nullable=False, server_default=None if default is None else text(f"'{default}'"))


def free(name: str, default: str | None = None) -> Column[str]:
    """What somebody wrote; NOT NULL."""
    return Column(name, FreeText, nullable=False, server_default=None if default is None else text(f"'{default}'"))


def number(name: str, default: int | None = None) -> Column[int]:
    """A count; NOT NULL."""
    return Column(name, Integer, nullable=False, server_default=None if default is None else text(str(default)))


def refers(name: str, target: str, *, nullable: bool = False) -> Column[str]:
    """The `id` of a row of another table."""
    return Column(name, Text, ForeignKey(f"{target}.id"), nullable=nullable)
