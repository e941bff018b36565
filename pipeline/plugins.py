"""The one way in for every plug-in: a file in the right folder that exports the right constant."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType
from typing import Any, TypeVar

from pipeline.errors import PluginInvalid

T = TypeVar("T")


def discover(package: ModuleType, constant: str, kind: type[T]) -> dict[str, T]:
    """All plug-ins of one kind, by name, sorted by name.

    Args:
        package: the folder that holds them, e.g. `providers`; a plug-in is a module or a package in it.
        constant: what each must export, e.g. `PROVIDER`. A module without it is no plug-in (shared code of its folder).
        kind: the runtime-checkable protocol that the constant must have.

    Raises:
        PluginInvalid: the constant lacks a member of the protocol, or two plug-ins share a name.
    """
    found: dict[str, T] = {}
    for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda i: i.name):
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        plugin: Any = getattr(module, constant, None)
        if plugin is None:
            continue
        if not isinstance(plugin, kind):
            raise PluginInvalid(f"{module.__name__}.{constant} is no {kind.__name__}: a member of that protocol is missing")
        name = str(getattr(plugin, "name", info.name))
        if name in found:
            raise PluginInvalid(f"two plug-ins in {package.__name__} are called {name}")
        found[name] = plugin
    return found
