"""Rows of installations and repositories -> model."""

from __future__ import annotations

from sqlalchemy import RowMapping

from pipeline.model.ids import InstallationId
from pipeline.model.target import Installation, SourceRepository


def to_installation(row: RowMapping, prefix: str = "") -> Installation:
    """Row -> model; `prefix` stands before the names of the columns."""
    fields = {name: row[prefix + name] for name in ("provider", "instance", "account", "external_id")}
    return Installation(id=InstallationId(row[f"{prefix}id"]), **fields)


def to_repository(row: RowMapping, prefix: str = "") -> SourceRepository:
    """Row -> model; `prefix` stands before the names of the columns."""
    names = ("provider", "instance", "external_id", "full_name", "default_branch", "clone_url", "private", "installation")
    return SourceRepository(**{name: row[prefix + name] for name in names})
