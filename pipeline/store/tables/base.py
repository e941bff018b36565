"""Where all tables are registered."""

from __future__ import annotations

from sqlalchemy import MetaData

from pipeline.store.columns import NAMES

metadata = MetaData(naming_convention=NAMES)
