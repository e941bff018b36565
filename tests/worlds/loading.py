"""Importing what registers itself."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable
from types import ModuleType


def import_all(package: str, folders: Iterable[str]) -> tuple[ModuleType, ...]:
    """All modules of a package (`__name__`, `__path__`), by name: a new one cannot be forgotten."""
    return tuple(importlib.import_module(f"{package}.{name}") for name in sorted(found.name for found in pkgutil.iter_modules(folders)))
